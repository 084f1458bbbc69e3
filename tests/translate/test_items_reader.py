"""What upstream `/responses` endpoints stream, with the quirks they are known for, told anew by our laws."""

from __future__ import annotations

import itertools
import json
from typing import Any

import pytest
from tests import oracle

from codex_nexus.translate.clients import CODEX, PLAIN, Client
from codex_nexus.translate.dialect import Dialect
from codex_nexus.translate.faults import Fault
from codex_nexus.translate.items_reader import ItemsReader
from codex_nexus.translate.turn import Turn, open_turn
from codex_nexus.wire.create import decode_create
from codex_nexus.wire.events import EventEncoder

WIRE = Dialect(wire="responses", family="them", reasoning_param="effort")
TOOLS = [
    {"type": "function", "name": "look", "parameters": {"type": "object", "properties": {}}},
    {"type": "custom", "name": "patch"},
    {"type": "namespace", "name": "mcp__x", "tools": [{"type": "function", "name": "read"}]},
    {"type": "web_search"},
]
DONE: dict[str, Any] = {
    "type": "response.completed",
    "response": {"id": "r", "status": "completed", "output": [], "usage": {"input_tokens": 7, "output_tokens": 3}},
}


def opened(client: Client = CODEX, **fields: Any) -> tuple[Turn, dict[str, Any]]:
    """A turn and the body that goes to the provider."""
    numbers = itertools.count()
    asked = {"model": "m", "input": "hi", "tools": TOOLS, "include": ["reasoning.encrypted_content"], **fields}
    turn = open_turn(decode_create(json.dumps(asked).encode()), [], client, lambda kind: f"{kind}_{next(numbers)}", 1)
    return turn, json.loads(turn.to_chat(WIRE, "upstream-model"))


def told(events: list[dict[str, Any]], client: Client = CODEX, *, end: bytes = b"", **fields: Any) -> Any:
    """What the client reads when upstream streams these events."""
    turn, _ = opened(client, **fields)
    body = b"".join(b"data: " + json.dumps(event).encode() + b"\n\n" for event in events) + end
    emitted = turn.start() + turn.receive_data(body, 2) + turn.close(3)
    return oracle.read(EventEncoder().sse(emitted))


def text(delta: str) -> dict[str, Any]:
    return {"type": "response.output_text.delta", "item_id": "a", "delta": delta}


def calls(story: oracle.Story) -> list[tuple[str, str, str]]:
    """The calls as call_id, name and arguments or input."""
    return [(made.call_id, made.name, made.arguments) for made in story.calls]


def call(arguments: str, name: str = "look") -> dict[str, Any]:
    return {"id": "b-uuid", "type": "function_call", "call_id": "c1", "name": name, "arguments": arguments}


def test_the_request_is_a_legal_chat_said_in_items() -> None:
    history = [
        {"role": "developer", "content": "Be brief."},
        {"role": "user", "content": "look"},
        {"type": "function_call", "call_id": "c9", "namespace": "mcp__x", "name": "read", "arguments": "{bad"},
        {"role": "user", "content": "and?"},
        {"type": "agent_message", "content": [{"type": "input_text", "text": "from another"}]},
    ]
    _, body = opened(input=history, reasoning={"effort": "high"}, max_output_tokens=9)
    assert body["instructions"] == "Be brief."
    assert [item["type"] for item in body["input"]] == [
        "message", "function_call", "function_call_output", "message", "message",
    ]  # fmt: skip
    assert body["input"][1]["name"] == "mcp__x__read"
    assert json.loads(body["input"][1]["arguments"]) == {"_raw": "{bad"}
    assert [tool["name"] for tool in body["tools"]] == ["look", "patch", "mcp__x__read"]
    assert {tool["type"] for tool in body["tools"]} == {"function"}
    assert (body["store"], body["stream"], body["max_output_tokens"]) == (False, True, 9)
    assert body["reasoning"] == {"effort": "high"}
    assert not {"messages", "stream_options", "max_tokens", "reasoning_effort"} & body.keys()


def test_an_answer_is_told_with_usage() -> None:
    story = told([text("Hel"), text("lo"), DONE])
    assert (story.status, story.text) == ("completed", "Hello")
    assert story.usage["total_tokens"] == 10
    assert story.usage["input_tokens_details"] == {"cached_tokens": 0, "cache_write_tokens": 0}


