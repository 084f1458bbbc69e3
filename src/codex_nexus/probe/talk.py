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

from codex_nexus.gateway.replies import UpstreamError
from codex_nexus.gateway.upstream import Opened, Upstream, pieces, teller
from codex_nexus.routing import Destination, Route
from codex_nexus.snapshot import Snapshot
from codex_nexus.translate.clients import PLAIN
from codex_nexus.translate.dialect import Dialect
from codex_nexus.translate.faults import Fault
from codex_nexus.translate.healing import healed
from codex_nexus.translate.heals import heal_of
from codex_nexus.translate.turn import Turn, open_turn
from codex_nexus.wire import codec
from codex_nexus.wire.responses import decode_create

FIRST_BYTE_S = 120.0
_WHOLE_S = 300.0
_MOST_REPAIRS = 8

Item = dict[str, Any]


class Repair(Struct, frozen=True):
    """What was refused, in the provider's words, and what was done about it."""

    heal: str
    refusal: str


class Answer(Struct):
    """How a question ended.

    Attributes:
        ending: `completed`, `incomplete`, `failed` or `refused`.
        reason: why it is not completed.
        output: the items, as a client would send them back.
        repairs: what had to be said in other words before.
    """

    ending: str = "refused"
    reason: str = ""
    output: list[Item] = msgspec.field(default_factory=list[Item])
    usage: bool = False
    warnings: tuple[str, ...] = ()
    repairs: tuple[Repair, ...] = ()
    seconds: float = 0.0

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

    async def ask(self, fields: dict[str, Any], dialect: Dialect | None = None) -> tuple[Answer, Dialect]:
        """The answer, and the words in which it was got."""
        dialect, repairs, began = dialect or self.dialect, list[Repair](), time.monotonic()
        while True:
            answer, heal = await self._once(fields, dialect)
            repaired = healed(dialect, heal) if heal else None
            if not heal or repaired in (None, dialect) or len(repairs) >= _MOST_REPAIRS:
                answer.repairs, answer.seconds = tuple(repairs), time.monotonic() - began
                return answer, dialect
            repairs.append(Repair(heal, answer.reason))
            dialect = repaired or dialect

    async def _once(self, fields: dict[str, Any], dialect: Dialect) -> tuple[Answer, str]:
        """One request; the second value is the repair that a refusal asks for."""
        asked = {"model": "probe", "stream": True, "store": False, "include": ["reasoning.encrypted_content"], **fields}
        turn = open_turn(decode_create(json.dumps(asked).encode()), [], PLAIN, _new_id, int(time.time()))
        destination = msgspec.structs.replace(self._destination, dialect=dialect)

        def body(to: Destination) -> bytes:
            return turn.to_chat(to.dialect, to.model, teller(to, self._snapshot))

        try:
            opened = await self._upstream.open(Route("probe", (destination,)), body, self._snapshot, repairs=0)
        except UpstreamError as error:
            return Answer(reason=error.fault.message), error.fault.heal or ""
        await _read(turn, opened)
        return _told(turn)


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
    turn.close(int(time.time()))


def _told(turn: Turn) -> tuple[Answer, str]:
    response = turn.response
    output: list[Item] = json.loads(codec.encode(response.output))
    answer = Answer(str(response.status), "", output, response.usage is not None, turn.warnings)
    if response.error is not None:
        answer.reason = response.error.message
    elif response.incomplete_details is not None:
        answer.reason = response.incomplete_details.reason
    return answer, (heal_of(answer.reason) or "") if answer.ending == "failed" else ""
