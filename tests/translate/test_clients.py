from __future__ import annotations

from typing import get_args

import pytest

from codex_nexus.translate.clients import CODEX, PLAIN, Client, status_for, told, wait_for
from codex_nexus.translate.faults import Fault, FaultKind

KINDS = get_args(FaultKind)
CODEX_GIVES_UP = {"context_length_exceeded", "insufficient_quota", "invalid_prompt"}


@pytest.mark.parametrize("client", [PLAIN, CODEX], ids=lambda client: client.name)
def test_a_client_has_an_answer_for_every_kind_of_fault(client: Client) -> None:
    assert set(client.answers) == set(KINDS)


@pytest.mark.parametrize("kind", KINDS)
def test_codex_tries_again_exactly_when_that_may_help(kind: FaultKind) -> None:
    answer = CODEX.answers[kind]
    hopeless = kind in ("context_length_exceeded", "insufficient_quota", "auth", "content_filter", "bad_request")
    assert (answer.in_stream in CODEX_GIVES_UP) == hopeless
    assert (answer.status == 400) == hopeless


@pytest.mark.parametrize(
    ("client", "kind", "upstream", "status"),
    [
        (PLAIN, "auth", 403, 403),
        (PLAIN, "bad_request", 422, 422),
        (PLAIN, "server", 529, 529),
        (PLAIN, "server", 200, 502),
        (PLAIN, "server", 600, 502),
        (PLAIN, "server", None, 502),
        (PLAIN, "timeout", 408, 408),
        (PLAIN, "timeout", None, 504),
        (PLAIN, "insufficient_quota", 402, 402),
        (PLAIN, "insufficient_quota", 200, 429),
        (CODEX, "auth", 401, 400),
        (CODEX, "server", 500, 503),
        (CODEX, "rate_limit", 429, 429),
    ],
)
def test_the_status_is_the_clients_or_the_upstreams(
    client: Client, kind: FaultKind, upstream: int | None, status: int
) -> None:
    assert status_for(client, Fault(kind, "x", upstream)) == status


def test_codex_is_always_told_how_long_to_wait() -> None:
    assert wait_for(CODEX, Fault("rate_limit", "x")) == 5
    assert wait_for(CODEX, Fault("rate_limit", "x", retry_after=7)) == 7
    assert wait_for(PLAIN, Fault("rate_limit", "x")) is None
    assert wait_for(PLAIN, Fault("server", "x", retry_after=2)) == 2
    assert wait_for(PLAIN, Fault("auth", "x", retry_after=2)) is None
    assert wait_for(CODEX, Fault("rate_limit", "x", retry_after=2000)) == 300
    assert wait_for(PLAIN, Fault("rate_limit", "x", retry_after=2000)) == 2000


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        (Fault("rate_limit", "Slow down.", retry_after=7), "Slow down. Please try again in 7s."),
        (Fault("rate_limit", "Slow down", retry_after=0.25), "Slow down. Please try again in 0.25s."),
        (Fault("rate_limit", "Please Try again in 20s", retry_after=7), "Please Try again in 20s"),
        (
            Fault("rate_limit", "Please try again in 1m30s.", retry_after=90),
            "Please try again in 1m30s. Please try again in 90s.",
        ),
        (Fault("server", "Broken", retry_after=7), "Broken"),
    ],
)
def test_the_time_to_wait_stands_in_the_words_that_codex_reads(fault: Fault, words: str) -> None:
    assert told(CODEX, fault) == words


def test_who_is_not_told_a_time_gets_the_bare_words() -> None:
    assert told(PLAIN, Fault("rate_limit", "Slow down.")) == "Slow down."
