"""What an upstream refusal means: from status, headers and body to one kind of fault, in a fixed order of tests.

The order matters (quota words come with 403 and 429, an overflow phrase stands in a `max_tokens` complaint, a permanent
fault may be sent as 500), and it is the order of `_KINDS`. What a client is told about a kind stands in clients.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, Literal

from msgspec import Struct

from codex_nexus.translate.dialect import DEFAULT, Dialect
from codex_nexus.translate.heals import heal_of
from codex_nexus.wire import codec

FaultKind = Literal[
    "context_length_exceeded",
    "insufficient_quota",
    "rate_limit",
    "auth",
    "content_filter",
    "bad_request",
    "server",
    "truncated",
    "empty",
    "missing_tool_call",
    "invalid_tool_call",
    "timeout",
    "unreachable",
    "cancelled",
]


class Fault(Struct, frozen=True):
    """Why a turn cannot go on.

    Attributes:
        kind: one of the kinds above.
        message: a sentence for a person, free of secrets.
        status: the upstream's HTTP status, if it answered at all.
        retry_after: seconds that the upstream asks to wait, if it says so.
        heal: the one repair worth a second try (`drop_field:store`, `clamp_max_tokens:32768`, ...), or None.
        code: the upstream's own code.
    """

    kind: FaultKind
    message: str
    status: int | None = None
    retry_after: float | None = None
    heal: str | None = None
    code: str | None = None


class Complaint(Struct, frozen=True):
    """The body of a refusal, whatever shape it had."""

    message: str = ""
    code: str = ""
    type: str = ""
    param: str = ""
    generation: str = ""
    """Text that a server's own parser refused (`failed_generation`)."""

    @property
    def words(self) -> str:
        """All that was said, for pattern tests."""
        return " ".join(part for part in (self.message, self.code, self.type, self.param) if part)


def read_complaint(body: bytes) -> Complaint:
    """A refusal's body: OpenAI's envelope and the many other shapes that providers use."""
    text = body.decode("utf-8", "replace").strip().removeprefix("data:").strip()
    if not text:
        return Complaint()
    try:
        value = codec.decode_lenient(text.encode())
    except ValueError:
        return Complaint("" if text.startswith("<") else text[:_LONGEST])
    return complaint_of(value)


_LONGEST = 2000
_REFUSED = 400


def complaint_of(value: Any) -> Complaint:
    """The same of a decoded value."""
    while (several := codec.as_list(value)) is not None:
        value = several[0] if several else None
    fields = codec.as_object(value)
    if fields is None:
        return Complaint(_said(value))
    error = fields.get("error")
    inner, base = codec.as_object(error), codec.as_object(fields.get("base_resp"))
    if inner is not None:
        return _of_error(inner)
    if base is not None:
        return Complaint(_said(base.get("status_msg")), _said(base.get("status_code")))
    message = fields.get("message") or fields.get("msg") or fields.get("detail")
    if error and not (message and isinstance(message, str)):
        message = error
    message = (codec.as_object(message) or {}).get("detail") or message
    return Complaint(_said(message or fields.get("title")), _said(fields.get("code")), _said(fields.get("type")))


def _of_error(error: dict[str, Any]) -> Complaint:
    message = _said(error.get("message") or error.get("detail"))
    raw = (codec.as_object(error.get("metadata")) or {}).get("raw")
    if isinstance(raw, str) and raw:
        raw = codec.whole(raw)[:_LONGEST]
        message = f"{message}: {read_complaint(raw.encode()).message or raw}"
    return Complaint(
        message,
        _said(error.get("code")),
        _said(error.get("type") or error.get("status")),
        _said(error.get("param")),
        _said(error.get("failed_generation")),
    )


def _said(value: Any) -> str:
    if value is None:
        return ""
    nested = isinstance(value, (dict, list))
    return codec.whole(codec.encode_any(value).decode() if nested else str(value))[:_LONGEST]


