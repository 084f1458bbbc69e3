"""How long a provider asks to wait, in all the forms in which it is said."""

from __future__ import annotations

import pytest

from codex_nexus.translate.waits import wait_of

NOW = {"date": "Sun, 22 Nov 2026 12:00:00 GMT"}


@pytest.mark.parametrize(
    ("headers", "wait"),
    [
        ({"retry-after": "12"}, 12),
        ({"retry-after": "1.5"}, 1.5),
        ({"retry-after": "-1"}, 0),
        ({"retry-after": "nan"}, None),
        ({"retry-after": "1e99"}, 86_400),
        ({"retry-after": "9999999"}, 86_400),
        ({"retry-after-ms": "250", "retry-after": "1"}, 0.25),
        ({"retry-after": "Sun, 22 Nov 2026 12:00:30 GMT", **NOW}, 30),
        ({"retry-after": "Sun, 22 Nov 2026 11:00:00 GMT", **NOW}, None),
        ({"retry-after": "Sun, 22 Nov 2026 12:00:30 GMT"}, None),
        ({"retry-after": "soon", **NOW}, None),
        ({"x-ratelimit-reset-requests": "1m26.4s", "x-ratelimit-remaining-requests": "0"}, 86.4),
        ({"x-ratelimit-reset-tokens": "6ms", "x-ratelimit-remaining-tokens": "0"}, 0.006),
        ({"x-ratelimit-reset-tokens": "2h0m3s", "x-ratelimit-remaining-tokens": "0"}, 7203),
        ({"x-ratelimit-reset-tokens": "7", "x-ratelimit-remaining-tokens": "0"}, 7),
        ({"x-ratelimit-reset-tokens": "7s", "x-ratelimit-remaining-tokens": "99"}, None),
        (
            {
                "x-ratelimit-reset-requests": "9s", "x-ratelimit-remaining-requests": "3",
                "x-ratelimit-reset-tokens": "4s", "x-ratelimit-remaining-tokens": "0",
            },
            4,
        ),
        ({"x-ratelimit-reset": "20"}, 20),
        ({"x-ratelimit-reset": "1795348820", **NOW}, 20),
        ({"x-ratelimit-reset": "1795348820000", **NOW}, 20),
        ({"x-ratelimit-reset": "1795348820"}, None),
        ({"x-ratelimit-reset": "tomorrow"}, None),
        ({"retry-after": "3", "x-ratelimit-reset": "20"}, 3),
    ],
)  # fmt: skip
def test_headers_say_how_long(headers: dict[str, str], wait: float | None) -> None:
    assert wait_of(headers, "") == pytest.approx(wait)


@pytest.mark.parametrize(
    ("words", "wait"),
    [
        ("Rate limit reached. Please try again in 1.5s. Visit ...", 1.5),
        ("Please try again in 250ms.", 0.25),
        ("Please try again in 250 milliseconds.", 0.25),
        ("Please try again in 7m12.5s.", 432.5),
        ("Retry after 7 seconds", 7),
        ("retry-after: 20", 20),
        ("Please retry in 23.4s.", 23.4),
        ("retry in 2 minutes", 120),
        ("You can try again after 1 hour", 3600),
        ("Please wait for 30 seconds before the next call", 30),
        ("Your limit resets in 45 sec", 45),
        ("try again in about 3 seconds", 3),
        ("try again in 1.5", 1.5),
        ("try again later", None),
        ("wait", None),
        ("", None),
    ],
)
def test_words_say_how_long(words: str, wait: float | None) -> None:
    assert wait_of({}, words) == wait


def test_headers_are_believed_before_words() -> None:
    assert wait_of({"retry-after": "2"}, "try again in 9s") == 2
    assert wait_of({"retry-after": "Wed, 21 Oct 2026 07:28:00 GMT"}, "try again in 9s") == 9
