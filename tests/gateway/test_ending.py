"""The end of the gateway while turns run: they may finish for a while, and each gets its one ending."""

from __future__ import annotations

import asyncio

import aiohttp
import pytest

from codex_nexus.service import listener
from codex_nexus.sessions.store import StoredTurn
from codex_nexus.sessions.usage import Usage
from tests import oracle
from tests.gateway.conftest import Serve
from tests.serving import CODEX, Served, let_go, read_until
from tests.upstream import Upstream, finish, gated, sse, stall, text
from tests.waiting import PATIENCE, until


@pytest.fixture
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """A gateway that does not wait long for running turns."""
    monkeypatch.setattr(listener, "DRAIN_S", 0.2)


@pytest.mark.usefixtures("hurried")
@pytest.mark.parametrize("headers", [{}, CODEX], ids=["plain", "codex"])
async def test_the_end_of_the_gateway_ends_a_stream_properly(
    gateway: Served, upstream: Upstream, headers: dict[str, str]
) -> None:
    upstream.script(stall([text("Once upon")], before_headers=False))
    response = await gateway.open(headers)
    said = await read_until(response, b"output_text.delta")
    reading = asyncio.ensure_future(response.content.read())
    await gateway.listener.stop()
    story = oracle.read(said + await asyncio.wait_for(reading, PATIENCE))
    assert (story.status, story.code, story.text) == ("failed", "server_error", "Once upon")
    assert story.message == "The gateway was stopped before the answer was complete."
    await let_go(upstream)


@pytest.mark.usefixtures("hurried", "quick")
async def test_the_end_of_the_gateway_ends_a_stream_that_waits_for_upstream(
    gateway: Served, upstream: Upstream
) -> None:
    upstream.script(stall())
    response = await gateway.open()
    reading = asyncio.ensure_future(response.content.read())
    await gateway.listener.stop()
    story = oracle.read(await asyncio.wait_for(reading, PATIENCE))
    assert (story.status, story.code) == ("failed", "server_error")
    await let_go(upstream)


@pytest.mark.usefixtures("hurried")
@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "streamed"])
async def test_the_end_of_the_gateway_answers_who_still_waits(
    gateway: Served, upstream: Upstream, streamed: bool
) -> None:
    upstream.script(stall())
    asking = asyncio.ensure_future(gateway.create(stream=streamed))
    await until(lambda: upstream.requests)
    await gateway.listener.stop()
    reply = await asyncio.wait_for(asking, PATIENCE)
    assert reply.status == 502
    assert "stopped" in reply.error["message"]
    await let_go(upstream)


async def test_the_gateway_lets_running_turns_finish(gateway: Served, upstream: Upstream) -> None:
    upstream.script(sse([*[text("word ")] * 10, finish()], pause=0.03))
    asking = asyncio.ensure_future(gateway.stream())
    await until(lambda: upstream.requests)
    await gateway.listener.stop()
    assert (await asking).text == "word " * 10


async def test_a_gateway_that_ends_takes_no_more_requests(gateway: Served, upstream: Upstream) -> None:
    gate = asyncio.Event()
    upstream.script(gated(gate, sse([text("word"), finish()])))
    asking = asyncio.ensure_future(gateway.stream())
    await until(lambda: upstream.requests)
    stopping = asyncio.ensure_future(gateway.listener.stop())
    await refused(gateway.url)
    gate.set()
    assert (await asking).text == "word"
    await stopping


async def refused(url: str) -> None:
    """Waits until nobody listens there any more."""
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(force_close=True)) as other:
        async with asyncio.timeout(PATIENCE):
            while True:
                try:
                    async with other.get(url + "/healthz"):
                        pass
                except aiohttp.ClientConnectorError:
                    return


async def test_a_turn_that_comes_by_an_open_connection_at_the_end_still_gets_its_ending(
    gateway: Served, upstream: Upstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listener, "DRAIN_S", 3.0)  # the second turn must begin before it is over
    upstream.script(stall([text("a")], before_headers=False))
    url = gateway.url
    first = asyncio.ensure_future(gateway.stream())
    await until(lambda: upstream.requests)
    async with aiohttp.ClientSession() as other:
        async with other.get(url + "/healthz") as alive:
            await alive.read()
        stopping = asyncio.ensure_future(gateway.listener.stop())
        await refused(url)
        body = {"model": "gpt-5", "input": "hi", "stream": True}
        async with other.post(url + "/v1/responses", json=body) as response:
            second = oracle.read(await response.read())
    assert ((await first).status, second.status) == ("failed", "failed")
    await stopping


class SlowStore:
    """A store that takes its time."""

    async def put(self, turn: StoredTurn) -> None:
        await asyncio.sleep(0.5)

    async def history(self, response_id: str, owner: str) -> None:
        return None

    async def resource(self, response_id: str, owner: str) -> None:
        return None

    async def add_usage(self, usage: Usage) -> None:
        """Nothing is kept."""

    async def prune(self, before: int) -> int:
        return 0

    async def close(self) -> None:
        """Nothing to close."""


@pytest.mark.usefixtures("hurried", "quick")
async def test_a_turn_that_is_just_failing_does_not_disturb_the_end(serve: Serve, upstream: Upstream) -> None:
    gateway = await serve(session_store=SlowStore(), timeouts={"first_byte_s": 1.5}, retry={"attempts": 1})
    upstream.script(stall())
    asking = asyncio.ensure_future(gateway.stream())
    await let_go(upstream)
    await gateway.listener.stop()
    assert (await asking).status == "failed"
