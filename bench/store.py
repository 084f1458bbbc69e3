"""What the session store costs: time added to a turn, a long chain read, growth of the file.

By hand: `python -m bench.store [URL]`. Without a URL: a SQLite file in a temporary folder.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Self

import aiohttp
from aiohttp import web

from codex_nexus import snapshot as snapshot_floor
from codex_nexus.config.model import read_config
from codex_nexus.gateway.state import Gateway
from codex_nexus.providers import catalogue
from codex_nexus.service.listener import Listener
from codex_nexus.sessions.opening import open_store
from codex_nexus.sessions.store import SessionStore, StoredTurn

TURNS, TOGETHER, ROUNDS = 300, 16, 5
CHAIN = 500
WORD = "All work and no play makes a dull benchmark. "


def items(size: int) -> bytes:
    """A turn's items as Codex sends them: a call, its result, some text; of about that many bytes."""
    part = WORD * (size // len(WORD) // 2)
    call = {"type": "function_call", "call_id": "c1", "name": "shell", "arguments": json.dumps({"cmd": part})}
    return json.dumps([call, {"type": "function_call_output", "call_id": "c1", "output": part}]).encode()


def turn(name: str, prev: str | None, size: int) -> StoredTurn:
    """A turn of a thread."""
    resource = json.dumps({"id": name, "object": "response", "output": [], "instructions": WORD * 20}).encode()
    return StoredTurn(name, prev, "", int(time.time()), "completed", items(size), items(size // 4), resource)


async def added(store: SessionStore) -> None:
    """Latency and CPU of turns with `store: true` and `store: false`, in turns, through the whole gateway."""
    async with _Upstream() as upstream:
        config, _, _ = read_config({"provider": "custom", "custom_upstream": upstream.url, "api_key": "x"})
        gateway = Gateway(snapshot_floor.build(config, catalogue.shipped(), {}), store)
        listener = Listener(gateway, "127.0.0.1", 0)
        await listener.start()
        async with aiohttp.ClientSession() as session:
            url = f"{listener.address}/v1/responses"
            results: dict[tuple[bool, int], list[tuple[float, float]]] = {}
            for _ in range(ROUNDS):
                for kept in (False, True):
                    for together in (1, TOGETHER):
                        measured = await _load(session, url, kept=kept, together=together)
                        results.setdefault((kept, together), []).append(measured)
        await listener.stop()
        await gateway.close()
    for together in (1, TOGETHER):
        without, kept = (_median(results[stored, together]) for stored in (False, True))
        print(
            f"a turn, {together:2} at once: {without[0]:6.2f} ms without, {kept[0]:6.2f} ms with the store "
            f"(+{kept[0] - without[0]:.2f} ms); CPU +{kept[1] - without[1]:.2f} ms"
        )


async def _load(session: aiohttp.ClientSession, url: str, *, kept: bool, together: int) -> tuple[float, float]:
    body = json.dumps({"model": "gpt-5", "input": json.loads(items(5000)), "store": kept, "stream": True}).encode()
    latencies: list[float] = []

    async def one(count: int) -> None:
        for _ in range(count):
            before = time.perf_counter()
            async with session.post(url, data=body) as reply:
                assert b"response.completed" in await reply.read()
            latencies.append(time.perf_counter() - before)

    cpu = time.process_time()
    await asyncio.gather(*(one(TURNS // together) for _ in range(together)))
    return statistics.median(latencies) * 1000, (time.process_time() - cpu) / len(latencies) * 1000


def _median(measured: list[tuple[float, float]]) -> tuple[float, float]:
    latency, cpu = zip(*measured, strict=True)
    return statistics.median(latency), statistics.median(cpu)


class _Upstream:
    """A provider that answers at once."""

    def __init__(self) -> None:
        chunks = [{"choices": [{"index": 0, "delta": {"content": WORD}}]} for _ in range(20)]
        last = {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}
        self._answer = b"".join(b"data: " + json.dumps(one).encode() + b"\n\n" for one in [*chunks, last])
        self._answer += b"data: [DONE]\n\n"

    async def __aenter__(self) -> Self:
        app = web.Application(client_max_size=1 << 30)
        app.router.add_post("/v1/chat/completions", self._serve)
        self._runner = web.AppRunner(app, access_log=None)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}/v1"
        return self

    async def _serve(self, request: web.Request) -> web.Response:
        await request.read()
        return web.Response(body=self._answer, content_type="text/event-stream")

    async def __aexit__(self, *_: object) -> None:
        await self._runner.cleanup()


async def chains(store: SessionStore) -> None:
    """A chain of 500 turns, read whole."""
    for size in (5_000, 20_000):
        names = [f"{size}-{time.time_ns()}-{n}" for n in range(CHAIN)]
        before = time.perf_counter()
        for name, prev in zip(names, [None, *names], strict=False):
            await store.put(turn(name, prev, size))
        written = (time.perf_counter() - before) / CHAIN * 1000
        taken = [await _read(store, names[-1]) for _ in range(9)]
        read = statistics.median(taken)
        print(f"a chain of {CHAIN} x {size // 1000} KB: {written:.2f} ms a write, {read:.1f} ms to read")


async def _read(store: SessionStore, name: str) -> float:
    before = time.perf_counter()
    await store.history(name, "")
    return (time.perf_counter() - before) * 1000


async def growth(store: SessionStore) -> None:
    """What a thread adds to the disk, at its beginning and at its end: each turn is stored once."""
    prev, sizes = None, [(await store.sizes()).disk]
    one = turn("x", None, 12_000)
    payload = len(one.input) + len(one.output) + len(one.resource)
    for n in range(400):
        name = f"thread-{time.time_ns()}"
        await store.put(turn(name, prev, 12_000))
        prev = name
        if n % 100 == 99:
            sizes.append((await store.sizes()).disk)
    steps = [(after - before) / 100 / 1000 for before, after in itertools.pairwise(sizes)]
    print(
        f"growth a turn of {payload / 1000:.1f} KB: "
        + ", ".join(f"{step:.1f} KB" for step in steps)
        + " (turns 1-100, ... 301-400)"
    )


async def main() -> None:
    """Everything, on one store."""
    with tempfile.TemporaryDirectory() as folder:
        store = open_store(sys.argv[1] if len(sys.argv) > 1 else "", Path(folder))
        print(f"{store.kind}:")
        await growth(store)
        await chains(store)
        await added(store)
        await store.close()


if __name__ == "__main__":
    asyncio.run(main())
