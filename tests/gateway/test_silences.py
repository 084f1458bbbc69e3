"""Answers without a word: a failure that may be tried again, then an end; an overflow where the server keeps silent."""

from __future__ import annotations

import pytest

from codex_nexus.gateway import silences
from codex_nexus.gateway.silences import Silences
from codex_nexus.wire.create import CreateResponse
from tests.gateway.conftest import Serve
from tests.serving import CODEX, Served
from tests.upstream import Upstream, finish, reasoning, sse, text, usage
from tests.worlds import providers

THOUGHT = sse([reasoning("Hm."), finish(), usage(90, 4)])
NOTHING = sse([finish()])


@pytest.mark.parametrize("headers", [{}, CODEX], ids=["plain", "codex"])
async def test_thoughts_without_an_answer_fail_once_and_are_incomplete_then(
    gateway: Served, upstream: Upstream, headers: dict[str, str]
) -> None:
    upstream.script(THOUGHT)
    first = await gateway.stream(headers)
    assert (first.status, first.code) == ("failed", "server_error")
    again = await gateway.stream(headers)
    assert (again.status, again.reason) == ("incomplete", "max_output_tokens")
    assert (await gateway.stream(headers, input="something else")).status == "failed"


async def test_what_was_thought_may_come_along_the_next_time(gateway: Served, upstream: Upstream) -> None:
    upstream.script(THOUGHT)
    asked = [{"type": "message", "role": "user", "content": "hi"}]
    first = await gateway.stream(CODEX, input=asked)
    thought = [item for item in first.output if item["type"] == "reasoning"]
    assert thought
    assert (await gateway.stream(CODEX, input=[*asked, *thought])).status == "incomplete"
    assert (await gateway.stream(CODEX, input=[*asked, *asked])).status == "failed"


async def test_a_second_try_may_bring_the_answer(gateway: Served, upstream: Upstream) -> None:
    upstream.script(THOUGHT, sse([reasoning("Hm."), text("42"), finish()]))
    assert (await gateway.stream()).status == "failed"
    assert (await gateway.stream()).text == "42"


async def test_nothing_at_all_fails_every_time(gateway: Served, upstream: Upstream) -> None:
    upstream.script(NOTHING)
    for _ in range(2):
        assert (await gateway.stream()).status == "failed"


@pytest.mark.parametrize(
    ("words", "counted", "silent", "code"),
    [
        (3500, None, True, "context_length_exceeded"),
        (3500, None, False, "server_error"),
        (10, None, True, "server_error"),
        (10, 4000, True, "context_length_exceeded"),
    ],
    ids=["long", "a server that speaks", "short", "counted"],
)
async def test_no_answer_to_a_full_prompt_is_an_overflow(
    serve: Serve, upstream: Upstream, words: int, counted: int | None, silent: bool, code: str
) -> None:
    upstream.script(sse([finish(), *([usage(counted, 0)] if counted else [])]))
    dialect = {"context_window": 4000, "silent_overflow": silent}
    record = {"base_url": upstream.base_url, "local": True, "default_model": "m", "dialect": dialect}
    gateway = await serve(providers(house=record), provider="house")
    story = await gateway.stream(input="word " * words)
    assert (story.status, story.code) == ("failed", code)


def test_what_was_noted_is_forgotten_in_time_and_never_grows_without_end() -> None:
    now = 0.0
    known = Silences(lambda: now)
    requests = [CreateResponse(model=f"m{n}") for n in range(silences._MOST + 1)]
    assert not known.knows(requests[0])
    for asked in requests:
        known.note(asked)
    assert not known.knows(requests[0])
    assert known.knows(requests[1])
    assert known.knows(CreateResponse(model=requests[-1].model))
    now = silences._REMEMBERED_S
    assert not known.knows(requests[-1])
