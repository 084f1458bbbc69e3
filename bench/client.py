"""The load client: raw asyncio connections that post requests, keep what comes back and check it afterwards.

It speaks `responses` to the gateway and `chat` through a byte-passing proxy. While a stream runs nothing is parsed:
bytes are kept as they come and only the end of the chunked body is looked for, so that the client stays cheap beside
what it measures. `check` then reads the whole.
By hand: `python bench/client.py PORT responses|chat [STREAMS] [CHUNKS]`.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from bodies import short_body
from script import FIRST_TOKEN, Regime, script

_PATHS = {"responses": "/v1/responses", "chat": "/v1/chat/completions"}
_FIRST_DELTA = {
    "responses": b"event: response.output_text.delta",
    "chat": b'"content":"' + FIRST_TOKEN.encode(),
}
_END = b"\r\n0\r\n\r\n"


class InvalidStreamError(Exception):
    """A stream did not end as it must, or says something else than upstream said."""


@dataclass
class Answer:
    """One answer as it came: bytes and moments (monotonic seconds; 0: never)."""

    sent: float
    pieces: list[bytes] = field(default_factory=list[bytes])
    first_event: float = 0.0
    first_delta: float = 0.0
    ended: float = 0.0

    def whole(self) -> bytes:
        return b"".join(self.pieces)


class Caller(asyncio.Protocol):
    """One connection; posts requests one after the other."""

    def __init__(self, protocol: str) -> None:
        self._needle = _FIRST_DELTA[protocol]
        self._path = _PATHS[protocol]
        self._tail = b""
        self._done: asyncio.Future[Answer] | None = None
        self._hook: Callable[[], None] | None = None
        self.answer = Answer(0.0)
        self.transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def post(self, body: bytes, on_first: Callable[[], None] | None = None) -> asyncio.Future[Answer]:
        """Send a request; `on_first` is called at the first event, the future is done at the end of the body."""
        self._done = asyncio.get_running_loop().create_future()
        self._hook = on_first
        self._tail = b""
        self.answer = Answer(time.monotonic())
        self.transport.write(_head("POST", self._path, len(body)) + body)
        return self._done

    def data_received(self, data: bytes) -> None:
        answer = self.answer
        answer.pieces.append(data)
        if not answer.first_delta:
            self._look_for_first()
        self._tail = data if len(data) >= 7 else (self._tail + data)[-7:]
        if self._tail.endswith(_END):
            answer.ended = time.monotonic()
            self._settle(None)

    def _look_for_first(self) -> None:
        now, answer = time.monotonic(), self.answer
        seen = answer.pieces[0] if len(answer.pieces) == 1 else answer.whole()
        if not answer.first_event and b"data:" in seen:
            answer.first_event = now
            if self._hook:
                self._hook()
        if self._needle in seen:
            answer.first_delta = now
        elif len(answer.pieces) == 1 and b" 200 " not in seen[:16]:
            self._settle(InvalidStreamError(f"refused: {seen[:600].decode(errors='replace')}"))

    def connection_lost(self, exc: Exception | None) -> None:
        self._settle(InvalidStreamError(f"connection lost before the end of the stream: {exc}"))

    def _settle(self, error: Exception | None) -> None:
        if self._done is None or self._done.done():
            return
        if error:
            self._done.set_exception(error)
        else:
            self._done.set_result(self.answer)


async def open_callers(port: int, protocol: str, count: int) -> list[Caller]:
    """`count` open connections."""
    loop = asyncio.get_running_loop()
    opened = [await loop.create_connection(lambda: Caller(protocol), "127.0.0.1", port) for _ in range(count)]
    return [caller for _, caller in opened]


def close_callers(callers: Sequence[Caller]) -> None:
    for caller in callers:
        caller.transport.abort()


async def get_json(port: int, path: str) -> Any:
    """The JSON that a small GET gives."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(_head("GET", path, 0))
    head = await reader.readuntil(b"\r\n\r\n")
    length = int(head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0])
    body = await reader.readexactly(length)
    writer.close()
    if b" 200 " not in head[:16]:
        raise OSError(f"{path}: {head[:60]!r}")
    return json.loads(body) if body.startswith(b"{") else body


