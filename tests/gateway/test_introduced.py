"""What a provider is told of the client, on the wire: its program and the key of its conversation, where data say so."""

from __future__ import annotations

from tests.gateway.conftest import Serve
from tests.serving import Served
from tests.upstream import Upstream, finish, sse, text
from tests.worlds import providers

HELLO = sse([text("hi"), finish()])
AGENT = {"User-Agent": "codex_cli_rs/0.169.0 (Linux)"}


async def told(serve: Serve, upstream: Upstream, forward: dict[str, str]) -> Served:
    upstream.script(HELLO, HELLO)
    record = {"base_url": upstream.base_url, "default_model": "m", "forward": forward}
    return await serve(providers(house=record), provider="house")


async def test_a_provider_is_told_what_its_record_says(serve: Serve, upstream: Upstream) -> None:
    gateway = await told(serve, upstream, {"User-Agent": "user_agent", "X-Conv-Id": "conversation"})
    await gateway.create(AGENT, prompt_cache_key="thread-1")
    await gateway.create(AGENT)
    first, second = upstream.requests
    assert (first.headers["user-agent"], first.headers["x-conv-id"]) == (AGENT["User-Agent"], "thread-1")
    assert second.headers["user-agent"] == AGENT["User-Agent"]
    assert "x-conv-id" not in second.headers


async def test_a_conversation_with_an_odd_name_is_told_by_another(serve: Serve, upstream: Upstream) -> None:
    gateway = await told(serve, upstream, {"X-Conv-Id": "conversation"})
    assert (await gateway.create(prompt_cache_key="größe\r\nX-Evil: 1")).status == 200
    assert (await gateway.create(prompt_cache_key="größe\r\nX-Evil: 1")).status == 200
    first, second = upstream.requests
    assert first.headers["x-conv-id"] == second.headers["x-conv-id"]
    assert first.headers["x-conv-id"].isalnum()
    assert "x-evil" not in first.headers


async def test_others_are_told_nothing(gateway: Served, upstream: Upstream) -> None:
    upstream.script(HELLO)
    await gateway.create(AGENT, prompt_cache_key="thread-1")
    [request] = upstream.requests
    assert request.headers["user-agent"] == "codex-nexus"
    assert "thread-1" not in str(request.headers)


async def test_a_chat_that_is_passed_through_is_introduced_too(serve: Serve, upstream: Upstream) -> None:
    gateway = await told(serve, upstream, {"User-Agent": "user_agent"})
    reply = await gateway.ask("POST", "/v1/chat/completions", {"model": "m", "messages": []}, AGENT)
    assert reply.status == 200
    assert upstream.requests[0].headers["user-agent"] == AGENT["User-Agent"]
