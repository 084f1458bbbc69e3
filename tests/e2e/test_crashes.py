"""Processes that die: what a client saw completed is there afterwards, chains go on, nothing hangs for ever."""

from __future__ import annotations

import asyncio
import itertools
import os
import random
import signal
import subprocess
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any, Self

import aiohttp
import pytest

from codex_nexus.gateway import background, stored
from tests.e2e.gateway_process import MODEL, TOKEN, GatewayProcess
from tests.postgres_server import PostgresServer
from tests.upstream import Answer, Recorded, Upstream, finish, sse, stall, text
from tests.waiting import PATIENCE, until

pytestmark = pytest.mark.e2e

KILLS = int(os.environ.get("NEXUS_KILLS", "12"))
CHAINS = 4
HEADERS = {"Authorization": f"Bearer {TOKEN}"}
BROKEN = (aiohttp.ClientError, TimeoutError, ConnectionError)


def count_messages(asked: Recorded) -> Answer:
    """An answer that tells how long the history was: a wrong one shows at once."""
    messages = asked.json["messages"]
    if messages[-1]["content"] == "for ever":
        return stall([text("one")], before_headers=False)
    return sse([text(str(len(messages))), finish()])


@pytest.fixture
def counting(upstream: Upstream) -> Upstream:
    """A provider that counts the messages."""
    upstream.script(count_messages)
    return upstream


@pytest.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    """A client that keeps no connection: each request is a new one."""
    timeout, connector = aiohttp.ClientTimeout(total=PATIENCE), aiohttp.TCPConnector(force_close=True)
    async with aiohttp.ClientSession(timeout=timeout, connector=connector, headers=HEADERS) as made:
        yield made


class Chain:
    """Turns one after another; it knows which were completed, and that each was given the right history."""

    def __init__(self, session: aiohttp.ClientSession) -> None:
        self._session = session
        self.completed: list[str] = []

    async def turn(self, url: str) -> None:
        """One more turn; the chain has grown when this returns."""
        body = {"model": MODEL, "input": "hi", "previous_response_id": self.completed[-1] if self.completed else None}
        async with self._session.post(f"{url}/responses", json=body) as reply:
            response = await reply.json()
        assert reply.status == 200, response
        assert response["status"] == "completed", response
        assert response["store"] is True, response
        assert response["output"][0]["content"][0]["text"] == str(2 * len(self.completed) + 1)
        self.completed.append(response["id"])

    async def run(self, url: str) -> None:
        """Turns until something breaks."""
        while True:
            try:
                await self.turn(url)
            except BROKEN:
                return

    async def run_some(self, url: str, count: int) -> None:
        """Some turns; what breaks is tried again."""
        aim = len(self.completed) + count
        while len(self.completed) < aim:
            try:
                await self.turn(url)
            except BROKEN:
                await asyncio.sleep(0.05)

    async def check(self, url: str) -> None:
        """All that was completed is there, and the chain goes on."""
        for name in self.completed:
            assert (await got(self._session, f"{url}/responses/{name}"))["status"] == "completed"
        await self.turn(url)


async def got(session: aiohttp.ClientSession, url: str) -> Any:
    """The JSON of a GET that succeeds."""
    async with session.get(url) as reply:
        assert reply.status == 200, await reply.text()
        return await reply.json()


async def begin_for_ever(session: aiohttp.ClientSession, url: str) -> str:
    """A background response that does not end by itself."""
    body = {"model": MODEL, "input": "for ever", "background": True}
    async with session.post(f"{url}/responses", json=body) as reply:
        return (await reply.json())["id"]


async def failed_soon(session: aiohttp.ClientSession, url: str, name: str) -> Any:
    """The response once it is failed: sooner than the silence of its process alone would tell."""
    deadline = time.monotonic() + background.STALE_S - 1
    while (response := await got(session, f"{url}/responses/{name}"))["status"] != "failed":
        assert time.monotonic() < deadline, response["status"]
        await asyncio.sleep(0.1)
    assert response["error"]["message"]
    return response


async def test_kills_lose_nothing_that_was_completed(
    counting: Upstream, tmp_path: Path, session: aiohttp.ClientSession
) -> None:
    gateway = GatewayProcess(tmp_path, counting.base_url)
    chains = [Chain(session) for _ in range(CHAINS)]
    dice, lost = random.Random(), []
    try:
        for _ in range(KILLS):
            await asyncio.to_thread(gateway.start)
            for name in lost:
                await failed_soon(session, gateway.base_url, name)
            lost = [await begin_for_ever(session, gateway.base_url)]
            load = [asyncio.create_task(chain.run(gateway.base_url)) for chain in chains]
            await asyncio.sleep(dice.uniform(0.05, 0.5))
            await asyncio.to_thread(gateway.kill)
            await asyncio.gather(*load)
        await asyncio.to_thread(gateway.start)
        for chain in chains:
            await chain.check(gateway.base_url)
        print(f"{KILLS} kills, {sum(len(chain.completed) for chain in chains)} completed turns, none lost")
    finally:
        await asyncio.to_thread(gateway.stop)


# --- several processes


class Balancer:
    """A TCP relay that takes its targets in turn, and another one when a target does not answer."""

    def __init__(self, ports: list[int]) -> None:
        self._ports = itertools.cycle(ports)
        self._count = len(ports)
        self.port = 0

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()

    @property
    def url(self) -> str:
        """Its address."""
        return f"http://127.0.0.1:{self.port}/v1"

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for _ in range(self._count):
            try:
                there, back = await asyncio.open_connection("127.0.0.1", next(self._ports))
                break
            except OSError:
                continue
        else:
            writer.close()
            return
        await asyncio.gather(_pipe(reader, back), _pipe(there, writer))


