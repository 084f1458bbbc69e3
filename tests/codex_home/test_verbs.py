"""`inject`, `eject` and what a gateway does to Codex's configuration at its start."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from codex_nexus.codex_home import config_toml
from codex_nexus.config.file import load
from codex_nexus.errors import ConfigError, NexusError
from codex_nexus.service import codex
from codex_nexus.service.codex import alive, at_start, default_model, eject, inject, local_address
from codex_nexus.service.files import Files, Overrides
from codex_nexus.service.supervisor import Supervisor
from codex_nexus.snapshot import Snapshot

CONFIG = {"provider": "custom", "custom_upstream": "http://127.0.0.1:9/v1", "port": 5811, "access_token": "nexus-t"}


class World:
    """A home of ours beside a home of Codex."""

    def __init__(self, folder: Path) -> None:
        self.home = folder / "nexus"
        self.codex = folder / "codex"
        self.config = self.codex / "config.toml"
        self.said: list[str] = []
        self.codex.mkdir()
        self.write()

    def write(self, **changes: object) -> None:
        self.home.mkdir(exist_ok=True)
        text = {key: value for key, value in (CONFIG | changes).items() if value is not None}
        (self.home / "config.json").write_text(json.dumps(text))

    def snapshot(self) -> Snapshot:
        return Files(self.home, Overrides(), self.said.append).read()[1]

    def start(self, port: int = 5811) -> list[str]:
        self.said.clear()
        at_start(self.snapshot(), self.home, port, self.said.append)
        return self.said

    def inject(self, *, dry: bool = False, switch_default: bool = False) -> str:
        self.said.clear()
        inject(self.home, self.said.append, dry=dry, switch_default=switch_default)
        return "\n".join(self.said)

    def eject(self) -> tuple[int, str]:
        self.said.clear()
        return eject(self.home, self.said.append), "\n".join(self.said)


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    found = World(tmp_path)
    monkeypatch.setenv("CODEX_HOME", str(found.codex))
    return found


class _Health(BaseHTTPRequestHandler):
    name = "codex-nexus"

    def do_GET(self) -> None:
        body = json.dumps({"name": self.name}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def other() -> Iterator[str]:
    """The address of another gateway that is alive."""
    with ThreadingHTTPServer(("127.0.0.1", 0), _Health) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


# --- at the start


def test_a_start_says_one_line_and_the_next_none(world: World) -> None:
    [line] = world.start()
    assert str(world.config) in line
    assert "codex-nexus eject" in line
    assert world.start() == []
    assert "nexus-t" not in line


def test_a_start_makes_no_codex_home(world: World) -> None:
    world.codex.rmdir()
    assert world.start() == []
    assert not world.codex.exists()


def test_a_start_follows_a_new_port(world: World) -> None:
    world.start()
    assert len(world.start(5999)) == 1
    assert config_toml.address_in(world.config.read_text()) == "http://127.0.0.1:5999"


def test_a_broken_file_is_one_line_and_no_more(world: World) -> None:
    world.config.write_text("a = \n")
    [line] = world.start()
    assert "line 1, column 5" in line
    assert "\n" not in line
    assert world.config.read_text() == "a = \n"


def test_a_fault_of_ours_is_one_line_and_no_more(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise IndexError("in the scanner")

    monkeypatch.setattr(codex.codex_files, "apply", fail)
    [line] = world.start()
    assert "in the scanner" in line


def test_another_gateway_that_lives_keeps_codex(world: World, other: str) -> None:
    world.start(int(other.rsplit(":", 1)[1]))
    [line] = world.start()
    assert other in line
    assert config_toml.address_in(world.config.read_text()) == other
    world.inject()
    assert config_toml.address_in(world.config.read_text()) == "http://127.0.0.1:5811"


def test_a_token_that_leads_nowhere_is_said(world: World) -> None:
    world.write(access_token="env:NOT_SET_ANYWHERE")
    [line] = world.start()
    assert "access_token" in line


def test_the_default_follows_the_configuration(world: World) -> None:
    world.config.write_text("model = 'old'\n")
    world.write(codex_config_switch_default=True, model_routes={"routed": {"provider": "custom"}})
    world.start()
    assert config_toml.read(world.config.read_text())["model"] == "routed"
    world.write()
    world.start()
    assert config_toml.read(world.config.read_text())["model"] == "old"


async def test_a_supervisor_writes_only_when_it_may(world: World) -> None:
    for overrides, written in [(Overrides(port=0), False), (Overrides(port=0, inject=True), True)]:
        supervisor = Supervisor(world.home, overrides, world.said.append)
        await supervisor.start()
        try:
            assert world.config.exists() is written
            if written:
                assert config_toml.address_in(world.config.read_text()) == supervisor.address
        finally:
            await supervisor.stop()


async def test_a_supervisor_makes_the_token_that_codex_needs(world: World) -> None:
    world.write(access_token=None)
    supervisor = Supervisor(world.home, Overrides(port=0, inject=True), world.said.append)
    await supervisor.start()
    await supervisor.stop()
    token = load(world.home).config.access_token.reveal()
    assert token.startswith("nexus-")
    assert config_toml.token_in(world.config.read_text()) == token
    assert not any("reachable from other machines" in line for line in world.said)


async def test_a_supervisor_leaves_codex_alone_when_told_so(world: World) -> None:
    world.write(codex_config_auto=False, access_token=None)
    supervisor = Supervisor(world.home, Overrides(port=0, inject=True), world.said.append)
    await supervisor.start()
    await supervisor.stop()
    assert not world.config.exists()
    assert not load(world.home).config.access_token


# --- the verbs


def test_inject_and_eject(world: World) -> None:
    world.config.write_text("a = 1\n")
    assert "+[model_providers.codex-nexus]" in world.inject()
    assert "Nothing to do" in world.inject()
    code, said = world.eject()
    assert code == 0
    assert "Taken away" in said
    assert world.config.read_text() == "a = 1\n"
    assert "Nothing to do" in world.eject()[1]


def test_a_dry_run_changes_nothing_not_even_our_own_file(world: World) -> None:
    world.write(access_token=None)
    before = (world.home / "config.json").read_bytes()
    assert "Nothing was written" in world.inject(dry=True, switch_default=True)
    assert (world.home / "config.json").read_bytes() == before
    assert list(world.codex.iterdir()) == []


def test_inject_saves_what_it_needs(world: World) -> None:
    world.write(access_token=None, mine="kept")
    assert "Codex lists threads by provider" in world.inject(switch_default=True)
    assert "lists threads" not in world.inject(switch_default=True), "it was told once"
    loaded = load(world.home)
    assert loaded.config.codex_config_switch_default
    assert loaded.config.access_token.reveal() == config_toml.token_in(world.config.read_text())
    assert loaded.unknown == {"mine": "kept"}


def test_inject_tells_to_restart_a_gateway_that_does_not_know_the_token(world: World, other: str) -> None:
    world.write(access_token=None, port=int(other.rsplit(":", 1)[1]))
    assert "restart the gateway" in world.inject()


@pytest.mark.parametrize("changes", [{"port": 0}, {"port": "x"}, {"access_token": "env:NOT_SET_ANYWHERE"}])
def test_inject_refuses_what_cannot_work(world: World, changes: dict[str, object]) -> None:
    world.write(**changes)
    with pytest.raises(NexusError):
        world.inject()
    assert list(world.codex.iterdir()) == []


def test_eject_needs_no_configuration(world: World) -> None:
    world.inject()
    (world.home / "config.json").write_text("{")
    assert world.eject()[0] == 0
    assert list(world.codex.iterdir()) == []
    assert (world.home / "config.json").read_text() == "{"


def test_eject_says_what_it_could_not_do(world: World) -> None:
    world.inject()
    world.config.write_text("a = \n" + world.config.read_text())
    code, said = world.eject()
    assert code == 1
    assert "Not taken away" in said
    assert "line 1" in said


# --- small things


def test_addresses() -> None:
    assert local_address("0.0.0.0", 5800) == "http://127.0.0.1:5800"
    assert local_address("::", 5800) == "http://[::1]:5800"
    assert local_address("", 5800) == "http://127.0.0.1:5800"
    assert local_address("192.0.2.7", 5800) == "http://192.0.2.7:5800"


def test_who_is_alive(other: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert alive(other)
    assert not alive("http://127.0.0.1:9")
    assert not alive("no address at all")
    assert not alive("http://127.0.0.1:x")
    monkeypatch.setattr(_Health, "name", "something else")
    assert not alive(other)


def test_the_default_model(world: World) -> None:
    world.write(provider="deepseek")
    assert default_model(world.snapshot())
    world.write(model_routes={"first": {"provider": "custom"}, "second": {"provider": "custom"}})
    assert default_model(world.snapshot()) == "first"


def test_an_error_in_one_line() -> None:
    assert codex.one_line(ConfigError("file", ["one.", "two."])) == "file: one. two."
    assert codex.one_line(NexusError("said")) == "said"
