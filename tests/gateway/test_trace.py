"""The four views of a turn on real sockets: what is recorded, what is bounded, and what never stands in them."""

from __future__ import annotations

import json
import re
from typing import Any

import aiohttp
import pytest

from codex_nexus.gateway.cuts import MOST_BYTES
from codex_nexus.gateway.trace import Trace, shown_url
from codex_nexus.gateway.trace_view import document
from tests.gateway.conftest import UPSTREAM_KEY, Serve
from tests.serving import CODEX, Served
from tests.upstream import Upstream, call, cut, finish, raw, sse, status, text, usage
from tests.waiting import until
from tests.worlds import providers

HELLO = sse([text("a private "), text("answer"), finish(), usage(12, 5)])
PRIVATE = {
    "instructions": "private instructions",
    "input": [{"type": "message", "role": "user", "content": [{"type": "input_text", "text": "a private question"}]}],
    "tools": [
        {
            "type": "function",
            "name": "look_up",
            "description": "a private description",
            "parameters": {
                "type": "object",
                "properties": {"description": {"type": "string", "description": "private"}},
            },
        }
    ],
    "metadata": {"note": "private"},
}


def traces(served: Served) -> list[Trace]:
    return served.gateway.traces.held


async def shown(served: Served, at: int = -1, *, words: bool = False) -> Any:
    """A recorded turn as a person gets it."""
    await until(lambda: not served.gateway.traffic.running)
    secrets = served.gateway.snapshot.secrets()
    return json.loads(document(traces(served)[at], secrets, words=words))


def stream_of(body: dict[str, Any]) -> str:
    """The bytes of a stream, put together again."""
    return "".join(part["text"] for part in body["stream"])


# --- the views


async def test_nothing_is_kept_unless_somebody_asks(gateway: Served, upstream: Upstream) -> None:
    upstream.script(HELLO)
    await gateway.stream(CODEX)
    await gateway.ask("POST", "/v1/chat/completions", {"model": "gpt-5", "messages": []})
    assert traces(gateway) == []


async def test_a_streamed_turn_is_seen_from_four_sides(serve: Serve, upstream: Upstream) -> None:
    gateway = await serve(traces=5)
    upstream.script(HELLO)
    reply = await gateway.create(CODEX, stream=True, **PRIVATE)
    seen = await shown(gateway, words=True)
    assert seen["turn"]["turn"] == reply.story.response["id"]
    assert (seen["turn"]["upstream"], seen["turn"]["status"]) == ("custom/scripted", "completed")
    asked = seen["client_request"]
    assert (asked["door"], asked["headers"]["originator"]) == ("POST /v1/responses", "codex_exec")
    assert asked["body"]["json"]["instructions"] == "private instructions"
    [sent], [heard] = seen["upstream_requests"], seen["upstream_answers"]
    assert sent["url"] == f"{upstream.base_url}/chat/completions"
    assert sent["body"]["json"] == upstream.requests[0].json
    assert (heard["status"], heard["headers"]["content-type"]) == (200, "text/event-stream")
    assert "data: [DONE]" in stream_of(heard["body"])
    assert stream_of(seen["client_reply"]["body"]).encode() == reply.body
    assert seen["client_reply"]["status"] == 200
    times = [asked["at"], sent["at"], heard["at"], *(part["at"] for part in seen["client_reply"]["body"]["stream"])]
    assert times == sorted(times)


async def test_a_reply_in_one_piece_and_an_answer_in_one_piece(serve: Serve, upstream: Upstream) -> None:
    gateway = await serve(traces=5)
    answer = {
        "choices": [{"index": 0, "message": {"role": "assistant", "content": "private"}, "finish_reason": "stop"}]
    }
    upstream.script(status(200, answer))
    reply = await gateway.create()
    seen = await shown(gateway, words=True)
    assert seen["upstream_answers"][0]["body"]["json"] == answer
    assert seen["client_reply"]["body"]["json"] == reply.json


async def test_a_refusal_and_what_was_said_after_it(serve: Serve, upstream: Upstream) -> None:
    gateway = await serve(traces=5)
    refusal = {"error": {"message": "Unsupported parameter: 'stream_options'", "type": "invalid_request_error"}}
    upstream.script(status(400, refusal, {"x-request-id": "req_7", "Set-Cookie": "session=abcdefgh"}), HELLO)
    await gateway.stream(CODEX)
    seen = await shown(gateway)
    first, second = seen["upstream_requests"]
    assert "stream_options" in first["body"]["json"]
    assert "stream_options" not in second["body"]["json"]
    refused, answered = seen["upstream_answers"]
    assert (refused["status"], refused["headers"]["x-request-id"]) == (400, "req_7")
    assert refused["body"]["json"] == refusal
    assert refused["taken_for"]["repair"] == "drop_field:stream_options"
    assert answered["status"] == 200
    assert "cookie" not in json.dumps(seen).lower()


