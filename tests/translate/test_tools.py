from __future__ import annotations

import json
from typing import Any

import pytest
from msgspec import Raw

from codex_nexus.errors import InvalidRequest
from codex_nexus.translate.tools import (
    DeclaredTool,
    ToolTable,
    declared,
    is_cut,
    is_object,
    offers,
    unwrapped_input,
    wire_name,
)


def read(*tools: Any) -> list[DeclaredTool]:
    return declared([Raw(json.dumps(tool).encode()) for tool in tools], "tools")


def function(name: str, **fields: Any) -> dict[str, Any]:
    return {"type": "function", "name": name} | fields


def offered(*tools: Any, keep_strict: bool = False, most: int = 128) -> list[dict[str, Any]]:
    raws = offers(ToolTable(read(*tools)), "plain", keep_strict=keep_strict, most=most)
    return [json.loads(bytes(raw))["function"] for raw in raws]


# --- declarations


def test_every_kind_of_callable_tool_is_read() -> None:
    tools = read(
        function("f", description="F", parameters={"type": "object"}, strict=True),
        {"type": "custom", "name": "c", "format": {"type": "grammar", "definition": "start: x"}},
        {"type": "custom", "name": "d", "format": "text"},
        {
            "type": "namespace",
            "name": "n",
            "tools": [function("g", defer_loading=True), {"type": "custom", "name": "h"}],
        },
        {"type": "tool_search", "execution": "client", "description": "S", "parameters": {"type": "object"}},
    )
    assert [(tool.kind, tool.namespace, tool.name) for tool in tools] == [
        ("function", None, "f"),
        ("custom", None, "c"),
        ("custom", None, "d"),
        ("function", "n", "g"),
        ("custom", "n", "h"),
        ("tool_search", None, "tool_search"),
    ]
    assert (tools[0].description, tools[0].parameters, tools[0].strict) == ("F", b'{"type": "object"}', True)
    assert (tools[1].grammar, tools[2].grammar) == ("start: x", "")
    assert (tools[3].deferred, tools[4].deferred) == (True, False)
    assert tools[3].key == ("n", "g")


def test_tools_that_only_openai_can_run_are_left_out() -> None:
    hosted = [{"type": "web_search"}, {"type": "local_shell"}, {"type": "tool_search", "execution": "server"}, {}]
    assert read(*hosted, {"type": "namespace", "name": "n"}) == []


def test_a_schema_may_stand_in_input_schema() -> None:
    (tool,) = read(function("f", parameters=None, input_schema={"type": "object"}))
    assert tool.parameters == b'{"type": "object"}'


