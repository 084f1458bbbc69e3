"""Questions to one model through the real turn and the real road; a refusal is answered with its repair, and noted."""

from __future__ import annotations

import asyncio
import json
import secrets
import time
from typing import Any

import aiohttp
import msgspec
from msgspec import Struct

from codex_nexus.gateway.exchange import pieces, teller
from codex_nexus.gateway.judgement import Opened
from codex_nexus.gateway.replies import UpstreamError
from codex_nexus.gateway.upstream import Upstream
from codex_nexus.probe.fields import Fields, difference
from codex_nexus.routing import Destination, Route
from codex_nexus.snapshot import Snapshot
from codex_nexus.translate.clients import PLAIN
from codex_nexus.translate.dialect import Dialect
from codex_nexus.translate.faults import Fault, window_in
from codex_nexus.translate.healing import healed, lasting, says_the_same
from codex_nexus.translate.heals import heal_of
from codex_nexus.translate.turn import Turn, open_turn
from codex_nexus.wire import codec
from codex_nexus.wire.create import decode_create

FIRST_BYTE_S = 120.0
_WHOLE_S = 600.0
_MOST_REPAIRS = 8
RESCUED = "rescued_tool_call"
"""The warning of an answer whose call came as text."""
LEAKED_THOUGHT = "leaked_thought"
"""The warning of an answer that holds its own reasoning."""
_LONGEST_REASON = 400
_PAUSE_S = 5.0
_LONGEST_PAUSE_S = 30.0

Item = dict[str, Any]


class Repair(Struct, frozen=True):
    """What did not work, in the provider's words or ours, and the dialect fields that made it work."""

    trouble: str
    fields: Fields


class Answer(Struct):
    """How a question ended.

    Attributes:
        ending: `completed`, `incomplete`, `failed` or `refused`.
        reason: why it is not completed.
        output: the items, as a client would send them back.
        repairs: what had to be said in other words before.
        dialect: the words in which it was asked.
        fault: what the provider's refusal means.
    """

    dialect: Dialect
    ending: str = "refused"
    reason: str = ""
    output: list[Item] = msgspec.field(default_factory=list[Item])
    usage: bool = False
    warnings: tuple[str, ...] = ()
    repairs: tuple[Repair, ...] = ()
    seconds: float = 0.0
    fault: Fault | None = None

    @property
    def refused(self) -> bool:
        """Whether there is no answer at all."""
        return self.ending in ("refused", "failed")

    @property
    def text(self) -> str:
        """All text of the answer."""
        parts = [part for item in self.output if item["type"] == "message" for part in item["content"]]
        return "".join(str(part.get("text", "")) for part in parts)

    @property
    def thought(self) -> bool:
        """Whether reasoning was shown."""
        return any(item["type"] == "reasoning" for item in self.output)

    @property
    def calls(self) -> list[Item]:
        """The tool calls."""
        return [item for item in self.output if item["type"] in ("function_call", "custom_tool_call")]


