from __future__ import annotations

import json
import re
from typing import Any

import pytest
from tests.codex_requests import call, output
from tests.talks import MORE, USER, assistant, messages

from codex_nexus.translate.dialect import Dialect


@pytest.mark.parametrize(
    ("arguments", "sent"),
    [
        ('{"a":1}', '{"a":1}'),
        ("", "{}"),
        (" \n", "{}"),
        (None, "{}"),
        ({"a": 1}, '{"a": 1}'),
        ([1], "{}"),
        ("[1]", '{"_raw":"[1]"}'),
        ('{"a":', '{"_raw":"{\\"a\\":"}'),
        ('{"a":"x\ny"}', '{"a":"x\\ny"}'),
        ('{"a":"\\ud83d"}', '{"a":"\ufffd"}'),
        ("[NaN]", '{"_raw":"[NaN]"}'),
    ],
)
def test_arguments_are_always_a_json_object(arguments: Any, sent: str) -> None:
    (told,) = assistant(USER, call("a", "f", arguments))["tool_calls"]
    assert told["function"]["arguments"] == sent


def test_calls_of_every_kind_are_functions_upstream() -> None:
    told = assistant(
        USER,
        {"type": "custom_tool_call", "call_id": "a", "name": "exec", "namespace": "n", "input": 'say "x"'},
        {"type": "custom_tool_call", "call_id": "b", "name": "exec"},
        {"type": "tool_search_call", "call_id": "c", "arguments": {"query": "x"}},
        {"type": "local_shell_call", "call_id": "d", "action": {"command": ["ls"]}},
    )["tool_calls"]
    assert [(one["function"]["name"], json.loads(one["function"]["arguments"])) for one in told] == [
        ("n__exec", {"input": 'say "x"'}),
        ("exec", {"input": ""}),
        ("tool_search", {"query": "x"}),
        ("local_shell", {"command": ["ls"]}),
    ]


def test_ids_are_unique_and_have_the_form_that_the_server_wants() -> None:
    history = [USER, call("a", "f", "{}"), output("a", "1"), call("a", "f", "{}"), output("a", "2")]
    told = messages(*history)
    assert [(one.get("tool_call_id"), one["content"]) for one in told if one["role"] == "tool"] == [
        ("a", "1"),
        ("a_2", "2"),
    ]
    short = [
        one["tool_call_id"] for one in messages(*history, dialect=Dialect(tool_id="alnum9")) if one["role"] == "tool"
    ]
    assert all(re.fullmatch("[0-9A-Za-z]{9}", one) for one in short)
    assert len(set(short)) == 2
    assert short == [
        one["tool_call_id"]
        for one in messages(*history, MORE, dialect=Dialect(tool_id="alnum9"))
        if one["role"] == "tool"
    ]


LONG_IDS = ["x" * 64, "x" * 65, "x" * 65 + "y", "call_a__thought__" + "AbC/+=" * 300, "é" * 70]
ODD_IDS = ["functions.ls:0", "functions_ls_0", "a|b", "a_b", "call 1", "😀"]


def ids_of(names: list[str], form: Any = "keep", after: Any = ()) -> list[str]:
    history = [item for name in names for item in (call(name, "f", "{}"), output(name, "x"))]
    made = messages(USER, *history, *after, dialect=Dialect(tool_id=form))
    called = [one["id"] for message in made for one in message.get("tool_calls", [])]
    assert called == [message["tool_call_id"] for message in made if message["role"] == "tool"]
    return called


def test_ids_that_are_too_long_are_shortened() -> None:
    short = ids_of(LONG_IDS)
    assert short[0] == LONG_IDS[0]
    assert all(re.fullmatch("[A-Za-z0-9_-]{40}", one) for one in short[1:])
    assert len(set(short)) == len(short)
    assert ids_of(LONG_IDS[:3]) == short[:3]
    assert ids_of(LONG_IDS, after=[MORE]) == short
    assert ids_of(ODD_IDS) == ODD_IDS


def test_ids_are_plain_where_the_server_wants_them_so() -> None:
    plain = ids_of([*ODD_IDS, *LONG_IDS], "plain")
    assert all(re.fullmatch("[A-Za-z0-9_-]{1,40}", one) for one in plain)
    assert len(set(plain)) == len(plain)
    assert (plain[1], plain[3]) == ("functions_ls_0", "a_b")
    assert ids_of(ODD_IDS[:4], "plain") == plain[:4]


def test_empty_ids_and_names_of_a_damaged_thread_are_mended() -> None:
    made = messages(USER, call("", "", "{}"), output("", "x"), call("", "f", "{}"), output("", "y"))
    calls = [one for message in made for one in message.get("tool_calls", [])]
    assert [one["function"]["name"] for one in calls] == ["_", "f"]
    assert [message["content"] for message in made if message["role"] == "tool"] == ["x", "y"]
    ids = [one["id"] for one in calls]
    assert all(ids)
    assert len(set(ids)) == len(ids)
