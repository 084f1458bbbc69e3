"""Streams under way: a client that goes, an upstream that is slow, silent, cut or open for ever."""

from __future__ import annotations

import asyncio
import contextlib
import time
from typing import Any

import pytest
from aiohttp import ClientResponse, web

from codex_nexus.gateway import live
from codex_nexus.translate.turn import Turn
from tests import oracle
from tests.gateway.conftest import Serve
from tests.serving import CODEX, Served, let_go, read_until
from tests.upstream import (
    Answer,
    Recorded,
    Upstream,
    cut,
    event,
    finish,
    gated,
    paused,
    reasoning,
    sse,
    stall,
    status,
    text,
    usage,
)
from tests.waiting import until

NEVER_S = 3600.0
PLENTY = [text(f"word {n} ") for n in range(10_000)]


def flood() -> Answer:
    """A stream that comes as fast as it is taken, without an end."""

    async def play(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        while True:
            await response.write(event(text("word ")) * 100)

    return Answer(play)


# --- the client goes


SOME = b"output_text.delta"
BEGUN = b"response.in_progress"


@pytest.mark.parametrize("kept", [True, False])
@pytest.mark.parametrize(
    ("answer", "seen"),
    [
        (sse(PLENTY, pause=0.01), SOME),
        (flood(), SOME),
        (stall([text("one")], before_headers=False), SOME),
        (stall(before_headers=False), BEGUN),
    ],
    ids=["flowing", "flooding", "silent", "silent from the start"],
)
async def test_upstream_is_let_go_when_the_client_goes(
    gateway: Served, upstream: Upstream, answer: Answer, seen: bytes, kept: bool
) -> None:
    upstream.script(answer)
    response = await gateway.open(store=kept)
    await read_until(response, seen)
    response.close()
    await let_go(upstream)
    await until(lambda: not len(gateway.gateway.watch))


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
    await read_until(response, BEGUN)
    response.close()
    await let_go(upstream)


async def test_upstream_is_let_go_when_nobody_waits_for_the_whole_answer(gateway: Served, upstream: Upstream) -> None:
    upstream.script(sse(PLENTY, pause=0.01))
    asking = asyncio.ensure_future(gateway.create())
    await until(lambda: gateway.gateway.traffic.running and upstream.requests)
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
        await read_until(response, SOME)
        response.close()
        await let_go(upstream)
    await until(lambda: caplog.text.count(" gone, ") == 3)
    assert [record for record in caplog.records if record.levelname in ("ERROR", "WARNING")] == []


async def test_a_slow_reader_holds_up_nobody_but_itself(gateway: Served, upstream: Upstream) -> None:
    upstream.script(sse([text("x" * 60_000)] * 100), sse([text("hi"), finish()]))
    slow = await gateway.open()  # and never reads
    assert (await gateway.stream()).text == "hi"
    slow.close()


# --- upstream is slow to answer


async def the_rest(response: ClientResponse, begun: bytes) -> oracle.Story:
    return oracle.read(begun + await response.content.read())


@pytest.mark.usefixtures("quick")
async def test_the_stream_begins_without_an_upstream_that_is_slow(gateway: Served, upstream: Upstream) -> None:
    gate = asyncio.Event()
    upstream.script(gated(gate, sse([text("late"), finish(), usage()])))
    response = await gateway.open()
    began = time.monotonic()
    said = await read_until(response, BEGUN)
    while said.count(b"event: response.in_progress") < 4:
        said += await read_until(response, BEGUN)
    gate.set()
    story = await the_rest(response, said)
    assert (story.status, story.text) == ("completed", "late")
    beats = [event for event in story.events[2:] if event["type"] == "response.in_progress"]
    assert 3 <= len(beats) <= 1 + (time.monotonic() - began) / live.HEARTBEAT_S


async def test_an_answer_that_is_quick_has_no_signs_of_life(
    gateway: Served, upstream: Upstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live, "TICK_S", 0.005)
    upstream.script(sse([text("a"), text("b"), finish()], pause=0.05))
    story = await gateway.stream()
    assert [event["type"] for event in story.events].count("response.in_progress") == 1


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("keepalive", [b"", b": keep-alive\n\n"], ids=["silence", "comments"])
async def test_silence_inside_an_answer_has_signs_of_life(
    gateway: Served, upstream: Upstream, keepalive: bytes
) -> None:
    gate = asyncio.Event()
    upstream.script(paused([text("a")], gate, [text("b"), finish()], keepalive))
    response = await gateway.open()
    said = await read_until(response, SOME)
    for _ in range(3):
        said += await read_until(response, BEGUN)
    gate.set()
    assert (await the_rest(response, said)).text == "ab"


@pytest.mark.usefixtures("quick")
async def test_thoughts_that_a_client_does_not_see_do_not_look_like_silence(serve: Serve, upstream: Upstream) -> None:
    gateway = await serve(timeouts={"idle_s": 2})
    upstream.script(sse([*[reasoning("hm ")] * 25, text("so"), finish()], pause=0.1))
    story = await gateway.stream(CODEX)
    assert (story.status, story.text) == ("completed", "so")


@pytest.mark.usefixtures("quick")
async def test_a_whole_reply_waits_for_a_slow_upstream(gateway: Served, upstream: Upstream) -> None:
    gate = asyncio.Event()
    upstream.script(gated(gate, sse([text("late"), finish()])))
    asking = asyncio.ensure_future(gateway.create())
    await asyncio.sleep(2 * live.GRACE_S)
    gate.set()
    reply = await asking
    assert (reply.status, reply.json["status"]) == (200, "completed")


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize(("headers", "code"), [({}, "server_error"), (CODEX, "invalid_prompt")], ids=["plain", "codex"])
async def test_a_late_refusal_is_told_inside_the_stream(
    gateway: Served, upstream: Upstream, headers: dict[str, str], code: str
) -> None:
    gate = asyncio.Event()
    upstream.script(gated(gate, status(401, {"error": {"message": "no such key"}})))
    response = await gateway.open(headers)
    said = await read_until(response, BEGUN)
    gate.set()
    story = await the_rest(response, said)
    assert (story.status, story.code) == ("failed", code)
    assert story.message is not None
    assert "no such key" in story.message


async def test_an_early_refusal_keeps_its_status(gateway: Served, upstream: Upstream) -> None:
    upstream.script(status(401, {"error": {"message": "no such key"}}))
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
    gateway = await serve(timeouts={"idle_s": 1})
    upstream.script(stall([text("Once upon")], before_headers=False))
    story = await gateway.stream(headers)
    assert (story.status, story.code, story.text) == ("failed", "server_error", "Once upon")
    assert story.message == "Custom provider: sent nothing for 1 s"
    await let_go(upstream)


@pytest.mark.usefixtures("quick")
async def test_an_upstream_that_falls_silent_ends_a_whole_reply(serve: Serve, upstream: Upstream) -> None:
    gateway = await serve(timeouts={"idle_s": 1})
    upstream.script(stall([text("Once upon")], before_headers=False))
    reply = await gateway.create()
    assert (reply.status, reply.json["status"], reply.json["error"]["code"]) == (200, "failed", "server_error")
    await let_go(upstream)


@pytest.mark.usefixtures("quick")
async def test_a_finished_answer_does_not_wait_for_the_connection_to_close(gateway: Served, upstream: Upstream) -> None:
    upstream.script(stall([text("all"), finish()], before_headers=False))
    story = await gateway.stream()
    assert (story.status, story.text, story.usage) == ("completed", "all", None)
    await let_go(upstream)


@pytest.mark.usefixtures("quick")
async def test_late_usage_is_waited_for(gateway: Served, upstream: Upstream, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "SETTLE_S", NEVER_S)
    gate = asyncio.Event()
    upstream.script(paused([text("all"), finish()], gate, [usage(7, 3)]))
    response = await gateway.open()
    said = await read_until(response, SOME)
    await asyncio.sleep(10 * live.TICK_S)
    gate.set()
    story = await the_rest(response, said)
    assert story.usage is not None
    assert story.usage["total_tokens"] == 10


async def test_done_ends_the_turn_although_the_connection_stays(
    gateway: Served, upstream: Upstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live, "SETTLE_S", NEVER_S)
    upstream.script(stall([text("all"), finish(), b"data: [DONE]\n\n"], before_headers=False))
    assert (await gateway.stream()).status == "completed"
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
    assert len(upstream.requests) == (1 if chunks else 2)  # as long as nothing was said it may be said again


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
    gate = asyncio.Event()

    async def faulty(*_: Any, **__: Any) -> Any:
        await gate.wait()
        raise ZeroDivisionError

    monkeypatch.setattr(gateway.gateway.upstream, "open", faulty)
    response = await gateway.open()
    said = await read_until(response, BEGUN)
    gate.set()
    assert (await the_rest(response, said)).status == "failed"


# --- what stays


async def test_nothing_is_left_running(gateway: Served, upstream: Upstream) -> None:
    upstream.script(sse([text("a"), finish()]), cut([text("b")]), status(500))
    for _ in range(3):
        with contextlib.suppress(AssertionError):
            await gateway.stream()
    await until(lambda: not len(gateway.gateway.watch))


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


@pytest.mark.usefixtures("quick")
async def test_a_fault_of_one_turn_leaves_the_clock_of_the_others_running(
    gateway: Served, upstream: Upstream, caplog: pytest.LogCaptureFixture
) -> None:
    class Broken:
        closed = False

        def look(self, now: float) -> None:
            raise ZeroDivisionError

        def stop(self, reason: live.StopReason) -> None:
            """Nothing to stop."""

    broken = Broken()
    gateway.gateway.watch.add(broken)
    upstream.script(stall())
    response = await gateway.open()
    await read_until(response, BEGUN)
    response.close()
    gateway.gateway.watch.remove(broken)
    assert "ZeroDivisionError" in caplog.text
