"""What the strictest Chat Completions servers demand of a request, as an independent check: `broken(body, dialect)`."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

from codex_nexus.translate.dialect import Dialect
from tests.schema_rules import schema_faults

Body = dict[str, Any]
Message = dict[str, Any]

NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_-]{0,63}")
_FIELDS = {
    "system": {"role", "content"},
    "user": {"role", "content"},
    "tool": {"role", "content", "tool_call_id"},
    "assistant": {"role", "content", "tool_calls", "reasoning_content", "reasoning", "reasoning_details"},
}
_KNOWN = {
    "model", "messages", "tools", "tool_choice", "parallel_tool_calls", "stream", "stream_options", "temperature",
    "top_p", "presence_penalty", "frequency_penalty", "logprobs", "top_logprobs", "max_tokens",
    "max_completion_tokens", "response_format", "reasoning_effort", "reasoning", "thinking", "enable_thinking",
    "thinking_budget", "chat_template_kwargs", "prompt_cache_key", "user", "verbosity",
}  # fmt: skip
_VITAL = {"model", "messages", "stream", "tools"}
_SWITCHES = {"reasoning_effort", "reasoning", "thinking", "enable_thinking", "chat_template_kwargs"}


def broken(body: Body, dialect: Dialect) -> list[str]:
    """Every rule that this request breaks; empty when it is legal."""
    messages: list[Message] = body["messages"]
    found = [f"{name} is null" for name, value in body.items() if value is None]
    found += _fields(body, dialect)
    found += _limits(body, dialect)
    found += _thinking(body, dialect)
    found += _roles(messages, dialect)
    found += _pairs(messages)
    for n, message in enumerate(messages):
        found += [f"messages[{n}]: {what}" for what in _message(message, dialect)]
    return [*found, *_ids(messages, dialect), *_tools(body, dialect)]


# --- fields of the request


def _fields(body: Body, dialect: Dialect) -> Iterator[str]:
    own = body.keys() - dialect.extra_body.keys()
    if unknown := own - _KNOWN:
        yield f"fields that nobody knows: {unknown}"
    if dialect.only_params and (unknown := own - set(dialect.only_params) - _VITAL):
        yield f"fields that this server does not know: {unknown}"
    if refused := (own - _VITAL) & set(dialect.drop_params):
        yield f"fields that this server refuses: {refused}"
    if rare := own & {"prompt_cache_key", "user", "verbosity"} - {*dialect.known_params, *dialect.only_params}:
        yield f"fields that few servers know: {rare}"
    if missing := dialect.extra_body.keys() - body.keys():
        yield f"fields of the dialect are missing: {missing}"
    if body["stream"] is not True:
        yield "no stream"
    if ("stream_options" in body) != (dialect.stream_usage == "include_usage"):
        yield "stream_options"


def _limits(body: Body, dialect: Dialect) -> Iterator[str]:
    fields = body.keys() & {"max_tokens", "max_completion_tokens"}
    if fields - {dialect.max_tokens_field}:
        yield f"the limit is called {fields}"
    limit = body.get(dialect.max_tokens_field)
    if limit is not None and limit > (dialect.max_output or dialect.context_window or limit):
        yield f"a limit of {limit}"
    if limit is None and dialect.default_output is not None and dialect.max_tokens_field != "omit":
        yield "no limit, and the server's own is too small"
    if body.get("temperature", 0) > (dialect.max_temperature or 2):
        yield "a temperature that is too high"
    form = body.get("response_format")
    if form is not None:
        if body.get("tools") and dialect.tools_exclude_response_format:
            yield "response_format beside tools"
        if dialect.response_format == "none" or (dialect.response_format, form["type"]) == ("object", "json_schema"):
            yield f"response_format {form['type']}"
        if "json" not in json.dumps(body["messages"]).lower() and form["type"] == "json_object":
            yield "json_object, and no message says so"


def _thinking(body: Body, dialect: Dialect) -> Iterator[str]:
    """One way of asking, in words that the server knows; off means nothing beside it."""
    used = body.keys() & _SWITCHES - (dialect.extra_body.keys() if dialect.reasoning_param == "none" else set())
    takes = {
        "none": set[str](),
        "effort": {"reasoning_effort"},
        "effort_obj": {"reasoning"},
        "thinking": {"thinking"},
        "thinking+effort": {"thinking", "reasoning_effort"},
        "enable_thinking": {"enable_thinking"},
        "template_kwargs": {"chat_template_kwargs"},
        "minimax": {"thinking"},
    }[dialect.reasoning_param]
    if wrong := used - takes - dialect.extra_body.keys():
        yield f"reasoning is asked for by {wrong}"
    effort = body.get("reasoning_effort")
    if effort is not None and dialect.efforts and effort not in dialect.efforts:
        yield f"the effort {effort}"
    switch = body.get("thinking")
    if switch is not None and "type" not in switch:
        yield "thinking without a type"
    if switch == {"type": "disabled"} or body.get("enable_thinking") is False:
        if dialect.thinking_off == "refused":
            yield "thinking cannot be turned off"
        if effort is not None or "thinking_budget" in body:
            yield "an effort although thinking is off"
    elif switch is not None and switch.get("type") == "disabled":
        yield f"thinking is off, and yet {switch}"
    asked = body.get("reasoning", {})
    if {"effort", "max_tokens"} <= asked.keys() or not isinstance(body.get("enable_thinking", False), bool):
        yield "two ways of asking for reasoning"


# --- messages


def _roles(messages: list[Message], dialect: Dialect) -> Iterator[str]:
    roles = [message["role"] for message in messages]
    if "user" not in roles:
        yield "no user message"
    if roles[-1:] == ["assistant"]:
        yield "ends with the assistant"
    if "system" in roles[1:] and dialect.system != "inline":
        yield "a system message that does not lead"
    if "system" in roles and dialect.system == "first_user":
        yield "a system message although there is no such role"
    if dialect.merge_users and [role for role in roles if role != "system"][:1] == ["assistant"]:
        yield "begins with the assistant"
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
    if role == "system" and not _spoken(content):
        yield f"system says {content!r}"
    elif role == "tool" and not _spoken(content) and dialect.tool_images != "in_tool":
        yield f"tool says {content!r}"
    elif role == "assistant":
        yield from _assistant(message, content, dialect)
        yield from _reasoning(message, dialect)
    elif not isinstance(content, str):
        yield from _parts(content, dialect)
    elif not _spoken(content):
        yield f"an empty {role} message"


def _spoken(content: Any) -> bool:
    return isinstance(content, str) and bool(content.strip())


def _parts(content: list[Any], dialect: Dialect) -> Iterator[str]:
    if not content:
        yield "a message without parts"
    for part in content:
        if part["type"] == "text":
            if not part["text"].strip():
                yield "an empty text part"
        elif part["type"] != "image_url":
            yield f"a part of type {part['type']}"
        elif dialect.images == "none" or not (
            dialect.images == "data+url" or part["image_url"]["url"].startswith("data:")
        ):
            yield "an image that the model does not take"
        elif part["image_url"].get("detail", "auto") not in ("auto", "low", "high"):
            yield "an image in an unknown detail"


_NOTHING: dict[str, Any] = {"null": None, "empty": "", "omit": ..., "text_part": [{"type": "text", "text": ""}]}


def _assistant(message: Message, content: Any, dialect: Dialect) -> Iterator[str]:
    calls = message.get("tool_calls")
    if calls is not None and not calls:
        yield "an empty list of calls"
    thought = isinstance(content, list) and content[0]["type"] == "thinking"
    if not _spoken(content) and not thought and not (calls and content == _NOTHING[dialect.assistant_content]):
        yield f"the assistant says {content!r}"
    for call in calls or []:
        if call["type"] != "function" or call.keys() - {"id", "type", "function", "extra_content"}:
            yield f"a call with {call.keys()}"
        if not NAME.fullmatch(call["function"]["name"]):
            yield f"a call of {call['function']['name']!r}"
        if not isinstance(_strict_json(call["function"]["arguments"]), dict):
            yield f"arguments {call['function']['arguments']!r}"
    if calls and dialect.dummy_signature and "extra_content" not in calls[0]:
        yield "a first call without a signature"


def _reasoning(message: Message, dialect: Dialect) -> Iterator[str]:
    given = message.keys() & {"reasoning_content", "reasoning", "reasoning_details"}
    calls = bool(message.get("tool_calls"))
    if given and dialect.reasoning_replay == "never":
        yield f"{given}, and the server refuses it"
    if given - {dialect.reasoning_field}:
        yield f"reasoning under the name {given}"
    if given and not calls and dialect.reasoning_replay == "tool_turns":
        yield "reasoning of an answer without calls"
    expected = calls and dialect.reasoning_missing != "omit" and dialect.reasoning_replay != "never"
    if expected and not given and dialect.reasoning_field in ("reasoning_content", "reasoning"):
        yield "calls without their reasoning"


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
    if any(len(call_id) > 64 for call_id in ids):
        yield f"ids that are too long: {ids}"
    if dialect.tool_id == "plain" and not all(re.fullmatch("[a-zA-Z0-9_-]{1,40}", call_id) for call_id in ids):
        yield f"ids that are not plain: {ids}"
    if dialect.tool_id == "alnum9" and not all(re.fullmatch("[a-zA-Z0-9]{9}", call_id) for call_id in ids):
        yield f"ids of a wrong form: {ids}"


# --- tools


def _tools(body: Body, dialect: Dialect) -> Iterator[str]:
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
    if "parallel_tool_calls" in body and dialect.parallel_tool_calls == "omit":
        yield "parallel_tool_calls"
    for tool in tools:
        function = tool["function"]
        extra = tool.keys() - {"type", "function"} | function.keys() - {"name", "description", "parameters", "strict"}
        if tool["type"] != "function" or extra:
            yield f"a tool with {tool.keys()} and {function.keys()}"
        if "strict" in function and dialect.strict == "strip":
            yield f"{function['name']} is strict"
        if function.get("strict") is not True:
            yield from (
                f"{function['name']}: {fault}" for fault in schema_faults(function["parameters"], dialect.json_schema)
            )
    yield from _choice(body, dialect)


def _choice(body: Body, dialect: Dialect) -> Iterator[str]:
    choice = body.get("tool_choice")
    if choice is None:
        return
    takes = dialect.tool_choice
    off = body.get("thinking") == {"type": "disabled"} or body.get("enable_thinking") is False
    off = (
        off
        or body.get("reasoning_effort") == "none"
        or body.get("reasoning") in ({"effort": "none"}, {"enabled": False})
    )
    off = off or body.get("chat_template_kwargs") == {"enable_thinking": False}
    if dialect.tool_choice_thinking is not None and not off:
        takes = dialect.tool_choice_thinking
    form = "named" if isinstance(choice, dict) else choice
    if form not in takes:
        yield f"tool_choice {form}"
    if form == "named" and choice["function"]["name"] not in {tool["function"]["name"] for tool in body["tools"]}:
        yield "a choice of a tool that is not offered"
