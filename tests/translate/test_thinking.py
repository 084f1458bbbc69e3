from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from codex_nexus.translate.thinking import Halves, Incremental, ThinkSplitter

LONG = "The build fails because the header is missing."


def split(*pieces: str, inside: bool = False) -> tuple[str, str]:
    splitter = ThinkSplitter(inside=inside)
    found = [splitter.feed(piece) for piece in pieces] + [splitter.close()]
    return "".join(thought for thought, _ in found), "".join(text for _, text in found)


@pytest.mark.parametrize(
    ("answer", "thought", "text"),
    [
        ("<think>plan</think>Done.", "plan", "Done."),
        ("\n<think>\nplan\n</think>\n\nDone.\n", "plan\n", "Done.\n"),
        ("<think></think>Done.", "", "Done."),
        ("<think>never closed", "never closed", ""),
        ("<think>almost </thin", "almost </thin", ""),
        ("<think>", "", ""),
        ("Use <think> here </think>", "", "Use <think> here </think>"),
        ("<think>a</think>b<think>c</think>", "a", "b<think>c</think>"),
        ("<thin air", "", "<thin air"),
        ("<thinking>plan</think> it</thinking>Done.", "plan</think> it", "Done."),
        ("<thought>plan</thought>Done.", "plan", "Done."),
        ("<reasoning>plan</reasoning>\nDone.", "plan", "Done."),
        ("<seed:think>plan</seed:think>Done.", "plan", "Done."),
        ("[THINK]plan[/THINK]Done.", "plan", "Done."),
        ("\u25c1think\u25b7plan\u25c1/think\u25b7Done.", "plan", "Done."),
        ("[THE] end", "", "[THE] end"),
        ("[1] is a source", "", "[1] is a source"),
        ("  <thi", "", "  <thi"),
        ("  text", "", "  text"),
        (" \n", "", ""),
        ("", "", ""),
    ],
)
def test_only_a_leading_block_is_a_thought(answer: str, thought: str, text: str) -> None:
    assert split(answer) == (thought, text)
    assert split(*answer) == (thought, text)


@pytest.mark.parametrize(
    ("answer", "thought", "text"),
    [
        ("plan</think>\n\nDone.", "plan", "Done."),
        ("\nplan\n</think>Done.", "\nplan\n", "Done."),
        ("</think>Done.", "", "Done."),
        ("<think>plan</think>Done.", "plan", "Done."),
        ("a < b</think>Done. </think>", "a < b", "Done. </think>"),
        ("plan without an end", "plan without an end", ""),
        ("plan </thin", "plan </thin", ""),
        ("<thi", "<thi", ""),
        (" \n", "", ""),
        ("", "", ""),
    ],
)
def test_a_block_that_the_prompt_opened_ends_at_the_lone_tag(answer: str, thought: str, text: str) -> None:
    assert split(answer, inside=True) == (thought, text)
    assert split(*answer, inside=True) == (thought, text)


def test_thoughts_that_no_tag_ends_are_remembered() -> None:
    for answer, untagged in {"a b": "a b", "a</think>b": "", "<think>a": "", "a</thi": "a</thi"}.items():
        splitter = ThinkSplitter(inside=True)
        for piece in answer:
            splitter.feed(piece)
        splitter.close()
        assert splitter.untagged == untagged


@given(st.lists(st.sampled_from(["<think>", "</think>", "<th", "ink>", "\n", " ", "a", "<"])), st.data())
def test_tags_may_be_cut_anywhere(words: list[str], data: st.DataObject) -> None:
    answer = "".join(words)
    at = sorted(data.draw(st.lists(st.integers(0, len(answer)), max_size=5)))
    pieces = [answer[start:end] for start, end in zip([0, *at], [*at, len(answer)], strict=True)]
    assert split(*pieces) == split(answer)


def test_text_is_told_at_once_when_no_tag_can_come_any_more() -> None:
    splitter = ThinkSplitter()
    assert splitter.feed("<think>a <") == ("a ", "")
    assert splitter.feed("b </think>") == ("<b ", "")
    assert splitter.feed("c <think") == ("", "c <think")


def fed(mode: str, *texts: str) -> list[str]:
    incremental = Incremental(mode)  # pyright: ignore[reportArgumentType]
    return [incremental.feed(text) for text in texts]


def test_a_delta_that_begins_with_all_text_so_far_makes_the_stream_cumulative() -> None:
    more = LONG + " I will"
    assert fed("auto", LONG, more, more, more + " mend it.") == [LONG, " I will", "", " mend it."]


def test_short_texts_may_begin_alike() -> None:
    assert fed("auto", "a", "ab") == ["a", "ab"]
    assert fed("cumulative", "a", "ab") == ["a", "b"]


def test_the_question_is_settled_once() -> None:
    assert fed("auto", LONG, "other", LONG + "!") == [LONG, "other", LONG + "!"]
    assert fed("auto", LONG, LONG) == [LONG, LONG]
    assert fed("incremental", LONG, LONG + "!") == [LONG, LONG + "!"]


def test_a_cumulative_stream_may_still_say_something_new() -> None:
    assert fed("cumulative", "ab", "c", "abcd") == ["ab", "c", "d"]


def test_halves_of_an_emoji_are_joined_within_their_channel() -> None:
    halves = Halves()
    assert halves.whole("text", "a\ud83d") == "a"
    assert halves.whole("thought", "b") == "b"
    assert halves.whole("text", "\ude00c") == "😀c"
    assert halves.whole("text", "grün") == "grün"


def test_a_half_that_stays_alone_is_replaced() -> None:
    halves = Halves()
    assert halves.whole("text", "\ude00") == "\ufffd"
    assert halves.whole("text", "\ud83d") == ""
    assert halves.whole("text", "x") == "\ufffdx"
    assert halves.whole("text", "") == ""
