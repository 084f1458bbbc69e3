"""The same request for a provider that speaks Responses itself: a legal chat, said in items.

Native `/responses` endpoints drop, rename or refuse half of what Codex sends (namespaces, custom tools, tool search,
agent messages, late developer messages, pictures in outputs, their own item ids). So the request goes through the whole
normalisation for Chat Completions first, and is then only spelt in the other way: messages, reasoning, function calls
and their outputs are the only items that every one of them takes. Nothing of it depends on state at the provider:
`store` is false.
"""

from __future__ import annotations

from typing import Any

from msgspec import UNSET, Raw, Struct, UnsetType

from codex_nexus.translate.dialect import Dialect
from codex_nexus.translate.logprobs import INCLUDE
from codex_nexus.wire import codec
from codex_nexus.wire.chat import CreateChatCompletion, Message, encode_request
from codex_nexus.wire.create import CreateResponse


class OnwardRequest(Struct, kw_only=True):
    """The body of an upstream `POST /responses`; UNSET is not sent."""

    model: str
    input: list[Raw]
    instructions: Raw | UnsetType = UNSET
    tools: list[Any] | UnsetType = UNSET
    tool_choice: Any = UNSET
    parallel_tool_calls: bool | UnsetType = UNSET
    stream: bool = True
    store: bool | UnsetType = False
    temperature: float | UnsetType = UNSET
    top_p: float | UnsetType = UNSET
    max_output_tokens: int | UnsetType = UNSET
    reasoning: Any = UNSET
    text: Any = UNSET
    prompt_cache_key: str | UnsetType = UNSET
    top_logprobs: int | UnsetType = UNSET
    include: Any = UNSET


def to_responses(chat: CreateChatCompletion, create: CreateResponse, dialect: Dialect) -> bytes:
    """The body, from the chat request that would have been sent."""
    messages = list(chat.messages)
    request = OnwardRequest(model=chat.model, input=[])
    if messages and messages[0].role == "system" and isinstance(messages[0].content, Raw):
        request.instructions = messages.pop(0).content
    request.input = [item for message in messages for item in _items(message)]
    if isinstance(chat.tools, list):
        request.tools = [_tool(tool) for tool in chat.tools]
        request.tool_choice = _choice(chat.tool_choice)
        request.parallel_tool_calls = chat.parallel_tool_calls
    request.temperature, request.top_p = chat.temperature, chat.top_p
    request.max_output_tokens = chat.max_tokens if chat.max_tokens is not UNSET else chat.max_completion_tokens
    request.reasoning = _reasoning(chat, create)
    request.text = _text(chat)
    request.prompt_cache_key = chat.prompt_cache_key
    request.top_logprobs = chat.top_logprobs
    request.include = _include(chat, dialect)
    for name in dialect.drop_params:
        if name not in _ALWAYS and hasattr(request, name):
            setattr(request, name, UNSET)
    return encode_request(request, dialect.extra_body)


def _include(chat: CreateChatCompletion, dialect: Dialect) -> Any:
    """With the words of the dialect's own list, which would be hidden otherwise."""
    if chat.logprobs is not True:
        return UNSET
    own = codec.as_list(codec.decode_any(dialect.extra_body.get("include", codec.NULL)))
    return [*(own or ()), INCLUDE]


_ALWAYS = ("model", "input", "stream", "tools", "instructions")
"""Without these a request is no longer what was asked."""


def _items(message: Message) -> list[Raw]:
    match message.role:
        case "tool":
            call_id = codec.encode(message.tool_call_id)
            output = _output(message.content)
            return [Raw(b'{"type":"function_call_output","call_id":' + call_id + b',"output":' + output + b"}")]
        case "assistant":
            return [*_thoughts(message), *_said(message, b"output_text"), *_calls(message)]
        case _:
            return _said(message, b"input_text")


def _output(content: Raw | UnsetType) -> bytes:
    """A result is a text, or a list of parts where images may stand in it."""
    if not isinstance(content, Raw):
        return b'""'
    return bytes(content) if codec.is_text(content) else b"[" + _parts(content) + b"]"


def _said(message: Message, kind: bytes) -> list[Raw]:
    content = message.content
    if not isinstance(content, Raw) or codec.is_null(content):
        return []
    if codec.is_text(content):
        if codec.is_blank(content):
            return []
        parts = b'{"type":"' + kind + b'","text":' + bytes(content) + b"}"
    else:
        parts = _parts(content)
    return [Raw(b'{"type":"message","role":"' + message.role.encode() + b'","content":[' + parts + b"]}")]


def _parts(content: Raw) -> bytes:
    return b",".join(_part(part) for part in codec.as_list(codec.decode_any(content)) or [])


def _part(part: Any) -> bytes:
    fields = codec.as_object(part) or {}
    image = codec.as_object(fields.get("image_url"))
    if image is None:
        return codec.encode({"type": "input_text", "text": fields.get("text", "")})
    return codec.encode({"type": "input_image", "image_url": image.get("url"), "detail": image.get("detail", "auto")})


def _calls(message: Message) -> list[Raw]:
    calls = message.tool_calls if isinstance(message.tool_calls, list) else []
    return [
        Raw(
            codec.encode(
                {
                    "type": "function_call",
                    "call_id": call.id,
                    "name": call.function.name,
                    "arguments": call.function.arguments,
                }
            )
        )
        for call in calls
    ]


def _thoughts(message: Message) -> list[Raw]:
    """Reasoning items as the provider gave them, or its text in the shape of one."""
    if not isinstance(message.reasoning_details, Raw):
        return []
    items: list[Raw] = []
    for detail in codec.as_list(codec.decode_any(message.reasoning_details)) or []:
        fields = codec.as_object(detail) or {}
        if fields.get("type") == "reasoning":
            items.append(Raw(codec.encode(fields)))
        elif isinstance(fields.get("text"), str):
            content = [{"type": "reasoning_text", "text": fields["text"]}]
            items.append(Raw(codec.encode({"type": "reasoning", "summary": [], "content": content})))
    return items


def _tool(tool: Any) -> Any:
    fields = codec.as_object(codec.decode_any(tool)) or {}
    return {"type": "function", **(codec.as_object(fields.get("function")) or {})}


def _choice(choice: Any) -> Any:
    fields = codec.as_object(choice)
    return choice if fields is None else {"type": "function", **(codec.as_object(fields.get("function")) or {})}


def _reasoning(chat: CreateChatCompletion, create: CreateResponse) -> Any:
    asked = create.reasoning
    effort = chat.reasoning_effort if isinstance(chat.reasoning_effort, str) else None
    summary = asked.summary if asked is not None and asked.summary != "none" else None
    wishes = {"effort": effort, "summary": summary}
    return {name: wish for name, wish in wishes.items() if wish} or UNSET


def _text(chat: CreateChatCompletion) -> Any:
    form = codec.as_object(chat.response_format)
    text: dict[str, Any] = {}
    if form is not None:
        text["format"] = {"type": form["type"], **(codec.as_object(form.get("json_schema")) or {})}
    if isinstance(chat.verbosity, str):
        text["verbosity"] = chat.verbosity
    return text or UNSET
