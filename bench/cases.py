"""The measurements: each takes a running server and gives named figures. No table, no rounds."""

from __future__ import annotations

import asyncio
import random
import statistics
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import proc
from bodies import history_body, short_body
from client import Answer, Caller, InvalidStreamError, check, close_callers, get_json, open_callers
from lab import Lab, Target, ask_short
from script import Regime

Figures = dict[str, float]
Measure = Callable[[Lab, Target], Awaitable[Figures]]
_FEW = 7  # role, three text deltas and one more, finish, usage
_NEVER_MS = 9999.0
_CANCEL_AT_ONCE = 64
_CALM = 10


@dataclass(frozen=True)
class Figure:
    """One row of the table. The goal is on the figure itself or on its relation to nginx of the same round."""

    key: str
    title: str
    unit: str
    relation: Literal["ratio", "added", "none"] = "ratio"
    limit: float | None = None
    limit_on: Literal["value", "relation"] = "value"


@dataclass(frozen=True)
class Case:
    """One measurement and how often it is made. `fresh`: on newly started servers. `alone`: nginx has no part in it."""

    name: str
    figures: tuple[Figure, ...]
    measure: Measure
    rounds: int
    fresh: bool = False
    alone: bool = False


@dataclass(frozen=True)
class Mark:
    """One edge of a window: the moment, the CPU time of the server and the chunks that upstream had written."""

    moment: float
    cpu_ns: int
    chunks: int


def paced(streams: int, pace_ms: int, seconds: float) -> Measure:
    """CPU us per chunk in the steady state of streams that get one chunk each `pace_ms`.

    Beside it, to judge the round by: reads of the client per chunk, and the share of the wanted pace that was kept.
    """
    chunks = int(seconds * 1000 / pace_ms)

    async def measure(lab: Lab, target: Target) -> Figures:
        callers = await open_callers(target.port, target.protocol, streams)
        body = short_body(target.protocol, Regime("paced", chunks, pace_ms))
        begun = time.monotonic()
        ends, all_begun = _post_all(callers, [body] * streams)
        await _first_or_failure(all_begun, ends)
        start = await _mark(lab, target)
        await asyncio.sleep(max(begun + 0.95 * seconds - time.monotonic(), 0))
        end = await _mark(lab, target)
        await _finish(target, callers, ends, chunks)
        written = end.chunks - start.chunks
        reads = sum(len(caller.answer.pieces) for caller in callers) / (streams * chunks)
        pace = written / (end.moment - start.moment) * pace_ms / 1000 / streams
        return {"cpu": (end.cpu_ns - start.cpu_ns) / 1000 / written, "reads": reads, "pace": pace}

    return measure


def burst(streams: int, chunks: int) -> Measure:
    """CPU us per chunk of whole streams that come as fast as they are read."""

    async def measure(lab: Lab, target: Target) -> Figures:
        del lab
        callers = await open_callers(target.port, target.protocol, streams)
        body = short_body(target.protocol, Regime("burst", chunks))
        before = proc.cpu_ns(target.pid)
        ends, _ = _post_all(callers, [body] * streams)
        await asyncio.wait(ends)
        spent = proc.cpu_ns(target.pid) - before
        await _finish(target, callers, ends, chunks)
        return {"cpu": spent / 1000 / (streams * chunks)}

    return measure


def requests(count: int, size: int = 0) -> Measure:
    """CPU ms per request and ms to its first event and delta, one request after the other."""

    async def measure(lab: Lab, target: Target) -> Figures:
        del lab
        regime = Regime("few", _FEW)
        body = history_body(target.protocol, size, regime) if size else short_body(target.protocol, regime)
        callers = await open_callers(target.port, target.protocol, 1)
        before = proc.cpu_ns(target.pid)
        answers = [await callers[0].post(body) for _ in range(count)]
        spent = proc.cpu_ns(target.pid) - before
        close_callers(callers)
        for answer in answers:
            check(target.protocol, answer, _FEW, deep=True)
        return {
            "cpu": spent / 1e6 / count,
            "first_event": statistics.median(answer.first_event - answer.sent for answer in answers) * 1000,
            "first_delta": statistics.median(answer.first_delta - answer.sent for answer in answers) * 1000,
        }

    return measure


def memory(streams: int, seconds: float = 4.0) -> Measure:
    """Resident MB after the first requests, and KB that each open stream adds."""
    pace_ms = 200
    chunks = int(seconds * 1000 / pace_ms)

    async def measure(lab: Lab, target: Target) -> Figures:
        del lab
        idle = proc.rss_kb(target.pid)
        callers = await open_callers(target.port, target.protocol, streams)
        ends, all_begun = _post_all(callers, [short_body(target.protocol, Regime("paced", chunks, pace_ms))] * streams)
        await _first_or_failure(all_begun, ends)
        await asyncio.sleep(1.0)
        full = proc.rss_kb(target.pid)
        await _finish(target, callers, ends, chunks)
        return {"idle": idle / 1024, "stream": (full - idle) / streams}

    return measure


