"""The ways an answer leaves: an event stream, one reply, a WebSocket. The turn behind them is the same."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from aiohttp import HttpVersion11, web

from codex_nexus.wire import codec
from codex_nexus.wire.events import Event, EventEncoder

STREAM_HEADERS = {
    "Content-Type": "text/event-stream; charset=utf-8",
    "Cache-Control": "no-cache",
    "X-Accel-Buffering": "no",
}


def unsized(request: web.Request, headers: Mapping[str, str], status: int = 200) -> web.StreamResponse:
    """A reply whose length nobody knows when it begins.

    A client of HTTP/1.0 learns its end from the end of the connection, whatever it asked for.
    """
    response = web.StreamResponse(status=status, headers=headers)
    if request.version < HttpVersion11:
        response.force_close()
    return response


class ClientGone(Exception):
    """The client closed the connection; nothing is left to say."""


class Door(Protocol):
    """Where the events of one turn go. `send` and `end` may raise ClientGone."""

    headers: dict[str, str]
    """What is told beside the answer, until `open`."""

    @property
    def begun(self) -> bool:
        """Something went out: an error can only be told inside the answer."""
        ...

    @property
    def live(self) -> bool:
        """The client waits for events and counts silence."""
        ...

    @property
    def at_once(self) -> bool:
        """The answer begins before upstream has said a word."""
        ...

    @property
    def keeps(self) -> bool:
        """What goes out here is stored on its way: nobody else need do so."""
        ...

    async def open(self) -> None:
        """Makes ready to send; the headers are final from here on."""
        ...

    async def send(self, events: list[Event]) -> None:
        """Sends events in one piece."""
        ...

    async def end(self) -> None:
        """Nothing more will come."""
        ...


class SseDoor:
    """Server-sent events over the request's own connection."""

    live = True
    at_once = keeps = False

    def __init__(self, request: web.Request, headers: dict[str, str]) -> None:
        self.headers = headers
        self._request = request
        self._encoder = EventEncoder()
        self._response: web.StreamResponse | None = None

    @property
    def begun(self) -> bool:
        """Headers went out."""
        return self._response is not None

    @property
    def response(self) -> web.StreamResponse:
        """What the handler returns, once begun."""
        if self._response is None:
            raise RuntimeError("the stream has not begun")
        return self._response

    async def open(self) -> None:
        """Prepares the stream; headers leave together with the first events."""
        self._response = unsized(self._request, STREAM_HEADERS | self.headers)
        await self._response.prepare(self._request)

    async def send(self, events: list[Event]) -> None:
        """All events in one write."""
        try:
            await self.response.write(self._encoder.sse(events))
        except ConnectionError as error:
            raise ClientGone from error

    async def end(self) -> None:
        """Ends the body."""
        try:
            await self.response.write_eof()
        except ConnectionError as error:
            raise ClientGone from error


class ReplyDoor:
    """One JSON reply at the end: the events go nowhere."""

    live = begun = at_once = keeps = False

    def __init__(self, headers: dict[str, str]) -> None:
        self.headers = headers

    async def open(self) -> None:
        """Nothing to do."""

    async def send(self, events: list[Event]) -> None:
        """Nothing to do."""

    async def end(self) -> None:
        """Nothing to do."""


class SocketDoor:
    """JSON text frames on a WebSocket, one event each; `lane` comes back on every event of its turn."""

    live = begun = True
    at_once = keeps = False

    def __init__(self, socket: web.WebSocketResponse, lane: str | None) -> None:
        self.headers: dict[str, str] = {}
        self._socket = socket
        self._lane = None if lane is None else b',"stream_id":' + codec.encode(lane) + b"}"
        self._encoder = EventEncoder()

    async def open(self) -> None:
        """The socket is open already."""

    async def send(self, events: list[Event]) -> None:
        """One frame for each event."""
        try:
            for event in events:
                data = self._encoder.json(event)
                if self._lane is not None:
                    data = data[:-1] + self._lane
                await self._socket.send_str(data.decode())
        except (ConnectionError, RuntimeError) as error:
            raise ClientGone from error

    async def end(self) -> None:
        """The socket stays open for the next turn."""
