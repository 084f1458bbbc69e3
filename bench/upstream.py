"""The fake Chat Completions upstream: answers are rendered beforehand and only written; regimes are in script.py.

Beside `POST /v1/chat/completions` it serves `GET /stats` (chunks written, requests, running answers, and when which
answer lost its client, by key, on the machine's monotonic clock) and `GET /hear`. A second port is deaf at first: it
completes no connection, so that whoever connects hangs; after `GET /hear` it serves like the first.
Prints one line of JSON with both ports when ready and ends when its standard input does.
"""

from __future__ import annotations

import asyncio
import json
import random
import socket
import sys
import time
from dataclasses import dataclass, field
from functools import lru_cache

from script import DONE, Regime, find_regime, script

BURST = 60
_SSE_HEAD = (
    b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream; charset=utf-8\r\nCache-Control: no-cache\r\n"
    b"Transfer-Encoding: chunked\r\n\r\n"
)
_DICE = random.Random(11)


def _frame(event: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(event), event)


@lru_cache(maxsize=64)
def _frames(chunks: int, per_write: int) -> tuple[tuple[int, bytes], ...]:
    """What is written, in order: (number of chunks, bytes); the end of the body is part of the last."""
    frames = [_frame(event) for event in script(chunks).events]
    writes = [frames[at : at + per_write] for at in range(0, len(frames), per_write)]
    parts = [(len(write), b"".join(write)) for write in writes]
    count, last = parts[-1]
    parts[-1] = (count, last + _frame(DONE) + b"0\r\n\r\n")
    return tuple(parts)


@dataclass
class Stats:
    """What has happened so far."""

    chunks: int = 0
    requests: int = 0
    running: int = 0
    gone: dict[str, float] = field(default_factory=dict[str, float])


@dataclass
class Upstream:
    """What all connections share."""

    stats: Stats = field(default_factory=Stats)
    deaf: socket.socket | None = None
    fillers: list[socket.socket] = field(default_factory=list[socket.socket])
    server: asyncio.Server | None = None

    async def hear(self) -> None:
        """Serve the deaf port from now on."""
        deaf, self.deaf = self.deaf, None
        if deaf is None:
            return
        for filler in self.fillers:
            filler.close()
        loop = asyncio.get_running_loop()
        self.server = await loop.create_server(lambda: Exchange(self), sock=deaf, backlog=4096)


class Exchange(asyncio.Protocol):
    """One connection: requests one after the other, each answered by a player."""

    def __init__(self, upstream: Upstream) -> None:
        self._upstream = upstream
        self._buffer = bytearray()
        self._need = 0
        self._player: Player | None = None
        self.transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        if len(self._buffer) < self._need:
            return
        head_end = self._buffer.find(b"\r\n\r\n") + 4
        if head_end < 4:
            return
        head = bytes(self._buffer[:head_end])
        self._need = head_end + _length(head)
        if len(self._buffer) < self._need or (_is_chunked(head) and not self._buffer.endswith(b"0\r\n\r\n")):
            return
        body, self._buffer, self._need = self._buffer, bytearray(), 0
        self._answer(head, body)

    def _answer(self, head: bytes, body: bytearray) -> None:
        if head.startswith(b"GET /stats"):
            self._reply(json.dumps(self._upstream.stats.__dict__).encode())
        elif head.startswith(b"GET /hear"):
            self._hearing = asyncio.ensure_future(self._upstream.hear())
            self._reply(b"{}")
        elif head.startswith(b"POST "):
            self._player = Player(self.transport, find_regime(body), self._upstream.stats)
            self._player.start()
        else:
            self._reply(b'{"object":"list","data":[{"id":"deepseek-chat","object":"model"}]}')

    def _reply(self, body: bytes) -> None:
        head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(body)
        self.transport.write(head + body)

    def pause_writing(self) -> None:
        if self._player:
            self._player.paused = True

    def resume_writing(self) -> None:
        if self._player:
            self._player.resume()

    def connection_lost(self, exc: Exception | None) -> None:
        del exc
        if self._player:
            self._player.lose()


