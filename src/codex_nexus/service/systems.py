"""The service in the words of each system: a systemd user unit, a launchd agent, a task of the Windows scheduler.

Sources: `systemd.service(5)` and `systemd.exec(5)`; `launchd.plist(5)` and `launchctl(1)`; Microsoft's Task Scheduler
schema. Writes and runs nothing; that is `unit`.
"""

from __future__ import annotations

import plistlib
import subprocess
from collections.abc import Mapping
from pathlib import Path
from xml.sax.saxutils import escape

from msgspec import Struct

from codex_nexus.errors import NexusError

NAME = "codex-nexus"
_KEPT = ("CODEX_NEXUS_HOME", "CODEX_HOME")
"""Variables of the caller that the service needs as well."""
_WORDS = ("-m", "codex_nexus", "serve")

Command = tuple[str, ...]


class Unit(Struct, frozen=True):
    """One service, in the words of one system."""

    path: Path
    text: str
    start: tuple[Command, ...]
    """What makes it run once the file is there."""
    stop: tuple[Command, ...]
    """What ends it while the file is still there."""
    status: Command
    """Succeeds when it runs."""
    halt: tuple[Command, ...] = ()
    """What ends an earlier one before `start`; it may fail, for there may be none."""
    reload: tuple[Command, ...] = ()
    """What the system must be told once the file is gone."""
    note: str = ""
    encoding: str = "utf-8"


class Machine(Struct, frozen=True):
    """What a unit depends on."""

    system: str
    """As `sys.platform` says it."""
    home: Path
    """The folder of our files."""
    user: Path
    """The user's own folder."""
    program: str
    """The Python that has us."""
    environ: Mapping[str, str]
    uid: int = 0


def unit_for(machine: Machine) -> Unit:
    """The service for this system.

    Raises:
        NexusError: we know no service manager there.
    """
    if machine.system == "linux":
        return _systemd(machine)
    if machine.system == "darwin":
        return _launchd(machine)
    if machine.system == "win32":
        return _scheduled(machine)
    raise NexusError(f"There is no service for '{machine.system}' here; start `codex-nexus serve` by your own means.")


def _kept(machine: Machine) -> dict[str, str]:
    return {name: machine.environ[name] for name in _KEPT if machine.environ.get(name)}


def _logged(machine: Machine) -> list[str]:
    """The words for a system that keeps no log itself."""
    return [*_WORDS, "--log-file", str(machine.home / "nexus.log")]


# --- Linux


def _systemd(machine: Machine) -> Unit:
    folder = Path(machine.environ.get("XDG_CONFIG_HOME") or machine.user / ".config") / "systemd" / "user"
    unit = f"{NAME}.service"
    lines = [
        "[Unit]",
        "Description=Codex Nexus, a gateway that lets Codex use other models",
        "",
        "[Service]",
        f"ExecStart={' '.join(map(_systemd_word, [machine.program, *_WORDS]))}",
        *(f"Environment={_systemd_quoted(f'{name}={value}')}" for name, value in _kept(machine).items()),
        f"EnvironmentFile=-{_percent(str(machine.home / 'service.env'))}",
        "ExecReload=/bin/kill -HUP $MAINPID",
        "Restart=on-failure",
        "RestartPreventExitStatus=2",
        "NoNewPrivileges=yes",
        "",
        "[Install]",
        "WantedBy=default.target",
        "",
    ]
    ctl = ("systemctl", "--user")
    return Unit(
        folder / unit,
        "\n".join(lines),
        ((*ctl, "daemon-reload"), (*ctl, "enable", unit), (*ctl, "restart", unit)),
        ((*ctl, "disable", "--now", unit),),
        (*ctl, "--no-pager", "status", unit),
        reload=((*ctl, "daemon-reload"), (*ctl, "reset-failed", unit)),
        note="Log: journalctl --user -u codex-nexus. It does not see the variables of your shell: keys written as\n"
        f"env:NAME belong into {machine.home / 'service.env'}, as NAME=value. To start without a login: "
        "loginctl enable-linger",
    )


