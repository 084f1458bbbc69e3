from __future__ import annotations

from typing import Any

import pytest
from msgspec import Raw
from tests.driving import chat_of

from codex_nexus.translate.dialect import DEFAULT, Dialect

F, G = {"type": "function", "name": "f"}, {"type": "function", "name": "g"}
X = {"type": "namespace", "name": "x", "tools": [{"type": "function", "name": "read"}]}
SEARCH = {"type": "tool_search", "execution": "client"}


def sent(dialect: Dialect = DEFAULT, **fields: Any) -> dict[str, Any]:
    return chat_of(fields, dialect)


def names(body: dict[str, Any]) -> list[str]:
    return [tool["function"]["name"] for tool in body.get("tools", [])]


# --- limits and sampling


@pytest.mark.parametrize(
    ("dialect", "asked", "said"),
    [
        (DEFAULT, None, {}),
        (DEFAULT, 50, {"max_tokens": 50}),
        (Dialect(max_output=40), 50, {"max_tokens": 40}),
        (Dialect(context_window=45), 50, {"max_tokens": 45}),
        (Dialect(max_output=40, context_window=45), 50, {"max_tokens": 40}),
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


def test_a_temperature_that_is_too_high_is_cut() -> None:
    assert sent(Dialect(max_temperature=1), input="go", temperature=1.7)["temperature"] == 1
    assert sent(Dialect(max_temperature=1), input="go", temperature=0.7)["temperature"] == 0.7
    assert "temperature" not in sent(Dialect(max_temperature=1), input="go")


@pytest.mark.parametrize("param", ["thinking", "enable_thinking", "template_kwargs", "effort_obj"])
def test_a_closed_server_gets_no_switch_that_it_does_not_list(param: Any) -> None:
    dialect = Dialect(reasoning_param=param, only_params=("stream_options",), max_tokens_field="omit")
    body = sent(dialect, input="go", reasoning={"effort": "high"}, tools=[F], tool_choice="auto")
    assert body.keys() == {"model", "messages", "stream", "stream_options", "tools"}


def test_extra_fields_are_merged_into_every_request() -> None:
    assert sent(Dialect(extra_body={"tool_stream": Raw(b"true")}), input="go")["tool_stream"] is True


def test_usage_is_asked_for_where_it_must_be_asked_for() -> None:
    assert sent(input="go")["stream_options"] == {"include_usage": True}
    assert "stream_options" not in sent(Dialect(stream_usage="implicit"), input="go")


def test_a_summary_is_written_without_tools() -> None:
    trigger = [{"role": "user", "content": "go"}, {"type": "compaction_trigger"}]
    body = sent(input=trigger, tools=[F], tool_choice="required")
    assert body["tool_choice"] == "none"
    assert "tools" not in sent(Dialect(tool_choice=("auto",)), input=trigger, tools=[F])


def test_the_same_request_can_be_said_on_the_other_wire() -> None:
    body = sent(Dialect(wire="responses", reasoning_param="effort"), input="go", reasoning={"effort": "high"})
    assert (body["input"][0]["role"], body["reasoning"]["effort"], body["store"]) == ("user", "high", False)
    thinking = sent(Dialect(wire="responses", reasoning_param="thinking"), input="go", reasoning={"effort": "high"})
    assert thinking["input"] == body["input"]