def _any(*patterns: str) -> re.Pattern[str]:
    return re.compile("|".join(patterns), re.IGNORECASE)


_QUOTA = _any(
    r"insufficient[ _]balance", r"insufficient_quota", r"exceeded your current quota", r"exceeded_current_quota",
    r"usage limit", r"requires more credits", r"account balance", r"overdue balance", r"AccountOverdue", r"arrearage",
    r"account is in good standing", r"AllocationQuota", r"credit_balance", r"credit balance is too low",
    r"billing[ _]hard[ _]limit", r"quota (?:has been )?exceeded.*(?:plan|billing)",
)  # fmt: skip
_RATE_CODE = _any(r"rate_limit_exceeded", r"tokens per minute", r"Throttling\.RateQuota")
_OVERFLOW = _any(
    r"context_length_exceeded", r"maximum context length", r"reduce the length of the (?:messages|prompt|input)",
    r"exceeded model token limit", r"Range of input length should be", r"context window exceeds limit",
    r"tokens in request more than max tokens", r"model_context_window_exceeded", r"maximum prompt length is \d+",
    r"\[?input_too_large\]?", r"exceeds budget \(\d+ tokens\)", r"exceeds? the available context size",
    r"exceed_context_size_error", r"context size has been exceeded", r"trying to keep the first \d+ tokens",
    r"greater than the context length", r"prompt is longer than the context length",
    r"too large for model with \d+ maximum context", r"input token count.*exceeds the maximum", r"prompt is too long",
    r"input is too long", r"exceeds the context window", r"exceeds the limit of \d+", r"too many tokens",
    r"token limit exceeded", r"tokens_limit_reached", r"prompt exceeds max length", r"ContextWindowExceeded",
)  # fmt: skip
_SAFETY = _any(
    r"data_?inspection_?failed", r"inappropriate content", r"unsafe or sensitive", r"RiskDetection", r"content_filter",
    r"content_policy", r"content management policy", r"sensitive content", r"moderation",
)  # fmt: skip
_RATE = _any(r"engine_overloaded", r"rate[ _]limit", r"too many requests", r"concurrency", r"slow down")
_LOST_TOOL_PARSE = _any(r"error parsing tool call")

_WINDOWS = _any(
    r"maximum context length is (\d+)", r"context size \((\d+) tokens\)", r"token limit: (\d+)",
    r"input length should be \[1, ?(\d+)\]", r"maximum prompt length is (\d+)", r"of tokens allowed \((\d+)\)",
    r"model with (\d+) maximum context", r"context length of only (\d+)", r"exceeds budget \((\d+)",
)  # fmt: skip


def window_in(fault: Fault) -> int | None:
    """The context window in tokens that a refusal for length tells, or None."""
    found = _WINDOWS.search(fault.message) if fault.kind == "context_length_exceeded" else None
    return next((int(group) for group in found.groups() if group), None) if found else None


class _Seen(Struct, frozen=True):
    status: int
    words: str
    codes: set[str]
    heal: str | None
    dialect: Dialect
    nearly_full: bool
    empty: bool


_Test = Callable[[_Seen], bool]


def _says(pattern: re.Pattern[str], codes: Callable[[Dialect], tuple[str, ...]]) -> _Test:
    return lambda seen: bool(pattern.search(seen.words)) or bool(seen.codes.intersection(codes(seen.dialect)))


