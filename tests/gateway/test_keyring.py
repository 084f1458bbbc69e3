"""Keys of a pool take turns and rest; the road upstream goes on with the next one."""

from __future__ import annotations

import pytest

from codex_nexus.gateway.keyring import Keyring
from codex_nexus.translate.faults import Fault
from tests.gateway.conftest import Serve
from tests.gateway.refusals import HELLO, by_key, error, pool, shown
from tests.upstream import Answer, Upstream, status

RATE = Fault("rate_limit", "slow down")
KEYS = ("a", "b", "c")


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_each_key_leads_in_its_turn() -> None:
    ring = Keyring()
    assert [ring.in_turn("p", KEYS)[0] for _ in range(6)] == [*KEYS, *KEYS]
    assert ring.in_turn("q", KEYS) == KEYS
    assert ring.in_turn("p", ("one",)) == ("one",)


def test_a_refused_key_comes_last_until_it_has_rested() -> None:
    clock = Clock()
    ring = Keyring(clock)
    assert ring.refused("p", "a", Fault("rate_limit", "", retry_after=30)) == 30
    assert [ring.in_turn("p", KEYS)[-1] for _ in range(3)] == ["a", "a", "a"]
    assert ring.in_turn("q", KEYS)[0] == "a"
    clock.now += 30
    assert ring.in_turn("p", KEYS) == KEYS


def test_who_wakes_first_is_asked_first_when_all_rest() -> None:
    ring = Keyring(Clock())
    for key, wait in (("a", 60.0), ("b", 20.0), ("c", 40.0)):
        ring.refused("p", key, Fault("rate_limit", "", retry_after=wait))
    assert ring.in_turn("p", KEYS) == ("b", "c", "a")


@pytest.mark.parametrize(
    ("fault", "rest"),
    [
        (RATE, 10),
        (Fault("auth", ""), 300),
        (Fault("insufficient_quota", ""), 300),
        (Fault("insufficient_quota", "", retry_after=86_400), 900),
        (Fault("rate_limit", "", retry_after=0), 0),
    ],
)
def test_a_rest_is_as_long_as_the_fault_says_and_never_very_long(fault: Fault, rest: float) -> None:
    assert Keyring().refused("p", "a", fault) == rest


def test_a_key_that_works_again_leads_again() -> None:
    ring = Keyring(Clock())
    ring.refused("p", "a", RATE)
    ring.accepted("p", "a")
    assert ring.in_turn("p", KEYS)[0] == "a"


@pytest.mark.parametrize(
    "refusal",
    [
        status(401, error("wrong key")),
        status(429, error("slow down"), {"Retry-After": "30"}),
        status(402, error("Insufficient Balance")),
        status(400, error("API key not valid. Please pass a valid API key.", status="INVALID_ARGUMENT")),
    ],
    ids=["401", "429", "402", "400"],
)
async def test_a_key_that_rests_is_not_asked_while_another_one_works(
    serve: Serve, upstream: Upstream, refusal: Answer
) -> None:
    gateway = await serve(**pool(upstream, "key-1", "key-2", "key-3"))
    upstream.script(by_key({"key-1": refusal, "key-2": HELLO, "key-3": HELLO}))
    for _ in range(6):
        assert (await gateway.create()).status == 200
    assert shown(upstream).count("key-1") == 1
    assert len(upstream.requests) == 7


async def test_a_lone_key_never_rests(serve: Serve, upstream: Upstream) -> None:
    gateway = await serve(retry={"attempts": 1})
    upstream.script(status(429, error("slow down")), HELLO)
    assert (await gateway.create()).status == 429
    assert (await gateway.create()).status == 200
