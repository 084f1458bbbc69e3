"""Streams under way and the one clock that watches them all: signs of life, idle upstreams, late usage.

A timer for each stream or each read would cost more than the translation itself, so one task looks at every stream
once in a while and acts on those whose time has come.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Coroutine
from typing import Any, Literal

from aiohttp import web

from codex_nexus.gateway.upstream import Opened
from codex_nexus.translate.turn import Turn
from codex_nexus.wire.events import Event, EventEncoder

TICK_S = 0.5
GRACE_S = 4.0
"""Upstream may take this long to answer before the stream to the client begins without it."""
HEARTBEAT_S = 8.0
"""A data event at least this often: clients count silence (Codex 300 s by default), and comments do not help."""
SETTLE_S = 2.0
"""How long usage may come after the finish."""

StopReason = Literal["idle", "settled", "shutdown"]

_HEADERS = {"Content-Type": "text/event-stream; charset=utf-8", "Cache-Control": "no-cache", "X-Accel-Buffering": "no"}


class ClientGone(Exception):
    """The client closed the connection; nothing is left to say."""


class LiveTurn:
    """One turn on its way to a client. `streamed` tells whether the client wants events or one reply."""

    def __init__(self, request: web.Request, turn: Turn, headers: dict[str, str], *, streamed: bool) -> None:
        self.turn = turn
        self.headers = headers
        self.streamed = streamed
        self.stopped: StopReason | None = None
        self.idle_s = 300.0
        self.closed = False
        self._request = request
        self._encoder = EventEncoder()
        self._response: web.StreamResponse | None = None
        self._beginning: asyncio.Task[None] | None = None
        self._beating: asyncio.Task[None] | None = None
        self._opened: Opened | None = None
        loop = asyncio.get_running_loop()
        self._time = loop.time
        self._last_read = self._last_write = loop.time()

    @property
    def begun(self) -> bool:
        """Headers went out: an error can only be told inside the stream."""
        return self._response is not None

    @property
    def response(self) -> web.StreamResponse:
        """The stream to the client, once `begun`."""
        if self._response is None:
            raise RuntimeError("the stream has not begun")
        return self._response

    def attach(self, opened: Opened, idle_s: float) -> None:
        """The upstream's answer is here."""
        self._opened = opened
        self.idle_s = idle_s
        self._last_read = self._time()

    def has_read(self) -> None:
        """Upstream sent something."""
        self._last_read = self._time()

    async def begin(self) -> None:
        """Sends headers and the first two events, once."""
        if self._beginning is not None:
            await asyncio.shield(self._beginning)
        elif self._response is None:
            await self._begin()

    async def _begin(self) -> None:
        response = web.StreamResponse(headers=_HEADERS | self.headers)
        self._response = response
        await response.prepare(self._request)
        await self.write(self.turn.start())

    async def write(self, events: list[Event]) -> None:
        """Sends events in one piece.

        Raises:
            ClientGone: nobody listens any more.
        """
        if events:
            self._last_write = self._time()
            try:
                await self.response.write(self._encoder.sse(events))
            except ConnectionError as error:
                raise ClientGone from error

    def look(self, now: float) -> None:
        """What the clock asks once in a while; never waits."""
        silent = now - self._last_read
        if self._opened is not None and self.stopped is None:
            if self.turn.finished and silent > SETTLE_S:
                self.stop("settled")
            elif silent > self.idle_s:
                self.stop("idle")
        if not self.streamed:
            return
        if not self.begun and now - self._last_write > GRACE_S and self._beginning is None:
            self._beginning = asyncio.create_task(self._quietly(self._begin()))
        elif self.begun and now - self._last_write > HEARTBEAT_S and (self._beating is None or self._beating.done()):
            self._beating = asyncio.create_task(self._quietly(self.write(self.turn.heartbeat())))

    def stop(self, reason: StopReason) -> None:
        """Ends the reading of upstream; the turn then says why."""
        self.stopped = reason
        if self._opened is not None:
            self._opened.response.close()

    async def _quietly(self, work: Coroutine[Any, Any, None]) -> None:
        with contextlib.suppress(ClientGone, ConnectionError, RuntimeError):
            await work

    async def close(self) -> None:
        """Lets go of what is under way in the background."""
        self.closed = True
        for task in (self._beginning, self._beating):
            if task is not None and not task.done():
                task.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await task


class Watch:
    """The clock over all live turns."""

    def __init__(self) -> None:
        self._turns: set[LiveTurn] = set()
        self._task: asyncio.Task[None] | None = None

    def __len__(self) -> int:
        return len(self._turns)

    def add(self, turn: LiveTurn) -> None:
        """Watches a turn until `remove`."""
        self._turns.add(turn)
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._run(), name="nexus-watch")

    def remove(self, turn: LiveTurn) -> None:
        """The turn is over."""
        self._turns.discard(turn)

    def running(self) -> list[LiveTurn]:
        """The turns under way."""
        return list(self._turns)

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(TICK_S)
            now = loop.time()
            for turn in list(self._turns):
                turn.look(now)

    async def close(self) -> None:
        """Stops the clock."""
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
