"""Waits of the tests: for a condition, with a limit that only what hangs can reach, however slow the machine is."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

PATIENCE = 60.0
"""Seconds that a test waits for what must happen."""


async def until(condition: Callable[[], object]) -> None:
    """Waits until something is so."""
    async with asyncio.timeout(PATIENCE):
        while not condition():  # noqa: ASYNC110 - tests may poll
            await asyncio.sleep(0.005)


def eventually(condition: Callable[[], object], seconds: float = PATIENCE) -> None:
    """The same for tests that are not asynchronous."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.02)
