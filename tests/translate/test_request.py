from __future__ import annotations

import json
from typing import Any

import pytest
from msgspec import Raw
from tests.driving import chat_of

from codex_nexus.errors import InvalidRequest
from codex_nexus.translate.dialect import DEFAULT, Dialect
from codex_nexus.translate.request import ToolWish, callable_tools, enforced, tool_wish
from codex_nexus.translate.tools import ToolTable, declared
from codex_nexus.wire.responses import CreateResponse

F, G = {"type": "function", "name": "f"}, {"type": "function", "name": "g"}
X = {"type": "namespace", "name": "x", "tools": [{"type": "function", "name": "read"}]}
SEARCH = {"type": "tool_search", "execution": "client"}


def sent(dialect: Dialect = DEFAULT, **fields: Any) -> dict[str, Any]:
    return chat_of(fields, dialect)


def names(body: dict[str, Any]) -> list[str]:
    return [tool["function"]["name"] for tool in body.get("tools", [])]


# --- tool_choice


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


# --- reasoning


@pytest.mark.parametrize(
    ("dialect", "effort", "said"),
    [
        (Dialect(reasoning_param="effort"), "high", {"reasoning_effort": "high"}),
        (Dialect(reasoning_param="effort"), "none", {"reasoning_effort": "none"}),
        (Dialect(reasoning_param="effort", efforts=("low", "high")), "minimal", {"reasoning_effort": "low"}),
        (Dialect(reasoning_param="effort", efforts=("low", "high")), "medium", {"reasoning_effort": "low"}),
        (Dialect(reasoning_param="effort", efforts=("low", "high")), "ultra", {"reasoning_effort": "high"}),
        (Dialect(reasoning_param="effort", efforts=("none", "high")), "none", {"reasoning_effort": "none"}),
        (Dialect(reasoning_param="effort", efforts=("low", "high")), "none", {}),
        (Dialect(reasoning_param="effort", efforts=("low", "high")), "zzz", {}),
        (Dialect(reasoning_param="effort", efforts=("deep",)), "deep", {"reasoning_effort": "deep"}),
        (Dialect(reasoning_param="effort", effort_map={"zzz": "own"}), "zzz", {"reasoning_effort": "own"}),
        (Dialect(reasoning_param="effort", effort_map={"low": "drop", "high": "off"}), "low", {}),
        (
            Dialect(reasoning_param="effort", effort_map={"low": "drop", "high": "off"}),
            "high",
            {"reasoning_effort": "none"},
        ),
        (Dialect(reasoning_param="effort"), "zzz", {}),
        (Dialect(reasoning_param="template_kwargs"), "low", {"chat_template_kwargs": {"enable_thinking": True}}),
        (Dialect(reasoning_param="effort", thinking_off="refused"), "none", {}),
        (
            Dialect(reasoning_param="effort", thinking_off="refused", efforts=("high", "low")),
            "none",
            {"reasoning_effort": "low"},
        ),
        (Dialect(reasoning_param="effort_obj"), "high", {"reasoning": {"effort": "high"}}),
        (Dialect(reasoning_param="effort_obj", efforts=("high",)), "none", {"reasoning": {"enabled": False}}),
        (Dialect(reasoning_param="thinking"), "high", {"thinking": {"type": "enabled"}}),
        (Dialect(reasoning_param="thinking"), "none", {"thinking": {"type": "disabled"}}),
        (Dialect(reasoning_param="thinking+effort"), "none", {"thinking": {"type": "disabled"}}),
        (Dialect(reasoning_param="enable_thinking"), "none", {"enable_thinking": False}),
        (Dialect(reasoning_param="minimax"), "none", {"thinking": {"type": "disabled"}}),
        (Dialect(reasoning_param="none"), "high", {}),
    ],
)
def test_an_effort_is_said_in_the_words_of_the_server(dialect: Dialect, effort: str, said: dict[str, Any]) -> None:
    plain = sent(dialect, input="go")
    assert sent(dialect, input="go", reasoning={"effort": effort}) == plain | said
    assert sent(dialect, input="go", reasoning={"effort": None}) == plain


# --- limits and sampling


@pytest.mark.parametrize(
    ("dialect", "asked", "said"),
    [
        (DEFAULT, None, {}),
        (DEFAULT, 50, {"max_tokens": 50}),
        (Dialect(max_output=40), 50, {"max_tokens": 40}),
        (Dialect(default_output=30), None, {"max_tokens": 30}),
        (Dialect(default_output=30), 50, {"max_tokens": 50}),
        (Dialect(max_tokens_field="max_completion_tokens"), 50, {"max_completion_tokens": 50}),
        (Dialect(max_tokens_field="omit", default_output=30), 50, {}),
    ],
)
def test_the_limit_is_what_was_asked_as_far_as_the_server_goes(
    dialect: Dialect, asked: int | None, said: dict[str, Any]
) -> None:
    body = sent(dialect, input="go", max_output_tokens=asked)
    assert {name: value for name, value in body.items() if name.startswith("max_")} == said


