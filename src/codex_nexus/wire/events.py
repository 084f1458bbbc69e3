"""The events of a Responses stream and their bytes. Order and content are the business of translate."""

from __future__ import annotations

from typing import ClassVar

import msgspec
from msgspec import Raw, Struct

from codex_nexus.wire import sse
from codex_nexus.wire.items import OutputItem, Part, SummaryText
from codex_nexus.wire.responses import Response


class Event(Struct, kw_only=True, tag_field="type"):
    """Base of all events. `sequence_number` is stamped by the encoder."""

    sequence_number: int = 0
    terminal: ClassVar[bool] = False


class ResponseCreated(Event, tag="response.created"):
    """First of all."""

    response: Response


class ResponseInProgress(Event, tag="response.in_progress"):
    """Second; later again as a sign of life."""

    response: Response


class ResponseCompleted(Event, tag="response.completed"):
    """The good end."""

    response: Response
    terminal = True


class ResponseIncomplete(Event, tag="response.incomplete"):
    """The end of an answer that was cut."""

    response: Response
    terminal = True


class ResponseFailed(Event, tag="response.failed"):
    """The bad end."""

    response: Response
    terminal = True


TerminalEvent = ResponseCompleted | ResponseIncomplete | ResponseFailed


class OutputItemAdded(Event, tag="response.output_item.added"):
    """An item begins."""

    output_index: int
    item: OutputItem


class OutputItemDone(Event, tag="response.output_item.done"):
    """An item is final."""

    output_index: int
    item: OutputItem


class ContentPartAdded(Event, tag="response.content_part.added"):
    """A content part begins."""

    item_id: str
    output_index: int
    content_index: int
    part: Part


class ContentPartDone(Event, tag="response.content_part.done"):
    """A content part is final."""

    item_id: str
    output_index: int
    content_index: int
    part: Part


class OutputTextDelta(Event, tag="response.output_text.delta"):
    """More text."""

    item_id: str
    output_index: int
    content_index: int
    delta: str
    logprobs: list[Raw] = []


class OutputTextDone(Event, tag="response.output_text.done"):
    """The text is final."""

    item_id: str
    output_index: int
    content_index: int
    text: str
    logprobs: list[Raw] = []


class RefusalDelta(Event, tag="response.refusal.delta"):
    """More refusal."""

    item_id: str
    output_index: int
    content_index: int
    delta: str


class RefusalDone(Event, tag="response.refusal.done"):
    """The refusal is final."""

    item_id: str
    output_index: int
    content_index: int
    refusal: str


class ReasoningTextDelta(Event, tag="response.reasoning_text.delta"):
    """More raw reasoning."""

    item_id: str
    output_index: int
    content_index: int
    delta: str


class ReasoningTextDone(Event, tag="response.reasoning_text.done"):
    """The raw reasoning is final."""

    item_id: str
    output_index: int
    content_index: int
    text: str


class ReasoningSummaryPartAdded(Event, tag="response.reasoning_summary_part.added"):
    """A summary part begins."""

    item_id: str
    output_index: int
    summary_index: int
    part: SummaryText


class ReasoningSummaryPartDone(Event, tag="response.reasoning_summary_part.done"):
    """A summary part is final."""

    item_id: str
    output_index: int
    summary_index: int
    part: SummaryText


class ReasoningSummaryTextDelta(Event, tag="response.reasoning_summary_text.delta"):
    """More of a summary."""

    item_id: str
    output_index: int
    summary_index: int
    delta: str


class ReasoningSummaryTextDone(Event, tag="response.reasoning_summary_text.done"):
    """A summary text is final."""

    item_id: str
    output_index: int
    summary_index: int
    text: str


class FunctionCallArgumentsDelta(Event, tag="response.function_call_arguments.delta"):
    """More arguments."""

    item_id: str
    output_index: int
    delta: str


class FunctionCallArgumentsDone(Event, tag="response.function_call_arguments.done"):
    """The arguments are final; `name` is required by the OpenAI SDK 2.x."""

    item_id: str
    output_index: int
    name: str
    arguments: str


class CustomToolCallInputDelta(Event, tag="response.custom_tool_call_input.delta"):
    """More input of a freeform call."""

    item_id: str
    output_index: int
    delta: str


class CustomToolCallInputDone(Event, tag="response.custom_tool_call_input.done"):
    """The input is final."""

    item_id: str
    output_index: int
    input: str


class ErrorDetail(Struct):
    """The nested form of an error event (the wire's form; the SDK's types have the flat one)."""

    type: str
    code: str | None
    message: str
    param: str | None = None


class ErrorEvent(Event, tag="error"):
    """Said before `response.failed`, in both forms in one object."""

    code: str | None
    message: str
    param: str | None
    error: ErrorDetail


_encoder = msgspec.json.Encoder()
_names: dict[type[Event], bytes] = {}


def _name(kind: type[Event]) -> bytes:
    name = _names.get(kind)
    if name is None:
        name = _names[kind] = str(kind.__struct_config__.tag).encode()
    return name


class EventEncoder:
    """Stamps `sequence_number` (from 0, without gaps) and gives the bytes. One per stream."""

    def __init__(self) -> None:
        self.sequence_number = 0

    def json(self, event: Event) -> bytes:
        """One event as JSON, for doors that frame it themselves."""
        event.sequence_number = self.sequence_number
        self.sequence_number += 1
        return _encoder.encode(event)

    def sse(self, events: list[Event]) -> bytes:
        """All events as one piece of an event stream; `[DONE]` follows a terminal event."""
        pieces = [sse.frame(_name(type(event)), self.json(event)) for event in events]
        if events and events[-1].terminal:
            pieces.append(sse.DONE)
        return b"".join(pieces)
