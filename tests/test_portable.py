"""What runs where POSIX is not: start scripts, the container's files, and the program with POSIX-only calls taken away."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import urllib.request
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[1]
PATIENCE = 60.0

POISON = """
import asyncio, importlib, os, pkgutil, signal, sys
from asyncio import base_events, unix_events

def none_here(*_args, **_kwargs):
    raise NotImplementedError("not on this system")

unix_events._UnixSelectorEventLoop.add_signal_handler = none_here
for name in ("chown", "fchmod", "fchown", "fork", "getegid", "geteuid", "getgid", "getpgid", "getuid", "killpg", "lchown",
             "setsid", "statvfs", "sysconf", "uname", "O_DIRECTORY", "O_NOFOLLOW"):
    if hasattr(os, name):
        delattr(os, name)
for name in ("SIGHUP", "SIGKILL", "SIGQUIT", "SIGUSR1", "SIGUSR2", "SIGCHLD", "SIGALRM"):
    delattr(signal, name)
for name in ("fcntl", "grp", "pwd", "resource", "termios"):
    sys.modules[name] = None
"""
IMPORT_ALL = """
import codex_nexus
for found in pkgutil.walk_packages(codex_nexus.__path__, "codex_nexus."):
    if found.name not in ("codex_nexus.__main__", "codex_nexus.sessions.postgres"):
        importlib.import_module(found.name)
"""
RUN = "\nfrom codex_nexus.cli import main\nsys.exit(main(sys.argv[1:]))\n"


def environ(folder: Path) -> dict[str, str]:
    """Nothing of the real user's, and the output of a legacy code page."""
    homes = {"HOME": folder, "CODEX_NEXUS_HOME": folder / "nexus", "CODEX_HOME": folder / "codex"}
    named = {name: str(value) for name, value in homes.items()}
    (folder / "codex").mkdir(exist_ok=True)
    return {**os.environ, **named, "PYTHONIOENCODING": "cp1252", "PYTHONUTF8": "0", "LC_ALL": "C"}


posix = pytest.mark.skipif(sys.platform == "win32", reason="there is nothing to take away")


@posix
def test_everything_can_be_imported(tmp_path: Path) -> None:
    command = [sys.executable, "-c", POISON + IMPORT_ALL]
    done = subprocess.run(command, check=False, capture_output=True, env=environ(tmp_path), timeout=PATIENCE)
    assert done.returncode == 0, done.stderr.decode()


