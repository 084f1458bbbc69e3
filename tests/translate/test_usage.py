"""Tokens as providers count them, and estimates."""

from __future__ import annotations

from typing import Any

import pytest

from codex_nexus.translate.usage import counts, estimated_usage, fills, read_usage


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ({"prompt_tokens": 5, "completion_tokens": 7}, (5, 0, 7, 0)),
        ({"prompt_tokens": 5, "completion_tokens": 7, "total_tokens": 20}, (5, 0, 15, 0)),
        ({"prompt_tokens": 5, "prompt_tokens_details": {"cached_tokens": 4}}, (5, 4, 0, 0)),
        ({"prompt_tokens": 5, "prompt_cache_hit_tokens": 3}, (5, 3, 0, 0)),
        ({"prompt_tokens": 5, "cached_tokens": 9}, (5, 5, 0, 0)),
        ({"prompt_tokens": 5, "num_cached_tokens": 1}, (5, 1, 0, 0)),
        ({"prompt_tokens": 5, "cache_read_input_tokens": 2}, (5, 2, 0, 0)),
        (
            {"prompt_tokens": 5, "prompt_tokens_details": {"cached_tokens": 0}, "prompt_cache_hit_tokens": 2},
            (5, 2, 0, 0),
        ),
        ({"prompt_tokens": 5, "prompt_tokens_details": None, "cached_tokens": 2}, (5, 2, 0, 0)),
        ({"input_tokens": 5, "output_tokens": 3, "input_tokens_details": {"cached_tokens": 4}}, (5, 4, 3, 0)),
        ({"output_tokens": 3, "output_tokens_details": {"reasoning_tokens": 1}}, (0, 0, 3, 1)),
        ({"completion_tokens": 5, "completion_tokens_details": {"reasoning_tokens": 9}}, (0, 0, 5, 5)),
        ({"completion_tokens": 5, "reasoning_tokens": 2}, (0, 0, 5, 2)),
        ({"prompt_tokens": 5, "completion_tokens": -2, "total_tokens": "x"}, (5, 0, 0, 0)),
        ({"prompt_tokens": 5.0, "completion_tokens": float("nan")}, (5, 0, 0, 0)),
        ({"prompt_tokens": 5, "completion_tokens": float("inf")}, (5, 0, 0, 0)),
        ({"prompt_tokens": 5, "completion_tokens": 10**40}, (5, 0, 0, 0)),
    ],
)
def test_usage_is_told_in_the_words_of_the_responses_api(said: Any, told: tuple[int, int, int, int]) -> None:
    usage = read_usage(said)
    assert usage is not None
    assert (
        usage.input_tokens,
        usage.input_tokens_details.cached_tokens,
        usage.output_tokens,
        usage.output_tokens_details.reasoning_tokens,
    ) == told
    assert usage.total_tokens == told[0] + told[2]


@pytest.mark.parametrize("said", [None, {}, [], "x", {"prompt_tokens": 0}, {"prompt_tokens": None}])
def test_no_usage_is_invented(said: Any) -> None:
    assert read_usage(said) is None


def test_an_estimate_is_never_more_than_the_window_holds() -> None:
    assert estimated_usage(4000, 40, None).total_tokens == 1010
    assert estimated_usage(4000, 40, 100).input_tokens == 100


def test_what_was_written_to_a_cache_is_told() -> None:
    usage = read_usage({"prompt_tokens": 9, "cache_creation_input_tokens": 4})
    assert usage is not None
    assert usage.input_tokens_details.cache_write_tokens == 4


@pytest.mark.parametrize(
    ("said", "any_"),
    [(None, False), ({}, False), ({"prompt_tokens": 0, "cost": 1}, False), ({"total_tokens": 1}, True), (5, False)],
)
def test_an_empty_usage_counts_nothing(said: Any, any_: bool) -> None:
    assert counts(said) is any_


@pytest.mark.parametrize(
    ("body", "window", "full"),
    [
        (b"x" * 3200, 1000, True),
        (b"x" * 3199, 1000, False),
        (b"x" * 9999, None, False),
        (b'{"url": "data:image/png;base64,' + b"A" * 9000 + b'"}', 1000, False),
        (b'{"url": "data:image/png;base64,' + b"A" * 9000 + b'"}' + b"x" * 3200, 1000, True),
    ],
    ids=["full", "room left", "unknown window", "a picture", "a picture and much text"],
)
def test_a_prompt_fills_a_window_with_text_not_with_pictures(body: bytes, window: int | None, full: bool) -> None:
    assert fills(body, window) is full
