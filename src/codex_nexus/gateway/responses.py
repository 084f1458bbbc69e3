"""`POST /responses` and `GET /responses/{id}`: one path from a request to its one ending."""

from __future__ import annotations

import contextlib
import logging
import secrets
import time
from typing import cast

import aiohttp
import msgspec
from aiohttp import web
from msgspec import Raw

from codex_nexus.errors import InvalidRequest, NotFound, ResponseNotFound, StoreError
from codex_nexus.gateway.body import read_body
from codex_nexus.gateway.live import ClientGone, LiveTurn
from codex_nexus.gateway.replies import UpstreamError, client_of, fault_reply
from codex_nexus.gateway.state import CALLER, CORS, GATEWAY, Gateway
from codex_nexus.gateway.traffic import TurnStatus
from codex_nexus.gateway.upstream import Opened, pieces, teller
from codex_nexus.routing import Caller, Destination, Route
from codex_nexus.sessions.store import StoredTurn
from codex_nexus.snapshot import Snapshot
from codex_nexus.translate.clients import Client
from codex_nexus.translate.faults import Fault
from codex_nexus.translate.turn import Turn, input_items, open_turn
from codex_nexus.wire import codec
from codex_nexus.wire.events import Event
from codex_nexus.wire.responses import CreateResponse, Response, decode_create

log = logging.getLogger("codex_nexus.turn")

_BROKEN = Fault("server", "The gateway failed inside; its log says where.")


def new_id(prefix: str) -> str:
    """A fresh id; the only source of randomness that the core is given."""
    return f"{prefix}_{secrets.token_hex(16)}"


async def create(request: web.Request) -> web.StreamResponse:
    """`POST /responses`, streamed or not."""
    gateway, caller = request.app[GATEWAY], request[CALLER]
    snapshot = gateway.snapshot
    asked = decode_create(await read_body(request, snapshot.config.body_limit_mb << 20))
    route = await gateway.route(snapshot, asked.model or "", caller)
    stored = await _history(gateway, asked, caller)
    client = client_of(request.headers)
    turn = open_turn(asked, stored, client, new_id, int(time.time()))
    work = _Work(gateway=gateway, snapshot=snapshot, asked=asked, caller=caller, route=route, turn=turn, client=client)
    headers = {
        "x-nexus-upstream": _ascii(route.destinations[0].name),
        "x-models-etag": gateway.etag(snapshot),
    } | request[CORS]
    live = LiveTurn(request, turn, headers, streamed=asked.stream is True)
    gateway.watch.add(live)
    try:
        return await (work.stream(live) if asked.stream else work.reply(live))
    except UpstreamError as error:
        work.ended("refused", error.fault.message)
        return fault_reply(error.fault, client)
    finally:
        work.ended("gone")
        gateway.watch.remove(live)
        await live.close()


