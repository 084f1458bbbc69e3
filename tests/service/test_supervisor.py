"""The life of the services in this process: start from a folder, say where, change under running turns, stop."""

from __future__ import annotations

import asyncio
import json
import re
import socket
import sqlite3
import stat
import threading
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, closing
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
import pytest

from codex_nexus.config import file as config_file
from codex_nexus.errors import ConfigError, NexusError
from codex_nexus.service.files import Overrides, is_loopback_host
from codex_nexus.service.supervisor import Supervisor
from codex_nexus.sessions.sqlite import SqliteStore
from tests import oracle
from tests.upstream import Upstream, finish, sse, text
from tests.waiting import PATIENCE, until

HELLO = sse([text("hi"), finish()])
RUNNING = re.compile(r"\[nexus\] Codex Nexus running: (http://127\.0\.0\.1:\d+)")
PANEL = re.compile(r"\[web\] Control panel: (http://127\.0\.0\.1:\d+)")


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing of the real user is touched."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("CODEX_HOME", str(tmp_path / "no-codex"))


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """The folder of our files."""
    folder = tmp_path / "nexus"
    folder.mkdir()
    return folder


@pytest.fixture
async def upstream() -> AsyncIterator[Upstream]:
    """The scripted provider."""
    async with Upstream(HELLO) as running:
        yield running


class Life:
    """Supervisors of one folder, and what they said."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.said: list[str] = []

    def make(self, **overrides: Any) -> Supervisor:
        """A supervisor that is not started."""
        return Supervisor(self.home, Overrides(**{"port": 0, **overrides}), self.said.append)

    def configure(self, **config: Any) -> Path:
        """Writes config.json."""
        path = self.home / "config.json"
        path.write_text(json.dumps(config))
        return path


@pytest.fixture
def life(home: Path) -> Life:
    """The folder's supervisors."""
    return Life(home)


@pytest.fixture
async def started(life: Life) -> AsyncIterator[Any]:
    """Starts supervisors that are stopped afterwards: `await started(port=...)`."""
    async with AsyncExitStack() as stack:

        async def start(**overrides: Any) -> Supervisor:
            supervisor = life.make(**overrides)
            await supervisor.start()
            stack.push_async_callback(supervisor.stop)
            return supervisor

        yield start


async def get(url: str, headers: dict[str, str] | None = None) -> tuple[int, Any]:
    """Status and JSON."""
    async with aiohttp.ClientSession() as client, client.get(url, headers=headers) as response:
        return response.status, await response.json()


async def ask(url: str, headers: dict[str, str] | None = None, **fields: Any) -> oracle.Story:
    """A streamed turn."""
    body = {"model": "gpt-5", "input": "hi", "stream": True} | fields
    async with (
        aiohttp.ClientSession() as client,
        client.post(f"{url}/v1/responses", json=body, headers=headers) as response,
    ):
        assert response.status == 200, await response.text()
        return oracle.read(await response.read())


@pytest.fixture
def port() -> Iterator[int]:
    """A port that is free together with the next one."""
    while True:
        with socket.socket() as first, socket.socket() as second:
            first.bind(("127.0.0.1", 0))
            number = first.getsockname()[1]
            try:
                second.bind(("127.0.0.1", number + 1))
            except (OSError, OverflowError):
                continue
        yield number
        return


# --- starting


async def test_it_says_where_it_is(life: Life, started: Any) -> None:
    supervisor = await started()
    [running] = [line for line in life.said if RUNNING.fullmatch(line)]
    assert running == f"[nexus] Codex Nexus running: {supervisor.address}"
    assert [line for line in life.said if PANEL.fullmatch(line)]
    status, told = await get(f"{supervisor.address}/healthz")
    assert (status, told["name"]) == (200, "codex-nexus")


async def test_the_panel_takes_the_next_port(life: Life, started: Any, port: int) -> None:
    await started(port=port)
    assert f"[nexus] Codex Nexus running: http://127.0.0.1:{port}" in life.said
    assert f"[web] Control panel: http://127.0.0.1:{port + 1}" in life.said