@pytest.mark.parametrize(
    ("tool", "param"),
    [
        (5, "tools[1]"),
        (function(5), "tools[1]"),  # pyright: ignore[reportArgumentType]
        ({"type": "function"}, "tools[1].name"),
        ({"type": "custom", "name": ""}, "tools[1].name"),
        ({"type": "namespace", "name": "n", "tools": [{"type": "function"}]}, "tools[1].name"),
    ],
)
def test_a_broken_declaration_is_named(tool: Any, param: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        read(function("f"), tool)
    assert caught.value.param == param


# --- names


@pytest.mark.parametrize(
    ("namespace", "name", "legal"),
    [
        (None, "shell", "shell"),
        ("", "shell", "shell"),
        ("functions", "shell", "shell"),
        ("mcp__x", "read", "mcp__x__read"),
        (None, "read.file", "read_file"),
        (None, "9lives", "_9lives"),
        (None, "-", "_-"),
        (None, "ü", "_"),
        (None, "", "_"),
    ],
)
def test_a_name_is_made_legal(namespace: str | None, name: str, legal: str) -> None:
    assert wire_name(namespace, name) == legal


def test_a_name_too_long_is_cut_and_told_apart_by_a_hash() -> None:
    first, second = wire_name(None, "x" * 80), wire_name(None, "x" * 81)
    assert (len(first), first[:55], len(wire_name("n", "x" * 80, 40))) == (64, "x" * 55, 40)
    assert first != second


def test_names_that_become_the_same_are_told_apart() -> None:
    table = ToolTable(read(function("a.b"), function("a b"), function("a_b")))
    names = [name for name, _ in table.items()]
    assert names[0] == "a_b"
    assert [table.called(name).name for name in names] == ["a.b", "a b", "a_b"]
    assert len(set(names)) == len(table) == 3


def test_a_tool_that_is_declared_again_takes_the_place_of_the_first() -> None:
    table = ToolTable(read(function("f", description="old"), function("g"), function("f", description="new")))
    assert [(name, tool.description) for name, tool in table.items()] == [("f", "new"), ("g", "")]


def test_a_tool_that_is_no_longer_offered_keeps_its_name() -> None:
    assert ToolTable([]).name_of("mcp__x", "read.file") == "mcp__x__read_file"


@pytest.mark.parametrize(
    "said", ["mcp__x__read", "mcp__x.read", "mcp__x:read", "functions.mcp__x__read", " mcp__x.read "]
)
def test_what_a_model_calls_is_found_however_it_writes_the_name(said: str) -> None:
    (tool,) = read({"type": "namespace", "name": "mcp__x", "tools": [function("read")]})
    assert ToolTable([tool]).called(said) is tool


def test_a_name_that_nobody_offered_stays_a_function() -> None:
    assert ToolTable([]).called("shell") == DeclaredTool("function", "shell")


def test_a_choice_finds_a_tool_by_its_bare_or_its_legal_name() -> None:
    table = ToolTable(read({"type": "namespace", "name": "n", "tools": [function("read")]}, function("f")))
    assert [tool and tool.key for tool in map(table.named, ("read", "n__read", "f", "nobody"))] == [
        ("n", "read"),
        ("n", "read"),
        (None, "f"),
        None,
    ]


def test_a_table_of_fewer_tools_knows_the_names_of_all() -> None:
    table = ToolTable(read(function("a.b"), function("a_b")))
    kept = [name for name, _ in table.items()][1]
    fewer = table.only({kept})
    assert [name for name, _ in fewer.items()] == [kept]
    assert fewer.name_of(None, "a.b") == "a_b"


# --- offers


def test_a_function_is_offered_as_it_was_declared() -> None:
    schema = {"type": "object", "properties": {"a": {"type": "string"}}}
    assert offered(function("f", description="F", parameters=schema, strict=True)) == [
        {"name": "f", "description": "F", "parameters": schema}
    ]


def test_strict_is_sent_only_where_it_is_wanted_and_was_said() -> None:
    assert [tool.get("strict") for tool in offered(function("f", strict=False), function("g"), keep_strict=True)] == [
        False,
        None,
    ]


def test_a_freeform_tool_takes_one_text_and_tells_its_grammar() -> None:
    (plain, grammar) = offered(
        {"type": "custom", "name": "c", "description": "C"},
        {"type": "custom", "name": "d", "format": {"definition": "start: x"}},
    )
    assert plain["description"] == "C"
    assert plain["parameters"]["required"] == ["input"]
    assert grammar["description"] == "The `input` must match this grammar:\nstart: x"


def test_deferred_tools_wait_for_the_search_that_finds_them() -> None:
    later, search = function("later", defer_loading=True), {"type": "tool_search"}
    assert [tool["name"] for tool in offered(later, search)] == ["tool_search"]
    assert [tool["name"] for tool in offered(later)] == ["later"]


def test_no_more_tools_are_offered_than_the_server_takes() -> None:
    assert [tool["name"] for tool in offered(function("a"), function("b"), function("c"), most=2)] == ["a", "b"]


# --- inputs


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ('{"input":"ls"}', "ls"),
        ('{"cmd":"ls"}', "ls"),
        ('{"input":"ls","why":"x"}', "ls"),
        ('{"cmd":"ls","why":"x"}', '{"cmd":"ls","why":"x"}'),
        ('{"input":5}', '{"input":5}'),
        ('{"input":"a\nb"}', "a\nb"),
        ('{"input":"\\ud83d"}', "\ufffd"),
        ('"ls"', "ls"),
        ("[1]", "[1]"),
        ("ls -la", "ls -la"),
        ('{"input":"ls', "ls"),
        ("", ""),
    ],
)
def test_the_text_is_found_in_whatever_the_model_wrote(arguments: str, text: str) -> None:
    assert unwrapped_input(arguments) == text


def test_a_text_that_ends_before_its_quote_is_cut() -> None:
    assert is_cut('{"input":"ls')
    assert not is_cut('{"input":"ls"')
    assert not is_cut("ls")


@pytest.mark.parametrize(
    ("text", "whole"),
    [("{}", True), ('{"a":1}', True), ("[]", False), ("{", False), ("", False), ('{"a":"\ud83d"}', False)],
)
def test_arguments_are_whole_when_they_are_an_object(text: str, whole: bool) -> None:
    assert is_object(text) is whole


def test_a_strict_schema_stays_as_it_is_where_strictness_is_kept() -> None:
    schema = {
        "type": "object",
        "properties": {"a": {"type": ["string", "null"]}},
        "required": ["a"],
        "additionalProperties": False,
    }
    tool = {"type": "function", "name": "f", "strict": True, "parameters": schema}
    table = ToolTable(declared([Raw(json.dumps(tool).encode())], "tools"))
    (kept,) = offers(table, "plain", keep_strict=True, most=9)
    (stripped,) = offers(table, "plain", keep_strict=False, most=9)
    assert json.loads(bytes(kept))["function"] == {"name": "f", "strict": True, "parameters": schema}
    assert json.loads(bytes(stripped))["function"]["parameters"]["properties"] == {"a": {"type": "string"}}
