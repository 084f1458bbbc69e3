"""What is left of bodies and events when keys are masked and words are taken out."""

from __future__ import annotations

import contextlib
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from codex_nexus.gateway.cuts import MOST_BYTES, Tape, length, shortened
from codex_nexus.gateway.wordless import Look

WORDLESS = Look(set(), words=False)
WORDED = Look({"a-known-key"}, words=True)


def without(value: Any, **more: Any) -> Any:
    return WORDLESS.json(json.dumps(value).encode(), **more)


@pytest.mark.parametrize(
    "value",
    [
        {"type": "function_call", "call_id": "c1", "name": "shell", "status": "completed", "role": "user"},
        {"model": "org/model-1:free", "finish_reason": "tool_calls", "usage": {"prompt_tokens": 3}, "stream": True},
        {
            "tools": [
                {"type": "function", "function": {"name": "f", "parameters": {"enum": ["a b"], "required": ["q r"]}}}
            ]
        },
        {"error": {"message": "The field 'x' is not supported.", "type": "invalid", "code": None}},
        {"response": {"error": {"message": "two words"}, "incomplete_details": {"reason": "max_output_tokens"}}},
        {"type": "error", "message": "two words", "code": "x"},
        {"detail": [{"loc": ["body", "x"], "msg": "two words", "type": "missing"}]},
        {"reasoning": {"effort": "high", "summary": "auto"}, "thinking": {"type": "enabled"}},
        [{"error": {"message": "in a list"}}],
    ],
)
def test_what_is_no_word_stays(value: Any) -> None:
    assert without(value) == value


@pytest.mark.parametrize(
    ("value", "left"),
    [
        ({"instructions": "ab"}, {"instructions": "<2 characters>"}),
        ({"input": "ab"}, {"input": "<2 characters>"}),
        ({"delta": "ab"}, {"delta": "<2 characters>"}),
        ({"content": ["ab", {"text": ""}]}, {"content": ["<2 characters>", {"text": ""}]}),
        ({"image_url": {"url": "data:x"}}, {"image_url": {"url": "<6 characters>"}}),
        ({"arguments": '{"a":1}'}, {"arguments": "<7 characters>"}),
        ({"arguments": {"name": "x", "id": 7}}, {"arguments": {"name": "<1 characters>", "id": 7}}),
        ({"metadata": {"two words": "x"}}, {"metadata": {"<9 characters>": "<1 characters>"}}),
        ({"name": "a whole sentence"}, {"name": "<16 characters>"}),
        ({"name": "一句话"}, {"name": "<3 characters>"}),
        ({"summary": "short"}, {"summary": "<5 characters>"}),
        ({"nobody_knows": "x"}, {"nobody_knows": "<1 characters>"}),
        ({"choices": [{"message": "x"}]}, {"choices": [{"message": "<1 characters>"}]}),
        ({"logprobs": {"content": [{"token": "x", "bytes": [104, 105]}]}},
         {"logprobs": {"content": [{"token": "***", "bytes": "<2 values>"}]}}),
        ({"parameters": {"properties": {"title": {"type": "string", "title": "ab", "default": "c"}}}},
         {"parameters": {"properties": {"title": {"type": "string", "title": "<2 characters>", "default": "<1 characters>"}}}}),
        ({"error": {"message": "two words", "failed_generation": "ab"}},
         {"error": {"message": "two words", "failed_generation": "<2 characters>"}}),
        ({"error": {"metadata": {"raw": '{"error":{"message":"two words","failed_generation":"ab"}}'}}},
         {"error": {"metadata": {"raw": '{"error":{"message":"two words","failed_generation":"<2 characters>"}}'}}}),
    ],
)  # fmt: skip
def test_words_are_replaced_by_their_length(value: Any, left: Any) -> None:
    assert without(value) == left


def test_a_refusal_is_an_error_whatever_its_shape() -> None:
    assert without({"status": "two words", "x": {"y": "three"}}, refused=True) == {
        "status": "two words",
        "x": {"y": "three"},
    }
    assert WORDLESS.text("Bad Gateway", refused=True) == "Bad Gateway"
    assert WORDLESS.text("Bad Gateway") == "<11 characters, no JSON>"


def test_keys_go_also_when_words_stay() -> None:
    given_ = {
        "text": "x a-known-key y",
        "api_key": "plain",
        "a": 'say {"password": "abcdefgh"}',
        "Authorization": "Basic x",
    }
    shown = WORDED.json(json.dumps(given_).encode())
    assert shown == {"text": "x *** y", "api_key": "***", "a": 'say {"password": "***"}', "Authorization": "***"}


