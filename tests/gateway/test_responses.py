"""`POST /responses` and `GET /responses/{id}` on a real socket, before a scripted provider."""

from __future__ import annotations

import asyncio
import json
import logging
from typing import Any
from unittest.mock import ANY

import pytest

from codex_nexus.errors import StoreError
from codex_nexus.sessions.store import SessionStore, StoredTurn
from codex_nexus.sessions.usage import Usage
from tests.gateway.conftest import UPSTREAM_KEY, Serve
from tests.serving import CODEX, Served
from tests.upstream import Upstream, call, cut, finish, reasoning, sse, status, text, usage
from tests.worlds import providers

HELLO = sse([text("Hel"), text("lo, 世界 🦊"), finish(), usage(12, 5, cached=3)])
CALLS = sse([call(0, "c1", "look", '{"at":'), call(0, arguments='"x"}'), finish("tool_calls"), usage()])
LOOK = {"type": "function", "name": "look", "parameters": {"type": "object", "properties": {"at": {"type": "string"}}}}


# --- good answers


async def test_a_stream_is_told_in_order(gateway: Served, upstream: Upstream) -> None:
    upstream.script(HELLO)
    story = await gateway.stream(input="greet me")
    assert (story.status, story.text) == ("completed", "Hello, 世界 🦊")
    assert story.usage is not None
    assert (story.usage["input_tokens"], story.usage["output_tokens"]) == (12, 5)
    assert story.usage["input_tokens_details"]["cached_tokens"] == 3


async def test_the_provider_is_asked_in_its_own_words(gateway: Served, upstream: Upstream) -> None:
    upstream.script(HELLO)
    await gateway.stream(input="greet me", instructions="Be kind.", temperature=0, max_output_tokens=99)
    [request] = upstream.requests
    assert request.path == "/v1/chat/completions"
    assert request.headers["authorization"] == f"Bearer {UPSTREAM_KEY}"
    assert request.headers["content-type"] == "application/json"
    assert request.json["model"] == "scripted"
    assert request.json["stream"] is True
    assert request.json["stream_options"] == {"include_usage": True}
    assert request.json["messages"] == [
        {"role": "system", "content": "Be kind."},
        {"role": "user", "content": "greet me"},
    ]
    assert (request.json["temperature"], request.json["max_tokens"]) == (0, 99)


async def test_nothing_of_the_client_is_passed_on(gateway: Served, upstream: Upstream) -> None:
    upstream.script(HELLO)
    told = CODEX | {"x-codex-turn-metadata": '{"cwd":"/home/me/secret"}', "cookie": "a=b", "authorization": "Bearer me"}
    await gateway.stream(told, client_metadata={"cwd": "/home/me/secret"})
    [request] = upstream.requests
    assert request.headers.keys() <= {
        "host", "content-type", "content-length", "authorization", "accept", "accept-encoding", "user-agent",
    }  # fmt: skip
    assert b"secret" not in request.raw


async def test_the_headers_of_a_stream(gateway: Served, upstream: Upstream) -> None:
    upstream.script(sse([text("hi"), finish()], headers={"x-request-id": "theirs", "openai-model": "theirs"}))
    reply = await gateway.create(stream=True)
    assert reply.headers["Content-Type"].startswith("text/event-stream")
    assert reply.headers["Cache-Control"] == "no-cache"
    assert reply.headers["x-nexus-upstream"] == "custom/scripted"
    assert reply.headers["x-models-etag"]
    assert (
        not {"x-request-id", "openai-model", "Content-Encoding", "Access-Control-Allow-Origin"} & reply.headers.keys()
    )


async def test_the_model_is_what_the_client_asked_for(gateway: Served, upstream: Upstream) -> None:
    upstream.script(HELLO)
    assert (await gateway.stream(model="gpt-5.6-codex")).response["model"] == "gpt-5.6-codex"
    assert (await gateway.create(model="gpt-5.6-codex")).json["model"] == "gpt-5.6-codex"


async def test_a_reply_in_one_piece_is_the_end_of_the_stream(gateway: Served, upstream: Upstream) -> None:
    upstream.script(sse([reasoning("hm"), text("Hello"), finish(), usage()]))
    reply = await gateway.create()
    assert reply.status == 200
    assert reply.headers["Content-Type"].startswith("application/json")
    assert reply.headers["x-nexus-upstream"] == "custom/scripted"
    story = await gateway.stream()
    assert shape(reply.json) == shape(story.response)
    assert upstream.requests[0].json == upstream.requests[1].json


