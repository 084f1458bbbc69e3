"""Our part on the disk of a Codex home: written with a backup and in one step, taken away without a trace."""

from __future__ import annotations

import contextlib
import json
import os
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NoReturn

import msgspec
from msgspec import Struct

from codex_nexus.codex_home import config_toml
from codex_nexus.codex_home.wish import PROFILE, Refused, Wish
from codex_nexus.errors import ConfigError

_BACKUPS = 10
_TRIES = 3
_INSTEAD = "`codex-nexus run -- codex` works without writing anything"

Turn = Callable[[str | None], str | None]
"""The text of a file, or None where there is none -> what it becomes."""


class Place(Struct, frozen=True):
    """A Codex home, and where copies of its files go before they change; None: no copies."""

    folder: Path
    backups: Path | None

    @property
    def config(self) -> Path:
        """Codex's own configuration."""
        return self.folder / "config.toml"

    @property
    def profile(self) -> Path:
        """What `codex -p nexus` reads on top of it."""
        return self.folder / f"{PROFILE}.config.toml"

    @property
    def auth(self) -> Path:
        """Codex's credentials."""
        return self.folder / "auth.json"


class Change(Struct, frozen=True):
    """A file that changed; the diff is for a person, its tokens masked."""

    path: Path
    diff: str


class Ejected(Struct):
    """What eject did, and what a person must still do."""

    changes: list[Change]
    problems: list[ConfigError]
    notes: list[str]


def codex_folder(environ: Mapping[str, str] | None = None) -> Path:
    """`CODEX_HOME`, or `~/.codex`."""
    named = (os.environ if environ is None else environ).get("CODEX_HOME")
    return Path(named).expanduser() if named else Path.home() / ".codex"


def codex_lives_here() -> bool:
    """Whether there is a Codex home; a folder that cannot be looked at counts as none."""
    try:
        return codex_folder().is_dir()
    except (OSError, RuntimeError):
        return False


def apply(place: Place, wish: Wish, *, create: bool = False, dry: bool = False) -> list[Change]:
    """Writes our part; nothing is written when nothing changes or when one of the files cannot be edited.

    Args:
        place: the Codex home.
        wish: our part.
        create: make the folder when there is none; otherwise a missing folder means that nobody uses Codex here.
        dry: only tell what would change.

    Raises:
        ConfigError: a file cannot be edited, read or written.
    """
    missing = not os.path.lexists(place.folder)
    if missing and not create:
        return []
    _check_folder(place.folder)

    def turn_config(text: str | None) -> str:
        return config_toml.plan(text, wish, made_folder=missing).text

    def turn_profile(text: str | None) -> str:
        return config_toml.plan(text, msgspec.structs.replace(wish, switch_default=True)).text

    turns: list[tuple[Path, Turn]] = [(place.config, turn_config), (place.profile, turn_profile)]
    planned = [change for path, turn in turns if (change := _edit(path, turn, None, dry=True))]
    if dry:
        return planned
    if missing:
        with _sentences(place.folder):
            place.folder.mkdir(mode=0o700, parents=True)
    changes = [change for path, turn in turns if (change := _edit(path, turn, place.backups))]
    if wish.auth_json and _write_auth(place.auth, wish.token):
        changes.append(Change(place.auth, "+ an API key for Codex: the local access token"))
    return changes


def eject(place: Place) -> Ejected:
    """Takes our part away; every file for itself, so that one that is broken keeps none of the others."""
    done = Ejected([], [], [])
    if not place.folder.is_dir():
        return done
    tokens, made = _remembered(place)
    for path in (place.config, place.profile):
        try:
            change = _edit(path, lambda text: None if text is None else config_toml.undo(text), place.backups)
        except ConfigError as error:
            done.problems.append(error)
        else:
            done.changes += [change] if change else []
    with contextlib.suppress(OSError):
        if place.auth.read_bytes() in [_auth(token) for token in tokens]:
            place.auth.unlink()
            done.changes.append(Change(place.auth, "- the local access token"))
    done.notes = _stranded(place)
    if made:
        with contextlib.suppress(OSError):
            place.folder.rmdir()
    return done


def points_at(place: Place) -> str:
    """The address of the gateway that Codex's configuration names; empty when it names none or cannot be read."""
    with contextlib.suppress(ConfigError, Refused):
        return config_toml.address_in(_text(_bytes(place.config), place.config) or "")
    return ""


# --- one file


