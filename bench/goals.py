"""Which measurements a run makes, how often, and the goal of each figure. Data only."""

from __future__ import annotations

from cases import Case, Figure, burst, cancelled, gone, memory, paced, requests

CORE_US = 6.0
"""The translation core alone, per chunk."""
_CHUNK = "CPU per chunk, "
_MB = 1000 * 1000


def cases(*, quick: bool) -> list[Case]:
    """All measurements of a run, in order."""

    def n(few: int, many: int) -> int:
        return few if quick else many

    return [
        Case("paced1", (Figure("cpu", _CHUNK + "1 stream, 20 ms", "us"),), paced(1, 20, n(2, 4)), n(2, 7)),
        Case("paced64", (_PACED64,), paced(64, 20, n(2, 3)), n(3, 7)),
        Case("paced512", (Figure("cpu", _CHUNK + "512 streams, 200 ms", "us"),), paced(512, 200, n(4, 8)), n(1, 5)),
        Case("burst1", (_burst("1 stream"),), burst(1, 20000), n(3, 7)),
        Case("burst64", (_burst("64 streams"),), burst(64, n(2000, 4000)), n(3, 7)),
        Case("burst512", (_burst("512 streams"),), burst(512, 1000), n(1, 3)),
        Case("short", _SHORT, requests(n(150, 400)), n(3, 7)),
        Case("history1", (_history("1 MB", 6.0),), requests(n(15, 40), _MB), n(3, 7)),
        Case("history5", (_history("5 MB", 35.0),), requests(n(5, 15), 5 * _MB), n(2, 5)),
        Case("memory", _MEMORY, memory(512), n(1, 3), fresh=True),
        Case("gone_paced", (_gone("flowing"),), gone("paced", n(16, 48)), n(1, 3)),
        Case("gone_silent", (_gone("silent"),), gone("silent", n(16, 48)), n(1, 3)),
        Case("gone_mute", (_gone("before any answer"),), gone("mute", n(16, 48)), n(1, 3)),
        Case("cancelled", _cancelled(n(2000, 10000)), cancelled(n(2000, 10000)), 1, alone=True),
    ]


_PACED64 = Figure("cpu", _CHUNK + "64 streams, 20 ms", "us", limit=3.0, limit_on="relation")
_SHORT = (
    Figure("cpu", "CPU per short request", "ms", limit=1.2),
    Figure("first_event", "time to first event", "ms", relation="added"),
    Figure("first_delta", "time to first delta", "ms", relation="added", limit=1.0, limit_on="relation"),
)
_MEMORY = (
    Figure("idle", "resident, idle", "MB", limit=60.0),
    Figure("stream", "resident, per open stream of 512", "KB", limit=80.0),
)


def _burst(streams: str) -> Figure:
    return Figure("cpu", f"{_CHUNK}{streams}, burst", "us", limit=8.0)


def _history(size: str, limit_ms: float) -> Figure:
    return Figure("cpu", f"CPU per request, {size} history", "ms", limit=limit_ms)


def _gone(state: str) -> Figure:
    return Figure("wait", f"client gone -> upstream closed, {state}", "ms", relation="none", limit=100.0)


def _cancelled(count: int) -> tuple[Figure, ...]:
    return (
        Figure("files", f"files left by {count} cancelled connects", "", relation="none", limit=0.0),
        Figure("complaints", "  complaints in the log", "", relation="none", limit=0.0),
        Figure("grown", "  resident growth", "MB", relation="none"),
    )
