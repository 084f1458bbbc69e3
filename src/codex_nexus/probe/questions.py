"""The questions of a probe, in order: what is asked, who judges the answer, and what to try when it is not good."""

from __future__ import annotations

import base64
import struct
import zlib
from collections.abc import Callable
from typing import Any

from msgspec import Struct

from codex_nexus.probe import remedies, verdicts
from codex_nexus.probe.fields import Fields
from codex_nexus.probe.talk import Answer, Item
from codex_nexus.probe.verdicts import Answers, Verdict

Asked = dict[str, Any]
"""The fields of a Responses request."""


class Question(Struct, frozen=True):
    """One question.

    Attributes:
        asked: made of the answers before; a text says why it is left out.
        judge: of an answer.
        refused: dialect fields to try, one after another, when there is no answer.
        answered: the same when there is one that is not good.
    """

    name: str
    asked: Callable[[Answers], Asked | str]
    judge: Callable[[Answer, Answers], Verdict]
    refused: tuple[Fields, ...] = ()
    answered: tuple[Fields, ...] = ()


_ENOUGH = 4096
_LONG = 65536
_INSTRUCTIONS = "You are a careful assistant. Do exactly what you are asked."


def _tool(name: str, description: str, properties: Fields) -> Item:
    parameters = {"type": "object", "properties": properties, "required": list(properties)}
    return {"type": "function", "name": name, "description": description, "parameters": parameters}


_NUMBER = _tool("report_number", "Reports a number.", {"number": {"type": "integer"}})
_WEATHER = _tool("get_weather", "The weather in one city.", {"city": {"type": "string"}})
_FOLDER = _tool("list_files", "Lists the files of a folder.", {"path": {"type": "string"}})
_LINE = {"type": "custom", "name": "write_line", "description": "Writes its input, one line of text, into a file."}
_PLAN: Item = {
    "type": "function",
    "name": "set_mode",
    "description": "Sets the mode of work.",
    "strict": False,
    "parameters": {
        "type": "object",
        "properties": {
            "mode": {"$ref": "#/$defs/mode"},
            "limit": {"anyOf": [{"type": "integer", "minimum": 0}, {"type": "null"}], "default": None},
            "note": {"type": ["string", "null"], "description": "A remark, or null."},
            "labels": {"type": "object", "additionalProperties": {"type": "string"}},
            "steps": {
                "type": "array",
                "items": {
                    "type": "object",
                    "properties": {"title": {"type": "string"}, "done": {"const": False}},
                    "additionalProperties": False,
                },
            },
        },
        "required": ["mode"],
        "additionalProperties": False,
        "$defs": {"mode": {"type": "string", "enum": ["fast", "slow"]}},
    },
}
"""The keywords that the tools of Codex and of its servers use, and some hosts refuse."""
_PERSON = {
    "type": "object",
    "properties": {"name": {"type": "string"}, "age": {"type": "integer"}},
    "required": ["name", "age"],
    "additionalProperties": False,
}
_FORMAT = {"format": {"type": "json_schema", "name": "person", "schema": _PERSON, "strict": True}}
_CITIES = "How is the weather in Paris and in Rome? Call get_weather for both cities at once, in one answer."
_TO_200 = "Write the numbers from 1 to 200, separated by single spaces, and nothing else."


def _said(text: str, role: str = "user") -> Item:
    kind = "output_text" if role == "assistant" else "input_text"
    return {"type": "message", "role": role, "content": [{"type": kind, "text": text}]}


def _asking(said: str | list[Item], **fields: Any) -> Callable[[Answers], Asked]:
    whole = {"input": said, "instructions": _INSTRUCTIONS, "max_output_tokens": _ENOUGH, **fields}
    return lambda _: {name: value for name, value in whole.items() if value is not None}


def _results(answers: Answers) -> Asked | str:
    """The results of calls, sent back with everything that the model said."""
    before = verdicts.with_calls(answers)
    if before is None:
        return "there was no call to answer"
    outputs = [
        {"type": "function_call_output", "call_id": call["call_id"], "output": '{"celsius": 21, "sky": "clear"}'}
        for call in before.calls
    ]
    return _asking([_said(_CITIES), *before.output, *outputs], tools=[_WEATHER, _NUMBER])(answers)


