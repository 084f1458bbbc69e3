"""What an upstream refusal means: from status, headers and body to one kind of fault, in a fixed order of tests.

The order matters (quota words come with 403 and 429, an overflow phrase stands in a `max_tokens` complaint, a permanent
fault may be sent as 500), and it is the order of `_KINDS`. What a client is told about a kind stands in clients.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Literal

from msgspec import Struct

from codex_nexus.translate.complaints import Complaint, read_complaint
from codex_nexus.translate.dialect import DEFAULT, Dialect
from codex_nexus.translate.heals import heal_of
from codex_nexus.translate.waits import wait_of

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
        code: the upstream's own code, if it is more than an HTTP status.
        generation: what the model said, when the upstream refuses it for its form.
    """

    kind: FaultKind
    message: str
    status: int | None = None
    retry_after: float | None = None
    heal: str | None = None
    code: str | None = None
    generation: str = ""


_REFUSED = 400


def _any(*patterns: str) -> re.Pattern[str]:
    return re.compile("|".join(patterns), re.IGNORECASE)


_QUOTA = _any(
    r"insufficient[ _](?:account[ _])?(?:balance|quota|credits?|funds)", r"exceeded your current quota",
    r"exceeded_current_quota", r"usage limit", r"usage_limit_reached", r"(?:weekly|monthly) (?:usage )?limit",
    r"requires more credits", r"out of credits", r"account balance", r"overdue balance", r"AccountOverdue",
    r"arrearage", r"account is in good standing", r"AllocationQuota", r"credit_balance", r"credit balance is too low",
    r"billing[ _]hard[ _]limit", r"quota (?:has been )?exceeded.*(?:plan|billing)", r"plan has expired",
    r"balance (?:is )?(?:not enough|insufficient|too low|exhausted)", r"余额不足", r"欠费",
)  # fmt: skip
_RATE_CODE = _any(r"rate_limit_exceeded", r"tokens per minute", r"Throttling\.RateQuota")
_OVERFLOW = _any(
    r"context_length_exceeded", r"maximum context length", r"exceeded model token limit",
    r"reduce the length of (?:the|your) (?:messages|prompt|input)", r"Range of input length should be",
    r"context window exceeds limit", r"(?:input|prompt) tokens exceed",
    r"context length \d+ is (?:larger|longer|greater)",
    r"tokens in request more than max tokens", r"model_context_window_exceeded", r"maximum prompt length is \d+",
    r"\[?input_too_large\]?", r"exceeds budget \(\d+ tokens\)", r"exceeds? the available context size",
    r"exceed_context_size_error", r"trying to keep the first \d+ tokens", r"greater than the context length",
    r"prompt is longer than the context length", r"too large for model with \d+ maximum context",
    r"input token count.*exceeds the maximum", r"too many tokens", r"tokens_limit_reached", r"token limit exceeded",
    r"(?:prompt|input|request|conversation|messages|context) (?:is|are) too long", r"prompt_too_long",
    r"prompt exceeds max length", r"ContextWindowExceeded",
    r"context[_ ](?:length|window|size)[_ ](?:has been )?exceeded",
    r"exceed\w* (?:[\w']+ ){0,4}(?:context[_ ](?:length|window|size|limit)|(?:input|prompt) (?:length|token limit))",
    r"exceeds the limit of \d++(?! ?(?:[kmg]i?b\b|bytes|images?|requests?|tools?|functions?|files?|char))",
    r"tokens \+ .{0,20}max_(?:new_)?tokens", r"input length and .{0,3}max_tokens.{0,3} exceed",
    r"(?:上下文|输入|提示词).{0,20}(?:过长|超过|超出|超限)", r"(?:超过|超出).{0,20}(?:上下文|长度|最大 ?token)",
)  # fmt: skip
_LENGTH = _any(r"context", r"\btokens\b")
_ACCESS = _any(
    r"permission",
    r"denied",
    r"forbidden",
    r"(?:access|api|auth\w*|personal) tokens",
    r"expired",
    r"unauthorized",
    r"key\b",
)
_SAFETY = _any(
    r"data_?inspection_?failed", r"inappropriate content", r"unsafe or sensitive", r"RiskDetection", r"content_filter",
    r"content_policy", r"content management policy", r"sensitive content", r"moderation", r"new_sensitive",
    r"(?:input|prompt|request|content) (?:was|has been|is) flagged", r"responsible ai",
)  # fmt: skip
_RATE = _any(r"engine_overloaded", r"rate[ _]limit", r"too many requests", r"concurrency", r"slow down")
_KEY = _any(
    r"api[ _]?key (?:is |was )?(?:not valid|invalid|incorrect|expired|not found|missing)", r"invalid[ _]api[ _]?key",
    r"incorrect api key", r"api_key_invalid", r"invalidapikey", r"authentication_error", r"no auth credentials",
    r"login fail",
)  # fmt: skip
_LOST_TOOL_PARSE = _any(r"error parsing tool call")
_SOON_S = 300.0
"""A quota that comes back within so many seconds is a rate."""
_LATE_S = 3600.0
"""A rate that comes back only after so many seconds is a quota: nobody waits for it."""

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
    """What the tests look at; `wait` in seconds, `silent`: nothing was said."""

    status: int
    words: str
    codes: set[str]
    heal: str | None
    dialect: Dialect
    nearly_full: bool
    wait: float | None

    @property
    def silent(self) -> bool:
        return not self.words

    @property
    def inside(self) -> bool:
        """It came in the place of an answer, or inside one."""
        return self.status in (0, 200)


