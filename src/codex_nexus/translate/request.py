"""One Responses request as one Chat Completions request, in the words of a dialect."""

from __future__ import annotations

from typing import Any, cast

import msgspec
from msgspec import UNSET, Raw, Struct

from codex_nexus.errors import InvalidRequest
from codex_nexus.translate import tools as tool_floor
from codex_nexus.translate.dialect import EFFORTS, Dialect
from codex_nexus.translate.history import History
from codex_nexus.translate.onward import to_responses
from codex_nexus.translate.tools import DeclaredTool, ToolTable
from codex_nexus.translate.transcript import to_messages
from codex_nexus.wire import chat, codec
from codex_nexus.wire.chat import CreateChatCompletion
from codex_nexus.wire.codec import Text
from codex_nexus.wire.responses import CreateResponse, TextFormat


class ToolWish(Struct):
    """What `tool_choice` asks for: a mode, perhaps one tool that must be called, perhaps the only ones allowed."""

    mode: str | None = None
    forced: str | None = None
    allowed: set[str] | None = None


class Thinking(Struct):
    """How the wish for reasoning is said: `effort` in the server's words, `on` None when nothing is said."""

    on: bool | None = None
    effort: str | None = None


def to_body(
    create: CreateResponse, history: History, declared: list[DeclaredTool], dialect: Dialect, model: str
) -> bytes:
    """The body to send, on the wire of the dialect.

    Raises:
        InvalidRequest: `tool_choice` names a tool that is absent, or a content part cannot be sent.
    """
    if dialect.wire == "responses":
        param = "effort" if dialect.reasoning_param == "none" else dialect.reasoning_param
        dialect = msgspec.structs.replace(dialect, reasoning_field="reasoning_details", reasoning_param=param)
        return to_responses(to_chat(create, history, declared, dialect, model), create, dialect.extra_body)
    return chat.encode_request(to_chat(create, history, declared, dialect, model), dialect.extra_body)


def to_chat(
    create: CreateResponse, history: History, declared: list[DeclaredTool], dialect: Dialect, model: str
) -> CreateChatCompletion:
    """The chat request.

    Raises:
        InvalidRequest: see `to_body`.
    """
    table = ToolTable(declared, dialect.max_tool_name)
    wish = ToolWish("none") if history.compacting else tool_wish(create.tool_choice, table)
    thinking = _thinking(create.reasoning.effort if create.reasoning else None, dialect)
    offered, choice = _offered(table, wish, thinking, dialect)
    form, note = _response_format(create.text.format if create.text else None, dialect, tools=bool(offered))
    head = [codec.to_text(create.instructions)] if create.instructions else []
    request = CreateChatCompletion(model=model, messages=to_messages(history, head, table, dialect))
    if offered:
        request.tools = cast("Any", offered)
        request.tool_choice = choice
        request.parallel_tool_calls = _parallel(create, dialect)
    if dialect.stream_usage == "include_usage":
        request.stream_options = chat.StreamOptions()
    _put_sampling(request, create)
    _put_limit(request, create.max_output_tokens, dialect)
    _put_thinking(request, thinking, dialect)
    request.response_format = form
    if note is not None:
        _add_to_system(request, note)
    _put_hints(request, create)
    _drop(request, dialect)
    return request


# --- tools


def tool_wish(choice: Any, table: ToolTable) -> ToolWish:
    """`tool_choice` in every form that the Responses API knows.

    Raises:
        InvalidRequest: no such form, or a tool that is absent.
    """
    if choice is None:
        return ToolWish()
    if isinstance(choice, str):
        if choice not in ("auto", "none", "required"):
            raise InvalidRequest(
                f"'tool_choice' must be auto, none, required or an object, not '{choice}'.", "tool_choice"
            )
        return ToolWish(choice)
    wanted = codec.as_object(choice)
    if wanted is None:
        raise InvalidRequest("'tool_choice' must be a string or an object.", "tool_choice", "invalid_type")
    match wanted.get("type"):
        case "function" | "custom":
            return ToolWish("named", _wire(wanted, table))
        case "tool_search":
            return ToolWish("named", _wire({"name": tool_floor.TOOL_SEARCH}, table))
        case "allowed_tools":
            tools = filter(None, map(codec.as_object, codec.as_list(wanted.get("tools")) or []))
            allowed = {_wire(tool, table) for tool in tools if tool.get("type") in ("function", "custom", None)}
            return ToolWish(str(wanted.get("mode") or "auto"), None, allowed)
        case _:
            return ToolWish("auto")