@pytest.mark.parametrize(
    ("block", "left"),
    [
        ("data: [DONE]\n\n", "data: [DONE]\n\n"),
        ('event: response.created\r\ndata: {"type":"x"}\r\n', 'event: response.created\r\ndata: {"type":"x"}\r\n'),
        ('data:{"delta":"ab"}\n\n', 'data:{"delta":"<2 characters>"}\n\n'),
        ('data: {"a":\ndata: "bc"}\n\n', 'data: {"a":"<2 characters>"}\n'),
        ('data: {"a":"b"}\ndata: {"a":"c"}\n', 'data: {"a":"<1 characters>"}\ndata: {"a":"<1 characters>"}\n'),
        ("data: {oops\n\n", "data: <5 characters, no JSON>\n\n"),
        (": some words\n\n", ": <10 characters, no JSON>\n\n"),
        ("event: some words\n", "event: <10 characters>\n"),
        ("some words\n", "<10 characters, no JSON>\n"),
        ('{"error":{"message":"some words"}}\n', '{"error":{"message":"some words"}}\n'),
        ("data:\n\n", "data:\n\n"),
        ("\n\n", "\n\n"),
        ("", ""),
    ],
)  # fmt: skip
def test_lines_of_streams(block: str, left: str) -> None:
    assert WORDLESS.block(block).rstrip("\n") == left.rstrip("\n")


LINES = (
    "data: {oops",
    'data: {"a": 1.50}',
    "data: [",
    "data:1 ]",
    'data:"x"',
    ": words",
    "event: x y",
    "junk",
    "",
    "data",
    "é{}",
)


@given(st.lists(st.tuples(st.sampled_from(LINES), st.sampled_from(("\n", "\r\n", "\r")))))
def test_with_words_a_block_without_keys_stays_as_it_came(lines: list[tuple[str, str]]) -> None:
    block = "".join(line + end for line, end in lines)
    assert WORDED.block(block) == block


def test_what_stands_twice_is_hidden_twice() -> None:
    twice = '{"text":"sk-0123456789abcdef","text":"x","call_id":"two words","call_id":"c"}'
    assert "0123456789" not in WORDED.block(f"data: {twice}\n\n")
    assert WORDLESS.block(f"data: {twice}") == 'data: {"text":"<1 characters>","call_id":"c"}'


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(), lambda x: st.lists(x) | st.dictionaries(st.text(), x)
    )
)
def test_any_json_can_be_shown(value: Any) -> None:
    for look in (WORDED, WORDLESS):
        if isinstance(value, (dict, list)):
            assert look.json(json.dumps(value).encode()) is not None
        assert isinstance(look.block(f"data: {json.dumps(value)}\n\n"), str)


def test_json_that_cannot_be_shown_is_no_json() -> None:
    for data in (b"", b"7", b'"text"', b"{", b"[" * 5000, b"\xff\xfe", b'{"a":' * 900 + b"1" + b"}" * 900):
        for look in (WORDED, WORDLESS):
            with contextlib.suppress(ValueError):
                assert look.json(data)


# --- bounds


def test_a_tape_keeps_beginning_and_end() -> None:
    now = [0.0]
    tape = Tape(lambda: now[0])
    for n in range(40_000):
        now[0] = n / 100
        tape.add(b"piece %06d of many\n" % n)
    head, missing, tail = tape.pieces()
    assert head.startswith(b"piece 000000 of")
    assert tail.endswith(b"of many\n")
    assert len(head) + missing + len(tail) == tape.total
    assert tape.held <= 2 * MOST_BYTES
    assert tape.time_of(0) == 0.0
    assert tape.time_of(len(b"piece 000000 of many\n") * 100) == pytest.approx(1.0)


def test_a_body_that_fits_is_the_same_object() -> None:
    body = b"x" * MOST_BYTES
    assert shortened(body) is body


def test_a_large_body_stays_json_and_tells_its_lengths() -> None:
    body = {"input": [{"text": "word " * 300_000, "image": "QUJD" * 300_000}], "n": 1}
    short = json.loads(shortened(json.dumps(body).encode()))
    assert short["n"] == 1
    assert length(short["input"][0]["text"]) == 1_500_000
    assert length(short["input"][0]["image"]) == 1_200_000


@pytest.mark.parametrize(
    "body", [b"word " * 300_000, json.dumps(list(range(300_000))).encode(), b"[" * 2_000_000, b"x" * 2_000_000]
)
def test_a_large_body_that_cannot_be_shortened_is_cut(body: bytes) -> None:
    short = shortened(body)
    assert len(short) <= MOST_BYTES + 100
    assert b"bytes were cut here" in short
