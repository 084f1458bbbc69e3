"""Tokens per second over the last minute, counted as turns end. Knows no clock: time is handed in."""

from __future__ import annotations

from codex_nexus.control.steering import Turn

WINDOW = 60


class Meter:
    """One bucket a second. The tokens of a turn are spread over the time that it took."""

    def __init__(self) -> None:
        self._buckets: dict[int, float] = {}

    def ended(self, turn: Turn) -> None:
        """Counts a turn that is over."""
        if turn.status == "running" or turn.output_tokens <= 0:
            return
        last = int(turn.at + turn.seconds)
        first = int(turn.at)
        share = turn.output_tokens / (last - first + 1)
        for second in range(max(first, last - WINDOW), last + 1):
            self._buckets[second] = self._buckets.get(second, 0.0) + share
        self._forget(last)

    def series(self, now: float) -> list[float]:
        """Tokens of each of the last seconds, oldest first; the running second is not among them."""
        return [round(self._buckets.get(second, 0.0), 2) for second in range(int(now) - WINDOW, int(now))]

    def rate(self, now: float) -> float:
        """Tokens per second, averaged over the minute."""
        return round(sum(self.series(now)) / WINDOW, 2)

    def _forget(self, now: int) -> None:
        if len(self._buckets) > 4 * WINDOW:
            self._buckets = {second: count for second, count in self._buckets.items() if second >= now - WINDOW}
