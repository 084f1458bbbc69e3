"""How long a provider asks to wait, in seconds: its headers first, then its words. Knows no clock but the answer's own.

Read are `retry-after-ms`, `retry-after` (seconds or a date), `x-ratelimit-reset-requests/-tokens` (`1m26.4s`) of the
budget that is used up, and `x-ratelimit-reset` (seconds, or a moment since 1970 in seconds or milliseconds).
"""

from __future__ import annotations

import re
from email.utils import parsedate_to_datetime

_LONGEST_S = 86_400.0
"""Nobody waits longer than a day; a larger number is a slip."""
_MILLISECONDS, _MOMENT = 1e11, 1e9
"""Above these a number is a moment since 1970."""

_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86_400.0}
_DURATION = re.compile(r"(?:\d+(?:\.\d+)?(?:ms|[smhd]))+")
_PIECE = re.compile(r"(\d+(?:\.\d+)?)(ms|[smhd])")
_AGAIN = re.compile(
    r"(?:try again (?:in|after)|retry[- ]after|retry (?:your request )?in|resets? in|reset after|wait(?: for)?)\W{0,3}"
    r"(?:about |at least |another )?"
    r"(?:(?P<span>(?:\d+(?:\.\d+)?(?:ms|[smhd]))+)\b"
    r"|(?P<number>\d+(?:\.\d+)?)\s*(?P<unit>milli|sec|min|hour|day)?)",
    re.IGNORECASE,
)


def wait_of(headers: dict[str, str], words: str) -> float | None:
    """Seconds to wait, at most a day; None when nobody says.

    Args:
        headers: of the refusal, names in lower case; `date` is the provider's clock.
        words: all that the refusal says.
    """
    for wait in (_after(headers), _reset(headers), _worded(words)):
        if wait is not None:
            return min(max(0.0, wait), _LONGEST_S)
    return None


def _after(headers: dict[str, str]) -> float | None:
    milliseconds = _number(headers.get("retry-after-ms"))
    if milliseconds is not None:
        return milliseconds / 1000
    said = headers.get("retry-after", "")
    wait = _number(said)
    if wait is not None:
        return wait
    moment, now = _date(said), _date(headers.get("date", ""))
    return moment - now if moment is not None and now is not None and moment > now else None


def _reset(headers: dict[str, str]) -> float | None:
    used_up = [
        _span(headers.get(f"x-ratelimit-reset-{budget}", ""), headers)
        for budget in ("requests", "tokens")
        if _number(headers.get(f"x-ratelimit-remaining-{budget}")) == 0
    ]
    waits = [wait for wait in used_up if wait is not None]
    return max(waits) if waits else _span(headers.get("x-ratelimit-reset", ""), headers)


def _span(said: str, headers: dict[str, str]) -> float | None:
    if _DURATION.fullmatch(said):
        return _lasting(said)
    value = _number(said)
    if value is None or value < _MOMENT:
        return value
    now = _date(headers.get("date", ""))
    moment = value / 1000 if value >= _MILLISECONDS else value
    return moment - now if now is not None and moment > now else None


def _worded(words: str) -> float | None:
    found = _AGAIN.search(words)
    if found is None:
        return None
    if found["span"]:
        return _lasting(found["span"].lower())
    unit = (found["unit"] or "sec").lower()
    return float(found["number"]) * _UNITS["ms" if unit == "milli" else unit[0]]


def _lasting(span: str) -> float:
    return sum(float(number) * _UNITS[unit] for number, unit in _PIECE.findall(span))


def _number(said: str | None) -> float | None:
    try:
        value = float(said or "")
    except ValueError:
        return None
    return value if value == value and abs(value) != float("inf") else None  # noqa: PLR0124 - not a number


def _date(said: str) -> float | None:
    try:
        return parsedate_to_datetime(said).timestamp()
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
