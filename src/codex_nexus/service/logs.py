"""The log: lines in colour for a person, JSON lines for a machine, a file that does not grow. Keys never pass."""

from __future__ import annotations

import json
import logging
import os
import sys
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from io import TextIOWrapper
from logging.handlers import RotatingFileHandler
from pathlib import Path
from typing import Any, TextIO

import msgspec

from codex_nexus.errors import NexusError
from codex_nexus.translate.masks import without_keys

_FILE_BYTES = 5_000_000
_FILES = 3
_RESET, _DIM = "\x1b[0m", "\x1b[2m"
_LEVELS = {logging.WARNING: "\x1b[33m", logging.ERROR: "\x1b[31m", logging.CRITICAL: "\x1b[31m"}
_OUTCOMES = {"completed": "\x1b[32m", "incomplete": "\x1b[33m", "failed": "\x1b[31m", "refused": "\x1b[31m"}

_CONTROLS = {code: f"\\x{code:02x}" for code in (*range(32), *range(127, 160))} | {ord("\t"): "\t", ord("\n"): "\n    "}
"""Words of clients and providers stand in the log: they may not steer the terminal nor look like a line of ours."""

_SHORTEST = 6
"""A shorter key would be found in the middle of ordinary words."""

_known: set[str] = set()


def never_tell(secrets: Iterable[str]) -> None:
    """From now on these pass into no line of this process's log, whatever they look like."""
    _known.update(secret for secret in secrets if len(secret) >= _SHORTEST)


def masked(text: str) -> str:
    """The text without anything that is or looks like a key or a token: the last net, under care taken everywhere."""
    return without_keys(text, *sorted(_known, key=len, reverse=True))


class Lines(logging.Formatter):
    """One line a record; on a terminal a turn has the colour of its outcome."""

    def __init__(self, *, colour: bool, day: bool = False) -> None:
        super().__init__("%(asctime)s %(levelname).1s %(message)s", "%Y-%m-%d %H:%M:%S" if day else "%H:%M:%S")
        self._colour = colour

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - overrides the library's
        """The line before its traceback, if there is one."""
        record.message = record.message.translate(_CONTROLS)
        return super().formatMessage(record)

    def format(self, record: logging.LogRecord) -> str:
        """The line, without secrets."""
        text = masked(super().format(record))
        return _coloured(text, record) if self._colour else text


class JsonLines(logging.Formatter):
    """One JSON object a record; a turn's fields stand under `turn`."""

    def format(self, record: logging.LogRecord) -> str:
        """The line, without secrets."""
        fields: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": masked(record.getMessage()),
        }
        turn: Any = getattr(record, "turn", None)
        if turn is not None:
            facts = msgspec.to_builtins(turn)
            fields["turn"] = {name: masked(value) if isinstance(value, str) else value for name, value in facts.items()}
        if record.exc_info:
            fields["traceback"] = masked(self.formatException(record.exc_info))
        return json.dumps(fields, ensure_ascii=False)


def set_up(form: str, file: str, *, debug: bool) -> None:
    """Sends the log of this process to its place.

    Args:
        form: `text` or `json`.
        file: the path of a file that is rotated; empty: stderr.
        debug: whether everything is told.

    Raises:
        NexusError: the file cannot be written.
    """
    handler = _into_file(file) if file else logging.StreamHandler()
    lines = Lines(colour=not file and takes_colour(sys.stderr, os.environ), day=bool(file))
    handler.setFormatter(JsonLines() if form == "json" else lines)
    logging.basicConfig(level=logging.DEBUG if debug else logging.INFO, handlers=[handler], force=True)
    logging.getLogger("asyncio").setLevel(logging.WARNING)


def _into_file(file: str) -> logging.Handler:
    path = Path(file).expanduser()
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        handler = _Private(path, maxBytes=_FILE_BYTES, backupCount=_FILES, encoding="utf-8")
    except OSError as error:
        raise NexusError(f"The log file {path} cannot be written: {error.strerror or error}.") from None
    return handler


class _Private(RotatingFileHandler):
    """Every file of the row is its owner's alone."""

    def _open(self) -> TextIOWrapper:
        handle = os.open(self.baseFilename, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        return TextIOWrapper(os.fdopen(handle, "ab"), encoding="utf-8", errors="replace")


def takes_colour(stream: TextIO | None, environ: Mapping[str, str]) -> bool:
    """Whether this is a terminal that shows colours and whose owner wants them."""
    if stream is None or not stream.isatty() or environ.get("NO_COLOR") or environ.get("TERM") == "dumb":
        return False
    return os.name != "nt" or "WT_SESSION" in environ or "ANSICON" in environ


def _coloured(text: str, record: logging.LogRecord) -> str:
    turn: Any = getattr(record, "turn", None)
    colour = _OUTCOMES.get(turn.status, "") if turn is not None else _LEVELS.get(record.levelno, "")
    stamp, _, rest = text.partition(" ")
    return f"{_DIM}{stamp}{_RESET} {colour}{rest}{_RESET}" if colour else f"{_DIM}{stamp}{_RESET} {rest}"
