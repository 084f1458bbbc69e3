"""Server-sent events: bytes to data payloads, and payloads to bytes. Knows nothing of what they mean.

The decoder takes a body in any pieces. Line ends may be LF, CRLF or CR, a byte order mark may lead, `data:` may come
without its space, in several lines, with comments, `event:` and `id:` around it, and the last event without its blank
line. A body that is no event stream at all (plain JSON, HTML) comes out whole, at the end, through `close`.
"""

from __future__ import annotations

from typing import NamedTuple

_BOM = b"\xef\xbb\xbf"
DONE = b"data: [DONE]\n\n"


class SseEvent(NamedTuple):
    """One event: its type (empty when the stream names none) and its data lines joined by newlines."""

    event: bytes
    data: bytes


class SseDecoder:
    """Feed bytes with `receive_data`, then `close` once; both give the events that are complete."""

    def __init__(self) -> None:
        self._buffer = b""
        self._begun = False
        self._plain = False

    @property
    def plain(self) -> bool:
        """The body is no event stream; `close` will give it whole."""
        return self._plain

    def receive_data(self, data: bytes) -> list[SseEvent]:
        """The events that these bytes complete."""
        buffer = self._buffer + data if self._buffer else data
        if not self._begun:
            buffer = self._begin(buffer)
        if self._plain or not self._begun:
            self._buffer = buffer
            return []
        held = b""
        if b"\r" in buffer:
            # A CR at the very end may be half of a CRLF: it waits for the next piece.
            if buffer.endswith(b"\r"):
                held, buffer = b"\r", buffer[:-1]
            buffer = _unified(buffer)
        end = buffer.rfind(b"\n\n")
        if end < 0:
            self._buffer = buffer + held
            return []
        self._buffer = buffer[end + 2 :] + held
        return _events(buffer[:end])

    def close(self) -> list[SseEvent]:
        """What is left at the end of the body."""
        rest, self._buffer = self._buffer, b""
        if not rest.strip():
            return []
        if self._plain or not self._begun:
            return [SseEvent(b"", rest)]
        return _events(_unified(rest))

    def _begin(self, buffer: bytes) -> bytes:
        if len(buffer) < len(_BOM) and _BOM.startswith(buffer):
            return buffer
        buffer = buffer.removeprefix(_BOM)
        start = buffer.lstrip()
        if start:
            self._begun = True
            self._plain = start[:1] in b"{[<"
        return buffer


def _unified(data: bytes) -> bytes:
    return data.replace(b"\r\n", b"\n").replace(b"\r", b"\n")


def _events(block: bytes) -> list[SseEvent]:
    events: list[SseEvent] = []
    for record in block.split(b"\n\n"):
        if record.startswith(b"data: ") and b"\n" not in record:
            events.append(SseEvent(b"", record[6:]))
        elif record:
            event = _event(record)
            if event is not None:
                events.append(event)
    return events


def _event(record: bytes) -> SseEvent | None:
    name = b""
    lines: list[bytes] = []
    for line in record.split(b"\n"):
        field, _, value = line.partition(b":")
        if field == b"data":
            lines.append(value.removeprefix(b" "))
        elif field == b"event":
            name = value.strip()
    return SseEvent(name, b"\n".join(lines)) if lines else None


def frame(event: bytes, data: bytes) -> bytes:
    """One record with its event type."""
    return b"event: " + event + b"\ndata: " + data + b"\n\n"