async def test_the_command_line_stands_over_the_file(life: Life, started: Any, port: int) -> None:
    path = life.configure(port=1, host="192.0.2.1")
    supervisor = await started(port=port, host="localhost")
    assert supervisor.port == port
    assert json.loads(path.read_text()) == {"port": 1, "host": "192.0.2.1"}


async def test_a_turn_is_served_and_stored(life: Life, started: Any, upstream: Upstream) -> None:
    life.configure(provider="custom", custom_upstream=upstream.base_url)
    supervisor = await started()
    story = await ask(supervisor.address)
    assert story.text == "hi"
    assert (await get(f"{supervisor.address}/v1/responses/{story.response['id']}"))[0] == 200
    assert stat.S_IMODE((life.home / "nexus.db").stat().st_mode) == 0o600


async def test_the_users_providers_are_served(life: Life, started: Any, upstream: Upstream) -> None:
    record = {"id": "house", "base_url": upstream.base_url, "default_model": "big", "local": True}
    (life.home / "providers.json").write_text(json.dumps({"providers": [record]}))
    life.configure(provider="house")
    supervisor = await started()
    assert (await ask(supervisor.address)).text == "hi"
    assert upstream.requests[0].json["model"] == "big"


async def test_an_ipv6_address_is_shown_as_one(life: Life, started: Any) -> None:
    if not socket.has_ipv6:
        pytest.skip("no IPv6 here")
    try:
        supervisor = await started(host="::1")
    except NexusError:
        pytest.skip("no IPv6 loopback here")
    assert supervisor.address.startswith("http://[::1]:")


async def test_the_gateway_may_wait_for_the_panel(life: Life, started: Any) -> None:
    life.configure(autostart_nexus=False)
    supervisor = await started()
    assert not supervisor.address
    assert [line for line in life.said if PANEL.fullmatch(line)]
    await supervisor.open_gateway()
    assert [line for line in life.said if RUNNING.fullmatch(line)]


# --- files that are wrong


async def test_every_problem_of_the_configuration_is_told_at_once(life: Life) -> None:
    path = life.configure(port="x", language="tlh", provider="nobody", model_routes={"a": {"provider": "nowhere"}})
    with pytest.raises(ConfigError) as caught:
        await life.make().start()
    assert caught.value.source == str(path)
    paths = [problem.partition(":")[0] for problem in caught.value.problems]
    assert paths == ["port", "language", "provider", "model_routes.a.provider"]


async def test_problems_of_the_users_providers_are_told(life: Life) -> None:
    (life.home / "providers.json").write_text('{"providers": [{"id": "x", "colour": "red"}]}')
    with pytest.raises(ConfigError, match=r"providers\.json"):
        await life.make().start()


async def test_a_broken_file_is_set_aside_and_the_defaults_serve(life: Life, started: Any) -> None:
    (life.home / "config.json").write_text("{broken")
    await started()
    [note] = [line for line in life.said if "is no valid JSON" in line]
    assert note.startswith("[nexus] ")
    [aside] = life.home.glob("config.broken-*.json")
    assert aside.read_text() == "{broken"


async def test_foreign_keys_are_told(life: Life, started: Any) -> None:
    life.configure(theme="dark")
    await started()
    assert len([line for line in life.said if "theme" in line]) == 1


@pytest.mark.parametrize("content", [b"this is no database " * 100, None], ids=["no database", "newer version"])
async def test_a_store_that_cannot_be_opened_does_not_stop_the_gateway(
    life: Life, started: Any, upstream: Upstream, content: bytes | None
) -> None:
    life.configure(provider="custom", custom_upstream=upstream.base_url)
    path = life.home / "nexus.db"
    if content is not None:
        path.write_bytes(content)
    else:
        with closing(sqlite3.connect(path)) as db:
            db.execute("PRAGMA user_version = 99")
    supervisor = await started()
    assert [line for line in life.said if "Responses are not stored" in line]
    assert (await ask(supervisor.address)).response["store"] is False


