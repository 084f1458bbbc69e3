"""The folder of the user's files and the safe way to read and write them."""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import secrets
import tempfile
import time
from pathlib import Path
from typing import Any, cast

from msgspec import Struct

from codex_nexus.config.model import Config, Problems, read_config, written
from codex_nexus.errors import ConfigError

TOKEN_PREFIX = "nexus-"  # noqa: S105 - how a token begins is no secret
"""How our access tokens begin: such a key is never sent to a provider, not even one that this gateway did not make."""


class LoadedConfig(Struct):
    """What a file held."""

    config: Config
    unknown: dict[str, Any]
    problems: Problems
    notes: list[str]
    """Sentences for the person who starts the program; no problem in them stops anything."""


def home_folder() -> Path:
    """`CODEX_NEXUS_HOME`, or `~/.codex-nexus`."""
    named = os.environ.get("CODEX_NEXUS_HOME")
    return Path(named).expanduser() if named else Path.home() / ".codex-nexus"


def load(home: Path, *, look_only: bool = False) -> LoadedConfig:
    """The configuration of this folder; defaults when there is none.

    A file that is no JSON object is set aside under another name, never overwritten; with `look_only` it stays, and
    that is a problem.
    """
    path = home / "config.json"
    try:
        text = path.read_bytes()
    except FileNotFoundError:
        return LoadedConfig(Config(), {}, [], [])
    except OSError as error:
        raise ConfigError(str(path), [f"it cannot be read: {error.strerror}."]) from None
    try:
        raw = json.loads(text.decode("utf-8-sig"))
    except (ValueError, RecursionError) as error:
        return _set_aside(path, str(error), look_only=look_only)
    if not isinstance(raw, dict):
        return _set_aside(path, "it holds no JSON object", look_only=look_only)
    config, unknown, problems = read_config(cast("dict[str, Any]", raw))
    notes: list[str] = []
    if unknown:
        names = ", ".join(unknown)
        notes.append(f"{path} has keys that this version does not know: {names}. They are kept as they are.")
    return LoadedConfig(config, unknown, problems, notes)


def _set_aside(path: Path, why: str, *, look_only: bool) -> LoadedConfig:
    if look_only:
        return LoadedConfig(Config(), {}, [f"it is no valid JSON ({why})."], [])
    aside = _free(path, f"config.broken-{time.strftime('%Y%m%d-%H%M%S')}")
    try:
        path.rename(aside)
    except OSError as error:
        raise ConfigError(
            str(path), [f"it is no valid JSON ({why}) and cannot be set aside: {error.strerror}."]
        ) from None
    note = (
        f"{path} is no valid JSON ({why}). It was set aside as {aside}; the defaults are used until you mend it "
        "and give it its name back."
    )
    return LoadedConfig(Config(), {}, [], [note])


def _free(path: Path, stem: str) -> Path:
    names = (path.with_name(f"{stem}{f'-{n}' if n else ''}.json") for n in itertools.count())
    return next(name for name in names if not name.exists())


def save(home: Path, config: Config, unknown: dict[str, Any]) -> Path:
    """Writes the file atomically with mode 0600; the version before stays beside it as `config.json.bak`.

    Raises:
        ConfigError: the folder cannot be written.
    """
    path = home / "config.json"
    text = json.dumps(written(config, unknown), indent=2, ensure_ascii=False) + "\n"
    try:
        home.mkdir(mode=0o700, parents=True, exist_ok=True)
        if path.exists():
            write_private(path.with_name("config.json.bak"), path.read_bytes())
        write_private(path.resolve(), text.encode())  # a link to a file kept elsewhere stays a link
    except OSError as error:
        raise ConfigError(str(path), [f"it cannot be written: {error.strerror}."]) from None
    return path


def write_private(path: Path, data: bytes) -> None:
    """Replaces a file in one step, readable by its owner alone."""
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        Path(name).replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            Path(name).unlink()
        raise


def new_access_token() -> str:
    """A fresh token for callers."""
    return f"{TOKEN_PREFIX}{secrets.token_urlsafe(24)}"
