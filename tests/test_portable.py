"""What runs where POSIX is not: the program with POSIX-only calls taken away, old code pages, the start scripts."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from codex_nexus.errors import NexusError
from codex_nexus.service import logs, workers
from codex_nexus.service.files import Overrides
from codex_nexus.sessions import runners
from tests.upstream import Upstream, finish, running_upstream, sse, text

ROOT = Path(__file__).parents[1]
PATIENCE = 60.0

POISON = """
import asyncio, importlib, os, pkgutil, signal, socket, sys
from asyncio import base_events, selector_events, unix_events

def none_here(*_args, **_kwargs):
    raise NotImplementedError("not on this system")

loop = unix_events._UnixSelectorEventLoop
for name in ("add_signal_handler", "remove_signal_handler", "add_reader", "add_writer",
             "create_unix_connection", "create_unix_server"):
    setattr(loop, name, none_here)
for name in ("chown", "fchmod", "fchown", "fork", "forkpty", "getegid", "geteuid", "getgid", "getpgid", "getuid",
             "killpg", "lchown", "mkfifo", "openpty", "posix_spawn", "setsid", "statvfs", "sysconf", "uname", "wait3",
             "O_DIRECTORY", "O_NOFOLLOW", "O_CLOEXEC", "WNOHANG"):
    if hasattr(os, name):
        delattr(os, name)
for name in ("SIGHUP", "SIGKILL", "SIGQUIT", "SIGUSR1", "SIGUSR2", "SIGCHLD", "SIGALRM", "SIGPIPE", "SIG_BLOCK",
             "pthread_sigmask", "pthread_kill", "alarm", "setitimer"):
    delattr(signal, name)
pair, family = socket.socketpair, socket.AF_UNIX  # an event loop of this system wakes itself through one
socket.socketpair = lambda *given: none_here() if given else pair(family)
del socket.AF_UNIX
for name in ("fcntl", "grp", "pty", "pwd", "resource", "syslog", "termios", "tty"):
    sys.modules[name] = None
"""
IMPORT_ALL = """
import codex_nexus
for found in pkgutil.walk_packages(codex_nexus.__path__, "codex_nexus."):
    if found.name not in ("codex_nexus.__main__", "codex_nexus.sessions.postgres"):
        importlib.import_module(found.name)
"""
RUN = "\nfrom codex_nexus.cli import main\nsys.exit(main(sys.argv[1:]))\n"

posix = pytest.mark.skipif(sys.platform == "win32", reason="there is nothing to take away")


class Machine:
    """A machine without POSIX, whose output has an old code page; nothing on it is the real user's."""

    def __init__(self, folder: Path, upstream: Upstream) -> None:
        self.nexus = folder / "nexus"
        self.codex = folder / "codex"
        self.codex.mkdir()
        self.nexus.mkdir()
        config = {"provider": "custom", "custom_upstream": upstream.base_url, "access_token": "nexus-token-of-the-test"}
        (self.nexus / "config.json").write_text(json.dumps(config))
        homes = {"HOME": folder, "CODEX_NEXUS_HOME": self.nexus, "CODEX_HOME": self.codex}
        pages = {"PYTHONIOENCODING": "cp1252:strict", "PYTHONUTF8": "0", "LC_ALL": "C.UTF-8"}
        self.environ = {**os.environ, **{name: str(home) for name, home in homes.items()}, **pages}

    def run(self, *words: str) -> subprocess.CompletedProcess[bytes]:
        """A verb to its end."""
        command = [sys.executable, "-c", POISON + RUN, *words]
        done = subprocess.run(command, check=False, capture_output=True, env=self.environ, timeout=PATIENCE)
        told = (done.stdout + done.stderr).decode("utf-8")
        assert "Traceback" not in told, told
        assert done.returncode in (0, 1), told
        return done

    @contextmanager
    def serving(self) -> Iterator[tuple[subprocess.Popen[bytes], str, str]]:
        """A gateway that runs: its process, its address, its panel's address."""
        command = [sys.executable, "-c", POISON + RUN, "serve", "--port", "0"]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=self.environ) as process:
            assert process.stdout is not None
            lines: list[str] = []
            while "Control panel: " not in "".join(lines) and (line := process.stdout.readline()):
                lines.append(line.decode())
            found = re.findall(r"(?:running|panel): (http://127\.0\.0\.1:\d+)", "".join(lines))
            assert len(found) == 2, lines
            try:
                yield process, found[0], found[1]
                rest = process.stdout.read().decode()
                assert process.wait(PATIENCE) == 0, rest
                assert "Traceback" not in rest
            finally:
                process.kill()


@pytest.fixture
def upstream() -> Iterator[Upstream]:
    """The scripted provider."""
    with running_upstream(sse([text("你好 👋"), finish()])) as running:
        yield running


@pytest.fixture
def machine(tmp_path: Path, upstream: Upstream) -> Machine:
    """A machine in front of the scripted provider."""
    return Machine(tmp_path, upstream)


