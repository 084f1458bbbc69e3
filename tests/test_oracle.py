"""The judges are judged: each rule of `oracle` and `chat_rules` is broken once and must be noticed."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from typing import Any

import pytest
from msgspec import Raw

from codex_nexus.translate.clients import PLAIN
from codex_nexus.translate.dialect import DEFAULT, Dialect
from tests import oracle
from tests.chat_rules import broken
from tests.driving import answered, call, chunks
from tests.schema_rules import schema_faults

Events = list[dict[str, Any]]

GOOD = answered(
    [chunks({"reasoning": "r"}, {"content": "a"}, {"content": "b"}, call("f", '{"x":1}'))],
    PLAIN,
    request={"reasoning": {"summary": "auto"}},
)
FAILED = answered([b'data: {"error":"no"}\n\n'], PLAIN)


def events(stream: bytes = GOOD) -> Events:
    return copy.deepcopy(oracle.decoded(stream))


def framed(told: Events) -> bytes:
    records = [f"event: {event['type']}\ndata: {json.dumps(event)}\n\n" for event in told]
    return "".join([*records, "data: [DONE]\n\n"]).encode()


def renumbered(told: Events) -> Events:
    for number, event in enumerate(told):
        event["sequence_number"] = number
    return told


def first(told: Events, kind: str) -> dict[str, Any]:
    return next(event for event in told if event["type"].endswith(kind))


def without(kind: str) -> Callable[[Events], Events]:
    def dropped(told: Events) -> Events:
        told.remove(first(told, kind))
        return renumbered(told)

    return dropped


def changed(kind: str, **fields: Any) -> Callable[[Events], Events]:
    def edited(told: Events) -> Events:
        first(told, kind).update(fields)
        return told

    return edited


def inside(kind: str, part: str, **fields: Any) -> Callable[[Events], Events]:
    def edited(told: Events) -> Events:
        first(told, kind)[part].update(fields)
        return told

    return edited


def test_a_good_stream_passes() -> None:
    story = oracle.read(framed(events()))
    assert (story.status, story.reasoning, story.summary, story.text) == ("completed", "r", "r", "ab")
    assert oracle.read(framed(events(FAILED))).status == "failed"


@pytest.mark.parametrize(
    "stream",
    [
        GOOD.removesuffix(b"data: [DONE]\n\n"),
        GOOD + b"data: {}\n\n",
        GOOD[:-1],
        GOOD.replace(b"event: response.created\n", b"", 1),
        GOOD.replace(b"event: response.created\n", b"event: response.queued\n", 1),
        GOOD.replace(b"\ndata: ", b"\nid: 1\ndata: ", 1),
    ],
)
def test_bad_framing_is_noticed(stream: bytes) -> None:
    with pytest.raises(AssertionError):
        oracle.read(stream)


@pytest.mark.parametrize(
    "spoil",
    [
        changed("response.created", sequence_number=1),
        without("response.created"),
        without("response.in_progress"),
        without("response.completed"),
        without("output_item.added"),
        without("output_item.done"),
        without("content_part.added"),
        without("content_part.done"),
        without("output_text.delta"),
        without("output_text.done"),
        without("reasoning_text.done"),
        without("reasoning_summary_part.added"),
        without("function_call_arguments.delta"),
        without("function_call_arguments.done"),
        changed("output_item.added", output_index=1),
        changed("output_text.delta", item_id="other"),
        changed("output_text.delta", content_index=1),
        changed("output_text.delta", delta="x"),
        changed("output_text.delta", delta=""),
        changed("output_text.done", text="x"),
        changed("function_call_arguments.delta", delta="{}"),
        changed("function_call_arguments.done", name="g"),
        changed("response.in_progress", error={"message": "x"}),
        inside("content_part.added", "part", text="x"),
        inside("content_part.done", "part", text="x"),
        inside("output_item.added", "item", status="completed"),
        inside("output_item.added", "item", type="message"),
        inside("output_item.done", "item", status="in_progress"),
        inside("output_item.done", "item", status="incomplete"),
        inside("output_item.done", "item", id="other"),
        inside("response.created", "response", id="other"),
        inside("response.created", "response", status="completed"),
        inside("response.in_progress", "response", usage={}),
        inside("response.completed", "response", status="failed"),
        inside("response.completed", "response", output=[]),
        inside("response.completed", "response", error={"code": "c", "message": "m"}),
        inside("response.completed", "response", incomplete_details={"reason": "max_output_tokens"}),
        inside("response.completed", "response", completed_at=None),
        inside("response.completed", "response", metadata=None),
        inside("response.completed", "response", usage={"input_tokens": 1}),
        lambda told: renumbered([*told, told[-1]]),
        lambda told: renumbered([*told[:2], *told[9:12], *told[2:9], *told[12:]]),
    ],
)
def test_a_broken_rule_is_noticed(spoil: Callable[[Events], Events]) -> None:
    with pytest.raises((AssertionError, KeyError)):
        oracle.read(framed(spoil(events())))


@pytest.mark.parametrize(
    "spoil",
    [
        without("response.failed"),
        changed("error", message="other"),
        inside("error", "error", code="other"),
        inside("response.failed", "response", error=None),
        lambda told: renumbered([*told[:-2], told[-1], told[-2]]),
    ],
)
def test_a_bad_failure_is_noticed(spoil: Callable[[Events], Events]) -> None:
    with pytest.raises(AssertionError):
        oracle.read(framed(spoil(events(FAILED))))


USER = {"role": "user", "content": "hi"}
CALL = {"id": "a", "type": "function", "function": {"name": "f", "arguments": "{}"}}
ASKS = {"role": "assistant", "content": None, "tool_calls": [CALL]}
RESULT = {"role": "tool", "tool_call_id": "a", "content": "x"}
TOOL = {"type": "function", "function": {"name": "f", "parameters": {"type": "object", "properties": {}}}}
NAMED = {"type": "function", "function": {"name": "f"}}
PICTURE = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA=="}}


def chat(*messages: dict[str, Any], dialect: Dialect = DEFAULT, **fields: Any) -> list[str]:
    """What is found wrong with a request of these messages that is otherwise in order."""
    body = {"model": "m", "stream": True, "messages": [*messages], "stream_options": {"include_usage": True}} | fields
    return broken({name: value for name, value in body.items() if value is not ...}, dialect)


def test_a_legal_chat_passes() -> None:
    assert chat({"role": "system", "content": "s"}, USER, ASKS, RESULT, tools=[TOOL]) == []
    assert chat(USER, tools=[TOOL], tool_choice=NAMED, temperature=2, max_tokens=5) == []


@pytest.mark.parametrize(
    "messages",
    [
        [ASKS, RESULT],
        [USER, {"role": "assistant", "content": "a"}],
        [USER, {"role": "assistant", "content": "a"}, ASKS, RESULT],
        [USER, {"role": "system", "content": "late"}],
        [USER, ASKS],
        [USER, ASKS, USER],
        [USER, RESULT],
        [USER, ASKS, RESULT, RESULT],
        [USER, ASKS, RESULT, ASKS, RESULT],
        [USER, ASKS | {"content": ""}, RESULT],
        [USER, ASKS | {"tool_calls": []}, USER],
        [USER, ASKS | {"tool_calls": [CALL | {"index": 0}]}, RESULT],
        [USER, ASKS | {"tool_calls": [CALL | {"id": ""}]}, RESULT | {"tool_call_id": ""}],
        [USER, ASKS | {"tool_calls": [CALL | {"function": {"name": "a b", "arguments": "{}"}}]}, RESULT],
        [USER, ASKS | {"tool_calls": [CALL | {"function": {"name": "f", "arguments": "[]"}}]}, RESULT],
        [USER, ASKS | {"tool_calls": [CALL | {"function": {"name": "f", "arguments": '{"a":NaN}'}}]}, RESULT],
        [USER, ASKS | {"reasoning": "x"}, RESULT],
        [USER, {"role": "assistant", "content": "a", "reasoning_content": "x"}, USER],
        [USER | {"content": ""}],
        [USER | {"content": " "}],
        [USER | {"content": []}],
        [USER | {"name": "me"}],
        [USER, ASKS, RESULT | {"content": ""}],
        [USER, ASKS, RESULT | {"content": [PICTURE]}],
        [USER, {"role": "system", "content": [PICTURE]}],
        [USER | {"content": [{"type": "text", "text": ""}]}],
        [USER | {"content": [{"type": "input_audio"}]}],
        [USER | {"content": [{"type": "image_url", "image_url": {"url": "https://x.test"}}]}],
        [USER | {"content": [{"type": "image_url", "image_url": PICTURE["image_url"] | {"detail": "original"}}]}],
    ],
)
def test_a_broken_chat_is_noticed(messages: list[dict[str, Any]]) -> None:
    assert chat(*messages) != []


@pytest.mark.parametrize(
    ("fields", "dialect"),
    [
        ({"tools": []}, DEFAULT),
        ({"tools": [TOOL, TOOL]}, DEFAULT),
        ({"tools": [TOOL | {"strict": True}]}, DEFAULT),
        ({"tools": [{"type": "function", "function": TOOL["function"] | {"strict": True}}]}, DEFAULT),
        ({"tools": [{"type": "function", "function": {"name": "9", "parameters": {}}}]}, DEFAULT),
        ({"tools": [TOOL]}, Dialect(max_tools=0)),
        ({"tools": [TOOL], "parallel_tool_calls": True}, DEFAULT),
        ({"tools": [TOOL], "tool_choice": "any"}, DEFAULT),
        ({"tools": [TOOL], "tool_choice": NAMED}, Dialect(tool_choice=("auto",))),
        ({"tools": [TOOL], "tool_choice": {"type": "function", "function": {"name": "g"}}}, DEFAULT),
        ({"tools": [TOOL], "tool_choice": "required"}, Dialect(tool_choice_thinking=("auto",))),
        ({"tool_choice": "auto"}, DEFAULT),
        ({"user": None}, Dialect(known_params=("user",))),
        ({"user": "u"}, DEFAULT),
        ({"store": False}, DEFAULT),
        ({"top_p": 1}, Dialect(only_params=("stream_options",))),
        ({"top_p": 1}, Dialect(drop_params=("top_p",))),
        ({}, Dialect(extra_body={"a": Raw(b"1")})),
        ({"stream": False}, DEFAULT),
        ({"stream_options": ...}, DEFAULT),
        ({}, Dialect(stream_usage="implicit")),
        ({"max_tokens": 1, "max_completion_tokens": 1}, DEFAULT),
        ({"max_tokens": 9}, Dialect(max_output=8)),
        ({"max_tokens": 9}, Dialect(context_window=8)),
        ({}, Dialect(default_output=8)),
        ({"temperature": 1.5}, Dialect(max_temperature=1)),
        ({"response_format": {"type": "json_schema"}}, Dialect(response_format="object")),
        ({"response_format": {"type": "json_object"}}, DEFAULT),
        ({"response_format": {"type": "json_schema"}, "tools": [TOOL]}, Dialect(tools_exclude_response_format=True)),
        ({"reasoning_effort": "low"}, DEFAULT),
        ({"reasoning_effort": "low"}, Dialect(reasoning_param="effort", efforts=("high",))),
        ({"thinking": {"type": "enabled"}, "enable_thinking": True}, Dialect(reasoning_param="thinking")),
        ({"thinking": {"keep": "all"}}, Dialect(reasoning_param="thinking")),
        ({"thinking": {"type": "disabled"}}, Dialect(reasoning_param="thinking", thinking_off="refused")),
        ({"thinking": {"type": "disabled", "keep": "all"}}, Dialect(reasoning_param="thinking")),
        (
            {"thinking": {"type": "disabled"}, "reasoning_effort": "low"},
            Dialect(reasoning_param="thinking+effort"),
        ),
        ({"enable_thinking": False, "thinking_budget": 5}, Dialect(reasoning_param="enable_thinking")),
        ({"enable_thinking": "true"}, Dialect(reasoning_param="enable_thinking")),
        ({"reasoning": {"effort": "low", "max_tokens": 5}}, Dialect(reasoning_param="effort_obj")),
    ],
)
def test_broken_fields_are_noticed(fields: dict[str, Any], dialect: Dialect) -> None:
    assert chat(USER, dialect=dialect, **fields) != []


@pytest.mark.parametrize(
    ("messages", "dialect"),
    [
        ([USER, USER], Dialect(merge_users=True)),
        ([USER, ASKS, RESULT, USER], Dialect(tool_to_user_bridge=True)),
        ([USER, ASKS, RESULT], Dialect(tool_id="alnum9")),
        ([USER, ASKS, RESULT], Dialect(assistant_content="omit")),
        ([USER, ASKS, RESULT], Dialect(dummy_signature=True)),
        ([USER, ASKS, RESULT], Dialect(reasoning_missing="empty")),
        ([USER, ASKS | {"reasoning_content": "x"}, RESULT], Dialect(reasoning_replay="never")),
        ([USER | {"content": [PICTURE]}], Dialect(images="none")),
    ],
)
def test_the_rules_of_a_dialect_are_noticed(messages: list[dict[str, Any]], dialect: Dialect) -> None:
    assert chat(*messages) == []
    assert chat(*messages, dialect=dialect) != []


def of(child: Any) -> dict[str, Any]:
    """A schema with this property."""
    return {"type": "object", "properties": {"a": child}}


@pytest.mark.parametrize("subset", ["plain", "mfjs", "gemini"])
@pytest.mark.parametrize(
    "schema",
    [5, {"properties": {}}, {"type": "object"}, {"type": "object", "properties": {}, "anyOf": []}, of(True)],
)
def test_a_schema_that_nobody_takes_is_noticed(schema: Any, subset: str) -> None:
    assert list(schema_faults(schema, subset)) != []


@pytest.mark.parametrize("subset", ["plain", "mfjs", "gemini"])
def test_an_ordinary_schema_passes(subset: str) -> None:
    text = {"type": "string", "description": "d", "enum": ["x"]}
    assert list(schema_faults(of({"type": "array", "items": text}) | {"required": ["a"]}, subset)) == []


@pytest.mark.parametrize(
    ("child", "subset"),
    [
        ({"$ref": "#"}, "plain"),
        ({"anyOf": [{"const": 1}]}, "plain"),
        ({}, "mfjs"),
        ({"type": ["string", "null"]}, "mfjs"),
        ({"type": "string", "anyOf": [{"type": "string"}]}, "mfjs"),
        ({"anyOf": []}, "mfjs"),
        ({"anyOf": [{}]}, "gemini"),
        ({"type": "string", "pattern": "a"}, "mfjs"),
        ({"type": "string", "format": "uri", "default": "a"}, "gemini"),
        ({"type": "integer", "enum": [1]}, "gemini"),
        ({"type": "integer", "enum": ["1"]}, "mfjs"),
        ({"type": "string", "enum": []}, "mfjs"),
        ({"type": "integer", "default": True}, "mfjs"),
        ({"type": "object", "required": ["x"]}, "gemini"),
        ({"type": "object", "additionalProperties": {}}, "mfjs"),
        ({"type": "object", "additionalProperties": {"type": "string"}}, "gemini"),
        ({"type": "array"}, "gemini"),
        ({"type": "array", "items": {}}, "mfjs"),
        ({"type": "string", "minLength": 2, "maxLength": 1}, "mfjs"),
    ],
)
def test_a_schema_that_a_picky_server_refuses_is_noticed(child: Any, subset: str) -> None:
    assert list(schema_faults(of(child), subset)) != []
