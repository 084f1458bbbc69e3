"""`GET /responses` as a WebSocket: the same turns, one JSON event a frame, with a memory of its own.

A frame `response.create` is the body of `POST /responses`. Frames of one lane (`stream_id`) are answered one after
another, lanes side by side. `previous_response_id` is looked up on the connection first, so that it works with
`store: false`; a turn that fails forgets the one that it built on. `generate: false` warms up: no model is asked, and
the id can be built on. An error is a frame; the socket stays open (Open Responses 2026-04; observed Codex 0.169.0).
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections import OrderedDict, deque
from collections.abc import Mapping
from typing import Any

import msgspec
from aiohttp import WSCloseCode, WSMsgType, web
from msgspec import Raw, Struct

from codex_nexus.errors import InvalidRequest, NexusError, RequestError
from codex_nexus.gateway.doors import ClientGone, SocketDoor
from codex_nexus.gateway.references import resolved
from codex_nexus.gateway.replies import UpstreamError, client_of, fault_shape
from codex_nexus.gateway.state import CALLER, CORS, GATEWAY, Gateway
from codex_nexus.gateway.turns import Asker, answer, history_of, new_id
from codex_nexus.translate.turn import input_items
from codex_nexus.wire import codec
from codex_nexus.wire import events as ev
from codex_nexus.wire.create import CreateResponse, decode_create, decode_fields, missing
from codex_nexus.wire.responses import Response, echoed

log = logging.getLogger("codex_nexus.gateway")

_LONGEST_S = 3600.0
_PING_S = 20.0
_REMEMBERED = 16
_LANES = 32
_FAREWELL_S = 1.0
_DOOR = "WebSocket /v1/responses"
"""How such a turn came in, on record."""

SOCKETS = web.AppKey("sockets", set[web.WebSocketResponse])
"""The connections of an application that are open."""


class _Frame(Struct):
    type: str = ""
    stream_id: str | None = None
    generate: bool | None = None
    previous_response_id: str | None = None


_frames = msgspec.json.Decoder(_Frame)


async def serve(request: web.Request) -> web.StreamResponse:
    """Answers frames until the client goes or the hour is over."""
    gateway = request.app[GATEWAY]
    limit = gateway.snapshot.config.body_limit_mb << 20
    socket = web.WebSocketResponse(heartbeat=_PING_S, max_msg_size=limit, compress=False)
    socket.headers.update(request[CORS])
    await socket.prepare(request)
    request.app[SOCKETS].add(socket)
    asker = Asker(request[CALLER], client_of(request.headers))
    connection = _Connection(gateway, socket, asker, request.headers)
    try:
        async with asyncio.timeout(_LONGEST_S):
            async for message in socket:
                if message.type in (WSMsgType.TEXT, WSMsgType.BINARY):
                    data = message.data.encode() if isinstance(message.data, str) else message.data
                    await connection.receive(data)
    except TimeoutError:
        over = RequestError("This connection is an hour old.", code="websocket_connection_limit_reached")
        await connection.say_error(over, None)
        await socket.close()
    finally:
        request.app[SOCKETS].discard(socket)
        await connection.close()
    return socket


async def close_all(app: web.Application) -> None:
    """The gateway ends: says so on every connection, and waits for nobody long."""
    closing = [socket.close(code=WSCloseCode.GOING_AWAY) for socket in app[SOCKETS]]
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(asyncio.gather(*closing), _FAREWELL_S)


class _Connection:
    """One socket: its lanes and its memory."""

    def __init__(
        self, gateway: Gateway, socket: web.WebSocketResponse, asker: Asker, headers: Mapping[str, str]
    ) -> None:
        self._gateway = gateway
        self._socket = socket
        self._asker = asker
        self._headers = headers
        self._lanes: dict[str | None, deque[bytes]] = {}
        """What waits in each lane; a lane is here as long as it has work."""
        self._tasks: set[asyncio.Task[None]] = set()
        self._memory: OrderedDict[str, list[Raw]] = OrderedDict()

    async def receive(self, data: bytes) -> None:
        """Takes one frame; what it starts goes on by itself."""
        try:
            frame = decode_fields(data, _frames)
        except RequestError as error:
            await self.say_error(error, None)
            return
        match frame.type:
            case "response.create":
                await self._enqueue(frame.stream_id, data)
            case "response.processed":
                pass
            case "response.steer":
                fault = {"code": "steering_not_supported", "message": "This gateway cannot steer a running response."}
                await self._say({"type": "response.steer.failed", "error": fault}, frame.stream_id)
            case "":
                await self.say_error(missing("type"), frame.stream_id)
            case _:
                unknown = InvalidRequest(f"There is no frame of type '{frame.type}'.", "type")
                await self.say_error(unknown, frame.stream_id)

    async def _enqueue(self, lane: str | None, data: bytes) -> None:
        if lane in self._lanes:
            self._lanes[lane].append(data)
        elif len(self._lanes) >= _LANES:
            busy = InvalidRequest(f"At most {_LANES} lanes of a connection are answered at once.", "stream_id")
            await self.say_error(busy, lane)
        else:
            self._lanes[lane] = deque([data])
            task = asyncio.create_task(self._run_lane(lane))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _run_lane(self, lane: str | None) -> None:
        waiting = self._lanes[lane]
        try:
            while waiting:
                await self._answer(lane, waiting.popleft())
        except ClientGone:
            pass
        finally:
            del self._lanes[lane]

    async def _answer(self, lane: str | None, data: bytes) -> None:
        try:
            await self._turn(lane, data)
        except ClientGone:
            raise
        except (NexusError, UpstreamError) as error:
            await self.say_error(error, lane)
        except Exception:
            log.exception("a fault inside the gateway on a WebSocket")
            await self.say_error(NexusError("The gateway failed inside; its log says where."), lane)

    async def _turn(self, lane: str | None, data: bytes) -> None:
        frame = decode_fields(data, _frames)
        traces, asker = self._gateway.traces, self._asker
        trace = None if frame.generate is False else traces.begin(_DOOR, self._headers, data, self._gateway.snapshot)
        if trace is not None:
            asker = msgspec.structs.replace(asker, trace=trace)
        try:
            await self._run_turn(lane, frame, data, asker)
        except (NexusError, UpstreamError) as error:
            if trace is not None:
                trace.tell_frame(codec.encode(self._error_frame(error)))
            raise

    async def _run_turn(self, lane: str | None, frame: _Frame, data: bytes, asker: Asker) -> None:
        asked = decode_create(data, chained=frame.generate is False)
        if asked.background:
            raise InvalidRequest("Background work begins with POST /v1/responses, not on a WebSocket.", "background")
        stored = await self._history(asked)
        asked = await resolved(self._gateway, asked, stored, asker.caller)
        door = SocketDoor(self._socket, lane)
        if frame.generate is False:
            await self._warm_up(asked, stored, door)
            return
        try:
            response = await answer(self._gateway, asked, asker, stored, door)
        except (NexusError, UpstreamError):
            self._memory.pop(asked.previous_response_id or "", None)
            raise
        if response.status == "failed":
            self._memory.pop(asked.previous_response_id or "", None)
        else:
            self._remember(response, asked, stored)

    async def _history(self, asked: CreateResponse) -> list[Raw]:
        known = self._memory.get(asked.previous_response_id or "")
        return await history_of(self._gateway, asked, self._asker.caller) if known is None else known

    async def _warm_up(self, asked: CreateResponse, stored: list[Raw], door: SocketDoor) -> None:
        """An empty response whose id can be built on."""
        now = int(time.time())
        response = echoed(asked, new_id("resp"), now)
        await door.send([ev.ResponseCreated(response=response), ev.ResponseInProgress(response=response)])
        response.status, response.completed_at = "completed", now
        self._remember(response, asked, stored)
        await door.send([ev.ResponseCompleted(response=response)])

    def _remember(self, response: Response, asked: CreateResponse, stored: list[Raw]) -> None:
        given, output = Raw(bytes(input_items(asked))), Raw(codec.encode(response.output))
        self._memory[response.id] = [*stored, given, output]
        while len(self._memory) > _REMEMBERED:
            self._memory.popitem(last=False)

    async def say_error(self, error: NexusError | UpstreamError, lane: str | None) -> None:
        """A failure before the first event, as a frame."""
        await self._say(self._error_frame(error), lane)

    def _error_frame(self, error: NexusError | UpstreamError) -> dict[str, Any]:
        status, shape = fault_shape(error, self._asker.client)
        return {"type": "error", "status": status, "error": shape}

    async def _say(self, frame: dict[str, Any], lane: str | None) -> None:
        if lane is not None:
            frame["stream_id"] = lane
        with contextlib.suppress(ConnectionError, RuntimeError):
            await self._socket.send_str(codec.encode(frame).decode())

    async def close(self) -> None:
        """The client has gone: what runs for it ends."""
        for task in list(self._tasks):
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
