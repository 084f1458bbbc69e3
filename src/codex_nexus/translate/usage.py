"""Tokens: a provider's count in the words of the Responses API, and estimates where there is none.

Providers agree on `prompt_tokens` and `completion_tokens` and on nothing else: what was read from a cache stands under
a dozen names, and some count reasoning only in the total.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from codex_nexus.wire import codec
from codex_nexus.wire.responses import InputTokensDetails, OutputTokensDetails, ResponseUsage

_PROMPT = ("prompt_tokens", "input_tokens")
_OUTPUT = ("completion_tokens", "output_tokens")
_PROMPT_DETAILS = ("prompt_tokens_details", "input_tokens_details", "prompt_token_details")
_OUTPUT_DETAILS = ("completion_tokens_details", "output_tokens_details", "completion_token_details")
_CACHED = (
    "cached_tokens", "prompt_cache_hit_tokens", "num_cached_tokens", "cache_read_input_tokens", "cache_read_tokens",
    "cached_prompt_text_tokens", "cached_prompt_tokens",
)  # fmt: skip
_WRITTEN = ("cache_write_tokens", "cache_creation_input_tokens", "cache_creation_tokens")
_MOST_TOKENS = 1 << 53
_BYTES_PER_TOKEN = 4


def read_usage(value: Any) -> ResponseUsage | None:
    """A provider's usage, with cached as a part of input and reasoning of output; None when it counts nothing."""
    usage = codec.as_object(value)
    if usage is None:
        return None
    prompt, output, total = _first(usage, _PROMPT), _first(usage, _OUTPUT), _count(usage, "total_tokens")
    if not (prompt or output or total):
        return None
    output += max(0, total - prompt - output)
    places = [*_inner(usage, _PROMPT_DETAILS), usage]
    cached = next((count for place in places if (count := _first(place, _CACHED))), 0)
    written = next((count for place in places if (count := _first(place, _WRITTEN))), 0)
    thought = next(
        (count for place in (*_inner(usage, _OUTPUT_DETAILS), usage) if (count := _count(place, "reasoning_tokens"))), 0
    )
    return ResponseUsage(
        prompt,
        InputTokensDetails(min(cached, prompt), min(written, prompt)),
        output,
        OutputTokensDetails(min(thought, output)),
        prompt + output,
    )


def _inner(usage: dict[str, Any], names: tuple[str, ...]) -> Iterator[dict[str, Any]]:
    for name in names:
        details = codec.as_object(usage.get(name))
        if details is not None:
            yield details


def _first(fields: dict[str, Any], names: tuple[str, ...]) -> int:
    return next((count for name in names if (count := _count(fields, name))), 0)


def _count(fields: dict[str, Any], name: str) -> int:
    count = fields.get(name)
    return int(count) if isinstance(count, (int, float)) and 0 < count < _MOST_TOKENS else 0


def counts(value: Any) -> bool:
    """Whether this usage counts anything: some servers send an empty one with every chunk, also after the real one."""
    usage = codec.as_object(value) or {}
    return any(_count(usage, name) for name in (*_PROMPT, *_OUTPUT, "total_tokens"))


def estimated_usage(request_bytes: int, answer_bytes: int, window: int | None) -> ResponseUsage:
    """A rough count for a provider that gives none; never more input than the window holds (in tokens)."""
    prompt = request_bytes // _BYTES_PER_TOKEN
    prompt = min(prompt, window) if window else prompt
    output = answer_bytes // _BYTES_PER_TOKEN
    return ResponseUsage(prompt, InputTokensDetails(), output, OutputTokensDetails(), prompt + output)


_PICTURE = re.compile(rb'data:[\w/+.-]+;base64,[^"\\]*')


def fills(body: bytes, window: int | None, share: float = 0.8) -> bool:
    """Whether a request's body seems to take more than this share of a window in tokens; never of an unknown one.

    Pictures are left out: their bytes say nothing about their tokens.
    """
    if not window or len(body) < window * share * _BYTES_PER_TOKEN:
        return False
    return len(_PICTURE.sub(b"", body)) >= window * share * _BYTES_PER_TOKEN
