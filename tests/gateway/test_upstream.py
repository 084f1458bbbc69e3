"""The road to providers: what is sent there, how refusals are told, keys in turn, retries, fallbacks, proxies."""

from __future__ import annotations

import asyncio
import logging
import socket
import struct
import time
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest
from aiohttp import web

from codex_nexus.gateway import connections
from codex_nexus.gateway.connections import proxy_of
from codex_nexus.gateway.exchange import headers_for
from codex_nexus.providers.catalogue import ProviderRecord
from tests.gateway.conftest import UPSTREAM_KEY, Serve
from tests.serving import CODEX, Reply, Served
from tests.upstream import Answer, Recorded, Upstream, cut, finish, raw, sse, stall, status, text, usage
from tests.worlds import providers, world

HELLO = sse([text("hi"), finish(), usage()])
QUOTA = "You exceeded your current quota, please check your plan and billing details."
OVERFLOW = "This model's maximum context length is 8192 tokens. However, your messages resulted in 9000 tokens."


def error(message: str, **fields: Any) -> dict[str, Any]:
    """OpenAI's envelope."""
    return {"error": {"message": message, **fields}}


# --- how a refusal is told: (the answer, what a plain client is told, what Codex is told)

Told = tuple[int, str, str | None]
SERVER_TO_CODEX: Told = (503, "service_unavailable_error", "server_error")
FINAL_TO_CODEX: Told = (400, "invalid_request_error", "invalid_prompt")
OVERFLOWN: Told = (400, "invalid_request_error", "context_length_exceeded")
NO_QUOTA: Told = (429, "insufficient_quota", "insufficient_quota")
NO_QUOTA_TO_CODEX: Told = (400, "insufficient_quota", "insufficient_quota")
TOO_FAST: Told = (429, "rate_limit_error", "rate_limit_exceeded")

REFUSALS: dict[str, tuple[Answer, str, Told, Told]] = {
    "400": (
        status(400, error("no such role", code="invalid_value")),
        "no such role (400)",
        (400, "invalid_request_error", "invalid_value"),
        FINAL_TO_CODEX,
    ),
    "400 without a code": (
        status(400, error("no such role")),
        "no such role (400)",
        (400, "invalid_request_error", None),
        FINAL_TO_CODEX,
    ),
    "400 too long": (status(400, error(OVERFLOW)), OVERFLOW, OVERFLOWN, OVERFLOWN),
    "401": (
        status(401, error("no such key", code="invalid_api_key")),
        "no such key (401). Check the key: 'api_key' in config.json.",
        (401, "authentication_error", "invalid_api_key"),
        FINAL_TO_CODEX,
    ),
    "402": (
        status(402, {"detail": "Insufficient Balance"}),
        "Insufficient Balance (402)",
        (402, "insufficient_quota", "insufficient_quota"),
        NO_QUOTA_TO_CODEX,
    ),
    "403": (
        status(403, {"message": "not for you"}),
        "not for you (403)",
        (403, "permission_error", "invalid_api_key"),
        FINAL_TO_CODEX,
    ),
    "404": (
        status(404, error("The model `x` does not exist", code="model_not_found")),
        "The model `x` does not exist (404)",
        (404, "invalid_request_error", "model_not_found"),
        FINAL_TO_CODEX,
    ),
    "404 of no API": (
        status(404, {"status": 404, "error": "Not Found", "path": "/v4/v1/chat/completions"}),
        "Not Found (404). Nothing is served at http://127.0.0.1:",
        (404, "invalid_request_error", None),
        FINAL_TO_CODEX,
    ),
    "400 with its status as a code": (
        status(400, error("no such role", code=400)),
        "no such role (400)",
        (400, "invalid_request_error", None),
        FINAL_TO_CODEX,
    ),
    "413": (
        status(413, error("body of 70000000 bytes")),
        "body of 70000000 bytes (413)",
        (413, "invalid_request_error", None),
        FINAL_TO_CODEX,
    ),
    "422": (
        status(422, {"detail": [{"loc": ["body", "n"], "msg": "too much"}]}),
        "too much",
        (422, "invalid_request_error", None),
        FINAL_TO_CODEX,
    ),
    "429": (status(429, error("slow down")), "slow down (429)", TOO_FAST, TOO_FAST),
    "429 no quota": (status(429, error(QUOTA)), QUOTA, NO_QUOTA, NO_QUOTA_TO_CODEX),
    "500": (status(500, error("boom")), "boom (500)", (500, "server_error", "server_error"), SERVER_TO_CODEX),
    "500 too long": (status(500, error(OVERFLOW)), OVERFLOW, OVERFLOWN, OVERFLOWN),
    "502 in HTML": (
        status(502, "<html><body><h1>502 Bad Gateway</h1></body></html>", {"Content-Type": "text/html"}),
        "Bad Gateway (502)",
        (502, "server_error", "server_error"),
        SERVER_TO_CODEX,
    ),
    "503": (
        status(503, {"error": "no capacity"}),
        "no capacity (503)",
        (503, "server_error", "server_error"),
        SERVER_TO_CODEX,
    ),
    "504": (status(504, ""), "Gateway Timeout (504)", (504, "server_error", "timeout"), SERVER_TO_CODEX),
    "529": (
        status(529, error("overloaded")),
        "overloaded (529)",
        (529, "server_error", "server_error"),
        SERVER_TO_CODEX,
    ),
    "200 with an error": (
        status(200, error("internal trouble")),
        "internal trouble (200)",
        (502, "server_error", "server_error"),
        SERVER_TO_CODEX,
    ),
}


