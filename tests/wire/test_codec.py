from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Raw
from tests import strategies as some

from codex_nexus.wire import codec

DEEP = b"[" * 100_000 + b"]" * 100_000
any_text = st.text() | st.text(st.sampled_from('a\ud83d\ude00"\\\n😀'))


def test_plain_values_become_json_and_come_back() -> None:
    assert codec.encode({"a": [1, None]}) == b'{"a":[1,null]}'
    assert codec.decode_any(b'{"a":[1,null]}') == {"a": [1, None]}


def test_what_is_nested_too_deeply_is_refused_like_broken_json() -> None:
    with pytest.raises(msgspec.DecodeError):
        codec.decode_any(DEEP)
    with pytest.raises(ValueError, match="deep"):
        codec.decode_lenient(DEEP)


@pytest.mark.parametrize(
    ("data", "value"),
    [
        (b'"a\nb"', "a\nb"),
        (b'"\xff"', "\ufffd"),
        (rb'"\ud83d"', "\ufffd"),
        (rb'"\ud83d\ude00"', "😀"),
        (b"[Infinity]", [float("inf")]),
    ],
)
def test_a_lenient_reader_takes_what_strict_ones_refuse(data: bytes, value: Any) -> None:
    assert codec.decode_lenient(data) == value


def test_halves_stay_for_somebody_who_joins_them() -> None:
    assert codec.decode_lenient(rb'"\ud83d"', halves=True) == "\ud83d"


def test_even_a_lenient_reader_wants_json() -> None:
    with pytest.raises(ValueError, match="Expecting"):
        codec.decode_lenient(b"{")


@given(some.odd_values)
def test_any_decoded_value_can_be_encoded(value: Any) -> None:
    json.loads(codec.encode_any(value).decode())


def test_halves_are_encoded_as_replacement_characters() -> None:
    assert json.loads(codec.encode_any({"a": "x\ud83d"})) == {"a": "x\ufffd"}


def test_a_value_is_an_object_or_a_list_or_neither() -> None:
    assert (codec.as_object({"a": 1}), codec.as_list([1])) == ({"a": 1}, [1])
    assert (codec.as_object([1]), codec.as_list({"a": 1})) == (None, None)


@given(any_text)
def test_a_text_survives_its_literal(text: str) -> None:
    literal = codec.to_text(text)
    assert codec.is_text(literal)
    assert codec.of_text(literal) == codec.whole(text)
    assert codec.is_blank(literal) == (text == "")


@given(st.lists(any_text, min_size=1, max_size=4), some.texts)
def test_texts_are_joined_without_being_decoded(texts: list[str], between: str) -> None:
    joined = codec.join_texts([codec.to_text(text) for text in texts], between)
    assert codec.of_text(joined) == between.join(codec.whole(text) for text in texts)


def test_null_and_nothing_are_no_value() -> None:
    assert codec.is_null(Raw())
    assert codec.is_null(Raw(b"null"))
    assert not codec.is_null(Raw(b'""'))
    assert not codec.is_text(Raw(b"[]"))


@given(any_text)
def test_a_whole_text_can_be_encoded_and_loses_only_lone_halves(text: str) -> None:
    whole = codec.whole(text)
    whole.encode()
    assert whole.replace("\ufffd", "") == text.encode("utf-16", "surrogatepass").decode("utf-16", "ignore").replace(
        "\ufffd", ""
    )


@given(any_text)
def test_mended_escapes_are_legal_and_mean_the_same(text: str) -> None:
    mended = codec.mend_escapes(json.dumps([text]).encode())
    assert msgspec.json.decode(mended) == [codec.whole(text)]


def test_an_escaped_backslash_before_ud83d_is_no_half() -> None:
    assert codec.mend_escapes(rb'"\\ud83d \ud83d"') == rb'"\\ud83d \ufffd"'
    assert codec.mend_escapes(rb'"\\ud83d"') == rb'"\\ud83d"'
