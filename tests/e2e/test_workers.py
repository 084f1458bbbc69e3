"""`serve --workers N` as processes: one picture of all in the panel, changes that reach all, deaths, an orderly end."""

from __future__ import annotations

import asyncio
import json
import os
import pty
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.e2e.gateway_process import MODEL, TOKEN, GatewayProcess
from tests.upstream import Upstream, finish, sse, stall, text
from tests.waiting import PATIENCE, eventually

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc"),
]

COUNT = 3
HELLO = sse([text("hi"), finish()])


def children(pid: int) -> dict[int, int]:
    """The workers of a gateway: number -> process."""
    found: dict[int, int] = {}
    listed = subprocess.run(["ps", "-o", "pid=", "--ppid", str(pid)], check=False, capture_output=True, text=True)
    for child in map(int, listed.stdout.split()):
        with suppress(OSError):
            variables = Path(f"/proc/{child}/environ").read_bytes().split(b"\0")
            numbers = [int(v.partition(b"=")[2]) for v in variables if v.startswith(b"CODEX_NEXUS_WORKER=")]
            found |= dict.fromkeys(numbers, child)
    return found


def alive(pid: int) -> bool:
    """Whether there is such a process."""
    return Path(f"/proc/{pid}").exists()


@contextmanager
def stopped(pid: int) -> Iterator[None]:
    """A process that does nothing meanwhile, so that the others serve."""
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


async def soon(what: Callable[[], Awaitable[Any]], seconds: float = PATIENCE) -> Any:
    """What comes back once it is something."""
    deadline = time.monotonic() + seconds
    while not (found := await what()):
        assert time.monotonic() < deadline, found
        await asyncio.sleep(0.05)
    return found


class Team:
    """A gateway of several workers, and a client that opens a connection for each request."""

    def __init__(self, process: GatewayProcess, client: aiohttp.ClientSession) -> None:
        self.process = process
        self.client = client
        self.panel = f"http://127.0.0.1:{process.port + 1}/nexus-ctrl"

    @property
    def workers(self) -> dict[int, int]:
        """Number -> process."""
        return children(self.process.pid)

    async def ask(self) -> str:
        """A whole turn; what upstream was asked for stands in the header."""
        body = {"model": MODEL, "input": "hi"}
        async with self.client.post(f"{self.process.base_url}/responses", json=body) as reply:
            assert (await reply.json())["status"] == "completed", await reply.text()
            return reply.headers["x-nexus-upstream"]

    async def open(self) -> aiohttp.ClientResponse:
        """A stream that has begun."""
        body = {"model": MODEL, "input": "hi", "stream": True}
        return await self.client.post(f"{self.process.base_url}/responses", json=body)

    async def status(self) -> Any:
        """What the panel shows, once it is there."""

        async def shown() -> Any:
            with suppress(aiohttp.ClientError):
                async with self.client.get(f"{self.panel}/status") as reply:
                    return await reply.json()

        return await soon(shown)

    async def save(self, **change: Any) -> None:
        """Saves and applies in the panel."""
        async with self.client.get(f"{self.panel}/session") as reply:
            token = (await reply.json())["token"]
        async with self.client.get(f"{self.panel}/config") as reply:
            shown = await reply.json()
        headers = {"x-nexus-csrf": token, "If-Match": shown["etag"], "Authorization": ""}
        sent = {"config": shown["config"] | change, "restart": True}
        async with self.client.post(f"{self.panel}/config", json=sent, headers=headers) as reply:
            assert reply.status == 200, await reply.text()

    async def everybody_asks(self, upstream: str) -> None:
        """Waits until each worker alone sends turns there."""
        for number, worker in self.workers.items():
            others = [pid for other, pid in self.workers.items() if other != number]
            with stopped(others[0]), stopped(others[1]):

                async def there() -> bool:
                    return await self.ask() == upstream

                await soon(there)
            assert worker in self.workers.values()