def _edit(path: Path, turn: Turn, backups: Path | None, *, dry: bool = False) -> Change | None:
    """Turns the file at `path`; once more when somebody else wrote it meanwhile."""
    for _ in range(_TRIES):
        data = _bytes(path)
        before = _text(data, path)
        try:
            after = turn(before)
        except Refused as error:
            raise ConfigError(str(path), [error.message]) from None
        if after == before:
            return None
        change = Change(path, config_toml.difference(before or "", after or ""))
        if dry:
            return change
        with _sentences(path):
            if data is not None and backups is not None:
                _back_up(backups, path.name, data)
            if _bytes(path) == data:
                _put(path, after)
                return change
    raise ConfigError(str(path), ["another program keeps writing it; try again."])


def _bytes(path: Path) -> bytes | None:
    if path.is_dir():
        raise ConfigError(str(path), ["a folder stands where Codex's file should be."])
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise ConfigError(str(path), [f"it cannot be read: {error.strerror or error}."]) from None


def _text(data: bytes | None, path: Path) -> str | None:
    try:
        return None if data is None else data.decode("utf-8")
    except UnicodeDecodeError as error:
        line = (data or b"").count(b"\n", 0, error.start) + 1
        raise ConfigError(str(path), [f"line {line}: it is no UTF-8 text, so it was not touched."]) from None


def _put(path: Path, text: str | None) -> None:
    """Replaces the file in one step; a link stays a link, mode and owner stay what they are."""
    target = Path(os.path.realpath(path))
    if text is None:
        target.unlink()
        return
    handle, name = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(text.encode("utf-8"))
            file.flush()
            os.fsync(file.fileno())
        with contextlib.suppress(FileNotFoundError):
            _dress_as(Path(name), target.stat())
        Path(name).replace(target)
    except BaseException:
        with contextlib.suppress(OSError):
            Path(name).unlink()
        raise


def _dress_as(path: Path, like: os.stat_result) -> None:
    if hasattr(os, "chown"):
        with contextlib.suppress(OSError):  # only root gives files away
            os.chown(path, like.st_uid, like.st_gid)
    path.chmod(like.st_mode & 0o7777)


def _back_up(folder: Path, name: str, data: bytes) -> None:
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    now = time.time_ns()
    stamp = time.strftime("%Y%m%d-%H%M%S", time.localtime(now // 10**9))
    copy = folder / f"{name}.{stamp}.{now % 10**9:09d}"
    with os.fdopen(os.open(copy, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(data)
    for old in sorted(folder.glob(f"{name}.*"))[:-_BACKUPS]:
        old.unlink(missing_ok=True)


@contextlib.contextmanager
def _sentences(path: Path):  # noqa: ANN202 - a context manager of nothing
    """Turns what the system says into a sentence about this file."""
    try:
        yield
    except OSError as error:
        _complain(path, error)


def _complain(path: Path, error: OSError) -> NoReturn:
    where = f" ({error.filename})" if error.filename and str(error.filename) != str(path) else ""
    raise ConfigError(str(path), [f"it cannot be written: {error.strerror or error}{where}; {_INSTEAD}."]) from None


def _check_folder(folder: Path) -> None:
    if os.path.lexists(folder) and not folder.is_dir():
        raise ConfigError(str(folder), ["Codex's home is no folder; see CODEX_HOME."])


# --- the other files, and what is left behind


def _auth(token: str) -> bytes:
    return json.dumps({"OPENAI_API_KEY": token}, indent=2).encode() + b"\n"


def _write_auth(path: Path, token: str) -> bool:
    """Writes auth.json when there is none, not even a dangling link."""
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return False
    except OSError as error:
        _complain(path, error)
    with os.fdopen(handle, "wb") as file:
        file.write(_auth(token))
    return True


def _remembered(place: Place) -> tuple[list[str], bool]:
    """Our tokens in the files, and whether the folder was made by us."""
    tokens: list[str] = []
    made = False
    for path in (place.config, place.profile):
        with contextlib.suppress(ConfigError, Refused):
            text = _text(_bytes(path), path) or ""
            tokens.append(config_toml.token_in(text))
            made = made or config_toml.made_folder(text)
    return [token for token in tokens if token], made


def _stranded(place: Place) -> list[str]:
    """Profiles of the user that name our provider, which Codex can no longer find."""
    if points_at(place):
        return [f"{place.config} keeps a provider codex-nexus that you wrote yourself."]
    notes: list[str] = []
    for path in sorted(place.folder.glob("*.config.toml")):
        with contextlib.suppress(ConfigError, Refused):
            if config_toml.is_stranded(_text(_bytes(path), path) or ""):
                notes.append(f"{path} still names the provider codex-nexus; take its model_provider line out.")
    return notes
