"""How answers begin, on real sockets: with nothing, with a fault, with something that is no answer at all."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from aiohttp import web

from tests.gateway.conftest import UPSTREAM_KEY, Serve
from tests.serving import CODEX, Served
from tests.upstream import Answer, Upstream, cut, delta, finish, raw, sse, stall, status, text
from tests.worlds import providers

HELLO = sse([text("hi"), finish()])
COMMENT = b": still working\n\n"


def error(message: str, **fields: Any) -> dict[str, Any]:
    """OpenAI's envelope."""
    return {"error": {"message": message, **fields}}


def late(delay: float, *chunks: Any, ending: str = "good") -> Answer:
    """Headers at once, then silence, then these chunks; the connection ends well, or is closed."""

    async def play(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        await asyncio.sleep(delay)
        for chunk in chunks:
            await response.write(
                chunk if isinstance(chunk, bytes) else b"data: " + json.dumps(chunk).encode() + b"\n\n"
            )
        if ending != "good":
            await asyncio.sleep(0.05)  # the end would overtake what the client has not read yet
            if request.transport is not None:
                request.transport.abort()
        return response

    return Answer(play)


def fallback(first: Upstream, second: Upstream) -> dict[str, Any]:
    """A route with a second provider behind the first."""
    return {
        "known": providers(first={"base_url": first.base_url}, second={"base_url": second.base_url}),
        "provider_api_keys": {"first": "key-of-first", "second": "key-of-second"},
        "model_routes": {
            "gpt-5": {"provider": "first", "model": "a", "fallbacks": [{"provider": "second", "model": "b"}]}
        },
    }


# --- nothing at all

NOTHING: dict[str, tuple[Answer, str]] = {
    "closed": (cut([]), "the connection broke before the first word"),
    "reset": (cut([], reset=True), "the connection broke before the first word"),
    "closed after a comment": (cut([COMMENT]), "the connection broke before the first word"),
    "closed later": (late(0.4, ending="cut"), "the connection broke before the first word"),
    "closed later, after a comment": (late(0.3, COMMENT, ending="cut"), "the connection broke before the first word"),
    "empty": (raw(b""), "sent an empty body"),
    "empty later": (late(0.4), "sent an empty body"),
    "only comments": (sse([COMMENT], done=False), "sent an empty body"),
    "empty JSON": (raw(b"", "application/json"), "sent an empty body"),
    "blank JSON": (raw(b" \n", "application/json"), "sent an empty body"),
}


@pytest.mark.parametrize("case", NOTHING)
@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize("headers", [{}, CODEX], ids=["plain", "codex"])
async def test_nothing_is_asked_for_again(
    gateway: Served, upstream: Upstream, case: str, headers: dict[str, str], stream: bool
) -> None:
    upstream.script(NOTHING[case][0], HELLO)
    reply = await gateway.create(headers, stream=stream)
    assert (reply.story.text if stream else reply.json["output"][0]["content"][0]["text"]) == "hi"
    assert len(upstream.requests) == 2


@pytest.mark.parametrize("case", NOTHING)
@pytest.mark.parametrize("stream", [True, False])
async def test_nothing_is_told_as_that(gateway: Served, upstream: Upstream, case: str, stream: bool) -> None:
    answer, words = NOTHING[case]
    upstream.script(answer)
    reply = await gateway.create(stream=stream)
    told = (reply.story.response if stream else reply.json)["error"]
    assert told["message"].startswith("Custom provider did not answer: it took the request (200) and then ")
    assert words in told["message"]
    assert told["code"] == "server_error"
    assert len(upstream.requests) == 2


@pytest.mark.parametrize("case", NOTHING)
async def test_a_fallback_takes_over_from_nothing(
    serve: Serve, upstream: Upstream, other_upstream: Upstream, case: str
) -> None:
    gateway = await serve(**fallback(upstream, other_upstream))
    upstream.script(NOTHING[case][0])
    other_upstream.script(HELLO)
    reply = await gateway.create(stream=True)
    assert (reply.story.text, reply.headers["x-nexus-upstream"]) == ("hi", "second/b")
    assert (len(upstream.requests), len(other_upstream.requests)) == (2, 1)


@pytest.mark.parametrize("said", [text("a"), delta(role="assistant", content=""), b'data: {"cho', b"data"])
@pytest.mark.parametrize("ending", ["good", "cut"])
async def test_what_has_begun_is_not_asked_for_again(
    serve: Serve, upstream: Upstream, other_upstream: Upstream, said: Any, ending: str
) -> None:
    gateway = await serve(**fallback(upstream, other_upstream))
    upstream.script(late(0.0, said, ending=ending), HELLO)
    other_upstream.script(HELLO)
    assert (await gateway.stream()).status == "failed"
    assert (len(upstream.requests), other_upstream.requests) == (1, [])


async def test_a_silent_prompt_that_is_too_long_is_told_as_that(serve: Serve, upstream: Upstream) -> None:
    dialect = {"silent_overflow": True, "context_window": 1000}
    known = providers(house={"base_url": upstream.base_url, "local": True, "dialect": dialect})
    upstream.script(raw(b""))
    told = await (await serve(known, provider="house")).stream(input="word " * 900)
    assert told.code == "context_length_exceeded"


async def test_silence_after_the_headers_has_an_end(serve: Serve, upstream: Upstream, other_upstream: Upstream) -> None:
    gateway = await serve(**fallback(upstream, other_upstream), timeouts={"idle_s": 1.0}, retry={"attempts": 1})
    upstream.script(stall(before_headers=False))
    other_upstream.script(HELLO)
    assert (await gateway.stream()).text == "hi"
    other_upstream.script(stall(before_headers=False))
    reply = await gateway.create()
    assert (reply.status, reply.error["code"]) == (504, "timeout")
    assert reply.error["message"] == "Second did not say a word of its answer for 1 s"


async def test_comments_are_signs_of_life(serve: Serve, upstream: Upstream) -> None:
    gateway = await serve(timeouts={"idle_s": 30.0, "first_byte_s": 2.0}, retry={"attempts": 1})
    upstream.script(sse([*[COMMENT] * 25, text("hi"), finish()], pause=0.1))
    assert (await gateway.stream()).text == "hi"


# --- a chat that is passed through

CHAT = {"model": "gpt-5", "messages": [{"role": "user", "content": "hi"}]}


@pytest.mark.parametrize("case", ["closed", "reset", "closed later"])
async def test_a_chat_that_broke_before_its_first_byte_is_asked_for_again(
    gateway: Served, upstream: Upstream, case: str
) -> None:
    body = b'data: {"choices":[]}\n\n'
    upstream.script(NOTHING[case][0], raw(body))
    reply = await gateway.ask("POST", "/v1/chat/completions", CHAT | {"stream": True})
    assert (reply.status, reply.body) == (200, body)
    upstream.script(NOTHING[case][0])
    reply = await gateway.ask("POST", "/v1/chat/completions", CHAT | {"stream": True})
    assert (reply.status, reply.error["type"]) == (502, "server_error")
    assert NOTHING[case][1] in reply.error["message"]


# --- a fault in the place of the first words

FAULTS: dict[str, Answer] = {
    "later": late(0.4, error("Overloaded", code=503)),
    "later, after comments": late(0.3, COMMENT, error("Overloaded", code=503)),
    "an event called error": late(0.0, b'event: error\ndata: {"message": "Overloaded", "code": 503}\n\n'),
    "an error in words": late(0.0, b"event: error\ndata: Overloaded\n\n"),
    "after the role": sse([delta(role="assistant", content=""), error("Overloaded", code=503)], pause=0.05),
    "JSON without its name": raw(json.dumps(error("Overloaded", code=503)).encode(), "text/plain"),
    "JSON that is called a stream": raw(json.dumps(error("Overloaded", code=503)).encode()),
    "JSON": status(200, error("Overloaded", code=503)),
    "a list": status(200, [error("Overloaded", code=503)]),
    "no success": status(200, {"success": False, "code": 503, "msg": "Overloaded"}),
}


@pytest.mark.parametrize("case", FAULTS)
@pytest.mark.parametrize("stream", [True, False])
async def test_a_fault_in_the_place_of_an_answer_is_mended(
    serve: Serve, upstream: Upstream, other_upstream: Upstream, case: str, stream: bool
) -> None:
    gateway = await serve(**fallback(upstream, other_upstream))
    upstream.script(FAULTS[case], HELLO)
    assert (await gateway.create(stream=stream)).headers["x-nexus-upstream"] == "first/a"
    assert len(upstream.requests) == 2
    upstream.script(FAULTS[case])
    other_upstream.script(HELLO)
    assert (await gateway.create(stream=stream)).headers["x-nexus-upstream"] == "second/b"
    other_upstream.script(FAULTS[case])
    reply = await gateway.create(stream=stream)
    told = reply.error if reply.status != 200 else (reply.story.response if stream else reply.json)["error"]
    assert "Overloaded" in told["message"]


REFUSAL = "Unknown parameter: 'top_p'."
REFUSALS: dict[str, Answer] = {
    "a stream": sse([error(REFUSAL, code=400)]),
    "a stream, later": late(0.4, error(REFUSAL, code="400")),
    "an event": late(0.0, b"event: error\ndata: " + json.dumps({"message": REFUSAL}).encode() + b"\n\n"),
    "JSON": status(200, error(REFUSAL)),
    "JSON without its name": raw(json.dumps(error(REFUSAL)).encode(), "application/octet-stream"),
}


@pytest.mark.parametrize("case", REFUSALS)
async def test_a_refusal_in_the_place_of_an_answer_is_healed(gateway: Served, upstream: Upstream, case: str) -> None:
    upstream.script(REFUSALS[case], HELLO)
    assert (await gateway.stream(top_p=0.5)).text == "hi"
    assert "top_p" not in upstream.requests[1].json


async def test_a_failed_response_of_the_other_wire_is_healed(serve: Serve, upstream: Upstream) -> None:
    known = providers(house={"base_url": upstream.base_url, "local": True, "dialect": {"wire": "responses"}})
    gateway = await serve(known, provider="house")
    failed = {"type": "response.failed", "response": {"status": "failed", "error": {"message": REFUSAL}}}
    begun = {"type": "response.created", "response": {"status": "in_progress"}}
    done = {
        "type": "response.completed",
        "response": {
            "status": "completed",
            "output": [{"type": "message", "content": [{"type": "output_text", "text": "hi"}]}],
        },
    }
    upstream.script(sse([begun, failed], done=False), sse([begun, done], done=False))
    assert (await gateway.stream(top_p=0.5)).text == "hi"
    assert "top_p" not in upstream.requests[1].json


# --- what is no answer

PAGE = (
    b"<!DOCTYPE html><html><head><style>p {}</style><title>\n Guest  Wi-Fi &ndash; sign in</title></head><body><p>Hi"
    b"</body></html>"
)
STRANGE: dict[str, tuple[bytes, str, str]] = {
    "a page": (PAGE, "text/html", "(200, text/html). It sent 'Guest Wi-Fi – sign in'."),
    "a page without a title": (
        b"<html><script>let a = 1</script><!-- x --><b>Hello</b> you</html>", "text/html", "It sent 'Hello you'.",
    ),
    "a page that is called JSON": (PAGE, "application/json", "It sent 'Guest Wi-Fi – sign in'."),
    "a page that is called a stream": (PAGE, "text/event-stream", "It sent 'Guest Wi-Fi – sign in'."),
    "words": (b"Ollama is running", "text/plain", "It sent 'Ollama is running'."),
    "one word": (b"OK", "text/plain", "It sent 'OK'."),
    "words of no kind": (b"It works, doesn't it?", "application/octet-stream", "It sent 'It works, doesn't it?'."),
    "binary data": (b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR", "image/png", "(200, image/png). It sent binary data."),
    "packed data": (b"\x1f\x8b\x08\x00\x00\x00\x00\x00", "text/event-stream", "It sent binary data."),
    "other JSON": (b'{"hello": "world"}', "application/json", "It sent '{\"hello\": \"world\"}'."),
    "other JSON without its name": (b'{"hello": "world"}', "text/plain", "It sent '{\"hello\": \"world\"}'."),
    "a long text": (b"word " * 1000, "text/plain", "word word…'."),
    "a key": (f"{UPSTREAM_KEY} is yours".encode(), "text/plain", "It sent '*** is yours'."),
}  # fmt: skip


@pytest.mark.parametrize("case", STRANGE)
@pytest.mark.parametrize("stream", [True, False])
async def test_what_is_no_answer_is_told_for_what_it_is(
    gateway: Served, upstream: Upstream, case: str, stream: bool
) -> None:
    body, kind, words = STRANGE[case]
    upstream.script(raw(body, kind))
    reply = await gateway.create(stream=stream)
    told = reply.error if reply.status != 200 else (reply.story.response if stream else reply.json)["error"]
    assert f"what answers at {upstream.base_url}/chat/completions is no Chat Completions API (200, " in told["message"]
    assert words in told["message"]
    assert UPSTREAM_KEY not in told["message"]
    assert len(told["message"]) < 500


COMPLETION = {"id": "c", "object": "chat.completion", "choices": [
    {"index": 0, "message": {"role": "assistant", "content": "hi"}, "finish_reason": "stop"}
], "usage": {"prompt_tokens": 1, "completion_tokens": 2}}  # fmt: skip


@pytest.mark.parametrize("kind", ["application/json", "text/plain", "text/event-stream", "application/octet-stream"])
@pytest.mark.parametrize("size", [2, 200_000])
async def test_a_whole_answer_in_place_of_a_stream_is_taken(
    gateway: Served, upstream: Upstream, kind: str, size: int
) -> None:
    words = "hi" * (size // 2)
    body = json.dumps(COMPLETION, indent=1).replace('"hi"', json.dumps(words)).encode()
    upstream.script(raw(body, kind))
    story = await gateway.stream()
    assert (story.status, story.text) == ("completed", words)
    assert story.usage is not None
    assert story.usage["total_tokens"] == 3
    assert len(upstream.requests) == 1


@pytest.mark.parametrize("code", [301, 302, 307, 308])
async def test_a_redirect_is_told_with_its_target(gateway: Served, upstream: Upstream, code: int) -> None:
    upstream.script(status(code, "", {"Location": "https://user:pw@login.example/sign-in?token=secret-token#x"}))
    told = (await gateway.create()).error["message"]
    assert "It points to https://login.example/sign-in, and is not followed there: check the address" in told
    assert "secret-token" not in told


# --- an answer that begins inside a thought

LONE = sse([text("They say hi."), text("</think>\n\nHello!"), finish()])


@pytest.mark.parametrize("headers", [{}, CODEX], ids=["plain", "codex"])
async def test_a_thought_that_the_prompt_opened_is_none_of_the_text(
    serve: Serve, upstream: Upstream, headers: dict[str, str]
) -> None:
    dialect = {"think_tags": "inside"}
    known = providers(house={"base_url": upstream.base_url, "local": True, "dialect": dialect})
    gateway = await serve(known, provider="house")
    upstream.script(LONE)
    story = await gateway.stream(headers, reasoning={"summary": "auto"})
    assert story.text == "Hello!"
    assert "They say hi." in json.dumps(story.response["output"][0])
    upstream.script(sse([text("No thought "), text("at all."), finish()]))
    assert (await gateway.stream(headers)).text == "No thought at all."


async def test_a_lone_end_of_a_thought_is_a_line_in_the_log(
    gateway: Served, upstream: Upstream, caplog: pytest.LogCaptureFixture
) -> None:
    upstream.script(LONE)
    assert (await gateway.stream()).text == "They say hi.</think>\n\nHello!"
    assert '"think_tags": "inside"' in caplog.text
