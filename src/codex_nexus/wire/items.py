"""Items: what a Responses request carries in `input` and what a response gives in `output`.

An input item is one flat type with optional fields: clients add item types, and an unknown one must survive.
Output items are only the types that a Chat Completions answer can become.
"""

from __future__ import annotations

from typing import Any, Literal

from msgspec import UNSET, Raw, Struct, UnsetType

from codex_nexus.wire.codec import Text

ItemStatus = Literal["in_progress", "completed", "incomplete"]


class InputItem(Struct):
    """An item of the history, of whatever type. Texts and unknown shapes stay encoded (`Raw()` means absent)."""

    type: str | None = None
    role: str | None = None
    id: str | None = None
    status: Any = None
    content: Raw = Raw()
    call_id: str | None = None
    name: str | None = None
    namespace: str | None = None
    arguments: Raw = Raw()
    input: Raw = Raw()
    output: Raw = Raw()
    summary: Raw = Raw()
    encrypted_content: str | None = None
    tools: Raw = Raw()
    action: Raw = Raw()
    author: str | None = None
    recipient: str | None = None


class ContentPart(Struct):
    """A part of a message, a tool result or reasoning, of whatever type."""

    type: str = ""
    text: Raw = Raw()
    refusal: Raw = Raw()
    image_url: Raw = Raw()
    detail: str | None = None
    file_id: str | None = None
    file_url: str | None = None
    file_data: str | None = None
    filename: str | None = None
    input_audio: Raw = Raw()
    encrypted_content: Raw = Raw()


class OutputText(Struct, tag="output_text"):
    """Text of a message."""

    text: str
    annotations: list[Raw] = []
    logprobs: list[Raw] = []


class Refusal(Struct, tag="refusal"):
    """The model's refusal."""

    refusal: str


class ReasoningText(Struct, tag="reasoning_text"):
    """Raw reasoning."""

    text: str


class SummaryText(Struct, tag="summary_text"):
    """Reasoning as the client may show it."""

    text: str


Part = OutputText | Refusal | ReasoningText


class MessageItem(Struct, tag="message"):
    """An assistant message."""

    id: str
    status: ItemStatus = "in_progress"
    role: Literal["assistant"] = "assistant"
    content: list[OutputText | Refusal] = []


class ReasoningItem(Struct, tag="reasoning"):
    """What the model thought, as raw content, as summary, and sealed for its way back."""

    id: str
    status: ItemStatus = "in_progress"
    summary: list[SummaryText] = []
    content: list[ReasoningText] | UnsetType = UNSET
    encrypted_content: str | UnsetType = UNSET


class FunctionCallItem(Struct, tag="function_call"):
    """A call of a function; `arguments` is always a JSON text."""

    id: str
    call_id: str
    name: str
    arguments: str = ""
    status: ItemStatus = "in_progress"
    namespace: str | UnsetType = UNSET


class CustomToolCallItem(Struct, tag="custom_tool_call"):
    """A call of a freeform tool; `input` is plain text."""

    id: str
    call_id: str
    name: str
    input: str = ""
    status: ItemStatus = "in_progress"
    namespace: str | UnsetType = UNSET


class ToolSearchCallItem(Struct, tag="tool_search_call"):
    """A call of the client's tool search; `arguments` is an object (Codex 0.169 drops a string)."""

    id: str
    call_id: str
    arguments: Raw = Raw(b"{}")
    status: ItemStatus = "in_progress"
    execution: Literal["client"] = "client"


class CompactionItem(Struct, tag="compaction"):
    """The summary of a thread, sealed; the client sends it back in the place of what it sums up."""

    id: str
    encrypted_content: str
    status: ItemStatus = "completed"


OutputItem = MessageItem | ReasoningItem | FunctionCallItem | CustomToolCallItem | ToolSearchCallItem | CompactionItem
CallItem = FunctionCallItem | CustomToolCallItem | ToolSearchCallItem


def message_text(text: Text) -> Raw:
    """A user message item around a text: what a string `input` means."""
    part = b'{"type":"input_text","text":' + bytes(text) + b"}"
    return Raw(b'{"type":"message","role":"user","content":[' + part + b"]}")
