"""Tool calls that arrive as text: noticed always, and made calls again where the dialect asks for it (`tool_text`).

Theory of operation. A mark such as `<tool_call>` counts only where a model would put a call: at the beginning of a line
or right after a sentence, outside fences and inline code (a control token counts anywhere outside of them). From there
on the text is held back. It becomes calls when every block reads wholly, names a tool that is offered, and nothing but
white space follows until the end of the answer; else it leaves as the very text that it was. An answer that is as a
whole one JSON object (or a fence around one) is held in the same way, if its first words say that it calls a tool.
"""

from __future__ import annotations

import re

from msgspec import Struct

from codex_nexus.translate.deltas import CallPiece, Delta, GatheredCall, Text
from codex_nexus.translate.markup import Form, Marks, Written, json_calls, marks_of
from codex_nexus.translate.meant import arguments_for, required
from codex_nexus.translate.place import Place
from codex_nexus.translate.tools import DeclaredTool

_HEAD = 400
"""Within so many characters a call has named its tool."""
_NAMED = (
    re.compile(r'[\[{\s]*(?:"\w+"\s*:\s*"[^"]*"\s*,\s*)*?(?:"function"\s*:\s*\{\s*)?"name"\s*:\s*"(?P<name>[^"]*)"'),
    re.compile(r"(?:\s*<function=)?(?P<name>[\w.:-]+)\s*>"),
    re.compile(r'\s*(?:\]<\]\w+\[>\[)?<[^<>"]*?invoke\s+name="(?P<name>[^"]*)"'),
    re.compile(r"\s*(?:<\|tool_call_begin\|>)?\s*(?:functions\.)?(?P<name>[\w.-]+?)(?::\d+)?\s*<\|"),
    re.compile(r"\s*(?P<name>[\w.:-]+)\s*(?:\n|<arg_key>|</tool_call>)"),
)
_NEVER = re.compile(r"\s*(?:[^\s\w{\[\]<]|[\w.:-]+\s+[^\s<])")
"""No call begins like this."""
_LATE = re.compile(r'[\[{\s]*"(?:arguments|parameters)"\s*:')
"""JSON that tells its tool last."""
_LONE = re.compile(r'(?:```\w*\s+)?\[?\s*\{\s*"(?:name|arguments|parameters|type|id|function)"\s*:')
_FENCE = re.compile(r"\A```(?:json|tool_call|tool_code)?[ \t]*\n(?P<body>.*?)\n?```\s*\Z", re.DOTALL)
_TRAILER = re.compile(r"(?:\s|(?!<\|tool_call)<[|｜][^<>\n]{1,40}[|｜]>|</tool_call>|</function>)*")  # noqa: RUF001 - tokens of models