async def test_retries_and_a_fallback_are_seen(serve: Serve, upstream: Upstream, other_upstream: Upstream) -> None:
    known = providers(second={"base_url": other_upstream.base_url, "local": True, "default_model": "m2"})
    route = {"provider": "custom", "model": "m1", "fallbacks": [{"provider": "second"}]}
    gateway = await serve(known, traces=5, model_routes={"gpt-5": route})
    upstream.script(status(503, "<html>Service Unavailable</html>"))
    other_upstream.script(HELLO)
    await gateway.stream(CODEX)
    seen = await shown(gateway)
    assert [one["to"] for one in seen["upstream_requests"]] == ["custom/m1", "custom/m1", "second/m2"]
    assert [one["status"] for one in seen["upstream_answers"]] == [503, 503, 200]
    assert seen["upstream_answers"][0]["body"]["text"] == "<html>Service Unavailable</html>"
    assert seen["turn"]["tries"] == 3


async def test_a_provider_that_is_not_there_is_seen(serve: Serve) -> None:
    gateway = await serve(traces=5, custom_upstream="http://127.0.0.1:9/v1", retry={"attempts": 1})
    reply = await gateway.create(CODEX, stream=True)
    seen = await shown(gateway)
    [answer] = seen["upstream_answers"]
    assert answer["taken_for"]["kind"] == "unreachable"
    assert "status" not in answer
    assert (seen["client_reply"]["status"], seen["client_reply"]["body"]["json"]) == (reply.status, reply.json)


async def test_an_answer_that_was_cut_is_seen(serve: Serve, upstream: Upstream) -> None:
    gateway = await serve(traces=5)
    upstream.script(cut([text("half")]))
    await gateway.create(CODEX, stream=True)
    seen = await shown(gateway)
    assert seen["upstream_answers"][0]["broke"].startswith("ClientPayloadError")
    assert "response.failed" in stream_of(seen["client_reply"]["body"])
    assert seen["turn"]["status"] == "failed"


async def test_a_request_that_is_no_json_is_seen(serve: Serve, upstream: Upstream) -> None:
    gateway = await serve(traces=5)
    reply = await gateway.ask("POST", "/v1/responses", b"\xff\x00 not json", CODEX)
    seen = await shown(gateway)
    assert seen["client_request"]["body"] == {"bytes": 11, "text": "<14 characters, no JSON>"}
    assert seen["client_reply"]["body"]["json"] == reply.json
    assert (seen["turn"]["turn"], seen["turn"]["status"]) == ("", "refused")


async def test_a_turn_without_a_route_is_seen(serve: Serve) -> None:
    gateway = await serve(traces=5, provider="deepseek", api_key="")
    await gateway.create(CODEX)
    [refused] = gateway.gateway.traffic.ended
    assert gateway.gateway.traces.find(refused.id) is traces(gateway)[0]


@pytest.mark.parametrize(
    "junk", [b"oops", b"data: {oops\n\n: \xff\xfe\nid\r\r\n\r\ndata:\n\n", b"[" * 100_000, b"{}", b""]
)
async def test_an_answer_of_any_bytes_can_be_shown(serve: Serve, upstream: Upstream, junk: bytes) -> None:
    gateway = await serve(traces=5)
    for kind in ("text/event-stream", "application/json", "text/plain"):
        upstream.script(raw(junk, kind))
        await gateway.create(CODEX, stream=True)
        for words in (True, False):
            assert len((await shown(gateway, words=words))["upstream_answers"]) >= 1


# --- other doors


async def test_a_chat_completion_is_seen(serve: Serve, upstream: Upstream) -> None:
    gateway = await serve(traces=5)
    upstream.script(HELLO)
    asked = {"model": "gpt-5", "stream": True, "messages": [{"role": "user", "content": "private"}]}
    reply = await gateway.ask("POST", "/v1/chat/completions", asked)
    seen = await shown(gateway, words=True)
    assert seen["client_request"]["body"]["json"] == asked
    assert stream_of(seen["client_reply"]["body"]).encode() == reply.body
    assert "private" not in json.dumps(await shown(gateway))


async def test_a_refused_chat_completion_is_seen(serve: Serve, upstream: Upstream) -> None:
    gateway = await serve(traces=5)
    upstream.script(status(400, {"error": {"message": "no"}}))
    reply = await gateway.ask("POST", "/v1/chat/completions", {"model": "gpt-5", "messages": []})
    seen = await shown(gateway)
    assert (seen["client_reply"]["status"], seen["client_reply"]["body"]["json"]) == (reply.status, reply.json)


