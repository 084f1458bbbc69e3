"""Keys that never show themselves, and the references that may stand in their place."""

from __future__ import annotations

import importlib
import os
import re
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


_QUOTES = re.compile(r"""^["'\u201c\u201d\u2018\u2019]+|["'\u201c\u201d\u2018\u2019]+$""")
_BEARER = re.compile(r"^Bearer\s+", re.IGNORECASE)
_FOREIGN = re.compile(r"[^\x21-\x7e]")


def tidied(text: str) -> str:
    """A key as it was meant, without what comes along when one is copied. The panel does the same while one types."""
    bare = _QUOTES.sub("", text.replace("\ufeff", "").strip())
    return re.sub(r"\s+", "", _BEARER.sub("", bare))


def has_foreign_signs(key: str) -> bool:
    """Whether something stands in it that no key has: letters beyond ASCII, signs that cannot be seen."""
    return _FOREIGN.search(key) is not None


def _from_keyring(name: str) -> str:
    try:
        keyring: Any = importlib.import_module("keyring")
        return str(keyring.get_password("codex-nexus", name) or "")
    except Exception:  # noqa: BLE001 - a keyring back end may raise anything; no key is what follows either way
        return ""
