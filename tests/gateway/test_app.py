"""The paths of the API port, and one error envelope for everything that goes wrong there."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from codex_nexus import __version__
from codex_nexus.errors import InvalidRequest, NexusError, NoKey, RequestTooLarge
from codex_nexus.gateway import models
from codex_nexus.gateway.replies import UpstreamError, client_of, fault_shape
from codex_nexus.translate.clients import CODEX as CODEX_CLIENT
from codex_nexus.translate.clients import PLAIN as PLAIN_CLIENT
from codex_nexus.translate.faults import Fault
from tests.gateway.conftest import Serve
from tests.serving import CODEX, Served
from tests.upstream import Upstream, finish, sse, text
from tests.waiting import PATIENCE

HELLO = sse([text("hi"), finish()])
QUESTION: dict[str, Any] = {"model": "gpt-5", "input": "hi", "messages": [{"role": "user", "content": "hi"}]}


@pytest.mark.parametrize("prefix", ["", "/v1"])
async def test_every_path_works_with_and_without_its_prefix(gateway: Served, upstream: Upstream, prefix: str) -> None:
    upstream.script(HELLO)
    made = await gateway.ask("POST", f"{prefix}/responses", QUESTION)
    assert made.status == 200
    assert (await gateway.get(f"{prefix}/responses/{made.json['id']}")).status == 200
    assert (await gateway.ask("POST", f"{prefix}/chat/completions", QUESTION)).status == 200
    assert (await gateway.get(f"{prefix}/models")).status == 200
    assert (await gateway.get(f"{prefix}/models/scripted")).status == 200
    assert (await gateway.get(f"{prefix}/healthz")).status == 200


@pytest.mark.parametrize(
    "path",
    [
        "/v1/responses/",
        "/responses/",
        "//responses",
        "/v1//responses",
        "/v1/chat/completions/",
        "/v1//chat/completions",
    ],
)
async def test_slashes_too_many_do_no_harm(gateway: Served, upstream: Upstream, path: str) -> None:
    upstream.script(HELLO)
    assert (await gateway.ask("POST", path, QUESTION)).status == 200


async def test_a_name_may_be_followed_by_a_slash(gateway: Served) -> None:
    assert (await gateway.get("/v1/models/scripted/")).json["id"] == "scripted"
    assert "'resp_none'" in (await gateway.get("/v1/responses/resp_none/")).error["message"]


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/v1",
        "/v1/",
        "/v2/responses",
        "/v1/embeddings",
        "/v1/responses/a/b/c",
        "/favicon.ico",
        "/v1/models//",
        "/v1///responses",
        "/%00",
    ],
)
@pytest.mark.parametrize("method", ["GET", "POST", "PUT"])
async def test_what_is_not_there_is_not_found(gateway: Served, method: str, path: str) -> None:
    reply = await gateway.ask(method, path, QUESTION if method != "GET" else None)
    assert (reply.status, reply.error["code"]) == (404, "not_found")
    assert reply.error["type"] == "invalid_request_error"


@pytest.mark.parametrize("prefix", ["", "/v1"])
@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("GET", "/responses", "POST"),
        ("PUT", "/responses", "POST"),
        ("DELETE", "/responses", "POST"),
        ("GET", "/chat/completions", "POST"),
        ("GET", "/responses/compact", "POST"),
        ("DELETE", "/responses/input_tokens", "POST"),
        ("DELETE", "/models/scripted", "GET"),
        ("PATCH", "/conversations/conv_1", "DELETE"),
        ("POST", "/models", "GET"),
        ("POST", "/healthz", "GET"),
    ],
)
async def test_the_wrong_method_is_told_the_right_one(
    gateway: Served, prefix: str, method: str, path: str, allowed: str
) -> None:
    reply = await gateway.ask(method, prefix + path)
    assert reply.status == 405
    assert allowed in reply.headers["Allow"]
    assert reply.error["type"] == "invalid_request_error"


async def test_it_is_alive(gateway: Served) -> None:
    reply = await gateway.get("/healthz")
    assert reply.json == {"status": "ok", "name": "codex-nexus", "version": __version__}


@pytest.mark.parametrize("path", ["/v1/responses", "/responses", "/v1/models", "/healthz"])
async def test_a_head_request_is_answered(gateway: Served, path: str) -> None:
    reply = await gateway.ask("HEAD", path)
    assert (reply.status, reply.body) == (200, b"")


async def test_a_fault_of_ours_says_nothing_about_itself(
    gateway: Served, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def faulty(*_: Any) -> Any:
        raise ZeroDivisionError("secret detail")

    monkeypatch.setattr(models, "offers", faulty)
    reply = await gateway.get("/v1/models")
    assert reply.status == 500
    assert reply.error == {
        "message": "The gateway failed inside; its log says where.",
        "type": "server_error",
        "param": None,
        "code": "internal_error",
    }
    assert "secret detail" in caplog.text


async def test_garbage_on_the_wire_does_not_matter(gateway: Served, upstream: Upstream) -> None:
    for data in (
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"HELLO\r\n\r\n",
        b"GET /v1/models HTTP/9.9\r\n\r\n",
        b"POST /v1/responses HTTP/1.1\r\nContent-Length: x\r\n\r\n",
        b"POST /v1/responses HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
    ):
        assert b" 200 " not in (await gateway.raw(data)).partition(b"\r\n")[0]
    upstream.script(HELLO)
    assert (await gateway.stream()).text == "hi"


async def test_a_connection_serves_many_requests(gateway: Served) -> None:
    one = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"
    last = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
    assert (await gateway.raw(one * 3 + last)).count(b"HTTP/1.1 200 OK") == 4


@pytest.mark.parametrize("path", ["/v1/responses", "/v1/chat/completions"])
async def test_an_old_client_is_told_the_end_of_a_stream_by_the_end_of_its_connection(
    gateway: Served, upstream: Upstream, path: str
) -> None:
    upstream.script(HELLO)
    body = json.dumps(QUESTION | {"stream": True}).encode()
    reader, writer = await asyncio.open_connection("127.0.0.1", gateway.listener.port)
    writer.write(b"POST %s HTTP/1.0\r\nConnection: keep-alive\r\n" % path.encode())
    writer.write(b"Content-Length: %d\r\n\r\n" % len(body) + body)
    answer = await asyncio.wait_for(reader.read(-1), PATIENCE)
    writer.close()
    assert answer.endswith(b"data: [DONE]\n\n")
    assert b"chunked" not in answer.partition(b"\r\n\r\n")[0]


# --- errors of ours, in the clients' terms


async def test_a_missing_key_is_told_to_each_in_its_terms(serve: Serve) -> None:
    gateway = await serve(provider="deepseek", api_key="")
    for streamed in (False, True):
        plain = await gateway.create(model="deepseek-flash", stream=streamed)
        assert (plain.status, plain.error["type"], plain.error["code"]) == (
            401, "authentication_error", "invalid_api_key",
        )  # fmt: skip
        # Codex would repeat a 401 five times; this one is final.
        codex = await gateway.create(CODEX, model="deepseek-flash", stream=streamed)
        assert (codex.status, codex.error["code"]) == (400, "invalid_prompt")
        for reply in (plain, codex):
            assert "provider_api_keys.deepseek" in reply.error["message"]


@pytest.mark.parametrize("headers", [{}, CODEX], ids=["plain", "codex"])
async def test_a_provider_without_an_address_is_told(serve: Serve, headers: dict[str, str]) -> None:
    gateway = await serve(provider="deepseek", custom_upstream="", api_key="k")
    reply = await gateway.create(headers, model="custom/x")
    assert (reply.status, reply.error["code"], reply.error["param"]) == (404, "model_not_found", "model")
    assert "custom_upstream" in reply.error["message"]


# --- which client it is


@pytest.mark.parametrize(
    "headers",
    [
        CODEX,
        {"originator": "codex_exec"},
        {"originator": "codex-tui"},
        {"originator": "codex_vscode", "User-Agent": "node"},
        {"User-Agent": "codex_exec/0.169.0 (Debian 12.0.0; x86_64) xterm (codex_exec; 0.169.0)"},
        {"User-Agent": "codex-tui/0.169.0"},
        {"x-codex-turn-metadata": "{}"},
        {"x-codex-beta-features": "remote_compaction_v2", "originator": "Xcode"},
    ],
)
def test_codex_is_known_by_its_headers(headers: dict[str, str]) -> None:
    assert client_of(headers) is CODEX_CLIENT


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"User-Agent": "OpenAI/Python 3.54.0"},
        {"User-Agent": "curl/8.9"},
        {"User-Agent": "python-httpx/0.28", "originator": "my-tool"},
        {"User-Agent": "Mozilla/5.0"},
    ],
)
def test_other_clients_are_plain(headers: dict[str, str]) -> None:
    assert client_of(headers) is PLAIN_CLIENT


@pytest.mark.parametrize(
    ("fault", "plain", "codex"),
    [
        (
            Fault("auth", "x", 401, code="bad_key"),
            (401, "authentication_error", "bad_key"),
            (400, "invalid_request_error", "invalid_prompt"),
        ),
        (
            Fault("auth", "x", 403),
            (403, "permission_error", "invalid_api_key"),
            (400, "invalid_request_error", "invalid_prompt"),
        ),
        (
            Fault("rate_limit", "x", 429, code="1302"),
            (429, "rate_limit_error", "1302"),
            (429, "rate_limit_error", "rate_limit_exceeded"),
        ),
        (
            Fault("context_length_exceeded", "x", 400, code="1261"),
            (400, "invalid_request_error", "context_length_exceeded"),
            (400, "invalid_request_error", "context_length_exceeded"),
        ),
    ],
    ids=lambda value: f"{value.kind} {value.status}" if isinstance(value, Fault) else None,
)
def test_only_codes_that_clients_act_on_replace_the_providers_own(
    fault: Fault, plain: tuple[int, str, str], codex: tuple[int, str, str]
) -> None:
    for client, told in ((PLAIN_CLIENT, plain), (CODEX_CLIENT, codex)):
        status, shape = fault_shape(UpstreamError(fault), client)
        assert (status, shape.type, shape.code) == told


@pytest.mark.parametrize("error", [InvalidRequest("x", "input[0]"), RequestTooLarge("x"), NoKey("x")], ids=type)
def test_codex_is_told_its_own_mistakes_once_and_in_words(error: NexusError) -> None:
    status, shape = fault_shape(error, CODEX_CLIENT)
    assert (status, shape.message, shape.param, shape.code) == (400, "x", error.param, "invalid_prompt")
    assert fault_shape(error, PLAIN_CLIENT)[0] == error.status
