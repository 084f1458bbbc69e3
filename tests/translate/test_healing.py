from __future__ import annotations

from typing import Any

import pytest
from msgspec import Raw, structs

from codex_nexus.translate.dialect import DEFAULT, Dialect
from codex_nexus.translate.healing import described, healed, lasting


@pytest.mark.parametrize(
    ("heal", "changes"),
    [
        ("replay_reasoning", {"reasoning_missing": "empty"}),
        ("tool_choice_auto", {"tool_choice": ("auto",)}),
        ("clamp_max_tokens:4096", {"max_output": 4096}),
        ("clamp_max_tokens", {"max_tokens_field": "omit"}),
        ("one_max_tokens", {"max_tokens_field": "omit"}),
        ("system_head", {"system": "head"}),
        ("no_system", {"system": "first_user"}),
        ("ids_of_nine", {"tool_id": "alnum9"}),
        ("plain_ids", {"tool_id": "plain"}),
        ("merge_users", {"merge_users": True, "system": "head"}),
        ("schema_mfjs", {"json_schema": "mfjs"}),
        ("drop_field:stream_options", {"stream_usage": "implicit"}),
        ("drop_field:max_tokens", {"max_tokens_field": "omit"}),
        ("drop_field:response_format", {"response_format": "none"}),
        ("drop_field:tool_choice", {"tool_choice": ("auto",), "drop_params": ("tool_choice",)}),
        ("drop_field:reasoning_content", {"reasoning_replay": "never"}),
        ("drop_field:store", {"drop_params": ("store",)}),
        ("fit_max_tokens:300", {"max_output": 300, "default_output": 300}),
        ("clamp_max_tokens:many", {"max_tokens_field": "omit"}),
        ("schema_gemini", {"json_schema": "gemini"}),
        ("dummy_signature", {"dummy_signature": True}),
    ],
)
def test_a_repair_changes_what_was_refused(heal: str, changes: dict[str, Any]) -> None:
    assert healed(DEFAULT, heal) == structs.replace(DEFAULT, **changes)


@pytest.mark.parametrize(
    ("dialect", "heal", "changes"),
    [
        (Dialect(strict="keep"), "drop_field:strict", {"strict": "strip"}),
        (
            Dialect(reasoning_param="effort"),
            "drop_field:reasoning_effort",
            {"reasoning_param": "none", "drop_params": ("reasoning_effort",)},
        ),
        (Dialect(reasoning_field="reasoning"), "drop_field:reasoning", {"reasoning_replay": "never"}),
        (
            Dialect(extra_body={"max_tokens": Raw(b"9"), "b": Raw(b"2")}),
            "one_max_tokens",
            {"extra_body": {"b": Raw(b"2")}},
        ),
        (Dialect(reasoning_missing="empty"), "replay_reasoning", {"reasoning_missing": "space"}),
        (Dialect(system="head"), "system_head", {"system": "first_user"}),
        (Dialect(merge_users=True), "merge_users", {"system": "head"}),
        (Dialect(merge_users=True, system="head"), "merge_users", {"system": "first_user"}),
        (Dialect(system="first_user"), "merge_users", {"merge_users": True}),
        (
            Dialect(reasoning_replay="never"),
            "replay_reasoning",
            {"reasoning_replay": "tool_turns", "reasoning_missing": "empty"},
        ),
        (Dialect(reasoning_replay="all"), "replay_reasoning", {"reasoning_missing": "empty"}),
        (Dialect(json_schema="mfjs"), "schema_mfjs:f", {"bare_tools": ("f",)}),
        (DEFAULT, "add_json_word", {"response_format": "object"}),
        (Dialect(response_format="object"), "weaker_format", {"response_format": "none"}),
        (DEFAULT, "no_format_with_tools", {"tools_exclude_response_format": True}),
        (DEFAULT, "thinking_on", {"thinking_off": "refused"}),
        (DEFAULT, "strip_images", {"images": "none"}),
        (DEFAULT, "use_field:max_completion_tokens", {"max_tokens_field": "max_completion_tokens"}),
        (
            Dialect(reasoning_param="effort", effort_map={"max": "max", "none": "off"}),
            "effort:low,high",
            {"efforts": ("low", "high"), "effort_map": {"none": "off"}},
        ),
        (Dialect(reasoning_param="effort", efforts=("low", "high")), "effort:low,high", {"reasoning_param": "none"}),
        (Dialect(reasoning_param="effort"), "effort", {"reasoning_param": "none"}),
        (
            Dialect(extra_body={"a": Raw(b"1"), "b": Raw(b"2")}),
            "drop_field:a",
            {"drop_params": ("a",), "extra_body": {"b": Raw(b"2")}},
        ),
    ],
)
def test_a_repair_begins_where_the_dialect_stands(dialect: Dialect, heal: str, changes: dict[str, Any]) -> None:
    assert healed(dialect, heal) == structs.replace(dialect, **changes)


@pytest.mark.parametrize(
    ("dialect", "heal"),
    [
        (Dialect(system="first_user"), "system_head"),
        (Dialect(system="first_user"), "no_system"),
        (Dialect(tool_id="alnum9"), "plain_ids"),
        (Dialect(system="first_user", merge_users=True), "merge_users"),
        (Dialect(drop_params=("store",)), "drop_field:store"),
        (Dialect(response_format="none"), "weaker_format"),
        (Dialect(dummy_signature=True), "dummy_signature"),
        (Dialect(json_schema="mfjs"), "schema_mfjs"),
        (Dialect(json_schema="mfjs", bare_tools=("f",)), "schema_mfjs:f"),
        (DEFAULT, "use_field:top_p"),
        (DEFAULT, "unheard_of"),
    ],
)
def test_a_repair_that_changes_nothing_is_none(dialect: Dialect, heal: str) -> None:
    assert healed(dialect, heal) is None


def test_some_refusals_are_worth_the_same_words_again() -> None:
    assert healed(DEFAULT, "retry_once_then_text") == DEFAULT


def test_what_helped_one_request_only_is_not_lasting() -> None:
    assert lasting(["drop_field:a", "retry_once_then_text", "fit_max_tokens:5", "clamp_max_tokens:5"]) == [
        "drop_field:a", "clamp_max_tokens:5",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("heal", "said"),
    [
        ("drop_field:store", "'store' is left out"),
        ("effort:low,high", "only these reasoning efforts are sent: low,high"),
        ("system_head", "all instructions stand in one system message at the head"),
        ("schema_mfjs", "tool schemas are written in a narrow subset"),
        ("unheard_of", "unheard_of"),
    ],
)
def test_a_repair_can_be_told_to_a_person(heal: str, said: str) -> None:
    assert described(heal) == said
