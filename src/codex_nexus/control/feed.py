"""What goes on, told to the page: the status once a second, turns as they begin and end, gathered four times a second.

Nothing is computed while nobody listens, but for the meter, which must have seen every turn.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from typing import Any

from aiohttp import web

from codex_nexus import __version__
from codex_nexus.control.meter import Meter
from codex_nexus.control.settings import read_stored
from codex_nexus.control.steering import Steering, Turn
from codex_nexus.wire import codec

_BEAT_S = 0.25
_BEATS_PER_STATUS = 4
_LAST = 50
_ERRORS = 8
_MOST_WAITING = 200

Waiting = dict[str, Turn]


class Feed:
    """One for the life of the panel."""

    def __init__(self, steering: Steering) -> None:
        self._steering = steering
        self._meter = Meter()
        self._listeners: list[Waiting] = []
        self._closing = asyncio.Event()
        self._deaf = steering.book.listen(self._hear)

    def close(self) -> None:
        """Ends every stream."""
        self._deaf()
        self._closing.set()

    def status(self) -> dict[str, Any]:
        """Everything that the overview shows, but for the turns."""
        steering, now = self._steering, time.time()
        book, stored = steering.book, read_stored(steering.home)
        return {
            "running": bool(steering.address),
            "address": steering.address,
            "panel": steering.panel_address,
            "version": __version__,
            "now": now,
            "started_at": steering.started_at,
            "uptime_s": round(now - steering.started_at, 1),
            "provider": steering.snapshot.config.provider,
            "turns": book.turns,
            "failures": book.failures,
            "live": len(book.running),
            "tokens_per_second": self._meter.rate(now),
            "series": self._meter.series(now),
            "injection": steering.injection(),
            "config_tag": stored.tag,
            "waiting_for_restart": not stored.broken and stored.config != steering.applied,
            "errors": self._errors(),
            "recording": {"keep": steering.records.keep, "turns": steering.records.turns()},
        }

    def turns(self) -> list[dict[str, Any]]:
        """The live turns and the last ones that ended, oldest first."""
        book = self._steering.book
        return [row(turn) for turn in [*list(book.ended)[-_LAST:], *book.running.values()]]

    def _errors(self) -> list[dict[str, Any]]:
        failed = [turn for turn in self._steering.book.ended if turn.status in ("failed", "refused")]
        return [
            {"id": turn.id, "at": turn.at + turn.seconds, "upstream": turn.upstream, "message": turn.fault}
            for turn in reversed(failed[-_ERRORS:])
        ]

    def _hear(self, turn: Turn) -> None:
        self._meter.ended(turn)
        for waiting in self._listeners:
            waiting.pop(turn.id, None)
            waiting[turn.id] = turn
            if len(waiting) > _MOST_WAITING:
                del waiting[next(iter(waiting))]

    async def serve(self, request: web.Request) -> web.StreamResponse:
        """`GET /nexus-ctrl/events`."""
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream; charset=utf-8"})
        await response.prepare(request)
        waiting: Waiting = {}
        self._listeners.append(waiting)
        try:
            await response.write(_event("turns", self.turns()) + _event("status", self.status()))
            await self._stream(response, waiting)
        except ConnectionError:
            pass
        finally:
            self._listeners = [other for other in self._listeners if other is not waiting]
        return response

    async def _stream(self, response: web.StreamResponse, waiting: Waiting) -> None:
        beat = 0
        while not self._closing.is_set():
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._closing.wait(), _BEAT_S)
            beat += 1
            data = b""
            if waiting:
                data = _event("turns", [row(turn) for turn in waiting.values()])
                waiting.clear()
            if beat % _BEATS_PER_STATUS == 0:
                data += _event("status", self.status())
            if data:
                await response.write(data)
        await response.write(_event("bye", {}))


def row(turn: Turn) -> dict[str, Any]:
    """A turn for the page."""
    return {
        "id": turn.id,
        "at": turn.at,
        "asked": turn.asked,
        "upstream": turn.upstream,
        "client": turn.client,
        "status": turn.status,
        "seconds": round(turn.seconds, 3),
        "input_tokens": turn.input_tokens,
        "cached_tokens": turn.cached_tokens,
        "effort": turn.effort,
        "effort_sent": turn.effort_sent,
        "output_tokens": turn.output_tokens,
        "reasoning_tokens": turn.reasoning_tokens,
        "fault": turn.fault,
    }


def _event(name: str, value: Any) -> bytes:
    return b"event: %s\ndata: %s\n\n" % (name.encode(), codec.encode_any(value))