@pytest.fixture
async def team(upstream: Upstream, tmp_path: Path) -> AsyncIterator[Team]:
    """Three workers."""
    upstream.script(HELLO)
    process = GatewayProcess(tmp_path, upstream.base_url)
    process.flags = ("--workers", str(COUNT))
    await asyncio.to_thread(process.start)
    headers, timeout = {"Authorization": f"Bearer {TOKEN}"}, aiohttp.ClientTimeout(total=PATIENCE)
    connector = aiohttp.TCPConnector(force_close=True)
    async with aiohttp.ClientSession(headers=headers, timeout=timeout, connector=connector) as client:
        made = Team(process, client)

        async def whole() -> bool:
            return len(made.workers) == COUNT

        await soon(whole)
        await made.status()
        yield made
    await asyncio.to_thread(process.stop)
    print(process.log)


async def test_the_panel_shows_the_turns_of_all(team: Team, upstream: Upstream) -> None:
    with stopped(team.workers[0]):
        for _ in range(4):
            await team.ask()
        upstream.script(stall([text("one")], before_headers=False))
        running = await team.open()
        upstream.script(HELLO)
    await team.ask()

    async def counted() -> Any:
        told = await team.status()
        return told if told["turns"] == 6 else None

    told = await soon(counted)
    assert (told["live"], told["failures"]) == (1, 0)
    assert sorted(turn["status"] for turn in told["recent"]) == ["completed"] * 5 + ["running"]

    for number, worker in team.workers.items():
        if number:
            os.kill(worker, signal.SIGKILL)

    async def gone() -> bool:
        told = await team.status()
        return told["live"] == 0 and "gone" in [turn["status"] for turn in told["recent"]]

    await soon(gone)
    running.close()


async def test_what_the_panel_applies_reaches_all(team: Team) -> None:
    await team.save(model_routes={MODEL: {"provider": "custom", "model": "another"}})
    await team.everybody_asks("custom/another")


async def test_a_hangup_reads_the_files_again_everywhere(team: Team) -> None:
    before = team.workers
    file = team.process.home / "config.json"
    good = file.read_text()
    file.write_text("{broken")
    os.kill(team.process.pid, signal.SIGHUP)

    async def told() -> bool:
        return "is no valid JSON" in team.process.log

    await soon(told)
    assert await team.ask() == "custom/scripted"
    assert file.read_text() == "{broken"
    file.write_text(good.replace('"scripted"', '"by hand"'))
    os.kill(team.process.pid, signal.SIGHUP)
    await team.everybody_asks("custom/by hand")
    assert team.workers == before


async def test_the_first_worker_comes_back_with_the_panel(team: Team) -> None:
    before = team.workers
    os.kill(before[0], signal.SIGKILL)
    for _ in range(5):
        await team.ask()
    told = await team.status()
    assert told["address"] == team.process.base_url.removesuffix("/v1")

    async def back() -> bool:
        return team.workers.get(0, before[0]) != before[0]

    await soon(back)
    assert {number: pid for number, pid in team.workers.items() if number} == {1: before[1], 2: before[2]}


async def test_an_orderly_end_finishes_the_streams_of_all(team: Team, upstream: Upstream) -> None:
    upstream.script(sse([*[text("word ")] * 20, finish()], pause=0.1))
    workers = team.workers
    streams: list[aiohttp.ClientResponse] = []
    for number in workers:
        others = [pid for other, pid in workers.items() if other != number]
        with stopped(others[0]), stopped(others[1]):
            streams.append(await team.open())
    ending = asyncio.create_task(asyncio.to_thread(team.process.stop))
    for stream in streams:
        data = (await stream.read()).decode()
        assert "event: response.completed" in data
        assert data.count("word ") >= 20
    assert await ending == 0
    assert not [pid for pid in workers.values() if alive(pid)]


