from __future__ import annotations

from typing import Any

import pytest
from tests.codex_requests import PICTURE, call, output, picture
from tests.driving import chat_of
from tests.talks import MORE, USER, contents, roles

from codex_nexus.translate.dialect import Dialect


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ("x", "x"),
        ("", "(no output)"),
        (" \n", "(no output)"),
        (None, "(no output)"),
        ([], "(no output)"),
        ({"n": 7}, '{"n": 7}'),
        ([{"type": "input_text", "text": "a"}, {"type": "input_text", "text": "b"}], "a\nb"),
        (
            [{"type": "input_text", "text": ""}, {"type": "new"}, {}],
            "[content of type new omitted]\n[content of type unknown omitted]",
        ),
    ],
)
def test_a_result_is_told_as_text(said: Any, told: str) -> None:
    assert (
        contents(USER, call("a", "f", "{}"), {"type": "function_call_output", "call_id": "a", "output": said})[-1]
        == told
    )


def test_pictures_of_results_follow_as_the_users() -> None:
    history = [USER, call("a", "f", "{}"), call("b", "f", "{}"), output("a", "see", picture()), output("b", "x"), MORE]
    assert roles(*history) == "user assistant tool tool user user"
    assert contents(*history)[2:4] == ["see\n[image follows]", "x"]
    assert (
        contents(*history, dialect=Dialect(tool_images="drop"))[2]
        == "see\n[image omitted: this model cannot see images]"
    )
    blind = Dialect(images="none")
    assert contents(*history, dialect=blind)[2] == "see\n[image omitted: this model cannot see images]"
    assert roles(*history, dialect=Dialect(merge_users=True)) == "user assistant tool tool user"


def test_what_a_result_calls_encrypted_is_told() -> None:
    sealed = {"type": "encrypted_content", "encrypted_content": "the plan"}
    assert contents(USER, call("a", "f", "{}"), output("a", "x", sealed))[2] == "x\nthe plan"


def test_an_output_without_its_call_is_the_users_words() -> None:
    assert contents(USER, output("x", "a", picture()))[1] == [
        {"type": "text", "text": "[result of an earlier tool call]\na\n[image follows]"},
        {"type": "image_url", "image_url": {"url": PICTURE, "detail": "high"}},
    ]


def test_found_tools_are_named_as_they_are_offered() -> None:
    tools = [{"type": "namespace", "name": "n", "tools": [{"type": "function", "name": "x" * 60, "description": "X."}]}]
    search = {"type": "tool_search_call", "call_id": "s"}
    found = {"type": "tool_search_output", "call_id": "s"}
    body = chat_of({"input": [USER, search, found | {"tools": tools}]}, Dialect(max_tool_name=40))
    (offered,) = [tool["function"]["name"] for tool in body["tools"]]
    assert body["messages"][-1]["content"] == f"These tools are available now:\n- {offered}: X."
    assert [contents(USER, search, found | {"tools": none})[-1] for none in ([], None)] == ["(no output)"] * 2


def test_pictures_may_stand_in_the_result_itself() -> None:
    inside = Dialect(tool_images="in_tool")
    history = [USER, call("a", "f", "{}"), call("b", "f", "{}"), output("a", "see", picture()), output("b", "x"), MORE]
    assert roles(*history, dialect=inside) == "user assistant tool tool user"
    shown = [
        {"type": "text", "text": "see"},
        {"type": "image_url", "image_url": {"url": PICTURE, "detail": "high"}},
    ]
    assert contents(*history, dialect=inside)[2:4] == [shown, "x"]


@pytest.mark.parametrize(("parts", "told"), [(("a", "b"), "a\nb"), ((), "(no output)")])
def test_without_pictures_a_result_stays_a_text(parts: tuple[str, ...], told: str) -> None:
    said = [{"type": "input_text", "text": text} for text in parts]
    result = {"type": "function_call_output", "call_id": "a", "output": said}
    assert contents(USER, call("a", "f", "{}"), result, dialect=Dialect(tool_images="in_tool"))[-1] == told


def test_the_user_shows_pictures_of_a_result_without_its_call_wherever_others_stand() -> None:
    for place in ("follow_user", "in_tool"):
        kinds = [part["type"] for part in contents(USER, output("x", picture()), dialect=Dialect(tool_images=place))[1]]
        assert kinds == ["text", "image_url"]


def test_found_tools_are_words_also_where_results_may_have_parts() -> None:
    search = {"type": "tool_search_call", "call_id": "s"}
    found = {"type": "tool_search_output", "call_id": "s", "tools": [], "output": [{"type": "input_text", "text": "x"}]}
    assert contents(USER, search, found, dialect=Dialect(tool_images="in_tool"))[-1] == "(no output)"
