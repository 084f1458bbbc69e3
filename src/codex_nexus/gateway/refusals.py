"""Log lines about callers who were turned away: one each, and never a flood."""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Callable

log = logging.getLogger("codex_nexus.gateway")

_MOST = 20
_SPAN_S = 60.0


class Refusals:
    """Lines for a log that anybody on the network can make grow: at most twenty a minute, the others are counted."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._times: deque[float] = deque(maxlen=_MOST)
        self._untold = 0

    def note(self, words: str) -> None:
        """Writes the line, or counts it for the next one that is written."""
        now = self._clock()
        if len(self._times) == _MOST and now - self._times[0] < _SPAN_S:
            self._untold += 1
            return
        self._times.append(now)
        more, self._untold = self._untold, 0
        log.info("%s%s", words, f" ({more} more refusals before this one were not written down)" if more else "")
