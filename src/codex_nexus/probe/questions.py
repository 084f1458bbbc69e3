"""The questions of a probe, in order: what is asked, and what a good answer is."""

from __future__ import annotations

import base64
import json
import struct
import zlib
from collections.abc import Callable
from typing import Any, Literal

from msgspec import Struct

from codex_nexus.probe.talk import Answer, Item
from codex_nexus.translate.dialect import Dialect

Result = Literal["works", "repaired", "differs", "fails", "left out"]
Fields = dict[str, Any]


class Verdict(Struct, frozen=True):
    """What an answer is worth."""

    result: Result
    remark: str = ""


class Question(Struct, frozen=True):
    """One question.

    Attributes:
        fields: of the request, made of the answers before; a text says why it is left out.
        judge: of a completed answer.
        remedies: dialect fields to try when the answer is not good.
    """

    name: str
    fields: Callable[[dict[str, Answer], Dialect], Fields | str]
    judge: Callable[[Answer], Verdict]
    remedies: tuple[Fields, ...] = ()


_ENOUGH = 4096
_LONG = 65536
_NUMBER = {
    "type": "function",
    "name": "report_number",
    "description": "Reports a number.",
    "parameters": {"type": "object", "properties": {"number": {"type": "integer"}}, "required": ["number"]},
}
_WEATHER = {
    "type": "function",
    "name": "get_weather",
    "description": "The weather in one city.",
    "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
}
_LINE = {"type": "custom", "name": "write_line", "description": "Writes its input, one line of text, into a file."}
_PERSON = {
    "type": "object",
    "properties": {"name": {"type": "string"}, "age": {"type": "integer"}},
    "required": ["name", "age"],
    "additionalProperties": False,
}
_FORMAT = {"type": "json_schema", "name": "person", "schema": _PERSON, "strict": True}
_CITIES = "How is the weather in Paris and in Rome? Call get_weather for both cities at once, in one answer."


def _said(text: str, role: str = "user") -> Item:
    kind = "output_text" if role == "assistant" else "input_text"
    return {"type": "message", "role": role, "content": [{"type": kind, "text": text}]}


def _asking(said: str | list[Item], **fields: Any) -> Callable[[dict[str, Answer], Dialect], Fields]:
    return lambda _, __: {"input": said, "max_output_tokens": _ENOUGH, **fields}


def _text(answer: Answer) -> Verdict:
    if not answer.text:
        return Verdict("differs", "no text came")
    return Verdict("works", "" if answer.usage else "but it counts no tokens")


def _number(answer: Answer) -> Verdict:
    call = next((call for call in answer.calls if call["name"] == _NUMBER["name"]), None)
    if call is None:
        return _uncalled(answer)
    number = json.loads(call["arguments"] or "{}").get("number")
    return Verdict("works") if number == 7 else Verdict("differs", f"with the arguments {call['arguments'][:60]}")


def _uncalled(answer: Answer) -> Verdict:
    if answer.warnings:
        return Verdict("fails", "the call came as text")
    return Verdict("differs", f"no call, but: {answer.text[:60]!r}" if answer.text else "neither call nor text")


def _both(answer: Answer) -> Verdict:
    if not answer.calls:
        return _uncalled(answer)
    return Verdict("works") if len(answer.calls) > 1 else Verdict("differs", "one call at a time")


def _line(answer: Answer) -> Verdict:
    call = next((call for call in answer.calls if call["type"] == "custom_tool_call"), None)
    if call is None:
        return _uncalled(answer)
    return Verdict("works") if call["input"].strip() else Verdict("differs", "with an empty input")


def _results(answers: dict[str, Answer], _: Dialect) -> Fields | str:
    """The results of calls, sent back with everything that the model said."""
    before = answers.get("parallel calls") or Answer()
    if not before.calls:
        return "there was no call to answer"
    outputs = [
        {"type": "function_call_output", "call_id": call["call_id"], "output": '{"celsius": 21, "sky": "clear"}'}
        for call in before.calls
    ]
    return {"input": [_said(_CITIES), *before.output, *outputs], "tools": [_WEATHER], "max_output_tokens": _ENOUGH}


