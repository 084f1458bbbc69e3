"""What the strictest Chat Completions servers demand of a request, as an independent check: `broken(body, dialect)`."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

from codex_nexus.translate.dialect import Dialect

Message = dict[str, Any]

NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_-]{0,63}")
_FIELDS = {
    "system": {"role", "content"},
    "user": {"role", "content"},
    "tool": {"role", "content", "tool_call_id"},
    "assistant": {"role", "content", "tool_calls", "reasoning_content", "reasoning", "reasoning_details"},
}


def broken(body: dict[str, Any], dialect: Dialect) -> list[str]:
    """Every rule that this request breaks; empty when it is legal."""
    messages: list[Message] = body["messages"]
    found = [f"{name} is null" for name, value in body.items() if value is None]
    found += _roles(messages, dialect)
    found += _pairs(messages)
    for n, message in enumerate(messages):
        found += [f"messages[{n}]: {what}" for what in _message(message, dialect)]
    return [*found, *_ids(messages, dialect), *_tools(body, dialect)]


def _roles(messages: list[Message], dialect: Dialect) -> Iterator[str]:
    roles = [message["role"] for message in messages]
    if "user" not in roles:
        yield "no user message"
    if roles[-1:] == ["assistant"]:
        yield "ends with the assistant"
    if "system" in roles[1:] and dialect.system != "inline":
        yield "a system message that does not lead"
    for before, after in pairwise(roles):
        if before == after == "assistant":
            yield "two assistant messages in a row"
        if before == after == "user" and dialect.merge_users:
            yield "two user messages in a row"
        if (before, after) == ("tool", "user") and dialect.tool_to_user_bridge:
            yield "a user message right behind a tool message"


def _pairs(messages: list[Message]) -> Iterator[str]:
    """Results follow their calls at once, all of them, in the order of the calls."""
    due: list[str] = []
    for n, message in enumerate(messages):
        if message["role"] == "tool":
            if not due or message.get("tool_call_id") != due.pop(0):
                yield f"messages[{n}]: a result out of place"
            continue
        if due:
            yield f"messages[{n}]: calls without results: {due}"
        due = [call["id"] for call in message.get("tool_calls", [])]
    if due:
        yield f"calls without results: {due}"


def _message(message: Message, dialect: Dialect) -> Iterator[str]:
    role, content = message["role"], message.get("content", ...)
    extra = message.keys() - _FIELDS[role]
    if extra:
        yield f"{role} has {extra}"
    if any(value is None for name, value in message.items() if name != "content"):
        yield "a field is null"
    if role in ("system", "tool"):
        if not isinstance(content, str) or not content:
            yield f"{role} says {content!r}"
    elif role == "user":
        yield from _user(content, dialect)
    else:
        yield from _assistant(message, content, dialect)


def _user(content: Any, dialect: Dialect) -> Iterator[str]:
    if isinstance(content, str):
        if not content:
            yield "an empty user message"
        return
    if not content:
        yield "a user message without parts"
    for part in content:
        if part["type"] == "text":
            if not part["text"]:
                yield "an empty text part"
        elif part["type"] != "image_url":
            yield f"a part of type {part['type']}"
        elif dialect.images == "none" or not (
            dialect.images == "data+url" or part["image_url"]["url"].startswith("data:")
        ):
            yield "an image that the model does not take"


_NOTHING: dict[str, Any] = {"null": None, "empty": "", "omit": ..., "text_part": [{"type": "text", "text": ""}]}


def _assistant(message: Message, content: Any, dialect: Dialect) -> Iterator[str]:
    calls = message.get("tool_calls")
    if calls is not None and not calls:
        yield "an empty list of calls"
    spoken = isinstance(content, str) and bool(content)
    thought = isinstance(content, list) and content[0]["type"] == "thinking"
    if not spoken and not thought and not (calls and content == _NOTHING[dialect.assistant_content]):
        yield f"the assistant says {content!r}"
    for call in calls or []:
        if call["type"] != "function" or call.keys() - {"id", "type", "function", "extra_content"}:
            yield f"a call with {call.keys()}"
        if not NAME.fullmatch(call["function"]["name"]):
            yield f"a call of {call['function']['name']!r}"
        if not isinstance(_strict_json(call["function"]["arguments"]), dict):
            yield f"arguments {call['function']['arguments']!r}"


def _strict_json(text: str) -> Any:
    def refuse(constant: str) -> None:
        raise ValueError(constant)

    try:
        value = json.loads(text, parse_constant=refuse)
        json.dumps(value, ensure_ascii=False).encode()
    except ValueError:
        return None
    return value


def _ids(messages: list[Message], dialect: Dialect) -> Iterator[str]:
    ids = [call["id"] for message in messages for call in message.get("tool_calls", [])]
    if len(set(ids)) != len(ids):
        yield f"ids come twice: {ids}"
    if not all(ids):
        yield "an empty id"
    if dialect.tool_id == "alnum9" and not all(re.fullmatch("[a-zA-Z0-9]{9}", call_id) for call_id in ids):
        yield f"ids of a wrong form: {ids}"


def _tools(body: dict[str, Any], dialect: Dialect) -> Iterator[str]:
    tools = body.get("tools", [])
    names = [tool["function"]["name"] for tool in tools]
    if "tools" in body and not tools:
        yield "an empty list of tools"
    if not tools and body.keys() & {"tool_choice", "parallel_tool_calls"}:
        yield "tool_choice without tools"
    if len(set(names)) != len(names):
        yield f"names come twice: {names}"
    if not all(NAME.fullmatch(name) and len(name) <= dialect.max_tool_name for name in names):
        yield f"illegal names: {names}"
    if len(tools) > dialect.max_tools:
        yield f"{len(tools)} tools"
    if any(tool["function"]["parameters"].get("type") != "object" for tool in tools):
        yield "parameters that are no object"
    if {"max_tokens", "max_completion_tokens"} <= body.keys():
        yield "two limits"
