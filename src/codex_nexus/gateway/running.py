"""The background tasks of one gateway: which there are, by response, and the end of all."""

from __future__ import annotations

import asyncio

from codex_nexus.sessions import runners


class Running:
    """What this process runs in the background."""

    def __init__(self) -> None:
        self.name = runners.new_name()
        """The process, as other processes know it."""
        self.clock: asyncio.Task[None] | None = None
        self._responses: dict[str, asyncio.Task[None]] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def responses(self) -> list[str]:
        """Ids of the responses under way."""
        return list(self._responses)

    def add(self, task: asyncio.Task[None]) -> None:
        """A task begins."""
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def name_task(self, response_id: str, task: asyncio.Task[None]) -> None:
        """The response of a task is known."""
        if not task.done():
            self._responses[response_id] = task
            task.add_done_callback(lambda _: self._responses.pop(response_id, None))

    async def close(self) -> None:
        """Ends all; their responses are failed by the next process that looks."""
        tasks = [*self._tasks, *([self.clock] if self.clock is not None else [])]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