async def test_turns_on_a_websocket_are_seen(serve: Serve, upstream: Upstream) -> None:
    gateway = await serve(traces=5)
    upstream.script(HELLO)
    async with gateway.client.ws_connect(gateway.url + "/v1/responses", headers=CODEX) as socket:
        await socket.send_json({"type": "response.create", "model": "gpt-5", "input": [], "generate": False})
        while (await socket.receive_json())["type"] != "response.completed":
            pass
        assert traces(gateway) == []
        for lane in ("a", "b"):
            await socket.send_json({"type": "response.create", "model": "gpt-5", "input": "private", "stream_id": lane})
            while (await socket.receive_json())["type"] != "response.completed":
                pass
        await socket.send_json({"type": "response.create", "input": "private"})
        refused = await socket.receive_json()
    first, second, third = [await shown(gateway, n) for n in range(3)]
    assert first["client_request"]["door"] == second["client_request"]["door"] == "WebSocket /v1/responses"
    assert first["client_request"]["body"]["json"]["stream_id"] == "a"
    assert "response.completed" in stream_of(second["client_reply"]["body"])
    assert json.loads(stream_of(third["client_reply"]["body"]).removeprefix("data: ")) == refused


async def test_background_work_and_a_compaction_are_seen(serve: Serve, upstream: Upstream) -> None:
    gateway = await serve(traces=5)
    upstream.script(HELLO)
    queued = (await gateway.create(background=True)).json
    await until(lambda: traces(gateway)[0].record is not None)
    seen = await shown(gateway)
    assert (seen["turn"]["turn"], seen["turn"]["status"]) == (queued["id"], "completed")
    assert seen["client_reply"]["body"]["stream"]
    await gateway.ask("POST", "/v1/responses/compact", {"model": "gpt-5", "input": "private"})
    assert (await shown(gateway))["client_request"]["door"] == "POST /v1/responses/compact"


# --- what never stands there


SECRETS = {
    "the provider's key": UPSTREAM_KEY,
    "another provider's key": "a-plain-word-of-a-key",
    "the access token": "nexus-0123456789abcdef",
    "the caller's own key": "callers-own-credential",
    "a cookie": "cookie-value-0123",
    "a header's key": "header-value-0123",
    "a query's key": "query-value-0123",
    "a password in an address": "address-password-0123",
    "something that looks like a key": "sk-0123456789abcdefghij",
}


@pytest.mark.parametrize("words", [True, False])
async def test_no_secret_stands_anywhere(serve: Serve, upstream: Upstream, words: bool) -> None:
    bare = [secret for what, secret in SECRETS.items() if "address" not in what]
    whole = " ".join(bare) + f" http://me:{SECRETS['a password in an address']}@host/"
    record = {
        "base_url": upstream.base_url,
        "default_model": "m",
        "headers": {"X-House-Key": SECRETS["a header's key"]},
        "query": {"api-version": "7", "key": SECRETS["a query's key"]},
    }
    keys = {"house": UPSTREAM_KEY, "kimi": SECRETS["another provider's key"]}
    gateway = await serve(
        providers(house=record),
        traces=5,
        provider="house",
        provider_api_keys=keys,
        access_token=SECRETS["the access token"],
    )
    refusal = {"error": {"message": f"No: {whole}", "code": "x", "param": whole}, "token": "short"}
    upstream.script(
        status(400, refusal, {"Set-Cookie": whole, "x-request-id": whole}),
        sse(
            [
                text(whole),
                call(0, "c", "look_up", {"q": whole, "authorization": "Basic of-a-house"}),
                finish("tool_calls"),
            ]
        ),
        raw(whole.encode()),
    )
    headers = CODEX | {
        "Cookie": f"a={SECRETS['a cookie']}",
        "User-Agent": whole,
        "Authorization": f"Bearer {UPSTREAM_KEY}x",
    }
    asked = {
        "model": "house/m", "stream": True, "instructions": whole, "input": whole, "metadata": {"a": whole, whole[:60]: "b"},
        "previous_response_id": None, "api_key": "very-plain", "prompt_cache_key": UPSTREAM_KEY, "user": f"x{UPSTREAM_KEY}y",
    }  # fmt: skip
    headers["x-api-key"] = SECRETS["the caller's own key"]
    for _ in range(3):
        await gateway.ask("POST", "/v1/responses", asked, headers)
        await gateway.ask(
            "POST", "/v1/chat/completions", {**asked, "messages": [{"role": "user", "content": whole}]}, headers
        )
    await until(lambda: not gateway.gateway.traffic.running)
    assert upstream.requests
    for trace in traces(gateway):
        told = document(trace, gateway.gateway.snapshot.secrets(), words=words).decode()
        assert "api-version=7" in told
        for what, secret in SECRETS.items():
            assert secret not in told, what
        assert "very-plain" not in told
        assert "of-a-house" not in told
        assert "Authorization" not in json.dumps(json.loads(told)["upstream_requests"][0]["headers"])