class Talker:
    """One model; `dialect` is how it is spoken to by now."""

    def __init__(self, upstream: Upstream, snapshot: Snapshot, destination: Destination) -> None:
        retry = msgspec.structs.replace(snapshot.config.retry, attempts=2)
        waits = msgspec.structs.replace(
            snapshot.config.timeouts, first_byte_s=snapshot.config.timeouts.first_byte_s or FIRST_BYTE_S
        )
        config = msgspec.structs.replace(snapshot.config, retry=retry, timeouts=waits)
        self._snapshot = msgspec.structs.replace(snapshot, config=config)
        self._upstream = upstream
        self._destination = destination
        self.dialect = destination.dialect
        self._window: int | None = None

    def learned(self) -> Dialect:
        """The dialect by now, with a window that a refusal told when none was known."""
        if self._window is None or self.dialect.context_window is not None:
            return self.dialect
        return msgspec.structs.replace(self.dialect, context_window=self._window)

    async def ask(self, fields: Fields, dialect: Dialect | None = None) -> Answer:
        """The answer, if need be in other words than the dialect's; `Answer.dialect` has those that were good."""
        dialect, repairs, began, waited = dialect or self.dialect, list[Repair](), time.monotonic(), False
        while True:
            answer, heal = await self._once(fields, dialect)
            if answer.fault is not None and answer.fault.kind == "rate_limit" and not waited:
                waited = True
                await asyncio.sleep(min(answer.fault.retry_after or _PAUSE_S, _LONGEST_PAUSE_S))
                continue
            repaired = self._repaired(fields, dialect, heal, repairs)
            if repaired is None:
                answer.repairs, answer.seconds = tuple(repairs), time.monotonic() - began
                return answer
            repairs.append(Repair(answer.reason, difference(dialect, repaired)))
            dialect = repaired

    def _repaired(self, fields: Fields, dialect: Dialect, heal: str, repairs: list[Repair]) -> Dialect | None:
        """How to ask again after a refusal; None when that is said already, or would help this once only."""
        if not heal or len(repairs) >= _MOST_REPAIRS:
            return None
        if says_the_same(heal):
            return None if repairs else dialect
        repaired = healed(dialect, heal) if lasting([heal]) else None
        while repaired is not None and not self.differ(fields, dialect, repaired):
            repaired = healed(repaired, heal)
        if repaired is None:
            return None
        milder = msgspec.structs.replace(repaired, drop_params=dialect.drop_params)
        return repaired if self.differ(fields, milder, repaired) else milder

    def differ(self, fields: Fields, one: Dialect, other: Dialect) -> bool:
        """Whether this question is another request in the other words."""
        turn = _opened(fields)
        return self._said(turn, one) != self._said(turn, other)

    def _said(self, turn: Turn, dialect: Dialect) -> bytes:
        return turn.to_chat(dialect, self._destination.model, teller(self._destination, self._snapshot))

    async def _once(self, fields: Fields, dialect: Dialect) -> tuple[Answer, str]:
        """One request; the second value is the repair that a refusal asks for."""
        turn = _opened(fields)
        destination = msgspec.structs.replace(self._destination, dialect=dialect)
        route = Route("probe", (destination,))
        try:
            opened = await self._upstream.open(
                route, lambda to: self._said(turn, to.dialect), self._snapshot, repairs=0
            )
        except UpstreamError as error:
            self._window = _window_told(error.fault) or self._window
            reason = _one_line(error.fault.message, self._destination.provider.name)
            return Answer(dialect, reason=reason, fault=error.fault), error.fault.heal or ""
        if opened.response.content_type == "text/html":
            opened.response.close()
            words = "A web page came in place of an answer."
            return Answer(dialect, reason=words, fault=Fault("bad_request", words, 404)), ""
        await _read(turn, opened)
        return self._told(turn, dialect)

    def _told(self, turn: Turn, dialect: Dialect) -> tuple[Answer, str]:
        """The answer and the repair that it asks for; no key stands in it, whatever the provider says."""
        response, output = turn.response, codec.encode(turn.response.output).decode()
        for key in filter(None, (*self._snapshot.secrets(), *self._destination.keys)):
            output = output.replace(key, "***")
        answer = Answer(
            dialect, str(response.status), "", json.loads(output), response.usage is not None, turn.warnings
        )
        if response.error is not None:
            answer.reason = _one_line(response.error.message, self._destination.provider.name)
        elif response.incomplete_details is not None:
            answer.reason = response.incomplete_details.reason
        return answer, (heal_of(answer.reason) or "") if answer.ending == "failed" else ""


def _one_line(text: str, name: str) -> str:
    """The text as it fits into a table; whose it is is known there."""
    line = " ".join(text.removeprefix(f"{name}: ").split())
    return line if len(line) <= _LONGEST_REASON else f"{line[: _LONGEST_REASON - 3]}..."


def _window_told(fault: Fault) -> int | None:
    """The window in tokens, also when only the limit of output went beyond it."""
    return window_in(msgspec.structs.replace(fault, kind="context_length_exceeded"))


def _opened(fields: Fields) -> Turn:
    asked = {"model": "probe", "stream": True, "store": False, "include": ["reasoning.encrypted_content"], **fields}
    return open_turn(decode_create(json.dumps(asked).encode()), [], PLAIN, _new_id, int(time.time()))


def _new_id(prefix: str) -> str:
    return f"{prefix}_{secrets.token_hex(16)}"


async def _read(turn: Turn, opened: Opened) -> None:
    """The whole answer into the turn, whatever becomes of it."""
    turn.start()
    try:
        async with asyncio.timeout(_WHOLE_S):
            async for data in pieces(opened):
                turn.receive_data(data, int(time.time()))
                if turn.over:
                    break
    except TimeoutError:
        turn.fail(Fault("timeout", f"No whole answer came within {_WHOLE_S:g} s"), int(time.time()))
    except (aiohttp.ClientError, OSError):
        pass
    finally:
        opened.response.close()
    if opened.fault is not None:
        turn.fail(opened.fault, int(time.time()))
    turn.close(int(time.time()))