_KINDS: tuple[tuple[FaultKind, _Test], ...] = (
    ("insufficient_quota", lambda seen: seen.status == 402),
    ("insufficient_quota", _says(_QUOTA, lambda dialect: dialect.quota_codes)),
    ("rate_limit", _says(_RATE_CODE, lambda dialect: dialect.rate_codes)),
    ("bad_request", lambda seen: seen.heal is not None),
    ("context_length_exceeded", _says(_OVERFLOW, lambda dialect: dialect.overflow_codes)),
    ("content_filter", _says(_SAFETY, lambda dialect: dialect.safety_codes)),
    ("rate_limit", lambda seen: seen.status == 429 or (seen.status in (0, 200) and bool(_RATE.search(seen.words)))),
    ("auth", lambda seen: seen.status in (401, 403)),
    ("context_length_exceeded", lambda seen: seen.status in (400, 413) and seen.empty and seen.nearly_full),
    ("timeout", lambda seen: seen.status in (408, 504)),
    ("server", lambda seen: seen.status >= 500 or seen.status < _REFUSED or seen.status in (424, 498, 499)),
)


def _kind(seen: _Seen) -> FaultKind:
    for kind, test in _KINDS:
        if test(seen):
            return kind
    return "bad_request"


def classify(
    status: int,
    body: bytes,
    *,
    headers: dict[str, str] | None = None,
    dialect: Dialect = DEFAULT,
    nearly_full: bool = False,
) -> Fault:
    """The fault behind an answer that is none.

    Args:
        status: HTTP status (200 when an error came in its place).
        body: at most some kilobytes of the body.
        headers: lower-case names; only `retry-after` is read.
        dialect: the provider's own codes.
        nearly_full: the prompt fills most of the window (some servers refuse an overflow without a word).
    """
    complaint = read_complaint(body)
    return fault_of(complaint, status, headers=headers, dialect=dialect, nearly_full=nearly_full)


def fault_of(
    complaint: Complaint,
    status: int,
    *,
    headers: dict[str, str] | None = None,
    dialect: Dialect = DEFAULT,
    nearly_full: bool = False,
) -> Fault:
    """The same of a complaint that was read already; status 0 when it came inside a stream."""
    words = complaint.words
    codes = {word for word in (complaint.code, complaint.type) if word}
    lost = _LOST_TOOL_PARSE.search(words)
    heal = None if lost else heal_of(words)
    meant = (_status_in(complaint) or status) if status < _REFUSED else status
    seen = _Seen(meant, words, codes, heal, dialect, nearly_full, not words)
    kind = _kind(seen)
    message = complaint.message or complaint.type or complaint.code
    if complaint.param and complaint.param not in message and len(complaint.param) > len("messages"):
        message = f"{message} ({complaint.param})" if message else complaint.param
    wait = _retry_after(headers or {}, words) if kind in ("rate_limit", "server", "insufficient_quota") else None
    return Fault(kind, message, status or None, wait, heal, complaint.code or None)


def _status_in(complaint: Complaint) -> int:
    """Errors inside a stream, or in the place of an answer, carry an HTTP status as their code."""
    return int(complaint.code) if complaint.code.isdecimal() and len(complaint.code) == 3 else 0


_AGAIN = re.compile(
    r"(?:try again in|retry after|retry in)\s+(\d+(?:\.\d+)?)\s*(ms|s\b|sec|seconds?|m\b|minutes?)?", re.IGNORECASE
)


def _retry_after(headers: dict[str, str], words: str) -> float | None:
    try:
        return max(0.0, float(headers["retry-after"]))
    except (KeyError, ValueError):
        pass
    found = _AGAIN.search(words)
    if found is None:
        return None
    unit = (found.group(2) or "s").lower()
    return float(found.group(1)) * (0.001 if unit == "ms" else 60 if unit.startswith("m") else 1)


_SECRET = re.compile(
    r"\b(?:sk|pk|rk|gsk|xai|nvapi|key|tp|hf|ghp|github_pat|AIza)[-_][A-Za-z0-9_\-*.]{8,}|Bearer\s+\S{8,}|\bAIza[\w-]{20,}"
)


def masked(text: str, *secrets: str | None) -> str:
    """The text without these secrets and without anything that looks like a key."""
    for secret in secrets:
        if secret:
            text = text.replace(secret, "***")
    return _SECRET.sub("***", text)