def told(reply: Reply) -> Told:
    """How a refusal reached the client."""
    return reply.status, reply.error["type"], reply.error["code"]


@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize("name", REFUSALS)
async def test_a_refusal_is_told_in_the_clients_own_terms(
    gateway: Served, upstream: Upstream, name: str, streamed: bool
) -> None:
    answer, message, plain, codex = REFUSALS[name]
    upstream.script(answer)
    for headers, expected in (({}, plain), (CODEX, codex)):
        reply = await gateway.create(headers, stream=streamed)
        assert told(reply) == expected
        assert reply.error["message"].startswith("Custom provider: ")
        assert message in reply.error["message"]


@pytest.mark.parametrize("retry_after", [None, "7", "0", "1.2", "Wed, 21 Oct 2026 07:28:00 GMT"])
@pytest.mark.parametrize("headers", [{}, CODEX], ids=["plain", "codex"])
async def test_the_time_to_wait_is_passed_on(
    gateway: Served, upstream: Upstream, headers: dict[str, str], retry_after: str | None
) -> None:
    upstream.script(status(429, error("slow down"), {"Retry-After": retry_after} if retry_after else None))
    reply = await gateway.create(headers)
    assert reply.status == 429
    told_to_wait = {"7": "7", "0": "1", "1.2": "2"}.get(str(retry_after))
    # Codex gives up at once when nobody tells it to wait.
    assert reply.headers.get("Retry-After") == (told_to_wait or ("5" if headers else None))


async def test_a_server_that_names_its_return_is_believed(gateway: Served, upstream: Upstream) -> None:
    upstream.script(status(503, error("restarting"), {"Retry-After": "30"}))
    reply = await gateway.create(CODEX)
    assert (reply.status, reply.headers["Retry-After"]) == (503, "30")
    assert len(upstream.requests) == 1  # nobody waits that long inside


async def test_a_provider_that_cannot_be_reached_is_told(serve: Serve) -> None:
    port = unused_port()
    gateway = await serve(custom_upstream=f"http://127.0.0.1:{port}/v1")
    reply = await gateway.create()
    assert told(reply) == (502, "server_error", "upstream_unreachable")
    assert reply.error["message"] == (
        f"Custom provider cannot be reached at http://127.0.0.1:{port}/v1/chat/completions (connection refused)"
    )
    assert told(await gateway.create(CODEX)) == SERVER_TO_CODEX


