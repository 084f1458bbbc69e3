"""The words of Chat Completions: what is sent to a provider and what it streams back.

Only fields that are read or written stand here. Fields that providers fill with several types are `Any` and are given
a type by their one reader (translate.chat_reader).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal, TypeVar

import msgspec
from msgspec import UNSET, Raw, Struct, UnsetType

from codex_nexus.wire import codec
from codex_nexus.wire.codec import Text

T = TypeVar("T")


class FunctionCall(Struct):
    """The function that a message calls; `arguments` is a JSON text inside a JSON string."""

    name: str
    arguments: Text


class ToolCall(Struct):
    """One entry of `tool_calls` in a message that is sent."""

    id: str
    function: FunctionCall
    type: Literal["function"] = "function"
    extra_content: Raw | UnsetType = UNSET


class Message(Struct):
    """One message of a request. `content` is a string, a list of parts or null."""

    role: Literal["system", "developer", "user", "assistant", "tool"]
    content: Raw | UnsetType = UNSET
    tool_calls: list[ToolCall] | UnsetType = UNSET
    tool_call_id: str | UnsetType = UNSET
    reasoning_content: Text | UnsetType = UNSET
    reasoning: Text | UnsetType = UNSET
    reasoning_details: Raw | UnsetType = UNSET


class FunctionTool(Struct, omit_defaults=True):
    """The `function` of a tool; `parameters` is a JSON Schema."""

    name: str
    description: str | UnsetType = UNSET
    parameters: Any = UNSET
    strict: bool | UnsetType = UNSET


class Tool(Struct):
    """A tool that is offered upstream; Chat Completions knows functions only."""

    function: FunctionTool
    type: Literal["function"] = "function"


class StreamOptions(Struct):
    """Asks for the usage chunk."""

    include_usage: bool = True


class CreateChatCompletion(Struct, kw_only=True):
    """The request. A field that is UNSET is not sent; nothing is ever sent as null."""

    model: str
    messages: list[Message]
    tools: list[Tool] | UnsetType = UNSET
    tool_choice: Any = UNSET
    parallel_tool_calls: bool | UnsetType = UNSET
    stream: bool = True
    stream_options: StreamOptions | UnsetType = UNSET
    temperature: float | UnsetType = UNSET
    top_p: float | UnsetType = UNSET
    presence_penalty: float | UnsetType = UNSET
    frequency_penalty: float | UnsetType = UNSET
    logprobs: bool | UnsetType = UNSET
    top_logprobs: int | UnsetType = UNSET
    max_tokens: int | UnsetType = UNSET
    max_completion_tokens: int | UnsetType = UNSET
    response_format: Any = UNSET
    reasoning_effort: str | UnsetType = UNSET
    reasoning: Any = UNSET
    thinking: Any = UNSET
    enable_thinking: bool | UnsetType = UNSET
    thinking_budget: int | UnsetType = UNSET
    chat_template_kwargs: Any = UNSET
    prompt_cache_key: str | UnsetType = UNSET
    user: str | UnsetType = UNSET
    verbosity: str | UnsetType = UNSET


def encode_request(request: Struct, extra: dict[str, Raw]) -> bytes:
    """The body, with a dialect's extra fields beneath its own: what the request says itself always stands."""
    fresh: dict[str, Raw] = {}
    for name, value in extra.items():
        own = getattr(request, name, UNSET)
        if own is UNSET:
            fresh[name] = value
        elif codec.as_object(msgspec.to_builtins(own)) is not None:
            setattr(request, name, _over(codec.decode_any(value), msgspec.to_builtins(own)))
    body = codec.encode(request)
    return body[:-1] + b"," + codec.encode(fresh)[1:] if fresh else body


def _over(under: Any, over: Any) -> Any:
    """Two JSON values as one: objects field by field, of anything else the second."""
    lower, upper = codec.as_object(under), codec.as_object(over)
    if lower is None or upper is None:
        return over
    return {**lower, **{name: _over(lower.get(name), value) for name, value in upper.items()}}


class CallFunctionDelta(Struct):
    """A piece of a call's function; arguments may be a string, an object or null."""

    name: Any = None
    arguments: Any = None


class ToolCallDelta(Struct):
    """A piece of a tool call. Every field may be missing, null, empty or repeated."""

    index: Any = None
    id: Any = None
    function: CallFunctionDelta | None = None
    extra_content: Any = None


class ChatDelta(Struct):
    """A piece of the answer."""

    content: Any = None
    reasoning_content: Any = None
    reasoning: Any = None
    reasoning_details: Any = None
    tool_calls: list[ToolCallDelta] | None = None
    function_call: CallFunctionDelta | None = None
    refusal: Any = None


class Choice(Struct):
    """One choice of a chunk; `message` comes from servers that do not stream."""

    index: Any = 0
    delta: ChatDelta | None = None
    message: ChatDelta | None = None
    finish_reason: Any = None
    usage: Any = None
    logprobs: Any = None


class ChatChunk(Struct):
    """One chunk, a whole completion, or an error that came in their place."""

    choices: list[Choice] | None = None
    usage: Any = None
    error: Any = None
    x_groq: Any = None
    data: Any = None
    base_resp: Any = None
    success: Any = None
    code: Any = None
    msg: Any = None
    message: Any = None
    detail: Any = None


_chunk_decoder = msgspec.json.Decoder(ChatChunk)


def decode_chunk(data: bytes) -> ChatChunk:
    """A chunk, however oddly it is written.

    Raises:
        ValueError: the payload is not a JSON object.
    """
    try:
        chunk = _chunk_decoder.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return chunk_of(codec.decode_lenient(data, halves=True))
    if len(data) > codec.SHALLOW and codec.may_be_deep(data):
        codec.decode_lenient(data)  # refuses what is nested too deeply
    return chunk


def chunk_of(value: Any) -> ChatChunk:
    """The same of a decoded value: every field that has a shape which can be read.

    Raises:
        ValueError: no JSON object.
    """
    several = codec.as_list(value)
    fields = codec.as_object(several[0] if several else value)
    if fields is None:
        raise ValueError("not an object")
    known = _known(fields, ChatChunk)
    known["choices"] = _objects(known.get("choices"), _choice)
    return ChatChunk(**known)


def _known(fields: dict[str, Any], kind: type[Struct]) -> dict[str, Any]:
    return {name: fields[name] for name in kind.__struct_fields__ if name in fields}


def _objects(value: Any, read: Callable[[dict[str, Any]], T]) -> list[T] | None:
    entries = codec.as_list(value)
    if entries is None:
        return None
    return [read(fields) for entry in entries if (fields := codec.as_object(entry)) is not None]


def _choice(fields: dict[str, Any]) -> Choice:
    known = _known(fields, Choice)
    for name in ("delta", "message"):
        inner = codec.as_object(known.get(name))
        known[name] = None if inner is None else _delta(inner)
    return Choice(**known)


def _delta(fields: dict[str, Any]) -> ChatDelta:
    known = _known(fields, ChatDelta)
    known["tool_calls"] = _objects(known.get("tool_calls"), _call)
    known["function_call"] = _function(known.get("function_call"))
    return ChatDelta(**known)


def _call(fields: dict[str, Any]) -> ToolCallDelta:
    known = _known(fields, ToolCallDelta)
    known["function"] = _function(known.get("function"))
    return ToolCallDelta(**known)


def _function(value: Any) -> CallFunctionDelta | None:
    fields = codec.as_object(value)
    return None if fields is None else CallFunctionDelta(fields.get("name"), fields.get("arguments"))