def callable_tools(create: CreateResponse, declared: list[DeclaredTool], dialect: Dialect) -> dict[str, DeclaredTool]:
    """The tools that the model may call in this turn, by wire name."""
    table = ToolTable(declared, dialect.max_tool_name)
    wish = tool_wish(create.tool_choice, table)
    if wish.mode == "none":
        return {}
    allowed = {wish.forced} if wish.forced is not None else wish.allowed
    return dict(tool_floor.offered(table if allowed is None else table.only(allowed), dialect.max_tools))


def _wire(wanted: dict[str, Any], table: ToolTable) -> str:
    name, namespace = wanted.get("name"), wanted.get("namespace")
    if name is None and isinstance(wanted.get("function"), dict):
        name = wanted["function"].get("name")
    if not namespace or not isinstance(namespace, str):
        tool = table.named(str(name))
        namespace = tool.namespace if tool else None
    wire = table.name_of(namespace, str(name))
    if not any(wire == known for known, _ in table.items()):
        raise InvalidRequest(f"Tool choice '{name}' not found in 'tools' parameter.", "tool_choice")
    return wire


def _offered(table: ToolTable, wish: ToolWish, thinking: Thinking, dialect: Dialect) -> tuple[list[Raw], Any]:
    """The tools to send and the `tool_choice` beside them, as far as the server takes it."""
    takes = dialect.tool_choice
    if dialect.tool_choice_thinking is not None and thinking.on is not False:
        takes = dialect.tool_choice_thinking
    choice: Any = UNSET
    match wish.mode:
        case "none":
            if "none" not in takes:
                return [], UNSET
            choice = "none"
        case "auto":
            choice = "auto"
        case "required":
            choice = next((form for form in ("required", "any") if form in takes), "auto")
        case "named" if "named" in takes:
            choice = {"type": "function", "function": {"name": wish.forced}}
        case "named":
            choice = next((form for form in ("required", "any") if form in takes), "auto")
            table = table.only({wish.forced or ""})
        case _:
            pass
    if wish.allowed is not None:
        table = table.only(wish.allowed)
    keep_strict = dialect.strict == "keep"
    return tool_floor.offers(table, dialect.json_schema, keep_strict=keep_strict, most=dialect.max_tools), choice


def _parallel(create: CreateResponse, dialect: Dialect) -> Any:
    match dialect.parallel_tool_calls:
        case "omit":
            return UNSET
        case "false":
            return False
        case _:
            return UNSET if create.parallel_tool_calls is None else create.parallel_tool_calls


# --- reasoning


def _thinking(asked: str | None, dialect: Dialect) -> Thinking:
    if asked is None or dialect.reasoning_param == "none":
        return Thinking()
    effort = dialect.effort_map.get(asked, asked)
    if effort == "drop":
        return Thinking()
    if effort in ("off", "none"):
        return _off(dialect)
    if dialect.efforts and effort not in dialect.efforts:
        return Thinking(True, _nearest(effort, dialect.efforts))
    if effort not in EFFORTS and effort not in dialect.efforts and asked not in dialect.effort_map:
        return Thinking()
    return Thinking(True, effort)


def _off(dialect: Dialect) -> Thinking:
    if dialect.thinking_off == "allowed":
        return Thinking(False, "none" if "none" in dialect.efforts or not dialect.efforts else None)
    ranked = [effort for effort in EFFORTS if effort in dialect.efforts]
    return Thinking(True, ranked[0]) if ranked else Thinking()


def _nearest(effort: str, takes: tuple[str, ...]) -> str | None:
    """The listed effort closest to the wish, the weaker one when two are as close."""
    if effort not in EFFORTS:
        return None
    rank = EFFORTS.index(cast("Any", effort))
    ranked = [known for known in EFFORTS if known in takes]
    return min(ranked, key=lambda known: abs(EFFORTS.index(known) - rank), default=None)


