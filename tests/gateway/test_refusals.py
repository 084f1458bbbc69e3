"""How a refusal reaches the client: in its own terms, with the provider's words and without anybody's key."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

import pytest

from tests.gateway.conftest import UPSTREAM_KEY, Serve
from tests.gateway.refusals import HELLO, REFUSALS, SERVER_TO_CODEX, error, fallback, told, unused_port
from tests.serving import CODEX, Served
from tests.upstream import Answer, Upstream, finish, raw, sse, status, text
from tests.worlds import providers


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
    serve: Serve, upstream: Upstream, headers: dict[str, str], retry_after: str | None
) -> None:
    gateway = await serve(retry={"attempts": 1})
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
