"""Usage is counted once, outlives the process, and budgets hold: real sockets, a scripted provider, time handed in."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest

from codex_nexus.config.model import Budget
from codex_nexus.errors import StoreError
from codex_nexus.gateway.overheard import Overheard
from codex_nexus.gateway.state import Gateway
from codex_nexus.gateway.traffic import Traffic
from codex_nexus.gateway.usage import UsageBook
from codex_nexus.routing import Caller
from codex_nexus.sessions.sqlite import SqliteStore
from codex_nexus.sessions.store import SessionStore
from codex_nexus.sessions.usage import Spent, Usage
from tests.gateway.conftest import Serve
from tests.serving import CODEX, Served
from tests.upstream import Upstream, cut, event, finish, raw, sse, status, text, usage
from tests.waiting import PATIENCE, until
from tests.worlds import providers, world

HELLO = sse([text("Hello"), finish(), usage(1000, 50, cached=600, thought=10)])
COUNTED = Spent(1, 0, 1000, 600, 50, 10, 0, 1050)
ALICE = {"X-Forwarded-For": "203.0.113.7", "Authorization": "Bearer sk-of-alice"}
NOON = 1_790_000_000.0 - 1_790_000_000.0 % 86_400 + 43_200


async def counted(served: Served) -> list[tuple[str, str, str, Spent]]:
    """What stands in the book by now: provider, model, whether somebody else, and the sums."""
    found = await served.gateway.usage.since(served.gateway.store, 1)
    return sorted((place.provider, place.model, place.owner and "other", spent) for place, spent in found.items())


# --- what is counted


@pytest.mark.parametrize("headers", [{}, CODEX])
@pytest.mark.parametrize("streamed", [True, False])
async def test_a_turn_is_counted(serve: Serve, upstream: Upstream, headers: dict[str, str], streamed: bool) -> None:
    served = await serve()
    upstream.script(HELLO)
    await served.create(headers, stream=streamed, store=False)
    assert await counted(served) == [("custom", "scripted", "", COUNTED)]


async def test_chats_that_are_passed_through_are_counted(serve: Serve, upstream: Upstream) -> None:
    served = await serve()
    whole = {"choices": [{"message": {"content": "Hi"}}], "usage": usage(1000, 50, cached=600, thought=10)["usage"]}
    stream = b"".join(map(event, ([text("Hi"), finish(), usage(1000, 50, cached=600, thought=10)])))
    for answer in (json.dumps(whole).encode(), stream + b"data: [DONE]\n\n"):
        kind = "application/json" if answer.startswith(b"{") else "text/event-stream"
        upstream.script(raw(answer, kind))
        reply = await served.ask("POST", "/v1/chat/completions", {"model": "m", "messages": []})
        assert reply.body == answer
    assert await counted(served) == [("custom", "m", "", COUNTED + COUNTED)]


async def test_how_turns_ended(serve: Serve, upstream: Upstream) -> None:
    served = await serve()
    for answer in (HELLO, cut([text("Hel")]), status(400, {"error": {"message": "bad"}})):
        upstream.script(answer)
        await served.create(stream=True)
    [(_, _, _, spent)] = await counted(served)
    assert (spent.turns, spent.failed, spent.input_tokens) == (3, 2, 1000)


async def test_a_turn_without_a_route_is_nobodys(serve: Serve) -> None:
    served = await serve(provider="deepseek", api_key="")
    await served.create()
    assert await counted(served) == []


async def test_callers_are_counted_apart(serve: Serve, upstream: Upstream) -> None:
    served = await serve(providers(house={"base_url": upstream.base_url}))
    upstream.script(HELLO)
    await served.create(model="house/m")
    await served.create(ALICE, model="house/m")
    assert [row[2] for row in await counted(served)] == ["", "other"]


async def test_the_cost_is_that_of_the_list(serve: Serve, upstream: Upstream) -> None:
    known = providers(house={"base_url": upstream.base_url, "models": [{"id": "m", "price": [0.1, 1, 2]}]})
    served = await serve(known)
    upstream.script(HELLO)
    await served.create(model="house/m")
    [(_, _, _, spent)] = await counted(served)
    assert spent.dollars == pytest.approx((400 * 1 + 600 * 0.1 + 50 * 2) / 1e6)
    assert spent.unpriced_tokens == 0


# --- what is kept


class Feeble(SqliteStore):
    """A store that can be told to fail, or to wait."""

    fails = False
    waits: asyncio.Event | None = None

    async def add_usage(self, usage: Usage) -> None:
        if self.waits is not None:
            await self.waits.wait()
        if self.fails:
            raise StoreError("The disk is full.")
        await super().add_usage(usage)


@pytest.fixture
async def feeble(tmp_path: Path) -> AsyncIterator[Feeble]:
    """Such a store."""
    store = Feeble(tmp_path / "feeble.db")
    yield store
    await store.close()


def one_turn(traffic: Traffic, name: str = "custom/m", tokens: int = 10) -> None:
    """A turn that began and ended."""
    record = traffic.begin(f"resp_{traffic.turns}", "gpt-5", name, "codex")
    record.input_tokens = tokens
    traffic.end(record, "completed")


def book(clock: Callable[[], float] = lambda: NOON) -> tuple[Traffic, UsageBook]:
    """A book of turns and what is counted from it."""
    traffic = Traffic()
    return traffic, UsageBook(traffic, lambda _provider, _model: None, clock)


async def stored(store: SessionStore) -> int:
    """The tokens that the store knows."""
    return sum(spent.tokens for spent in (await store.usage("")).values())


async def test_a_restart_keeps_the_sums(tmp_path: Path, upstream: Upstream) -> None:
    upstream.script(HELLO)
    config = {"provider": "custom", "custom_upstream": upstream.base_url, "api_key": "k"}
    for times in (1, 2):
        store = SqliteStore(tmp_path / "nexus.db")
        async with Served(world(config), store) as served:
            await served.create(store=False)
            [(_, _, _, spent)] = await counted(served)
            assert spent.turns == times
        await store.close()


async def test_a_store_that_fails_loses_nothing(feeble: Feeble, caplog: pytest.LogCaptureFixture) -> None:
    traffic, usage_book = book()
    feeble.fails = True
    for _ in range(3):
        one_turn(traffic)
        await usage_book.bring(feeble, ask=True)
    assert [record.message for record in caplog.records if "waits in memory" in record.message] == [
        "usage cannot be brought to the store, it waits in memory: The disk is full."
    ]
    assert usage_book.today()["custom"].tokens == 30
    feeble.fails = False
    await usage_book.bring(feeble, ask=True)
    assert await stored(feeble) == 30
    assert usage_book.today()["custom"].tokens == 30


async def test_nothing_is_counted_twice_or_lost_while_it_is_written(feeble: Feeble) -> None:
    traffic, usage_book = book()
    feeble.waits = asyncio.Event()
    one_turn(traffic)
    bringing = asyncio.create_task(usage_book.bring(feeble))
    await until(lambda: usage_book._under_way)
    one_turn(traffic)
    assert usage_book.today()["custom"].turns == 2
    bringing.cancel()  # as the service does at its end
    closing = asyncio.create_task(usage_book.close(feeble))
    await asyncio.sleep(0.01)
    feeble.waits.set()
    await closing
    assert await stored(feeble) == 20
    assert usage_book.today()["custom"].turns == 2


async def test_without_a_store_it_waits_for_one(store: SessionStore) -> None:
    traffic, usage_book = book()
    one_turn(traffic)
    await usage_book.bring(None)
    await usage_book.bring(store)
    assert await stored(store) == 10


async def test_odd_names_and_lying_counts_are_stored(store: SessionStore) -> None:
    traffic = Traffic()
    usage_book = UsageBook(traffic, lambda _provider, _model: (float("nan"), 1e300, float("inf")), lambda: NOON)
    for name in ("custom/a\x00b", "custom/\ud83d", "custom/" + "x" * 100_000, "custom/模型"):
        one_turn(traffic, name, 1 << 53)
    for n in range(2000):
        one_turn(traffic, f"custom/{n}")
    await usage_book.bring(store)
    found = await store.usage("")
    assert sum(spent.turns for spent in found.values()) == 2004
    assert len(found) <= 501
    assert {"ab", "?", "模型"} <= {place.model for place in found}


async def test_a_new_day_begins_at_midnight_of_utc(store: SessionStore) -> None:
    now = [NOON]
    traffic, usage_book = book(lambda: now[0])
    one_turn(traffic)
    await usage_book.bring(store, ask=True)
    assert usage_book.today()["custom"].turns == 1
    now[0] += 43_199
    assert usage_book.today()["custom"].turns == 1
    now[0] += 1
    assert usage_book.today() == {}
    one_turn(traffic)
    await usage_book.bring(store, ask=True)
    assert usage_book.today()["custom"].turns == 1
    assert len(await store.usage("")) == 2


async def test_processes_see_each_others_sums(store: SessionStore) -> None:
    (first, ours), (second, theirs) = book(), book()
    for traffic, usage_book in ((first, ours), (second, theirs)):
        one_turn(traffic)
        await usage_book.bring(store, ask=True)
    await ours.bring(store, ask=True)
    assert ours.today() == theirs.today() == {"custom": Spent(2, input_tokens=20, unpriced_tokens=20)}


# --- budgets


Broke = Callable[..., Awaitable[Served]]


@pytest.fixture
def broke(serve: Serve, upstream: Upstream) -> Broke:
    """Starts a gateway that has used 1,050 tokens of its provider."""

    async def start(**config: Any) -> Served:
        served = await serve(**config)
        upstream.script(HELLO)
        assert (await served.create()).status == 200
        upstream.requests.clear()
        return served

    return start


@pytest.mark.parametrize("budgets", [{"custom": {"tokens_per_day": 1050}}, {"*": {"turns_per_day": 1}}])
async def test_codex_is_refused_before_the_provider_is_asked(
    broke: Broke, upstream: Upstream, budgets: dict[str, Any]
) -> None:
    served = await broke(budgets=budgets)
    reply = await served.create(CODEX, stream=True)
    assert (reply.status, reply.error["type"], reply.error["code"]) == (400, "insufficient_quota", "invalid_prompt")
    assert "Retry-After" not in reply.headers
    [(name, limits)] = budgets.items()
    assert f"'budgets.{name}.{next(iter(limits))}' in config.json" in reply.error["message"]
    assert upstream.requests == []
    last = served.gateway.traffic.ended[-1]
    assert (last.status, last.upstream, last.fault) == ("refused", "", reply.error["message"])
    [(_, _, _, spent)] = await counted(served)
    assert spent.turns == 1


@pytest.mark.parametrize("path", ["/v1/responses", "/v1/chat/completions", "/v1/responses/compact"])
async def test_plain_clients_are_told_when_to_come_again(broke: Broke, upstream: Upstream, path: str) -> None:
    served = await broke(budgets={"custom": {"turns_per_day": 1}})
    reply = await served.ask("POST", path, {"model": "m", "input": "hi", "messages": []})
    assert (reply.status, reply.error["type"], reply.error["code"]) == (429, "insufficient_quota", "insufficient_quota")
    assert 0 < int(reply.headers["Retry-After"]) <= 86_400
    assert reply.error["message"].startswith("The daily budget for ")
    assert upstream.requests == []


async def test_background_work_and_the_websocket_are_refused(broke: Broke, upstream: Upstream) -> None:
    served = await broke(budgets={"custom": {"turns_per_day": 1}})
    assert (await served.create(background=True)).error["code"] == "insufficient_quota"
    async with served.client.ws_connect(served.url + "/v1/responses", headers=CODEX) as socket:
        await socket.send_json({"type": "response.create", "model": "m", "input": "hi"})
        said = await socket.receive_json(timeout=PATIENCE)
    assert said["type"] == "error"
    assert (said["status"], said["error"]["type"]) == (400, "insufficient_quota")
    assert upstream.requests == []


async def test_one_turn_below_the_limit_is_let_through_to_its_end(serve: Serve, upstream: Upstream) -> None:
    served = await serve(budgets={"custom": {"tokens_per_day": 1051}})
    upstream.script(HELLO)
    codes = [(await served.create()).status for _ in range(3)]
    assert codes == [200, 200, 429]


async def test_a_fallback_with_a_budget_of_its_own_goes_on(
    broke: Broke, upstream: Upstream, other_upstream: Upstream, serve: Serve
) -> None:
    other_upstream.script(HELLO)
    known = providers(spare={"base_url": other_upstream.base_url, "local": True})
    routes = {"best": {"provider": "custom", "model": "m", "fallbacks": [{"provider": "spare", "model": "s"}]}}
    budgets = {"custom": {"turns_per_day": 1}, "spare": {"turns_per_day": 1}}
    served = await broke(known=known, model_routes=routes, budgets=budgets)
    reply = await served.create(CODEX, model="best", stream=True)
    assert reply.headers["x-nexus-upstream"] == "spare/s"
    assert reply.story.response["status"] == "completed"
    assert upstream.requests == []
    reply = await served.create(CODEX, model="best", stream=True)
    assert "'budgets.custom.turns_per_day'" in reply.error["message"]


async def test_who_brings_a_key_of_their_own_is_not_limited(broke: Broke, upstream: Upstream) -> None:
    served = await broke(known=providers(house={"base_url": upstream.base_url}), budgets={"*": {"turns_per_day": 1}})
    assert [(await served.create(ALICE, model="house/m")).status for _ in range(2)] == [200, 200]
    assert (await served.create(model="house/m")).status == 429


async def test_a_budget_of_money(serve: Serve, upstream: Upstream) -> None:
    record = {"base_url": upstream.base_url, "models": [{"id": "m", "price": [0.1, 1, 2]}, {"id": "gift"}]}
    served = await serve(providers(house=record), budgets={"house": {"cost_per_day": 0.0005}})
    upstream.script(HELLO)
    assert [(await served.create(model="house/gift")).status for _ in range(2)] == [200, 200]
    assert (await served.create(model="house/m")).status == 200
    refused = await served.create(model="house/m")
    assert refused.status == 429
    assert "$0.0006 of $0.0005 at list price" in refused.error["message"]


async def test_a_restart_keeps_the_budget(broke: Broke, serve: Serve) -> None:
    budgets = {"custom": {"turns_per_day": 1}}
    served = await broke(budgets=budgets)
    await served.gateway.usage.bring(served.gateway.store)
    again = await serve(budgets=budgets)
    assert (await again.create()).status == 429


async def test_midnight_opens_the_budget(store: SessionStore) -> None:
    now = [NOON]
    traffic, usage_book = book(lambda: now[0])
    budgets = {"custom": Budget(turns_per_day=1)}
    gateway = Gateway(world({"provider": "custom", "custom_upstream": "http://127.0.0.1:9/v1", "api_key": "k"}), store)
    async with AsyncExitStack() as ending:
        ending.push_async_callback(gateway.close)
        route = await gateway.route(gateway.snapshot, "m", Caller(owner=True))
        one_turn(traffic)
        with pytest.raises(Exception, match=r"used up: 1 of 1 turns. It begins anew at 00:00 UTC \(in 12 h\)"):
            await usage_book.affordable(route, budgets, store)
        now[0] += 43_200
        assert await usage_book.affordable(route, budgets, store) == route


async def test_a_store_that_hangs_holds_no_turn_up(feeble: Feeble, upstream: Upstream) -> None:
    feeble.waits = asyncio.Event()
    config = {"provider": "custom", "custom_upstream": upstream.base_url, "budgets": {"*": {"turns_per_day": 3}}}
    upstream.script(HELLO)
    try:
        async with Served(world(config | {"api_key": "k"}), feeble) as served, asyncio.timeout(PATIENCE):
            codes = [(await served.create(store=False)).status for _ in range(5)]
            feeble.waits.set()
    finally:
        feeble.waits.set()
    assert codes == [200, 200, 200, 429, 429]


async def test_a_budget_that_is_nearly_used_up_is_told_once(caplog: pytest.LogCaptureFixture) -> None:
    now = [NOON]
    traffic, usage_book = book(lambda: now[0])
    budgets = {"custom": Budget(turns_per_day=5), "*": Budget(turns_per_day=100)}

    def told() -> list[str]:
        caplog.clear()
        usage_book.warn(budgets)
        return [record.message for record in caplog.records if record.levelno == logging.WARNING]

    for _ in range(3):
        one_turn(traffic)
    assert told() == []
    one_turn(traffic)
    assert told() == ["budget: 80 % of budgets.custom.turns_per_day are used (4 of 5 turns)"]
    one_turn(traffic)
    assert told() == []
    now[0] += 86_400
    for _ in range(4):
        one_turn(traffic)
    assert len(told()) == 1


# --- what is overheard


STREAM = b"".join(map(event, [text("Hi"), *([text("x" * 500)] * 400), finish(), usage(7, 3)])) + b"data: [DONE]\n\n"


@pytest.mark.parametrize("size", [1, 7, 1000, 1 << 20])
def test_usage_is_found_however_the_bytes_are_cut(size: int) -> None:
    overheard = Overheard()
    for at in range(0, len(STREAM), size):
        overheard.hear(STREAM[at : at + size])
    found = overheard.usage()
    assert found is not None
    assert (found.input_tokens, found.output_tokens) == (7, 3)


@pytest.mark.parametrize(
    "body",
    [b"", b"data: [DONE]\n\n", b'data: {"usage"\n\n', b"usage", b'{"usage": 5}', b'{"usage":', b"\xff" * 100, b"[1]"],
)
def test_what_tells_nothing_is_no_fault(body: bytes) -> None:
    overheard = Overheard()
    overheard.hear(body)
    assert overheard.usage() is None


def test_empty_counts_after_the_real_one_count_nothing() -> None:
    overheard = Overheard()
    overheard.hear(event(usage(7, 3)) + event(usage(0, 0)))
    found = overheard.usage()
    assert found is not None
    assert found.output_tokens == 3
