from __future__ import annotations

import json
from typing import Any

import pytest
from msgspec import Raw

from codex_nexus.errors import InvalidRequest
from codex_nexus.translate.history import History, content_parts, raw_list, read_history


def raw(value: Any) -> Raw:
    return Raw(json.dumps(value).encode())


def history(*items: dict[str, Any], stored: list[dict[str, Any]] | None = None) -> History:
    return read_history([raw(stored)] if stored else [], raw(items))


def refused(*items: Any, stored: list[dict[str, Any]] | None = None) -> InvalidRequest:
    with pytest.raises(InvalidRequest) as caught:
        history(*items, stored=stored)
    return caught.value


def call(call_id: str) -> dict[str, Any]:
    return {"type": "function_call", "call_id": call_id, "name": "f", "arguments": "{}"}


def output(call_id: str, text: str = "") -> dict[str, Any]:
    return {"type": "function_call_output", "call_id": call_id, "output": text}


USER = {"role": "user", "content": "hi"}


def test_a_string_is_one_user_message() -> None:
    (item,) = read_history([], raw("hi")).items
    assert (item.type, item.role, bytes(item.content)) == ("message", "user", b'[{"type":"input_text","text":"hi"}]')


def test_no_input_leaves_the_stored_items() -> None:
    assert [item.type for item in read_history([raw([call("c1")]), raw([USER])], Raw()).items] == [
        "function_call",
        "message",
    ]


def test_a_message_needs_no_type_wherever_it_comes_from() -> None:
    assert [item.type for item in history(USER, stored=[USER]).items] == ["message", "message"]


@pytest.mark.parametrize(
    ("item", "param", "code"),
    [
        (5, "input[0]", "invalid_type"),
        ({"role": 5}, "input[0].role", "invalid_type"),
        ({}, "input[0].type", "missing_required_parameter"),
        ({"role": "robot", "content": ""}, "input[0].role", "invalid_value"),
        ({"type": "message", "content": ""}, "input[0].role", "invalid_value"),
        ({"role": "user"}, "input[0].content", "missing_required_parameter"),
        ({"role": "user", "content": None}, "input[0].content", "missing_required_parameter"),
        ({"type": "function_call", "name": "f"}, "input[0].call_id", "missing_required_parameter"),
        ({"type": "function_call", "call_id": "c"}, "input[0].name", "missing_required_parameter"),
        ({"type": "custom_tool_call", "call_id": "c"}, "input[0].name", "missing_required_parameter"),
        ({"type": "custom_tool_call_output"}, "input[0].call_id", "missing_required_parameter"),
    ],
)
def test_a_broken_item_is_named(item: Any, param: str, code: str) -> None:
    error = refused(item)
    assert (error.param, error.code) == (param, code)


def test_items_are_counted_within_this_request() -> None:
    assert refused(USER, {}, stored=[USER, USER]).param == "input[1].type"


def test_an_item_that_nobody_knows_is_kept() -> None:
    assert history({"type": "from_the_future", "payload": [1]}).items[0].type == "from_the_future"


def test_outputs_find_their_calls_in_any_order() -> None:
    paired = history(call("a"), call("b"), output("b", "B"), output("a", "A"))
    assert {n: bytes(item.output) for n, item in paired.outputs.items()} == {0: b'"A"', 1: b'"B"'}
    assert paired.used == {2, 3}


def test_the_last_output_of_a_call_wins() -> None:
    paired = history(call("a"), output("a", "old"), output("a", "new"))
    assert bytes(paired.outputs[0].output) == b'"new"'
    assert paired.used == {1, 2}


def test_an_id_that_comes_again_belongs_to_the_newer_call() -> None:
    paired = history(call("a"), output("a", "1"), call("a"), output("a", "2"))
    assert {n: bytes(item.output) for n, item in paired.outputs.items()} == {0: b'"1"', 2: b'"2"'}


def test_an_output_may_come_before_its_call() -> None:
    paired = history(output("a", "early"), call("a"))
    assert bytes(paired.outputs[1].output) == b'"early"'
    assert paired.used == {0}


def test_an_output_without_a_call_is_an_orphan_and_a_call_without_output_was_interrupted() -> None:
    paired = history(output("x"), call("a"))
    assert (paired.outputs, paired.used) == ({}, set())


def test_a_search_that_the_server_ran_itself_needs_no_id() -> None:
    search = {"type": "tool_search_call", "execution": "server", "call_id": None, "arguments": {}}
    found = {"type": "tool_search_output", "execution": "server", "call_id": None, "tools": []}
    paired = history(search, found, call("a"), search, found)
    assert (list(paired.outputs), paired.used) == ([0, 3], {1, 4})


def test_what_a_tool_reports_unasked_answers_no_call() -> None:
    report = {"type": "function_call_output", "name": "goal_objective", "namespace": "agent", "output": "win"}
    paired = history(call("a"), output("a"), report, call(""), report | {"namespace": None})
    assert (list(paired.outputs), paired.used) == ([0], {1})
    for nameless in (report | {"name": ""}, report | {"name": None}):
        with pytest.raises(InvalidRequest) as caught:
            history(call("a"), nameless)
        assert (caught.value.param, caught.value.code) == ("input[1].call_id", "missing_required_parameter")


def test_tools_inside_the_conversation_are_declared_and_no_longer_deferred() -> None:
    late = {"type": "function", "name": "late"}
    found = {"type": "namespace", "name": "n", "tools": [{"type": "function", "name": "found", "defer_loading": True}]}
    declared = history(
        {"type": "additional_tools", "tools": [late]},
        {"type": "tool_search_output", "call_id": "s", "tools": [found]},
        {"type": "tool_search_output", "call_id": "s"},
        {"type": "something_else", "tools": [late]},
    ).declared_tools()
    assert [(tool.namespace, tool.name, tool.deferred) for tool in declared] == [
        (None, "late", False),
        ("n", "found", False),
    ]


def test_broken_tools_inside_the_conversation_are_named() -> None:
    for tools, param in ((5, "input[0].tools"), ([{"type": "function"}], "input[0].tools[0].name")):
        with pytest.raises(InvalidRequest) as caught:
            history({"type": "additional_tools", "tools": tools}).declared_tools()
        assert caught.value.param == param


def test_a_trigger_at_the_end_asks_for_a_summary() -> None:
    trigger = {"type": "compaction_trigger"}
    assert history(USER, trigger).compacting
    assert not history(trigger, USER).compacting
    assert not read_history([], raw([])).compacting


def test_a_content_is_a_string_parts_or_nothing() -> None:
    (only,) = content_parts(raw("hi"), "w")
    assert (only.type, bytes(only.text)) == ("input_text", b'"hi"')
    assert [part.type for part in content_parts(raw([{"type": "a"}, {"type": "b"}]), "w")] == ["a", "b"]
    assert content_parts(Raw(), "w") == []
    with pytest.raises(InvalidRequest) as caught:
        content_parts(raw([{"type": "a"}, 5]), "input[0].content")
    assert caught.value.param == "input[0].content[1]"


def test_a_raw_list_keeps_its_elements_encoded() -> None:
    assert [bytes(element) for element in raw_list(Raw(b'[ 1, {"a": 2}]'), "w")] == [b"1", b'{"a": 2}']
