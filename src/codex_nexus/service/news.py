"""News between workers: the records of turns go from each worker to the first, which has the panel.

They go through a pair of datagram sockets that the parent made and every worker inherits: all tell into one end, the
first hears at the other. The pair outlives each worker, so a first worker that was started again hears what was told
meanwhile. Nobody waits for a reader: what cannot be sent at once waits in memory, the newest of it.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import time
from collections import deque
from collections.abc import Callable

import msgspec

from codex_nexus.gateway.traffic import Traffic, TurnRecord

_LAST = 200
_MOST_WAITING = 2000
_LONGEST = 300
"""Characters of a name or a fault: a datagram must hold the record."""
_BUFFER_BYTES = 1 << 18
_LARGEST_BYTES = 1 << 16

Listener = Callable[[TurnRecord], None]


class News(msgspec.Struct, array_like=True):
    """One datagram: a turn has begun or ended. Without a turn: the worker begins, and what it had under way is lost."""

    worker: int
    turn: TurnRecord | None = None


def channel() -> tuple[socket.socket, socket.socket]:
    """Both ends: for the first worker, which hears, and for the others, who tell."""
    hearing, telling = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    for end in (hearing, telling):
        end.setblocking(False)
        end.set_inheritable(True)
        end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _BUFFER_BYTES)
    return hearing, telling


class Teller:
    """Tells the first worker of this worker's turns. Needs a running loop."""

    def __init__(self, number: int, worker: int, traffic: Traffic) -> None:
        self._end = socket.socket(fileno=number)
        self._worker = worker
        self._waiting: deque[bytes] = deque(maxlen=_MOST_WAITING)
        self._deaf = traffic.listen(self._heard)
        self._tell(News(worker))

    def close(self) -> None:
        """Tells nothing more."""
        self._deaf()
        asyncio.get_running_loop().remove_writer(self._end)
        self._end.close()

    def _heard(self, record: TurnRecord) -> None:
        short = {name: getattr(record, name)[:_LONGEST] for name in ("asked", "upstream", "fault")}
        self._tell(News(self._worker, msgspec.structs.replace(record, **short)))

    def _tell(self, news: News) -> None:
        self._waiting.append(msgspec.msgpack.encode(news))
        self._send()

    def _send(self) -> None:
        loop = asyncio.get_running_loop()
        while self._waiting:
            try:
                self._end.send(self._waiting[0])
            except BlockingIOError:
                loop.add_writer(self._end, self._send)
                return
            except OSError:  # nobody is there any more
                self._waiting.clear()
                break
            self._waiting.popleft()
        loop.remove_writer(self._end)


class Ledger:
    """The turns of all workers in one book, for the panel: see `control.steering.Book`. Needs a running loop."""

    def __init__(self, number: int, own: Traffic) -> None:
        self.running: dict[str, TurnRecord] = {}
        self.ended: deque[TurnRecord] = deque(maxlen=_LAST)
        self.turns = 0
        self.failures = 0
        self._whose: dict[str, int] = {}
        self._listeners: set[Listener] = set()
        self._end = socket.socket(fileno=number)
        self._deaf = own.listen(lambda record: self._note(0, record))
        asyncio.get_running_loop().add_reader(self._end, self._hear)

    def close(self) -> None:
        """Hears nothing more."""
        self._deaf()
        asyncio.get_running_loop().remove_reader(self._end)
        self._end.close()

    def listen(self, listener: Listener, /) -> Callable[[], None]:
        """Tells a listener of each beginning and end; call the result to stop."""
        self._listeners.add(listener)
        return lambda: self._listeners.discard(listener)

    def _hear(self) -> None:
        with contextlib.suppress(BlockingIOError):
            while True:
                news = msgspec.msgpack.decode(self._end.recv(_LARGEST_BYTES), type=News)
                if news.turn is not None:
                    self._note(news.worker, news.turn)
                else:
                    self._forget(news.worker)

    def _note(self, worker: int, record: TurnRecord) -> None:
        self.turns += record.id not in self.running
        if record.status == "running":
            self.running[record.id], self._whose[record.id] = record, worker
        else:
            self.running.pop(record.id, None)
            self._whose.pop(record.id, None)
            self.failures += record.status in ("failed", "refused")
            self.ended.append(record)
        for listener in list(self._listeners):
            listener(record)

    def _forget(self, worker: int) -> None:
        """The worker died before it began again; its clients saw their connections break."""
        for name in [name for name, whose in self._whose.items() if whose == worker]:
            record = self.running[name]
            seconds = max(0.0, time.time() - record.at)
            self._note(worker, msgspec.structs.replace(record, status="gone", seconds=seconds))
