"""Builders of output items: each opens, is appended to and closes, and says the events of every step."""

from __future__ import annotations

from msgspec import UNSET, Raw

from codex_nexus.translate.envelope import is_patch, mended_input
from codex_nexus.translate.tools import DeclaredTool, is_object, unwrapped_input
from codex_nexus.translate.unwrap import Unwrapper
from codex_nexus.wire import events as ev
from codex_nexus.wire.events import Event
from codex_nexus.wire.items import (
    CallItem,
    CustomToolCallItem,
    FunctionCallItem,
    ItemStatus,
    MessageItem,
    OutputItem,
    OutputText,
    ReasoningItem,
    ReasoningText,
    Refusal,
    SummaryText,
    ToolSearchCallItem,
)


class MessageBuilder:
    """An assistant message: parts of text and refusal, one after another."""

    def __init__(self, item_id: str, output_index: int, coming: list[Raw] | None = None) -> None:
        """A message; `coming` is where the logprobs of its next piece of text are laid."""
        self._id = item_id
        self._index = output_index
        self._coming: list[Raw] = [] if coming is None else coming
        self._logprobs: list[Raw] = []
        self._parts: list[OutputText | Refusal] = []
        self._pieces: list[str] = []
        self._kind: type[OutputText | Refusal] | None = None

    def open(self) -> list[Event]:
        """The item begins."""
        return [ev.OutputItemAdded(output_index=self._index, item=MessageItem(self._id))]

    def append_text(self, text: str) -> list[Event]:
        """More text."""
        events = self._part(OutputText)
        self._pieces.append(text)
        said = ev.OutputTextDelta(
            item_id=self._id, output_index=self._index, content_index=len(self._parts), delta=text
        )
        if self._coming:
            said.logprobs = self._came()
        events.append(said)
        return events

    def _came(self) -> list[Raw]:
        new = self._coming.copy()
        self._coming.clear()
        self._logprobs += new
        return new

    def append_refusal(self, text: str) -> list[Event]:
        """More refusal."""
        events = self._part(Refusal)
        self._pieces.append(text)
        events.append(
            ev.RefusalDelta(item_id=self._id, output_index=self._index, content_index=len(self._parts), delta=text)
        )
        return events

    def close(self, status: ItemStatus) -> tuple[list[Event], OutputItem]:
        """The last part and the item are final."""
        events = self._close_part()
        item = MessageItem(self._id, status, content=self._parts)
        events.append(ev.OutputItemDone(output_index=self._index, item=item))
        return events, item

    def _part(self, kind: type[OutputText | Refusal]) -> list[Event]:
        if self._kind is kind:
            return []
        events = self._close_part()
        self._kind = kind
        part = OutputText("") if kind is OutputText else Refusal("")
        events.append(
            ev.ContentPartAdded(item_id=self._id, output_index=self._index, content_index=len(self._parts), part=part)
        )
        return events

    def _close_part(self) -> list[Event]:
        if self._kind is None:
            return []
        text, at = "".join(self._pieces), len(self._parts)
        done: Event
        if self._kind is OutputText:
            self._came()
            likely, self._logprobs = self._logprobs, []
            part = OutputText(text, logprobs=likely)
            done = ev.OutputTextDone(
                item_id=self._id, output_index=self._index, content_index=at, text=text, logprobs=likely
            )
        else:
            part = Refusal(text)
            done = ev.RefusalDone(item_id=self._id, output_index=self._index, content_index=at, refusal=text)
        self._parts.append(part)
        self._pieces, self._kind = [], None
        ended = ev.ContentPartDone(item_id=self._id, output_index=self._index, content_index=at, part=part)
        return [done, ended]


