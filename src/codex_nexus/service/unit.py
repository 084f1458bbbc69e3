"""`codex-nexus service install|remove|status`: the gateway as a service of this user; what is written is shown."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from codex_nexus.errors import NexusError
from codex_nexus.service.systems import Command, Machine, Unit, unit_for

_PATIENCE_S = 30

Say = Callable[[str], None]


def this_machine(home: Path) -> Machine:
    """The machine that we run on."""
    uid = os.getuid() if hasattr(os, "getuid") else 0
    return Machine(sys.platform, home.absolute(), Path.home(), sys.executable, os.environ, uid)


def manage(action: str, machine: Machine, say: Say, *, dry: bool) -> int:
    """One of the verbs `install`, `remove`, `status`; gives the exit code.

    Raises:
        NexusError: it cannot be done; nothing new is left behind.
    """
    unit = unit_for(machine)
    if action == "status":
        return _status(unit, say)
    return (_remove if action == "remove" else _install)(unit, say, dry=dry)


def _install(unit: Unit, say: Say, *, dry: bool) -> int:
    """Also over an earlier one, which is ended and started anew."""
    say(f"{unit.path}:\n\n{unit.text}")
    if dry:
        _show(unit.start, say)
        say("Nothing was written (--dry-run).")
        return 0
    fresh = not unit.path.exists()
    _write(unit)
    if not fresh:
        _attempt(unit.halt, say)
    try:
        _insist(unit.start, say)
    except NexusError:
        if fresh:
            unit.path.unlink(missing_ok=True)
            _attempt(unit.reload, say)
        raise
    say("The service is installed and runs; it starts when you log in.")
    if unit.note:
        say(unit.note)
    return 0


def _write(unit: Unit) -> None:
    try:
        unit.path.parent.mkdir(parents=True, exist_ok=True)
        unit.path.write_text(unit.text, unit.encoding)
    except OSError as error:
        raise NexusError(f"{unit.path} cannot be written: {error.strerror or error}.") from None


def _remove(unit: Unit, say: Say, *, dry: bool) -> int:
    if not unit.path.exists():
        say(f"Nothing to do: there is no {unit.path}.")
        return 0
    if dry:
        _show((*unit.stop, *unit.reload), say)
        say(f"{unit.path} would be deleted (--dry-run).")
        return 0
    _attempt(unit.stop, say)
    try:
        unit.path.unlink()
    except OSError as error:
        raise NexusError(f"{unit.path} cannot be deleted: {error.strerror or error}.") from None
    _attempt(unit.reload, say)
    say(f"The service is removed; {unit.path} is deleted.")
    return 0


def _status(unit: Unit, say: Say) -> int:
    if not unit.path.exists():
        say("The service is not installed; `codex-nexus service install` does that.")
        return 1
    code, told = _run(unit.status)
    if code:
        say(f"The service is installed ({unit.path}), but it does not run; `codex-nexus service install` starts it.")
    else:
        say(f"The service is installed ({unit.path}) and runs.")
    if told:
        say(told)
    return 1 if code else 0


def _show(commands: tuple[Command, ...], say: Say) -> None:
    for command in commands:
        say(f"$ {subprocess.list2cmdline(command)}")


def _insist(commands: tuple[Command, ...], say: Say) -> None:
    for command in commands:
        _show((command,), say)
        code, told = _run(command)
        if code:
            line = subprocess.list2cmdline(command)
            raise NexusError(f"The service cannot be started: `{line}` failed ({code}). {told or 'It said nothing.'}")


def _attempt(commands: tuple[Command, ...], say: Say) -> None:
    for command in commands:
        _show((command,), say)
        code, told = _run(command)
        if code:
            say(f"  It failed ({code}): {told or 'it said nothing'}")


def _run(command: Command) -> tuple[int, str]:
    try:
        done = subprocess.run(  # noqa: S603 - one of the commands of `systems`
            command, check=False, capture_output=True, timeout=_PATIENCE_S, stdin=subprocess.DEVNULL
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return 127, str(error)
    page = "oem" if sys.platform == "win32" else "utf-8"
    return done.returncode, (done.stdout + done.stderr).decode(page, "replace").strip()