def test_a_call_comes_back_under_the_name_it_was_declared_by() -> None:
    item = call('{"path":"a"}', "mcp__x__read")
    story = told([{"type": "response.output_item.done", "item": item}, DONE])
    assert calls(story) == [("c1", "read", '{"path":"a"}')]
    assert story.calls[0].namespace == "mcp__x"


def test_a_custom_call_is_unwrapped() -> None:
    item = call('{"input":"*** text"}', "patch")
    story = told([{"type": "response.output_item.done", "item": item}, DONE])
    assert calls(story) == [("c1", "patch", "*** text")]


@pytest.mark.parametrize("client", [CODEX, PLAIN], ids=["codex", "plain"])
def test_pieces_of_arguments_are_not_doubled_by_the_final_item(client: Client) -> None:
    pieces = [
        {"type": "response.output_item.added", "item": call("")},
        {"type": "response.function_call_arguments.delta", "item_id": "b-uuid", "delta": '{"a"'},
        {"type": "response.function_call_arguments.delta", "item_id": "b-uuid", "delta": ":1}"},
        {"type": "response.output_item.done", "item": call('{"a":1}')},
    ]
    assert calls(told([*pieces, DONE], client)) == [("c1", "look", '{"a":1}')]


@pytest.mark.parametrize("client", [CODEX, PLAIN], ids=["codex", "plain"])
@pytest.mark.parametrize(
    "rest",
    [
        [{"type": "response.function_call_arguments.done", "item_id": "b-uuid", "arguments": '{"a":1}'}],
        [{"type": "response.function_call_arguments.done", "output_index": 1, "arguments": '{"a":1}'}],
        [{"type": "response.function_call_arguments.delta", "output_index": 1, "delta": '{"a":1}'}],
        [{"type": "response.function_call_arguments.delta", "output_index": 1, "item_id": "else", "delta": '{"a":1}'}],
        [
            {"type": "response.function_call_arguments.delta", "item_id": "b-uuid", "delta": '{"a"'},
            {"type": "response.function_call_arguments.done", "item_id": "b-uuid", "arguments": '{"a":1}'},
        ],
        [{"type": "response.output_item.done", "output_index": 1, "item": call('{"a":1}') | {"id": None}}],
        [{"type": "response.completed", "response": {**DONE["response"], "output": [call('{"a":1}')]}}],
        [{"type": "response.completed", "response": {**DONE["response"], "output": [call('{"a":1}') | {"id": "z"}]}}],
    ],
)
def test_arguments_are_found_wherever_a_server_says_them(rest: list[dict[str, Any]], client: Client) -> None:
    begun = {"type": "response.output_item.added", "output_index": 1, "item": call("")}
    assert calls(told([begun, *rest, DONE], client)) == [("c1", "look", '{"a":1}')]


def test_a_server_that_always_says_the_same_index_is_understood_by_ids() -> None:
    other = call("") | {"id": "c-uuid", "call_id": "c2"}
    events = [
        {"type": "response.output_item.added", "output_index": 0, "item": call("")},
        {"type": "response.output_item.added", "output_index": 0, "item": other},
        {"type": "response.function_call_arguments.delta", "output_index": 0, "item_id": "b-uuid", "delta": '{"a":1}'},
        {"type": "response.function_call_arguments.delta", "output_index": 0, "item_id": "c-uuid", "delta": '{"b":2}'},
    ]
    assert calls(told([*events, DONE])) == [("c1", "look", '{"a":1}'), ("c2", "look", '{"b":2}')]


def test_items_without_ids_are_told_apart_by_their_places() -> None:
    first, second = call("") | {"id": ""}, call("") | {"id": "", "call_id": "c2"}
    events = [
        {"type": "response.output_item.added", "output_index": 0, "item": first},
        {"type": "response.output_item.added", "output_index": 1, "item": second},
        {"type": "response.function_call_arguments.delta", "output_index": 1, "delta": '{"b":2}'},
        {"type": "response.function_call_arguments.delta", "output_index": 0, "delta": '{"a":1}'},
    ]
    assert calls(told([*events, DONE])) == [("c1", "look", '{"a":1}'), ("c2", "look", '{"b":2}')]