def _head(method: str, path: str, length: int) -> bytes:
    return (
        f"{method} {path} HTTP/1.1\r\nhost: 127.0.0.1\r\naccept: text/event-stream\r\n"
        "content-type: application/json\r\noriginator: codex_exec\r\n"
        "user-agent: codex_exec/0.169.0 (Debian 12.0.0; x86_64) xterm (codex_exec; 0.169.0)\r\n"
        f"content-length: {length}\r\n\r\n"
    ).encode()


def check(protocol: str, answer: Answer, chunks: int, *, deep: bool = False) -> int:
    """Raise unless the answer is complete and says what upstream said; returns the number of its events.

    `deep` reads every event instead of the last one alone.
    """
    payload = dechunk(answer.whole())
    if protocol == "chat":
        return _check_chat(payload, chunks)
    return _check_responses(payload, chunks, deep=deep)


def dechunk(raw: bytes) -> bytes:
    """The body of a chunked HTTP response."""
    at = raw.index(b"\r\n\r\n") + 4
    parts: list[bytes] = []
    while True:
        end = raw.index(b"\r\n", at)
        size = int(raw[at:end], 16)
        if not size:
            return b"".join(parts)
        parts.append(raw[end + 2 : end + 2 + size])
        at = end + 4 + size


def _check_chat(payload: bytes, chunks: int) -> int:
    events = payload.count(b"\n\n")
    if events != chunks + 1 or not payload.endswith(b"data: [DONE]\n\n"):
        raise InvalidStreamError(f"{events} events instead of {chunks + 1}")
    return events


def _check_responses(payload: bytes, chunks: int, *, deep: bool) -> int:
    last = payload.rfind(b"event: ")
    if last < 0 or not payload.startswith(b"event: response.completed\n", last):
        raise InvalidStreamError(f"no response.completed at the end: {payload[-300:]!r}")
    terminal = json.loads(payload[payload.index(b"data: ", last) + 6 : payload.index(b"\n\n", last)])
    expected = script(chunks)
    _expect("text", _output_text(terminal["response"]), expected.text)
    _expect("arguments", _arguments(terminal["response"]), _compact(expected.arguments))
    _expect("output tokens", terminal["response"]["usage"]["output_tokens"], chunks)
    if deep:
        check_events(payload, expected.text)
    return payload.count(b"\n\n")


def check_events(payload: bytes, text: str) -> None:
    """Raise unless the events are numbered without gaps and their text deltas make this text."""
    lines = [line[6:] for line in payload.split(b"\n") if line.startswith(b"data: ")]
    events: list[dict[str, Any]] = [json.loads(line) for line in lines if line != b"[DONE]"]
    _expect("sequence", [event["sequence_number"] for event in events], list(range(len(events))))
    _expect("first event", events[0]["type"], "response.created")
    deltas = (event["delta"] for event in events if event["type"] == "response.output_text.delta")
    _expect("text of the deltas", "".join(deltas), text)


def _output_text(response: dict[str, Any]) -> str:
    messages = (item for item in response["output"] if item["type"] == "message")
    return "".join(part.get("text", "") for message in messages for part in message["content"])


def _arguments(response: dict[str, Any]) -> str:
    calls = (item for item in response["output"] if item["type"] == "function_call")
    return "".join(_compact(call["arguments"]) for call in calls)


def _compact(arguments: str) -> str:
    return json.dumps(json.loads(arguments)) if arguments else ""


def _expect(what: str, got: object, wanted: object) -> None:
    if got != wanted:
        raise InvalidStreamError(f"{what}: {str(got)[-200:]!r} instead of {str(wanted)[-200:]!r}")


async def _by_hand(port: int, protocol: str, streams: int = 4, chunks: int = 1000) -> None:
    callers = await open_callers(port, protocol, streams)
    body = short_body(protocol, Regime("burst", chunks))
    begun = time.monotonic()
    answers = await asyncio.gather(*(caller.post(body) for caller in callers))
    took = time.monotonic() - begun
    events = sum(check(protocol, answer, chunks, deep=True) for answer in answers)
    first = min(answer.first_delta - answer.sent for answer in answers)
    print(f"{streams * chunks} chunks, {events} events, {took:.2f} s, first delta after {first * 1000:.1f} ms at best")


if __name__ == "__main__":
    asyncio.run(_by_hand(int(sys.argv[1]), sys.argv[2], *map(int, sys.argv[3:])))