_Test = Callable[[_Seen], bool]


def _says(pattern: re.Pattern[str], codes: Callable[[Dialect], tuple[str, ...]]) -> _Test:
    return lambda seen: bool(pattern.search(seen.words)) or bool(seen.codes.intersection(codes(seen.dialect)))


_says_quota = _says(_QUOTA, lambda dialect: dialect.quota_codes)
_says_overflow = _says(_OVERFLOW, lambda dialect: dialect.overflow_codes)


def _comes_back_soon(seen: _Seen) -> bool:
    """Free plans call their limit a minute a quota."""
    return seen.status == 429 and seen.wait is not None and seen.wait <= _SOON_S and _says_quota(seen)


def _is_in_flight(seen: _Seen) -> bool:
    """Credits that running requests hold come back when these end."""
    return seen.status == 402 and "in_flight_budget" in seen.words and seen.wait is not None


def _is_too_long(seen: _Seen) -> bool:
    return _says_overflow(seen) and (seen.status != 429 or "context" in seen.words)


def _is_forbidden_length(seen: _Seen) -> bool:
    """Some hosts refuse a prompt that is too long with 403."""
    return seen.status == 403 and bool(_LENGTH.search(seen.words)) and not _ACCESS.search(seen.words)


def _is_silent_overflow(seen: _Seen) -> bool:
    return seen.status in (400, 413) and seen.silent and seen.nearly_full


_KINDS: tuple[tuple[FaultKind, _Test], ...] = (
    ("rate_limit", _comes_back_soon),
    ("rate_limit", _is_in_flight),
    ("insufficient_quota", lambda seen: seen.status == 402),
    ("insufficient_quota", _says_quota),
    ("rate_limit", _says(_RATE_CODE, lambda dialect: dialect.rate_codes)),
    ("bad_request", lambda seen: seen.heal is not None),
    ("context_length_exceeded", _is_too_long),
    ("content_filter", _says(_SAFETY, lambda dialect: dialect.safety_codes)),
    ("rate_limit", lambda seen: seen.status == 429 or (seen.inside and bool(_RATE.search(seen.words)))),
    ("context_length_exceeded", _is_forbidden_length),
    ("auth", lambda seen: seen.status in (401, 403)),
    ("auth", lambda seen: (seen.inside or seen.status == _REFUSED) and bool(_KEY.search(seen.words))),
    ("context_length_exceeded", _is_silent_overflow),
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
        headers: lower-case names; only what tells how long to wait is read.
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
    meant = (_status_in(complaint) or status) if status < _REFUSED else status
    heal = None if meant in _NEVER_HEALED or _LOST_TOOL_PARSE.search(words) else heal_of(words)
    wait = wait_of(headers or {}, words)
    kind = _kind(_Seen(meant, words, codes, heal, dialect, nearly_full, wait))
    if kind == "rate_limit" and wait is not None and wait > _LATE_S:
        kind = "insufficient_quota"
    return Fault(
        kind, _message(complaint), status or None, wait if kind in _WAITING else None, heal,
        None if _status_in(complaint) else complaint.code or None, complaint.generation,
    )  # fmt: skip


_NEVER_HEALED = (401, 403, 429)
_WAITING: tuple[FaultKind, ...] = ("rate_limit", "server", "insufficient_quota")


def _message(complaint: Complaint) -> str:
    message = complaint.message or complaint.type or complaint.code
    if complaint.param and complaint.param not in message and len(complaint.param) > len("messages"):
        return f"{message} ({complaint.param})" if message else complaint.param
    return message


def _status_in(complaint: Complaint) -> int:
    """Errors inside a stream, or in the place of an answer, carry an HTTP status as their code."""
    return int(complaint.code) if complaint.code.isdecimal() and len(complaint.code) == 3 else 0


_SECRET = re.compile(
    r"\b(?:sk|pk|rk|gsk|xai|nvapi|key|tp|hf|ghp|github_pat|AIza)[-_][A-Za-z0-9_\-*.]{8,}|Bearer\s+\S{8,}|\bAIza[\w-]{20,}"
)
_IN_ADDRESS = re.compile(r"(://[^\s/:@]*:)[^\s/@]+@")
"""The password in an address, such as a proxy's or a database's."""


def masked(text: str, *secrets: str | None) -> str:
    """The text without these secrets and without anything that looks like a key, or a password in an address."""
    for secret in secrets:
        if secret:
            text = text.replace(secret, "***")
    return _IN_ADDRESS.sub(r"\1***@", _SECRET.sub("***", text))
