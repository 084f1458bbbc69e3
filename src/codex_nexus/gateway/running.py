"""The background work of one gateway: which responses it is, the store that keeps each, and the end of all."""

from __future__ import annotations

import asyncio

from codex_nexus.sessions import runners
from codex_nexus.sessions.store import SessionStore


class Running:
    """What this process runs in the background."""

    def __init__(self) -> None:
        self.name = runners.new_name()
        """The process, as other processes know it."""
        self.clock: asyncio.Task[None] | None = None
        self._stores: dict[str, SessionStore] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def responses(self) -> list[str]:
        """Ids of the responses under way."""
        return list(self._stores)

    def by_store(self) -> list[tuple[SessionStore, list[str]]]:
        """The stores that keep them, each with its ids: the configured store may have changed meanwhile."""
        stores = {id(store): store for store in self._stores.values()}
        return [(one, [name for name, store in self._stores.items() if store is one]) for one in stores.values()]

    def add(self, task: asyncio.Task[None]) -> None:
        """A task begins."""
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def begin(self, response_id: str, store: SessionStore) -> None:
        """A response is under way, and that store knows it."""
        self._stores[response_id] = store

    def end(self, response_id: str) -> None:
        """It is over."""
        self._stores.pop(response_id, None)

    async def close(self) -> None:
        """Ends all; their responses are failed by the next process that looks."""
        tasks = [*self._tasks, *([self.clock] if self.clock is not None else [])]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