def test_a_text_that_comes_only_whole_is_told_once() -> None:
    whole = {"type": "response.output_text.done", "item_id": "a", "text": "Hello"}
    item = {"type": "message", "id": "a", "content": [{"type": "output_text", "text": "Hello"}]}
    end = {"type": "response.completed", "response": {**DONE["response"], "output": [item]}}
    for events in (
        [whole],
        [text("Hel"), text("lo"), whole],
        [whole, {"type": "response.output_item.done", "item": item}],
    ):
        assert told([*events, end]).text == "Hello"


def test_items_that_only_the_end_holds_are_told() -> None:
    message = {"type": "message", "id": "m", "content": [{"type": "output_text", "text": "late"}]}
    ending = {"type": "response.completed", "response": {**DONE["response"], "output": [message, call("{}")]}}
    story = told([ending])
    assert (story.text, calls(story)) == ("late", [("c1", "look", "{}")])


def test_all_that_only_the_end_holds_is_told_in_order() -> None:
    said = [{"type": "message", "content": [{"type": "output_text", "text": name}]} for name in ("one ", "two")]
    thought = {"type": "reasoning", "summary": [], "content": [{"type": "reasoning_text", "text": "why"}]}
    ending = {"type": "response.completed", "response": {**DONE["response"], "output": [thought, *said]}}
    story = told([ending], PLAIN)
    assert (story.reasoning, story.text) == ("why", "one two")
    told_before = {"type": "response.reasoning_text.delta", "item_id": "t", "delta": "why"}
    assert told([told_before, ending], PLAIN).reasoning == "why"


def test_a_whole_response_in_the_place_of_a_stream_is_read() -> None:
    message = {"type": "message", "id": "m", "content": [{"type": "output_text", "text": "whole"}]}
    turn, _ = opened()
    body = json.dumps({"object": "response", "status": "completed", "output": [message]}).encode()
    emitted = turn.start() + turn.receive_data(body, 2) + turn.close(3)
    assert oracle.read(EventEncoder().sse(emitted)).text == "whole"


@pytest.mark.parametrize("name", ["response.reasoning_text.delta", "response.reasoning.delta"])
def test_reasoning_is_told_once_whatever_its_event_is_called(name: str) -> None:
    thought = {"type": name, "item_id": "t", "delta": "hm"}
    summary = {"type": "response.reasoning_summary_text.delta", "item_id": "t", "delta": "in short"}
    final = {"id": "t", "type": "reasoning", "summary": [], "content": [{"type": "reasoning_text", "text": "hm"}]}
    events = [thought, summary, {"type": "response.output_item.done", "item": final}, text("ok"), DONE]
    assert told(events).reasoning == "hm"


def test_sealed_reasoning_goes_back_word_for_word() -> None:
    item = {"id": "t", "type": "reasoning", "summary": [], "encrypted_content": "THEIRS"}
    turn, _ = opened()
    events = [
        {"type": "response.output_item.done", "item": item},
        {"type": "response.output_item.done", "item": call("{}")},
    ]
    body = b"".join(b"data: " + json.dumps(event).encode() + b"\n\n" for event in [*events, DONE])
    emitted = turn.start() + turn.receive_data(body, 2)
    output = json.loads(EventEncoder().json(emitted[-1]))["response"]["output"]
    answered = {"type": "function_call_output", "call_id": "c1", "output": "x"}
    _, again = opened(input=[{"role": "user", "content": "hi"}, *output, answered])
    thoughts = [item for item in again["input"] if item["type"] == "reasoning"]
    assert thoughts == [{"type": "reasoning", "summary": [], "encrypted_content": "THEIRS"}]


@pytest.mark.parametrize(
    ("events", "status", "code"),
    [
        ([text("half")], "failed", "server_error"),
        ([DONE], "failed", "server_error"),
        ([text("x"), {"type": "error", "error": {"message": "Rate limit reached", "code": "429"}}], "failed", "rate_limit_exceeded"),
        ([{"type": "response.failed", "response": {"status": "failed", "error": {"code": "context_length_exceeded", "message": "too long"}}}], "failed", "context_length_exceeded"),
        ([text("x"), {"type": "response.incomplete", "response": {"status": "incomplete", "incomplete_details": {"reason": "max_output_tokens"}}}], "incomplete", None),
        ([{"type": "response.output_item.done", "item": call('{"a"')}, DONE], "failed", "server_error"),
    ],
    ids=["cut", "empty", "error event", "failed", "incomplete", "broken call"],
)  # fmt: skip
def test_every_bad_end_is_one_ending(events: list[dict[str, Any]], status: str, code: str | None) -> None:
    story = told(events)
    assert (story.status, story.code) == (status, code)
    assert story.calls == []


