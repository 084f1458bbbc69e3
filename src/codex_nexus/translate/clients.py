"""What a client does with what it is sent, as rows: Codex on one side, every plain Responses client on the other.

Codex's column is observed from the real client (0.169.0, 2026-11): it retries 401 five times and 502 thirty times,
hides the text of 500, loses the text of a 429 without Retry-After, shows the raw body of a 400 unless its code is
`invalid_prompt`, drops refusal parts, and runs a call as soon as its item is done.
"""

from __future__ import annotations

import re
from typing import Literal

from msgspec import Struct

from codex_nexus.translate.faults import Fault, FaultKind


class Answer(Struct, frozen=True):
    """How one kind of fault is told: by HTTP status before the stream, by code inside it. Status 0: the upstream's."""

    status: int
    type: str
    code: str | None
    in_stream: str
    """`response.error.code` of a `response.failed`."""
    otherwise: int = 502
    """Told in place of an upstream's status that is none of an error, or that there is not."""


class Client(Struct, frozen=True):
    """One kind of client."""

    name: Literal["codex", "plain"]
    whole_calls: bool
    """Send a call only when it is complete and valid, never its argument deltas as they arrive."""
    whole_json: bool
    """Send an answer in JSON only when it is whole, freed of fences and prose (titles, approval reviews)."""
    summary_instead: bool
    """Show reasoning as a summary alone when a summary is asked for (its `encrypted_content` holds the rest)."""
    refusal_as_text: bool
    filter_fails: bool
    """A content filter ends in `failed`, because `incomplete` would be retried and repeat the text."""
    estimates_usage: bool
    """Told an estimate when a provider counts no tokens: without usage Codex never compacts a thread."""
    no_calls_unasked: bool
    """Has no use for a call in answer to `tools: []`: Codex takes it for an empty summary, and the thread is lost."""
    told_mistakes: bool
    """Told of mistakes in what it asks just now (see strict), instead of being helped over them."""
    error_event: bool
    """Say `error` before `response.failed`."""
    always_retry_after: bool
    longest_wait_s: float
    """It is never told to wait longer: Codex sleeps as long as it is told, without a word to its user."""
    waits_for: tuple[FaultKind, ...]
    """Faults with which it is told when to come again, if anybody knows."""
    answers: dict[FaultKind, Answer]


_FINAL = Answer(400, "invalid_request_error", "invalid_prompt", "invalid_prompt")
_RETRY = Answer(503, "service_unavailable_error", "server_error", "server_error")

CODEX = Client(
    name="codex",
    whole_calls=True,
    whole_json=True,
    summary_instead=True,
    refusal_as_text=True,
    filter_fails=True,
    estimates_usage=True,
    no_calls_unasked=True,
    told_mistakes=False,
    error_event=False,
    always_retry_after=True,
    longest_wait_s=300.0,
    waits_for=("rate_limit", "server"),
    answers={
        "context_length_exceeded": Answer(
            400, "invalid_request_error", "context_length_exceeded", "context_length_exceeded"
        ),
        "insufficient_quota": Answer(400, "insufficient_quota", "invalid_prompt", "insufficient_quota"),
        "rate_limit": Answer(429, "rate_limit_error", "rate_limit_exceeded", "rate_limit_exceeded"),
        "auth": _FINAL,
        "content_filter": _FINAL,
        "bad_request": _FINAL,
        "server": _RETRY,
        "truncated": _RETRY,
        "empty": _RETRY,
        "missing_tool_call": _RETRY,
        "invalid_tool_call": _RETRY,
        "timeout": _RETRY,
        "unreachable": _RETRY,
        "cancelled": _RETRY,
    },
)

_BROKEN = Answer(502, "server_error", "server_error", "server_error")

PLAIN = Client(
    name="plain",
    whole_calls=False,
    whole_json=False,
    summary_instead=False,
    refusal_as_text=False,
    filter_fails=False,
    estimates_usage=False,
    no_calls_unasked=False,
    told_mistakes=True,
    error_event=True,
    always_retry_after=False,
    longest_wait_s=86_400.0,
    waits_for=("rate_limit", "server", "insufficient_quota"),
    answers={
        "context_length_exceeded": Answer(
            400, "invalid_request_error", "context_length_exceeded", "context_length_exceeded"
        ),
        "insufficient_quota": Answer(0, "insufficient_quota", "insufficient_quota", "insufficient_quota", 429),
        "rate_limit": Answer(429, "rate_limit_error", "rate_limit_exceeded", "rate_limit_exceeded"),
        "auth": Answer(0, "authentication_error", "invalid_api_key", "server_error"),
        "content_filter": Answer(400, "invalid_request_error", "content_filter", "invalid_prompt"),
        "bad_request": Answer(0, "invalid_request_error", None, "invalid_prompt"),
        "server": Answer(0, "server_error", "server_error", "server_error"),
        "truncated": _BROKEN,
        "empty": _BROKEN,
        "missing_tool_call": _BROKEN,
        "invalid_tool_call": _BROKEN,
        "timeout": Answer(0, "server_error", "timeout", "server_error", 504),
        "unreachable": Answer(502, "server_error", "upstream_unreachable", "server_error"),
        "cancelled": _BROKEN,
    },
)

DEFAULT_WAIT_S = 5.0
"""Retry-After when a provider names none: Codex gives up at once without one."""


def status_for(client: Client, fault: Fault) -> int:
    """The HTTP status that tells this fault before the stream."""
    answer = client.answers[fault.kind]
    if answer.status:
        return answer.status
    upstream = fault.status or 0
    return upstream if 400 <= upstream < 600 else answer.otherwise


def wait_for(client: Client, fault: Fault) -> float | None:
    """Seconds for `Retry-After`, or None."""
    if fault.kind == "rate_limit" and fault.retry_after is None and client.always_retry_after:
        return DEFAULT_WAIT_S
    if fault.retry_after is None or fault.kind not in client.waits_for:
        return None
    return min(fault.retry_after, client.longest_wait_s)


_WAIT_AS_READ = re.compile(r"try again in \d+(?:\.\d+)?\s*(?:ms|s|seconds?)\b", re.IGNORECASE)
"""The form in which Codex finds the time to wait."""


def told(client: Client, fault: Fault) -> str:
    """The message inside the stream; Codex reads the time to wait out of these very words."""
    wait = wait_for(client, fault)
    if fault.kind != "rate_limit" or wait is None or _WAIT_AS_READ.search(fault.message):
        return fault.message
    return f"{fault.message.rstrip('. ')}. Please try again in {wait:g}s."