def unused_port() -> int:
    """A port on which nobody listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


async def test_an_address_that_is_no_http_server_is_told(serve: Serve) -> None:
    async def babble(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"SSH-2.0-OpenSSH_9.9\r\n")
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(babble, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        gateway = await serve(custom_upstream=f"http://127.0.0.1:{port}/v1")
        assert (await gateway.create()).status == 502


async def test_redirects_are_not_followed(gateway: Served, upstream: Upstream, other_upstream: Upstream) -> None:
    other_upstream.script(HELLO)
    for code in (301, 302, 307, 308):
        upstream.script(status(code, "", {"Location": f"{other_upstream.base_url}/chat/completions"}))
        assert (await gateway.create()).status == 502
    assert other_upstream.requests == other_upstream.lookups == []


async def test_a_page_in_place_of_an_answer_fails_the_turn(gateway: Served, upstream: Upstream) -> None:
    upstream.script(status(200, "<html>Sign in</html>", {"Content-Type": "text/html"}))
    story = await gateway.stream()
    assert (story.status, story.code) == ("failed", "server_error")


NO_API = {
    "a page": ("text/html; charset=utf-8", b"<!doctype html><title>Sign in</title>"),
    "a page without its name": ("application/octet-stream", b"\n <html><body>Sign in</body></html>"),
    "words": ("text/plain", b"Ollama is running"),
    "JSON of something else": ("application/json", b'{"hello": "world"}'),
    "an empty list": ("application/json", b"[]"),
    "a page as JSON": ("application/json", b"<html>Sign in</html>"),
}


@pytest.mark.parametrize("case", NO_API)
@pytest.mark.parametrize("headers", [{}, CODEX], ids=["plain", "codex"])
@pytest.mark.parametrize("stream", [True, False])
async def test_what_is_no_such_api_is_told_with_its_address(
    serve: Serve, upstream: Upstream, case: str, headers: dict[str, str], stream: bool
) -> None:
    record = {"base_url": upstream.base_url, "local": True, "query": {"api-version": "secret-in-query"}}
    gateway = await serve(providers(house=record), provider="house")
    kind, body = NO_API[case]
    upstream.script(raw(body, kind))
    reply = await gateway.create(headers, stream=stream)
    error = reply.error if reply.status != 200 else (reply.story.response if stream else reply.json)["error"]
    where = f"{upstream.base_url}/chat/completions is no Chat Completions API (200, {kind.partition(';')[0]})"
    assert where in error["message"]
    assert error["code"] == "server_error"
    assert "secret-in-query" not in error["message"]


async def test_a_page_on_the_other_wire_is_called_by_its_name(serve: Serve, upstream: Upstream) -> None:
    known = providers(house={"base_url": upstream.base_url, "local": True, "dialect": {"wire": "responses"}})
    gateway = await serve(known, provider="house")
    upstream.script(raw(*NO_API["a page"][::-1]))
    assert "/responses is no Responses API (200, text/html)" in (await gateway.stream()).response["error"]["message"]


@pytest.mark.parametrize("case", NO_API)
async def test_a_fallback_takes_over_from_what_is_no_api(
    serve: Serve, upstream: Upstream, other_upstream: Upstream, case: str
) -> None:
    gateway = await serve(**fallback(upstream, other_upstream))
    upstream.script(raw(*NO_API[case][::-1]))
    other_upstream.script(HELLO)
    assert (await gateway.stream()).text == "hi"


async def test_a_stream_may_call_itself_plain_text(gateway: Served, upstream: Upstream) -> None:
    said = b'data: {"choices":[{"delta":{"content":"hi"},"finish_reason":"stop"}]}\n\n'
    for kind in ("text/plain", "text/html", "application/octet-stream"):
        for begin in (b"", b"\n", b": hello\n\n", b"event: x\n"):
            upstream.script(raw(begin + said, kind))
            assert (await gateway.stream()).text == "hi"


@pytest.mark.parametrize("begin", [b"", b"\xef\xbb\xbf", b"\n", b": hello\n\n", b"event: x\n"])
@pytest.mark.parametrize("size", [1, 2, 3, 5])
async def test_a_stream_may_be_cut_in_its_first_word(
    gateway: Served, upstream: Upstream, begin: bytes, size: int
) -> None:
    said = begin + b'data: {"choices":[{"delta":{"content":"hi"},"finish_reason":"stop"}]}\n\n'
    for kind in ("text/event-stream", "text/plain"):
        upstream.script(sse([said[:size], said[size:]], 0.02, headers={"Content-Type": kind}))
        assert (await gateway.stream()).text == "hi"


# --- what is sent


@pytest.mark.parametrize(
    ("record", "key", "headers"),
    [
        ({}, "k", {"Authorization": "Bearer k"}),
        ({}, "", {}),
        ({"auth": "header:api-key"}, "k", {"api-key": "k"}),
        ({"auth": "none"}, "k", {}),
        ({"headers": {"X-Title": "Nexus"}}, "k", {"X-Title": "Nexus", "Authorization": "Bearer k"}),
    ],
)
def test_a_key_is_shown_where_the_provider_looks_for_it(
    record: dict[str, Any], key: str, headers: dict[str, str]
) -> None:
    common = {"Content-Type", "Accept-Encoding", "User-Agent"}
    sent = headers_for(ProviderRecord(id="x", **record), key)
    assert {name: value for name, value in sent.items() if name not in common} == headers


async def test_an_address_may_have_a_path_and_a_query(serve: Serve, upstream: Upstream) -> None:
    upstream.script(HELLO)
    record = {
        "base_url": f"http://127.0.0.1:{upstream.port}/deployments/x/",
        "chat_path": "/chat",
        "query": {"api-version": "2026-10-01"},
        "default_model": "m",
        "auth": "header:api-key",
    }
    gateway = await serve(providers(house=record), provider="house")
    assert (await gateway.create()).status == 200
    [request] = upstream.requests
    assert (request.path, request.query) == ("/deployments/x/chat", "api-version=2026-10-01")
    assert request.headers["api-key"] == UPSTREAM_KEY
    assert "authorization" not in request.headers


async def test_the_answer_is_asked_for_unpacked(gateway: Served, upstream: Upstream) -> None:
    upstream.script(HELLO)
    await gateway.create()
    assert upstream.requests[0].headers["accept-encoding"] == "identity"


# --- whose key


async def test_the_clients_own_key_is_forwarded_when_there_is_no_other(serve: Serve, upstream: Upstream) -> None:
    upstream.script(HELLO)
    gateway = await serve(api_key="")
    await gateway.create({"Authorization": "Bearer sk-clients-own"})
    await gateway.create({"Authorization": "bearer  sk-clients-own "})
    await gateway.create()
    assert [request.headers.get("authorization") for request in upstream.requests] == [
        "Bearer sk-clients-own", "Bearer sk-clients-own", None,
    ]  # fmt: skip


@pytest.mark.parametrize(
    "headers",
    [
        {"Authorization": "Bearer nexus-token"},
        {"Authorization": "Bearer eyJhbGciOi.eyJzdWIiOi.c2lnbmF0dXJl"},
        {"Authorization": "Bearer sk-anything", "ChatGPT-Account-Id": "acc-1"},
        {"Authorization": "Basic dXNlcjpwYXNz"},
    ],
    ids=["access token", "jwt", "chatgpt account", "not a bearer"],
)
async def test_what_is_no_key_of_a_provider_is_never_forwarded(
    serve: Serve, upstream: Upstream, headers: dict[str, str]
) -> None:
    upstream.script(HELLO)
    gateway = await serve(api_key="", access_token="nexus-token")
    assert (await gateway.create(headers)).status == 200
    sent = str([request.headers for request in (*upstream.requests, *upstream.lookups)])
    assert "authorization" not in sent
    assert not [value for value in headers.values() if value.partition(" ")[2] and value.partition(" ")[2] in sent]


# --- a pool of keys


def by_key(answers: dict[str, Answer]) -> Callable[[Recorded], Answer]:
    """Answers by the key that was shown."""
    return lambda request: answers[request.headers["authorization"].removeprefix("Bearer ")]


def shown(upstream: Upstream) -> list[str]:
    """The keys that were shown, in order."""
    return [request.headers["authorization"].removeprefix("Bearer ") for request in upstream.requests]


def pool(upstream: Upstream, *keys: str) -> dict[str, Any]:
    """A configuration whose provider has these keys."""
    known = providers(house={"base_url": upstream.base_url, "default_model": "m"})
    return {"known": known, "provider": "house", "provider_api_keys": {"house": list(keys)}, "api_key": ""}


@pytest.mark.parametrize("refusal", ["401", "403", "402", "429", "429 no quota"])
async def test_the_next_key_is_tried_when_one_is_refused(serve: Serve, upstream: Upstream, refusal: str) -> None:
    gateway = await serve(**pool(upstream, "key-1", "key-2", "key-3"))
    bad = REFUSALS[refusal][0]
    upstream.script(by_key({"key-1": bad, "key-2": bad, "key-3": HELLO}))
    story = await gateway.stream()
    assert story.text == "hi"
    assert shown(upstream) == ["key-1", "key-2", "key-3"]


@pytest.mark.parametrize("refusal", ["400", "404", "500", "400 too long"])
async def test_another_key_does_not_help_against_other_refusals(serve: Serve, upstream: Upstream, refusal: str) -> None:
    gateway = await serve(**pool(upstream, "key-1", "key-2"), retry={"attempts": 1})
    upstream.script(REFUSALS[refusal][0])
    await gateway.create()
    assert len(upstream.requests) == 1


async def test_the_keys_of_a_pool_take_turns(serve: Serve, upstream: Upstream) -> None:
    gateway = await serve(**pool(upstream, "key-1", "key-2", "key-3"))
    upstream.script(HELLO)
    for _ in range(6):
        await gateway.create()
    assert sorted(shown(upstream)) == ["key-1", "key-1", "key-2", "key-2", "key-3", "key-3"]


async def test_when_every_key_is_refused_the_client_is_told(serve: Serve, upstream: Upstream) -> None:
    gateway = await serve(**pool(upstream, "key-1", "key-2"))
    upstream.script(status(401, error("wrong key")), status(429, error("slow down"), {"Retry-After": "9"}))
    reply = await gateway.create()
    assert (reply.status, reply.headers["Retry-After"]) == (429, "9")
    assert len(upstream.requests) == 2


# --- retries


@pytest.mark.parametrize("attempts", [1, 2, 3])
@pytest.mark.parametrize("refusal", ["500", "502 in HTML", "503", "200 with an error"])
async def test_a_server_in_trouble_is_asked_again(
    serve: Serve, upstream: Upstream, refusal: str, attempts: int
) -> None:
    gateway = await serve(retry={"attempts": attempts, "base_delay_s": 0})
    upstream.script(REFUSALS[refusal][0])
    assert (await gateway.create()).status >= 500
    assert len(upstream.requests) == attempts


@pytest.mark.parametrize("refusal", ["400", "401", "402", "403", "404", "413", "422", "429", "400 too long"])
async def test_a_final_refusal_is_not_asked_again(gateway: Served, upstream: Upstream, refusal: str) -> None:
    upstream.script(REFUSALS[refusal][0])
    await gateway.create()
    assert len(upstream.requests) == 1


async def test_a_second_try_may_go_well(gateway: Served, upstream: Upstream) -> None:
    upstream.script(status(503, error("busy")), HELLO)
    story = await gateway.stream()
    assert (story.status, story.text) == ("completed", "hi")
    assert upstream.requests[0].raw == upstream.requests[1].raw


async def test_a_short_wait_that_is_asked_for_is_kept(gateway: Served, upstream: Upstream) -> None:
    upstream.script(status(503, error("busy"), {"Retry-After": "0.3"}), HELLO)
    started = time.monotonic()
    assert (await gateway.create()).status == 200
    assert 0.3 <= time.monotonic() - started < 2


async def test_the_waits_grow(serve: Serve, upstream: Upstream) -> None:
    gateway = await serve(retry={"attempts": 3, "base_delay_s": 0.1})
    upstream.script(status(500, error("boom")))
    started = time.monotonic()
    await gateway.create()
    assert 0.3 <= time.monotonic() - started < 1.5


async def test_a_connection_that_fails_is_tried_again(serve: Serve, upstream: Upstream) -> None:
    async def hang_up(request: web.Request) -> web.StreamResponse:
        assert request.transport is not None
        request.transport.abort()
        return web.Response()

    gateway = await serve()
    upstream.script(Answer(hang_up), HELLO)
    assert (await gateway.stream()).text == "hi"
    assert len(upstream.requests) == 2


@pytest.mark.parametrize(
    "answer", [cut([text("a")]), cut([]), sse([text("a")], done=False)], ids=["text", "no text", "end"]
)
async def test_nothing_is_tried_again_after_the_answer_began(
    serve: Serve, upstream: Upstream, other_upstream: Upstream, answer: Answer
) -> None:
    gateway = await serve(**fallback(upstream, other_upstream))
    upstream.script(answer, HELLO)
    other_upstream.script(HELLO)
    assert (await gateway.stream()).status == "failed"
    assert len(upstream.requests) == 1
    assert other_upstream.requests == []


# --- fallbacks


def fallback(first: Upstream, second: Upstream) -> dict[str, Any]:
    """A route with a second provider behind the first."""
    return {
        "known": providers(first={"base_url": first.base_url}, second={"base_url": second.base_url}),
        "provider": "first",
        "api_key": "",
        "provider_api_keys": {"first": "key-of-first", "second": "key-of-second"},
        "model_routes": {
            "gpt-5": {"provider": "first", "model": "a", "fallbacks": [{"provider": "second", "model": "b"}]}
        },
    }


@pytest.mark.parametrize("refusal", ["401", "402", "429", "500", "503", "504", "200 with an error"])
async def test_a_fallback_takes_over(
    serve: Serve, upstream: Upstream, other_upstream: Upstream, refusal: str, caplog: pytest.LogCaptureFixture
) -> None:
    gateway = await serve(**fallback(upstream, other_upstream))
    upstream.script(REFUSALS[refusal][0])
    other_upstream.script(HELLO)
    reply = await gateway.create(stream=True)
    assert reply.story.text == "hi"
    assert reply.story.response["model"] == "gpt-5"
    assert reply.headers["x-nexus-upstream"] == "second/b"
    [request] = other_upstream.requests
    assert request.json["model"] == "b"
    assert request.headers["authorization"] == "Bearer key-of-second"
    assert "first/a failed" in caplog.text
    assert (await gateway.create()).headers["x-nexus-upstream"] == "second/b"


async def test_a_fallback_takes_over_from_a_provider_that_cannot_be_reached(
    serve: Serve, upstream: Upstream, other_upstream: Upstream
) -> None:
    config = fallback(upstream, other_upstream)
    config["known"] = providers(
        first={"base_url": f"http://127.0.0.1:{unused_port()}/v1"}, second={"base_url": other_upstream.base_url}
    )
    other_upstream.script(HELLO)
    assert (await (await serve(**config)).stream()).text == "hi"


async def test_a_fallback_takes_over_from_a_provider_that_never_answers(
    serve: Serve, upstream: Upstream, other_upstream: Upstream
) -> None:
    gateway = await serve(**fallback(upstream, other_upstream), timeouts={"first_byte_s": 0.1}, retry={"attempts": 1})
    upstream.script(stall())
    other_upstream.script(HELLO)
    assert (await gateway.stream()).text == "hi"


@pytest.mark.parametrize("refusal", ["400", "404", "422", "400 too long"])
async def test_a_wrong_request_is_wrong_everywhere(
    serve: Serve, upstream: Upstream, other_upstream: Upstream, refusal: str
) -> None:
    gateway = await serve(**fallback(upstream, other_upstream))
    upstream.script(REFUSALS[refusal][0])
    assert (await gateway.create()).status in (400, 404, 422)
    assert other_upstream.requests == []


async def test_when_every_provider_fails_the_last_one_is_told(
    serve: Serve, upstream: Upstream, other_upstream: Upstream
) -> None:
    gateway = await serve(**fallback(upstream, other_upstream))
    upstream.script(status(500, error("boom")))
    other_upstream.script(status(429, error("slow down")))
    reply = await gateway.create()
    assert reply.status == 429
    assert reply.error["message"] == "Second: slow down (429)"


# --- secrets

ECHOES: dict[str, Callable[[str], Answer]] = {
    "in a refusal": lambda key: status(401, error(f"Incorrect API key provided: {key}. Get one elsewhere.")),
    "in a header of a refusal": lambda key: status(403, error("no"), {"x-key": key, "www-authenticate": key}),
    "as plain text": lambda key: status(500, f"Traceback: headers={{'authorization': 'Bearer {key}'}}"),
    "as the code": lambda key: status(400, error("no", code=key)),
    "with status 200": lambda key: status(200, error(f"key {key} is unknown")),
    "inside the stream": lambda key: sse([text("a"), {"error": {"message": f"key {key} expired", "code": "x"}}]),
    "in a header of an answer": lambda key: sse([text("a"), finish()], headers={"x-echo": key}),
}


# A chat completions stream is passed through as it is.
@pytest.mark.parametrize(
    ("path", "echo"),
    [("/v1/responses", echo) for echo in ECHOES]
    + [("/v1/chat/completions", echo) for echo in ECHOES if echo != "inside the stream"],
)
async def test_a_key_that_a_provider_echoes_goes_nowhere(
    serve: Serve, upstream: Upstream, echo: str, path: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    for config, headers, key in (
        ({}, {}, UPSTREAM_KEY),
        ({"api_key": ""}, {"Authorization": "Bearer clients-own-key-42"}, "clients-own-key-42"),
    ):
        gateway = await serve(**config)
        upstream.script(ECHOES[echo](key))
        body = {"model": "gpt-5", "input": "hi", "messages": []}
        for streamed in (False, True):
            for client in ({}, CODEX):
                reply = await gateway.ask("POST", path, body | {"stream": streamed}, headers | client)
                assert key not in reply.body.decode()
                assert key not in str(reply.headers)
    assert UPSTREAM_KEY not in caplog.text
    assert "clients-own-key-42" not in caplog.text


async def test_another_key_of_the_owner_is_hidden_too(serve: Serve, upstream: Upstream) -> None:
    gateway = await serve(provider_api_keys={"kimi": "key-of-kimi-77"}, access_token="nexus-token-1")
    upstream.script(status(400, error("seen: key-of-kimi-77 and nexus-token-1")))
    reply = await gateway.create()
    assert reply.error["message"] == "Custom provider: seen: *** and *** (400)"


# --- one repair


async def test_a_field_that_is_refused_is_left_out_and_that_is_remembered(gateway: Served, upstream: Upstream) -> None:
    def picky(request: Recorded) -> Answer:
        return status(400, error("Unknown parameter: 'top_p'.")) if "top_p" in request.json else HELLO

    upstream.script(picky)
    assert (await gateway.stream(top_p=0.5)).text == "hi"
    assert ["top_p" in request.json for request in upstream.requests] == [True, False]
    assert (await gateway.stream(top_p=0.5)).text == "hi"
    assert len(upstream.requests) == 3


async def test_a_repair_that_does_not_help_is_tried_once(gateway: Served, upstream: Upstream) -> None:
    upstream.script(status(400, error("Unknown parameter: 'top_p'.")))
    reply = await gateway.create(top_p=0.5)
    assert reply.status == 400
    assert len(upstream.requests) == 2


async def test_a_repair_that_changes_nothing_is_not_tried(gateway: Served, upstream: Upstream) -> None:
    upstream.script(status(400, error("Unknown parameter: 'top_p'.")))
    assert (await gateway.create()).status == 400
    assert len(upstream.requests) == 1


# --- proxies


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., None]]:
    """Sets the proxies of the environment; without a call there are none."""
    names = ("http_proxy", "https_proxy", "all_proxy", "no_proxy")
    for name in names:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)

    def put(**variables: str) -> None:
        for name, value in variables.items():
            monkeypatch.setenv(name, value)

    connections._environment_proxy.cache_clear()
    yield put
    connections._environment_proxy.cache_clear()


REMOTE = providers(
    away={"base_url": "https://away.example/v1"},
    plain={"base_url": "http://plain.example:8080/v1"},
    near={"base_url": "http://127.0.0.1:8000/v1"},
    name={"base_url": "http://localhost:8000/v1"},
    six={"base_url": "http://[::1]:8000/v1"},
)


def proxy(provider: str, **config: Any) -> str:
    """The proxy towards a provider."""
    return proxy_of(provider, world(config, REMOTE))


def test_without_any_word_there_is_no_proxy(environment: Callable[..., None]) -> None:
    assert not proxy("away")


def test_the_providers_own_proxy_comes_first(environment: Callable[..., None]) -> None:
    environment(HTTPS_PROXY="http://env:1")
    config = {"outbound_proxy": "http://all:2", "provider_proxies": {"away": "socks5://own:3", "plain": "direct"}}
    assert proxy("away", **config) == "socks5://own:3"
    assert not proxy("plain", **config)
    assert proxy("near", **config) == "http://all:2"


def test_the_environments_proxy_comes_last(environment: Callable[..., None]) -> None:
    environment(HTTPS_PROXY="http://env:1", http_proxy="http://env:2", NO_PROXY="plain.example")
    assert proxy("away") == "http://env:1"
    assert not proxy("plain")


def test_all_proxy_is_read(environment: Callable[..., None]) -> None:
    environment(ALL_PROXY="socks5h://env:1")
    assert proxy("away") == "socks5h://env:1"


@pytest.mark.parametrize("provider", ["near", "name", "six"])
def test_the_environments_proxy_is_not_for_this_machine(environment: Callable[..., None], provider: str) -> None:
    environment(HTTP_PROXY="http://env:1", ALL_PROXY="http://env:2")
    assert not proxy(provider)


async def test_an_http_proxy_is_used(serve: Serve, other_upstream: Upstream) -> None:
    other_upstream.script(HELLO)  # plays the proxy
    gateway = await serve(
        providers(away={"base_url": "http://away.invalid/v1", "default_model": "m"}),
        provider="away",
        outbound_proxy=f"http://127.0.0.1:{other_upstream.port}",
    )
    assert (await gateway.stream()).text == "hi"
    assert other_upstream.requests[0].headers["host"] == "away.invalid"


@pytest.fixture
async def socks(upstream: Upstream) -> AsyncIterator[tuple[int, list[str]]]:
    """A SOCKS5 proxy that leads everything to the scripted provider, and the names that it was asked for."""
    asked: list[str] = []

    async def serve_one(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        _, count = await reader.readexactly(2)
        await reader.readexactly(count)
        writer.write(b"\x05\x00")
        _, _, _, kind = await reader.readexactly(4)
        assert kind == 3, "the name must be resolved by the proxy"
        [length] = await reader.readexactly(1)
        asked.append((await reader.readexactly(length)).decode())
        await reader.readexactly(2)
        writer.write(b"\x05\x00\x00\x01" + bytes(4) + struct.pack("!H", 0))
        there, back = await asyncio.open_connection("127.0.0.1", upstream.port)
        await asyncio.gather(_pour(reader, back), _pour(there, writer))

    async with await asyncio.start_server(serve_one, "127.0.0.1", 0) as server:
        yield server.sockets[0].getsockname()[1], asked


async def _pour(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
    while piece := await source.read(65536):
        sink.write(piece)
        await sink.drain()
    sink.close()


@pytest.mark.parametrize("scheme", ["socks5", "socks5h"])
async def test_a_socks_proxy_is_used(
    serve: Serve, upstream: Upstream, socks: tuple[int, list[str]], scheme: str
) -> None:
    pytest.importorskip("aiohttp_socks")
    upstream.script(HELLO)
    port, asked = socks
    gateway = await serve(
        providers(away={"base_url": "http://away.invalid/v1", "default_model": "m"}),
        provider="away",
        provider_proxies={"away": f"{scheme}://127.0.0.1:{port}"},
    )
    assert (await gateway.stream()).text == "hi"
    assert asked == ["away.invalid"]


async def test_a_proxy_that_cannot_be_reached_is_told(serve: Serve) -> None:
    gateway = await serve(outbound_proxy=f"http://user:proxy-password@127.0.0.1:{unused_port()}")
    reply = await gateway.create()
    assert told(reply) == (502, "server_error", "upstream_unreachable")
    assert "proxy-password" not in reply.error["message"]


# --- a stream that begins with a fault

BROKEN: dict[str, Answer] = {
    "an error": sse([error("Provider is overloaded", code=502)]),
    "an event called error": raw(b'event: error\ndata: {"error": {"message": "Overloaded", "code": 503}}\n\n'),
    "after a comment": raw(b': waiting\n\ndata: {"error": {"message": "Overloaded", "code": 503}}\n\n'),
    "after an empty delta": sse([text(""), error("Overloaded", code=503)]),
}


@pytest.mark.parametrize("name", BROKEN)
async def test_a_stream_that_begins_with_a_fault_is_asked_for_again(
    gateway: Served, upstream: Upstream, name: str
) -> None:
    upstream.script(BROKEN[name], HELLO)
    assert (await gateway.stream()).text == "hi"
    upstream.script(BROKEN[name])
    story = await gateway.stream()
    assert (story.status, story.code) == ("failed", "server_error")


async def test_a_stream_that_begins_with_a_fault_is_healed(gateway: Served, upstream: Upstream) -> None:
    upstream.script(sse([error("Unknown parameter: 'top_p'.", code=400)]), HELLO)
    assert (await gateway.stream(top_p=0.5)).text == "hi"
    assert "top_p" not in upstream.requests[1].json


async def test_a_stream_that_begins_with_a_fault_of_the_key_goes_to_the_next_one(
    serve: Serve, upstream: Upstream
) -> None:
    gateway = await serve(**pool(upstream, "key-1", "key-2"))
    bad = sse([error("Rate limit reached", code=429)])
    upstream.script(by_key({"key-1": bad, "key-2": HELLO}))
    assert [(await gateway.stream()).text for _ in range(2)] == ["hi", "hi"]
    assert shown(upstream) == ["key-1", "key-2", "key-2"]


async def test_a_fault_behind_the_first_words_is_told(gateway: Served, upstream: Upstream) -> None:
    upstream.script(sse([text("par"), error("Overloaded", code=503)]))
    story = await gateway.stream()
    assert (story.status, story.text) == ("failed", "par")
    assert len(upstream.requests) == 1


async def test_an_address_with_a_password_stands_for_the_key(serve: Serve, upstream: Upstream) -> None:
    address = upstream.base_url.replace("http://", "http://me:address-password@")
    gateway = await serve(custom_upstream=address, api_key="sk-a-key-of-mine")
    upstream.script(HELLO, status(400, {"error": {"message": f"no, {address}"}}))
    assert (await gateway.create()).status == 200
    assert upstream.requests[-1].headers["authorization"] == "Basic bWU6YWRkcmVzcy1wYXNzd29yZA=="
    refused = await gateway.create()
    assert refused.status == 400
    assert "address-password" not in refused.body.decode()