def test_garbage_never_raises() -> None:
    for junk in (b"data: nonsense\n\n", b"data: [1,2]\n\n", b"data: 7\n\n", b"<html>", b'data: {"type":5}\n\n'):
        turn, _ = opened()
        emitted = turn.start() + turn.receive_data(junk, 2) + turn.close(3)
        assert oracle.read(EventEncoder().sse(emitted)).status == "failed"


def done(**item: Any) -> dict[str, Any]:
    return {"type": "response.output_item.done", "item": item}


def test_a_refusal_is_an_answer() -> None:
    events = [
        {"type": "response.refusal.delta", "item_id": "a", "delta": "No"},
        {"type": "response.refusal.delta", "item_id": "a", "delta": ""},
        done(id="a", type="message", content=[{"type": "refusal", "refusal": "No"}]),
    ]
    story = told([*events, DONE], PLAIN)
    assert (story.status, story.refusal) == ("completed", "No")


def test_nothing_counts_after_the_end() -> None:
    reader = ItemsReader(WIRE)
    assert not reader.finished
    reader.read(json.dumps(DONE).encode())
    assert reader.finished
    assert reader.read(json.dumps(text("late")).encode()) == []
    story = told([text("x")], end=b"data: [DONE]\n\n" + json.dumps(DONE).encode())
    assert (story.status, story.text) == ("failed", "x")


@pytest.mark.parametrize(
    "event",
    [
        text(""),
        {"type": "response.output_text.delta", "delta": {"odd": 1}},
        {"type": "response.function_call_arguments.delta", "item_id": "nobody", "delta": "{}"},
        {"type": "response.output_item.added", "item": {"id": "a", "type": "message"}},
        {"type": "response.output_item.done"},
        done(id="w", type="web_search_call"),
        done(id="m", type="message", content=[{"type": "audio", "text": 5}, 7]),
        {"type": "response.in_progress", "error": {"message": "no ending"}},
    ],
)
def test_what_says_nothing_disturbs_nothing(event: dict[str, Any]) -> None:
    story = told([event, text("ok"), DONE])
    assert (story.status, story.text, story.calls) == ("completed", "ok", [])


def test_a_content_may_be_a_string() -> None:
    assert told([done(id="m", type="message", content="plain"), DONE]).text == "plain"
    thought = done(id="t", type="reasoning", summary="shown", content=None)
    assert told([thought, text("ok"), DONE]).reasoning == "shown"


def test_the_end_repeats_no_call_even_under_another_id() -> None:
    again = {**call("{}"), "id": "other-uuid"}
    ending = {"type": "response.completed", "response": {"status": "completed", "output": [again, {"type": "new"}]}}
    assert calls(told([{"type": "response.output_item.done", "item": call("{}")}, ending])) == [("c1", "look", "{}")]


def test_arguments_that_differ_from_their_pieces_are_those_of_the_pieces() -> None:
    pieces = [
        {"type": "response.output_item.added", "item": call("")},
        {"type": "response.function_call_arguments.delta", "item_id": "b-uuid", "delta": "{}"},
        {"type": "response.output_item.done", "item": call('{"other":1}')},
    ]
    assert calls(told([*pieces, DONE])) == [("c1", "look", "{}")]
    objects = {**call(""), "arguments": {"a": 1}}
    assert calls(told([{"type": "response.output_item.done", "item": objects}, DONE])) == [("c1", "look", '{"a":1}')]


@pytest.mark.parametrize(
    ("response", "status"),
    [
        ({"status": "incomplete", "incomplete_details": {"reason": "content_filter"}}, "incomplete"),
        ({"status": "incomplete"}, "incomplete"),
        ({"status": "cancelled"}, "failed"),
    ],
)
def test_a_terminal_status_is_told_in_ours(response: dict[str, Any], status: str) -> None:
    assert told([text("x"), {"type": "response.incomplete", "response": response}], PLAIN).status == status


def test_the_first_fault_is_the_one_that_is_told() -> None:
    reader = ItemsReader(WIRE)
    reader.fault = Fault("timeout", "first")
    reader.read(b'{"type":"error","error":{"message":"second"}}')
    assert reader.outcome() == Fault("timeout", "first")
