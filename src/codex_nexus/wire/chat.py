"""The words of Chat Completions: what is sent to a provider and what it streams back.

Only fields that are read or written stand here. Fields that providers fill with several types are `Any` and are given
a type by their one reader (translate.deltas).
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec
from msgspec import UNSET, Raw, Struct, UnsetType

from codex_nexus.wire import codec
from codex_nexus.wire.codec import Text


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
    chat_template_kwargs: Any = UNSET
    prompt_cache_key: str | UnsetType = UNSET
    user: str | UnsetType = UNSET
    verbosity: str | UnsetType = UNSET


def encode_request(request: CreateChatCompletion, extra: dict[str, Raw]) -> bytes:
    """The body, with the dialect's extra fields merged in (a field that stands already is not repeated)."""
    body = codec.encode(request)
    fresh = {name: value for name, value in extra.items() if getattr(request, name, UNSET) is UNSET}
    return body[:-1] + b"," + codec.encode(fresh)[1:] if fresh else body


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
        return _chunk_decoder.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return _salvaged(codec.decode_lenient(data))


def _salvaged(value: Any) -> ChatChunk:
    if isinstance(value, list) and value:
        value = value[0]
    if not isinstance(value, dict):
        raise ValueError("not an object")
    known: dict[str, Any] = {name: value[name] for name in ChatChunk.__struct_fields__ if name in value}
    choices = known.get("choices")
    known["choices"] = [_choice(choice) for choice in choices if isinstance(choice, dict)] if _listed(choices) else None
    return ChatChunk(**known)


def _listed(value: Any) -> bool:
    return isinstance(value, list)


def _choice(value: dict[str, Any]) -> Choice:
    known: dict[str, Any] = {name: value[name] for name in Choice.__struct_fields__ if name in value}
    for name in ("delta", "message"):
        known[name] = _delta(known[name]) if isinstance(known.get(name), dict) else None
    return Choice(**known)


def _delta(value: dict[str, Any]) -> ChatDelta:
    known: dict[str, Any] = {name: value[name] for name in ChatDelta.__struct_fields__ if name in value}
    calls = known.get("tool_calls")
    known["tool_calls"] = [_call(call) for call in calls if isinstance(call, dict)] if _listed(calls) else None
    known["function_call"] = _function(known.get("function_call"))
    return ChatDelta(**known)


def _call(value: dict[str, Any]) -> ToolCallDelta:
    known: dict[str, Any] = {name: value[name] for name in ToolCallDelta.__struct_fields__ if name in value}
    known["function"] = _function(known.get("function"))
    return ToolCallDelta(**known)


def _function(value: Any) -> CallFunctionDelta | None:
    if not isinstance(value, dict):
        return None
    return CallFunctionDelta(value.get("name"), value.get("arguments"))
