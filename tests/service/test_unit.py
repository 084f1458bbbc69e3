"""The service of each system as text, what is run for it, and that `--dry-run` changes nothing."""

from __future__ import annotations

import os
import plistlib
import shutil
import subprocess
import sys
import xml.etree.ElementTree as ET
from collections.abc import Mapping
from pathlib import Path

import pytest

from codex_nexus.errors import NexusError
from codex_nexus.service import unit
from codex_nexus.service.systems import Command, Machine, unit_for
from codex_nexus.service.unit import manage

RUN = "from codex_nexus.cli import main; sys.exit(main(sys.argv[1:]))"
TASK = "{http://schemas.microsoft.com/windows/2004/02/mit/task}"


def machine(system: str, folder: Path, environ: Mapping[str, str] | None = None, program: str = "") -> Machine:
    return Machine(system, folder / "nexus", folder, program or shutil.which("python3") or "", environ or {}, 501)


@pytest.fixture
def ran(monkeypatch: pytest.MonkeyPatch) -> list[Command]:
    """The commands that would have been run."""
    commands: list[Command] = []

    def run(command: Command) -> tuple[int, str]:
        commands.append(command)
        return 0, "fine"

    monkeypatch.setattr(unit, "_run", run)
    return commands


# --- the texts


def test_systemd(tmp_path: Path) -> None:
    made = unit_for(
        machine("linux", tmp_path, {"CODEX_HOME": '/a "b" %h $x', "SECRET": "sk-1"}, "/opt/my py/$a/python")
    )
    assert made.path == tmp_path / ".config/systemd/user/codex-nexus.service"
    assert 'ExecStart="/opt/my py/$$a/python" "-m" "codex_nexus" "serve"' in made.text
    assert 'Environment="CODEX_HOME=/a \\"b\\" %%h $x"' in made.text
    assert f"EnvironmentFile=-{tmp_path / 'nexus' / 'service.env'}" in made.text
    assert "RestartPreventExitStatus=2" in made.text
    assert "sk-1" not in made.text


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="no systemd here")
def test_systemd_itself_finds_nothing_wrong(tmp_path: Path) -> None:
    made = unit_for(machine("linux", tmp_path, {"CODEX_HOME": '/a "b" %h $x'}))
    file = tmp_path / "codex-nexus.service"
    file.write_text(made.text)
    environ = {"PATH": "/usr/bin:/bin", "XDG_RUNTIME_DIR": str(tmp_path), "HOME": str(tmp_path)}
    command = ["systemd-analyze", "--user", "verify", "--man=no", str(file)]
    done = subprocess.run(command, check=False, capture_output=True, text=True, env=environ, timeout=60)
    assert "codex-nexus.service" not in done.stderr, done.stderr


def test_launchd(tmp_path: Path) -> None:
    made = unit_for(machine("darwin", tmp_path, {"CODEX_NEXUS_HOME": "/a&b"}, "/usr/bin/python3"))
    told = plistlib.loads(made.text.encode())
    log = str(tmp_path / "nexus" / "nexus.log")
    assert told["ProgramArguments"] == ["/usr/bin/python3", "-m", "codex_nexus", "serve", "--log-file", log]
    assert told["EnvironmentVariables"] == {"CODEX_NEXUS_HOME": "/a&b"}
    assert told["RunAtLoad"] is True
    assert made.path == tmp_path / "Library/LaunchAgents/codex-nexus.plist"
    assert made.start[-1] == ("launchctl", "bootstrap", "gui/501", str(made.path))
    assert made.halt == made.stop


def test_the_task_scheduler(tmp_path: Path) -> None:
    environ = {"USERDOMAIN": "HOUSE", "USERNAME": "a & b"}
    made = unit_for(machine("win32", tmp_path / "my home", environ, "C:\\my py\\python.exe"))
    root = ET.fromstring(made.text.replace("UTF-16", "UTF-8"))
    found = {name: root.find(f".//{TASK}{name}") for name in ("Command", "Arguments", "UserId", "RunLevel")}
    told = {name: element.text or "" for name, element in found.items() if element is not None}
    assert told["Command"] == "C:\\my py\\pythonw.exe"
    assert told["Arguments"].startswith('-m codex_nexus serve --log-file "')
    assert told["UserId"] == "HOUSE\\a & b"
    assert told["RunLevel"] == "LeastPrivilege"
    assert made.text.encode(made.encoding)[:2] in (b"\xff\xfe", b"\xfe\xff")


def test_an_unknown_system_is_told() -> None:
    with pytest.raises(NexusError, match="plan9"):
        unit_for(machine("plan9", Path()))


# --- the verbs


