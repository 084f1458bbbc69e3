"""Whose turn it is among the keys of a provider: they take turns, and one that was refused rests for a while."""

from __future__ import annotations

import time
from collections.abc import Callable

from codex_nexus.translate.faults import Fault, FaultKind

_REST_S: dict[FaultKind, float] = {"rate_limit": 10.0, "insufficient_quota": 300.0, "auth": 300.0}
"""How long a key rests, in seconds, when the provider names no time."""
_LONGEST_S = 900.0
"""No key rests longer: a guess must not cost a day."""

OTHER_KEY = frozenset(_REST_S)
"""Faults that another key may not have."""


class Keyring:
    """Turns and rests by provider; in memory alone, because a key that rests costs one refusal at most."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._next: dict[str, int] = {}
        self._rests: dict[tuple[str, str], float] = {}

    def in_turn(self, provider: str, keys: tuple[str, ...]) -> tuple[str, ...]:
        """The keys in the order to try: each leads in its turn; those that rest come last, the next to wake first."""
        if len(keys) < 2:
            return keys
        first = self._next.get(provider, 0) % len(keys)
        self._next[provider] = first + 1
        turned = keys[first:] + keys[:first]
        now = self._clock()
        return tuple(sorted(turned, key=lambda key: max(now, self._rests.get((provider, key), now))))

    def refused(self, provider: str, key: str, fault: Fault) -> float:
        """Lets this key rest. Gives the seconds."""
        rest = fault.retry_after if fault.retry_after is not None else _REST_S.get(fault.kind, 0.0)
        rest = min(rest, _LONGEST_S)
        self._rests[provider, key] = self._clock() + rest
        return rest

    def accepted(self, provider: str, key: str) -> None:
        """This key works."""
        self._rests.pop((provider, key), None)
