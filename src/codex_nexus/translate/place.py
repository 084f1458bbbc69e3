"""Where in a Markdown text one is: inside a fence, inside inline code, at the beginning of a line."""

from __future__ import annotations

import re

_RUN = re.compile(r" {0,3}(?:>\s?)?(?P<run>`{3,}|~{3,})(?P<rest>.*)")
_ENDS = frozenset(".!?…。！？")  # noqa: RUF001 - marks of Chinese sentences
_QUOTES = frozenset("`\"'“‘«「『")  # noqa: RUF001 - they quote
_KEPT = 120


class Place:
    """Advance over the text; ask what a mark here would be."""

    def __init__(self) -> None:
        self._line = ""
        self._last = ""
        self._ticks = 0
        self._fence = ""
        self.fresh = True
        """Nothing but white space so far."""

    def advance(self, text: str) -> None:
        """The text goes on by this much."""
        self.fresh = self.fresh and text.isspace()
        first, *others = text.split("\n")
        self._grow(first)
        for line in others:
            self._end_line()
            self._grow(line)

    def _grow(self, text: str) -> None:
        if not text:
            return
        if len(self._line) < _KEPT:
            self._line += text[:_KEPT]
        self._ticks += text.count("`")
        self._last = text[-1]

    def _end_line(self) -> None:
        found = _RUN.match(self._line)
        if found:
            run, rest = found["run"], found["rest"].strip()
            if not self._fence:
                self._fence = "" if "`" in rest and run[0] == "`" else run
            elif run.startswith(self._fence) and not rest:
                self._fence = ""
        self._line = self._last = ""
        self._ticks = 0

    def admits(self, *, token: bool) -> bool:
        """Whether a mark that stands here may begin a call; a control token may do so in the middle of a line."""
        if self._fence or self._ticks % 2:
            return False
        if not self._line.strip():
            return len(self._line) < 4 and "\t" not in self._line
        return self._last not in _QUOTES if token else self._last in _ENDS
