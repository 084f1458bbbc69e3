"""Streams under way and the one clock that watches them all: signs of life, idle upstreams, late usage.

A timer for each stream or each read would cost more than the translation itself, so one task looks at every stream
once in a while and acts on those whose time has come.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Coroutine
from typing import Any, Literal, Protocol

from codex_nexus.gateway.doors import ClientGone, Door
from codex_nexus.gateway.judgement import Opened
from codex_nexus.gateway.trace import Trace
from codex_nexus.translate.turn import Turn
from codex_nexus.wire.events import Event

log = logging.getLogger("codex_nexus.turn")

TICK_S = 0.5
GRACE_S = 4.0
"""Upstream may take this long to answer before the stream to the client begins without it."""
HEARTBEAT_S = 8.0
"""A data event at least this often: clients count silence (Codex 300 s by default), and comments do not help."""
SETTLE_S = 2.0
"""How long usage may come after the finish."""

StopReason = Literal["idle", "settled", "shutdown", "cancelled"]


class LiveTurn:
    """One turn on its way through a door."""

    def __init__(self, turn: Turn, door: Door, trace: Trace | None = None) -> None:
        self.turn = turn
        self.door = door
        self._trace = trace
        self.stopped: StopReason | None = None
        self.idle_s = 300.0
        self.closed = False
        self._beginning: asyncio.Task[None] | None = None
        self._beating: asyncio.Task[None] | None = None
        self._opened: Opened | None = None
        self.started = False
        self._patience = asyncio.timeout(None)
        loop = asyncio.get_running_loop()
        self._time = loop.time
        self._last_read = self._last_write = loop.time()

    def waiting(self) -> asyncio.Timeout:
        """Around the wait for upstream: `stop` ends it, also when it was called before."""
        if self.stopped is not None:
            self._patience = asyncio.timeout(0)
        return self._patience

    def attach(self, opened: Opened, idle_s: float) -> None:
        """The upstream's answer is here."""
        self._opened = opened
        self.idle_s = idle_s
        self._last_read = self._time()

    def has_read(self) -> None:
        """Upstream sent something."""
        self._last_read = self._time()

    async def begin(self) -> None:
        """Opens the door and sends the first two events, once."""
        if self._beginning is not None:
            await asyncio.shield(self._beginning)
        elif not self.started:
            await self._begin()

    async def _begin(self) -> None:
        self.started = True
        await self.door.open()
        await self.write(self.turn.start())

    async def write(self, events: list[Event]) -> None:
        """Sends events in one piece.

        Raises:
            ClientGone: nobody listens any more.
        """
        if events:
            self._last_write = self._time()
            if self._trace is not None:
                self._trace.tell(events)
            await self.door.send(events)

    def look(self, now: float) -> None:
        """What the clock asks once in a while; never waits."""
        silent = now - self._last_read
        if self._opened is not None and self.stopped is None:
            if self.turn.finished and silent > SETTLE_S:
                self.stop("settled")
            elif silent > self.idle_s:
                self.stop("idle")
        if not self.door.live:
            return
        if not self.started and now - self._last_write > GRACE_S:
            self.started = True
            self._beginning = asyncio.create_task(self._quietly(self._begin()))
        elif self.started and now - self._last_write > HEARTBEAT_S and (self._beating is None or self._beating.done()):
            self._beating = asyncio.create_task(self._quietly(self._beat()))

    async def _beat(self) -> None:
        await self.write(self.turn.heartbeat())

    def stop(self, reason: StopReason) -> None:
        """Ends the waiting for upstream or the reading of it; the turn then says why."""
        self.stopped = reason
        if self._opened is not None:
            self._opened.response.close()
        else:
            with contextlib.suppress(RuntimeError):  # the wait has not begun, or its failure is being told already
                self._patience.reschedule(self._time())

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


class Watched(Protocol):
    """An answer under way, that the end of the gateway waits for."""

    @property
    def closed(self) -> bool:
        """It is over."""
        ...

    def look(self, now: float) -> None:
        """What the clock asks once in a while; never waits."""
        ...

    def stop(self, reason: StopReason) -> None:
        """Ends it."""
        ...


class Watch:
    """The clock over all answers under way."""

    def __init__(self) -> None:
        self._turns: set[Watched] = set()
        self._task: asyncio.Task[None] | None = None

    def __len__(self) -> int:
        return len(self._turns)

    def add(self, turn: Watched) -> None:
        """Watches a turn until `remove`."""
        self._turns.add(turn)
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._run(), name="nexus-watch")

    def remove(self, turn: Watched) -> None:
        """The turn is over."""
        self._turns.discard(turn)

    def running(self) -> list[Watched]:
        """The turns under way."""
        return list(self._turns)

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(TICK_S)
            now = loop.time()
            for turn in list(self._turns):
                try:
                    turn.look(now)
                except Exception:
                    log.exception("a fault inside the gateway")  # of one turn; the others are watched on

    async def close(self) -> None:
        """Stops the clock."""
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
