"""A command in a terminal of a given width, as a person sees it."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import struct
import subprocess
import termios
from collections.abc import Mapping
from dataclasses import dataclass

_CONTROL = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
_COLOUR = re.compile(r"\x1b\[[0-9;]*\b3[0-7]m")

_TAKEN_BACK = re.compile(r"[^\n]*\n(?:\x1b\[\?25h)?\r?\x1b\[1A\x1b\[2K")


@dataclass(frozen=True)
class Seen:
    """What went to the terminal.

    Attributes:
        lines: what stands there in the end, without colours.
        raw: every character.
        status: exit code.
    """

    lines: list[str]
    raw: str
    status: int

    @property
    def coloured(self) -> bool:
        """Whether any colour was used."""
        return _COLOUR.search(self.raw) is not None


def in_terminal(command: list[str], columns: int, environ: Mapping[str, str]) -> Seen:
    """Runs the command to its end."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))
    process = subprocess.Popen(command, env={**environ, "TERM": "xterm"}, stdin=theirs, stdout=theirs, stderr=theirs)
    os.close(theirs)
    data = b""
    try:
        while piece := os.read(ours, 65536):
            data += piece
    except OSError:  # the other end is closed
        pass
    finally:
        os.close(ours)
    raw = data.decode()
    # A living line is taken away before what stays is written over it; the last one after a line feed.
    stays = _TAKEN_BACK.sub("", raw)
    lines = [_CONTROL.sub("", line.rpartition("\x1b[2K")[2]).strip("\r") for line in stays.split("\n")]
    return Seen(lines, raw, process.wait(10))
