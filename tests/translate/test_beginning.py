from __future__ import annotations

import pytest

from codex_nexus.translate.beginning import Beginning
from codex_nexus.translate.dialect import DEFAULT, Dialect

WORD = b'data: {"choices":[{"delta":{"content":"hi"}}]}\n\n'
ROLE = b'data: {"choices":[{"delta":{"role":"assistant","content":""}}]}\n\n'
ERROR = b'data: {"error":{"message":"no"}}\n\n'


def beginning(*pieces: bytes, closed: bool = False, dialect: Dialect = DEFAULT) -> Beginning:
    begun = Beginning(dialect)
    for piece in pieces:
        begun.receive_data(piece)
    if closed:
        begun.close()
    return begun


@pytest.mark.parametrize("said", [b"", b"\n\r\n", b": a\n\n: b", b"\xef\xbb", b"\xef\xbb\xbf\n: x\r", b" \t\n"])
def test_comments_and_empty_lines_say_nothing(said: bytes) -> None:
    assert beginning(said).silent
    assert not beginning(said).begun
    assert beginning(said, closed=True).begun
    assert not beginning(said, closed=True).strange


@pytest.mark.parametrize("said", [b"data", b":\ndata: {", b"{", b"x", b"\x00", b"\xef\xbb\xbf{"])
def test_everything_else_says_something(said: bytes) -> None:
    assert not beginning(said).silent


@pytest.mark.parametrize("cut", range(1, len(WORD)))
def test_it_has_begun_with_its_first_event(cut: int) -> None:
    begun = beginning(WORD[:cut])
    assert not begun.begun
    begun.receive_data(WORD[cut:])
    assert (begun.begun, begun.settled, begun.answers, begun.fault, begun.strange) == (True, True, True, None, False)


def test_a_role_is_no_word() -> None:
    begun = beginning(ROLE)
    assert (begun.begun, begun.settled) == (True, False)
    begun.receive_data(ERROR)
    assert begun.settled
    assert begun.fault is not None
    assert begun.fault.message == "no"
    begun.receive_data(WORD)
    assert begun.fault is not None


def test_a_fault_behind_a_word_is_not_the_beginning() -> None:
    assert beginning(WORD, ERROR).fault is None
    assert beginning(WORD + ERROR).fault is None


def test_a_value_tells_itself_at_its_end() -> None:
    whole = b'{"error": {"message": "no"}}'
    assert not beginning(whole).begun
    at_end = beginning(whole, closed=True)
    assert at_end.fault is not None
    assert not at_end.strange
    assert beginning(b'{"choices": [{"message": {"content": "hi"}}]}', closed=True).answers
    assert beginning(b'{"object": "response", "output": []}', closed=True).answers
    assert beginning(b"[" * (1 << 17)).begun


def test_the_other_wire_has_faults_of_its_own() -> None:
    failed = b'data: {"type":"response.failed","response":{"status":"failed","error":{"message":"no"}}}\n\n'
    assert beginning(failed, dialect=Dialect(wire="responses")).fault is not None


@pytest.mark.parametrize(
    ("said", "excerpt"),
    [
        (b"<html><title>Sign\n in</title>", "Sign in"),
        (b"<!doctype html><style>a</style><p>Fish &amp; chips</p>", "Fish & chips"),
        (b"<html><!-- a --><script>let a = '<b>'", ""),
        (b"Not Found.", "Not Found."),
        (b"OK", "OK"),
        (b"\x00\x01\x02", ""),
        (b"[1]", "[1]"),
        (b'{"a": 1}', '{"a": 1}'),
    ],
)
def test_what_is_no_answer_shows_what_it_is(said: bytes, excerpt: str) -> None:
    begun = beginning(said, closed=True)
    assert begun.strange
    assert begun.excerpt() == excerpt


def test_a_word_that_is_cut_is_not_shown() -> None:
    assert beginning(b"Hello, my key is sk-01").excerpt() == "Hello, my key is"


@pytest.mark.parametrize("said", [b"event: x\n\n", b"id: 1\n", b"retry: 5\n\n", b"data: [DONE]\n\n", b"data: x"])
def test_a_stream_without_an_answer_is_a_stream(said: bytes) -> None:
    assert not beginning(said, closed=True).strange