def test_sampling_is_passed_on_and_zero_is_a_value() -> None:
    body = sent(input="go", temperature=0, top_p=0, presence_penalty=0, frequency_penalty=1, top_logprobs=3)
    assert [body[name] for name in ("temperature", "top_p", "presence_penalty", "frequency_penalty")] == [0, 0, 0, 1]
    assert (body["logprobs"], body["top_logprobs"]) == (True, 3)
    assert "logprobs" not in sent(input="go", top_logprobs=0)


def test_fields_are_sent_as_the_dialect_knows_refuses_or_allows_them() -> None:
    asked = {"input": "go", "temperature": 1, "user": "me", "prompt_cache_key": "k", "text": {"verbosity": "low"}}
    assert not {"user", "prompt_cache_key", "verbosity"} & sent(**asked).keys()
    assert sent(Dialect(known_params=("user", "verbosity")), **asked)["verbosity"] == "low"
    assert "temperature" not in sent(Dialect(drop_params=("temperature", "unheard_of")), **asked)
    closed = sent(Dialect(only_params=("user", "temperature")), **asked)
    assert closed == {"model": "m", "messages": closed["messages"], "stream": True, "user": "me", "temperature": 1}


def test_extra_fields_are_merged_into_every_request() -> None:
    assert sent(Dialect(extra_body={"tool_stream": Raw(b"true")}), input="go")["tool_stream"] is True


# --- structured output

SCHEMA = {"type": "object", "properties": {}}
FORM = {"format": {"type": "json_schema", "name": "n", "schema": SCHEMA, "description": "d", "strict": True}}
OBJECT = {"format": {"type": "json_object"}}
NOTE = "Answer with one JSON object and nothing else."


@pytest.mark.parametrize(
    ("strength", "text", "form", "note"),
    [
        (
            "schema",
            FORM,
            {"type": "json_schema", "json_schema": {"name": "n", "schema": SCHEMA, "description": "d", "strict": True}},
            None,
        ),
        (
            "object",
            FORM,
            {"type": "json_object"},
            f'{NOTE} It must match this JSON Schema:\n{{"type":"object","properties":{{}}}}',
        ),
        ("none", FORM, None, f'{NOTE} It must match this JSON Schema:\n{{"type":"object","properties":{{}}}}'),
        ("schema", OBJECT, {"type": "json_object"}, NOTE),
        ("object", OBJECT, {"type": "json_object"}, NOTE),
        ("none", OBJECT, None, NOTE),
        ("schema", {"format": {"type": "text"}}, None, None),
        ("schema", {"verbosity": "low"}, None, None),
    ],
)
def test_what_the_server_cannot_enforce_is_said_in_words(strength: Any, text: Any, form: Any, note: str | None) -> None:
    body = sent(Dialect(response_format=strength), input="go", text=text)
    assert body.get("response_format") == form
    assert body["messages"] == ([{"role": "system", "content": note}] if note else []) + [
        {"role": "user", "content": "go"}
    ]


def test_the_words_are_added_to_the_instructions() -> None:
    body = sent(Dialect(response_format="none"), input="go", instructions="Be brief.", text=OBJECT)
    assert body["messages"][0] == {"role": "system", "content": f"Be brief.\n\n{NOTE}"}


def test_beside_tools_some_servers_enforce_nothing() -> None:
    dialect = Dialect(tools_exclude_response_format=True)
    assert "response_format" not in sent(dialect, input="go", text=OBJECT, tools=[F])
    assert "response_format" in sent(dialect, input="go", text=OBJECT)
    assert [enforced(dialect, tools=True), enforced(dialect, tools=False)] == [False, True]
    assert not enforced(Dialect(response_format="object"), tools=False)


def test_usage_is_asked_for_where_it_must_be_asked_for() -> None:
    assert sent(input="go")["stream_options"] == {"include_usage": True}
    assert "stream_options" not in sent(Dialect(stream_usage="implicit"), input="go")


def test_a_summary_is_written_without_tools() -> None:
    trigger = [{"role": "user", "content": "go"}, {"type": "compaction_trigger"}]
    body = sent(input=trigger, tools=[F], tool_choice="required")
    assert body["tool_choice"] == "none"
    assert "tools" not in sent(Dialect(tool_choice=("auto",)), input=trigger, tools=[F])


def test_the_same_request_can_be_said_on_the_other_wire() -> None:
    body = sent(Dialect(wire="responses"), input="go", reasoning={"effort": "high"})
    assert (body["input"][0]["role"], body["reasoning"]["effort"], body["store"]) == ("user", "high", False)
    thinking = sent(Dialect(wire="responses", reasoning_param="thinking"), input="go", reasoning={"effort": "high"})
    assert thinking["input"] == body["input"]