async def test_the_store_may_stand_elsewhere(life: Life, started: Any, tmp_path: Path, upstream: Upstream) -> None:
    elsewhere = tmp_path / "with space" / "turns.db"
    url = f"sqlite:///{elsewhere}".replace(" ", "%20")
    life.configure(provider="custom", custom_upstream=upstream.base_url, store=url)
    await ask((await started()).address)
    assert elsewhere.exists()
    assert not (life.home / "nexus.db").exists()


@pytest.mark.parametrize("days", [30, 7, 0])
async def test_old_turns_are_forgotten_at_the_start(
    life: Life, started: Any, monkeypatch: pytest.MonkeyPatch, days: int
) -> None:
    asked: list[int] = []

    async def prune(_: SqliteStore, before: int) -> int:
        asked.append(before)
        return 1

    monkeypatch.setattr(SqliteStore, "prune", prune)
    life.configure(retention_days=days)
    await started()
    await until(lambda: asked) if days else await asyncio.sleep(0.05)
    assert [round((time.time() - before) / 86400) for before in asked] == ([days] if days else [])


# --- addresses that cannot be used


async def test_a_port_that_we_hold_already_is_told(life: Life, started: Any) -> None:
    first = await started()
    with pytest.raises(NexusError, match=f"Port {first.port} is taken: Codex Nexus already runs there") as caught:
        await life.make(port=first.port).start()
    assert "--port" in caught.value.message


async def test_a_port_that_another_program_holds_is_told(life: Life) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        taken = other.getsockname()[1]
        with pytest.raises(NexusError, match=f"Port {taken} is taken: another program holds it"):
            await life.make(port=taken).start()


@pytest.mark.parametrize("host", ["192.0.2.77", "no-such-host.invalid"])
async def test_a_host_that_is_not_this_machine_is_told(life: Life, host: str) -> None:
    with pytest.raises(NexusError, match="is no address of this machine"):
        await life.make(host=host).start()


async def test_a_panel_without_a_port_does_not_stop_the_gateway(life: Life, started: Any, port: int) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", port + 1))
        other.listen()
        supervisor = await started(port=port)
        assert (await get(f"{supervisor.address}/healthz"))[0] == 200
    assert [line for line in life.said if line.startswith("[web] ") and str(port + 1) in line]


# --- beyond loopback


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "::1", "127.0.0.2"])
def test_loopback_hosts(host: str) -> None:
    assert is_loopback_host(host)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "", "192.168.1.2", "box.lan"])
def test_other_hosts(host: str) -> None:
    assert not is_loopback_host(host)


async def test_beyond_loopback_an_access_token_is_made_and_kept(life: Life, started: Any) -> None:
    path = life.configure(theme="dark", retention_days=5)
    supervisor = await started(host="0.0.0.0")
    written = json.loads(path.read_text())
    token = written.pop("access_token")
    assert token.startswith("nexus-")
    assert written == {"theme": "dark", "retention_days": 5}
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    [note] = [line for line in life.said if "access_token" in line]
    assert str(path) in note
    assert token not in str(life.said)
    url = f"http://127.0.0.1:{supervisor.port}/v1/models"
    proxied = {"X-Forwarded-For": "203.0.113.7"}
    assert (await get(url, proxied))[0] == 401
    assert (await get(url, proxied | {"Authorization": f"Bearer {token}"}))[0] == 200


async def test_a_token_that_is_there_is_kept(life: Life, started: Any) -> None:
    path = life.configure(access_token="env:MY_TOKEN", host="0.0.0.0")
    await started()
    assert json.loads(path.read_text())["access_token"] == "env:MY_TOKEN"


async def test_on_loopback_no_file_is_written(life: Life, started: Any) -> None:
    await started()
    assert not (life.home / "config.json").exists()


# --- changing under running turns


async def changed(supervisor: Supervisor, home: Path, **changes: Any) -> None:
    """Applies a change of the configuration, as the panel does."""
    loaded = config_file.load(home)
    await supervisor.apply(msgspec.structs.replace(loaded.config, **changes), loaded.unknown)


