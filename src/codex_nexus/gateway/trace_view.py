"""A recorded turn as one JSON document: four views of it, without keys, and without words unless they are wanted."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from typing import Any

from msgspec import UNSET, Struct, UnsetType

from codex_nexus import __version__
from codex_nexus.gateway.cuts import Tape
from codex_nexus.gateway.trace import Answered, Attempt, Trace
from codex_nexus.gateway.wordless import Look
from codex_nexus.wire import codec

WORDLESS = (
    "Words were taken out: texts stand as their length. Types, ids, names, numbers and error messages stay. An error "
    "may quote what was said, so look it through before you pass it on."
)
WITH_WORDS = "This holds all that was said in the turn, word for word. Keys are masked. Pass it on only if you may."

_END = re.compile(rb"\r\n\r\n|\n\n|\r\r")


class TraceRow(Struct, frozen=True):
    """A recorded turn in a list.

    Attributes:
        id: what it is asked for by.
        turn: its id in the book of turns; empty when it never came so far.
        at: unix time of its beginning.
        door: how it came in.
        tries: requests that went to providers.
    """

    id: str
    turn: str
    at: float
    door: str
    asked: str
    upstream: str
    status: str
    fault: str
    tries: int
    seconds: float


class _Part(Struct):
    """An event of a stream as it was written, `at` seconds after the beginning of the turn."""

    at: float
    text: str


class _Body(Struct, omit_defaults=True):
    """Bytes in the form that shows most of them (`json`, `stream` or `text`); `bytes` says how many there were."""

    bytes: int
    json: Any | UnsetType = UNSET
    stream: list[_Part] | UnsetType = UNSET
    text: str | UnsetType = UNSET


class _Asked(Struct, omit_defaults=True):
    at: float
    door: str | UnsetType = UNSET
    to: str | UnsetType = UNSET
    url: str | UnsetType = UNSET
    headers: dict[str, str] = {}
    body: _Body | UnsetType = UNSET


class _Fault(Struct, omit_defaults=True):
    kind: str
    message: str
    repair: str = ""


class _Said(Struct, omit_defaults=True):
    at: float | UnsetType = UNSET
    to: str | UnsetType = UNSET
    status: int | UnsetType = UNSET
    headers: dict[str, str] = {}
    body: _Body | UnsetType = UNSET
    broke: str = ""
    taken_for: _Fault | UnsetType = UNSET


class TraceDocument(Struct):
    """The four views, in the order in which things happen; requests and answers of providers stand side by side."""

    codex_nexus: str
    note: str
    words: bool
    time: str
    turn: TraceRow
    client_request: _Asked
    upstream_requests: list[_Asked]
    upstream_answers: list[_Said]
    client_reply: _Said
    tries_left_out: int


def rows(traces: Iterable[Trace], secrets: tuple[str, ...]) -> list[TraceRow]:
    """The list of these turns, without keys."""
    return [_row(trace, _look(trace, secrets, words=True)) for trace in traces]


def _look(trace: Trace, secrets: tuple[str, ...], *, words: bool) -> Look:
    return Look(trace.secrets | {secret for secret in secrets if secret}, words=words)


def _row(trace: Trace, look: Look) -> TraceRow:
    record, tries = trace.record, len(trace.tries) + trace.more_tries
    if record is None:
        over = trace.reply is not None or trace.sent.total > 0
        seconds = trace.reply.at if trace.reply is not None else trace.clock()
        status = "refused" if over else "running"
        return TraceRow(trace.id, "", trace.at, trace.door, "", "", status, "", tries, round(seconds, 3))
    seconds = record.seconds if record.status != "running" else trace.clock()
    asked, fault = look.masked(record.asked), look.masked(record.fault)
    row = (trace.id, record.id, trace.at, trace.door, asked, record.upstream, record.status, fault)
    return TraceRow(*row, tries, round(seconds, 3))


def document(trace: Trace, secrets: tuple[str, ...], *, words: bool) -> bytes:
    """The whole of it as JSON.

    Args:
        trace: what was recorded; it may still be under way.
        secrets: of the configuration as it is now; those of the turn's own time are masked as well.
        words: whether the words of the conversation stand in it.
    """
    look = _look(trace, secrets, words=words)
    told = TraceDocument(
        __version__,
        WITH_WORDS if words else WORDLESS,
        words,
        datetime.fromtimestamp(trace.at, UTC).isoformat(timespec="milliseconds"),
        _row(trace, look),
        _Asked(0.0, trace.door, headers=_headers(trace.headers, look), body=_body(trace.body, trace.size, look)),
        [_request(one, look) for one in trace.tries],
        [_answer(one, look) for one in trace.tries],
        _reply(trace, look),
        trace.more_tries,
    )
    return codec.encode_any(told)


def _request(one: Attempt, look: Look) -> _Asked:
    headers, url = _headers(one.headers, look), look.masked(one.url)
    return _Asked(round(one.at, 3), to=one.to, url=url, headers=headers, body=_body(one.body, one.size, look))


def _answer(one: Attempt, look: Look) -> _Said:
    said = _head(one.answer, look)
    said.to = one.to
    refused = one.answer is not None and one.answer.status >= 300
    if one.heard.total:
        said.body = _tape(one.heard, look, refused=refused)
    said.broke = look.masked(one.broke)
    if one.fault is not None:
        said.taken_for = _Fault(one.fault.kind, look.masked(one.fault.message), one.fault.heal or "")
    return said


def _reply(trace: Trace, look: Look) -> _Said:
    said = _head(trace.reply, look)
    refused = trace.reply is not None and trace.reply.status >= 300
    if trace.sent.total:
        said.at = round(trace.sent.time_of(0), 3)
        said.body = _tape(trace.sent, look)
    elif trace.said:
        said.body = _body(trace.said, len(trace.said), look, refused=refused)
    return said


def _head(answer: Answered | None, look: Look) -> _Said:
    if answer is None:
        return _Said()
    return _Said(round(answer.at, 3), status=answer.status, headers=_headers(answer.headers, look))


def _headers(headers: dict[str, str], look: Look) -> dict[str, str]:
    return {name: look.masked(value) for name, value in headers.items()}


# --- bodies


def _body(data: bytes, size: int, look: Look, *, refused: bool = False) -> _Body:
    try:
        return _Body(size, json=look.json(data, refused=refused))
    except ValueError:
        return _Body(size, text=look.text(data.decode("utf-8", "backslashreplace"), refused=refused))


def _tape(tape: Tape, look: Look, *, refused: bool = False) -> _Body:
    """JSON when it is one, else a stream where it looks like one, else a text."""
    head, missing, tail = tape.pieces()
    if not missing:
        body = _body(head, tape.total, look, refused=refused)
        if body.json is not UNSET or not _is_stream(head):
            return body
    parts = [_Part(round(tape.time_of(at), 3), look.block(text)) for at, text in _blocks(head, 0)]
    if missing:
        parts.append(_Part(round(tape.time_of(len(head)), 3), f"<{missing} bytes were cut here>"))
        start = len(head) + missing
        parts += [_Part(round(tape.time_of(at), 3), look.block(text)) for at, text in _blocks(tail, start)]
    return _Body(tape.total, stream=parts)


def _is_stream(data: bytes) -> bool:
    return re.match(rb"(?:\xef\xbb\xbf)?\s*(?:data|event|id|retry)?:", data) is not None


def _blocks(data: bytes, start: int) -> Iterator[tuple[int, str]]:
    """The events of a stream with their offsets; joined again they are what came."""
    at = 0
    while at < len(data):
        found = _END.search(data, at)
        end = found.end() if found else len(data)
        yield start + at, data[at:end].decode("utf-8", "backslashreplace")
        at = end