class _Work:
    """One request on its way: what the steps of `create` share."""

    def __init__(
        self,
        *,
        gateway: Gateway,
        snapshot: Snapshot,
        asked: CreateResponse,
        caller: Caller,
        route: Route,
        turn: Turn,
        client: Client,
    ) -> None:
        self._gateway = gateway
        self._snapshot = snapshot
        self._asked = asked
        self._caller = caller
        self._route = route
        self._turn = turn
        name = route.destinations[0].name
        self._record = gateway.traffic.begin(turn.response.id, route.asked, name, client.name)

    async def stream(self, live: LiveTurn) -> web.StreamResponse:
        """Events to the client as they come, then the one ending."""
        try:
            opened = await self._open(live)
        except UpstreamError as error:
            if not live.begun:
                raise
            with contextlib.suppress(ClientGone):
                await live.begin()
                await self._end(live, self._turn.fail(error.fault, _now()))
            return live.response
        try:
            await live.begin()
            await self._pump(live, opened)
        except ClientGone:
            pass
        finally:
            _let_go(opened)
        return live.response

    async def reply(self, live: LiveTurn) -> web.Response:
        """The terminal event's response as one JSON reply."""
        opened = await self._open(live)
        try:
            await self._pump(live, opened)
        finally:
            _let_go(opened)
        return web.Response(
            body=codec.encode(self._turn.response), content_type="application/json", headers=live.headers
        )

    async def _open(self, live: LiveTurn) -> Opened:
        def body(destination: Destination) -> bytes:
            return self._turn.to_chat(destination.dialect, destination.model, teller(destination, self._snapshot))

        try:
            opened = await self._gateway.upstream.open(self._route, body, self._snapshot)
        except UpstreamError as error:
            self._gateway.windows.learn(self._route.destinations[0].name, error.fault)
            raise
        self._record.upstream = opened.destination.name
        live.headers["x-nexus-upstream"] = _ascii(opened.destination.name)
        idle = self._snapshot.config.timeouts.idle_s or opened.destination.dialect.idle_timeout_s
        live.attach(opened, idle)
        return opened

    async def _pump(self, live: LiveTurn, opened: Opened) -> None:
        """Upstream bytes in, events out, until the turn is over."""
        turn = self._turn
        try:
            async for data in pieces(opened):
                live.has_read()
                events = turn.receive_data(data, _now())
                if turn.over:
                    return await self._end(live, events)
                if live.streamed:
                    await live.write(events)
            events = turn.close(_now())
        except (aiohttp.ClientError, OSError) as error:
            log.debug("upstream broke: %r", error)
            events = self._interrupted(live)
        except ClientGone:
            raise
        except Exception:
            log.exception("a fault inside the gateway")
            events = turn.fail(_BROKEN, _now())
        return await self._end(live, events)

    def _interrupted(self, live: LiveTurn) -> list[Event]:
        if live.stopped == "idle":
            return self._turn.fail(Fault("timeout", f"sent nothing for {live.idle_s:g} s"), _now())
        if live.stopped == "shutdown":
            return self._turn.fail(Fault("cancelled", "The gateway was stopped before the answer was complete"), _now())
        return self._turn.close(_now())

    async def _end(self, live: LiveTurn, events: list[Event]) -> None:
        """The last events; what must be kept is on disk before the terminal event leaves."""
        if self._asked.store is not False:
            ending = next((n for n, event in enumerate(events) if event.terminal), 0)
            if live.streamed and ending:
                await live.write(events[:ending])
                events = events[ending:]
            await self._keep()
        if live.streamed:
            await live.write(events)
            await live.response.write_eof()
        response = self._turn.response
        self.ended(cast("TurnStatus", response.status))

    async def _keep(self) -> None:
        response = self._turn.response
        try:
            await self._gateway.keep(_stored(self._asked, response, self._caller))
        except StoreError as error:
            response.store = False
            log.warning("response %s is not stored: %s", response.id, error.message)

    def ended(self, status: TurnStatus, fault: str = "") -> None:
        """Writes the turn into the book and the log, once."""
        record = self._record
        if record.id not in self._gateway.traffic.running:
            return
        self._gateway.traffic.end(record, status, self._turn.response, fault)
        tokens = f"{record.input_tokens}+{record.output_tokens} tokens" if record.input_tokens else "no usage"
        said = f"{status}: {record.fault}" if record.fault else status
        log.info("%s -> %s %s, %s, %.1f s", record.asked, record.upstream, said, tokens, record.seconds)


def _let_go(opened: Opened) -> None:
    """Upstream is closed at once, unless its answer was read to the end."""
    if opened.response.content.at_eof():
        opened.response.release()
    else:
        opened.response.close()


def _stored(asked: CreateResponse, response: Response, caller: Caller) -> StoredTurn:
    return StoredTurn(
        response.id,
        asked.previous_response_id,
        caller.identity,
        response.created_at,
        response.status,
        bytes(input_items(asked)),
        codec.encode(response.output),
        codec.encode(msgspec.structs.replace(response, output=[])),
    )


async def _history(gateway: Gateway, asked: CreateResponse, caller: Caller) -> list[Raw]:
    if asked.previous_response_id is None:
        return []
    stored = await gateway.history(asked.previous_response_id, caller.identity)
    if stored is None:
        raise ResponseNotFound(asked.previous_response_id)
    return stored


async def retrieve(request: web.Request) -> web.StreamResponse:
    """`GET /responses/{id}`."""
    response_id = request.match_info["id"]
    if request.query.get("stream", "").lower() == "true":
        raise InvalidRequest("Only responses made with 'background' can be streamed again.", "stream")
    resource = await request.app[GATEWAY].resource(response_id, request[CALLER].identity)
    if resource is None:
        raise NotFound(f"Response with id '{response_id}' not found.", param="id")
    return web.Response(body=resource, content_type="application/json", headers=request[CORS])


def _now() -> int:
    return int(time.time())


def _ascii(text: str) -> str:
    return text.encode("ascii", "replace").decode().replace("\r", " ").replace("\n", " ")
