"""Two streams in one: a leading `<think>` block, reasoning in parts, deltas that repeat, halves of characters."""

from __future__ import annotations

from typing import Any, Literal

from codex_nexus.wire import codec

_TAGS = {
    "<think>": "</think>", "<thinking>": "</thinking>", "<thought>": "</thought>", "<reasoning>": "</reasoning>",
    "<seed:think>": "</seed:think>", "[THINK]": "[/THINK]", "\u25c1think\u25b7": "\u25c1/think\u25b7",
}  # fmt: skip
"""How models mark their reasoning when the server does not part it from the answer."""


LONE_END = "</think>"
"""Ends a thought that the prompt opened: then the answer has no opening tag."""


class ThinkSplitter:
    """Splits a leading `<think>...</think>` off the answer, tags cut anywhere. Later tags are plain text."""

    def __init__(self, *, inside: bool = False) -> None:
        """A splitter; `inside`: the prompt has opened the block, so the answer begins with the thought."""
        self._state: Literal["start", "opened", "inside", "after", "outside"] = "start"
        self._inside_first = inside
        self._closing = ""
        self._held = ""
        self._untagged: list[str] = []

    @property
    def untagged(self) -> str:
        """Thoughts that no tag began or ended: perhaps they are the answer."""
        return "".join(self._untagged)

    @property
    def thinking(self) -> bool:
        """What comes now is none of the plain text."""
        return self._state in ("opened", "inside", "after")

    def part(self) -> None:
        """The server parts thoughts from the text itself: a text that begins now is none."""
        if self._state == "start":
            self._inside_first = False

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
        if self._state == "start" and self._inside_first and not held.isspace():
            self._state = "inside"
        if self._state == "inside":
            return self._thought(held)
        return "", "" if held.isspace() else held

    def _start(self, text: str) -> tuple[str, str]:
        head = text.lstrip()
        for opening, closing in _TAGS.items():
            if head.startswith(opening):
                self._state, self._closing = "opened", closing
                return self._opened(head[len(opening) :])
        if any(opening.startswith(head) for opening in _TAGS):
            self._held = text
            return "", ""
        if self._inside_first:
            self._state, self._closing = "inside", LONE_END
            return self._inside(text)
        self._state = "outside"
        return "", text

    def _opened(self, text: str) -> tuple[str, str]:
        """The first line break after the tag belongs to the tag."""
        self._inside_first = False
        if not text:
            return "", ""
        self._state = "inside"
        return self._inside(text.removeprefix("\n"))

    def _inside(self, text: str) -> tuple[str, str]:
        thought, found, rest = text.partition(self._closing)
        if found:
            self._state, self._untagged = "after", []
            return self._after(thought, rest)
        keep = _overlap(text, self._closing)
        self._held = text[len(text) - keep :]
        return self._thought(text[: len(text) - keep])

    def _thought(self, text: str) -> tuple[str, str]:
        if self._inside_first and text:
            self._untagged.append(text)
        return text, ""

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


def thinking_text(part: Any) -> str | None:
    """The reasoning in a part of an answer's `content`; None when the part is no reasoning."""
    fields = codec.as_object(part) or {}
    if fields.get("type") not in ("thinking", "reasoning"):
        return None
    said = fields.get("thinking") or fields.get("reasoning") or fields.get("text")
    if isinstance(said, str):
        return said
    texts = [(codec.as_object(inner) or {}).get("text") for inner in codec.as_list(said) or []]
    return "".join(text for text in texts if isinstance(text, str))


class Details:
    """`reasoning_details`: kept whole, because some providers want them back as they were."""

    def __init__(self) -> None:
        self.whole: list[dict[str, Any]] = []

    def receive(self, details: list[Any]) -> str:
        """The text of these pieces; text that continues the last piece is appended to it."""
        texts: list[str] = []
        for detail in details:
            known = codec.as_object(detail)
            if known is None:
                continue
            text = known.get("text") or known.get("summary")
            if isinstance(text, str):
                texts.append(text)
            self._keep(known)
        return "".join(texts)

    def _keep(self, detail: dict[str, Any]) -> None:
        last = self.whole[-1] if self.whole else None
        text = detail.get("text")
        same = last is not None and all(last.get(key) == detail.get(key) for key in ("type", "index"))
        if last is None or not same or not isinstance(text, str) or not isinstance(last.get("text"), str):
            self.whole.append(dict(detail))
            return
        seen: str = last["text"]
        last.update({key: value for key, value in detail.items() if value is not None})
        last["text"] = text if len(text) > len(seen) >= Incremental.ENOUGH and text.startswith(seen) else seen + text


class Incremental:
    """Makes repeating deltas incremental: `auto` calls a stream cumulative when a delta begins with all text so far.

    The text so far must be 32 characters or more (two short pieces may well begin alike), and the question is settled
    by the first delta after that.
    """

    ENOUGH = 32

    def __init__(self, mode: Literal["incremental", "cumulative", "auto"]) -> None:
        self.mode = mode
        self._seen = ""

    def feed(self, text: str) -> str:
        """Only what is new."""
        if self.mode == "incremental":
            return text
        if self.mode == "auto" and len(self._seen) >= self.ENOUGH:
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
