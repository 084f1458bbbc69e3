"""JSON that is nested deeper than anybody reads: a sentence for the client, whatever the Python decodes by itself."""

from __future__ import annotations

import json

import pytest

from tests.serving import CODEX, Served
from tests.upstream import Upstream, finish, raw, sse, text

HELLO = sse([text("hi"), finish()])
DEPTHS = (250, 900, 5_000, 100_000)
FUNCTION = '{"type": "function", "name": "f", "parameters": %s}'
READ = {
    "a tool's schema": '"input": "x", "tools": [%s]'.replace("%s", FUNCTION),
    "a schema in a namespace": '"input": "x", "tools": [{"type": "namespace", "name": "n", "tools": [%s]}]'.replace(
        "%s", FUNCTION
    ),
    "a tool of the conversation": '"input": [{"type": "additional_tools", "tools": [%s]}]'.replace("%s", FUNCTION),
    "a hosted tool": '"input": "x", "tools": [{"type": "mcp", "x": %s}]',
    "a choice": '"input": "x", "tool_choice": {"type": "web_search", "x": %s}',
    "the form of the answer": (
        '"input": "x", "text": {"format": {"type": "json_schema", "name": "x", "schema": {"x": %s}}}'
    ),
    "content": '"input": [{"role": "user", "content": %s}]',
    "an image": '"input": [{"role": "user", "content": [{"type": "input_image", "image_url": {"x": %s}}]}]',
}
PASSED_ON = {
    "an unknown field": '"input": "x", "x": %s',
    "an unknown item": '"input": [{"role": "user", "content": "x"}, {"type": "future", "x": %s}]',
    "an old call": '"input": [{"type": "function_call", "call_id": "c", "name": "f", "arguments": %s}]',
}


def nested(depth: int, kind: str = "{") -> str:
    """JSON of this depth."""
    return "[" * depth + "]" * depth if kind == "[" else '{"properties":' * depth + "{}" + "}" * depth


@pytest.mark.parametrize("depth", DEPTHS)
@pytest.mark.parametrize("place", READ)
@pytest.mark.parametrize("headers", [{}, CODEX], ids=["plain", "codex"])
async def test_what_is_read_is_refused(
    gateway: Served, upstream: Upstream, place: str, depth: int, headers: dict[str, str]
) -> None:
    for kind in "[{":
        body = '{"model": "gpt-5", %s}' % (READ[place] % nested(depth, kind))
        reply = await gateway.ask("POST", "/v1/responses", body.encode(), headers)
        assert reply.status == 400, reply
        assert reply.error["type"] == "invalid_request_error"
    assert upstream.requests == []


@pytest.mark.parametrize("depth", DEPTHS)
@pytest.mark.parametrize("place", PASSED_ON)
async def test_what_is_only_passed_on_breaks_nothing(
    gateway: Served, upstream: Upstream, place: str, depth: int
) -> None:
    upstream.script(HELLO)
    body = '{"model": "gpt-5", %s}' % (PASSED_ON[place] % nested(depth))
    reply = await gateway.ask("POST", "/v1/responses", body.encode())
    assert reply.status in (200, 400), reply  # each Python's own decoder has a bound, too


@pytest.mark.parametrize("depth", DEPTHS)
@pytest.mark.parametrize("written", ["text", "object"])
@pytest.mark.parametrize("tool", ["function", "custom"])
async def test_arguments_from_upstream_end_the_turn_properly(
    gateway: Served, upstream: Upstream, depth: int, written: str, tool: str, caplog: pytest.LogCaptureFixture
) -> None:
    arguments = '{"input": ' + nested(depth, "[") + "}"
    said = json.dumps(arguments) if written == "text" else arguments
    chunk = (
        '{"choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"id":"c","function":{"name":"f","arguments":%s}}]}}]}'
    )
    end = '{"choices":[{"index":0,"delta":{},"finish_reason":"tool_calls"}]}'
    upstream.script(raw(f"data: {chunk % said}\n\ndata: {end}\n\ndata: [DONE]\n\n".encode()))
    body = {"model": "gpt-5", "input": "x", "stream": True, "tools": [{"type": tool, "name": "f"}]}
    reply = await gateway.ask("POST", "/v1/responses", body, CODEX)
    assert b"The gateway failed" not in reply.body
    assert reply.story.response["status"] in ("failed", "completed")
    if tool == "function":
        assert reply.story.response["status"] == "failed"
    assert not [record for record in caplog.records if record.exc_info]
