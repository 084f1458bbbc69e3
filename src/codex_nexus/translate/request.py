"""One Responses request as one Chat Completions request, in the words of a dialect."""

from __future__ import annotations

from typing import Any, cast

import msgspec
from msgspec import UNSET

from codex_nexus.translate.answer_form import response_format
from codex_nexus.translate.choice import ToolWish, offered, tool_wish
from codex_nexus.translate.dialect import Dialect
from codex_nexus.translate.effort import extra_body, put_thinking, wished
from codex_nexus.translate.history import History
from codex_nexus.translate.logprobs import wanted
from codex_nexus.translate.onward import to_responses
from codex_nexus.translate.tools import DeclaredTool, ToolTable
from codex_nexus.translate.transcript import to_messages
from codex_nexus.wire import chat, codec
from codex_nexus.wire.chat import CreateChatCompletion
from codex_nexus.wire.create import CreateResponse


def to_body(
    create: CreateResponse, history: History, declared: list[DeclaredTool], dialect: Dialect, model: str
) -> bytes:
    """The body to send, on the wire of the dialect.

    Raises:
        InvalidRequest: `tool_choice` names a tool that is absent, or a content part cannot be sent.
    """
    if dialect.wire == "responses":
        dialect = _in_items(dialect)
        return to_responses(to_chat(create, history, declared, dialect, model), create, dialect)
    request = to_chat(create, history, declared, dialect, model)
    return chat.encode_request(request, extra_body(request, dialect))


def _in_items(dialect: Dialect) -> Dialect:
    """The dialect of the chat from which items are made: reasoning and efforts have one form there."""
    param = "none" if dialect.reasoning_param == "none" else "effort"
    return msgspec.structs.replace(
        dialect, reasoning_field="reasoning_details", reasoning_param=param, assistant_content="null"
    )


def to_chat(
    create: CreateResponse, history: History, declared: list[DeclaredTool], dialect: Dialect, model: str
) -> CreateChatCompletion:
    """The chat request.

    Raises:
        InvalidRequest: see `to_body`.
    """
    table = ToolTable(declared, dialect.max_tool_name)
    wish = ToolWish("none") if history.compacting else tool_wish(create.tool_choice, table)
    thinking = wished(create.reasoning.effort if create.reasoning else None, dialect)
    tools, choice = offered(table, wish, dialect, thinks=thinking.on is not False)
    form, note = response_format(create.text.format if create.text else None, dialect, tools=bool(tools))
    head = [codec.to_text(create.instructions)] if create.instructions else []
    request = CreateChatCompletion(model=model, messages=to_messages(history, head, note, table, dialect))
    if tools:
        request.tools = cast("Any", tools)
        request.tool_choice = choice
        request.parallel_tool_calls = _parallel(create, dialect)
    if dialect.stream_usage == "include_usage":
        request.stream_options = chat.StreamOptions()
    _put_sampling(request, create, dialect)
    _put_limit(request, create.max_output_tokens, dialect)
    put_thinking(request, thinking, dialect)
    request.response_format = form
    _put_hints(request, create)
    _drop(request, dialect)
    return request


def _parallel(create: CreateResponse, dialect: Dialect) -> Any:
    match dialect.parallel_tool_calls:
        case "omit":
            return UNSET
        case "false":
            return False
        case _:
            return UNSET if create.parallel_tool_calls is None else create.parallel_tool_calls


def _put_sampling(request: CreateChatCompletion, create: CreateResponse, dialect: Dialect) -> None:
    for name in ("temperature", "top_p", "presence_penalty", "frequency_penalty"):
        value = getattr(create, name)
        if value is not None:
            setattr(request, name, value)
    if create.temperature is not None and dialect.max_temperature is not None:
        request.temperature = min(create.temperature, dialect.max_temperature)
    if wanted(create):
        request.logprobs, request.top_logprobs = True, create.top_logprobs or UNSET


def _put_limit(request: CreateChatCompletion, asked: int | None, dialect: Dialect) -> None:
    limit = asked if asked is not None else dialect.default_output
    if limit is None or dialect.max_tokens_field == "omit":
        return
    most = dialect.max_output or dialect.context_window or limit
    setattr(request, dialect.max_tokens_field, min(limit, most))


def _put_hints(request: CreateChatCompletion, create: CreateResponse) -> None:
    request.prompt_cache_key = create.prompt_cache_key or UNSET
    request.user = create.user or UNSET
    request.verbosity = create.text.verbosity if create.text and create.text.verbosity else UNSET


_RARE = ("prompt_cache_key", "user", "verbosity")
_ALWAYS = ("model", "messages", "stream", "tools")
"""Without these a request is no longer what was asked."""


def _drop(request: CreateChatCompletion, dialect: Dialect) -> None:
    """Takes away what the server does not know."""
    for name in _RARE:
        if name not in (*dialect.known_params, *dialect.only_params):
            setattr(request, name, UNSET)
    for name in request.__struct_fields__:
        refused = name in dialect.drop_params or (dialect.only_params and name not in dialect.only_params)
        if refused and name not in _ALWAYS:
            setattr(request, name, UNSET)
    if request.logprobs is UNSET:
        request.top_logprobs = UNSET