def test_an_address_is_shown_without_its_secrets() -> None:
    told = shown_url("https://me:word@host/v1?api-version=7&x=y", {"key": "abc"})
    assert told == "https://host/v1?api-version=7&x=***&key=***"


async def test_words_are_taken_out_and_all_else_stays(serve: Serve, upstream: Upstream) -> None:
    gateway = await serve(traces=5)
    upstream.script(
        sse([text("private"), call(0, "call_7", "look_up", {"q": "private"}), finish("tool_calls"), usage(12, 5)])
    )
    await gateway.stream(CODEX, **PRIVATE)
    seen = await shown(gateway)
    assert "private" not in json.dumps(seen)
    asked = seen["client_request"]["body"]["json"]
    assert asked["instructions"] == "<20 characters>"
    assert asked["input"][0] == {
        "type": "message",
        "role": "user",
        "content": [{"type": "input_text", "text": "<18 characters>"}],
    }
    tool = asked["tools"][0]
    assert (tool["name"], tool["description"]) == ("look_up", "<21 characters>")
    assert tool["parameters"]["properties"]["description"]["type"] == "string"
    heard = stream_of(seen["upstream_answers"][0]["body"])
    for kept in ('"look_up"', '"call_7"', '"finish_reason":"tool_calls"', '"prompt_tokens":12', "[DONE]", '"scripted"'):
        assert kept in heard
    sent = stream_of(seen["client_reply"]["body"])
    assert '"delta":"<7 characters>"' in sent
    assert re.search(r'"arguments":"<\d+ characters>"', sent)


# --- bounds


async def test_the_last_turns_are_kept_and_no_more(serve: Serve, upstream: Upstream) -> None:
    gateway = await serve(traces=2)
    upstream.script(HELLO)
    for _ in range(4):
        await gateway.stream(CODEX)
    assert [trace.id for trace in traces(gateway)] == ["3", "4"]
    assert gateway.gateway.traces.find("1") is None


async def test_what_is_too_large_is_cut_in_the_middle_and_stays_readable(serve: Serve, upstream: Upstream) -> None:
    gateway = await serve(traces=5)
    long = "word " * 400_000
    upstream.script(sse([text(long), text("end"), finish()]))
    await gateway.stream(
        CODEX, input=[{"type": "message", "role": "user", "content": long + "e"}, *[PRIVATE["input"][0]] * 3]
    )
    [trace] = traces(gateway)
    assert trace.bytes_held() < 5 * MOST_BYTES
    seen, wordless = await shown(gateway, words=True), await shown(gateway)
    asked = seen["client_request"]["body"]
    assert asked["bytes"] > 2_000_000
    assert "characters cut" in asked["json"]["input"][0]["content"]
    assert wordless["client_request"]["body"]["json"]["input"][0]["content"] == "<2000001 characters>"
    heard = stream_of(seen["upstream_answers"][0]["body"])
    assert "bytes were cut here" in heard
    assert "[DONE]" in heard
    assert "word" not in stream_of(wordless["upstream_answers"][0]["body"])


async def test_no_half_of_a_key_stays_at_a_cut(serve: Serve, upstream: Upstream) -> None:
    gateway = await serve(traces=5)
    row = "xyz " + UPSTREAM_KEY + " "
    upstream.script(sse([text(row * 30_000), finish()]))
    for shift in range(0, len(UPSTREAM_KEY), 3):
        await gateway.stream(CODEX, input="y" * shift + row * 30_000)
        told = json.dumps(await shown(gateway, words=True))
        assert not [half for half in (UPSTREAM_KEY[:10], UPSTREAM_KEY[-6:]) if half in told]


async def test_the_switch_counts_until_the_configuration_says_something_else(
    gateway: Served, upstream: Upstream
) -> None:
    upstream.script(HELLO)
    gateway.gateway.traces.switch(3)
    await gateway.stream(CODEX)
    assert len(traces(gateway)) == 1
    gateway.gateway.traces.switch(0)
    assert traces(gateway) == []
    gateway.gateway.traces.switch(1000)
    assert gateway.gateway.traces.keep == 100


async def test_a_client_that_goes_leaves_its_record(serve: Serve, upstream: Upstream) -> None:
    gateway = await serve(traces=5)
    upstream.script(sse([text("a")] * 200, 0.05))
    response = await gateway.open(CODEX)
    await response.content.readany()
    response.close()
    seen = await shown(gateway)
    assert seen["turn"]["status"] == "gone"
    assert isinstance(gateway.client, aiohttp.ClientSession)
