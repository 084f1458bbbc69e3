"""One turn through the gateway: from a decoded request to its one ending, whatever door it leaves by."""

from __future__ import annotations

import logging
import secrets
import time
from typing import cast

import aiohttp
import msgspec
from msgspec import Raw

from codex_nexus.errors import NexusError, NotFound, ResponseNotFound, StoreError
from codex_nexus.gateway.doors import ClientGone, Door
from codex_nexus.gateway.exchange import pieces, teller
from codex_nexus.gateway.judgement import Opened
from codex_nexus.gateway.lists import identified
from codex_nexus.gateway.live import LiveTurn
from codex_nexus.gateway.replies import UpstreamError
from codex_nexus.gateway.state import Gateway
from codex_nexus.gateway.trace import Trace
from codex_nexus.gateway.traffic import TurnRecord, TurnStatus
from codex_nexus.routing import Caller, Destination, Route, introduced
from codex_nexus.sessions.store import StoredItem, StoredTurn
from codex_nexus.snapshot import Snapshot
from codex_nexus.translate.clients import Client
from codex_nexus.translate.effort import said_of
from codex_nexus.translate.faults import Fault
from codex_nexus.translate.turn import Turn, input_items, open_turn
from codex_nexus.wire import codec
from codex_nexus.wire.create import CreateResponse
from codex_nexus.wire.events import ErrorEvent, Event
from codex_nexus.wire.responses import Response

log = logging.getLogger("codex_nexus.turn")

_BROKEN = Fault("server", "The gateway failed inside; its log says where.")
_STOPPED = Fault("cancelled", "The gateway was stopped before the answer was complete.")
_LONGEST_EFFORT = 20

_WARNINGS = {
    "leaked_tool_markup": 'wrote a tool call as text; the dialect field "tool_text": "on" may rescue such calls.',
    "leaked_thought": 'wrote reasoning into its answer, up to a lone </think>; the dialect field "think_tags": '
    '"inside" parts it from the text.',
    "rescued_tool_call": "wrote a tool call as text; it was made a call again.",
}


def new_id(prefix: str) -> str:
    """A fresh id; the only source of randomness that the core is given."""
    return f"{prefix}_{secrets.token_hex(16)}"


class Asker(msgspec.Struct, frozen=True):
    """Who asks, what kind of client it is, and where the turn is recorded, if anywhere."""

    caller: Caller
    client: Client
    trace: Trace | None = None


async def history_of(gateway: Gateway, asked: CreateResponse, caller: Caller) -> list[Raw]:
    """The stored items that `previous_response_id` or `conversation` stands for.

    Raises:
        ResponseNotFound, NotFound: there is no such response or conversation for this caller.
    """
    if asked.conversation_id is not None:
        talk = await gateway.sure_store().context(asked.conversation_id, caller.identity)
        if talk is None:
            raise NotFound(f"Conversation with id '{asked.conversation_id}' not found.", param="conversation")
        return talk
    if asked.previous_response_id is None:
        return []
    stored = await gateway.history(asked.previous_response_id, caller.identity)
    if stored is None:
        raise ResponseNotFound(asked.previous_response_id)
    return stored


async def answer(gateway: Gateway, asked: CreateResponse, asker: Asker, stored: list[Raw], door: Door) -> Response:
    """Runs a turn; its events go out by the door, its final response comes back.

    Raises:
        NexusError, UpstreamError: it cannot be answered, and nothing went out yet.
    """
    snapshot = gateway.snapshot
    route = await gateway.route_turn(snapshot, asked.model or "", asker.caller, asker.client.name, asker.trace)
    route = introduced(route, asker.caller.agent, asked.prompt_cache_key)
    turn = open_turn(asked, stored, asker.client, new_id, int(time.time()))
    turn.asked_again = gateway.silences.knows(asked)
    name = route.destinations[0].name
    door.headers |= {"x-nexus-upstream": ascii_only(name), "x-models-etag": gateway.etag(snapshot)}
    live = LiveTurn(turn, door, asker.trace if door.live or door.keeps else None)
    gateway.watch.add(live)
    who = asker.caller.identity
    record = gateway.traffic.begin(turn.response.id, route.asked, name, asker.client.name, who)
    if asker.trace is not None:
        asker.trace.record = record
    work = _Work(gateway, asked, asker, snapshot=snapshot, turn=turn, record=record)
    try:
        if door.at_once:
            await live.begin()
        opened = await work.open(live, route)
        if opened is not None:
            await work.carry(live, opened)
        return turn.response
    finally:
        work.ended("gone")
        gateway.watch.remove(live)
        await live.close()


