from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest

from codex_nexus.wire.create import decode_create
from codex_nexus.wire.responses import echoed


def echo(**fields: Any) -> dict[str, Any]:
    asked = decode_create(json.dumps({"model": "gpt-x", "input": "hi"} | fields).encode())
    return json.loads(msgspec.json.encode(echoed(asked, "resp_1", 7)))


def test_what_was_not_asked_is_echoed_with_its_default() -> None:
    assert echo() == {
        "id": "resp_1",
        "object": "response",
        "created_at": 7,
        "completed_at": None,
        "status": "in_progress",
        "background": False,
        "error": None,
        "incomplete_details": None,
        "instructions": None,
        "max_output_tokens": None,
        "max_tool_calls": None,
        "model": "gpt-x",
        "output": [],
        "parallel_tool_calls": True,
        "previous_response_id": None,
        "prompt_cache_key": None,
        "reasoning": {"effort": None, "summary": None},
        "safety_identifier": None,
        "service_tier": "default",
        "store": True,
        "temperature": 1.0,
        "top_p": 1.0,
        "presence_penalty": 0.0,
        "frequency_penalty": 0.0,
        "top_logprobs": 0,
        "text": {"format": {"type": "text"}},
        "tool_choice": "auto",
        "tools": [],
        "truncation": "disabled",
        "usage": None,
        "metadata": {},
    }


def test_what_was_asked_is_echoed_as_it_was_asked() -> None:
    asked = {
        "instructions": "Be brief.",
        "max_output_tokens": 9,
        "parallel_tool_calls": False,
        "reasoning": {"effort": "zzz", "summary": "auto"},
        "store": False,
        "temperature": 0,
        "top_p": 0.5,
        "tool_choice": {"type": "function", "name": "f"},
        "truncation": "auto",
        "metadata": {"a": "b"},
    }
    assert {name: value for name, value in echo(**asked).items() if name in asked} == asked
    assert echo(reasoning={"generate_summary": "concise"})["reasoning"]["summary"] == "concise"


def test_an_echoed_function_has_every_key_and_other_tools_stay_as_they_are() -> None:
    tools = [{"type": "function", "name": "f", "strict": True}, {"type": "web_search"}, {"type": "custom", "name": "c"}]
    assert echo(tools=tools)["tools"] == [
        {"type": "function", "name": "f", "strict": True, "description": None, "parameters": None},
        *tools[1:],
    ]


def test_an_echoed_format_has_the_keys_that_schemas_require() -> None:
    form = {"type": "json_schema", "name": "n", "schema": {"type": "object"}}
    assert echo(text={"format": form, "verbosity": "low"})["text"] == {
        "format": form | {"description": None, "strict": False},
        "verbosity": "low",
    }


@pytest.mark.parametrize("named", ["conv_1", {"id": "conv_1"}])
def test_a_conversation_is_echoed_by_its_id(named: Any) -> None:
    assert echo(conversation=named)["conversation"] == {"id": "conv_1"}
