from __future__ import annotations

import json
from typing import Any

import pytest

from codex_nexus.translate.dialect import Dialect
from codex_nexus.translate.faults import (
    Complaint,
    Fault,
    classify,
    fault_of,
    heal_of,
    masked,
    read_complaint,
    window_in,
)

LONG = "x" * 3000


def refusal(status: int, message: str = "", **fields: Any) -> Fault:
    return classify(status, json.dumps({"error": {"message": message} | fields}).encode())


@pytest.mark.parametrize(
    ("body", "complaint"),
    [
        ({"error": {"message": "m", "code": 5, "type": "t", "param": "p"}}, Complaint("m", "5", "t", "p")),
        ({"error": {"detail": "m", "status": "S"}}, Complaint("m", "", "S")),
        ({"error": {"message": "m", "failed_generation": "<f>"}}, Complaint("m", generation="<f>")),
        ({"error": {"message": "m", "metadata": {"raw": '{"error":{"message":"inner"}}'}}}, Complaint("m: inner")),
        ({"error": {"message": "m", "metadata": {"raw": "<html>"}}}, Complaint("m: <html>")),
        ({"error": {"message": "m", "metadata": {"raw": 5}}}, Complaint("m")),
        ({"error": {"message": {"a": [1]}}}, Complaint('{"a":[1]}')),
        ({"error": "m"}, Complaint("m")),
        ({"error": "m", "code": "c"}, Complaint("m", "c")),
        ({"error": "Not Found", "message": "m"}, Complaint("m")),
        ({"error": True, "message": {"a": 1}}, Complaint("True")),
        ([{"error": {"message": "m"}}], Complaint("m")),
        ([], Complaint()),
        ({"code": 7, "message": "m"}, Complaint("m", "7")),
        ({"code": "1302", "msg": "m", "success": False}, Complaint("m", "1302")),
        ({"object": "error", "message": {"detail": "m"}}, Complaint("m")),
        ({"detail": [{"loc": ["body"]}]}, Complaint('[{"loc":["body"]}]')),
        ({"type": "about:blank", "title": "Gone"}, Complaint("Gone", "", "about:blank")),
        ({"base_resp": {"status_code": 1008, "status_msg": "m"}}, Complaint("m", "1008")),
        ("m", Complaint("m")),
        (None, Complaint()),
    ],
)
def test_a_complaint_is_found_in_every_shape(body: Any, complaint: Complaint) -> None:
    assert read_complaint(json.dumps(body).encode()) == complaint


@pytest.mark.parametrize(
    ("body", "complaint"),
    [
        (b"", Complaint()),
        (b"  \n", Complaint()),
        (b"<html>502</html>", Complaint()),
        (b"upstream connect error", Complaint("upstream connect error")),
        (b'data: {"error":{"message":"m"}}\n\n', Complaint("m")),
        (b'{"error":{"message":"\\ud83d"}}', Complaint("\ufffd")),
        (b"\xff", Complaint("\ufffd")),
        (b"[" * 900 + b'{"error":"m"}' + b"]" * 900, Complaint("m")),
        (LONG.encode(), Complaint(LONG[:2000])),
        (json.dumps({"error": LONG}).encode(), Complaint(LONG[:2000])),
    ],
    ids=lambda value: None,
)
def test_a_body_that_is_no_json_is_its_own_complaint(body: bytes, complaint: Complaint) -> None:
    assert read_complaint(body) == complaint


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
    assert (fault.kind, fault.status, fault.code) == (kind, None, code)


@pytest.mark.parametrize(
    ("words", "heal"),
    [
        ("max_tokens too large: expected a value <= 32768", "clamp_max_tokens:32768"),
        ("fewer max_tokens. You can only afford 120", "clamp_max_tokens:120"),
        (
            "max_tokens is too large: 9. maximum context length is 8192 tokens, has 1210 input tokens",
            "clamp_max_tokens:6982",
        ),
        ("max_tokens is too large: 9. maximum context length is 8192 tokens, has 9000 input tokens", None),
        ("max_tokens is too large", "clamp_max_tokens"),
        ('Unknown name "store": Cannot find field.', "drop_field:store"),
        ("property 'user' is unsupported", "drop_field:user"),
        ("Unrecognized request argument supplied: top_k", "drop_field:top_k"),
        ("Unsupported parameter: 'temperature'", "drop_field:temperature"),
        ("This model does not support parameter presence_penalty", "drop_field:presence_penalty"),
        ("Extra inputs are not permitted, field: 'prompt_cache_key', value: 'x'", "drop_field:prompt_cache_key"),
        ("'parallel_tool_calls' is not supported by this model.", "drop_field:parallel_tool_calls"),
        (
            "Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead.",
            "use_field:max_completion_tokens",
        ),
        ("'messages' must contain the word 'json' in some form", "add_json_word"),
        ("This response_format type is unavailable now", "weaker_format"),
        ("json mode cannot be combined with tool/function calling", "no_format_with_tools"),
        ("Reasoning is mandatory for this endpoint and cannot be disabled", "thinking_on"),
        ("`reasoning_effort` must be one of `low`, `medium` or `high`", "effort:low,medium,high"),
        (
            "Unsupported value: 'reasoning_effort' does not support 'minimal' with this model. Supported values are: 'low', 'medium', and 'high'.",
            "effort:low,medium,high",
        ),
        ("Invalid reasoning effort", "effort"),
        ('"llama3" does not support thinking', "effort"),
        (
            "image input is not supported - hint: if this is unexpected, you may need to provide the mmproj",
            "strip_images",
        ),
        ("Model only support text input", "strip_images"),
        ("No endpoints found that support image input", "strip_images"),
        ("messages[1]: unknown variant `image_url`, expected `text`", "strip_images"),
        ("Unknown parameter: 'tools'", None),
        ("something else", None),
    ],
)
def test_a_wording_names_its_repair(words: str, heal: str | None) -> None:
    assert heal_of(words) == heal


def test_a_prompt_that_leaves_no_room_for_an_answer_is_an_overflow() -> None:
    message = "max_tokens is too large: 9. This model's maximum context length is 8192 tokens, has 9000 input tokens"
    assert refusal(400, message).kind == "context_length_exceeded"


def test_the_message_is_the_best_there_is() -> None:
    assert refusal(400, "m", param="messages").message == "m"
    assert refusal(400, "m", param="The cause stands here").message == "m (The cause stands here)"
    assert refusal(400, "", param="The cause stands here").message == "The cause stands here"
    assert refusal(400, "", type="bad").message == "bad"
    assert refusal(400, "", code="c1").message == "c1"


@pytest.mark.parametrize(
    ("headers", "message", "wait"),
    [
        ({"retry-after": "12"}, "", 12),
        ({"retry-after": "-1"}, "", 0),
        ({"retry-after": "Wed, 21 Oct 2026 07:28:00 GMT"}, "try again in 3s", 3),
        ({}, "Please try again in 250ms.", 0.25),
        ({}, "Retry after 7 seconds", 7),
        ({}, "retry in 2 minutes", 120),
        ({}, "try again in 1.5", 1.5),
        ({}, "try again later", None),
    ],
)
def test_the_time_to_wait_is_in_the_header_or_in_the_words(
    headers: dict[str, str], message: str, wait: float | None
) -> None:
    body = json.dumps({"error": message}).encode()
    assert classify(429, body, headers=headers).retry_after == wait
    assert classify(401, body, headers=headers).retry_after is None


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