_ELSEWHERE = [
    _said("What is in this folder?"),
    {"type": "function_call", "call_id": "call_8Dk2mQx0Jt7LwPz4VbN6sYcA", "name": "list_files",
     "arguments": '{"path": "."}'},
    {"type": "function_call_output", "call_id": "call_8Dk2mQx0Jt7LwPz4VbN6sYcA", "output": "notes.txt\nmain.py"},
    _said("Wait."), _said("How many files are that?"), _said("Two.", "assistant"),
    _said("Thank you."), _said("Which of them is a program?"),
]  # fmt: skip
"""A thread that another model began: its call ids, no reasoning, and a user who spoke in between."""


def _red_square() -> str:
    """A red square as PNG, in a URL."""
    side = 64
    rows = (b"\0" + b"\xe0\x10\x10" * side) * side

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = chunk(b"IHDR", struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0))
    png = b"\x89PNG\r\n\x1a\n" + head + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    return f"data:image/png;base64,{base64.b64encode(png).decode()}"


_PICTURE = [
    {"type": "message", "role": "user", "content": [
        {"type": "input_text", "text": "Which colour is this picture? Answer with one word."},
        {"type": "input_image", "image_url": _red_square()},
    ]},
]  # fmt: skip

QUESTIONS = (
    Question("text", _asking("Reply with the single word OK."), verdicts.counted, remedies.PLAIN, remedies.THOUGHTS),
    Question(
        "tool call",
        _asking(
            "Call the tool report_number with the number 7.",
            tools=[_NUMBER], tool_choice={"type": "function", "name": "report_number"},
        ),
        verdicts.called_with("number", 7), remedies.CHOICE, remedies.AS_TEXT,
    ),
    Question(
        "parallel calls", _asking([_said(_CITIES)], tools=[_WEATHER], parallel_tool_calls=True),
        verdicts.called_twice, remedies.PARALLEL, remedies.AS_TEXT,
    ),
    Question("results and reasoning", _results, verdicts.replayed, remedies.HISTORY),
    Question(
        "custom tool", _asking("Write the line 'hello' with write_line.", tools=[_LINE]),
        verdicts.wrote, (), remedies.AS_TEXT,
    ),
    Question(
        "tool schemas", _asking("Call the tool set_mode with the mode 'fast'.", tools=[_PLAN]),
        verdicts.called_with("mode", "fast"), remedies.SCHEMAS, remedies.AS_TEXT,
    ),
    Question(
        "late instructions",
        _asking([
            _said("Say hello."), _said("Hello.", "assistant"), _said("Answer in one word.", "developer"),
            _said("What is the capital of France?"),
        ]),
        verdicts.spoken, (*remedies.SYSTEM, *remedies.HISTORY),
    ),
    Question("older thread", _asking(_ELSEWHERE, tools=[_FOLDER]), verdicts.went_on, remedies.HISTORY),
    Question(
        "reasoning effort", _asking("What is 17 * 3?", reasoning={"effort": "xhigh"}),
        verdicts.reasoned, remedies.EFFORT,
    ),
    Question("image", _asking(_PICTURE), verdicts.saw_red, remedies.IMAGES),
    Question(
        "JSON schema", _asking("Invent a person.", text=_FORMAT),
        verdicts.person, remedies.FORMAT, remedies.FORMAT,
    ),
    Question(
        "schema with tools", _asking("Invent a person. No tool is needed.", text=_FORMAT, tools=[_FOLDER]),
        verdicts.person, remedies.FORMAT_AND_TOOLS, remedies.FORMAT_AND_TOOLS,
    ),
    Question("long output", _asking(_TO_200, max_output_tokens=_LONG), verdicts.counted_to_200, remedies.LIMIT),
    Question(
        "no limit set", _asking(_TO_200, max_output_tokens=None),
        verdicts.counted_to_200, remedies.DEFAULT_LIMIT, remedies.DEFAULT_LIMIT,
    ),
    Question("cut at a limit", _asking("Tell a long story.", max_output_tokens=16), verdicts.was_cut),
)  # fmt: skip
