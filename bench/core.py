"""The translation core alone: upstream bytes in, event bytes out, no socket.

By hand: `python bench/core.py [SOURCE]`, or with `--profile` under cProfile.
"""

from __future__ import annotations

import cProfile
import gc
import itertools
import pstats
import statistics
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

from bodies import history_body, short_body
from client import check_events
from script import DONE, Regime, script

CHUNKS = 4000
PER_READ = (1, 4, 60)
_NOW = 1763800000


class Core(NamedTuple):
    """The few names of the gateway that are used here; imported late, so that another checkout can be chosen."""

    turn: ModuleType
    events: ModuleType
    create: ModuleType
    clients: ModuleType
    dialect: ModuleType


def load(source: Path) -> Core:
    """The core of the checkout whose source folder this is."""
    if str(source) not in sys.path:
        sys.path.insert(0, str(source))
    from codex_nexus.translate import clients, dialect, turn  # noqa: PLC0415
    from codex_nexus.wire import events  # noqa: PLC0415

    try:
        from codex_nexus.wire import create  # noqa: PLC0415
    except ImportError:  # an older checkout
        from codex_nexus.wire import responses as create  # noqa: PLC0415

    return Core(turn, events, create, clients, dialect)


def reads(per_read: int) -> list[bytes]:
    """The body of an answer as the network gives it, some chunks at a time."""
    events = [*script(CHUNKS).events, DONE]
    return [b"".join(events[at : at + per_read]) for at in range(0, len(events), per_read)]


def answer(core: Core, pieces: Sequence[bytes], client: Any) -> list[bytes]:
    """One whole answer, translated."""
    turn = open_turn(core, short_body("responses", Regime("burst", CHUNKS)), client)
    encoder = core.events.EventEncoder()
    written = [encoder.sse(turn.start())]
    for piece in pieces:
        events = turn.receive_data(piece, _NOW)
        if events:
            written.append(encoder.sse(events))
    written.append(encoder.sse(turn.close(_NOW)))
    return written


def open_turn(core: Core, body: bytes, client: Any) -> Any:
    """A turn with its request already written for upstream."""
    count = itertools.count()

    def new_id(prefix: str) -> str:
        return f"{prefix}_{next(count):032x}"

    turn = core.turn.open_turn(core.create.decode_create(body), [], client, new_id, _NOW)
    turn.to_chat(core.dialect.DEFAULT, "deepseek-chat")
    return turn


def measure(core: Core, rounds: int, per_read: int, *, plain: bool = False) -> list[float]:
    """CPU us per chunk of whole answers, one figure a round."""
    client = core.clients.PLAIN if plain else core.clients.CODEX
    pieces = reads(per_read)
    check_events(b"".join(answer(core, pieces, client)), script(CHUNKS).text)
    return [spent / CHUNKS for spent in _times(lambda: answer(core, pieces, client), rounds)]


def measure_request(core: Core, rounds: int, size: int) -> list[float]:
    """CPU us of reading a request with a history and writing it for upstream."""
    body = history_body("responses", size, Regime("few", 7))
    return _times(lambda: open_turn(core, body, core.clients.CODEX), rounds)


def _times(work: Any, rounds: int) -> list[float]:
    """CPU us of each of some runs, after one that does not count."""
    work()
    times: list[float] = []
    for _ in range(rounds):
        gc.collect()
        begun = time.thread_time_ns()
        work()
        times.append((time.thread_time_ns() - begun) / 1000)
    return times


def _profile(core: Core) -> None:
    pieces = reads(60)
    with cProfile.Profile() as profile:
        for _ in range(5):
            answer(core, pieces, core.clients.CODEX)
    pstats.Stats(profile).sort_stats("tottime").print_stats(25)


def main() -> None:
    named = [Path(word) for word in sys.argv[1:] if not word.startswith("-")]
    core = load(named[0] if named else Path(__file__).resolve().parent.parent / "src")
    if "--profile" in sys.argv:
        _profile(core)
        return
    for per_read in PER_READ:
        for plain in (False, True):
            times = measure(core, 9, per_read, plain=plain)
            client = "plain" if plain else "codex"
            print(f"{per_read:3} chunks a read, {client}: {_span(times)} us per chunk")
    for size in (1, 5):
        times = [spent / 1000 for spent in measure_request(core, 9, size * 1000 * 1000)]
        print(f"request of {size} MB: {_span(times)} ms")


def _span(times: Sequence[float]) -> str:
    return f"{min(times):.2f} / {statistics.median(times):.2f}"


if __name__ == "__main__":
    main()
