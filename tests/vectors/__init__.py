"""Turns as text files: what came in, and how it must be read. A bug report becomes a file here.

A file has parts with lines of dashes between them. The first part is a header of `key: value` lines (`id`, `like`: who
does such a thing, `why`: what is attacked, `dialect`: JSON of the fields that differ from the default). Then follow

    streams/    the upstream's bytes, their reading
    errors/     the upstream's whole reply (status line, headers, empty line, body), the fault it means
    requests/   a Responses request, the Chat request it must become; if there is an answer also its bytes and reading

Bytes stand as they are, line ends are LF. What no editor keeps is written out: `<CR>` is a carriage return, `<BOM>` a
byte order mark, `<xFF>` the byte 0xFF, and `<EOF>` at the end says that the last line has no line end.

A reading has the lines `status`, `reasoning`, `text`, `refusal`, `usage`, `signature`, `warn` (for the log, where tools
are offered) and one `call` (or `custom`: input is plain text) for each call: its id (`*`: made by us), its name
(`namespace::name`) and its arguments. Texts and arguments are JSON. What is left out is empty. Of a Responses request
`model` may be left out, of a Chat request the fields that every request has (see `ALWAYS`); nothing else may be missing
or too many.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from msgspec import Raw

from codex_nexus.translate.dialect import DEFAULT, Dialect, patched

HERE = Path(__file__).parent
ALWAYS: dict[str, Any] = {"model": "m", "stream": True, "stream_options": {"include_usage": True}}

_DASHES = re.compile(rb"^-{20,}\n", re.MULTILINE)
_WRITTEN_OUT = re.compile(rb"<(CR|BOM|x[0-9A-F]{2})>|<EOF>\n\Z")


@dataclass(frozen=True)
class Call:
    """A call as it is read; the id `*` stands for one that we made."""

    id: str
    name: str
    arguments: Any
    namespace: str | None = None
    custom: bool = False


@dataclass(frozen=True)
class Reading:
    """What a stream says."""

    status: str
    """`completed`, `incomplete REASON` or `failed KIND`."""
    text: str = ""
    reasoning: str = ""
    refusal: str = ""
    calls: tuple[Call, ...] = ()
    usage: dict[str, int] | None = None
    signature: str | None = None
    warn: str | None = None


@dataclass(frozen=True)
class StreamVector:
    """A provider's answer and its reading."""

    name: str
    dialect: Dialect
    upstream: bytes
    reading: Reading


@dataclass(frozen=True)
class ErrorVector:
    """A provider's refusal and what it means."""

    name: str
    dialect: Dialect
    status: int
    headers: dict[str, str]
    body: bytes
    nearly_full: bool
    kind: str
    heal: str | None
    retry_after: float | None


@dataclass(frozen=True)
class RequestVector:
    """A Responses request, the Chat request it becomes, and perhaps an answer to it."""

    name: str
    dialect: Dialect
    model: str
    request: dict[str, Any]
    chat: dict[str, Any]
    upstream: bytes | None = None
    reading: Reading | None = field(default=None)


@cache
def streams() -> list[StreamVector]:
    """All of `streams/`."""
    found: list[StreamVector] = []
    for path, header, (upstream, reading) in _files("streams"):
        found.append(StreamVector(path.stem, _dialect(header), upstream, _reading(reading)))
    return found


@cache
def errors() -> list[ErrorVector]:
    """All of `errors/`."""
    found: list[ErrorVector] = []
    for path, header, (reply, fault) in _files("errors"):
        head, _, body = reply.partition(b"\n\n")
        status, _, lines = head.decode().partition("\n")
        said = _fields(fault.decode())
        wait = said.get("retry after")
        found.append(
            ErrorVector(
                path.stem,
                _dialect(header),
                int(status.split()[1]),
                _fields(lines),
                body,
                header.get("nearly full") == "yes",
                said["kind"],
                said.get("heal"),
                None if wait is None else float(wait),
            )
        )
    return found


@cache
def requests() -> list[RequestVector]:
    """All of `requests/`."""
    found: list[RequestVector] = []
    for path, header, (request, chat, *answer) in _files("requests"):
        model = header.get("model", "m")
        asked, sent = {"model": "gpt-x"} | json.loads(request), ALWAYS | {"model": model} | json.loads(chat)
        chat_body = {name: value for name, value in sent.items() if value is not None}
        upstream, reading = (answer[0], _reading(answer[1])) if answer else (None, None)
        found.append(RequestVector(path.stem, _dialect(header), model, asked, chat_body, upstream, reading))
    return found


def _files(room: str) -> list[tuple[Path, dict[str, str], list[bytes]]]:
    found: list[tuple[Path, dict[str, str], list[bytes]]] = []
    for path in sorted((HERE / room).glob("*.txt")):
        header, *parts = _DASHES.split(path.read_bytes())
        found.append((path, _fields(header.decode()), [_WRITTEN_OUT.sub(_byte, part) for part in parts]))
    return found


def _byte(match: re.Match[bytes]) -> bytes:
    match match.group(1):
        case None:
            return b""
        case b"CR":
            return b"\r"
        case b"BOM":
            return b"\xef\xbb\xbf"
        case code:
            return bytes.fromhex(code[1:].decode())


def _fields(lines: str) -> dict[str, str]:
    fields: dict[str, str] = {}
    for line in lines.splitlines():
        name, _, value = line.partition(": ")
        fields[name] = value
    return fields


def _dialect(header: dict[str, str]) -> Dialect:
    patch = json.loads(header.get("dialect", "{}"))
    return patched(DEFAULT, {name: Raw(json.dumps(value).encode()) for name, value in patch.items()})


def _reading(part: bytes) -> Reading:
    lines = part.decode().splitlines()
    said = _fields(part.decode())
    usage = {name: int(count) for name, count in (pair.split() for pair in said.get("usage", "").split(",") if pair)}
    return Reading(
        said["status"],
        json.loads(said.get("text", '""')),
        json.loads(said.get("reasoning", '""')),
        json.loads(said.get("refusal", '""')),
        tuple(_call(line) for line in lines if line.startswith(("call: ", "custom: "))),
        usage or None,
        said.get("signature"),
        said.get("warn"),
    )


def _call(line: str) -> Call:
    kind, call_id, whole, arguments = line.split(" ", 3)
    namespace, _, name = whole.rpartition("::")
    return Call(call_id, name, json.loads(arguments), namespace or None, kind == "custom:")
