"""What an answer is worth: one judge for each question of a probe."""

from __future__ import annotations

import json
from typing import Any, Literal

from msgspec import Struct

from codex_nexus.probe.talk import LEAKED_THOUGHT, Answer, Item

Result = Literal["works", "repaired", "differs", "fails", "left out"]
Answers = dict[str, Answer]
"""The answers so far, by the name of their question."""


class Verdict(Struct, frozen=True):
    """What an answer is worth."""

    result: Result
    remark: str = ""


GOOD = Verdict("works")
_MOST_QUOTED = 60


def counted(answer: Answer, _: Answers) -> Verdict:
    """Some text came, and its tokens are counted."""
    if not answer.text:
        return Verdict("differs", "no text came")
    if LEAKED_THOUGHT in answer.warnings:
        return Verdict("differs", "its reasoning stands in the text, up to a lone </think>")
    return GOOD if answer.usage else Verdict("works", "it counts no tokens")


def spoken(answer: Answer, _: Answers) -> Verdict:
    """Some text came."""
    return GOOD if answer.text else Verdict("differs", "no text came")


def went_on(answer: Answer, _: Answers) -> Verdict:
    """Text or another call came."""
    return GOOD if answer.text or answer.calls else Verdict("differs", "neither text nor a call came")


def replayed(answer: Answer, answers: Answers) -> Verdict:
    """It goes on after results that came with its reasoning."""
    before = with_calls(answers)
    thought = before is not None and before.thought
    verdict = went_on(answer, answers)
    return verdict if thought or verdict != GOOD else Verdict("works", "it shows no reasoning that could go back")


def with_calls(answers: Answers) -> Answer | None:
    """The answer whose calls can be answered: several at once are the better test."""
    asked = (answers.get(name) for name in ("parallel calls", "tool call"))
    return next((answer for answer in asked if answer is not None and answer.calls), None)


def called_with(field: str, value: Any) -> Any:
    """A judge: a call came with this argument."""

    def judge(answer: Answer, _: Answers) -> Verdict:
        call = _call(answer, "function_call")
        if call is None:
            return _uncalled(answer)
        given = json.loads(call["arguments"] or "{}").get(field)
        return GOOD if given == value else Verdict("differs", f"with the arguments {_quoted(call['arguments'])}")

    return judge


def called_twice(answer: Answer, _: Answers) -> Verdict:
    """Two calls came at once."""
    if not answer.calls:
        return _uncalled(answer)
    return GOOD if len(answer.calls) > 1 else Verdict("differs", "one call at a time")


def wrote(answer: Answer, _: Answers) -> Verdict:
    """A custom tool was called with some input."""
    call = _call(answer, "custom_tool_call")
    if call is None:
        return _uncalled(answer)
    return GOOD if call["input"].strip() else Verdict("differs", "with an empty input")


def _call(answer: Answer, kind: str) -> Item | None:
    return next((call for call in answer.calls if call["type"] == kind), None)


def _uncalled(answer: Answer) -> Verdict:
    if "leaked_tool_markup" in answer.warnings or "rescued_tool_call" in answer.warnings:
        return Verdict("fails", "the call came as text")
    return Verdict("differs", f"no call, but: {_quoted(answer.text)}" if answer.text else "neither call nor text came")


def reasoned(answer: Answer, answers: Answers) -> Verdict:
    """It answers to a wish for much reasoning."""
    if answer.dialect.reasoning_param == "none" and answer.dialect.wire == "chat" and answer.text:
        return Verdict("works", "no effort is sent: its record names no field for one")
    return spoken(answer, answers)


_RED = ("red", "crimson", "scarlet", "红", "紅")


def saw_red(answer: Answer, _: Answers) -> Verdict:
    """It saw the colour, or the note that stands for an image did no harm."""
    if not answer.text:
        return Verdict("differs", "no text came")
    if answer.dialect.images == "none":
        return Verdict("works", "text only: a note stands for the image")
    seen = any(word in answer.text.lower() for word in _RED)
    return GOOD if seen else Verdict("differs", f"it did not see the red square: {_quoted(answer.text)}")


def person(answer: Answer, _: Answers) -> Verdict:
    """JSON after the schema came."""
    if answer.calls:
        return Verdict("differs", "it called a tool in place of answering")
    if not answer.text:
        return Verdict("differs", "no text came")
    try:
        value: Any = json.loads(answer.text)
    except ValueError:
        return Verdict("differs", f"no JSON: {_quoted(answer.text)}")
    good = isinstance(value, dict) and value.keys() == {"name", "age"} and isinstance(value["age"], int)  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]
    return GOOD if good else Verdict("differs", f"JSON of another form: {_quoted(answer.text)}")


def counted_to_200(answer: Answer, _: Answers) -> Verdict:
    """The whole of a long answer came."""
    if answer.ending == "incomplete":
        return Verdict("differs", "it was cut before its end")
    return (
        GOOD
        if "200" in answer.text
        else Verdict("differs", f"it stopped early: {_quoted(answer.text[-_MOST_QUOTED:])}")
    )


def was_cut(answer: Answer, _: Answers) -> Verdict:
    """It ended at the limit, and said so."""
    return GOOD if answer.ending == "incomplete" else Verdict("differs", "the limit was not kept")


def _quoted(text: str) -> str:
    short = text if len(text) <= _MOST_QUOTED else f"{text[: _MOST_QUOTED - 3]}..."
    return repr(short)
