"""Text that hides two streams in one: a leading `<think>` block, and deltas that repeat what came before."""

from __future__ import annotations

from typing import Literal

_OPEN, _CLOSE = "<think>", "</think>"


class ThinkSplitter:
    """Splits a leading `<think>...</think>` off the answer, tags cut anywhere. Later tags are plain text."""

    def __init__(self) -> None:
        self._state: Literal["start", "opened", "inside", "after", "outside"] = "start"
        self._held = ""

    def feed(self, text: str) -> tuple[str, str]:
        """The thought and the plain text that this piece completes."""
        if self._state == "outside":
            return "", text
        text, self._held = self._held + text, ""
        match self._state:
            case "start":
                return self._start(text)
            case "opened":
                return self._opened(text)
            case "inside":
                return self._inside(text)
            case _:
                return self._after("", text)

    def close(self) -> tuple[str, str]:
        """What was held back at the end of the answer; white space alone is no answer."""
        held, self._held = self._held, ""
        return (held, "") if self._state == "inside" else ("", "" if held.isspace() else held)

    def _start(self, text: str) -> tuple[str, str]:
        head = text.lstrip()
        if head.startswith(_OPEN):
            self._state = "opened"
            return self._opened(head[len(_OPEN) :])
        if _OPEN.startswith(head):
            self._held = text
            return "", ""
        self._state = "outside"
        return "", text

    def _opened(self, text: str) -> tuple[str, str]:
        """The first line break after the tag belongs to the tag."""
        if not text:
            return "", ""
        self._state = "inside"
        return self._inside(text.removeprefix("\n"))

    def _inside(self, text: str) -> tuple[str, str]:
        thought, found, rest = text.partition(_CLOSE)
        if found:
            self._state = "after"
            return self._after(thought, rest)
        keep = _overlap(text, _CLOSE)
        self._held = text[len(text) - keep :]
        return text[: len(text) - keep], ""

    def _after(self, thought: str, text: str) -> tuple[str, str]:
        rest = text.lstrip("\r\n")
        if rest:
            self._state = "outside"
        return thought, rest


def _overlap(text: str, tag: str) -> int:
    """How many characters at the end of the text may be the beginning of the tag."""
    for size in range(min(len(text), len(tag) - 1), 0, -1):
        if tag.startswith(text[-size:]):
            return size
    return 0


class Incremental:
    """Makes repeating deltas incremental: `auto` calls a stream cumulative when a delta begins with all text so far.

    The text so far must be 32 characters or more (two short pieces may well begin alike), and the question is settled
    by the first delta after that.
    """

    _ENOUGH = 32

    def __init__(self, mode: Literal["incremental", "cumulative", "auto"]) -> None:
        self.mode = mode
        self._seen = ""

    def feed(self, text: str) -> str:
        """Only what is new."""
        if self.mode == "incremental":
            return text
        if self.mode == "auto" and len(self._seen) >= self._ENOUGH:
            repeats = len(text) > len(self._seen) and text.startswith(self._seen)
            self.mode = "cumulative" if repeats else "incremental"
            if not repeats:
                self._seen = ""
                return text
        if self.mode == "cumulative" and text.startswith(self._seen):
            new, self._seen = text[len(self._seen) :], text
            return new
        self._seen += text
        return text


class Halves:
    """Joins surrogate pairs whose halves came in two deltas; a half that stays alone becomes U+FFFD."""

    def __init__(self) -> None:
        self._held: dict[object, str] = {}

    def whole(self, channel: object, text: str) -> str:
        """The text as far as it is whole; `channel` tells streams apart."""
        if self._held or not text.isascii():
            return self._mended(channel, text)
        return text

    def _mended(self, channel: object, text: str) -> str:
        text = self._held.pop(channel, "") + text
        if text and "\ud800" <= text[-1] <= "\udbff":
            self._held[channel] = text[-1]
            text = text[:-1]
        try:
            text.encode()
        except UnicodeEncodeError:
            return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
        return text
