r"""The text inside `{"input": "..."}` while it still streams: escapes and `\uD83D\uDE00` pairs may be cut anywhere."""

from __future__ import annotations

import re

import msgspec

_HEAD = re.compile(r'\s*\{\s*"input"\s*:\s*"')
_LONGEST_HEAD = 64
_SURE = re.compile(r'(?:[^"\\]|\\[^u]|\\u[0-9a-fA-F]{4})*', re.DOTALL)
_HALF = re.compile(r"\\u[dD][89abAB][0-9a-fA-F]{2}\Z")


class Unwrapper:
    """Feed fragments of the arguments; each answer is the text that became certain.

    Arguments of any other form give nothing here: their text is known only at the end.
    """

    def __init__(self) -> None:
        self._held = ""
        self._inside = False
        self._over = False

    def feed(self, fragment: str) -> str:
        """The new text."""
        if self._over:
            return ""
        self._held += fragment
        if not self._inside:
            head = _HEAD.match(self._held)
            if head is None:
                self._over = len(self._held) > _LONGEST_HEAD
                return ""
            self._inside = True
            self._held = self._held[head.end() :]
        return self._decoded()

    def _decoded(self) -> str:
        found = _SURE.match(self._held)
        sure = found.group(0) if found else ""
        self._over = self._held[len(sure) : len(sure) + 1] == '"'
        half = None if self._over else _HALF.search(sure)
        if half is not None:
            sure = sure[: half.start()]
        self._held = self._held[len(sure) :]
        try:
            return msgspec.json.decode(f'"{sure}"', type=str)
        except (msgspec.DecodeError, UnicodeEncodeError):
            self._over = True
            return ""
