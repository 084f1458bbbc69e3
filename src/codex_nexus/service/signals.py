"""What the system tells this process: to end, or to read its files again."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import Callable

HANGUP = getattr(signal, "SIGHUP", None)
"""None where there is no such signal: Windows."""


def on_ending(stop: Callable[[], None]) -> None:
    """SIGINT and SIGTERM call `stop`, inside the running loop."""
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        try:
            loop.add_signal_handler(number, stop)
        except NotImplementedError:  # Windows has no such handlers in the loop
            signal.signal(number, lambda _number, _frame: loop.call_soon_threadsafe(stop) and None)


def on_hangup(reload: Callable[[], object], stop: Callable[[], None]) -> None:
    """SIGHUP calls `reload`, inside the running loop; when it comes because the terminal was closed, `stop`."""
    if HANGUP is None:
        return
    had = has_terminal()

    def hear() -> None:
        if had and not has_terminal():
            stop()
        else:
            reload()

    with contextlib.suppress(NotImplementedError):
        asyncio.get_running_loop().add_signal_handler(HANGUP, hear)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, [HANGUP])  # a parent may have held it back until now


def has_terminal() -> bool:
    """Whether somebody sits in front of this process. A terminal that was closed is none any more."""
    return any(os.isatty(number) for number in (0, 1, 2))


@contextlib.contextmanager
def held_back():  # noqa: ANN201 - a context
    """A process that is started meanwhile hears SIGHUP once it has called `on_hangup`; before, it would die of it."""
    if HANGUP is None:
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, [HANGUP])
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
