"""`config` and `key`: what the panel can set, set without it, with the same check, and taken over by what runs."""

from __future__ import annotations

import asyncio
import io
import json
import os
import socket
import stat
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from codex_nexus import __version__
from codex_nexus.cli import main, typed
from codex_nexus.service.files import Overrides
from codex_nexus.service.supervisor import Supervisor
from tests.e2e.gateway_process import _free_port_pair

KEY, OTHER = "sk-0123456789abcdef", "sk-fedcba9876543210"


def _pair() -> tuple[socket.socket, socket.socket]:
    """Two ports, one above the other, that are bound, and where nobody listens."""
    while True:
        first, second = socket.socket(), socket.socket()
        try:
            first.bind(("127.0.0.1", 0))
            second.bind(("127.0.0.1", first.getsockname()[1] + 1))
        except (OSError, OverflowError):
            first.close()
            second.close()
        else:
            return first, second


class Home:
    """The folder of our files, and the command line over it."""

    def __init__(self, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.folder = folder
        self._held = _pair()
        self.port = int(self._held[0].getsockname()[1])
        self._capsys = capsys

    def let_go(self) -> None:
        """Frees the ports; until then nobody else can be found there."""
        for one in self._held:
            one.close()

    @property
    def raw(self) -> dict[str, Any]:
        return json.loads((self.folder / "config.json").read_text())

    def write(self, **values: Any) -> None:
        (self.folder / "config.json").write_text(json.dumps({"port": self.port, **values}))

    def cli(self, *argv: str) -> tuple[int, str, str]:
        """Exit code, output, complaints."""
        try:
            code = main(list(argv))
        except SystemExit as ended:
            code = int(ended.code or 0)
        said = self._capsys.readouterr()
        return code, said.out, said.err


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[Home]:
    monkeypatch.setenv("CODEX_NEXUS_HOME", str(tmp_path / "nexus"))
    monkeypatch.setenv("CODEX_HOME", str(tmp_path / "codex"))
    monkeypatch.delenv("NO_SUCH_KEY", raising=False)
    (tmp_path / "nexus").mkdir()
    made = Home(tmp_path / "nexus", capsys)
    made.write()
    yield made
    made.let_go()


@pytest.fixture
def pipe(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Puts this into standard input."""

    def put(data: bytes | str) -> None:
        raw = data.encode() if isinstance(data, str) else data
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(raw), "utf-8"))

    put("")
    return put


# --- keys


@pytest.mark.parametrize(
    "typed_in",
    [
        KEY,
        f"  {KEY}\r\n",
        f'"{KEY}"\n',
        f"Bearer {KEY}",
        f"\ufeff{KEY}\n",
        f"\u201c{KEY}\u201d",
        f"{KEY[:6]} {KEY[6:]}",
        KEY.encode("utf-16"),
    ],
)
def test_a_key_comes_through_standard_input_and_is_tidied(home: Home, pipe: Any, typed_in: str | bytes) -> None:
    pipe(typed_in)
    code, out, err = home.cli("key", "kimi")
    assert (code, err) == (0, "")
    assert home.raw["provider_api_keys"] == {"kimi": KEY}
    assert "sk-…cdef" in out
    assert KEY not in out
    assert "codex-nexus config set provider kimi" in out
    mode = stat.S_IMODE((home.folder / "config.json").stat().st_mode)
    assert os.name == "nt" or mode == 0o600
    assert KEY not in (home.folder / "config.json.bak").read_text()


def test_a_key_is_typed_unseen_at_a_terminal(home: Home, pipe: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    questions: list[str] = []
    monkeypatch.setattr(sys.stdin, "isatty", lambda: True)
    monkeypatch.setattr(typed.getpass, "getpass", lambda text: questions.append(text) or KEY)
    assert home.cli("key", "deepseek")[0] == 0
    assert home.raw["provider_api_keys"] == {"deepseek": KEY}
    assert questions == ["Key of DeepSeek (made at https://platform.deepseek.com/api_keys), not shown: "]


def test_a_terminal_that_would_show_the_key_is_refused(home: Home, pipe: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def shows(_: str) -> str:
        typed.warnings.warn("echo", typed.getpass.GetPassWarning, stacklevel=1)
        return KEY

    monkeypatch.setattr(sys.stdin, "isatty", lambda: True)
    monkeypatch.setattr(typed.getpass, "getpass", shows)
    code, _, err = home.cli("key", "deepseek")
    assert code == 2
    assert "would show" in err
    assert "provider_api_keys" not in home.raw


def test_a_pool_grows_and_goes(home: Home, pipe: Any) -> None:
    pipe(f"{KEY}\n\n{OTHER}\n")
    assert home.cli("key", "kimi")[0] == 0
    assert home.raw["provider_api_keys"] == {"kimi": [KEY, OTHER]}
    assert home.cli("key", "kimi", "env:NO_SUCH_KEY", "--add")[0] == 0
    code, out, _ = home.cli("key", "kimi", "env:NO_SUCH_KEY", "--add")
    assert code == 0
    assert home.raw["provider_api_keys"] == {"kimi": [KEY, OTHER, "env:NO_SUCH_KEY"]}
    assert "leads to nothing here" in out
    code, out, _ = home.cli("key")
    assert "kimi         sk-…cdef, sk-…3210, env:NO_SUCH_KEY (leads to nothing here)" in out
    assert home.cli("key", "kimi", "--remove")[0] == 0
    assert "provider_api_keys" not in home.raw
    assert "Nothing to do" in home.cli("key", "kimi", "--remove")[1]
    assert "No key is stored" in home.cli("key")[1]


@pytest.mark.parametrize(
    "argv",
    [
        ("key", "kimi", KEY),
        ("key", "kimi", "env:"),
        ("key", "kimi", "env:X", KEY),
        ("key", KEY),
        ("key", "nobody"),
        ("key", "kimi", "--add", "--remove"),
        ("config", "set", "api_key", KEY),
        ("config", "set", "api_key", "short"),
        ("config", "set", "access_token", KEY),
        ("config", "set", "provider_api_keys.kimi", f'["env:A", "{KEY}"]'),
        ("config", "set", "provider_api_keys.kimi.3", KEY),
        ("config", "set", "model_routes.x", json.dumps({"provider": "kimi", "api_key": KEY})),
        ("config", "set", "outbound_proxy", f"http://me:{KEY}@proxy.example:1"),
        ("config", "set", "no_such_key", KEY),
    ],
)
def test_a_key_on_the_command_line_is_refused_and_not_repeated(home: Home, pipe: Any, argv: tuple[str, ...]) -> None:
    before = home.raw
    code, out, err = home.cli(*argv)
    assert code == 2
    assert KEY not in out + err
    assert len(err) > 20
    assert home.raw == before


@pytest.mark.parametrize(("typed_in", "said"), [("", "No key was given"), ("sk-кириллица", "Latin"), (b"\xff\xfe\xff", "UTF-8"), (b"\x80", "UTF-8")])  # fmt: skip
def test_what_is_no_key_is_refused(home: Home, pipe: Any, typed_in: str | bytes, said: str) -> None:
    pipe(typed_in)
    code, _, err = home.cli("key", "kimi")
    assert code == 2
    assert said in err
    assert "provider_api_keys" not in home.raw


# --- the configuration


def test_a_value_is_set_shown_and_taken_away(home: Home, pipe: Any) -> None:
    code, out, _ = home.cli("config", "set", "model_routes.gpt-5.5", '{"provider": "kimi"}')
    assert code == 0
    assert "config.json.bak" in out
    assert home.cli("config", "set", "model_routes.gpt-5.5.model", "kimi-k3")[0] == 0
    assert home.cli("config", "show", "model_routes.gpt-5.5.model")[1] == "kimi-k3\n"
    assert json.loads(home.cli("config")[1])["model_routes"]["gpt-5.5"]["model"] == "kimi-k3"
    assert json.loads(home.cli("config", "show", "--all")[1])["retention_days"] == 30
    assert home.cli("config", "unset", "model_routes.gpt-5.5")[0] == 0
    assert home.raw == {"port": home.port}
    assert "not set" in home.cli("config", "unset", "model_routes.gpt-5.5")[1]


def test_nothing_is_written_when_nothing_changes(home: Home, pipe: Any) -> None:
    home.cli("config", "set", "provider", "kimi")
    before = (home.folder / "config.json").stat().st_mtime_ns
    assert "Nothing to save" in home.cli("config", "set", "provider", "kimi")[1]
    assert (home.folder / "config.json").stat().st_mtime_ns == before


def test_secrets_come_through_standard_input_and_are_shown_as_masks(home: Home, pipe: Any) -> None:
    pipe(f"http://me:{OTHER}@proxy.example:3128\n")
    code, out, _ = home.cli("config", "set", "outbound_proxy", "-")
    assert code == 0
    pipe(json.dumps({"provider": "kimi", "api_key": KEY}))
    assert home.cli("config", "set", "model_routes.x", "-")[0] == 0
    assert home.raw["model_routes"]["x"]["api_key"] == KEY
    assert home.raw["outbound_proxy"] == f"http://me:{OTHER}@proxy.example:3128"
    told = out + home.cli("config")[1] + home.cli("config", "show", "outbound_proxy")[1]
    assert KEY not in told
    assert OTHER not in told
    assert "http://…@proxy.example:3128" in told


@pytest.mark.parametrize("value", ["x", "70000"])
def test_a_wrong_value_for_what_is_not_set_is_refused(home: Home, pipe: Any, value: str) -> None:
    code, _, err = home.cli("config", "set", "port", value)
    assert (code, "- port:" in err) == (2, True)


def test_every_problem_of_the_whole_is_told_and_nothing_saved(home: Home, pipe: Any) -> None:
    home.write(language="tlh", retention_days=-1)
    before = home.raw
    code, _, err = home.cli("config", "set", "provider", "nobody")
    assert code == 2
    assert all(f"- {key}" in err for key in ("provider", "language", "retention_days"))
    assert home.raw == before
    code, _, err = home.cli("config")
    assert code == 2
    assert "language" in err
    assert home.cli("config", "set", "language", "zh")[0] == 2
    home.write(language="tlh", theme="dark")
    assert home.cli("config", "set", "language", "zh")[0] == 0
    assert home.raw["theme"] == "dark", "a foreign key is kept"
    assert home.cli("config", "unset", "theme")[0] == 0
    assert "theme" not in home.raw


def test_a_broken_file_is_left_as_it_is_until_it_is_reset(home: Home, pipe: Any) -> None:
    path = home.folder / "config.json"
    path.write_text('{"port": 1,')
    for argv in (("config",), ("config", "set", "port", "2"), ("key", "kimi", "env:X")):
        code, _, err = home.cli(*argv)
        assert code == 2
        assert "config reset" in err
    assert path.read_text() == '{"port": 1,'
    code, _, err = home.cli("config", "reset")
    assert code == 2
    assert "--yes" in err
    code, out, _ = home.cli("config", "reset", "--yes")
    assert code == 0
    [backup] = home.folder.glob("config.backup-*.json")
    assert backup.name in out
    assert backup.read_text() == '{"port": 1,'
    assert home.raw == {}


@pytest.mark.parametrize(("answer", "code"), [("y", 0), ("", 1), ("no", 1)])
def test_a_person_is_asked_before_a_reset(
    home: Home, pipe: Any, monkeypatch: pytest.MonkeyPatch, answer: str, code: int
) -> None:
    pipe(f"{answer}\n")
    monkeypatch.setattr(sys.stdin, "isatty", lambda: True)
    assert home.cli("config", "reset")[0] == code
    assert (home.raw == {}) == (code == 0)


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="everything may be written")
def test_a_folder_that_cannot_be_written_is_told(home: Home, pipe: Any) -> None:
    home.folder.chmod(0o500)
    code, _, err = home.cli("config", "set", "provider", "kimi")
    home.folder.chmod(0o700)
    assert code == 2
    assert "cannot be written" in err


def test_every_key_is_told_with_its_meaning(home: Home) -> None:
    out = home.cli("config", "keys")[1]
    assert "retention_days" in out
    assert "[30]" in out


# --- the gateway that runs


@pytest.fixture
async def running(home: Home) -> AsyncIterator[Supervisor]:
    supervisor = Supervisor(home.folder, Overrides(), lambda _: None)
    home.let_go()
    await supervisor.start()
    yield supervisor
    await supervisor.stop()


async def test_a_change_is_taken_over_at_once(home: Home, running: Supervisor) -> None:
    code, out, err = await asyncio.to_thread(home.cli, "key", "kimi", "env:NO_SUCH_KEY")
    assert (code, err) == (0, "")
    assert f"has taken it over: {running.address}" in out
    assert (await asyncio.to_thread(home.cli, "config", "set", "provider", "kimi"))[0] == 0
    assert running.gateway.snapshot.config.provider == "kimi"
    assert running.applied.provider == "kimi"
    port = _free_port_pair()
    assert (await asyncio.to_thread(home.cli, "config", "set", "port", str(port)))[0] == 0
    assert running.address.endswith(f":{port}")


async def test_what_cannot_be_taken_over_is_saved_and_told(home: Home, running: Supervisor) -> None:
    taken = await asyncio.start_server(lambda _reader, writer: writer.close(), "127.0.0.1", 0)
    port = taken.sockets[0].getsockname()[1]
    async with taken:
        code, out, _ = await asyncio.to_thread(home.cli, "config", "set", "port", str(port))
    assert code == 1
    assert "has not taken it over" in out
    assert str(port) in out
    assert home.raw["port"] == port
    assert running.address.endswith(f":{home.port}")
    code, out, _ = await asyncio.to_thread(home.cli, "config", "set", "port", str(home.port))
    assert code == 0
    assert "has taken it over" in out, "it is found where it still is"


async def test_the_gateway_of_another_folder_is_left_alone(
    home: Home, running: Supervisor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CODEX_NEXUS_HOME", str(tmp_path / "other"))
    code, out, _ = await asyncio.to_thread(home.cli, "--port", str(home.port), "config", "set", "provider", "qwen")
    assert code == 1
    assert "reads another file" in out
    assert json.loads((tmp_path / "other" / "config.json").read_text())["provider"] == "qwen"
    assert running.applied.provider == "deepseek"


async def test_the_flags_of_the_one_that_runs_are_named(home: Home) -> None:
    supervisor = Supervisor(home.folder, Overrides(port=home.port), lambda _: None)
    home.let_go()
    await supervisor.start()
    code, out, _ = await asyncio.to_thread(home.cli, "--port", str(home.port), "config", "set", "port", "6000")
    await supervisor.stop()
    assert code == 0
    assert "its port was fixed" in out
    assert "--host" not in out
    assert supervisor.applied.port == 6000


# --- how it does


async def test_the_status_is_told(home: Home, running: Supervisor) -> None:
    home.write(retention_days=7)
    code, out, err = await asyncio.to_thread(home.cli, "status")
    assert (code, err) == (0, "")
    told = dict(line.split(maxsplit=1) for line in out.splitlines())
    assert told["gateway"] == running.address
    assert told["version"].startswith(f"{__version__}, up for 0:")
    assert told["turns"] == "0, 0 of them under way, 0 failed"
    assert told["store"].startswith("sqlite")
    assert "says something else" in told["!"]
    code, out, _ = await asyncio.to_thread(home.cli, "status", "--json")
    assert json.loads(out)["provider"] == "deepseek"


async def test_the_status_tells_the_last_errors(home: Home, running: Supervisor) -> None:
    running.gateway.traffic.refuse("gpt-5", "codex", "There is no key.")
    assert "There is no key." in (await asyncio.to_thread(home.cli, "status"))[1]


def test_nobody_tells_a_status(home: Home) -> None:
    code, _, err = home.cli("status")
    assert code == 1
    assert "No control panel answers" in err
