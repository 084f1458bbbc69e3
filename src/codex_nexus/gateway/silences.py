"""Requests that were answered with nothing but reasoning, remembered for a while: their repetition ends otherwise."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable

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


def _key(asked: CreateResponse) -> bytes:
    return hashlib.blake2b(codec.encode(asked), digest_size=16).digest()
