from __future__ import annotations

from typing import Any

import pytest
from msgspec import Raw
from tests.driving import chat_of

from codex_nexus.translate.dialect import DEFAULT, Dialect
from codex_nexus.translate.effort import said_of


def sent(dialect: Dialect = DEFAULT, **fields: Any) -> dict[str, Any]:
    return chat_of({"input": "go"} | fields, dialect)


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


BUDGETS = {"low": 1000, "high": 9000}


@pytest.mark.parametrize(
    ("param", "effort", "said"),
    [
        ("effort_obj", "low", {"reasoning": {"max_tokens": 1000}}),
        ("effort_obj", "medium", {"reasoning": {"effort": "medium"}}),
        ("thinking", "high", {"thinking": {"type": "enabled", "budget_tokens": 9000}}),
        ("thinking+effort", "high", {"thinking": {"type": "enabled", "budget_tokens": 9000}}),
        ("thinking+effort", "none", {"thinking": {"type": "disabled"}}),
        ("enable_thinking", "high", {"enable_thinking": True, "thinking_budget": 9000}),
        ("enable_thinking", "medium", {"enable_thinking": True}),
        ("enable_thinking", "none", {"enable_thinking": False}),
        ("effort", "low", {"reasoning_effort": "low"}),
        ("template_kwargs", "low", {"chat_template_kwargs": {"enable_thinking": True}}),
    ],
)
def test_a_budget_is_said_where_the_server_has_a_place_for_it(param: Any, effort: str, said: dict[str, Any]) -> None:
    dialect = Dialect(reasoning_param=param, thinking_budgets=BUDGETS)
    assert sent(dialect, reasoning={"effort": effort}) == sent(dialect) | said


def test_a_budget_leaves_room_for_the_answer() -> None:
    dialect = Dialect(reasoning_param="effort_obj", thinking_budgets=BUDGETS)
    assert sent(dialect, reasoning={"effort": "high"}, max_output_tokens=3000)["reasoning"] == {"max_tokens": 1500}
    assert sent(dialect, reasoning={"effort": "low"}, max_output_tokens=3000)["reasoning"] == {"max_tokens": 1000}
    assert sent(dialect, reasoning={"effort": "high"}, max_output_tokens=200)["reasoning"] == {"effort": "high"}


def test_an_object_that_knows_no_efforts_is_told_to_be_off() -> None:
    always = {"reasoning": Raw(b'{"enabled":true}')}
    dialect = Dialect(reasoning_param="effort_obj", effort_map={"none": "off", "high": "drop"}, extra_body=always)
    assert sent(dialect, reasoning={"effort": "none"})["reasoning"] == {"enabled": False}
    assert sent(dialect, reasoning={"effort": "high"})["reasoning"] == {"enabled": True}


# --- what refines a switch

KEEP = {"thinking": Raw(b'{"type":"enabled","keep":"all"}'), "other": Raw(b"1")}


@pytest.mark.parametrize(
    ("effort", "said"),
    [
        (None, {"type": "enabled", "keep": "all"}),
        ("high", {"type": "enabled", "keep": "all"}),
        ("none", {"type": "disabled"}),
    ],
)
def test_what_refines_thinking_stands_beside_the_switch_unless_it_is_off(effort: str | None, said: Any) -> None:
    body = sent(Dialect(reasoning_param="thinking", extra_body=KEEP), reasoning={"effort": effort})
    assert (body["thinking"], body["other"]) == (said, 1)


WAYS = ("none", "effort", "effort_obj", "thinking", "thinking+effort", "enable_thinking", "template_kwargs", "minimax")
SAYS = ("reasoning_effort", "reasoning", "thinking", "enable_thinking", "thinking_budget", "chat_template_kwargs")


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("budgets", [{}, {"high": 8000}])
@pytest.mark.parametrize("efforts", [(), ("low", "high")])
@pytest.mark.parametrize("off", ["allowed", "never"])
@pytest.mark.parametrize("asked", ["none", "low", "high", "xhigh", "zzz"])
def test_what_people_are_told_is_what_is_sent(
    way: Any, budgets: dict[str, int], efforts: tuple[str, ...], off: Any, asked: str
) -> None:
    dialect = Dialect(reasoning_param=way, thinking_budgets=budgets, efforts=efforts, thinking_off=off)
    body = sent(dialect, reasoning={"effort": asked})
    words = str({name: body[name] for name in SAYS if name in body})
    told = said_of(asked, dialect)
    if not told:
        assert words == "{}"
    elif told in ("on", "off"):
        good = ("True", "enabled", "adaptive") if told == "on" else ("False", "disabled")
        assert any(word in words for word in good)
        assert not any(effort in words for effort in ("'low'", "'high'"))
    else:
        assert told.removesuffix(" tokens") in words
