"""Bytes and JSON kept within bounds: what is too much goes from the middle, and a mark says how much it was."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, cast

from codex_nexus.wire import codec

MOST_BYTES = 512 << 10
"""Of each body and each stream."""
_HALF = MOST_BYTES // 2
_TICK_S = 0.01
_MOST_MARKS = 5000
_TEXTS = (16_384, 2_048, 256)
"""How much may stay of each text of a JSON body that is too large, in characters, tried in this order."""
_BORDER = 65_536
"""At a cut everything up to the next white space or quote goes, so that no part of a key stays; at most this much."""
_MARK = re.compile(r" … (\d+) characters cut … ")


class Tape:
    """Bytes as they passed, with their times. A few are lost at each side of a cut."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._head = bytearray()
        self._tail = bytearray()
        self._marks: list[tuple[int, float]] = []
        self.total = 0

    @property
    def held(self) -> int:
        """Bytes in memory."""
        return len(self._head) + len(self._tail)

    def add(self, data: bytes) -> None:
        """More has passed."""
        now = self._clock()
        if (not self._marks or now - self._marks[-1][1] >= _TICK_S) and len(self._marks) < _MOST_MARKS:
            self._marks.append((self.total, now))
        self.total += len(data)
        room = _HALF - len(self._head)
        if room > 0:
            self._head += data[:room]
            data = data[room:]
        if data:
            self._tail += data
            if len(self._tail) > MOST_BYTES:
                del self._tail[:-_HALF]

    def pieces(self) -> tuple[bytes, int, bytes]:
        """What is there of the beginning, how many bytes are missing after it, and what is there of the end."""
        head, tail = bytes(self._head), bytes(self._tail[-_HALF:])
        if self.total == len(head) + len(tail):
            return head + tail, 0, b""
        head, tail = _until_border(head), _from_border(tail)
        return head, self.total - len(head) - len(tail), tail

    def time_of(self, offset: int) -> float:
        """When the byte at this offset passed, in seconds after the beginning."""
        at = 0.0
        for start, seconds in self._marks:
            if start > offset:
                break
            at = seconds
        return at


def shortened(body: bytes) -> bytes:
    """A body that is not too large; of JSON the long texts are cut, so that it stays JSON."""
    if len(body) <= MOST_BYTES:
        return body
    try:
        value = codec.decode_any(body)
        for most in _TEXTS:
            short = codec.encode_any(_cut(value, most))
            if len(short) <= MOST_BYTES:
                return short
    except (ValueError, RecursionError):
        pass
    head, tail = _until_border(body[:_HALF]), _from_border(body[-_HALF:])
    return b"%s\n<%d bytes were cut here>\n%s" % (head, len(body) - len(head) - len(tail), tail)


def length(text: str) -> int:
    """How long a text was before it was cut, in characters."""
    mark = _MARK.search(text)
    return len(text) if mark is None else len(text) - len(mark.group()) + int(mark.group(1))


def _cut(value: Any, most: int) -> Any:
    if isinstance(value, str):
        return value if len(value) <= most else _cut_text(value, most // 2)
    if isinstance(value, dict):
        return {name: _cut(inner, most) for name, inner in cast("dict[str, Any]", value).items()}
    if isinstance(value, list):
        return [_cut(inner, most) for inner in cast("list[Any]", value)]
    return value


def _cut_text(text: str, half: int) -> str:
    head = _until_border(text[:half].encode("utf-8", "replace")).decode("utf-8", "ignore")
    tail = _from_border(text[-half:].encode("utf-8", "replace")).decode("utf-8", "ignore")
    return f"{head} … {len(text) - len(head) - len(tail)} characters cut … {tail}"


def _until_border(head: bytes) -> bytes:
    ends = max(head.rfind(sign, -_BORDER) for sign in _BORDERS) + 1
    return head[: max(ends, len(head) - _BORDER)]


def _from_border(tail: bytes) -> bytes:
    found = [at for at in (tail.find(sign, 0, _BORDER) for sign in _BORDERS) if at >= 0]
    return tail[min(found, default=_BORDER) :]


_BORDERS = (b" ", b"\n", b'"', b"'", b",")