@posix
def test_it_starts_writes_codexs_files_and_stops(tmp_path: Path) -> None:
    command = [sys.executable, "-c", POISON + RUN, "serve", "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=environ(tmp_path)) as process:
        assert process.stdout is not None
        lines: list[str] = []
        while len(lines) < 3 and (line := process.stdout.readline()):
            lines.append(line.decode())
        found = re.search(r"http://127\.0\.0\.1:\d+", "".join(lines))
        assert found, lines
        with urllib.request.urlopen(f"{found[0]}/healthz", timeout=10) as answer:
            assert answer.status == 200
        process.send_signal(signal.SIGINT)
        rest = process.stdout.read().decode()
        assert process.wait(PATIENCE) == 0, rest
    assert "brought up to date" in "".join(lines)
    assert "Traceback" not in rest
    assert "codex-nexus" in (tmp_path / "codex" / "config.toml").read_text("utf-8")


@posix
@pytest.mark.parametrize(
    "words", [["demo", "--no-codex"], ["doctor", "--offline"], ["inject"], ["eject"], ["check"], ["models", "--scan"]]
)
def test_the_other_verbs(words: list[str], tmp_path: Path) -> None:
    command = [sys.executable, "-c", POISON + RUN, *words]
    done = subprocess.run(command, check=False, capture_output=True, env=environ(tmp_path), timeout=PATIENCE)
    told = (done.stdout + done.stderr).decode("utf-8")
    assert done.returncode in (0, 1), told
    assert "Traceback" not in told
    if words[0] == "demo":
        assert "你好" in told


# --- the scripts of Windows


def test_start_cmd() -> None:
    data = (ROOT / "start.cmd").read_bytes()
    assert data.isascii()
    text = data.decode()
    assert text.count("\r\n") == text.count("\n"), "a batch file with bare line feeds loses its labels"
    labels = set(re.findall(r"^:(\w+)", text, re.MULTILINE))
    assert set(re.findall(r"goto (\w+)", text)) == labels
    for word in ('cd /d "%~dp0"', "chcp 65001", "-m venv .venv", "constraints.txt", "codex-nexus.exe"):
        assert word in text


def test_start_ps1() -> None:
    text = (ROOT / "start.ps1").read_text("ascii")
    assert text.count("{") == text.count("}")
    assert text.count("(") == text.count(")")
    for word in ("$PSScriptRoot", "UTF8", "-m venv .venv", "constraints.txt", "exit $LASTEXITCODE"):
        assert word in text


# --- the container


def instructions() -> list[tuple[str, str]]:
    """The Dockerfile's instructions, continued lines joined."""
    text = re.sub(r"\\\n\s*", "", (ROOT / "Dockerfile").read_text("utf-8"))
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    return [(name, rest) for name, _, rest in (line.partition(" ") for line in lines)]


def test_the_image_is_not_root_and_tells_its_health() -> None:
    told = dict(instructions())
    assert [name for name, _ in instructions()].index("USER") > [name for name, _ in instructions()].index("RUN")
    assert told["USER"] not in ("root", "0")
    assert told["VOLUME"] == "/data"
    assert "CODEX_NEXUS_HOME=/data" in told["ENV"]
    assert "/healthz" in told["HEALTHCHECK"]
    assert "curl" not in told["HEALTHCHECK"]
    assert '"--host", "0.0.0.0"' in told["CMD"]


def test_what_the_image_copies_is_let_through() -> None:
    allowed = (ROOT / ".dockerignore").read_text("utf-8").split()
    for name, rest in instructions():
        if name == "COPY":
            for source in rest.split()[:-1]:
                assert (ROOT / source).exists()
                assert f"!{source}" in allowed


def compose() -> dict[str, Any]:
    return yaml.safe_load((ROOT / "compose.yaml").read_text("utf-8"))


def test_compose_starts_the_gateway_alone_and_opens_it_to_this_machine_only() -> None:
    services = compose()["services"]
    alone = [name for name, service in services.items() if "profiles" not in service]
    assert alone == ["gateway"]
    assert services["gateway"]["ports"] == ["${NEXUS_LISTEN:-127.0.0.1:5800}:5800"]
    assert services["database"]["profiles"] == ["postgres"]
    assert "ports" not in services["database"]
    volumes = {mount.partition(":")[0] for service in services.values() for mount in service["volumes"]}
    assert volumes == set(compose()["volumes"])


# --- what is run elsewhere


def test_the_workflow_knows_every_system_and_calls_the_verbs() -> None:
    told = yaml.safe_load((ROOT / ".github/workflows/test.yml").read_text("utf-8"))
    matrix = told["jobs"]["test"]["strategy"]["matrix"]
    assert [name.partition("-")[0] for name in matrix["os"]] == ["ubuntu", "macos", "windows"]
    assert matrix["python"] == ["3.11", "3.12", "3.13", "3.14"]
    runs = [step.get("run", "") for step in told["jobs"]["test"]["steps"]]
    assert any("make test" in run for run in runs)
    for path in re.findall(r"tests/\w+", " ".join(runs)):
        assert (ROOT / path).exists()


@pytest.mark.parametrize("form", sorted((ROOT / ".github/ISSUE_TEMPLATE").glob("*.yml")), ids=lambda path: path.stem)
def test_the_forms_are_valid(form: Path) -> None:
    told = yaml.safe_load(form.read_text("utf-8"))
    if form.stem == "config":
        return
    assert {"name", "description", "body"} <= set(told)
    ids = [part["id"] for part in told["body"] if part["type"] != "markdown"]
    assert len(ids) == len(set(ids))
    assert all(part["attributes"].get("label") or part["type"] == "markdown" for part in told["body"])