def shape(response: dict[str, Any]) -> Any:
    """A response without its ids and times."""
    text = json.dumps(response)
    for name in (response["id"], *(item["id"] for item in response["output"])):
        text = text.replace(name, "id")
    return json.loads(text) | {"created_at": 0, "completed_at": 0}


async def test_an_answer_in_one_piece_becomes_a_stream(gateway: Served, upstream: Upstream) -> None:
    completion = {
        "choices": [{"index": 0, "message": {"role": "assistant", "content": "whole"}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 3, "completion_tokens": 1, "total_tokens": 4},
    }
    upstream.script(status(200, completion))
    story = await gateway.stream()
    assert (story.status, story.text) == ("completed", "whole")
    assert story.usage is not None


@pytest.mark.parametrize("headers", [{}, CODEX], ids=["plain", "codex"])
async def test_a_call_is_told_and_its_result_goes_back(
    gateway: Served, upstream: Upstream, headers: dict[str, str]
) -> None:
    upstream.script(CALLS, HELLO)
    story = await gateway.stream(headers, tools=[LOOK])
    [made] = story.calls
    assert (made.name, made.arguments, made.call_id) == ("look", '{"at":"x"}', "c1")
    result = {"type": "function_call_output", "call_id": made.call_id, "output": "seen"}
    question = {"type": "message", "role": "user", "content": "hi"}
    await gateway.stream(headers, tools=[LOOK], input=[question, *story.output, result])
    roles = [message["role"] for message in upstream.requests[1].json["messages"]]
    assert roles == ["user", "assistant", "tool"]


async def test_only_a_plain_client_sees_arguments_grow(gateway: Served, upstream: Upstream) -> None:
    upstream.script(CALLS)
    for headers, pieces in ((None, 2), (CODEX, 1)):
        story = await gateway.stream(headers, tools=[LOOK])
        deltas = [event for event in story.events if event["type"] == "response.function_call_arguments.delta"]
        assert len(deltas) == pieces


async def test_an_answer_that_was_too_long_is_incomplete(gateway: Served, upstream: Upstream) -> None:
    upstream.script(sse([text("Once"), finish("length")]))
    story = await gateway.stream()
    assert (story.status, story.reason, story.text) == ("incomplete", "max_output_tokens", "Once")


async def test_many_turns_at_once_do_not_mix(gateway: Served, upstream: Upstream) -> None:
    def echo(asked: Any) -> Any:
        words = asked.json["messages"][-1]["content"].split()
        return sse([*(text(word) for word in words), finish()], pause=0.002)

    upstream.script(echo)
    stories = await asyncio.gather(*(gateway.stream(input=f"{n} " * 10) for n in range(40)))
    assert [story.text for story in stories] == [str(n) * 10 for n in range(40)]


# --- requests that are wrong

WRONG: list[tuple[Any, str | None, str | None]] = [
    (b"", None, "invalid_json"),
    (b"{", None, "invalid_json"),
    (b"\xff\xfe", None, "invalid_json"),
    (b'{"model": "gpt-5", "input": "\xff"}', None, "invalid_json"),
    (b"[]", None, "invalid_type"),
    (b'"text"', None, "invalid_type"),
    ({"input": "hi"}, "model", "missing_required_parameter"),
    ({"model": None, "input": "hi"}, "model", "missing_required_parameter"),
    ({"model": 5, "input": "hi"}, "model", "invalid_type"),
    ({"model": "gpt-5"}, "input", "missing_required_parameter"),
    ({"model": "gpt-5", "input": []}, "input", "missing_required_parameter"),
    ({"model": "gpt-5", "input": 5}, "input", "invalid_type"),
    ({"model": "gpt-5", "input": {}}, "input", "invalid_type"),
    ({"model": "gpt-5", "input": [5]}, "input[0]", "invalid_type"),
    ({"model": "gpt-5", "input": [{"role": "robot", "content": "x"}]}, "input[0].role", "invalid_value"),
    ({"model": "gpt-5", "input": [{"role": "user"}]}, "input[0].content", "missing_required_parameter"),
    (
        {"model": "gpt-5", "input": [{"type": "function_call", "name": "x", "arguments": "{}"}]},
        "input[0].call_id",
        "missing_required_parameter",
    ),
    ({"model": "gpt-5", "input": "hi", "stream": "yes"}, "stream", "invalid_type"),
    ({"model": "gpt-5", "input": "hi", "temperature": 3}, "temperature", ANY),
    ({"model": "gpt-5", "input": "hi", "temperature": "hot"}, "temperature", "invalid_type"),
    ({"model": "gpt-5", "input": "hi", "max_output_tokens": 0}, "max_output_tokens", ANY),
    ({"model": "gpt-5", "input": "hi", "tools": {}}, "tools", "invalid_type"),
    ({"model": "gpt-5", "input": "hi", "tools": [{"type": "function"}]}, "tools[0].name", "missing_required_parameter"),
    ({"model": "gpt-5", "input": "hi", "tool_choice": "perhaps"}, "tool_choice", "invalid_value"),
    (
        {"model": "gpt-5", "input": "hi", "tool_choice": {"type": "function", "name": "absent"}},
        "tool_choice",
        "invalid_value",
    ),
    ({"model": "gpt-5", "input": "hi", "metadata": "x"}, "metadata", "invalid_type"),
    ({"model": "gpt-5", "input": "hi", "metadata": {"k" * 65: "x"}}, "metadata", "string_above_max_length"),
    ({"model": "gpt-5", "input": "hi", "text": {"format": {"type": "xml"}}}, "text.format.type", "invalid_value"),
    ({"model": "gpt-5", "input": "hi", "background": True, "store": False}, "store", "invalid_value"),
    ({"model": "gpt-5", "input": "hi", "conversation": 5}, "conversation", "invalid_type"),
    ({"model": "gpt-5", "input": "hi", "conversation": {"id": 5}}, "conversation.id", "invalid_type"),
    (
        {"model": "gpt-5", "input": "hi", "conversation": "conv_1", "previous_response_id": "resp_1"},
        "conversation",
        "invalid_value",
    ),
    ({"model": "gpt-5", "input": "hi", "prompt": {"id": "pmpt_1"}}, "prompt", "unsupported_parameter"),
    (
        {"model": "gpt-5", "input": "hi", "previous_response_id": "resp_none"},
        "previous_response_id",
        "previous_response_not_found",
    ),
]


@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize(("body", "param", "code"), WRONG, ids=lambda value: str(value)[:60])
async def test_a_wrong_request_is_refused_with_its_param(
    gateway: Served, upstream: Upstream, body: Any, param: str | None, code: str | None, streamed: bool
) -> None:
    if streamed and isinstance(body, dict):
        body = {"stream": True} | body
    reply = await gateway.ask("POST", "/v1/responses", body)
    assert reply.status == 400, reply
    error = reply.error
    assert (error["param"], error["code"], error["type"]) == (param, code, "invalid_request_error"), error
    assert upstream.requests == []


async def test_null_is_the_same_as_absent(gateway: Served, upstream: Upstream) -> None:
    upstream.script(HELLO)
    names = [
        "instructions",
        "previous_response_id",
        "conversation",
        "store",
        "background",
        "stream",
        "include",
        "tools",
        "tool_choice",
        "temperature",
        "top_p",
        "max_output_tokens",
        "text",
        "reasoning",
        "truncation",
        "metadata",
        "prompt",
        "user",
        "parallel_tool_calls",
    ]
    reply = await gateway.create(**dict.fromkeys(names))
    assert reply.status == 200, reply
    assert b"null" not in upstream.requests[0].raw


async def test_fields_that_nobody_knows_are_ignored(gateway: Served, upstream: Upstream) -> None:
    upstream.script(HELLO)
    reply = await gateway.create(
        client_metadata={"x": 1}, future={"a": [1]}, stream_options={"include_obfuscation": True}
    )
    assert reply.status == 200
    assert not {"client_metadata", "future"} & upstream.requests[0].json.keys()


# --- the chain


async def test_a_turn_goes_on_where_another_ended(gateway: Served, upstream: Upstream) -> None:
    upstream.script(sse([text("one"), finish()]), sse([text("two"), finish()]), sse([text("three"), finish()]))
    first = await gateway.stream(input="first", instructions="only now")
    second = (await gateway.create(input="second", previous_response_id=first.response["id"])).json
    assert second["previous_response_id"] == first.response["id"]
    third = await gateway.stream(input="third", previous_response_id=second["id"])
    assert third.text == "three"
    assert [message["content"] for message in upstream.requests[2].json["messages"]] == [
        "first", "one", "second", "two", "third",
    ]  # fmt: skip


async def test_a_chain_may_fork(gateway: Served, upstream: Upstream) -> None:
    upstream.script(sse([text("one"), finish()]))
    root = (await gateway.create(input="root")).json["id"]
    for name in ("left", "right"):
        await gateway.create(input=name, previous_response_id=root)
    said = [[message["content"] for message in request.json["messages"]] for request in upstream.requests[1:]]
    assert said == [["root", "one", "left"], ["root", "one", "right"]]


async def test_a_call_and_its_result_may_be_in_two_turns(gateway: Served, upstream: Upstream) -> None:
    upstream.script(CALLS, HELLO)
    first = await gateway.stream(tools=[LOOK])
    result = {"type": "function_call_output", "call_id": "c1", "output": "seen"}
    story = await gateway.stream(tools=[LOOK], input=[result], previous_response_id=first.response["id"])
    assert story.status == "completed"
    messages = upstream.requests[1].json["messages"]
    assert [message["role"] for message in messages] == ["user", "assistant", "tool"]
    assert messages[1]["tool_calls"][0]["id"] == messages[2]["tool_call_id"]


@pytest.mark.parametrize("headers", [{}, CODEX], ids=["plain", "codex"])
async def test_a_parent_that_is_not_there_is_told(gateway: Served, upstream: Upstream, headers: dict[str, str]) -> None:
    reply = await gateway.create(headers, previous_response_id="resp_123", stream=True)
    assert reply.status == 400
    assert reply.error == {
        "message": "Previous response with id 'resp_123' not found.",
        "type": "invalid_request_error",
        "param": "previous_response_id",
        "code": "previous_response_not_found",
    }
    assert upstream.requests == []


async def test_a_parent_that_failed_is_not_there(gateway: Served, upstream: Upstream) -> None:
    upstream.script(cut([text("bro")]), HELLO)
    failed = await gateway.stream()
    assert failed.status == "failed"
    reply = await gateway.create(previous_response_id=failed.response["id"])
    assert (reply.status, reply.error["code"]) == (400, "previous_response_not_found")


# --- stored responses


async def test_a_response_can_be_asked_for_again(gateway: Served, upstream: Upstream) -> None:
    upstream.script(HELLO)
    story = await gateway.stream(metadata={"topic": "a"})
    for path in ("/v1/responses", "/responses"):
        reply = await gateway.get(f"{path}/{story.response['id']}")
        assert reply.status == 200
        assert reply.json == story.response
    assert (await gateway.create()).json["store"] is True


async def test_a_stored_response_survives_a_restart(serve: Serve, upstream: Upstream) -> None:
    upstream.script(HELLO)
    made = (await (await serve()).create()).json
    assert (await (await serve()).get(f"/v1/responses/{made['id']}")).json == made


async def test_what_should_not_be_stored_is_not(gateway: Served, upstream: Upstream) -> None:
    upstream.script(HELLO)
    story = await gateway.stream(store=False)
    assert story.response["store"] is False
    reply = await gateway.get(f"/v1/responses/{story.response['id']}")
    assert reply.status == 404
    assert reply.error["type"] == "invalid_request_error"
    chained = await gateway.create(previous_response_id=story.response["id"])
    assert chained.error["code"] == "previous_response_not_found"


@pytest.mark.parametrize("name", ["resp_none", "x" * 3000, "%ED%B2%80", "%00", "a%2Fb", "%F0%9F%A6%8A"])
async def test_a_response_that_is_not_there_is_not_found(gateway: Served, name: str) -> None:
    reply = await gateway.get(f"/v1/responses/{name}")
    assert reply.status == 404
    assert reply.error["message"]


async def test_a_stored_response_is_not_streamed_again(gateway: Served, upstream: Upstream) -> None:
    upstream.script(HELLO)
    made = (await gateway.create()).json["id"]
    for query in ("stream=true", "stream=true&starting_after=3"):
        reply = await gateway.get(f"/v1/responses/{made}?{query}")
        assert (reply.status, reply.error["param"]) == (400, "stream")
    assert (await gateway.get(f"/v1/responses/{made}?stream=false&include[]=x")).status == 200


async def test_the_id_works_as_soon_as_the_stream_has_ended(gateway: Served, upstream: Upstream) -> None:
    upstream.script(HELLO)
    for _ in range(10):
        response = await gateway.open()
        seen = b""
        while b"event: response.completed" not in seen:
            seen += await response.content.readany()
        name = json.loads(seen.partition(b"data: ")[2].partition(b"\n")[0])["response"]["id"]
        assert (await gateway.get(f"/v1/responses/{name}")).status == 200
        response.close()


class BrokenStore:
    """A store whose disk is full."""

    async def put(self, turn: StoredTurn) -> None:
        raise StoreError("The session store cannot be written: the disk is full.")

    async def history(self, response_id: str, owner: str) -> None:
        raise StoreError("The session store cannot be read.")

    async def resource(self, response_id: str, owner: str) -> None:
        raise StoreError("The session store cannot be read.")

    async def add_usage(self, usage: Usage) -> None:
        raise StoreError("The session store cannot be written.")

    async def prune(self, before: int) -> int:
        raise StoreError("The session store cannot be written.")

    async def close(self) -> None:
        """Nothing to close."""


@pytest.mark.parametrize("broken", [BrokenStore(), None], ids=["broken", "absent"])
async def test_a_turn_goes_on_without_the_store(
    serve: Serve, upstream: Upstream, broken: SessionStore | None, caplog: pytest.LogCaptureFixture
) -> None:
    upstream.script(HELLO)
    gateway = await serve(session_store=broken)
    story = await gateway.stream()
    assert (story.status, story.text) == ("completed", "Hello, 世界 🦊")
    assert story.response["store"] is False
    reply = await gateway.create()
    assert (reply.status, reply.json["store"]) == (200, False)
    assert "is not stored" in caplog.text


async def test_a_broken_store_is_told_to_who_needs_it(serve: Serve) -> None:
    gateway = await serve(session_store=BrokenStore())
    for reply in (await gateway.get("/v1/responses/resp_1"), await gateway.create(previous_response_id="resp_1")):
        assert reply.status == 500
        assert reply.error["type"] == "server_error"


# --- whose responses


async def test_a_response_belongs_to_who_made_it(serve: Serve, upstream: Upstream) -> None:
    upstream.script(HELLO)
    gateway = await serve(
        provider="away",
        access_token="nexus-token",
        known=providers(away={"base_url": upstream.base_url, "default_model": "m"}),
    )
    alice, bob = elsewhere("alice-key-1"), elsewhere("bob-key-1")
    made = (await gateway.create(alice)).json["id"]
    assert upstream.requests[-1].headers["authorization"] == "Bearer alice-key-1"
    assert (await gateway.get(f"/v1/responses/{made}", alice)).status == 200
    assert (await gateway.create(alice, previous_response_id=made)).status == 200
    assert (await gateway.get(f"/v1/responses/{made}", bob)).status == 404
    assert (await gateway.create(bob, previous_response_id=made)).error["code"] == "previous_response_not_found"
    assert (await gateway.get(f"/v1/responses/{made}")).status == 200
    assert (await gateway.get(f"/v1/responses/{made}", elsewhere("nexus-token"))).status == 200
    owners = (await gateway.create()).json["id"]
    assert (await gateway.get(f"/v1/responses/{owners}", alice)).status == 404


def elsewhere(bearer: str) -> dict[str, str]:
    """The headers of a caller behind a reverse proxy."""
    return {"X-Forwarded-For": "203.0.113.7", "Authorization": f"Bearer {bearer}"}


# --- the log


async def test_one_line_tells_a_turn(gateway: Served, upstream: Upstream, caplog: pytest.LogCaptureFixture) -> None:
    upstream.script(HELLO)
    with caplog.at_level(logging.INFO, "codex_nexus.turn"):
        await gateway.stream(model="gpt-5.6")
    [record] = [record for record in caplog.records if record.name == "codex_nexus.turn"]
    assert record.getMessage().startswith("gpt-5.6 -> custom/scripted completed, 12+5 tokens, ")


async def test_what_is_said_is_not_in_the_log(
    gateway: Served, upstream: Upstream, caplog: pytest.LogCaptureFixture
) -> None:
    upstream.script(HELLO, status(400, {"error": {"message": "bad"}}))
    with caplog.at_level(logging.DEBUG):
        await gateway.stream(input="my private question")
        await gateway.create(input="my private question")
    assert "private" not in caplog.text
    assert "Hello" not in caplog.text
    assert UPSTREAM_KEY not in caplog.text


@pytest.mark.parametrize(
    ("fields", "param"), [({"tools": [{}]}, "tools[0].type"), ({"tool_choice": {}}, "tool_choice.type")]
)
async def test_tools_that_do_not_say_what_they_are_are_told_to_plain_clients_only(
    gateway: Served, upstream: Upstream, fields: dict[str, Any], param: str
) -> None:
    upstream.script(HELLO)
    reply = await gateway.create(**fields)
    assert (reply.status, reply.error["param"], reply.error["code"]) == (400, param, "missing_required_parameter")
    assert (await gateway.create(CODEX, **fields)).status == 200