class Player:
    """Plays one answer on a connection."""

    def __init__(self, transport: asyncio.Transport, regime: Regime, stats: Stats) -> None:
        self._transport = transport
        self._regime = regime
        self._stats = stats
        self._loop = asyncio.get_running_loop()
        self._writes = _frames(regime.chunks, BURST if regime.kind == "burst" else 1)
        self._at = 0
        self._due = 0.0
        self._timer: asyncio.Handle | None = None
        self.paused = False
        self.over = False

    def start(self) -> None:
        self._stats.requests += 1
        self._stats.running += 1
        match self._regime.kind:
            case "mute":
                return
            case "few":
                self._write_all()
            case "silent":
                self._stats.chunks += 2
                self._transport.write(_SSE_HEAD + self._writes[0][1] + self._writes[1][1])
            case "burst":
                self._transport.write(_SSE_HEAD)
                self._burst()
            case _:
                self._transport.write(_SSE_HEAD)
                phase = self._regime.pace_ms * _DICE.random() / 1000
                self._due = self._loop.time() + phase
                self._pace()

    def _write_all(self) -> None:
        self._stats.chunks += len(self._writes)
        self._transport.write(_SSE_HEAD + b"".join(data for _, data in self._writes))
        self._end()

    def _burst(self) -> None:
        self._write_next()
        if not (self.over or self.paused):
            self._timer = self._loop.call_soon(self._burst)

    def _pace(self) -> None:
        self._write_next()
        self._due += self._regime.pace_ms / 1000
        if not self.over:
            self._timer = self._loop.call_at(self._due, self._pace)

    def _write_next(self) -> None:
        count, data = self._writes[self._at]
        self._at += 1
        self._stats.chunks += count
        if self._at == len(self._writes):
            self._end()
        self._transport.write(data)

    def _end(self) -> None:
        self.over = True
        self._stats.running -= 1

    def resume(self) -> None:
        self.paused = False
        if self._regime.kind == "burst" and not self.over:
            self._burst()

    def lose(self) -> None:
        """The client is gone; if the answer was still running, remember when."""
        if self.over:
            return
        self._end()
        if self._timer:
            self._timer.cancel()
        if self._regime.key:
            self._stats.gone[self._regime.key] = time.monotonic()


def _length(head: bytes) -> int:
    found = head.lower().partition(b"content-length:")[2]
    return int(found.partition(b"\r\n")[0]) if found else 0


def _is_chunked(head: bytes) -> bool:
    return b"transfer-encoding: chunked" in head.lower()


def _listen(backlog: int) -> socket.socket:
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind(("127.0.0.1", 0))
    listener.listen(backlog)
    listener.setblocking(False)
    return listener


async def _deafen(listener: socket.socket) -> list[socket.socket]:
    """Fill the queue of a listener that nobody accepts from, so that further connections hang."""
    fillers: list[socket.socket] = []
    loop = asyncio.get_running_loop()
    for _ in range(16):
        filler = socket.socket()
        filler.setblocking(False)
        fillers.append(filler)
        try:
            await asyncio.wait_for(loop.sock_connect(filler, listener.getsockname()), 0.2)
        except TimeoutError:
            return fillers
    raise RuntimeError("the kernel completes every connection: the deaf port cannot be made")


async def main() -> None:
    upstream = Upstream(deaf=_listen(0))
    assert upstream.deaf
    upstream.fillers = await _deafen(upstream.deaf)
    deaf_port = upstream.deaf.getsockname()[1]
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Exchange(upstream), sock=_listen(4096), backlog=4096)
    print(json.dumps({"port": server.sockets[0].getsockname()[1], "deaf": deaf_port}), flush=True)
    await loop.run_in_executor(None, sys.stdin.read)


if __name__ == "__main__":
    asyncio.run(main())
