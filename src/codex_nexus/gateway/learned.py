"""What refusals taught, kept in `learned.json` of the home folder: context windows, and how not to be refused again.

What a provider says when a prompt is too long is truer than any table, so a window stays until another is told. A
repair (see translate/healing) is remembered as its name, not as a dialect, so that changed data take effect at once,
for the address that refused, and for a week: providers change.

The file is shared by all processes of a machine: who learns reads it again and adds to it, the others see that it has
changed. Two that learn in the same instant may lose one lesson, which then costs one more refusal. Who deletes the file
makes all of them forget.
"""

from __future__ import annotations

import json
import logging
import os
import time
from pathlib import Path
from typing import Any
from zlib import crc32

import msgspec
from msgspec import Struct

from codex_nexus.config.file import write_private
from codex_nexus.routing import Destination
from codex_nexus.translate.faults import Fault, window_in
from codex_nexus.translate.healing import after, described, lasting, needed
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


class _Lessons(Struct, frozen=True):
    """All that is in the file, by `provider/model`."""

    windows: dict[str, int] = {}
    repairs: dict[str, Repairs] = {}


_Mark = tuple[int, int, int] | None
"""What tells one state of the file from another; None: there is none."""


class Learned:
    """Windows and repairs by `provider/model`."""

    def __init__(self, home: Path | None) -> None:
        self._path = None if home is None else home / FILE
        self._mark = _mark(self._path)
        self._lessons = _read(self._path)

    @property
    def version(self) -> str:
        """Changes whenever a window was learned or who sees no images; the same in all processes that know the same."""
        known = self._current()
        blind = sorted(name for name, repairs in known.repairs.items() if "strip_images" in repairs.heals)
        told = sorted(known.windows.items()), blind
        return f"{crc32(repr(told).encode()):x}" if any(told) else "0"

    def window(self, name: str) -> int | None:
        """Tokens, or None."""
        return self._current().windows.get(name)

    def learn_window(self, name: str, fault: Fault) -> None:
        """Remembers the window that this refusal tells, if it tells one."""
        window, known = window_in(fault), self._current()
        if window is None or window < _SMALLEST or known.windows.get(name) == window:
            return
        log.info("%s holds %d tokens, as its refusal says", name, window)
        self._write(_Lessons({**known.windows, name: window}, known.repairs))

    def applied(self, destination: Destination) -> Destination:
        """The destination in the words that its provider did not refuse."""
        known = self._current().repairs.get(destination.name)
        if known is None or known.at != destination.provider.base_url or known.until < time.time():
            return destination
        return msgspec.structs.replace(destination, dialect=after(destination.dialect, known.heals))

    def learn_repairs(self, destination: Destination, heals: list[str]) -> None:
        """Remembers what made a refused request good.

        Args:
            destination: as the data describe it, without any repair.
            heals: what was changed, in order, beside what is remembered already.
        """
        fresh = lasting(heals)
        if not fresh:
            return
        known, name, at = self._current(), destination.name, destination.provider.base_url
        before, now = known.repairs.get(name), time.time()
        old = before.heals if before is not None and before.at == at and before.until >= now else ()
        heals_now = needed(destination.dialect, (*old, *fresh))
        log.warning("%s: repaired, and so for a week: %s", name, "; ".join(map(described, heals_now)))
        self._write(_Lessons(known.windows, {**known.repairs, name: Repairs(heals_now, at, now + _WEEK_S)}))

    def repairs(self) -> dict[str, Repairs]:
        """What is remembered and not yet over."""
        return _lasting(self._current())

    def _current(self) -> _Lessons:
        """What is known, also to other processes."""
        mark = _mark(self._path)
        if mark != self._mark:
            self._mark, self._lessons = mark, _read(self._path)
        return self._lessons

    def _write(self, lessons: _Lessons) -> None:
        self._lessons = lessons
        if self._path is None:
            return
        repairs = {
            name: {"heals": list(known.heals), "at": known.at, "until": round(known.until)}
            for name, known in _lasting(lessons).items()
        }
        try:
            text = json.dumps({"windows": lessons.windows, "repairs": repairs}, indent=2)
            write_private(self._path, text.encode() + b"\n")
        except OSError as error:
            log.warning("%s cannot be written: %s", self._path, error.strerror)
        self._mark = _mark(self._path)


def _lasting(lessons: _Lessons) -> dict[str, Repairs]:
    now = time.time()
    return {name: known for name, known in lessons.repairs.items() if known.until >= now}


def _mark(path: Path | None) -> _Mark:
    if path is None:
        return None
    try:
        said = os.stat(path)  # noqa: PTH116 - asked once for every request, and twice as fast
    except OSError:
        return None
    return said.st_mtime_ns, said.st_size, said.st_ino


def _read(path: Path | None) -> _Lessons:
    try:
        value: Any = json.loads(path.read_text("utf-8")) if path is not None else {}
    except (OSError, ValueError):
        return _Lessons()
    fields = codec.as_object(value) or {}
    windows = codec.as_object(fields.get("windows")) or {}
    repairs: dict[str, Repairs] = {}
    for name, known in (codec.as_object(fields.get("repairs")) or {}).items():
        try:
            repairs[name] = msgspec.convert(known, Repairs)
        except msgspec.ValidationError:
            continue
    return _Lessons({name: size for name, size in windows.items() if isinstance(size, int)}, repairs)
