"""The tool calls of one streamed answer, each piece led to the call that it belongs to.

Servers leave out ids, repeat them, send empty ones, reuse an index for the next call or use none. So a piece goes to
the call of its id (at its index, where two share one), else to that of its index, else to the open call, unless that
one is whole and this begins another.
"""

from __future__ import annotations

import msgspec
from msgspec import Raw

from codex_nexus.translate.deltas import CallPiece, GatheredCall
from codex_nexus.translate.thinking import Halves
from codex_nexus.wire import codec
from codex_nexus.wire.chat import ToolCallDelta


class CallGatherer:
    """Give it every piece; `calls` are what they make, in the order in which they began."""

    def __init__(self, halves: Halves) -> None:
        self._halves = halves
        self._by_id: dict[str, GatheredCall] = {}
        self._by_index: dict[int, GatheredCall] = {}
        self.calls: list[GatheredCall] = []

    def receive(self, piece: ToolCallDelta) -> CallPiece:
        """The call that this piece belongs to, and the argument characters that it adds."""
        function = piece.function
        name = codec.whole(function.name).strip() if function is not None and isinstance(function.name, str) else ""
        given = function.arguments if function is not None else None
        fragment = given if isinstance(given, str) else "" if given is None else codec.encode_any(given).decode()
        call = self._route(piece, name, fragment)
        if name and not call.name:
            call.name = name
        if piece.extra_content is not None:
            call.signature = Raw(codec.encode_any(piece.extra_content))
        fragment = _new(call, self._halves.whole(id(call), fragment), whole=not isinstance(given, str))
        call.arguments += fragment
        return CallPiece(call, fragment)

    def all_whole(self) -> bool:
        """Whether there are calls, all named and with complete arguments."""
        return bool(self.calls) and all(call.name and call.complete() for call in self.calls)

    def _route(self, piece: ToolCallDelta, name: str, fragment: str) -> GatheredCall:
        call_id = codec.whole(piece.id) if isinstance(piece.id, str) else ""
        index = piece.index if isinstance(piece.index, int) else None
        open_call = self._by_index.get(index) if index is not None else None
        if call_id:
            known = self._by_id.get(call_id)
            if known is None:
                known = self._late_id(call_id, open_call, name)
            elif open_call is not None and open_call.id == call_id:
                known = open_call
            elif index is not None and _is_another(known, name, fragment):
                known = None
            return known or self._opened(call_id, index, name)
        if open_call is None:
            latest = self.calls[-1] if self.calls else None
            if latest is None or (name and index is not None) or _begins_anew(latest, name, fragment):
                return self._opened("", index, name)
            return latest
        return self._opened("", index, name) if _begins_anew(open_call, name, fragment) else open_call

    def _late_id(self, call_id: str, call: GatheredCall | None, name: str) -> GatheredCall | None:
        """A call that began without an id gets it now, unless this is another call."""
        if call is None or call.id or (name and call.name and name != call.name) or call.complete():
            return None
        call.id = call_id
        self._by_id[call_id] = call
        return call

    def _opened(self, call_id: str, index: int | None, name: str) -> GatheredCall:
        template = self._by_index.get(index) if index is not None else None
        call = GatheredCall(call_id, name)
        if not name and not call_id and template is not None:
            call.name = template.name
        self.calls.append(call)
        if call_id:
            self._by_id[call_id] = call
        if index is not None:
            self._by_index[index] = call
        return call


def _begins_anew(call: GatheredCall, name: str, fragment: str) -> bool:
    """Whether a piece without an id opens another call: the known one is whole and this begins a new object or name."""
    if not call.arguments.rstrip().endswith("}") or not call.complete():
        return False
    if name and name != call.name:
        return True
    return fragment.lstrip().startswith("{") and not _same(fragment, call.arguments)


def _is_another(call: GatheredCall, name: str, fragment: str) -> bool:
    """Whether a piece with the id of this call, but at an index of its own, is of another: not every id is unique."""
    return bool(name and call.name and name != call.name) or _begins_anew(call, name, fragment)


def _same(fragment: str, arguments: str) -> bool:
    """Whether both say the same, in whatever spelling."""
    if fragment.strip() == arguments.strip():
        return True
    try:
        return codec.decode_any(fragment) == codec.decode_any(arguments)
    except (msgspec.DecodeError, UnicodeEncodeError):
        return False


def _new(call: GatheredCall, fragment: str, *, whole: bool) -> str:
    """What a fragment adds: nothing when it repeats all arguments, or is white space after their end."""
    seen = call.arguments
    if not fragment or not seen:
        return fragment
    if seen.startswith('{"') and fragment.startswith(seen):
        # Inside a JSON string the quote would be escaped: this host repeats what it said before.
        return fragment[len(seen) :]
    if seen.endswith("}") and (whole or fragment.isspace() or _same(fragment, seen)) and call.complete():
        return ""
    return fragment
