"""A TOML text as a row of whole-line pieces, so that an edit can leave every other byte alone.

The text must have passed `tomllib` before: here nothing is checked, only found.
"""

from __future__ import annotations

import re
import tomllib
from typing import Literal

from msgspec import Struct

Path = tuple[str, ...]

_BLANKS = re.compile(r"[ \t]*")
_GAPS = re.compile(r"(?:[ \t\r\n,]|#[^\n]*)*")  # what may stand between the entries of an inline table
_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")
_STRING = re.compile(
    r'"""(?:[^"\\]|\\.|"(?!""))*+"""(?:"{1,2})?'
    r"|'''.*?'''(?:'{1,2})?"
    r'|"(?:[^"\\\n]|\\.)*+"'
    r"|'[^'\n]*'",
    re.DOTALL,
)
_PLAIN_VALUE = re.compile(r"[^,\]}#\r\n]+")
_INSIDE = re.compile(r"""[^"'\[\]{}#]+|#[^\n]*""")


class Piece(Struct, frozen=True):
    """One statement, comment or blank line with its newline; all pieces in a row are the text.

    Attributes:
        path: of a header or a pair, from the root of the document.
        table: the header under which the piece stands.
        value: where the value of a pair begins and ends in `text`.
    """

    text: str
    kind: Literal["blank", "comment", "table", "array", "pair"]
    path: Path = ()
    table: Path = ()
    value: tuple[int, int] = (0, 0)

    @property
    def remark(self) -> str:
        """What stands after the value of a pair, such as a comment."""
        return self.text[self.value[1] :].strip()


def scan(text: str, table: Path = ()) -> list[Piece]:
    """The pieces of a valid TOML text without byte-order mark that stands under `table`."""
    pieces: list[Piece] = []
    start = 0
    while start < len(text):
        piece = _piece(text, start, table)
        table = piece.table
        pieces.append(piece)
        start += len(piece.text)
    return pieces


def _piece(text: str, start: int, table: Path) -> Piece:
    at = _blanks(text, start)
    sign = text[at : at + 1]
    if sign in ("", "\n", "\r"):
        return Piece(text[start : _line_end(text, at)], "blank", table=table)
    if sign == "#":
        return Piece(text[start : _line_end(text, at)], "comment", table=table)
    if sign == "[":
        double = text.startswith("[[", at)
        path, at = _key(text, at + (2 if double else 1))
        return Piece(text[start : _line_end(text, at)], "array" if double else "table", path, path)
    key, at = _key(text, at)
    begin = _blanks(text, at + 1)
    end = _value_end(text, begin)
    return Piece(text[start : _line_end(text, end)], "pair", table + key, table, (begin - start, end - start))


def inline_entries(text: str, start: int) -> list[tuple[Path, int, int]]:
    """Key, beginning and end of the entries of the inline table whose brace stands at `start`."""
    entries: list[tuple[Path, int, int]] = []
    at = _past(_GAPS, text, start + 1)
    while not text.startswith("}", at):
        key, sign = _key(text, at)
        end = _value_end(text, _blanks(text, sign + 1))
        entries.append((key, at, end))
        at = _past(_GAPS, text, end)
    return entries


def _key(text: str, at: int) -> tuple[Path, int]:
    """A dotted key and the place of the sign after it."""
    parts: list[str] = []
    while True:
        at = _blanks(text, at)
        if text[at] in "\"'":
            end = _past(_STRING, text, at)
            parts.append(tomllib.loads(f"key = {text[at:end]}")["key"])
        else:
            end = _past(_BARE_KEY, text, at)
            parts.append(text[at:end])
        at = _blanks(text, end)
        if text[at] != ".":
            return tuple(parts), at
        at += 1


def _value_end(text: str, at: int) -> int:
    if text[at] in "\"'":
        return _past(_STRING, text, at)
    if text[at] not in "[{":
        end = _past(_PLAIN_VALUE, text, at)
        return at + len(text[at:end].rstrip())
    depth = 0
    while True:
        sign = text[at]
        if sign in "[{":
            depth += 1
        if sign in "]}":
            depth -= 1
            if not depth:
                return at + 1
        if sign in "\"'":
            at = _past(_STRING, text, at)
        elif sign in "[]{}":
            at += 1
        else:
            at = _past(_INSIDE, text, at)


def _past(pattern: re.Pattern[str], text: str, at: int) -> int:
    found = pattern.match(text, at)
    return found.end() if found else at + 1


def _blanks(text: str, at: int) -> int:
    return _past(_BLANKS, text, at)


def _line_end(text: str, at: int) -> int:
    end = text.find("\n", at)
    return len(text) if end < 0 else end + 1
