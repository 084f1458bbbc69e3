"""Tool calls that arrive as text: noticed always, and made calls again where the dialect asks for it (`tool_text`).

Theory of operation. A mark such as `<tool_call>` counts only where a model would put a call: at the beginning of a line
or right after a sentence, outside fences and inline code (a control token counts anywhere outside of them). From there
on the text is held back. It becomes calls when every block reads wholly, names a tool that is offered, and nothing but
white space follows until the end of the answer; else it leaves as the very text that it was. An answer that is as a
whole one JSON object (or a fence around one) is held in the same way, if its first words say that it calls a tool.
"""

from __future__ import annotations

import re

from codex_nexus.translate.block import Block, begins_lone, is_none, may_follow, names_late, partial, tool_named
from codex_nexus.translate.deltas import CallPiece, Delta, GatheredCall, Text
from codex_nexus.translate.markup import Written, json_calls, marks_of
from codex_nexus.translate.meant import arguments_for, required
from codex_nexus.translate.place import Place
from codex_nexus.translate.tools import DeclaredTool

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
        self._passed: list[str] = []
        self._blank = ""
        self._held = ""
        self._open: Block | None = None
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
        if self._passes(delta.text):
            self._passed.append(delta.text)
            return [delta]
        self._settle()
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

    def _passes(self, text: str) -> bool:
        """Whether no mark can be in this piece nor end in it. Nearly all pieces pass: each of them costs time."""
        if self._held or self._blank or self._place.fresh:
            return False
        return self._marks.first.isdisjoint(text) and not text[-1].isspace()

    def _settle(self) -> None:
        """Goes on to where the pieces that passed have led."""
        if self._passed:
            self._place.advance("".join(self._passed))
            self._passed.clear()

    def _released(self, before: str = "") -> list[Delta]:
        self._settle()
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
            lone = begins_lone(self._held)
            if lone:
                self._open = Block(None, 0)
            if lone is not False:
                return lone is True
        found = self._marks.pattern.search(self._held)
        cut = found.start() if found else len(self._held) - partial(self._held, self._marks)
        self._say(cut, said)
        if found is None:
            return False
        form = self._marks.forms[found.group()]
        if not self._place.admits(token=form.token):
            self._say(1, said)
            return True
        self.leaked = True
        self._prose = self._offered is None
        self._open = None if self._prose else Block(form, 0)
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

    # --- blocks

    def _in_block(self, block: Block, said: list[str]) -> bool:
        if not block.sure:
            named = self._is_named(block)
            if named is None:
                return False
            if not named:
                self._dismiss(said)
                return True
            block.sure = True
        while block.form is not None and (end := block.next_end(self._held)) is not None:
            calls = self._read(block.form.grammar(self._held[block.start : end]))
            if calls is not None:
                self._calls += calls
                self._after, self._open = end, None
                return True
        block.seek_from(len(self._held) - self._marks.longest)
        return False

    def _is_named(self, block: Block) -> bool | None:
        """Whether the block calls a tool that is offered; None: it has not said yet."""
        head = block.head(self._held)
        name = tool_named(head)
        if name is not None:
            return self._tool(name) is not None
        if names_late(head):
            return True
        return False if is_none(head) else None

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
            self._open = Block(self._marks.forms[found.group()], at)
            self._open.searched = at
            return True
        if not may_follow(self._held[at : at + 48], self._marks):
            self._prose = True
        return False

    def _finish_open(self, block: Block) -> None:
        """A block at the end of the answer: it lacks its closing, never has one, or had too many to look at."""
        for end in block.last_ends(self._held):
            text = self._held[block.start : end]
            if block.form is None:
                fenced = _FENCE.match(text.strip())
                calls = self._read(json_calls(fenced["body"] if fenced else text), strict=True)
            else:
                calls = self._read(block.form.grammar(text))
            if calls is not None:
                self._calls += calls
                self._after, self._open = end, None
                return

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