def test_workers_that_end_as_they_begin_are_given_up(tmp_path: Path) -> None:
    broken = tmp_path / "broken"
    broken.mkdir()
    (broken / "sitecustomize.py").write_text("import os\nif 'CODEX_NEXUS_WORKER' in os.environ: os._exit(3)\n")
    paths = os.pathsep.join(filter(None, [str(broken), os.environ.get("PYTHONPATH")]))
    homes = {"CODEX_NEXUS_HOME": str(tmp_path), "CODEX_HOME": str(tmp_path / "codex"), "PYTHONPATH": paths}
    command = [sys.executable, "-m", "codex_nexus", "serve", "--port", "0", "--workers", "2"]
    done = subprocess.run(
        command, check=False, capture_output=True, text=True, env={**os.environ, **homes}, timeout=PATIENCE
    )
    assert done.returncode == 1
    assert "Workers end as soon as they begin (status 3); giving up." in done.stdout
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("flags", [(), ("--workers", "2")], ids=["alone", "workers"])
def test_a_closed_terminal_ends_it(flags: tuple[str, ...], upstream: Upstream, tmp_path: Path) -> None:
    home = tmp_path / "nexus"
    home.mkdir()
    (home / "config.json").write_text(json.dumps({"provider": "custom", "custom_upstream": upstream.base_url}))
    environ = {
        **os.environ,
        "CODEX_NEXUS_HOME": str(home),
        "CODEX_HOME": str(tmp_path / "codex"),
        "HOME": str(tmp_path),
    }
    command = [sys.executable, "-m", "codex_nexus", "serve", "--port", "0", *flags]
    pid, terminal = pty.fork()
    if not pid:
        os.execve(sys.executable, command, environ)
    said = b""
    while b"Control panel" not in said:
        said += os.read(terminal, 4096)
    workers = children(pid)
    os.close(terminal)
    eventually(lambda: os.waitpid(pid, os.WNOHANG)[0])
    assert not [pid for pid in workers.values() if alive(pid)]


async def test_recorded_turns_of_all_are_seen_and_switched_in_the_panel(team: Team) -> None:
    async def get(path: str) -> Any:
        async with team.client.get(f"{team.panel}/{path}", headers={"Authorization": ""}) as reply:
            return await reply.json()

    async def switch(keep: int) -> None:
        headers = {"x-nexus-csrf": (await get("session"))["token"], "Authorization": ""}
        async with team.client.post(f"{team.panel}/traces", json={"keep": keep}, headers=headers) as reply:
            assert reply.status == 200, await reply.text()

    async def owners() -> set[str]:
        return {row["id"].partition("-")[0] if "-" in row["id"] else "0" for row in (await get("traces"))["traces"]}

    await switch(5)
    for number in team.workers:
        others = [pid for other, pid in team.workers.items() if other != number]
        with stopped(others[0]), stopped(others[1]):
            await team.ask()
    assert await owners() == {"0", "1", "2"}
    for row in (await get("traces"))["traces"]:
        for name in (row["id"], row["turn"]):
            assert (await get(f"traces/{name}"))["turn"]["turn"] == row["turn"]
    told = await get("traces")

    async def all_in_the_status() -> bool:
        return sorted((await get("status"))["recording"]["turns"]) == sorted(row["turn"] for row in told["traces"])

    await soon(all_in_the_status)
    with stopped(team.workers[1]):
        assert await owners() == {"0", "2"}

    # workers that are started again record like the others, from the first turn and without anybody looking
    for number in (2, 0):
        before = team.workers
        os.kill(before[number], signal.SIGKILL)

        async def again(number: int = number, was: int = before[number]) -> bool:
            return team.workers.get(number, was) != was

        await soon(again)
        with stopped(before[1]), stopped(team.workers[2 - number]):
            await team.ask()
        await team.status()
        assert str(number) in await owners()
    await switch(0)
    assert await owners() == set()


async def test_each_worker_has_a_log_file_of_its_own(upstream: Upstream, tmp_path: Path) -> None:
    upstream.script(HELLO)
    process = GatewayProcess(tmp_path, upstream.base_url)
    process.flags = ("--workers", "2", "--log-file", str(tmp_path / "logs" / "nexus.log"))
    with process:
        headers = {"Authorization": f"Bearer {TOKEN}"}
        async with aiohttp.ClientSession(headers=headers, connector=aiohttp.TCPConnector(force_close=True)) as client:
            team = Team(process, client)

            async def both() -> bool:
                return len(team.workers) == 2

            await soon(both)
            for number in (0, 1):
                with stopped(team.workers[1 - number]):
                    await team.ask()
    logs = {path.name: path.read_text("utf-8") for path in (tmp_path / "logs").iterdir()}
    assert set(logs) == {"nexus.log", "nexus.1.log", "nexus.2.log"}
    assert "Codex Nexus running: http" in logs["nexus.1.log"]
    assert all(logs[name].count("custom/scripted completed") == 1 for name in ("nexus.1.log", "nexus.2.log")), logs
    assert all(path.stat().st_mode & 0o077 == 0 for path in (tmp_path / "logs").iterdir())
