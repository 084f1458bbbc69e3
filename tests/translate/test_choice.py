from __future__ import annotations

import json
from typing import Any

import pytest
from msgspec import Raw
from tests.driving import chat_of

from codex_nexus.errors import InvalidRequest
from codex_nexus.translate.choice import ToolWish, callable_tools, tool_wish
from codex_nexus.translate.dialect import DEFAULT, Dialect
from codex_nexus.translate.tools import ToolTable, declared
from codex_nexus.wire.create import CreateResponse

F, G = {"type": "function", "name": "f"}, {"type": "function", "name": "g"}
X = {"type": "namespace", "name": "x", "tools": [{"type": "function", "name": "read"}]}
SEARCH = {"type": "tool_search", "execution": "client"}


def sent(dialect: Dialect = DEFAULT, **fields: Any) -> dict[str, Any]:
    return chat_of(fields, dialect)


def names(body: dict[str, Any]) -> list[str]:
    return [tool["function"]["name"] for tool in body.get("tools", [])]


def wish(choice: Any) -> ToolWish:
    return tool_wish(
        choice, ToolTable(declared([Raw(json.dumps(tool).encode()) for tool in (F, G, X, SEARCH)], "tools"))
    )


@pytest.mark.parametrize(
    ("choice", "meant"),
    [
        (None, ToolWish()),
        ("auto", ToolWish("auto")),
        ("none", ToolWish("none")),
        ("required", ToolWish("required")),
        ({"type": "function", "name": "f"}, ToolWish("named", "f")),
        ({"type": "custom", "name": "f"}, ToolWish("named", "f")),
        ({"type": "function", "function": {"name": "f"}}, ToolWish("named", "f")),
        ({"type": "function", "name": "read"}, ToolWish("named", "x__read")),
        ({"type": "function", "name": "read", "namespace": "x"}, ToolWish("named", "x__read")),
        ({"type": "function", "name": "read", "namespace": ["odd"]}, ToolWish("named", "x__read")),
        ({"type": "tool_search"}, ToolWish("named", "tool_search")),
        ({"type": "web_search"}, ToolWish("auto")),
        ({"type": ["odd"]}, ToolWish("auto")),
        (
            {"type": "allowed_tools", "tools": [F, {"name": "read"}, {"type": "mcp"}, 5]},
            ToolWish("auto", None, {"f", "x__read"}),
        ),
        ({"type": "allowed_tools", "mode": "required", "tools": [F]}, ToolWish("required", None, {"f"})),
        ({"type": "allowed_tools", "tools": "odd"}, ToolWish("auto", None, set())),
    ],
)
def test_a_choice_is_understood_in_every_form(choice: Any, meant: ToolWish) -> None:
    assert wish(choice) == meant


@pytest.mark.parametrize(
    "choice",
    [
        "maybe",
        5,
        ["f"],
        {"type": "function"},
        {"type": "function", "name": "nobody"},
        {"type": "function", "name": "f", "namespace": "x"},
        {"type": "allowed_tools", "tools": [{"name": "nobody"}]},
    ],
)
def test_a_choice_that_cannot_be_met_is_refused(choice: Any) -> None:
    with pytest.raises(InvalidRequest) as caught:
        wish(choice)
    assert caught.value.param == "tool_choice"


def test_a_search_that_is_not_offered_cannot_be_chosen() -> None:
    with pytest.raises(InvalidRequest):
        tool_wish({"type": "tool_search"}, ToolTable([]))


@pytest.mark.parametrize(
    ("choice", "takes", "says", "offers"),
    [
        ("auto", ("auto",), "auto", ["f", "g"]),
        ("none", ("auto", "none"), "none", ["f", "g"]),
        ("none", ("auto",), None, []),
        ("required", ("auto", "required"), "required", ["f", "g"]),
        ("required", ("auto", "any"), "any", ["f", "g"]),
        ("required", ("auto",), "auto", ["f", "g"]),
        (F, ("auto", "named"), {"type": "function", "function": {"name": "f"}}, ["f", "g"]),
        (F, ("auto", "any"), "any", ["f"]),
        (F, ("auto",), "auto", ["f"]),
        (None, ("auto",), None, ["f", "g"]),
        ({"type": "allowed_tools", "tools": [G]}, ("auto",), "auto", ["g"]),
        ({"type": "allowed_tools", "tools": []}, ("auto",), None, []),
        ({"type": "allowed_tools", "mode": "odd", "tools": [G]}, ("auto",), None, ["g"]),
    ],
)
def test_a_choice_is_said_as_far_as_the_server_takes_it(
    choice: Any, takes: tuple[str, ...], says: Any, offers: list[str]
) -> None:
    body = sent(Dialect(tool_choice=takes), input="go", tools=[F, G], tool_choice=choice)
    assert (body.get("tool_choice"), names(body)) == (says, offers)


def test_a_thinking_model_may_take_less() -> None:
    dialect = Dialect(reasoning_param="thinking", tool_choice_thinking=("auto",))
    asked = {"input": "go", "tools": [F], "tool_choice": "required"}
    assert sent(dialect, **asked)["tool_choice"] == "auto"
    assert sent(dialect, **asked, reasoning={"effort": "none"})["tool_choice"] == "required"


@pytest.mark.parametrize(
    ("how", "asked", "said"),
    [("omit", True, None), ("send", False, False), ("send", True, True), ("send", None, None), ("false", True, False)],
)
def test_parallel_calls_are_asked_for_as_the_server_wants(how: Any, asked: bool | None, said: bool | None) -> None:
    body = sent(Dialect(parallel_tool_calls=how), input="go", tools=[F], parallel_tool_calls=asked)
    assert body.get("parallel_tool_calls") == said
    assert "parallel_tool_calls" not in sent(Dialect(parallel_tool_calls=how), input="go", parallel_tool_calls=asked)


@pytest.mark.parametrize(
    ("choice", "most", "names"),
    [
        (None, 9, ["f", "x__read"]),
        ("none", 9, []),
        ({"type": "function", "name": "read"}, 9, ["x__read"]),
        ({"type": "allowed_tools", "tools": [F]}, 9, ["f"]),
        ("auto", 1, ["f"]),
    ],
)
def test_the_model_may_call_what_is_offered_and_chosen(choice: Any, most: int, names: list[str]) -> None:
    tools = declared([Raw(json.dumps(tool).encode()) for tool in (F, X)], "tools")
    create = CreateResponse(model="m", tool_choice=choice)
    assert list(callable_tools(create, tools, Dialect(max_tools=most))) == names
