"""News inside one process: who waits for a key is woken when somebody tells it."""

from __future__ import annotations

import asyncio
import contextlib


class Signals:
    """Waiters by key."""

    def __init__(self) -> None:
        self._waiting: dict[str, set[asyncio.Future[None]]] = {}

    def tell(self, key: str) -> None:
        """Wakes all who wait for this key."""
        for future in self._waiting.pop(key, set()):
            if not future.done():
                future.set_result(None)

    async def wait(self, key: str, seconds: float) -> None:
        """Waits for the next `tell`, or for that long."""
        future = asyncio.get_running_loop().create_future()
        waiting = self._waiting.setdefault(key, set())
        waiting.add(future)
        try:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(future, seconds)
        finally:
            waiting.discard(future)
            if not waiting and self._waiting.get(key) is waiting:
                del self._waiting[key]
