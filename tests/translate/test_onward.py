from __future__ import annotations

from typing import Any

import msgspec
import pytest
from msgspec import Raw
from tests.codex_requests import PICTURE, call, later_turn, message, output, picture
from tests.driving import chat_of

from codex_nexus.translate.dialect import Dialect
from codex_nexus.translate.sealed import Sealed, seal

WIRE = Dialect(wire="responses", family="own", reasoning_param="effort")


def sent(dialect: Dialect = WIRE, **fields: Any) -> dict[str, Any]:
    return chat_of(fields, dialect)


def items(*history: dict[str, Any], dialect: Dialect = WIRE) -> list[dict[str, Any]]:
    return sent(dialect, input=list(history))["input"]


def test_a_request_says_only_what_it_has_to_say_and_stores_nothing() -> None:
    assert sent(input="hi") == {
        "model": "m",
        "input": [{"type": "message", "role": "user", "content": [{"type": "input_text", "text": "hi"}]}],
        "stream": True,
        "store": False,
    }


def test_the_system_message_becomes_instructions() -> None:
    body = sent(input=[message("developer", "Use tabs."), message("user", "hi")], instructions="Be brief.")
    assert body["instructions"] == "Be brief.\n\nUse tabs."
    assert [item["role"] for item in body["input"]] == ["user"]


def test_messages_calls_and_results_are_items() -> None:
    assert items(message("user", "go"), message("assistant", "a"), call("c", "f", '{"x":1}'), output("c", "ok")) == [
        {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "go"}]},
        {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "a"}]},
        {"type": "function_call", "call_id": "c", "name": "f", "arguments": '{"x":1}'},
        {"type": "function_call_output", "call_id": "c", "output": "ok"},
    ]


@pytest.mark.parametrize("content", ["null", "empty", "omit"])
def test_a_message_of_calls_alone_is_no_message(content: Any) -> None:
    dialect = Dialect(wire="responses", assistant_content=content)
    assert [item["type"] for item in items(message("user", "go"), call("c", "f", "{}"), dialect=dialect)] == [
        "message",
        "function_call",
        "function_call_output",
    ]


def test_pictures_are_parts() -> None:
    bare = {"type": "input_image", "image_url": PICTURE}
    assert items(message("user", "look", picture(), bare))[0]["content"] == [
        {"type": "input_text", "text": "look"},
        {"type": "input_image", "image_url": PICTURE, "detail": "high"},
        {"type": "input_image", "image_url": PICTURE, "detail": "auto"},
    ]


def test_reasoning_goes_back_as_the_provider_gave_it_or_as_its_text() -> None:
    details = [
        Raw(b'{"type":"reasoning","summary":[],"encrypted_content":"gAAA"}'),
        Raw(b'{"text":"hm"}'),
        Raw(b'{"data":1}'),
    ]
    own = {"type": "reasoning", "summary": [], "encrypted_content": seal(Sealed("reasoning", "own", details=details))}
    assert items(message("user", "go"), own, call("c", "f", "{}"))[1:3] == [
        {"type": "reasoning", "summary": [], "encrypted_content": "gAAA"},
        {"type": "reasoning", "summary": [], "content": [{"type": "reasoning_text", "text": "hm"}]},
    ]


def test_tools_are_flat_and_so_is_the_choice_of_one() -> None:
    tool = {"type": "function", "name": "f", "description": "F.", "parameters": {"type": "object", "properties": {}}}
    body = sent(
        Dialect(wire="responses", parallel_tool_calls="send"), input="go", tools=[tool], parallel_tool_calls=True
    )
    assert body["tools"] == [tool]
    assert body["parallel_tool_calls"] is True
    chosen = sent(input="go", tools=[tool], tool_choice={"type": "function", "name": "f"})
    assert chosen["tool_choice"] == {"type": "function", "name": "f"}
    assert sent(input="go", tools=[tool], tool_choice="auto")["tool_choice"] == "auto"


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"temperature": 0, "top_p": 1}, {"temperature": 0.0, "top_p": 1.0}),
        ({"max_output_tokens": 9}, {"max_output_tokens": 9}),
        ({"reasoning": {"effort": "high", "summary": "auto"}}, {"reasoning": {"effort": "high", "summary": "auto"}}),
        ({"reasoning": {"summary": "none"}}, {}),
        ({"reasoning": {}}, {}),
        ({"text": {"verbosity": "low"}}, {"text": {"verbosity": "low"}}),
        (
            {"text": {"format": {"type": "json_schema", "name": "n", "schema": {}}}},
            {"text": {"format": {"type": "json_schema", "name": "n", "schema": {}}}},
        ),
    ],
)
def test_wishes_are_passed_on(asked: dict[str, Any], said: dict[str, Any]) -> None:
    dialect = Dialect(wire="responses", known_params=("verbosity",), reasoning_param="effort")
    assert sent(dialect, input="go", **asked) == sent(dialect, input="go") | said


