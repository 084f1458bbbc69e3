from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from tests import strategies as some

from codex_nexus.errors import RequestError
from codex_nexus.wire.create import CreateResponse, decode_create, invalid_field

FORM: dict[str, Any] = {"type": "json_schema", "name": "n", "schema": {}}


def created(**fields: Any) -> CreateResponse:
    return decode_create(json.dumps({"model": "gpt-x", "input": "hi"} | fields).encode())


def refused(**fields: Any) -> RequestError:
    with pytest.raises(RequestError) as caught:
        created(**fields)
    return caught.value


def test_null_equals_absent_and_unknown_fields_are_ignored() -> None:
    everything = dict.fromkeys(set(CreateResponse.__struct_fields__) - {"model", "input"})
    assert created(**everything, client_metadata={"a": [1]}) == created()


@pytest.mark.parametrize(
    ("fields", "param", "code"),
    [
        ({"model": None}, "model", "missing_required_parameter"),
        ({"model": ""}, "model", "missing_required_parameter"),
        ({"model": 5}, "model", "invalid_type"),
        ({"input": None}, "input", "missing_required_parameter"),
        ({"input": 5}, "input", "invalid_type"),
        ({"input": []}, "input", "missing_required_parameter"),
        ({"tools": {}}, "tools", "invalid_type"),
        ({"temperature": 3}, "temperature", "invalid_value"),
        ({"top_p": "x"}, "top_p", "invalid_type"),
        ({"max_output_tokens": 0}, "max_output_tokens", "integer_below_min_value"),
        ({"top_logprobs": 21}, "top_logprobs", "integer_above_max_value"),
        ({"truncation": "maybe"}, "truncation", "invalid_value"),
        ({"include": [5]}, "include[0]", "invalid_type"),
        ({"reasoning": {"effort": 5}}, "reasoning.effort", "invalid_type"),
        ({"text": {"format": {"type": "xml"}}}, "text.format.type", "invalid_value"),
        ({"text": {"format": {"type": "json_schema"}}}, "text.format.name", "missing_required_parameter"),
        (
            {"text": {"format": {"type": "json_schema", "name": "n"}}},
            "text.format.schema",
            "missing_required_parameter",
        ),
        ({"text": {"format": FORM | {"schema": []}}}, "text.format.schema", "invalid_type"),
        ({"text": {"format": FORM | {"name": "n" * 65}}}, "text.format.name", "string_above_max_length"),
        ({"max_tool_calls": 0}, "max_tool_calls", "integer_below_min_value"),
        ({"safety_identifier": "s" * 129}, "safety_identifier", "string_above_max_length"),
        ({"metadata": {"a": 1}}, "metadata", "invalid_type"),
        ({"metadata": {str(n): "" for n in range(17)}}, "metadata", "invalid_value"),
        ({"metadata": {"k" * 65: "v"}}, "metadata", "string_above_max_length"),
        ({"metadata": {"k": "v" * 513}}, "metadata.k", "string_above_max_length"),
        ({"prompt": {"id": "p"}}, "prompt", "unsupported_parameter"),
        ({"moderation": {"a": 1}}, "moderation", "unsupported_parameter"),
        ({"conversation": "conv_1", "previous_response_id": "resp_0"}, "conversation", "invalid_value"),
        ({"conversation": {}}, "conversation.id", "missing_required_parameter"),
        ({"background": True, "store": False}, "store", "invalid_value"),
    ],
    ids=lambda value: value if isinstance(value, str) else None,
)
def test_a_wrong_field_is_named(fields: dict[str, Any], param: str, code: str) -> None:
    error = refused(**fields)
    assert (error.status, error.param, error.code) == (400, param, code)


@pytest.mark.parametrize("body", [b"", b"{", b"\xff", b'{"model":"\xff"}', b'{"x":' + b"[" * 5000, b'{"input":"\\q"}'])
def test_what_is_no_json_is_refused(body: bytes) -> None:
    with pytest.raises(RequestError) as caught:
        decode_create(body)
    assert caught.value.code == "invalid_json"


def test_a_body_that_is_no_object_has_no_param() -> None:
    with pytest.raises(RequestError) as caught:
        decode_create(b"[]")
    assert (caught.value.param, caught.value.message) == (None, "Invalid value: expected `object`, got `array`.")


@pytest.mark.parametrize(
    ("written", "read"),
    [
        (rb"\ud83d", rb"\ufffd"),
        (rb"\ude00", rb"\ufffd"),
        (rb"\ud83dabcdef", rb"\ufffdabcdef"),
        (rb"\ud83d\ude00", rb"\ud83d\ude00"),
        (rb"\\ud83d", rb"\\ud83d"),
    ],
)
def test_half_an_emoji_is_no_reason_to_refuse_a_body(written: bytes, read: bytes) -> None:
    assert bytes(decode_create(b'{"model":"m","input":"' + written + b'"}').input) == b'"' + read + b'"'


def test_a_byte_order_mark_is_no_reason_either() -> None:
    assert decode_create(b'\xef\xbb\xbf{"model":"m","input":"hi"}').model == "m"


def test_a_chain_needs_no_input() -> None:
    assert created(input=None, previous_response_id="resp_0").previous_response_id == "resp_0"
    assert created(input=[], previous_response_id="resp_0").previous_response_id == "resp_0"


def test_instructions_alone_are_something_to_answer() -> None:
    assert created(input=[], instructions="Greet.").instructions == "Greet."


@pytest.mark.parametrize("named", ["conv_1", {"id": "conv_1"}])
def test_a_conversation_is_named_by_its_id(named: Any) -> None:
    asked = created(input=None, conversation=named)
    assert asked.conversation_id == "conv_1"
    assert created().conversation_id is None


def test_a_path_begins_with_where_the_value_stood() -> None:
    def told(kind: Any, data: bytes) -> str | None:
        with pytest.raises(msgspec.ValidationError) as caught:
            msgspec.json.decode(data, type=kind)
        return invalid_field(caught.value, "input[3]").param

    assert told(list[int], b'["x"]') == "input[3][0]"
    assert told(dict[str, int], b"[]") == "input[3]"
    assert told(CreateResponse, b'{"store":1}') == "input[3].store"


@given(some.json_values)
def test_any_json_is_a_request_or_a_refusal_with_a_sentence(value: Any) -> None:
    with pytest.raises(RequestError) as caught:
        decode_create(json.dumps(value).encode())
    assert caught.value.message.endswith(".")
