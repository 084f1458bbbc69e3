"""One block of markup that may be a tool call: what its beginning tells, and where it may end."""

from __future__ import annotations

import re

from msgspec import Struct

from codex_nexus.translate.markup import Form, Marks

HEAD = 400
"""Within so many characters a call has named its tool."""
TRIES = 64
"""So many closings of one block are looked at while it streams, because each costs a reading of all of it.

With more of them inside its strings it waits for the end of the answer, and is a call if it is the last thing there.
"""
_LAST = 4

_NAMED = (
    re.compile(r'[\[{\s]*(?:"\w+"\s*:\s*"[^"]*"\s*,\s*)*?(?:"function"\s*:\s*\{\s*)?"name"\s*:\s*"(?P<name>[^"]*)"'),
    re.compile(r"(?:\s*<function=)?(?P<name>[\w.:-]+)\s*>"),
    re.compile(r'\s*(?:\]<\]\w+\[>\[)?<[^<>"]*?invoke\s+name="(?P<name>[^"]*)"'),
    re.compile(r"\s*(?:<\|tool_call_begin\|>)?\s*(?:functions\.)?(?P<name>[\w.-]+?)(?::\d+)?\s*<\|"),
    re.compile(
        r"\s*<｜tool▁call▁begin｜>\s*(?:function<｜tool▁sep｜>)?(?!function<)(?P<name>[\w.:-]+)\s*(?:<｜tool▁sep|\n|\{)"  # noqa: RUF001
    ),
    re.compile(r"\s*(?P<name>[\w.:-]+)\[ARGS\]"),
    re.compile(r"\s*(?P<name>[\w.:-]+)\s*(?:\n|<arg_key>|</tool_call>)"),
)
_NEVER = re.compile(r"\s*(?:[^\s\w{\[\]<]|[\w.:-]+\s+[^\s<])")
"""No call begins like this."""
_LATE = re.compile(r'[\[{\s]*"(?:arguments|parameters)"\s*:')
"""JSON that tells its tool last."""
_LONE = re.compile(r'(?:```\w*\s+)?\[?\s*\{\s*"(?:name|arguments|parameters|type|id|function)"\s*:')
_LONE_BEGINS = re.compile(r'(?:`{1,3}|```\w*\s*)?\[?\s*(?:\{\s*(?:"\w*"?\s*)?)?')
_SOON = 40
_FENCE = re.compile(r"\A\s*```\w*\s*")


class Block(Struct):
    """A block that has begun.

    Attributes:
        form: how it is written; None: it is the whole answer.
        start: where it begins in what is held.
        searched: how far its closing was sought.
        tries: how many closings were none.
        sure: it names a tool that is offered.
    """

    form: Form | None
    start: int
    searched: int = 0
    tries: int = 0
    sure: bool = False

    def head(self, held: str) -> str:
        """Its beginning, behind the mark."""
        if self.form is None:
            return _FENCE.sub("", held[self.start : self.start + HEAD])
        skip = self.start + len(self.form.opening)
        return held[skip : skip + HEAD]

    def next_end(self, held: str) -> int | None:
        """Where the next closing ends; None: there is none, or too many of them were none already."""
        if self.form is None or self.tries >= TRIES:
            return None
        ends = [at + len(closing) for closing in self.form.closings if (at := held.find(closing, self.searched)) >= 0]
        if not ends:
            return None
        self.searched, self.tries = min(ends), self.tries + 1
        return self.searched

    def last_ends(self, held: str) -> list[int]:
        """Where it may end when nothing more will come: with the answer, or with one of the last closings in it."""
        closings = self.form.closings if self.form is not None and self.tries >= TRIES else ()
        pattern = re.compile("|".join(map(re.escape, closings)))
        ends = [found.end() for found in pattern.finditer(held, self.start)] if closings else []
        return [len(held), *reversed(ends[-_LAST:])]

    def seek_from(self, at: int) -> None:
        """No closing begins before this place, as far as all of them were looked at."""
        if self.tries < TRIES:
            self.searched = max(self.searched, at)


def tool_named(head: str) -> str | None:
    """The name of the tool that a block with this beginning calls, once it has said so."""
    found = next(filter(None, (pattern.match(head) for pattern in _NAMED)), None)
    return None if found is None else found["name"]


def names_late(head: str) -> bool:
    """Whether this tells its arguments before its tool."""
    return bool(_LATE.match(head))


def is_none(head: str) -> bool:
    """Whether no call begins so."""
    return len(head) >= HEAD or bool(_NEVER.match(head))


def begins_lone(text: str) -> bool | None:
    """Whether an answer begins as a lone call in JSON; None: too short to say."""
    head = text.lstrip()[:HEAD]
    if not head:
        return None
    if head[0] not in "{[`":
        return False
    if _LONE.match(head):
        return True
    return None if len(head) < _SOON and _LONE_BEGINS.fullmatch(head) else False


def partial(text: str, marks: Marks) -> int:
    """How many characters at the end may be the beginning of a mark."""
    tail = text[1 - marks.longest :]
    for size in range(len(tail), 0, -1):
        if tail[-size] in marks.first and any(mark.startswith(tail[-size:]) for mark in marks.forms):
            return size
    return 0


def may_follow(text: str, marks: Marks) -> bool:
    """Whether a text after a call may still become another mark or a control token."""
    known = (*marks.forms, "</tool_call>", "</function>")
    return any(mark.startswith(text) for mark in known) or bool(re.fullmatch(r"<[|｜][^<>\n]{0,41}", text))  # noqa: RUF001
