from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from codex_nexus.translate.unwrap import Unwrapper

texts = st.text() | st.text(st.sampled_from('a"\\/\n\t\x00ü😀u{}d8'))


def unwrapped(*pieces: str) -> list[str]:
    unwrapper = Unwrapper()
    return [unwrapper.feed(piece) for piece in pieces]


@given(texts, st.booleans(), st.data())
def test_a_text_comes_out_however_its_literal_is_cut(text: str, ascii_only: bool, data: st.DataObject) -> None:
    arguments = json.dumps({"input": text}, ensure_ascii=ascii_only)
    at = sorted(data.draw(st.lists(st.integers(0, len(arguments)), max_size=5)))
    pieces = [arguments[start:end] for start, end in zip([0, *at], [*at, len(arguments)], strict=True)]
    assert "".join(unwrapped(*pieces)) == text


def test_text_is_told_as_soon_as_it_is_certain() -> None:
    assert unwrapped(' {"in', 'put" : "a', "b\\", "n\\u00", "e9", '"}') == ["", "a", "b", "\n", "é", ""]


def test_both_halves_of_an_emoji_are_awaited() -> None:
    assert unwrapped('{"input":"x\\ud83d', "\\ud", 'e00y"}') == ["x", "", "😀y"]


def test_an_escaped_backslash_does_not_begin_a_half() -> None:
    assert unwrapped('{"input":"\\\\ud83d', 'x"}') == ["\\ud83d", "x"]


@pytest.mark.parametrize(
    "arguments",
    ['{"cmd":"x"}', '{"input":1}', "plain", '{"input":{"a":"' + "x" * 80, '{"input":"\\ud83dx"}', '{"input":"a\nb"}'],
)
def test_other_forms_are_left_to_the_end(arguments: str) -> None:
    assert unwrapped(arguments, "more") == ["", ""]


def test_nothing_is_told_after_the_end() -> None:
    assert unwrapped('{"input":"a"', ',"input":"b"}') == ["a", ""]


@pytest.mark.parametrize(
    ("arguments", "is_open"),
    [
        ("", False),
        ('{"inp', False),
        ('{"input":"', True),
        ('{"input":"abc', True),
        ('{"input":"abc\\ud83d', True),
        ('{"input":"abc"', False),
        ('{"input":"C:\\users and more', False),
    ],
)
def test_it_is_open_between_the_beginning_of_the_text_and_its_end(arguments: str, is_open: bool) -> None:
    unwrapper = Unwrapper()
    unwrapper.feed(arguments)
    assert unwrapper.open is is_open