def _systemd_word(text: str) -> str:
    return _systemd_quoted(text.replace("$", "$$"))


def _systemd_quoted(text: str) -> str:
    text = _percent(text).replace("\\", "\\\\").replace('"', '\\"')
    return f'"{text}"'


def _percent(text: str) -> str:
    return text.replace("%", "%%")


# --- macOS


def _launchd(machine: Machine) -> Unit:
    path = machine.user / "Library" / "LaunchAgents" / f"{NAME}.plist"
    text = plistlib.dumps(
        {
            "Label": NAME,
            "ProgramArguments": [machine.program, *_logged(machine)],
            "EnvironmentVariables": _kept(machine),
            "RunAtLoad": True,
            "KeepAlive": {"SuccessfulExit": False},
            "ThrottleInterval": 30,
            "ProcessType": "Interactive",
        },
        sort_keys=False,
    ).decode()
    domain = f"gui/{machine.uid}"
    return Unit(
        path,
        text,
        (("launchctl", "enable", f"{domain}/{NAME}"), ("launchctl", "bootstrap", domain, str(path))),
        (("launchctl", "bootout", f"{domain}/{NAME}"),),
        ("launchctl", "print", f"{domain}/{NAME}"),
        halt=(("launchctl", "bootout", f"{domain}/{NAME}"),),
        note=_seen_not(machine),
    )


def _seen_not(machine: Machine) -> str:
    return (
        f"Log: {machine.home / 'nexus.log'}. The service does not see the variables of your shell: write keys into "
        "config.json or the keyring (keyring:NAME)."
    )


# --- Windows

_TASK = """\
<?xml version="1.0" encoding="UTF-16"?>
<Task version="1.2" xmlns="http://schemas.microsoft.com/windows/2004/02/mit/task">
  <RegistrationInfo>
    <Description>Codex Nexus, a gateway that lets Codex use other models</Description>
  </RegistrationInfo>
  <Triggers>
    <LogonTrigger>
      <Enabled>true</Enabled>
      <UserId>{user}</UserId>
    </LogonTrigger>
  </Triggers>
  <Principals>
    <Principal id="Author">
      <UserId>{user}</UserId>
      <LogonType>InteractiveToken</LogonType>
      <RunLevel>LeastPrivilege</RunLevel>
    </Principal>
  </Principals>
  <Settings>
    <MultipleInstancesPolicy>IgnoreNew</MultipleInstancesPolicy>
    <DisallowStartIfOnBatteries>false</DisallowStartIfOnBatteries>
    <StopIfGoingOnBatteries>false</StopIfGoingOnBatteries>
    <ExecutionTimeLimit>PT0S</ExecutionTimeLimit>
    <RestartOnFailure>
      <Interval>PT1M</Interval>
      <Count>3</Count>
    </RestartOnFailure>
  </Settings>
  <Actions Context="Author">
    <Exec>
      <Command>{command}</Command>
      <Arguments>{arguments}</Arguments>
    </Exec>
  </Actions>
</Task>
"""


def _scheduled(machine: Machine) -> Unit:
    path = machine.home / "service.xml"
    program = machine.program.removesuffix("python.exe")
    windowless = f"{program}pythonw.exe" if program != machine.program else machine.program
    user = "\\".join(filter(None, (machine.environ.get("USERDOMAIN"), machine.environ.get("USERNAME"))))
    arguments = subprocess.list2cmdline(_logged(machine))
    text = _TASK.format(user=escape(user), command=escape(windowless), arguments=escape(arguments))
    return Unit(
        path,
        text,
        (("schtasks", "/Create", "/F", "/TN", NAME, "/XML", str(path)), ("schtasks", "/Run", "/TN", NAME)),
        (("schtasks", "/End", "/TN", NAME), ("schtasks", "/Delete", "/F", "/TN", NAME)),
        ("schtasks", "/Query", "/V", "/FO", "LIST", "/TN", NAME),
        halt=(("schtasks", "/End", "/TN", NAME),),
        note=f"{_seen_not(machine)} CODEX_NEXUS_HOME and CODEX_HOME must be set for your account, if you use them.",
        encoding="utf-16",
    )
