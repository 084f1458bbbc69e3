"""What an answer that is only passed through tells of the tokens it took. Its bytes are looked at, never touched."""

from __future__ import annotations

from codex_nexus.translate.usage import counts, read_usage
from codex_nexus.wire import codec
from codex_nexus.wire.chat import ChatChunk, decode_chunk
from codex_nexus.wire.responses import ResponseUsage

_KEPT = 64 * 1024
"""Usage stands in the last chunks of a stream, so its end is enough."""


class Overheard:
    """Hears an answer: a stream of chunks, or a completion as one JSON object."""

    def __init__(self) -> None:
        self._end = bytearray()
        self._whole = False

    def hear(self, piece: bytes) -> None:
        """Takes the next bytes."""
        if not self._end and piece.lstrip()[:1] == b"{":
            self._whole = True
        self._end += piece
        if not self._whole and len(self._end) > 2 * _KEPT:
            del self._end[:-_KEPT]

    def usage(self) -> ResponseUsage | None:
        """What was used, as far as it was told."""
        said = [bytes(self._end)] if self._whole else _payloads(bytes(self._end))
        for data in reversed(said):
            if b"usage" in data and (found := _usage(data)) is not None:
                return found
        return None


def _payloads(stream: bytes) -> list[bytes]:
    return [line.removeprefix(b"data:").strip() for line in stream.splitlines() if line.startswith(b"data:")]


def _usage(data: bytes) -> ResponseUsage | None:
    try:
        chunk: ChatChunk = decode_chunk(data)
    except ValueError:
        return None
    inside = [choice.usage for choice in chunk.choices or []]
    places = [chunk.usage, (codec.as_object(chunk.x_groq) or {}).get("usage"), *inside]
    return next((read_usage(usage) for usage in places if counts(usage)), None)