def gone(kind: str, trials: int) -> Measure:
    """The longest of some waits between a client that hangs up and the end of its upstream connection, in ms."""

    async def measure(lab: Lab, target: Target) -> Figures:
        callers = await open_callers(target.port, target.protocol, trials)
        keys = [f"{kind}{time.monotonic_ns()}x{index}" for index in range(trials)]
        regimes = [Regime(kind, 4000, 20, key) for key in keys]
        ends, all_begun = _post_all(callers, [short_body(target.protocol, regime) for regime in regimes])
        if kind == "mute":
            await asyncio.sleep(0.5)
        else:
            await _first_or_failure(all_begun, ends)
            await asyncio.sleep(0.1)
        left = await _hang_up(callers, keys)
        await asyncio.gather(*ends, return_exceptions=True)
        closed = await _closed(lab.upstream.port, keys)
        return {"wait": max((closed.get(key, 1e9) - left[key]) * 1000 for key in keys) if closed else _NEVER_MS}

    return measure


def cancelled(count: int) -> Measure:
    """File descriptors left after clients hung up while the gateway was connecting to an upstream that hangs.

    The same flood comes once before the first look, to see what keeps growing, not a high-water mark.
    """

    async def measure(lab: Lab, target: Target) -> Figures:
        del target
        upstream = lab.start_upstream()
        gateway = await lab.start_gateway(upstream.deaf, warm=False)
        await _cancel_many(gateway.port, count)
        before, before_kb = await _calm_files(gateway.pid), proc.rss_kb(gateway.pid)
        await _cancel_many(gateway.port, count)
        after, after_kb = await _calm_files(gateway.pid, before), proc.rss_kb(gateway.pid)
        await get_json(gateway.port, "/healthz")
        await get_json(upstream.port, "/hear")
        await ask_short(gateway, 20)
        lab.stop(gateway.process)
        lab.stop(upstream.process)
        complaints = _complaints(gateway)
        return {"files": after - before, "grown": (after_kb - before_kb) / 1024, "complaints": complaints}

    return measure


def _post_all(callers: Sequence[Caller], bodies: Sequence[bytes]) -> tuple[list[asyncio.Future[Answer]], asyncio.Event]:
    all_begun, missing = asyncio.Event(), len(callers)

    def begun() -> None:
        nonlocal missing
        missing -= 1
        if not missing:
            all_begun.set()

    ends = [caller.post(body, begun) for caller, body in zip(callers, bodies, strict=True)]
    return ends, all_begun


async def _first_or_failure(all_begun: asyncio.Event, ends: Sequence[asyncio.Future[Answer]]) -> None:
    """Wait until all streams have begun; raise what any of them raises before."""
    waiting = asyncio.ensure_future(all_begun.wait())
    pending: set[asyncio.Future[Any]] = {waiting, *ends}
    while not waiting.done():
        done, pending = await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED)
        for one in done:
            one.result()


async def _mark(lab: Lab, target: Target) -> Mark:
    stats = await get_json(lab.upstream.port, "/stats")
    return Mark(time.monotonic(), proc.cpu_ns(target.pid), stats["chunks"])


async def _finish(
    target: Target, callers: Sequence[Caller], ends: Sequence[asyncio.Future[Answer]], chunks: int
) -> None:
    answers = await asyncio.gather(*ends)
    close_callers(callers)
    for index, answer in enumerate(answers):
        check(target.protocol, answer, chunks, deep=index == 0)


async def _hang_up(callers: Sequence[Caller], keys: Sequence[str]) -> dict[str, float]:
    left: dict[str, float] = {}
    for caller, key in zip(callers, keys, strict=True):
        left[key] = time.monotonic()
        caller.transport.close()
        await asyncio.sleep(0.01)
    return left


async def _closed(port: int, keys: Sequence[str]) -> dict[str, float]:
    """When upstream lost each of these streams; without those that it still holds after some seconds."""
    lost: dict[str, float] = {}
    for _ in range(60):
        lost = (await get_json(port, "/stats"))["gone"]
        if all(key in lost for key in keys):
            break
        await asyncio.sleep(0.05)
    return {key: lost[key] for key in keys if key in lost}


async def _cancel_many(port: int, count: int) -> None:
    """`count` clients that post a request and hang up within 30 ms, some at a time."""
    dice, body = random.Random(5), short_body("responses", Regime("few", _FEW))
    left = count

    async def one_after_another() -> None:
        nonlocal left
        while left > 0:
            left -= 1
            (caller,) = await open_callers(port, "responses", 1)
            end = caller.post(body)
            await asyncio.sleep(dice.random() * 0.03)
            caller.transport.close() if dice.random() < 0.5 else caller.transport.abort()
            await asyncio.gather(end, return_exceptions=True)
            if end.exception() is None:
                raise InvalidStreamError("an answer came from an upstream that completes no connection")

    await asyncio.gather(*(one_after_another() for _ in range(min(count, _CANCEL_AT_ONCE))))


async def _calm_files(pid: int, wanted: int = 0) -> int:
    """The number of open files once it has been the same for a second (or is as small as wanted)."""
    seen, same = proc.open_files(pid), 0
    for _ in range(200):
        await asyncio.sleep(0.1)
        now = proc.open_files(pid)
        same = same + 1 if now == seen else 0
        if now <= wanted or same == _CALM:
            return now
        seen = now
    return seen


def _complaints(target: Target) -> int:
    log = target.log.read_text(errors="replace")
    return sum(log.count(word) for word in ("Traceback", "never retrieved", "was destroyed", "Unclosed"))