class ReasoningBuilder:
    """Reasoning, told as raw content, as a summary, or as both (the summary then follows whole)."""

    def __init__(self, item_id: str, output_index: int, *, content: bool, summary: bool) -> None:
        self._id = item_id
        self._index = output_index
        self._content = content
        self._summary = summary
        self._pieces: list[str] = []

    @property
    def text(self) -> str:
        """All reasoning so far."""
        return "".join(self._pieces)

    def open(self) -> list[Event]:
        """The item begins."""
        item = ReasoningItem(self._id, content=[] if self._content else UNSET)
        return [ev.OutputItemAdded(output_index=self._index, item=item)]

    def append(self, text: str) -> list[Event]:
        """More reasoning."""
        events: list[Event] = [] if self._pieces else self._open_part()
        self._pieces.append(text)
        if self._content:
            events.append(
                ev.ReasoningTextDelta(item_id=self._id, output_index=self._index, content_index=0, delta=text)
            )
        else:
            events.append(self._summary_delta(text))
        return events

    def close(self, status: ItemStatus, encrypted: str | None) -> tuple[list[Event], OutputItem]:
        """The item is final; `encrypted` is what a later request must bring back."""
        text = self.text
        events: list[Event] = []
        item = ReasoningItem(self._id, status, content=[] if self._content else UNSET)
        if text and self._content:
            events += self._close_content(text)
            item.content = [ReasoningText(text)]
        if text and self._summary:
            if self._content:
                events += [self._summary_added(), self._summary_delta(text)]
            events += self._close_summary(text)
            item.summary = [SummaryText(text)]
        if encrypted is not None:
            item.encrypted_content = encrypted
        events.append(ev.OutputItemDone(output_index=self._index, item=item))
        return events, item

    def _open_part(self) -> list[Event]:
        if not self._content:
            return [self._summary_added()]
        return [
            ev.ContentPartAdded(item_id=self._id, output_index=self._index, content_index=0, part=ReasoningText(""))
        ]

    def _close_content(self, text: str) -> list[Event]:
        part = ReasoningText(text)
        return [
            ev.ReasoningTextDone(item_id=self._id, output_index=self._index, content_index=0, text=text),
            ev.ContentPartDone(item_id=self._id, output_index=self._index, content_index=0, part=part),
        ]

    def _summary_added(self) -> Event:
        return ev.ReasoningSummaryPartAdded(
            item_id=self._id, output_index=self._index, summary_index=0, part=SummaryText("")
        )

    def _summary_delta(self, text: str) -> Event:
        return ev.ReasoningSummaryTextDelta(item_id=self._id, output_index=self._index, summary_index=0, delta=text)

    def _close_summary(self, text: str) -> list[Event]:
        part = SummaryText(text)
        return [
            ev.ReasoningSummaryTextDone(item_id=self._id, output_index=self._index, summary_index=0, text=text),
            ev.ReasoningSummaryPartDone(item_id=self._id, output_index=self._index, summary_index=0, part=part),
        ]


class CallBuilder:
    """A call of a tool, in the item type under which the client declared it."""

    def __init__(self, item_id: str, output_index: int, call_id: str, tool: DeclaredTool) -> None:
        self._id = item_id
        self._index = output_index
        self._call_id = call_id
        self._tool = tool
        self._arguments = ""
        self._unwrapper = Unwrapper() if tool.kind == "custom" and not is_patch(tool) else None
        self._told = ""

    def open(self) -> list[Event]:
        """The item begins, with empty arguments."""
        return [ev.OutputItemAdded(output_index=self._index, item=self._item("", "in_progress"))]

    def append(self, arguments: str) -> list[Event]:
        """More arguments; of a freeform tool, the text inside them as far as it is certain."""
        self._arguments += arguments
        if self._tool.kind == "function" and arguments:
            return [ev.FunctionCallArgumentsDelta(item_id=self._id, output_index=self._index, delta=arguments)]
        text = self._unwrapper.feed(arguments) if self._unwrapper is not None else ""
        return self._input(text)

    def _input(self, text: str) -> list[Event]:
        if not text:
            return []
        self._told += text
        return [ev.CustomToolCallInputDelta(item_id=self._id, output_index=self._index, delta=text)]

    def close(self, status: ItemStatus) -> tuple[list[Event], OutputItem]:
        """The item is final."""
        events: list[Event] = []
        final = self._arguments
        if self._tool.kind == "function":
            if not final.strip() and status == "completed":
                events += self.append("{}")
                final = self._arguments
            events.append(
                ev.FunctionCallArgumentsDone(
                    item_id=self._id, output_index=self._index, name=self._tool.name, arguments=final
                )
            )
        elif self._tool.kind == "custom":
            final = self._final_input(status)
            events += self._input(final.removeprefix(self._told))
            events.append(ev.CustomToolCallInputDone(item_id=self._id, output_index=self._index, input=final))
        item = self._item(final, status)
        events.append(ev.OutputItemDone(output_index=self._index, item=item))
        return events, item

    def _final_input(self, status: ItemStatus) -> str:
        """The whole input; what was told of it stands, even if the arguments turn out to be broken."""
        if status == "completed" or not self._told:
            text = mended_input(self._tool, unwrapped_input(self._arguments))
            if text.startswith(self._told):
                return text
        return self._told

    def _item(self, final: str, status: ItemStatus) -> CallItem:
        tool = self._tool
        namespace = tool.namespace or UNSET
        match tool.kind:
            case "function":
                return FunctionCallItem(self._id, self._call_id, tool.name, final, status, namespace)
            case "custom":
                return CustomToolCallItem(self._id, self._call_id, tool.name, final, status, namespace)
            case _:
                return ToolSearchCallItem(self._id, self._call_id, _object(final), status)


def _object(arguments: str) -> Raw:
    return Raw(arguments.strip().encode() if is_object(arguments) else b"{}")


Builder = MessageBuilder | ReasoningBuilder | CallBuilder
