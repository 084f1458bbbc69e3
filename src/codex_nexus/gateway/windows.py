"""Context windows learned from refusals: what a provider says when a prompt is too long is truer than any table."""

from __future__ import annotations

import json
import logging
from pathlib import Path

from codex_nexus.config.file import write_private
from codex_nexus.translate.faults import Fault, window_in
from codex_nexus.wire import codec

log = logging.getLogger("codex_nexus.models")

_SMALLEST = 1024


class Windows:
    """Windows by `provider/model`, kept in `learned.json` of the home folder when there is one."""

    def __init__(self, home: Path | None) -> None:
        self._path = None if home is None else home / "learned.json"
        self._windows: dict[str, int] = self._read()
        self.version = len(self._windows)
        """Changes whenever a window was learned."""

    def learned(self, name: str) -> int | None:
        """Tokens, or None."""
        return self._windows.get(name)

    def learn(self, name: str, fault: Fault) -> None:
        """Remembers the window that this refusal tells, if it tells one."""
        window = window_in(fault)
        if window is None or window < _SMALLEST or self._windows.get(name) == window:
            return
        self._windows[name] = window
        self.version += 1
        log.info("%s holds %d tokens, as its refusal says", name, window)
        self._write()

    def _read(self) -> dict[str, int]:
        try:
            value: object = json.loads(self._path.read_text("utf-8")) if self._path is not None else {}
        except (OSError, ValueError):
            return {}
        windows = codec.as_object((codec.as_object(value) or {}).get("windows")) or {}
        return {name: size for name, size in windows.items() if isinstance(size, int)}

    def _write(self) -> None:
        if self._path is None:
            return
        try:
            write_private(self._path, json.dumps({"windows": self._windows}, indent=2).encode() + b"\n")
        except OSError as error:
            log.warning("%s cannot be written: %s", self._path, error.strerror)
