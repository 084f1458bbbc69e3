"""A model that answers every question of a probe well, behind a server that refuses what it is told to refuse."""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Callable
from typing import Any

from tests.upstream import Answer, Recorded, call, finish, reasoning, sse, status, text, usage


def _limit(asked: dict[str, Any]) -> int:
    """The most tokens that may come; 0: no limit is named."""
    return int(asked.get("max_tokens") or asked.get("max_completion_tokens") or 0)


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
        if _limit(asked) <= most:
            return None
        return f"max_tokens: integer above maximum value, expected a value <= {most}, but got {_limit(asked)}."

    return refusal


def no_images(asked: dict[str, Any]) -> str | None:
    return "image input is not supported" if "image_url" in json.dumps(asked) else None


def no_effort(asked: dict[str, Any]) -> str | None:
    effort = asked.get("reasoning_effort", "low")
    return None if effort in ("low", "high") else "reasoning_effort must be one of: low, high"


def takes_no_tools(asked: dict[str, Any]) -> str | None:
    return "registry.ollama.ai/library/gemma3:4b does not support tools" if asked.get("tools") else None


def no_forced_choice(asked: dict[str, Any]) -> str | None:
    free = asked.get("tool_choice", "auto") in ("auto", "none")
    return None if free else "This server can only let the model choose: send tool_choice auto"


def no_effort_field(asked: dict[str, Any]) -> str | None:
    return "Unrecognized request argument supplied: reasoning_effort" if "reasoning_effort" in asked else None


def wants_completion_tokens(asked: dict[str, Any]) -> str | None:
    said = "Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead."
    return said if "max_tokens" in asked else None


def texts_are_strings(asked: dict[str, Any]) -> str | None:
    lists = any(isinstance(message.get("content"), list) for message in asked["messages"])
    return "messages.1.content must be a string" if lists else None


def no_json_schema(asked: dict[str, Any]) -> str | None:
    form = asked.get("response_format", {}).get("type")
    return "structured output is not implemented for this model" if form == "json_schema" else None


def no_format_beside_tools(asked: dict[str, Any]) -> str | None:
    both = "response_format" in asked and asked.get("tools")
    return "guided decoding and function calling exclude each other here" if both else None


def wants_reasoning(asked: dict[str, Any]) -> str | None:
    calls = [message for message in asked["messages"] if message.get("tool_calls")]
    lacking = any(not message.get("reasoning_content") for message in calls)
    said = "thinking is enabled but reasoning_content is missing in assistant tool call message at index 2"
    return said if lacking else None


def ids_of_nine(asked: dict[str, Any]) -> str | None:
    calls = itertools.chain.from_iterable(message.get("tool_calls") or [] for message in asked["messages"])
    ids: list[str] = [call["id"] for call in calls]
    wrong = next((name for name in ids if not re.fullmatch("[A-Za-z0-9]{9}", name)), None)
    return f"Tool call id was {wrong} but must be a-z, A-Z, 0-9, with a length of 9." if wrong else None


def no_user_after_tool(asked: dict[str, Any]) -> str | None:
    return "Unexpected role 'user' after role 'tool'" if ("tool", "user") in role_pairs(asked) else None


def roles_alternate(asked: dict[str, Any]) -> str | None:
    said = "Conversation roles must alternate user/assistant/user/assistant/..."
    return said if ("user", "user") in role_pairs(asked) else None


def role_pairs(asked: dict[str, Any]) -> list[tuple[str, str]]:
    """The roles of each two messages that follow one another."""
    roles = [message["role"] for message in asked["messages"]]
    return list(itertools.pairwise(roles))


def plain_schemas_only(asked: dict[str, Any]) -> str | None:
    told = "additionalProperties" in json.dumps([tool["function"]["parameters"] for tool in asked.get("tools", [])])
    return "the schema of a tool uses a keyword that is not known here" if told else None


def window_of_8192(asked: dict[str, Any]) -> str | None:
    if _limit(asked) < 8000:
        return None
    return (
        f"This model's maximum context length is 8192 tokens. However, you requested {_limit(asked) + 64} tokens "
        f"(64 in the messages, {_limit(asked)} in the completion). Please reduce the length of the messages."
    )


def takes_no_system(asked: dict[str, Any]) -> str | None:
    return "System role not supported" if asked["messages"][0]["role"] == "system" else None


def knows_two_roles(asked: dict[str, Any]) -> str | None:
    """Says so in words that nobody has seen before."""
    return "messages.0.role: got something else than user" if asked["messages"][0]["role"] == "system" else None


FIVE: tuple[Refusal, ...] = (no_named_choice, no_stream_options, no_parallel, no_late_system, no_more_than(8192))
OTHER_FIVES: tuple[tuple[tuple[Refusal, ...], dict[str, Any]], ...] = (
    (
        (no_forced_choice, no_effort_field, wants_completion_tokens, no_stream_options, no_parallel),
        {
            "tool_choice": ["auto", "none"], "reasoning_param": "none", "max_tokens_field": "max_completion_tokens",
            "stream_usage": "implicit", "parallel_tool_calls": "omit",
        },
    ),
    (
        (no_images, no_json_schema, wants_reasoning, ids_of_nine, no_late_system),
        {
            "images": "none", "response_format": "object", "reasoning_missing": "space", "tool_id": "alnum9",
            "system": "head",
        },
    ),
    (
        (texts_are_strings, no_format_beside_tools, no_user_after_tool, roles_alternate, window_of_8192),
        {
            "images": "none", "tools_exclude_response_format": True, "tool_to_user_bridge": True, "merge_users": True,
            "max_output": 4096, "context_window": 8192,
        },
    ),
    (
        (plain_schemas_only, no_effort, no_more_than(20000), no_images, no_stream_options),
        {
            "json_schema": "gemini", "efforts": ["low", "high"], "max_output": 20000, "images": "none",
            "stream_usage": "implicit",
        },
    ),
)  # fmt: skip
"""Five refusals, most of them in words that nobody has seen before, and what makes them good."""


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
        if 0 < _limit(asked) < 20:
            return [text("Once upon a"), finish("length"), *counts]
        last = json.dumps(asked["messages"][-1])
        tools = [tool["function"]["name"] for tool in asked.get("tools", [])]
        wanted = "Call" in last or "write_line" in last
        if tools and wanted and asked["messages"][-1]["role"] == "user":
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
            "set_mode": [{"mode": "fast"}],
        }[name]
        if self._as_text:
            written = [f"<tool_call>{json.dumps({'name': name, 'arguments': said})}</tool_call>" for said in every]
            return [text("\n".join(written)), finish()]
        return [*(call(n, f"c{n}", name, said) for n, said in enumerate(every)), finish("tool_calls")]