@pytest.mark.parametrize("system", ["linux", "darwin", "win32"])
def test_install_status_remove(system: str, tmp_path: Path, ran: list[Command]) -> None:
    here, said = machine(system, tmp_path), []
    path = unit_for(here).path
    assert manage("status", here, said.append, dry=False) == 1
    assert manage("install", here, said.append, dry=False) == 0
    assert path.exists()
    assert ran == list(unit_for(here).start)
    assert manage("status", here, said.append, dry=False) == 0
    assert said[-2:] == [f"The service is installed ({path}) and runs.", "fine"]
    ran.clear()
    assert manage("install", here, said.append, dry=False) == 0
    assert ran == [*unit_for(here).halt, *unit_for(here).start]
    assert manage("remove", here, said.append, dry=False) == 0
    assert not path.exists()
    assert manage("remove", here, said.append, dry=False) == 0
    assert "Nothing to do" in said[-1]


@pytest.mark.parametrize("system", ["linux", "darwin", "win32"])
def test_dry_runs_show_and_change_nothing(system: str, tmp_path: Path, ran: list[Command]) -> None:
    here, said = machine(system, tmp_path), []
    assert manage("install", here, said.append, dry=True) == 0
    told = "\n".join(said)
    assert unit_for(here).text in told
    assert all(" ".join(command) in told for command in unit_for(here).start)
    assert not ran
    assert not list(tmp_path.iterdir())


def test_a_command_that_fails_is_told_and_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unit, "_run", lambda _: (1, "no bus"))
    with pytest.raises(NexusError, match="no bus"):
        manage("install", machine("linux", tmp_path), print, dry=False)
    assert not unit_for(machine("linux", tmp_path)).path.exists()


SYSTEMCTL = """#!/bin/sh
# keeps in files what is enabled and what runs; knows only what is there after a daemon-reload
cd "$(dirname "$0")" && echo "$*" >> calls
shift
[ "$1" = --no-pager ] && shift
unit="$XDG_CONFIG_HOME/systemd/user/$2"
[ "$2" = --now ] && unit="$XDG_CONFIG_HOME/systemd/user/$3"
case "$1" in
    daemon-reload) rm -f known; [ -e "$XDG_CONFIG_HOME/systemd/user/codex-nexus.service" ] && touch known; exit 0 ;;
    reset-failed) exit 0 ;;
    status) [ -e runs ] && echo "Active: active (running)" && exit 0; echo "Active: inactive (dead)"; exit 3 ;;
esac
[ -e known ] && [ -e "$unit" ] || { echo "Unit not found." >&2; exit 5; }
case "$1" in
    enable) touch enabled ;;
    restart) touch runs ;;
    disable) rm -f enabled runs ;;
    *) exit 1 ;;
esac
"""


@pytest.mark.skipif(sys.platform == "win32", reason="a shell plays systemctl")
def test_a_whole_life_under_a_systemctl(tmp_path: Path) -> None:
    tools, config = tmp_path / "tools", tmp_path / "config"
    tools.mkdir()
    (tools / "systemctl").write_text(SYSTEMCTL)
    (tools / "systemctl").chmod(0o755)
    homes = {"HOME": str(tmp_path), "XDG_CONFIG_HOME": str(config), "CODEX_NEXUS_HOME": str(tmp_path / "nexus")}
    environ = {**os.environ, **homes, "PATH": f"{tools}:{os.environ['PATH']}"}
    file = config / "systemd/user/codex-nexus.service"

    def service(action: str) -> tuple[int, str]:
        command = [sys.executable, "-c", "import sys; sys.platform = 'linux'\n" + RUN, "service", action]
        done = subprocess.run(command, check=False, capture_output=True, text=True, env=environ, timeout=60)
        assert "Traceback" not in done.stderr
        return done.returncode, done.stdout + done.stderr

    assert service("status")[0] == 1
    for _ in range(2):
        code, told = service("install")
        assert code == 0, told
        assert "ExecStart=" in told
        assert {path.name for path in tools.iterdir()} == {"systemctl", "calls", "known", "enabled", "runs"}
    code, told = service("status")
    assert (code, "and runs" in told, "Active: active" in told) == (0, True, True)
    (tools / "runs").unlink()
    code, told = service("status")
    assert (code, "does not run" in told) == (1, True)
    assert service("remove")[0] == 0
    assert not file.exists()
    assert {path.name for path in tools.iterdir()} == {"systemctl", "calls"}
    assert service("remove")[0] == 0
    assert not (tmp_path / "nexus").exists()

    (tools / "systemctl").write_text("#!/bin/sh\necho 'Failed to connect to bus' >&2\nexit 1\n")
    code, told = service("install")
    assert (code, "Failed to connect to bus" in told) == (1, True)
    assert not file.exists()


def test_a_program_that_is_missing_is_no_traceback() -> None:
    code, told = unit._run(("no-such-program-here",))
    assert code == 127
    assert told