class Rescue:
    """Stands between a reader and the stream. `receive` every delta, then `close`.

    Args:
        offered: wire names and tools of this request; None: only notice marks, hold nothing back.
        family: of the model; some put its name into their marks.
        lone: whether a whole answer of JSON may be a call (not when the client asked for JSON).
    """

    def __init__(self, offered: dict[str, DeclaredTool] | None, family: str = "", *, lone: bool = True) -> None:
        self._offered = offered
        self._marks = marks_of(family)
        self._lone = lone
        self._place = Place()
        self._blank = ""
        self._held = ""
        self._open: _Open | None = None
        self._calls: list[GatheredCall] = []
        self.calls: list[GatheredCall] = []
        """What was made of the text, after `close`."""
        self._after = 0
        self._late: list[Delta] = []
        self._prose = False
        self.leaked = False
        """A mark stood where a call would."""

    def receive(self, deltas: list[Delta]) -> list[Delta]:
        """The deltas that may go on."""
        out: list[Delta] = []
        for delta in deltas:
            if isinstance(delta, Text):
                out += self._text(delta)
            elif self._offered is None or self._prose:
                out.append(delta)
            elif isinstance(delta, CallPiece):
                out += [*self._released(), delta]
                self._prose = True
            elif self._open is not None or self._calls:
                self._late.append(delta)
            else:
                out += [*self._released(), delta]
        return out

    def close(self, *, whole: bool) -> tuple[list[Delta], list[GatheredCall]]:
        """What was held back: calls if the answer is whole and they are all there is to its end, else text."""
        if self._offered is None:
            return [], []
        if whole and self._open is not None and not self._prose:
            self._finish_open(self._open)
        if whole and self._calls and self._open is None and _TRAILER.fullmatch(self._held, self._after):
            self.calls = self._calls
            return self._late, self.calls
        self._calls = []
        return self._released(), []

    # --- text

    def _text(self, delta: Text) -> list[Delta]:
        if self._prose:
            return [delta]
        self._held += delta.text
        said: list[str] = []
        while self._step(said):
            pass
        if self._offered is None:
            return [delta]
        if self._prose:
            return self._released("".join(said))
        text = "".join(said)
        return [Text(text)] if text else []

    def _released(self, before: str = "") -> list[Delta]:
        text = before + self._blank + self._held
        self._place.advance(self._held)
        self._blank = self._held = ""
        self._open, self._calls = None, []
        late, self._late = self._late, []
        return [*([Text(text)] if text else []), *late]

    def _step(self, said: list[str]) -> bool:
        """One step over what is held; whether there may be another."""
        if self._prose or not self._held:
            return False
        if self._open is not None:
            return self._in_block(self._open, said)
        if self._calls:
            return self._between_blocks()
        return self._scan(said)

    def _scan(self, said: list[str]) -> bool:
        if self._lone and self._offered is not None and self._place.fresh:
            verdict = self._begins_lone()
            if verdict is not False:
                return verdict is True
        found = self._marks.pattern.search(self._held)
        cut = found.start() if found else len(self._held) - _partial(self._held, self._marks)
        self._say(cut, said)
        if found is None:
            return False
        form = self._marks.forms[found.group()]
        if not self._place.admits(token=form.token):
            self._say(1, said)
            return True
        self.leaked = True
        self._prose = self._offered is None
        self._open = None if self._prose else _Open(form, 0)
        return True

    def _say(self, size: int, said: list[str]) -> None:
        """Lets so many characters go; white space waits, because a call may follow it."""
        text, self._held = self._held[:size], self._held[size:]
        if not text:
            return
        self._place.advance(text)
        solid = text.rstrip()
        if solid:
            said.append(self._blank + solid)
            self._blank = ""
        self._blank += text[len(solid) :]

    # --- an answer that is nothing but JSON

    def _begins_lone(self) -> bool | None:
        """Whether the answer begins as a lone call; None: too short to say."""
        head = self._held.lstrip()[:_HEAD]
        if not head:
            return None
        if head[0] not in "{[`":
            return False
        if not _LONE.match(head):
            return None if len(head) < 40 and _may_become_lone(head) else False
        self._open = _Open(None, 0)
        return True

    # --- blocks

    def _in_block(self, block: _Open, said: list[str]) -> bool:
        if not block.sure:
            named = self._is_named(block)
            if named is None:
                return False
            if not named:
                self._dismiss(said)
                return True
            block.sure = True
        if block.form is None:
            return False
        while (end := _end_of(self._held, block)) is not None:
            block.searched = end
            calls = self._read(block.form.grammar(self._held[block.start : end]))
            if calls is not None:
                self._calls += calls
                self._after, self._open = end, None
                return True
        block.searched = max(block.searched, len(self._held) - self._marks.longest)
        return False

    def _is_named(self, block: _Open) -> bool | None:
        """Whether the block calls a tool that is offered; None: it has not said yet."""
        skip = 0 if block.form is None else len(block.form.opening)
        head = self._held[block.start + skip : block.start + skip + _HEAD]
        if block.form is None:
            head = re.sub(r"\A\s*```\w*\s*", "", head)
        for pattern in _NAMED:
            found = pattern.match(head)
            if found:
                return self._tool(found["name"]) is not None
        if _LATE.match(head):
            return True
        return False if len(head) >= _HEAD or _NEVER.match(head) else None

    def _dismiss(self, said: list[str]) -> None:
        """The block was none: its mark is text, and what follows is looked at anew."""
        block, self._open = self._open, None
        if self._calls or block is None:
            self._prose = True
        elif block.form is None:
            self._lone = False
        else:
            self._say(1, said)

    def _between_blocks(self) -> bool:
        """After a call: another one, or the end; anything else makes all of it prose."""
        skipped = _TRAILER.match(self._held, self._after)
        at = skipped.end() if skipped else self._after
        if at == len(self._held):
            return False
        found = self._marks.pattern.match(self._held, at)
        if found:
            self._open = _Open(self._marks.forms[found.group()], at)
            self._open.searched = at
            return True
        if not _may_follow(self._held[at : at + 48], self._marks):
            self._prose = True
        return False

    def _finish_open(self, block: _Open) -> None:
        """A block at the end of the answer that lacks its closing (or never has one)."""
        text = self._held[block.start :]
        if block.form is None:
            fenced = _FENCE.match(text.strip())
            calls = self._read(json_calls(fenced["body"] if fenced else text), strict=True)
        else:
            calls = self._read(block.form.grammar(text))
        if calls is not None:
            self._calls += calls
            self._after, self._open = len(self._held), None

    def _read(self, written: list[Written] | None, *, strict: bool = False) -> list[GatheredCall] | None:
        """The calls, if every one is of an offered tool; `strict`: and has all that the tool needs."""
        calls: list[GatheredCall] = []
        for one in written or []:
            found = self._tool(one.name)
            if found is None or (strict and (one.bare or not required(found[1]) <= one.arguments.keys())):
                return None
            calls.append(GatheredCall("", found[0], arguments_for(found[1], one)))
        return calls or None

    def _tool(self, name: str) -> tuple[str, DeclaredTool] | None:
        offered = self._offered or {}
        plain = name.strip()
        bare = re.sub(r":\d+$", "", plain).removeprefix("functions.").replace(".", "__").replace(":", "__")
        return next(((known, offered[known]) for known in (plain, bare) if known in offered), None)


class _Open(Struct):
    """A block that has begun: its form (None: the whole answer), where it begins, how far its closing was sought."""

    form: Form | None
    start: int
    searched: int = 0
    sure: bool = False


def _end_of(held: str, block: _Open) -> int | None:
    """Where the next closing of the block ends."""
    ends = [
        at + len(closing)
        for closing in (block.form.closings if block.form else ())
        if (at := held.find(closing, block.searched)) >= 0
    ]
    return min(ends, default=None)


def _partial(text: str, marks: Marks) -> int:
    """How many characters at the end may be the beginning of a mark."""
    tail = text[1 - marks.longest :]
    for size in range(len(tail), 0, -1):
        if tail[-size] in "<]" and any(mark.startswith(tail[-size:]) for mark in marks.forms):
            return size
    return 0


def _may_follow(text: str, marks: Marks) -> bool:
    """Whether a text after a call may still become another mark or a control token."""
    known = (*marks.forms, "</tool_call>", "</function>")
    return any(mark.startswith(text) for mark in known) or bool(re.fullmatch(r"<[|｜][^<>\n]{0,41}", text))  # noqa: RUF001


def _may_become_lone(head: str) -> bool:
    return bool(re.fullmatch(r'(?:`{1,3}|```\w*\s*)?\[?\s*(?:\{\s*(?:"\w*"?\s*)?)?', head))