async def test_a_change_is_applied_at_once_and_saved(life: Life, started: Any, upstream: Upstream) -> None:
    path = life.configure(provider="deepseek", theme="dark")
    supervisor = await started()
    await changed(supervisor, life.home, provider="custom", custom_upstream=upstream.base_url)
    assert (await ask(supervisor.address)).text == "hi"
    assert json.loads(path.read_text()) == {
        "provider": "custom",
        "custom_upstream": upstream.base_url,
        "theme": "dark",
    }
    assert json.loads((life.home / "config.json.bak").read_text()) == {"provider": "deepseek", "theme": "dark"}


async def test_a_running_turn_keeps_the_world_that_it_began_with(life: Life, started: Any, upstream: Upstream) -> None:
    life.configure(provider="custom", custom_upstream=upstream.base_url)
    upstream.script(sse([*[text("word ")] * 10, finish()], pause=0.03))
    supervisor = await started()
    asking = asyncio.ensure_future(ask(supervisor.address))
    await until(lambda: upstream.requests)
    await changed(supervisor, life.home, custom_upstream="http://127.0.0.1:9/v1")
    assert (await asking).text == "word " * 10


async def test_a_move_to_another_port_does_not_cut_running_turns(
    life: Life, started: Any, upstream: Upstream, port: int
) -> None:
    life.configure(provider="custom", custom_upstream=upstream.base_url, port=0)  # any
    upstream.script(sse([*[text("word ")] * 10, finish()], pause=0.03))
    supervisor = await started(port=None)
    before = supervisor.address
    asking = asyncio.ensure_future(ask(before))
    await until(lambda: upstream.requests)
    await changed(supervisor, life.home, port=port)
    assert supervisor.address == f"http://127.0.0.1:{port}"
    assert (await get(f"{supervisor.address}/healthz"))[0] == 200
    with pytest.raises(aiohttp.ClientConnectorError):
        await get(f"{before}/healthz")
    assert (await asking).text == "word " * 10


async def test_the_host_changes_on_the_same_port(life: Life, started: Any, upstream: Upstream, port: int) -> None:
    life.configure(provider="custom", custom_upstream=upstream.base_url, port=port)
    upstream.script(sse([*[text("word ")] * 10, finish()], pause=0.03))
    supervisor = await started(port=None)
    asking = asyncio.ensure_future(ask(supervisor.address))
    await until(lambda: upstream.requests)
    await changed(supervisor, life.home, host="0.0.0.0")
    assert supervisor.address == f"http://0.0.0.0:{port}"
    assert (await get(f"http://127.0.0.1:{port}/healthz"))[0] == 200
    with pytest.raises(NexusError, match="no address of this machine"):
        await changed(supervisor, life.home, host="192.0.2.77")
    assert supervisor.address == f"http://0.0.0.0:{port}"
    await changed(supervisor, life.home, host="127.0.0.1")
    assert (await get(f"http://127.0.0.1:{port}/healthz"))[0] == 200
    assert (await asking).text == "word " * 10


