"""The book of turns: what runs, what has ended, and who is told."""

from __future__ import annotations

import asyncio
import logging

import pytest

from codex_nexus.gateway.traffic import Traffic, TurnRecord
from tests.gateway.conftest import Serve
from tests.serving import CODEX, Served
from tests.upstream import Upstream, cut, finish, sse, stall, status, text, usage
from tests.waiting import until
from tests.worlds import providers

HELLO = sse([text("hi"), finish(), usage(12, 5, cached=3, thought=2)])


def test_a_turn_is_told_when_it_begins_and_when_it_ends() -> None:
    traffic, told = Traffic(), list[tuple[str, str]]()
    stop = traffic.listen(lambda record: told.append((record.id, record.status)))
    record = traffic.begin("resp_1", "gpt-5", "custom/m", "plain")
    assert traffic.running == {"resp_1": record}
    traffic.end(record, "completed")
    stop()
    traffic.end(traffic.begin("resp_2", "gpt-5", "custom/m", "plain"), "failed", fault="why")
    assert told == [("resp_1", "running"), ("resp_1", "completed")]
    assert traffic.running == {}
    assert [(ended.id, ended.fault) for ended in traffic.ended] == [("resp_1", ""), ("resp_2", "why")]
    assert (traffic.turns, traffic.failures) == (2, 1)


def test_a_turn_ends_once() -> None:
    traffic = Traffic()
    record = traffic.begin("resp_1", "gpt-5", "custom/m", "plain")
    traffic.end(record, "completed")
    traffic.end(record, "gone")
    assert record.status == "completed"
    assert len(traffic.ended) == 1


def test_the_book_is_bounded() -> None:
    traffic = Traffic()
    for n in range(1000):
        traffic.end(traffic.begin(f"resp_{n}", "gpt-5", "custom/m", "plain"), "completed")
    assert traffic.turns == 1000
    assert len(traffic.ended) <= 200
    assert traffic.ended[-1].id == "resp_999"


async def last(gateway: Served) -> TurnRecord:
    """The turn that ended last."""
    await until(lambda: not gateway.gateway.traffic.running)
    return gateway.gateway.traffic.ended[-1]


async def test_a_good_turn_is_in_the_book(gateway: Served, upstream: Upstream) -> None:
    upstream.script(HELLO)
    story = await gateway.stream(CODEX, model="gpt-5.6")
    record = await last(gateway)
    assert record.id == story.response["id"]
    assert (record.asked, record.upstream, record.client) == ("gpt-5.6", "custom/scripted", "codex")
    assert (record.status, record.fault) == ("completed", "")
    counts = (record.input_tokens, record.cached_tokens, record.output_tokens, record.reasoning_tokens)
    assert counts == (12, 3, 5, 2)


async def test_other_endings_are_in_the_book(gateway: Served, upstream: Upstream) -> None:
    for answer, ending in (
        (sse([text("hi"), finish("length")]), "incomplete"),
        (cut([text("hi")]), "failed"),
        (status(400, {"error": {"message": "bad"}}), "refused"),
    ):
        upstream.script(answer)
        for streamed in (False, True):
            await gateway.create(stream=streamed)
            record = await last(gateway)
            assert record.status == ending
            assert bool(record.fault) == (ending in ("failed", "refused"))


async def test_a_turn_whose_client_went_is_in_the_book(gateway: Served, upstream: Upstream) -> None:
    upstream.script(stall())
    asking = asyncio.ensure_future(gateway.stream())
    await until(lambda: upstream.requests)
    asking.cancel()
    assert (await last(gateway)).status == "gone"


async def test_chat_completions_are_in_the_book(gateway: Served, upstream: Upstream) -> None:
    body: dict[str, object] = {"model": "gpt-5", "messages": []}
    for answer, ending in ((HELLO, "completed"), (status(401, {"error": {"message": "bad"}}), "refused")):
        upstream.script(answer)
        await gateway.ask("POST", "/v1/chat/completions", body)
        assert (await last(gateway)).status == ending


async def test_nothing_that_was_said_is_in_the_book(gateway: Served, upstream: Upstream) -> None:
    upstream.script(sse([text("a private answer"), finish()]))
    await gateway.stream(input="a private question", instructions="private", metadata={"a": "private"})
    assert "private" not in repr(await last(gateway))


async def test_a_turn_that_finds_no_route_or_key_is_in_the_book(serve: Serve, upstream: Upstream) -> None:
    gateway = await serve(provider="deepseek", api_key="")
    reply = await gateway.create(CODEX, model="gpt-5.6", stream=True)
    record = await last(gateway)
    assert reply.status >= 400
    assert (record.asked, record.upstream, record.client, record.status) == ("gpt-5.6", "", "codex", "refused")
    assert record.fault == reply.error["message"]
    assert (gateway.gateway.traffic.turns, gateway.gateway.traffic.failures) == (1, 1)
    assert upstream.requests == []


async def test_the_one_whose_fault_is_told_is_in_the_book(
    serve: Serve, upstream: Upstream, other_upstream: Upstream
) -> None:
    known = providers(first={"base_url": upstream.base_url}, second={"base_url": other_upstream.base_url})
    behind: list[dict[str, str]] = [{"provider": "second", "model": "b"}]
    gateway = await serve(
        known,
        provider="first",
        provider_api_keys={"first": "key-of-first", "second": "key-of-second"},
        model_routes={"gpt-5": {"provider": "first", "model": "a", "fallbacks": behind}},
        retry={"attempts": 1},
    )
    upstream.script(status(503, {"error": {"message": "first is down"}}))
    other_upstream.script(status(503, {"error": {"message": "second is down"}}))
    for ask in (
        gateway.create(),
        gateway.create(CODEX, stream=True),
        gateway.ask("POST", "/v1/chat/completions", {"model": "gpt-5", "messages": []}),
    ):
        assert "second is down" in (await ask).error["message"]
        record = await last(gateway)
        assert (record.upstream, record.status) == ("second/b", "refused")
        assert "second is down" in record.fault
    upstream.script(status(400, {"error": {"message": "bad request"}}))
    await gateway.create()
    assert (await last(gateway)).upstream == "first/a"


@pytest.mark.parametrize(
    ("asked", "sent", "said"),
    [
        (None, "", ""),
        ("high", "high", ", effort high,"),
        ("xhigh", "high", ", effort xhigh sent as high,"),
        ("x" * 99, "", f", effort {'x' * 20} not sent,"),
    ],
)
async def test_the_effort_that_was_asked_for_and_what_was_sent_are_both_told(
    serve: Serve, upstream: Upstream, caplog: pytest.LogCaptureFixture, asked: str | None, sent: str, said: str
) -> None:
    upstream.script(HELLO)
    dialect = {"reasoning_param": "effort", "efforts": ["low", "high"]}
    record = {"base_url": upstream.base_url, "default_model": "m", "dialect": dialect}
    gateway = await serve(providers(one=record), provider="one")
    with caplog.at_level(logging.INFO):
        await gateway.stream(CODEX, **({"reasoning": {"effort": asked}} if asked else {}))
    turn = await last(gateway)
    assert (turn.effort, turn.effort_sent) == ((asked or "")[:20], sent)
    assert upstream.requests[0].json.get("reasoning_effort", "") == sent
    [line] = [text for text in caplog.messages if "completed" in text]
    assert said in line if said else "effort" not in line