async def _pipe(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    except OSError:
        pass
    finally:
        writer.close()


@pytest.fixture
def replicas(
    counting: Upstream, postgres: PostgresServer, tmp_path: Path
) -> Iterator[tuple[GatewayProcess, GatewayProcess]]:
    """Two gateways on one PostgreSQL."""
    url = postgres.new_database()
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    with (
        GatewayProcess(tmp_path / "a", counting.base_url, store=url) as a,
        GatewayProcess(tmp_path / "b", counting.base_url, store=url) as b,
    ):
        yield a, b
        print(a.log, b.log)


async def test_one_of_two_replicas_dies_under_load(
    replicas: tuple[GatewayProcess, GatewayProcess], session: aiohttp.ClientSession
) -> None:
    first, second = replicas
    chains = [Chain(session) for _ in range(8)]
    stop = asyncio.Event()
    repeated = [0]

    async def insist(chain: Chain, url: str) -> None:
        while not stop.is_set():
            try:
                await chain.turn(url)
            except BROKEN:
                repeated[0] += 1
                await asyncio.sleep(0.05)

    async with Balancer([first.port, second.port]) as balancer:
        load = [asyncio.create_task(insist(chain, balancer.url)) for chain in chains]
        await until(lambda: all(len(chain.completed) > 1 for chain in chains))
        before = [len(chain.completed) for chain in chains]
        await asyncio.to_thread(first.kill)
        await until(lambda: all(len(one.completed) > n + 1 for one, n in zip(chains, before, strict=True)))
        stop.set()
        await asyncio.gather(*load)
        for chain in chains:
            await chain.check(second.base_url)
    print(f"{sum(len(chain.completed) for chain in chains)} completed turns, {repeated[0]} repeated")


async def test_background_work_is_read_and_cancelled_from_another_replica(
    replicas: tuple[GatewayProcess, GatewayProcess], counting: Upstream, session: aiohttp.ClientSession
) -> None:
    first, second = replicas
    name = await begin_for_ever(session, first.base_url)
    stream = await session.get(f"{second.base_url}/responses/{name}?stream=true")
    seen = b""
    while b"output_text.delta" not in seen:
        seen += await stream.content.readany()
    before = time.monotonic()
    async with session.post(f"{second.base_url}/responses/{name}/cancel") as reply:
        assert (await reply.json())["status"] == "cancelled"
    assert time.monotonic() - before < stored._OBEY_S  # nobody had to do it for the first
    seen += await stream.content.read()
    assert seen.endswith(b"data: [DONE]\n\n")
    assert seen.count(b"event: response.failed") == 1
    assert (await got(session, f"{first.base_url}/responses/{name}"))["status"] == "cancelled"
    await until(lambda: counting.requests[-1].aborted)


async def test_the_work_of_a_dead_replica_is_failed_by_the_other(
    replicas: tuple[GatewayProcess, GatewayProcess], session: aiohttp.ClientSession
) -> None:
    first, second = replicas
    name = await begin_for_ever(session, first.base_url)
    stream = await session.get(f"{second.base_url}/responses/{name}?stream=true")
    await stream.content.readany()
    await asyncio.to_thread(first.kill)
    await failed_soon(session, second.base_url, name)
    assert (await stream.content.read()).endswith(b"data: [DONE]\n\n")


# --- workers


def workers_of(gateway: GatewayProcess) -> list[int]:
    """The processes under a gateway."""
    listed = subprocess.run(
        ["ps", "-o", "pid=", "--ppid", str(gateway.pid)], check=True, capture_output=True, text=True
    )
    return [int(pid) for pid in listed.stdout.split()]


async def counted(session: aiohttp.ClientSession, gateway: GatewayProcess) -> tuple[float, float]:
    """Completed turns and turns under way, as any worker tells them."""
    async with session.get(gateway.base_url.removesuffix("/v1") + "/metrics") as reply:
        lines = (await reply.text()).splitlines()
    ended = [line for line in lines if line.startswith("codex_nexus_turns_total{") and 'status="completed"' in line]
    under_way = [line for line in lines if line.startswith("codex_nexus_turns_running ")]
    return sum(float(line.split()[-1]) for line in ended), float(under_way[0].split()[-1])


@pytest.mark.skipif(os.name == "nt", reason="Windows cannot share a socket")
async def test_workers_share_a_port_and_a_store(
    counting: Upstream, tmp_path: Path, session: aiohttp.ClientSession
) -> None:
    gateway = GatewayProcess(tmp_path, counting.base_url)
    gateway.flags = ("--workers", "3")
    await asyncio.to_thread(gateway.start)
    try:
        assert gateway.log.count("Codex Nexus running") <= 1
        chains = [Chain(session) for _ in range(6)]
        for _ in range(5):
            await asyncio.gather(*(chain.turn(gateway.base_url) for chain in chains))
        before = workers_of(gateway)
        assert len(before) == 3
        os.kill(before[1], signal.SIGKILL)
        await asyncio.gather(*(chain.run_some(gateway.base_url, 5) for chain in chains))
        await until(lambda: len(workers_of(gateway)) == 3 and before[1] not in workers_of(gateway))
        after = workers_of(gateway)
        for chain in chains:
            await chain.check(gateway.base_url)
        turns, running = await counted(session, gateway)
        assert turns >= 6 * 10, "the counts are the sum of all workers, of the dead one too"
        assert running == 0
    finally:
        assert await asyncio.to_thread(gateway.stop) == 0
    for pid in after:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)