def ask(url: str, body: Any = None, **headers: str) -> Any:
    """The answer's text, of a POST when there is a body."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data, {"Content-Type": "application/json", **named})
    with urllib.request.urlopen(request, timeout=PATIENCE) as answer:
        return answer.read().decode("utf-8")


def told(url: str, body: Any = None, **headers: str) -> Any:
    """The same as JSON."""
    return json.loads(ask(url, body, **headers))


@posix
def test_everything_can_be_imported(machine: Machine) -> None:
    command = [sys.executable, "-c", POISON + IMPORT_ALL]
    done = subprocess.run(command, check=False, capture_output=True, env=machine.environ, timeout=PATIENCE)
    assert done.returncode == 0, done.stderr.decode()


@posix
def test_a_whole_life(machine: Machine) -> None:
    """Start, a turn, its stored response, a configuration that is applied, Codex's files, the doctor, the end."""
    with machine.serving() as (_, gateway, panel):
        assert "codex-nexus" in (machine.codex / "config.toml").read_text("utf-8")
        turn = {"model": "gpt-5.5", "input": "hi"}
        assert "response.completed" in ask(f"{gateway}/v1/responses", turn | {"stream": True})
        answered = told(f"{gateway}/v1/responses", turn)
        assert answered["output"][0]["content"][0]["text"] == "你好 👋"
        assert told(f"{gateway}/v1/responses/{answered['id']}")["status"] == "completed"
        later = told(f"{gateway}/v1/responses", turn | {"background": True})
        assert told(f"{gateway}/v1/responses/{later['id']}")["id"] == later["id"]

        token, shown = told(f"{panel}/nexus-ctrl/session")["token"], told(f"{panel}/nexus-ctrl/config")
        change = {"config": shown["config"] | {"language": "zh"}, "restart": True}
        saved = told(f"{panel}/nexus-ctrl/config", change, x_nexus_csrf=token, If_Match=shown["etag"])
        assert saved["config"]["language"] == "zh"
        for deed, state in (("eject", "absent"), ("inject", "present")):
            done = told(f"{panel}/nexus-ctrl/{deed}", {}, x_nexus_csrf=token)
            assert done["injection"]["state"] == state

        report = json.loads(machine.run("doctor", "--offline", "--json").stdout)
        assert report["findings"]
        assert told(f"{panel}/nexus-ctrl/shutdown", {}, x_nexus_csrf=token)["stopping"] is True
    machine.run("eject")
    assert not list(machine.codex.iterdir())


@posix
@pytest.mark.parametrize("page", ["cp1252", "cp936", "ascii"])
@pytest.mark.parametrize(
    "words", [["demo", "--no-codex"], ["doctor", "--offline"], ["inject"], ["models", "--scan"], ["probe", "custom/scripted"],
              ["--help"], ["service", "status"]],
    ids=lambda words: words[0],
)  # fmt: skip
def test_the_verbs_on_an_old_code_page(words: list[str], page: str, machine: Machine) -> None:
    machine.environ["PYTHONIOENCODING"] = f"{page}:strict"
    done = machine.run(*words)
    if words[0] == "demo":
        assert "你好" in done.stdout.decode("utf-8")


@posix
def test_a_wrong_word_is_told_on_an_old_code_page(machine: Machine) -> None:
    command = [sys.executable, "-m", "codex_nexus", "你好"]
    done = subprocess.run(command, check=False, capture_output=True, env=machine.environ, timeout=PATIENCE)
    assert done.returncode == 2
    assert "invalid choice: '你好'" in done.stderr.decode("utf-8")


# --- what this program decides by the system's name


@pytest.fixture
def windows(monkeypatch: pytest.MonkeyPatch) -> None:
    """The name of the system is Windows'; no path can be made meanwhile."""
    monkeypatch.setattr(os, "name", "nt")


@pytest.mark.usefixtures("windows")
def test_no_process_is_asked_whether_it_lives_where_that_would_kill_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "kill", lambda *_: pytest.fail("on Windows this ends the process"))
    assert not runners.is_dead(runners.new_name())


@pytest.mark.usefixtures("windows")
def test_workers_are_refused_with_a_sentence() -> None:
    with pytest.raises(NexusError, match="Windows cannot"):
        workers.run_workers(ROOT, Overrides(), 2, print)


@pytest.mark.usefixtures("windows")
def test_colours_only_in_terminals_of_windows_that_know_them() -> None:
    assert not logs.takes_colour(sys.__stdout__, {})
    assert "WT_SESSION" not in os.environ or logs.takes_colour(sys.__stdout__, os.environ) is sys.__stdout__.isatty()


# --- the scripts of Windows


def test_start_cmd() -> None:
    data = (ROOT / "start.cmd").read_bytes()
    assert data.isascii()
    text = data.decode()
    assert text.count("\r\n") == text.count("\n"), "a batch file with bare line feeds loses its labels"
    labels = set(re.findall(r"^:(\w+)", text, re.MULTILINE))
    assert set(re.findall(r"(?:goto |call :)(\w+)", text)) | {"install", "find"} == labels
    for before in re.findall(r"(.)%(?:HERE|BIN|INSTALLED)%", text):
        assert before in '"=', "such a path breaks in a folder with a space"
    for word in ('"HERE=%~dp0"', "chcp 65001", "-m venv", "constraints.txt", "codex-nexus.exe", "(3, 11)"):
        assert word in text


def test_start_ps1() -> None:
    text = (ROOT / "start.ps1").read_bytes().decode("ascii")
    for opened, closed in ("{}", "()", "[]"):
        assert text.count(opened) == text.count(closed)
    assert "Set-Location" not in text, "the caller's folder would be another afterwards"
    for word in ("$PSScriptRoot", "-m venv", "constraints.txt", "exit $LASTEXITCODE", "(3, 11)"):
        assert word in text


def test_git_keeps_the_line_ends_of_windows() -> None:
    kept = (ROOT / ".gitattributes").read_text("ascii").splitlines()
    assert {"*.cmd text eol=crlf", "*.ps1 text eol=crlf"} <= set(kept)
