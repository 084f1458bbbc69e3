"""Our own program and Codex's, as a person on this machine starts them."""

from __future__ import annotations

import shlex
import shutil
import subprocess
import sys
from pathlib import Path

_NAME = "codex-nexus"


def own_command() -> str:
    """What starts our program in any terminal: its name where the PATH leads to it, its path otherwise."""
    if shutil.which(_NAME):
        return _NAME
    script = shutil.which(_NAME, path=str(Path(sys.executable).parent))
    words = [script] if script else [sys.executable, "-m", "codex_nexus"]
    return subprocess.list2cmdline(words) if sys.platform == "win32" else shlex.join(words)


def codex_is_found() -> bool:
    """Whether `codex` is on the PATH; the IDE extension and the App bring their own."""
    return shutil.which("codex") is not None


def first_words(*, fresh: bool) -> list[str]:
    """What the start says to a person beyond the addresses; nothing to one who knows.

    Args:
        fresh: nobody has chosen a provider or given a key yet.
    """
    command = own_command()
    where = f"[nexus] In other terminals codex-nexus is: {command}"
    entry = f"open the control panel, its guide takes a minute (or here: {command} key PROVIDER)"
    guide = f"[web] No provider is set up yet: {entry}."
    return [guide] * fresh + [where] * (command != _NAME)
