"""The road to providers: what is sent there, keys in turn, retries, fallbacks, repairs."""

from __future__ import annotations

import time
from typing import Any

import pytest
from aiohttp import web

from codex_nexus.gateway.exchange import headers_for
from codex_nexus.providers.catalogue import ProviderRecord
from tests.gateway.conftest import UPSTREAM_KEY, Serve
from tests.gateway.refusals import HELLO, REFUSALS, by_key, error, fallback, pool, shown, unused_port
from tests.serving import Served
from tests.upstream import Answer, Recorded, Upstream, cut, raw, sse, stall, status, text
from tests.worlds import providers

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


@pytest.mark.parametrize("refusal", ["400", "401", "402", "403", "404", "413", "422", "400 too long"])
async def test_a_final_refusal_is_not_asked_again(gateway: Served, upstream: Upstream, refusal: str) -> None:
    upstream.script(REFUSALS[refusal][0])
    await gateway.create()
    assert len(upstream.requests) == 1


SLOW = status(429, error("slow down"))


@pytest.mark.parametrize("slow", [SLOW, sse([error("Rate limit reached", code=429)])], ids=["status", "stream"])
async def test_a_short_limit_of_requests_is_waited_for(
    serve: Serve, upstream: Upstream, slow: Answer, caplog: pytest.LogCaptureFixture
) -> None:
    gateway = await serve(retry={"attempts": 3, "base_delay_s": 0.01})
    upstream.script(slow, slow, HELLO)
    assert (await gateway.stream()).text == "hi"
    assert len(upstream.requests) == 3
    assert "asking again in 0.0 s" in caplog.text


async def test_a_limit_of_requests_that_stays_is_told(serve: Serve, upstream: Upstream) -> None:
    gateway = await serve(retry={"attempts": 3, "base_delay_s": 0})
    upstream.script(SLOW)
    assert (await gateway.create()).status == 429
    assert len(upstream.requests) == 3


async def test_a_long_limit_of_requests_is_told_at_once(gateway: Served, upstream: Upstream) -> None:
    upstream.script(status(429, error("slow down"), {"Retry-After": "30"}))
    reply = await gateway.create()
    assert (reply.status, reply.headers["Retry-After"], len(upstream.requests)) == (429, "30", 1)


async def test_other_keys_and_providers_come_before_waiting(
    serve: Serve, upstream: Upstream, other_upstream: Upstream
) -> None:
    gateway = await serve(**fallback(upstream, other_upstream))
    for number in range(3):
        upstream.script(SLOW)
        other_upstream.script(*[SLOW] * number, HELLO)
        assert (await gateway.create()).status == (200 if number < 2 else 429)
        assert len(other_upstream.requests) - len(upstream.requests) == 0


async def test_a_second_try_may_go_well(gateway: Served, upstream: Upstream) -> None:
    upstream.script(status(503, error("busy")), HELLO)
    story = await gateway.stream()
    assert (story.status, story.text) == ("completed", "hi")
    assert upstream.requests[0].raw == upstream.requests[1].raw


async def test_a_short_wait_that_is_asked_for_is_kept(gateway: Served, upstream: Upstream) -> None:
    upstream.script(status(503, error("busy"), {"Retry-After": "0.3"}), HELLO)
    started = time.monotonic()
    assert (await gateway.create()).status == 200
    assert time.monotonic() - started >= 0.3


async def test_the_waits_grow(serve: Serve, upstream: Upstream) -> None:
    gateway = await serve(retry={"attempts": 3, "base_delay_s": 0.1})
    upstream.script(status(500, error("boom")))
    started = time.monotonic()
    await gateway.create()
    assert time.monotonic() - started >= 0.3


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
    "answer", [cut([text("a")]), cut([b'data: {"cho']), sse([text("a")], done=False)], ids=["text", "half", "end"]
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
    gateway = await serve(**fallback(upstream, other_upstream), timeouts={"first_byte_s": 1}, retry={"attempts": 1})
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
