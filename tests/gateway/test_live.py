"""Streams under way: a client that goes, an upstream that is slow, silent, cut or open for ever, a gateway that ends."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from codex_nexus.gateway import live
from codex_nexus.service import listener
from codex_nexus.sessions.store import StoredTurn
from codex_nexus.sessions.usage import Usage
from codex_nexus.translate.turn import Turn
from tests import oracle
from tests.gateway.conftest import Serve
from tests.serving import CODEX, Served, until
from tests.upstream import Answer, Recorded, Upstream, cut, event, finish, reasoning, sse, stall, status, text, usage

AT_ONCE = 1.0  # seconds within which an upstream must be let go
PLENTY = [text(f"word {n} ") for n in range(10_000)]


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """A clock that acts after parts of a second."""
    monkeypatch.setattr(live, "TICK_S", 0.02)
    monkeypatch.setattr(live, "GRACE_S", 0.15)
    monkeypatch.setattr(live, "HEARTBEAT_S", 0.1)
    monkeypatch.setattr(live, "SETTLE_S", 0.15)


def after(delay: float, answer: Answer) -> Answer:
    """An answer that begins late."""

    async def play(request: web.Request) -> web.StreamResponse:
        await asyncio.sleep(delay)
        return await answer.play(request)

    return Answer(play)


def slowly(*pieces: tuple[float, Any]) -> Answer:
    """A stream with a wait of its own before each piece."""

    async def play(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        for delay, piece in pieces:
            await asyncio.sleep(delay)
            await response.write(piece if isinstance(piece, bytes) else event(piece))
        await response.write_eof()
        return response

    return Answer(play)


def flood() -> Answer:
    """A stream that comes as fast as it is taken, without an end."""

    async def play(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        while True:
            await response.write(event(text("word ")) * 100)

    return Answer(play)


# --- the client goes


async def read_some(response: aiohttp.ClientResponse) -> None:
    while b"output_text.delta" not in await response.content.readany():
        pass


async def read_the_beginning(response: aiohttp.ClientResponse) -> None:
    while b"response.in_progress" not in await response.content.readany():
        pass


@pytest.mark.parametrize("kept", [True, False])
@pytest.mark.parametrize(
    ("answer", "read"),
    [
        (sse(PLENTY, pause=0.01), read_some),
        (flood(), read_some),
        (stall([text("one")], before_headers=False), read_some),
        (stall(before_headers=False), read_the_beginning),
    ],
    ids=["flowing", "flooding", "silent", "silent from the start"],
)
async def test_upstream_is_let_go_when_the_client_goes(
    gateway: Served,
    upstream: Upstream,
    answer: Answer,
    read: Callable[[aiohttp.ClientResponse], Awaitable[None]],
    kept: bool,
) -> None:
    upstream.script(answer)
    response = await gateway.open(store=kept)
    await read(response)
    response.close()
    await let_go(upstream)
    await until(lambda: not len(gateway.gateway.watch))


async def let_go(upstream: Upstream) -> None:
    """Upstream sees at once that nobody listens any more."""
    gone = time.monotonic()
    await asyncio.wait_for(upstream.aborted.wait(), AT_ONCE)
    assert upstream.aborted.at is not None
    assert upstream.aborted.at - gone < AT_ONCE


@pytest.mark.parametrize("streamed", [True, False], ids=["streamed", "whole"])
async def test_upstream_is_let_go_before_its_first_byte(gateway: Served, upstream: Upstream, streamed: bool) -> None:
    upstream.script(stall())
    asking = asyncio.ensure_future(gateway.create(stream=streamed))
    await until(lambda: upstream.requests)
    asking.cancel()
    await let_go(upstream)
    await until(lambda: not len(gateway.gateway.watch))


@pytest.mark.usefixtures("quick")
async def test_upstream_is_let_go_before_its_first_byte_when_the_stream_has_begun(
    gateway: Served, upstream: Upstream
) -> None:
    upstream.script(stall())
    response = await gateway.open()
    await read_the_beginning(response)
    response.close()
    await let_go(upstream)


async def test_upstream_is_let_go_when_nobody_waits_for_the_whole_answer(gateway: Served, upstream: Upstream) -> None:
    upstream.script(sse(PLENTY, pause=0.01))
    asking = asyncio.ensure_future(gateway.create())
    await until(lambda: upstream.requests)
    await asyncio.sleep(0.05)
    asking.cancel()
    await let_go(upstream)


async def test_a_client_that_went_is_a_line_in_the_log_and_no_fault(
    gateway: Served, upstream: Upstream, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    for answer in (flood(), sse(PLENTY, pause=0.01), stall([text("one")], before_headers=False)):
        upstream.script(answer)
        upstream.aborted.clear()
        response = await gateway.open()
        await read_some(response)
        response.close()
        await let_go(upstream)
    await until(lambda: caplog.text.count(" gone, ") == 3)
    assert [record for record in caplog.records if record.levelname in ("ERROR", "WARNING")] == []


async def test_a_slow_reader_holds_up_nobody_but_itself(gateway: Served, upstream: Upstream) -> None:
    upstream.script(sse([text("x" * 60_000)] * 100), sse([text("hi"), finish()]))
    slow = await gateway.open()
    started = time.monotonic()
    assert (await gateway.stream()).text == "hi"
    assert time.monotonic() - started < AT_ONCE
    slow.close()


# --- upstream is slow to answer


@pytest.mark.usefixtures("quick")
async def test_the_stream_begins_without_an_upstream_that_is_slow(gateway: Served, upstream: Upstream) -> None:
    upstream.script(after(0.6, sse([text("late"), finish(), usage()])))
    started = time.monotonic()
    response = await gateway.open()
    await read_the_beginning(response)
    assert time.monotonic() - started < 0.5
    response.close()


@pytest.mark.usefixtures("quick")
async def test_a_slow_answer_is_whole_and_has_signs_of_life(gateway: Served, upstream: Upstream) -> None:
    upstream.script(after(0.6, sse([text("late"), finish(), usage()])))
    story = await gateway.stream()
    assert (story.status, story.text) == ("completed", "late")
    beats = [event for event in story.events[2:] if event["type"] == "response.in_progress"]
    assert 2 <= len(beats) <= 6


@pytest.mark.usefixtures("quick")
async def test_an_answer_that_is_quick_has_no_signs_of_life(gateway: Served, upstream: Upstream) -> None:
    upstream.script(sse([text("a"), text("b"), finish()], pause=0.05))
    story = await gateway.stream()
    assert [event["type"] for event in story.events].count("response.in_progress") == 1


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("keepalive", [b"", b": keep-alive\n\n"], ids=["silence", "comments"])
async def test_silence_inside_an_answer_has_signs_of_life(
    gateway: Served, upstream: Upstream, keepalive: bytes
) -> None:
    pieces: list[tuple[float, Any]] = [(0, text("a")), *[(0.1, keepalive)] * 5, (0.1, text("b")), (0, finish())]
    upstream.script(slowly(*[piece for piece in pieces if piece[1]], *([] if keepalive else [(0.5, usage())])))
    response = await gateway.open()
    gaps, last, stream = [], time.monotonic(), b""
    while piece := await response.content.readany():
        gaps.append(time.monotonic() - last)
        last = time.monotonic()
        stream += piece
    assert oracle.read(stream).text == "ab"
    assert max(gaps) < 0.3


@pytest.mark.usefixtures("quick")
async def test_thoughts_that_a_client_does_not_see_do_not_look_like_silence(serve: Serve, upstream: Upstream) -> None:
    gateway = await serve(timeouts={"idle_s": 0.2})
    upstream.script(sse([*[reasoning("hm ")] * 10, text("so"), finish()], pause=0.05))
    story = await gateway.stream(CODEX)
    assert (story.status, story.text) == ("completed", "so")


@pytest.mark.usefixtures("quick")
async def test_a_whole_reply_waits_for_a_slow_upstream(gateway: Served, upstream: Upstream) -> None:
    upstream.script(after(0.5, sse([text("late"), finish()])))
    reply = await gateway.create()
    assert (reply.status, reply.json["status"]) == (200, "completed")


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize(("headers", "code"), [({}, "server_error"), (CODEX, "invalid_prompt")], ids=["plain", "codex"])
async def test_a_late_refusal_is_told_inside_the_stream(
    gateway: Served, upstream: Upstream, headers: dict[str, str], code: str
) -> None:
    upstream.script(after(0.4, status(401, {"error": {"message": "no such key"}})))
    story = await gateway.stream(headers)
    assert (story.status, story.code) == ("failed", code)
    assert story.message is not None
    assert "no such key" in story.message


async def test_an_early_refusal_keeps_its_status(gateway: Served, upstream: Upstream) -> None:
    upstream.script(after(0.2, status(401, {"error": {"message": "no such key"}})))
    assert (await gateway.create(stream=True)).status == 401


@pytest.mark.parametrize(
    ("headers", "http", "code"), [({}, 504, "timeout"), (CODEX, 503, "server_error")], ids=["plain", "codex"]
)
async def test_an_upstream_that_never_answers_is_given_up(
    serve: Serve, upstream: Upstream, headers: dict[str, str], http: int, code: str
) -> None:
    gateway = await serve(timeouts={"first_byte_s": 0.15}, retry={"attempts": 1})
    upstream.script(stall())
    reply = await gateway.create(headers, stream=True)
    assert (reply.status, reply.error["code"]) == (http, code)
    assert "did not begin to answer within 0.15 s" in reply.error["message"]
    await let_go(upstream)


# --- upstream falls silent, breaks, or never hangs up


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("headers", [{}, CODEX], ids=["plain", "codex"])
async def test_an_upstream_that_falls_silent_ends_the_turn(
    serve: Serve, upstream: Upstream, headers: dict[str, str]
) -> None:
    gateway = await serve(timeouts={"idle_s": 0.3})
    upstream.script(stall([text("Once upon")], before_headers=False))
    started = time.monotonic()
    story = await gateway.stream(headers)
    assert 0.3 < time.monotonic() - started < 1
    assert (story.status, story.code, story.text) == ("failed", "server_error", "Once upon")
    assert story.message == "Custom provider: sent nothing for 0.3 s"
    await let_go(upstream)


@pytest.mark.usefixtures("quick")
async def test_an_upstream_that_falls_silent_ends_a_whole_reply(serve: Serve, upstream: Upstream) -> None:
    gateway = await serve(timeouts={"idle_s": 0.3})
    upstream.script(stall([text("Once upon")], before_headers=False))
    reply = await gateway.create()
    assert (reply.status, reply.json["status"], reply.json["error"]["code"]) == (200, "failed", "server_error")
    await let_go(upstream)


@pytest.mark.usefixtures("quick")
async def test_a_finished_answer_does_not_wait_for_the_connection_to_close(gateway: Served, upstream: Upstream) -> None:
    upstream.script(stall([text("all"), finish()], before_headers=False))
    started = time.monotonic()
    story = await gateway.stream()
    assert (story.status, story.text, story.usage) == ("completed", "all", None)
    assert time.monotonic() - started < 1
    await let_go(upstream)


@pytest.mark.usefixtures("quick")
async def test_late_usage_is_waited_for(gateway: Served, upstream: Upstream) -> None:
    upstream.script(slowly((0, text("all")), (0, finish()), (0.1, usage(7, 3))))
    story = await gateway.stream()
    assert story.usage is not None
    assert story.usage["total_tokens"] == 10


async def test_done_ends_the_turn_although_the_connection_stays(gateway: Served, upstream: Upstream) -> None:
    upstream.script(stall([text("all"), finish(), b"data: [DONE]\n\n"], before_headers=False))
    started = time.monotonic()
    assert (await gateway.stream()).status == "completed"
    assert time.monotonic() - started < AT_ONCE
    await let_go(upstream)


@pytest.mark.parametrize("reset", [False, True], ids=["closed", "reset"])
@pytest.mark.parametrize("headers", [{}, CODEX], ids=["plain", "codex"])
@pytest.mark.parametrize("chunks", [[], [text("Once upon")], [reasoning("hm")]], ids=["nothing", "text", "thoughts"])
async def test_an_upstream_that_breaks_off_fails_the_turn(
    gateway: Served, upstream: Upstream, chunks: list[Any], headers: dict[str, str], reset: bool
) -> None:
    upstream.script(cut(chunks, reset=reset))
    story = await gateway.stream(headers)
    assert (story.status, story.code) == ("failed", "server_error")
    assert story.message is not None
    assert story.message.startswith("Custom")
    assert len(upstream.requests) == 1


@pytest.mark.parametrize("reset", [False, True], ids=["closed", "reset"])
async def test_a_break_after_the_finish_is_no_failure(gateway: Served, upstream: Upstream, reset: bool) -> None:
    upstream.script(cut([text("all"), finish()], reset=reset))
    assert (await gateway.stream()).status == "completed"


async def test_a_break_fails_a_whole_reply(gateway: Served, upstream: Upstream) -> None:
    upstream.script(cut([text("Once upon")]))
    reply = await gateway.create()
    assert (reply.status, reply.json["status"]) == (200, "failed")
    assert reply.json["output"][0]["content"][0]["text"] == "Once upon"


async def test_a_fault_of_ours_still_gives_the_stream_its_ending(
    gateway: Served, upstream: Upstream, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def faulty(*_: Any) -> Any:
        raise ZeroDivisionError("secret detail")

    monkeypatch.setattr(Turn, "receive_data", faulty)
    upstream.script(sse([text("a"), finish()]))
    story = await gateway.stream()
    assert story.status == "failed"
    assert "secret detail" not in str(story.message)
    assert "secret detail" in caplog.text


@pytest.mark.usefixtures("quick")
async def test_a_fault_of_ours_in_a_begun_stream_still_gives_it_its_ending(
    gateway: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def faulty(*_: Any, **__: Any) -> Any:
        await asyncio.sleep(0.4)
        raise ZeroDivisionError

    monkeypatch.setattr(gateway.gateway.upstream, "open", faulty)
    assert (await gateway.stream()).status == "failed"


# --- the gateway ends


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
    reading = asyncio.ensure_future(response.content.read())
    await until(lambda: upstream.requests)
    await asyncio.sleep(0.05)
    await gateway.listener.stop()
    story = oracle.read(await asyncio.wait_for(reading, 1))
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
    story = oracle.read(await asyncio.wait_for(reading, 1))
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
    reply = await asyncio.wait_for(asking, 1)
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
    upstream.script(sse([*[text("word ")] * 10, finish()], pause=0.03))
    asking = asyncio.ensure_future(gateway.stream())
    await until(lambda: upstream.requests)
    stopping = asyncio.ensure_future(gateway.listener.stop())
    await asyncio.sleep(0.05)
    async with aiohttp.ClientSession() as other:
        with pytest.raises(aiohttp.ClientConnectorError):
            await other.get(gateway.url + "/healthz")
    await asyncio.gather(asking, stopping)


async def test_nothing_is_left_running(gateway: Served, upstream: Upstream) -> None:
    upstream.script(sse([text("a"), finish()]), cut([text("b")]), status(500))
    for _ in range(3):
        with contextlib.suppress(AssertionError):
            await gateway.stream()
    assert not len(gateway.gateway.watch)


async def test_a_connection_is_used_again(gateway: Served, upstream: Upstream) -> None:
    seen: set[Any] = set()

    def answer(asked: Recorded) -> Answer:
        inner = sse([text("a"), finish(), usage()])

        async def play(request: web.Request) -> web.StreamResponse:
            assert request.transport is not None
            seen.add(request.transport.get_extra_info("peername"))
            return await inner.play(request)

        return Answer(play)

    upstream.script(answer)
    for _ in range(5):
        await gateway.stream()
    assert len(seen) == 1


@pytest.mark.usefixtures("hurried")
async def test_a_turn_that_comes_by_an_open_connection_at_the_end_still_gets_its_ending(
    gateway: Served, upstream: Upstream
) -> None:
    upstream.script(stall([text("a")], before_headers=False))
    url = gateway.url
    first = asyncio.ensure_future(gateway.stream())
    await until(lambda: upstream.requests)
    async with aiohttp.ClientSession() as other:
        async with other.get(url + "/healthz") as alive:
            await alive.read()
        stopping = asyncio.ensure_future(gateway.listener.stop())
        await asyncio.sleep(0.1)
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
    gateway = await serve(session_store=SlowStore(), timeouts={"first_byte_s": 0.3}, retry={"attempts": 1})
    upstream.script(stall())
    asking = asyncio.ensure_future(gateway.stream())
    await asyncio.wait_for(upstream.aborted.wait(), 1)
    await gateway.listener.stop()
    assert (await asking).status == "failed"
