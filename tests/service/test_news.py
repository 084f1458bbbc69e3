"""The news between workers, in one process: what is told arrives, also late, in pieces of bounded size, and never waits."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Iterator

import pytest

from codex_nexus.gateway.traffic import Traffic, TurnRecord
from codex_nexus.service.news import Ledger, Teller, channel
from tests.waiting import until

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="Windows cannot share a socket")


class Ends:
    """A channel, of which each worker takes a descriptor of its own."""

    def __init__(self) -> None:
        self.hearing, self.telling = channel()

    def ledger(self, own: Traffic) -> Ledger:
        """The first worker's."""
        return Ledger(os.dup(self.hearing.fileno()), own)

    def teller(self, worker: int, traffic: Traffic) -> Teller:
        """Another worker's."""
        return Teller(os.dup(self.telling.fileno()), worker, traffic)


@pytest.fixture
def ends() -> Iterator[Ends]:
    """A channel."""
    made = Ends()
    yield made
    made.hearing.close()
    made.telling.close()


def turn(traffic: Traffic, name: str, **fault: str) -> TurnRecord:
    """A turn that has begun; with a fault also one that has failed."""
    record = traffic.begin(name, "gpt-5.5", "custom/m", "codex")
    if fault:
        traffic.end(record, "failed", **fault)
    return record


async def test_one_book_of_all(ends: Ends) -> None:
    own, other = Traffic(), Traffic()
    ledger, told = ends.ledger(own), list[tuple[str, str]]()
    ledger.listen(lambda record: told.append((record.id, record.status)))
    teller = ends.teller(1, other)
    mine, theirs = turn(own, "a"), turn(other, "b")
    await until(lambda: len(ledger.running) == 2)
    own.end(mine, "completed")
    other.end(theirs, "failed", fault="why " * 1000)
    turn(own, "c", fault="no")
    await until(lambda: len(ledger.ended) == 3)
    assert (ledger.turns, ledger.failures, ledger.running) == (3, 2, {})
    assert {record.id: record.status for record in ledger.ended} == {"a": "completed", "b": "failed", "c": "failed"}
    assert all(len(record.fault) <= 300 for record in ledger.ended)
    assert {("a", "running"), ("b", "running"), ("b", "failed")} <= set(told)
    teller.close()
    ledger.close()


async def test_what_a_dead_worker_had_under_way_is_gone(ends: Ends) -> None:
    ledger, before = ends.ledger(Traffic()), Traffic()
    died = ends.teller(2, before)
    turn(before, "lost")
    turn(before, "known", fault="x")
    await until(lambda: len(ledger.ended) == 1 and ledger.running)
    died.close()
    again = ends.teller(2, Traffic())
    await until(lambda: not ledger.running)
    assert [(record.id, record.status) for record in ledger.ended] == [("known", "failed"), ("lost", "gone")]
    again.close()
    ledger.close()


async def test_what_was_told_before_somebody_heard_is_there(ends: Ends) -> None:
    other = Traffic()
    teller = ends.teller(1, other)
    for number in range(1500):  # more than fits into the socket
        turn(other, f"early {number}", fault="x" * 300)
    ledger = ends.ledger(Traffic())
    await until(lambda: "early 1499" in [record.id for record in ledger.ended])
    assert len(ledger.ended) == 200
    teller.close()
    ledger.close()


async def test_nobody_is_there_any_more(ends: Ends) -> None:
    other = Traffic()
    teller = ends.teller(1, other)
    ends.hearing.close()
    for number in range(10):
        turn(other, f"late {number}", fault="x")
    await asyncio.sleep(0)
    assert other.turns == 10
    teller.close()