class _Work:
    """What the steps of one turn share."""

    def __init__(
        self,
        gateway: Gateway,
        asked: CreateResponse,
        asker: Asker,
        *,
        snapshot: Snapshot,
        turn: Turn,
        record: TurnRecord,
    ) -> None:
        self._gateway = gateway
        self._snapshot = snapshot
        self._asked = asked
        self._asker = asker
        self._turn = turn
        self._record = record

    async def open(self, live: LiveTurn, route: Route) -> Opened | None:
        """The upstream's answer, or None when its failure was told inside the stream that had begun meanwhile.

        Raises:
            NexusError, UpstreamError: there is no answer, and nothing went out yet.
        """
        try:
            async with live.waiting():
                return await self._ask(route)
        except (NexusError, UpstreamError) as refusal:
            error: Exception = refusal
        except Exception as fault:
            stopped = isinstance(fault, TimeoutError) and live.stopped is not None
            if not stopped:
                log.exception("a fault inside the gateway")
            error = UpstreamError(_STOPPED if stopped else _BROKEN)
        fault = error.fault if isinstance(error, UpstreamError) else Fault("bad_request", str(error))
        if isinstance(error, UpstreamError):
            self._record.upstream = error.upstream or self._record.upstream
        if not live.started:
            self._record.fault = fault.message
            self.ended("refused")
            raise error
        await live.begin()
        await self.end(live, self._failed(live, fault))
        return None

    async def _ask(self, route: Route) -> Opened:
        gateway, snapshot, turn = self._gateway, self._snapshot, self._turn

        def body(destination: Destination) -> bytes:
            return turn.to_chat(destination.dialect, destination.model, teller(destination, snapshot))

        if snapshot.config.vision_model and gateway.learned.applied(route.destinations[0]).dialect.images == "none":
            await gateway.vision.look(gateway, snapshot, turn, self._asker.caller)
        return await gateway.upstream.open(route, body, snapshot, trace=self._asker.trace)

    async def carry(self, live: LiveTurn, opened: Opened) -> None:
        """The upstream's answer on its way through the door, to its end."""
        record, destination, asked = self._record, opened.destination, self._asked
        record.upstream = destination.name
        record.effort = ((asked.reasoning and asked.reasoning.effort) or "")[:_LONGEST_EFFORT]
        record.effort_sent = record.effort and said_of(record.effort, destination.dialect)
        live.door.headers["x-nexus-upstream"] = ascii_only(destination.name)
        live.attach(opened, self._snapshot.config.timeouts.idle_s or destination.dialect.idle_timeout_s)
        try:
            await live.begin()
            await self._pump(live, opened)
        finally:
            _let_go(opened)

    def _failed(self, live: LiveTurn, fault: Fault) -> list[Event]:
        """The end that upstream did not choose; who cancelled wants to hear of no fault."""
        events = self._turn.fail(fault, _now())
        if live.stopped != "cancelled" or not events:
            return events
        self._turn.response.status, self._turn.response.error = "cancelled", None
        return [event for event in events if not isinstance(event, ErrorEvent)]

    async def _pump(self, live: LiveTurn, opened: Opened) -> None:
        """Upstream bytes in, events out, until the turn is over."""
        turn = self._turn
        try:
            async for data in pieces(opened):
                live.has_read()
                events = turn.receive_data(data, _now())
                if turn.over:
                    return await self.end(live, events)
                await live.write(events)
            events = turn.close(_now()) if opened.fault is None else turn.fail(opened.fault, _now())
        except (aiohttp.ClientError, OSError) as error:
            log.debug("upstream broke: %r", error)
            events = self._interrupted(live)
        except ClientGone:
            raise
        except Exception:
            log.exception("a fault inside the gateway")
            events = turn.fail(_BROKEN, _now())
        return await self.end(live, events)

    def _interrupted(self, live: LiveTurn) -> list[Event]:
        if live.stopped == "idle":
            return self._turn.fail(Fault("timeout", f"sent nothing for {live.idle_s:g} s"), _now())
        if live.stopped == "shutdown":
            return self._turn.fail(_STOPPED, _now())
        if live.stopped == "cancelled":
            return self._failed(live, _STOPPED)
        return self._turn.close(_now())

    async def end(self, live: LiveTurn, events: list[Event]) -> None:
        """The last events; what must be kept is on disk before the terminal event leaves."""
        if self._turn.only_thought:
            self._gateway.silences.note(self._asked)
        if not live.door.keeps and (self._asked.store is not False or self._asked.conversation_id is not None):
            ending = next((n for n, event in enumerate(events) if event.terminal), 0)
            await live.write(events[:ending])
            events = events[ending:]
            await self._keep()
        self.ended(cast("TurnStatus", self._turn.response.status))
        await live.write(events)
        await live.door.end()

    async def _keep(self) -> None:
        response = self._turn.response
        try:
            turn = stored_turn(self._asked, response, self._asker.caller)
            await self._gateway.keep(turn, only_items=self._asked.store is False)
        except StoreError as error:
            response.store = False
            log.warning("response %s is not stored: %s", response.id, error.message)
        except Exception:
            response.store = False
            log.exception("a fault inside the gateway: response %s is not stored", response.id)

    def ended(self, status: TurnStatus) -> None:
        """Writes the turn into the book and the log, once."""
        traffic = self._gateway.traffic
        record = traffic.running.get(self._turn.response.id)
        if record is None:
            return
        traffic.end(record, status, self._turn.response, record.fault)
        tokens = f"{record.input_tokens}+{record.output_tokens} tokens" if record.input_tokens else "no usage"
        said = f"{status}: {record.fault}" if record.fault else status
        tokens += record.thinking and f", {record.thinking}"
        words = (record.asked, record.upstream, said, tokens, record.seconds)
        log.info("%s -> %s %s, %s, %.1f s", *words, extra={"turn": record})
        for warning in self._turn.warnings:
            log.warning("%s %s", record.upstream, _WARNINGS[warning])


def _let_go(opened: Opened) -> None:
    """Upstream is closed at once, unless its answer was read to the end."""
    if opened.response.content.at_eof():
        opened.response.release()
    else:
        opened.response.close()


def stored_turn(asked: CreateResponse, response: Response, caller: Caller) -> StoredTurn:
    """A response as the store keeps it."""
    given, output = bytes(input_items(asked)), codec.encode(response.output)
    items: list[StoredItem] = []
    if asked.conversation_id is not None and response.status in ("completed", "incomplete"):
        items = identified(given, response.id) + identified(output, response.id)
    return StoredTurn(
        response.id,
        asked.previous_response_id,
        caller.identity,
        response.created_at,
        response.status,
        given,
        output,
        codec.encode(msgspec.structs.replace(response, output=[])),
        asked.conversation_id,
        tuple(items),
    )


def _now() -> int:
    return int(time.time())


def ascii_only(text: str) -> str:
    """The text as a header may hold it."""
    return text.encode("ascii", "replace").decode().replace("\r", " ").replace("\n", " ")
