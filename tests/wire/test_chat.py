from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from msgspec import Raw
from tests import strategies as some

from codex_nexus.wire.chat import (
    ChatChunk,
    CreateChatCompletion,
    FunctionTool,
    Message,
    StreamOptions,
    Tool,
    chunk_of,
    decode_chunk,
    encode_request,
)


def chunk(**fields: Any) -> ChatChunk:
    return decode_chunk(json.dumps(fields).encode())


def request(**fields: Any) -> CreateChatCompletion:
    return CreateChatCompletion(model="m", messages=[Message("user", Raw(b'"hi"'))], **fields)


def test_a_request_holds_what_was_set_and_nothing_else() -> None:
    body = encode_request(request(temperature=0.0), {})
    assert json.loads(body) == {
        "model": "m",
        "messages": [{"role": "user", "content": "hi"}],
        "stream": True,
        "temperature": 0.0,
    }


def test_extra_fields_are_merged_in_but_never_repeat_one_that_stands() -> None:
    extra = {"tool_stream": Raw(b"true"), "temperature": Raw(b"1")}
    body = json.loads(encode_request(request(temperature=0.5), extra))
    assert (body["tool_stream"], body["temperature"]) == (True, 0.5)
    assert json.loads(encode_request(request(), extra))["temperature"] == 1


def test_a_tool_leaves_out_what_it_does_not_have() -> None:
    body = json.loads(encode_request(request(tools=[Tool(FunctionTool("f"))]), {}))
    assert body["tools"] == [{"type": "function", "function": {"name": "f"}}]


def test_an_ordinary_chunk_is_read() -> None:
    read = chunk(id="x", choices=[{"index": 0, "delta": {"content": "a"}, "finish_reason": "stop"}], usage=None)
    assert read.choices is not None
    choice = read.choices[0]
    assert choice.delta is not None
    assert (choice.delta.content, choice.finish_reason) == ("a", "stop")


def test_an_emoji_that_was_cut_in_two_stays_in_two() -> None:
    read = decode_chunk(rb'{"choices":[{"delta":{"content":"\ud83d"}}]}')
    assert read.choices is not None
    assert read.choices[0].delta is not None
    assert read.choices[0].delta.content == "\ud83d"


@pytest.mark.parametrize("choices", [None, 5, {"delta": {}}, "x"])
def test_choices_that_are_no_list_are_none(choices: Any) -> None:
    assert chunk(choices=choices).choices is None


def test_of_a_chunk_with_odd_shapes_the_readable_parts_are_read() -> None:
    read = chunk(
        choices=[
            5,
            {"delta": "odd", "message": None},
            {"delta": {"tool_calls": [None, {"id": "c", "function": "odd"}, {"function": {"name": "f"}}]}},
            {"message": {"tool_calls": "odd", "function_call": {"name": "g", "arguments": {}}}},
        ]
    )
    assert read.choices is not None
    odd, delta, message = read.choices
    assert (odd.delta, odd.message) == (None, None)
    assert delta.delta is not None
    assert delta.delta.tool_calls is not None
    assert [call.function and call.function.name for call in delta.delta.tool_calls] == [None, "f"]
    assert message.message is not None
    assert message.message.tool_calls is None
    assert message.message.function_call is not None
    assert (message.message.function_call.name, message.message.function_call.arguments) == ("g", {})


def test_the_first_of_a_list_is_the_chunk() -> None:
    assert decode_chunk(b'[{"error": "x"}]').error == "x"
    assert chunk_of([{"error": "y"}]).error == "y"


@pytest.mark.parametrize("data", [b"", b"{", b"5", b"[]", b"[5]", b'"x"', b"[" * 5000])
def test_what_is_no_object_is_no_chunk(data: bytes) -> None:
    with pytest.raises(ValueError):
        decode_chunk(data)


@given(some.odd_chunks)
def test_any_value_is_a_chunk_or_a_value_error(value: Any) -> None:
    try:
        assert isinstance(chunk_of(value), ChatChunk)
    except ValueError:
        assert not isinstance(value, dict)


@pytest.mark.parametrize(
    ("own", "extra", "sent"),
    [
        ({}, {"a": 1}, {"a": 1}),
        ({"thinking": {"type": "on"}}, {"thinking": {"type": "off", "keep": "all"}}, {"type": "on", "keep": "all"}),
        ({"thinking": {"x": {"y": 1}}}, {"thinking": {"x": {"y": 2, "z": 3}}}, {"x": {"y": 1, "z": 3}}),
        ({"thinking": {"x": 1}}, {"thinking": 5}, {"x": 1}),
        ({"thinking": {"x": 1}}, {"thinking": {"x": {"y": 1}}}, {"x": 1}),
        ({"user": "me"}, {"user": {"a": 1}}, "me"),
        (
            {"stream_options": StreamOptions()},
            {"stream_options": {"include_usage": False, "more": 1}},
            {"include_usage": True, "more": 1},
        ),
    ],
)
def test_extra_fields_lie_beneath_those_of_the_request(own: Any, extra: Any, sent: Any) -> None:
    request = CreateChatCompletion(model="m", messages=[], **own)
    body = json.loads(encode_request(request, {name: Raw(json.dumps(value).encode()) for name, value in extra.items()}))
    told = {name: value for name, value in body.items() if name not in ("model", "messages", "stream")}
    (field,) = (own or extra).keys()
    assert told == {field: sent if own else extra[field]}
