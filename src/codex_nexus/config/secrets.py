"""Keys that never show themselves, and the references that may stand in their place."""

from __future__ import annotations

import importlib
import os
from collections.abc import Mapping
from typing import Any


class Secret:
    """A key or a reference to one (`env:NAME`, `keyring:NAME`). Only `reveal` gives it away; texts show `***`."""

    __slots__ = ("_written",)

    def __init__(self, written: str = "") -> None:
        self._written = written

    @property
    def written(self) -> str:
        """As it stands in the file. For writing it back, never for a page or a log."""
        return self._written

    @property
    def reference(self) -> str | None:
        """The reference (`env:NAME`), which is no secret, or None."""
        return self._written if self._written.startswith(("env:", "keyring:")) else None

    def __bool__(self) -> bool:
        return bool(self._written)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and self._written == other._written

    def __hash__(self) -> int:
        return hash(self._written)

    def __repr__(self) -> str:
        return f"Secret({self.reference or ('***' if self else '')!r})"

    __str__ = __repr__

    def reveal(self, environ: Mapping[str, str] | None = None) -> str:
        """The key itself; empty when a reference leads nowhere."""
        kind, _, name = self._written.partition(":")
        if kind == "env":
            return (os.environ if environ is None else environ).get(name, "").strip()
        if kind == "keyring":
            return _from_keyring(name) if name else ""
        return self._written.strip()


def _from_keyring(name: str) -> str:
    try:
        keyring: Any = importlib.import_module("keyring")
        return str(keyring.get_password("codex-nexus", name) or "")
    except Exception:  # noqa: BLE001 - a keyring back end may raise anything; no key is what follows either way
        return ""