def _image(_: dict[str, Answer], dialect: Dialect) -> Fields | str:
    if dialect.images == "none":
        return "it is known to take text only"
    question = {"type": "input_text", "text": "Which colour is this picture? Answer with one word."}
    picture = {"type": "input_image", "image_url": f"data:image/png;base64,{_red()}"}
    content = [question, picture]
    return {"input": [{"type": "message", "role": "user", "content": content}], "max_output_tokens": _ENOUGH}


def _red() -> str:
    """A red square as PNG."""
    side = 64
    rows = (b"\0" + b"\xe0\x10\x10" * side) * side

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = chunk(b"IHDR", struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0))
    return base64.b64encode(
        b"\x89PNG\r\n\x1a\n" + head + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    ).decode()


def _colour(answer: Answer) -> Verdict:
    if any(repair.heal == "strip_images" for repair in answer.repairs):
        return Verdict("works", "it takes no images; a note stands for them")
    seen = "red" in answer.text.lower() or "红" in answer.text
    return Verdict("works") if seen else Verdict("differs", f"it did not see the red square: {answer.text[:60]!r}")


def _person(answer: Answer) -> Verdict:
    try:
        value = json.loads(answer.text)
    except ValueError:
        return Verdict("differs", f"no JSON: {answer.text[:60]!r}")
    good = isinstance(value, dict) and value.keys() == {"name", "age"} and isinstance(value["age"], int)  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]
    return Verdict("works") if good else Verdict("differs", f"JSON of another form: {answer.text[:60]}")


def _count(answer: Answer) -> Verdict:
    if answer.ending == "incomplete":
        return Verdict("differs", "it was cut before its end")
    return Verdict("works") if "200" in answer.text else Verdict("differs", "it stopped before 200")


def _cut(answer: Answer) -> Verdict:
    if answer.ending == "incomplete":
        return Verdict("works")
    return Verdict("differs", "the limit was not kept")


def _spoken(answer: Answer) -> Verdict:
    return Verdict("works") if answer.text else Verdict("differs", "no text came")


_TOOL_TEXT = ({"tool_text": "on"},)

QUESTIONS = (
    Question("text", _asking("Reply with the single word OK."), _text),
    Question(
        "tool call",
        _asking(
            "Call the tool report_number with the number 7.",
            tools=[_NUMBER], tool_choice={"type": "function", "name": "report_number"},
        ),
        _number, _TOOL_TEXT,
    ),
    Question(
        "parallel calls", _asking([_said(_CITIES)], tools=[_WEATHER], parallel_tool_calls=True), _both, _TOOL_TEXT
    ),
    Question("results and reasoning", _results, _spoken),
    Question("custom tool", _asking("Write the line 'hello' with write_line.", tools=[_LINE]), _line, _TOOL_TEXT),
    Question(
        "late instructions",
        _asking([
            _said("Say hello."), _said("Hello.", "assistant"), _said("Answer in one word.", "developer"),
            _said("What is the capital of France?"),
        ]),
        _spoken,
    ),
    Question("reasoning effort", _asking("What is 17 * 3?", reasoning={"effort": "xhigh"}), _spoken),
    Question("image", _image, _colour),
    Question(
        "JSON schema", _asking("Invent a person.", text={"format": _FORMAT}), _person,
        ({"response_format": "object"}, {"response_format": "none"}),
    ),
    Question(
        "long output",
        _asking(
            "Write the numbers from 1 to 200, separated by single spaces, and nothing else.", max_output_tokens=_LONG
        ),
        _count,
    ),
    Question("cut at a limit", _asking("Tell a long story.", max_output_tokens=16), _cut),
)  # fmt: skip
