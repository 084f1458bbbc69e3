"""Which program holds a port of this machine, as far as this user may see it."""

from __future__ import annotations

import contextlib
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

_PROC = Path("/proc")
_LISTENING = "0A"
_PATIENCE_S = 3


def holder_of(port: int) -> str:
    """Its name and process (`python3, process 4711`); empty when it cannot be known."""
    with contextlib.suppress(OSError, ValueError, subprocess.SubprocessError):
        if sys.platform == "win32":
            return _on_windows(port)
        return _from_proc(port) if (_PROC / "net" / "tcp").exists() else _from_lsof(port)
    return ""


def _from_proc(port: int) -> str:
    """Linux tells the sockets of all, and the open files of our own processes."""
    wanted = {f"socket:[{inode}]" for inode in _inodes(port)}
    for process in _PROC.glob("[0-9]*"):
        with contextlib.suppress(OSError):  # a process of another user, or one that has ended
            if any(_target(file) in wanted for file in (process / "fd").iterdir()):
                return f"{(process / 'comm').read_text().strip()}, process {process.name}"
    return ""


def _inodes(port: int) -> Iterator[str]:
    for name in ("tcp", "tcp6"):
        table = _PROC / "net" / name
        for line in table.read_text().splitlines()[1:] if table.exists() else ():
            fields = line.split()
            if fields[3] == _LISTENING and int(fields[1].rpartition(":")[2], 16) == port:
                yield fields[9]


def _target(file: Path) -> str:
    try:
        return str(file.readlink())
    except OSError:
        return ""


def _from_lsof(port: int) -> str:
    said = _said("lsof", "-nP", f"-iTCP:{port}", "-sTCP:LISTEN", "-Fpc")
    found = re.search(r"^p(\d+)\nc(.+)$", said, re.MULTILINE)
    return f"{found[2]}, process {found[1]}" if found else ""


def _on_windows(port: int) -> str:
    # the word for LISTENING is translated, the far end of a listener (port 0) is not
    found = re.search(rf"^\s*TCP\s+\S+:{port}\s+\S+:0\s+\S+\s+(\d+)\s*$", _said("netstat", "-ano"), re.MULTILINE)
    if found is None:
        return ""
    name = re.match(r'"([^"]+)"', _said("tasklist", "/FI", f"PID eq {found[1]}", "/FO", "CSV", "/NH").strip())
    return f"{name[1] if name else 'a program'}, process {found[1]}"


def _said(*command: str) -> str:
    program = shutil.which(command[0])
    if program is None:
        return ""
    ran = subprocess.run(  # noqa: S603 - a system's own tool, with a number of ours
        [program, *command[1:]], capture_output=True, timeout=_PATIENCE_S, check=False
    )
    return ran.stdout.decode("utf-8", "replace").replace("\r\n", "\n")
