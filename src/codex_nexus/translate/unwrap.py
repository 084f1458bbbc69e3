r"""The text inside `{"input": "..."}` while it still streams: escapes and `\uD83D\uDE00` pairs may be cut anywhere."""

from __future__ import annotations

import re

import msgspec

_HEAD = re.compile(r'\s*\{\s*"input"\s*:\s*"')
_LONGEST_HEAD = 64
_SURE = re.compile(
    r"""(?: [^"\\] | \\[^u]
          | \\u (?![dD][89abAB]) [0-9a-fA-F]{4}                                        # no half of a pair
          | \\u [dD][89abAB][0-9a-fA-F]{2} (?: \\u[0-9a-fA-F]{4} | (?=[^\\]|\\[^u]) )  # a pair, or half of none
        )*""",
    re.DOTALL | re.VERBOSE,
)
_LONGEST_PAIR = len(r"\ud83d\ude00")


class Unwrapper:
    """Feed fragments of the arguments; each answer is the text that became certain.

    Arguments of any other form give nothing here: their text is known only at the end.
    """

    def __init__(self) -> None:
        self._held = ""
        self._inside = False
        self._over = False

    @property
    def open(self) -> bool:
        """The text has begun and not ended."""
        return self._inside and not self._over

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
        self._held = self._held[len(sure) :]
        self._over = self._held.startswith('"') or len(self._held) >= _LONGEST_PAIR
        try:
            return msgspec.json.decode(f'"{sure}"', type=str)
        except (msgspec.DecodeError, UnicodeEncodeError):
            self._over = True
            return ""
