"""Requests that were answered with nothing but reasoning, remembered for a while: their repetition ends otherwise."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable

import msgspec
from msgspec import Raw

from codex_nexus.wire import codec
from codex_nexus.wire.create import CreateResponse

_REMEMBERED_S = 600.0
_MOST = 256


class Silences:
    """In memory alone: a client repeats a failed request within seconds."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._until: dict[bytes, float] = {}

    def note(self, asked: CreateResponse) -> None:
        """This request was answered so."""
        now = self._clock()
        kept = {key: until for key, until in self._until.items() if until > now}
        self._until = dict(list(kept.items())[1 - _MOST :])
        self._until[_key(asked)] = now + _REMEMBERED_S

    def knows(self, asked: CreateResponse) -> bool:
        """Whether the same request was answered so a short time ago."""
        return bool(self._until) and self._until.get(_key(asked), 0.0) > self._clock()


class _Typed(msgspec.Struct):
    type: str = ""


def _key(asked: CreateResponse) -> bytes:
    """What is asked, without reasoning: Codex keeps what a failed answer thought and sends it along the next time."""
    said = codec.encode(
        [asked.model, asked.instructions, asked.previous_response_id, asked.conversation_id, asked.prompt_cache_key]
    )
    return hashlib.blake2b(said + b"".join(_items(asked.input)), digest_size=16).digest()


def _items(given: Raw) -> list[bytes]:
    try:
        items = msgspec.json.decode(given, type=list[Raw])
        return [bytes(item) for item in items if msgspec.json.decode(item, type=_Typed).type != "reasoning"]
    except msgspec.DecodeError:  # a text, or items that are told to be wrong elsewhere
        return [bytes(given)]
