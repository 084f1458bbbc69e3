"""What refusals taught, kept in `learned.json` of the home folder: context windows, and how not to be refused again.

What a provider says when a prompt is too long is truer than any table, so a window stays until another is told. A
repair (see translate/healing) is remembered as its name, not as a dialect, so that changed data take effect at once,
for the address that refused, and for a week: providers change.
"""

from __future__ import annotations

import json
import logging
import time
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct

from codex_nexus.config.file import write_private
from codex_nexus.routing import Destination
from codex_nexus.translate.faults import Fault, window_in
from codex_nexus.translate.healing import healed
from codex_nexus.wire import codec

log = logging.getLogger("codex_nexus.models")

FILE = "learned.json"
_SMALLEST = 1024
_WEEK_S = 7 * 24 * 3600


class Repairs(Struct, frozen=True):
    """How to speak to one model: what to change, in order, at which address, until when (seconds since 1970)."""

    heals: tuple[str, ...]
    at: str
    until: float


class Learned:
    """Windows and repairs by `provider/model`."""

    def __init__(self, home: Path | None) -> None:
        self._path = None if home is None else home / FILE
        self._windows, self._repairs = _read(self._path)
        self.version = len(self._windows)
        """Changes whenever a window was learned."""

    def window(self, name: str) -> int | None:
        """Tokens, or None."""
        return self._windows.get(name)

    def learn_window(self, name: str, fault: Fault) -> None:
        """Remembers the window that this refusal tells, if it tells one."""
        window = window_in(fault)
        if window is None or window < _SMALLEST or self._windows.get(name) == window:
            return
        self._windows[name] = window
        self.version += 1
        log.info("%s holds %d tokens, as its refusal says", name, window)
        self._write()

    def applied(self, destination: Destination) -> Destination:
        """The destination in the words that its provider did not refuse."""
        known = self._repairs.get(destination.name)
        if known is None or known.at != destination.provider.base_url or known.until < time.time():
            return destination
        dialect = destination.dialect
        for heal in known.heals:
            dialect = healed(dialect, heal) or dialect
        return msgspec.structs.replace(destination, dialect=dialect)

    def learn_repairs(self, destination: Destination, heals: list[str]) -> None:
        """Remembers what made a refused request good."""
        before = self._repairs.get(destination.name)
        at, now = destination.provider.base_url, time.time()
        old = before.heals if before is not None and before.at == at and before.until >= now else ()
        lasting = tuple(dict.fromkeys((*old, *(heal for heal in heals if not heal.startswith("retry")))))
        if lasting == old:
            return
        self._repairs[destination.name] = Repairs(lasting, at, now + _WEEK_S)
        log.info("%s: remembered for a week: %s", destination.name, ", ".join(lasting))
        self._write()

    def repairs(self) -> dict[str, Repairs]:
        """What is remembered and not yet over."""
        now = time.time()
        return {name: known for name, known in self._repairs.items() if known.until >= now}

    def _write(self) -> None:
        if self._path is None:
            return
        repairs = {
            name: {"heals": list(known.heals), "at": known.at, "until": round(known.until)}
            for name, known in self.repairs().items()
        }
        try:
            text = json.dumps({"windows": self._windows, "repairs": repairs}, indent=2)
            write_private(self._path, text.encode() + b"\n")
        except OSError as error:
            log.warning("%s cannot be written: %s", self._path, error.strerror)


def _read(path: Path | None) -> tuple[dict[str, int], dict[str, Repairs]]:
    try:
        value: Any = json.loads(path.read_text("utf-8")) if path is not None else {}
    except (OSError, ValueError):
        return {}, {}
    fields = codec.as_object(value) or {}
    windows = codec.as_object(fields.get("windows")) or {}
    repairs: dict[str, Repairs] = {}
    for name, known in (codec.as_object(fields.get("repairs")) or {}).items():
        try:
            repairs[name] = msgspec.convert(known, Repairs)
        except msgspec.ValidationError:
            continue
    return {name: size for name, size in windows.items() if isinstance(size, int)}, repairs