async def test_a_place_that_cannot_be_saved_is_not_taken(
    life: Life, started: Any, upstream: Upstream, port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    life.configure(provider="custom", custom_upstream=upstream.base_url)
    supervisor = await started(port=port)
    before = supervisor.address

    def full(*_: Any) -> None:
        raise ConfigError("config.json", ["it cannot be written: No space left on device."])

    monkeypatch.setattr(config_file, "save", full)
    with pytest.raises(ConfigError, match="No space"):
        await changed(supervisor, life.home, store=f"sqlite:///{life.home / 'x.db'}", host="0.0.0.0")
    assert supervisor.address == before
    assert (await ask(before)).text == "hi"


@pytest.mark.parametrize("change", [{"provider": "nobody"}, {"host": "192.0.2.77"}], ids=str)
async def test_a_change_that_cannot_be_applied_changes_nothing(
    life: Life, started: Any, upstream: Upstream, change: dict[str, Any]
) -> None:
    path = life.configure(provider="custom", custom_upstream=upstream.base_url)
    written = path.read_text()
    supervisor = await started()
    with pytest.raises(NexusError):
        await changed(supervisor, life.home, **change)
    assert path.read_text() == written
    assert (await ask(supervisor.address)).text == "hi"


# --- the files, read again


async def test_what_was_written_by_hand_is_taken_over(
    life: Life, started: Any, upstream: Upstream, port: int, tmp_path: Path
) -> None:
    life.configure(provider="custom", custom_upstream="http://127.0.0.1:9/v1", port=0)
    supervisor = await started(port=None, host=None)
    life.configure(
        provider="custom", custom_upstream=upstream.base_url, port=port, store=f"sqlite:///{tmp_path / 'other.db'}"
    )
    await supervisor.reload()
    assert supervisor.address == f"http://127.0.0.1:{port}"
    assert supervisor.panel_address == f"http://127.0.0.1:{port + 1}"
    assert (await ask(supervisor.address)).response["store"] is True
    assert (tmp_path / "other.db").exists()
    assert f"[nexus] Configuration read again: {supervisor.address}" in life.said


@pytest.mark.parametrize(
    "text", ["{broken", '{"port": "x"}', '{"provider": "nobody"}', '{"host": "192.0.2.77", "access_token": "env:A"}']
)
async def test_files_that_are_wrong_change_nothing(life: Life, started: Any, upstream: Upstream, text: str) -> None:
    path = life.configure(provider="custom", custom_upstream=upstream.base_url)
    supervisor = await started()
    path.write_text(text)
    await supervisor.reload()
    [told] = [line for line in life.said if "Nothing was changed" in line]
    assert told.startswith("[nexus] ")
    assert path.read_text() == text
    assert (await ask(supervisor.address)).text == "hi"


async def test_files_that_say_the_same_are_no_news(life: Life, started: Any) -> None:
    supervisor = await started()
    before = list(life.said)
    await supervisor.reload()
    assert life.said == before


# --- stopping


async def test_it_stops_and_leaves_nothing_open(life: Life) -> None:
    supervisor = life.make()
    await supervisor.start()
    address = supervisor.address
    await supervisor.stop()
    with pytest.raises(aiohttp.ClientConnectorError):
        await get(f"{address}/healthz")
    assert {path.name for path in life.home.iterdir()} <= {"nexus.db", "config.json"}


async def test_it_ends_when_it_is_asked_to(life: Life) -> None:
    supervisor = life.make()
    running = asyncio.ensure_future(supervisor.run())
    await until(lambda: any(RUNNING.fullmatch(line) for line in life.said))
    supervisor.shut_down()
    await asyncio.wait_for(running, PATIENCE)
    assert "[nexus] Stopping; running answers may finish." in life.said


async def test_a_turn_is_stored_although_the_gateway_ends(life: Life, upstream: Upstream) -> None:
    life.configure(provider="custom", custom_upstream=upstream.base_url)
    upstream.script(sse([*[text("word ")] * 10, finish()], pause=0.03))
    supervisor = life.make()
    await supervisor.start()
    asking = asyncio.ensure_future(ask(supervisor.address))
    await until(lambda: upstream.requests)
    await supervisor.stop()
    assert (await asking).response["store"] is True
    with closing(sqlite3.connect(life.home / "nexus.db")) as db:
        assert db.execute("SELECT count(*) FROM responses").fetchone() == (1,)


async def test_a_change_is_done_to_its_end_when_nobody_waits_for_it_any_more(
    life: Life, started: Any, port: int, upstream: Upstream
) -> None:
    life.configure(provider="custom", custom_upstream=upstream.base_url, api_key="k", port=0)
    supervisor = await started(port=None)
    opening, gate = threading.Event(), threading.Event()
    real = supervisor._open_store

    def open_store(config: Any) -> Any:
        opening.set()
        assert gate.wait(PATIENCE)
        return real(config)

    supervisor._open_store = open_store
    wanted = msgspec.structs.replace(supervisor.applied, port=port, store=f"sqlite:///{life.home}/other.db")
    asking = asyncio.create_task(supervisor.apply(wanted, {}))
    await until(opening.is_set)
    asking.cancel()  # as when the page is closed
    await until(asking.done)
    gate.set()
    await until(lambda: any("Configuration applied" in line for line in life.said))
    assert supervisor.address.endswith(f":{port}")
    assert (await ask(supervisor.address)).text == "hi"
    assert json.loads((life.home / "config.json").read_text())["port"] == port
