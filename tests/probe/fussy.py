"""A model that answers every question of a probe well, behind a server that refuses what it is told to refuse."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from tests.upstream import Answer, Recorded, call, finish, reasoning, sse, status, text, usage

Refusal = Callable[[dict[str, Any]], str | None]
"""The complaint about a request, or None."""


def no_named_choice(asked: dict[str, Any]) -> str | None:
    return (
        "Invalid tool_choice type: 'object'. Supported string values: none, auto"
        if isinstance(asked.get("tool_choice"), dict)
        else None
    )


def no_stream_options(asked: dict[str, Any]) -> str | None:
    return "Unrecognized request argument supplied: stream_options" if "stream_options" in asked else None


def no_parallel(asked: dict[str, Any]) -> str | None:
    return "'parallel_tool_calls' is not supported by this model." if "parallel_tool_calls" in asked else None


def no_late_system(asked: dict[str, Any]) -> str | None:
    late = any(message["role"] in ("system", "developer") for message in asked["messages"][1:])
    return "Jinja Exception: System message must be at the beginning." if late else None


def no_more_than(most: int) -> Refusal:
    def refusal(asked: dict[str, Any]) -> str | None:
        if asked.get("max_tokens", 0) <= most:
            return None
        return f"max_tokens: integer above maximum value, expected a value <= {most}, but got {asked['max_tokens']}."

    return refusal


def no_images(asked: dict[str, Any]) -> str | None:
    return "image input is not supported" if "image_url" in json.dumps(asked) else None


def no_effort(asked: dict[str, Any]) -> str | None:
    effort = asked.get("reasoning_effort", "low")
    return None if effort in ("low", "high") else "reasoning_effort must be one of: low, high"


FIVE: tuple[Refusal, ...] = (no_named_choice, no_stream_options, no_parallel, no_late_system, no_more_than(8192))


class Fussy:
    """Script an upstream with this; `refusals` counts them by complaint."""

    def __init__(self, *refuses: Refusal, as_text: bool = False, schema: bool = True) -> None:
        self._refuses = refuses
        self._as_text = as_text
        self._schema = schema
        self.refusals: list[str] = []

    def __call__(self, recorded: Recorded) -> Answer:
        asked = recorded.json
        for refuses in self._refuses:
            complaint = refuses(asked)
            if complaint:
                self.refusals.append(complaint)
                return status(400, {"error": {"message": complaint, "type": "invalid_request_error"}})
        return sse(self._answer(asked))

    def _answer(self, asked: dict[str, Any]) -> list[Any]:
        counts = [usage()] if "stream_options" in asked else []
        if asked.get("max_tokens", 99) < 20:
            return [text("Once upon a"), finish("length"), *counts]
        last = json.dumps(asked["messages"][-1])
        tools = [tool["function"]["name"] for tool in asked.get("tools", [])]
        if tools and asked["messages"][-1]["role"] == "user":
            return [reasoning("I need a tool."), *self._calls(tools[0]), *counts]
        if "from 1 to 200" in last:
            return [text(" ".join(str(n) for n in range(1, 201))), finish(), *counts]
        if "person" in last:
            return [text(self._person(asked)), finish(), *counts]
        return [text("Red, OK."), finish(), *counts]

    def _person(self, asked: dict[str, Any]) -> str:
        shown = "JSON Schema" in json.dumps(asked["messages"]) or "response_format" in asked
        return '{"name": "Ada", "age": 36}' if shown and (self._schema or "JSON Schema" in json.dumps(asked)) else "Ada"

    def _calls(self, name: str) -> list[Any]:
        every: list[dict[str, Any]] = {
            "report_number": [{"number": 7}],
            "get_weather": [{"city": "Paris"}, {"city": "Rome"}],
            "write_line": [{"input": "hello"}],
        }[name]
        if self._as_text:
            written = [f"<tool_call>{json.dumps({'name': name, 'arguments': said})}</tool_call>" for said in every]
            return [text("\n".join(written)), finish()]
        return [*(call(n, f"c{n}", name, said) for n, said in enumerate(every)), finish("tool_calls")]