@pytest.mark.parametrize("field", ["max_tokens", "max_completion_tokens"])
def test_the_limit_has_one_name(field: Any) -> None:
    assert (
        sent(Dialect(wire="responses", max_tokens_field=field), input="go", max_output_tokens=9)["max_output_tokens"]
        == 9
    )


def test_extra_fields_are_merged_in_but_never_repeat_one_that_stands() -> None:
    dialect = Dialect(wire="responses", extra_body={"store": Raw(b"true"), "caching": Raw(b"1")})
    body = sent(dialect, input="go")
    assert (body["store"], body["caching"]) == (False, 1)


def test_a_thread_of_codex_arrives_whole() -> None:
    body = sent(**later_turn())
    kinds = [item["type"] for item in body["input"]]
    assert kinds.count("function_call") == kinds.count("function_call_output") == 4
    assert all(tool["type"] == "function" for tool in body["tools"])


def test_pictures_may_stand_in_an_output() -> None:
    dialect = Dialect(wire="responses", tool_images="in_tool")
    told = items(message("user", "go"), call("c", "f", "{}"), output("c", "see", picture()), dialect=dialect)
    assert told[-1]["output"] == [
        {"type": "input_text", "text": "see"},
        {"type": "input_image", "image_url": PICTURE, "detail": "high"},
    ]


@pytest.mark.parametrize("field", ["store", "reasoning", "parallel_tool_calls", "max_output_tokens"])
def test_what_the_server_refuses_is_not_sent(field: str) -> None:
    asked: dict[str, Any] = {
        "input": "go",
        "tools": [{"type": "function", "name": "f"}],
        "reasoning": {"effort": "high"},
        "parallel_tool_calls": True,
        "max_output_tokens": 9,
    }
    dialect = Dialect(wire="responses", reasoning_param="effort", parallel_tool_calls="send")
    whole = sent(dialect, **asked)
    assert sent(msgspec.structs.replace(dialect, drop_params=(field, "unheard_of", "input")), **asked) == {
        name: value for name, value in whole.items() if name != field
    }
    assert field in whole


def test_a_message_of_calls_alone_is_none_whatever_a_chat_would_say() -> None:
    dialect = Dialect(wire="responses", assistant_content="text_part")
    assert [item["type"] for item in items(message("user", "go"), call("c", "f", "{}"), dialect=dialect)] == [
        "message",
        "function_call",
        "function_call_output",
    ]


@pytest.mark.parametrize(("missing", "texts"), [("omit", []), ("empty", [""]), ("space", [" "])])
def test_where_reasoning_is_unknown_an_item_says_so_if_the_server_insists(missing: Any, texts: list[str]) -> None:
    dialect = Dialect(wire="responses", reasoning_missing=missing)
    told = items(message("user", "go"), call("c", "f", "{}"), dialect=dialect)
    assert [item["content"][0]["text"] for item in told if item["type"] == "reasoning"] == texts


def test_only_what_the_provider_encrypted_goes_back_where_it_insists() -> None:
    details = [Raw(b'{"type":"reasoning","summary":[],"encrypted_content":"gAAA"}'), Raw(b'{"text":"hm"}')]
    own = {"type": "reasoning", "summary": [], "encrypted_content": seal(Sealed("reasoning", "own", details=details))}
    dialect = Dialect(wire="responses", family="own", unsigned_reasoning=False)
    told = items(message("user", "go"), own, call("c", "f", "{}"), dialect=dialect)
    assert [item for item in told if item["type"] == "reasoning"] == [
        {"type": "reasoning", "summary": [], "encrypted_content": "gAAA"}
    ]