def _put_thinking(request: CreateChatCompletion, thinking: Thinking, dialect: Dialect) -> None:
    if thinking.on is None:
        return
    effort: Any = thinking.effort or UNSET
    match dialect.reasoning_param:
        case "effort":
            request.reasoning_effort = effort
        case "effort_obj":
            request.reasoning = {"effort": effort} if thinking.effort else {"enabled": thinking.on}
        case "thinking":
            request.thinking = {"type": "enabled" if thinking.on else "disabled"}
        case "thinking+effort":
            request.thinking = {"type": "enabled" if thinking.on else "disabled"}
            request.reasoning_effort = effort if thinking.on else UNSET
        case "enable_thinking":
            request.enable_thinking = thinking.on
        case "template_kwargs":
            request.chat_template_kwargs = {"enable_thinking": thinking.on}
        case _:  # minimax; with "none" there is no wish
            request.thinking = {"type": "adaptive" if thinking.on else "disabled"}


# --- the rest


def _put_sampling(request: CreateChatCompletion, create: CreateResponse) -> None:
    for name in ("temperature", "top_p", "presence_penalty", "frequency_penalty"):
        value = getattr(create, name)
        if value is not None:
            setattr(request, name, value)
    if create.top_logprobs:
        request.logprobs, request.top_logprobs = True, create.top_logprobs


def _put_limit(request: CreateChatCompletion, asked: int | None, dialect: Dialect) -> None:
    limit = asked if asked is not None else dialect.default_output
    if limit is None or dialect.max_tokens_field == "omit":
        return
    setattr(request, dialect.max_tokens_field, min(limit, dialect.max_output or limit))


def _put_hints(request: CreateChatCompletion, create: CreateResponse) -> None:
    request.prompt_cache_key = create.prompt_cache_key or UNSET
    request.user = create.user or UNSET
    request.verbosity = create.text.verbosity if create.text and create.text.verbosity else UNSET


def enforced(dialect: Dialect, *, tools: bool) -> bool:
    """Whether the server itself holds the answer to the schema that was asked for."""
    return dialect.response_format == "schema" and not (tools and dialect.tools_exclude_response_format)


_SCHEMA_NOTE = "Answer with one JSON object and nothing else. It must match this JSON Schema:\n"
_JSON_NOTE = "Answer with one JSON object and nothing else."


def _response_format(form: TextFormat | None, dialect: Dialect, *, tools: bool) -> tuple[Any, Text | None]:
    """`response_format`, and what must be said in words because the server takes less."""
    if form is None or form.type == "text":
        return UNSET, None
    strength = dialect.response_format
    if tools and dialect.tools_exclude_response_format:
        strength = "none"
    if form.type == "json_object":
        return (UNSET if strength == "none" else {"type": "json_object"}), codec.to_text(_JSON_NOTE)
    if strength == "schema":
        said = {"name": form.name, "schema": form.schema, "description": form.description, "strict": form.strict}
        return {
            "type": "json_schema",
            "json_schema": {key: value for key, value in said.items() if value is not None},
        }, None
    note = codec.to_text(_SCHEMA_NOTE + codec.encode(form.schema).decode())
    return ({"type": "json_object"} if strength == "object" else UNSET), note


def _add_to_system(request: CreateChatCompletion, note: Text) -> None:
    first = request.messages[0]
    if first.role == "system" and isinstance(first.content, Raw):
        first.content = codec.join_texts([first.content, note])
    else:
        request.messages.insert(0, chat.Message("system", note))


_RARE = ("prompt_cache_key", "user", "verbosity")
_OPTIONAL = (
    "stream_options", "temperature", "top_p", "presence_penalty", "frequency_penalty", "logprobs", "top_logprobs",
    "parallel_tool_calls", "response_format", "reasoning_effort", *_RARE,
)  # fmt: skip


def _drop(request: CreateChatCompletion, dialect: Dialect) -> None:
    for name in dialect.drop_params:
        if hasattr(request, name):
            setattr(request, name, UNSET)
    for name in _RARE:
        if name not in dialect.known_params and name not in dialect.only_params:
            setattr(request, name, UNSET)
    if dialect.only_params:
        for name in _OPTIONAL:
            if name not in dialect.only_params:
                setattr(request, name, UNSET)
