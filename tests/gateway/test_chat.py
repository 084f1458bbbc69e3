"""`POST /chat/completions`: passed through byte for byte, with routing, model mapping and keys."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import aiohttp
import pytest

from codex_nexus.service import listener
from tests.gateway.conftest import UPSTREAM_KEY, Serve
from tests.serving import CODEX, Reply, Served, let_go, read_until
from tests.upstream import Answer, Upstream, cut, finish, raw, sse, stall, status, text, usage
from tests.waiting import PATIENCE, until
from tests.worlds import providers

PATH = "/v1/chat/completions"
ASKED: dict[str, Any] = {"model": "gpt-5", "messages": [{"role": "user", "content": "hi"}]}
ODD_STREAM = (
    b'\xef\xbb\xbf: comment\r\n\r\ndata:{"choices" : [ ] }\r\n\r\n'
    b"event: odd\nid: 7\nretry: 10\ndata: not json at all\ndata: second line\n\n"
    b'data: {"choices":[{"delta":{"content":"\xe4\xb8\x96\xe7\x95\x8c"}}],"x":1e400}\n\ndata: [DONE]'
)  # fmt: skip


async def chat(gateway: Served, headers: dict[str, str] | None = None, **fields: Any) -> Reply:
    """A chat completion."""
    return await gateway.ask("POST", PATH, ASKED | fields, headers)


# --- the answer


@pytest.mark.parametrize(
    "body", [ODD_STREAM, b"", b"\x00\xff\xfe binary", b"data: x\n" * 50_000], ids=["odd", "empty", "binary", "long"]
)
async def test_a_stream_comes_through_byte_for_byte(gateway: Served, upstream: Upstream, body: bytes) -> None:
    upstream.script(raw(body))
    reply = await chat(gateway, stream=True)
    assert (reply.status, reply.body) == (200, body)
    assert reply.headers["Content-Type"] == "text/event-stream"
    assert reply.headers["x-nexus-upstream"] == "custom/scripted"


async def test_a_whole_answer_comes_through_byte_for_byte(gateway: Served, upstream: Upstream) -> None:
    body = (
        b'{ "choices": [{"message": {"content": "\\ud83e\\udd8a"}, "x": 1.0000000000000000001}],\n "model":"theirs" }\n'
    )
    upstream.script(raw(body, "application/json; charset=utf-8"))
    reply = await chat(gateway)
    assert (reply.status, reply.body) == (200, body)
    assert reply.headers["Content-Type"] == "application/json; charset=utf-8"


async def test_a_stream_comes_as_it_is_made(gateway: Served, upstream: Upstream) -> None:
    upstream.script(stall([text("a")], before_headers=False))
    async with gateway.client.post(gateway.url + PATH, json=ASKED | {"stream": True}) as response:
        assert b'"a"' in await read_until(response, b"\n\n")


async def test_headers_of_the_provider_are_not_copied(gateway: Served, upstream: Upstream) -> None:
    upstream.script(sse([text("a")], headers={"Set-Cookie": "a=b", "x-request-id": "theirs", "Connection": "close"}))
    reply = await chat(gateway, stream=True)
    assert not {"Set-Cookie", "x-request-id"} & set(reply.headers)


# --- the request


async def test_only_the_model_is_changed(gateway: Served, upstream: Upstream) -> None:
    upstream.script(raw(b"data: [DONE]\n\n"))
    fields = (
        b'"temperature": 0.10, "seed":12345678901234567890, "big": 1e400, "text": "\\u4e16\\/", '
        b'"messages":[ {"role": "user","content":"h\xc3\xa9"} ], "future" : {"a" : [ 1, 2 ]}, "none": null'
    )
    await gateway.ask("POST", PATH, b'{"model": "gpt-5", ' + fields + b"}")
    sent = upstream.requests[0].raw
    assert json.loads(sent)["model"] == "scripted"
    for field in (b"0.10", b"12345678901234567890", b"1e400", b'"\\u4e16\\/"', b'{"a" : [ 1, 2 ]}', b"null"):
        assert field in sent, field
    assert b'[ {"role": "user","content":"h\xc3\xa9"} ]' in sent
    assert list(json.loads(sent)) == ["model", "temperature", "seed", "big", "text", "messages", "future", "none"]


async def test_half_an_emoji_is_no_reason_to_refuse_a_chat(gateway: Served, upstream: Upstream) -> None:
    upstream.script(raw(b"{}", "text/plain"))
    body = b'{"model": "gpt-5", "messages": [{"role": "user", "content": "a \\ud83d b"}]}'
    assert (await gateway.ask("POST", PATH, body)).status == 200
    assert upstream.requests[0].json["messages"][0]["content"] == "a \ufffd b"


async def test_a_request_for_the_very_model_is_not_touched(gateway: Served, upstream: Upstream) -> None:
    upstream.script(raw(b"data: [DONE]\n\n"))
    body = b'{\n  "messages" : [],  "model" : "scripted" , "n":1}\n'
    await gateway.ask("POST", PATH, body)
    assert upstream.requests[0].raw == body


async def test_the_owners_key_is_shown_and_the_clients_is_not(gateway: Served, upstream: Upstream) -> None:
    upstream.script(raw(b"data: [DONE]\n\n"))
    await chat(gateway, {"Authorization": "Bearer sk-clients", "x-secret": "1", "Cookie": "a=b"})
    [request] = upstream.requests
    assert request.headers["authorization"] == f"Bearer {UPSTREAM_KEY}"
    assert "sk-clients" not in str(request.headers)
    assert not {"x-secret", "cookie"} & request.headers.keys()


async def test_names_are_routed_as_for_responses(serve: Serve, upstream: Upstream, other_upstream: Upstream) -> None:
    gateway = await serve(
        providers(first={"base_url": upstream.base_url}, second={"base_url": other_upstream.base_url}),
        provider="first",
        provider_api_keys={"first": "k1", "second": "k2"},
        model_routes={
            "gpt-5": {"provider": "first", "model": "a", "fallbacks": [{"provider": "second", "model": "b"}]}
        },
    )
    upstream.script(status(500, {"error": {"message": "boom"}}))
    other_upstream.script(raw(b"data: [DONE]\n\n"))
    reply = await chat(gateway)
    assert reply.headers["x-nexus-upstream"] == "second/b"
    assert other_upstream.requests[0].json["model"] == "b"
    assert (await chat(gateway, model="second/c")).headers["x-nexus-upstream"] == "second/c"


# --- what is wrong


@pytest.mark.parametrize(
    ("body", "param", "code"),
    [
        (b"", None, "invalid_json"),
        (b"{", None, "invalid_json"),
        (b"\xff", None, "invalid_json"),
        (b"[]", None, "invalid_type"),
        (b"{}", "model", "missing_required_parameter"),
        (b'{"model": ""}', "model", "missing_required_parameter"),
        (b'{"model": 5}', "model", "invalid_type"),
        (b'{"model": null}', "model", None),
    ],
)
async def test_a_wrong_request_is_refused_with_its_param(
    gateway: Served, upstream: Upstream, body: bytes, param: str | None, code: str | None
) -> None:
    reply = await gateway.ask("POST", PATH, body)
    assert reply.status == 400
    assert reply.error["param"] == param
    assert code is None or reply.error["code"] == code
    assert upstream.requests == []


@pytest.mark.parametrize(
    ("answer", "http", "code"),
    [
        (status(400, {"error": {"message": "bad", "code": "invalid_value"}}), 400, "invalid_value"),
        (status(401, {"error": {"message": "bad"}}), 401, "invalid_api_key"),
        (status(404, {"error": {"message": "bad", "code": "model_not_found"}}), 404, "model_not_found"),
        (status(429, {"error": {"message": "bad"}}, {"Retry-After": "30"}), 429, "rate_limit_exceeded"),
        (status(500, "<html>bad</html>"), 500, "server_error"),
        (status(200, {"error": {"message": "bad"}}), 502, "server_error"),
    ],
)
@pytest.mark.parametrize("headers", [{}, CODEX], ids=["plain", "codex"])
async def test_a_refusal_comes_in_the_envelope(
    gateway: Served, upstream: Upstream, answer: Answer, http: int, code: str, headers: dict[str, str]
) -> None:
    upstream.script(answer)
    for streamed in (False, True):
        reply = await chat(gateway, headers, stream=streamed)
        assert (reply.status, reply.error["code"]) == (http, code)
    if http == 429:
        assert reply.headers["Retry-After"] == "30"  # too long to be waited for inside


async def test_a_refusal_in_openais_envelope_is_not_touched_but_for_keys(gateway: Served, upstream: Upstream) -> None:
    error = {"message": "no", "type": "odd_error", "param": "messages[0]", "code": "c1", "more": [1.0]}
    for http in (400, 402, 422, 503):
        upstream.script(status(http, {"error": error}, {"Retry-After": "30"}))
        reply = await chat(gateway)
        assert (reply.status, reply.json) == (http, {"error": error})
    upstream.script(status(401, {"error": error | {"message": f"bad key {UPSTREAM_KEY}"}}))
    reply = await chat(gateway)
    assert (reply.status, reply.json["error"]["message"]) == (401, "bad key ***")


async def test_a_provider_that_cannot_be_reached_is_told(serve: Serve) -> None:
    gateway = await serve(custom_upstream="http://127.0.0.1:9/v1")
    reply = await chat(gateway)
    assert (reply.status, reply.error["code"]) == (502, "upstream_unreachable")


@pytest.mark.parametrize("reset", [False, True], ids=["closed", "reset"])
async def test_a_cut_is_seen_as_a_cut(
    gateway: Served, upstream: Upstream, reset: bool, caplog: pytest.LogCaptureFixture
) -> None:
    upstream.script(cut([text("Once"), text(" upon")], reset=reset))
    async with gateway.client.post(gateway.url + PATH, json=ASKED | {"stream": True}) as response:
        with pytest.raises((aiohttp.ClientPayloadError, aiohttp.ClientOSError)):
            await response.content.read()
    assert not [record for record in caplog.records if record.exc_info], "a cut is no fault of ours"
    assert (await gateway.get("/healthz")).status == 200


async def test_a_cut_inside_a_whole_answer_is_an_error(gateway: Served, upstream: Upstream) -> None:
    async def half(request: Any) -> Any:
        response = aiohttp.web.StreamResponse(headers={"Content-Type": "application/json", "Content-Length": "1000"})
        await response.prepare(request)
        await response.write(b'{"choices": [')
        request.transport.close()
        return response

    upstream.script(Answer(half))
    assert (await chat(gateway)).status == 502


# --- the client goes, the gateway ends


@pytest.mark.parametrize(
    "answer",
    [stall(), stall([text("a")], before_headers=False), sse([text("word ")] * 10_000, pause=0.01)],
    ids=["before the answer", "silent", "flowing"],
)
async def test_upstream_is_let_go_when_the_client_goes(
    gateway: Served, upstream: Upstream, answer: Answer, caplog: pytest.LogCaptureFixture
) -> None:
    upstream.script(answer)
    asking = asyncio.ensure_future(chat(gateway, stream=True))
    await until(lambda: upstream.requests)
    asking.cancel()
    await let_go(upstream)
    assert not [record for record in caplog.records if record.levelname == "ERROR"]


async def test_the_gateway_lets_a_running_answer_finish(
    serve: Serve, upstream: Upstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listener, "_FAREWELL_S", 0.05)
    gateway = await serve()
    upstream.script(sse([*[text("word ")] * 20, finish(), usage()], pause=0.03))
    asking = asyncio.ensure_future(chat(gateway, stream=True))
    await until(lambda: upstream.requests)
    await gateway.listener.stop()
    reply = await asking
    assert reply.body.count(b"word ") == 20
    assert reply.body.endswith(b"data: [DONE]\n\n")


async def test_the_end_of_the_gateway_cuts_an_answer_that_does_not_end(
    serve: Serve, upstream: Upstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listener, "DRAIN_S", 0.1)
    gateway = await serve()
    upstream.script(stall([text("a")], before_headers=False))
    asking = asyncio.ensure_future(chat(gateway, stream=True))
    await until(lambda: upstream.requests)
    await gateway.listener.stop()
    with pytest.raises((aiohttp.ClientPayloadError, aiohttp.ClientOSError)):
        await asyncio.wait_for(asking, PATIENCE)
    await let_go(upstream)
