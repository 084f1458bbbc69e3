from __future__ import annotations

import json
from typing import Any

import pytest

from codex_nexus.translate.complaints import Complaint
from codex_nexus.translate.dialect import Dialect
from codex_nexus.translate.faults import Fault, classify, fault_of, masked, window_in


def refusal(status: int, message: str = "", **fields: Any) -> Fault:
    return classify(status, json.dumps({"error": {"message": message} | fields}).encode())


@pytest.mark.parametrize(
    ("status", "message", "kind"),
    [
        (402, "Pay.", "insufficient_quota"),
        (403, "You've reached your usage limit", "insufficient_quota"),
        (429, "You exceeded your current quota", "insufficient_quota"),
        (413, "Limit 8000 tokens per minute", "rate_limit"),
        (500, "System message must be at the beginning.", "bad_request"),
        (400, "Prompt is too long", "context_length_exceeded"),
        (400, "Blocked by our content management policy", "content_filter"),
        (429, "Whatever", "rate_limit"),
        (200, "The engine: rate limit", "rate_limit"),
        (401, "No", "auth"),
        (403, "No", "auth"),
        (408, "", "timeout"),
        (504, "", "timeout"),
        (424, "", "server"),
        (503, "", "server"),
        (200, "odd", "server"),
        (500, "error parsing tool call: does not support this tool_choice", "server"),
        (404, "No such model", "bad_request"),
        (422, "", "bad_request"),
    ],
)
def test_the_first_test_that_fits_gives_the_kind(status: int, message: str, kind: str) -> None:
    assert refusal(status, message).kind == kind


@pytest.mark.parametrize("status", [400, 413])
def test_an_empty_refusal_of_a_nearly_full_prompt_is_an_overflow(status: int) -> None:
    assert classify(status, b"", nearly_full=True).kind == "context_length_exceeded"
    assert classify(status, b"").kind == "bad_request"
    assert classify(status, b"no", nearly_full=True).kind == "bad_request"


@pytest.mark.parametrize(
    ("field", "kind"),
    [
        ("quota_codes", "insufficient_quota"),
        ("rate_codes", "rate_limit"),
        ("overflow_codes", "context_length_exceeded"),
        ("safety_codes", "content_filter"),
    ],
)
def test_a_provider_may_have_codes_of_its_own(field: str, kind: str) -> None:
    dialect = Dialect(**{field: ("1234", "own_type")})
    for error in ({"code": 1234}, {"type": "own_type"}):
        assert classify(400, json.dumps({"error": error}).encode(), dialect=dialect).kind == kind
    assert classify(400, b'{"error":{"code":1234}}').kind == "bad_request"


@pytest.mark.parametrize(
    ("code", "kind"), [("429", "rate_limit"), ("401", "auth"), ("1302", "server"), ("²²²", "server")]
)
def test_inside_a_stream_the_code_may_be_a_status(code: str, kind: str) -> None:
    fault = fault_of(Complaint("m", code), 0)
    assert (fault.kind, fault.status, fault.code) == (kind, None, None if code in ("429", "401") else code)


def test_a_prompt_that_leaves_no_room_for_an_answer_is_an_overflow() -> None:
    message = "max_tokens is too large: 9. This model's maximum context length is 8192 tokens, has 9000 input tokens"
    assert refusal(400, message).kind == "context_length_exceeded"


def test_the_message_is_the_best_there_is() -> None:
    assert refusal(400, "m", param="messages").message == "m"
    assert refusal(400, "m", param="The cause stands here").message == "m (The cause stands here)"
    assert refusal(400, "", param="The cause stands here").message == "The cause stands here"
    assert refusal(400, "", type="bad").message == "bad"
    assert refusal(400, "", code="c1").message == "c1"


def test_only_who_may_be_asked_again_says_when() -> None:
    body = b'{"error": "Please try again in 3s."}'
    assert classify(429, body).retry_after == 3
    assert classify(429, body, headers={"retry-after": "9"}).retry_after == 9
    assert classify(503, body).retry_after == 3
    assert classify(401, body).retry_after is None


@pytest.mark.parametrize(
    ("wait", "message", "kind"),
    [
        ("20", "You exceeded your current quota, please check your plan", "rate_limit"),
        (None, "You exceeded your current quota, please check your plan", "insufficient_quota"),
        ("7000", "You exceeded your current quota, please check your plan", "insufficient_quota"),
        ("20", "slow down", "rate_limit"),
        ("7000", "slow down", "insufficient_quota"),
    ],
)
def test_what_comes_back_soon_is_a_rate_and_what_comes_back_late_a_quota(
    wait: str | None, message: str, kind: str
) -> None:
    headers = {"retry-after": wait} if wait else {}
    assert classify(429, json.dumps({"error": message}).encode(), headers=headers).kind == kind


def test_credits_that_are_in_flight_come_back() -> None:
    body = b'{"error":{"code":402,"message":"m","metadata":{"limit_source":"openrouter_in_flight_budget"}}}'
    assert classify(402, body, headers={"retry-after": "3"}).kind == "rate_limit"
    assert classify(402, body).kind == "insufficient_quota"
    assert classify(402, b'{"error":"m"}', headers={"retry-after": "3"}).kind == "insufficient_quota"


@pytest.mark.parametrize("status", [200, 400, 401, 403])
def test_a_wrong_key_is_a_wrong_key_whatever_the_status(status: int) -> None:
    assert refusal(status, "API key not valid. Please pass a valid API key.").kind == "auth"


def test_a_refusal_for_length_may_tell_the_window() -> None:
    assert window_in(refusal(400, "This model's maximum context length is 8192 tokens.")) == 8192
    assert window_in(refusal(400, "exceeds the available context size (25088 tokens)")) == 25088
    assert window_in(refusal(400, "prompt is too long")) is None
    assert window_in(refusal(500, "maximum context length is 8192")) == 8192
    assert window_in(Fault("server", "maximum context length is 8192")) is None


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("key sk-abcdefgh12345678 is wrong", "key *** is wrong"),
        ("Bearer abcdefghijkl", "***"),
        ("AIza" + "x" * 30, "***"),
        ("my-own-secret and nothing else", "*** and nothing else"),
        ("a skill", "a skill"),
    ],
)
def test_nothing_that_looks_like_a_key_is_shown(text: str, shown: str) -> None:
    assert masked(text, "my-own-secret", None, "") == shown
