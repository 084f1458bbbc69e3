from __future__ import annotations

import json
from typing import Any

import pytest
from msgspec import Raw

from codex_nexus.errors import InvalidRequest
from codex_nexus.translate import strict
from codex_nexus.translate.history import History, read_history
from codex_nexus.wire.create import CreateResponse

ASK: dict[str, Any] = {"role": "user", "content": "x"}
CALL = {"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"}
RESULT = {"type": "function_call_output", "call_id": "c", "output": "1"}
ORPHAN = RESULT | {"call_id": "lost"}
REPORT = {"type": "function_call_output", "name": "goal", "output": "win"}
UNKNOWN = {"type": "future_item"}


def check(asked: History) -> None:
    strict.check(CreateResponse(), asked)


def check_tools(tools: list[Any] | None = None, choice: Any = None) -> None:
    raws = None if tools is None else [Raw(json.dumps(tool).encode()) for tool in tools]
    strict.check(CreateResponse(tools=raws, tool_choice=choice), history(ASK))


def history(*items: dict[str, Any], stored: tuple[dict[str, Any], ...] = ()) -> History:
    return read_history([Raw(json.dumps(stored).encode())], Raw(json.dumps(items).encode()))


@pytest.mark.parametrize("stored", [(), (ASK,), (ASK, CALL)])
@pytest.mark.parametrize("items", [(ORPHAN,), (RESULT, ORPHAN)])
def test_a_result_of_no_call_is_the_clients_mistake(
    items: tuple[dict[str, Any], ...], stored: tuple[dict[str, Any], ...]
) -> None:
    if stored != (ASK, CALL):
        items = (ORPHAN, *items)
    with pytest.raises(InvalidRequest) as caught:
        check(history(*items, stored=stored))
    assert caught.value.message == "No tool call found for function call output with call_id lost."
    assert (caught.value.param, caught.value.code) == ("input", None)


@pytest.mark.parametrize("stored", [(), (ASK,)])
def test_nothing_but_the_unknown_is_nothing_to_answer(stored: tuple[dict[str, Any], ...]) -> None:
    with pytest.raises(InvalidRequest) as caught:
        check(history(UNKNOWN, UNKNOWN, stored=stored))
    assert caught.value.param == "input[0].type"
    assert "'future_item'" in caught.value.message


@pytest.mark.parametrize(
    "items",
    [
        (),
        (ASK,),
        (ASK, CALL, RESULT),
        (RESULT, CALL),
        (ASK, ORPHAN),
        (ORPHAN, ASK),
        (REPORT,),
        (CALL, RESULT, REPORT),
        (UNKNOWN, ASK),
        (ASK, UNKNOWN),
        ({"type": "web_search_call"},),
        ({"type": "compaction", "encrypted_content": "foreign"},),
    ],
)
@pytest.mark.parametrize("stored", [(), (ASK,), (UNKNOWN,), (ORPHAN,), ({"type": "item_reference", "id": "a"}, ASK)])
def test_damage_among_what_makes_sense_is_left_to_be_mended(
    items: tuple[dict[str, Any], ...], stored: tuple[dict[str, Any], ...]
) -> None:
    check(history(*items, stored=stored))


def test_a_stored_call_has_its_result() -> None:
    check(history(RESULT, stored=(ASK, CALL)))


@pytest.mark.parametrize(
    ("parts", "param", "code"),
    [
        ([{"type": "hologram"}], "input[1].content[0].type", "invalid_value"),
        ([{"text": "x"}], "input[1].content[0].type", "missing_required_parameter"),
        ([{"type": "input_text"}], "input[1].content[0].text", "missing_required_parameter"),
        (
            [{"type": "input_text", "text": "a"}, {"type": "text", "text": 5}],
            "input[1].content[1].text",
            "invalid_type",
        ),
        ([{"type": "refusal"}], "input[1].content[0].refusal", "missing_required_parameter"),
    ],
)
def test_a_message_that_says_nothing_is_told_where(parts: list[dict[str, Any]], param: str, code: str) -> None:
    broken = {"role": "user", "content": parts}
    with pytest.raises(InvalidRequest) as caught:
        check(history(ASK, broken, stored=(ASK, broken)))
    assert (caught.value.param, caught.value.code) == (param, code)
    check(history(ASK, stored=(broken,)))


def test_an_unknown_part_beside_others_is_left_to_be_noted() -> None:
    check(history({"role": "user", "content": [{"type": "hologram"}, {"type": "input_text", "text": ""}]}))
    check(
        history({"role": "user", "content": []}, {"role": "assistant", "content": [{"type": "refusal", "refusal": ""}]})
    )


@pytest.mark.parametrize(
    ("item", "param"),
    [
        ({"type": "function_call", "call_id": "", "name": "f"}, "input[1].call_id"),
        ({"type": "function_call", "call_id": "c", "name": ""}, "input[1].name"),
        ({"type": "function_call_output", "call_id": "", "output": "x"}, "input[1].call_id"),
    ],
)
def test_an_empty_name_or_id_is_the_clients_mistake_where_it_brings_it(item: dict[str, Any], param: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        check(history(ASK, item))
    assert (caught.value.param, caught.value.code) == (param, "missing_required_parameter")
    check(history(ASK, stored=(item,)))


# --- tools that do not say what they are


@pytest.mark.parametrize(
    ("tools", "param", "code"),
    [
        ([{}], "tools[0].type", "missing_required_parameter"),
        ([{"type": "web_search"}, {"name": "f"}], "tools[1].type", "missing_required_parameter"),
        ([{"type": ""}], "tools[0].type", "missing_required_parameter"),
        ([{"type": 5}], "tools[0].type", "invalid_type"),
        ([{"type": None}], "tools[0].type", "invalid_type"),
        ([5], "tools[0]", "invalid_type"),
        ([None], "tools[0]", "invalid_type"),
    ],
)
def test_a_tool_without_a_type_is_the_clients_mistake(tools: list[Any], param: str, code: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        check_tools(tools)
    assert (caught.value.param, caught.value.code) == (param, code)


@pytest.mark.parametrize(
    ("choice", "param"),
    [
        ({}, "tool_choice.type"),
        ({"name": "f"}, "tool_choice.type"),
        ({"type": None}, "tool_choice.type"),
        ({"type": "function"}, "tool_choice.name"),
        ({"type": "custom", "name": ""}, "tool_choice.name"),
        ({"type": "allowed_tools", "mode": "auto"}, "tool_choice.tools"),
    ],
)
def test_a_choice_without_a_type_is_the_clients_mistake(choice: Any, param: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        check_tools(None, choice)
    assert (caught.value.param, caught.value.code) == (param, "missing_required_parameter")


@pytest.mark.parametrize(
    "choice",
    [
        None, "auto", {"type": "web_search"}, {"type": "function", "name": "f"},
        {"type": "function", "function": {"name": "f"}}, {"type": "allowed_tools", "mode": "auto", "tools": []},
    ],
)  # fmt: skip
def test_tools_and_choices_that_say_what_they_are_are_taken(choice: Any) -> None:
    check_tools([{"type": "function", "name": "f"}, {"type": "future_tool"}, {"type": "mcp"}], choice)
