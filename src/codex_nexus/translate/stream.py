"""The events of one response: items strictly one after another, then exactly one ending.

Theory of operation. `receive` takes deltas. Text and reasoning open their item at the first character and close it when
the other kind begins. For a plain client the first call is open while its arguments stream; text that comes meanwhile
and further calls wait until it is whole. Codex gets every call at the end, complete and checked, because it runs a call
as soon as its item is done. `finish` closes what is open, writes what waited and says the one terminal event.
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec
from msgspec import Raw

from codex_nexus.translate import arguments as given
from codex_nexus.translate.clients import Client, told
from codex_nexus.translate.deltas import CallPiece, Delta, Ending, GatheredCall, Text, Thought
from codex_nexus.translate.faults import Fault
from codex_nexus.translate.outputs import Builder, CallBuilder, MessageBuilder, ReasoningBuilder
from codex_nexus.translate.sealed import Sealed, seal
from codex_nexus.translate.tools import ToolTable, is_cut
from codex_nexus.translate.wishes import Wishes
from codex_nexus.wire import codec
from codex_nexus.wire import events as ev
from codex_nexus.wire.events import Event
from codex_nexus.wire.ids import output_item_id
from codex_nexus.wire.items import CompactionItem, ItemStatus, OutputItem
from codex_nexus.wire.responses import IncompleteDetails, Response, ResponseFault, ResponseUsage

NewId = Callable[[str], str]
"""Makes an id from a prefix (`resp`, `msg`, `rs`, `fc`, `ctc`, `tsc`, `call`); the only source of randomness."""

Estimate = Callable[[list[OutputItem]], ResponseUsage | None]
"""Counts the tokens of an answer whose provider did not."""

_PREFIX = {"function": "fc", "custom": "ctc", "tool_search": "tsc"}


class ResponseStream:
    """Deltas in, events out. `response` is the resource as it grows; after `finish` it is final."""

    def __init__(self, response: Response, client: Client, wishes: Wishes, new_id: NewId) -> None:
        self.response = response
        self._client = client
        self.wishes = wishes
        self.logprobs: list[Raw] = []  # those of the next text
        self._new_id = new_id
        self._open: Builder | None = None
        self._open_call: GatheredCall | None = None
        self._mender = given.Mender()
        self._told = 0
        self._waiting: list[Delta] = []
        self._call_ids: set[str] = set()
        self.table = ToolTable([])
        self._allowed: set[tuple[str | None, str]] | None = None
        self.family = ""
        self.tell: Callable[[str], str] = str
        self.over = False

    def allow(self, names: set[str] | None) -> None:
        """Only calls of these wire names of the table are told; None: all. Of another one the answer fails."""
        self._allowed = None if names is None else {tool.key for name, tool in self.table.items() if name in names}

    def gathers_json(self, enforced: bool) -> bool:  # noqa: FBT001 - a fact handed on
        """Whether a JSON answer is told whole: nobody enforces its form, or the client has no use for its pieces."""
        return self.wishes.json and (self._client.whole_json or not enforced)

    def tells(self, *kinds: type[OutputItem | Builder]) -> bool:
        """Whether an item of these kinds was told, or is being built."""
        return any(isinstance(item, kinds) for item in (*self.response.output, self._open))

    def start(self) -> list[Event]:
        """The two events before everything else."""
        return [ev.ResponseCreated(response=self._snapshot()), ev.ResponseInProgress(response=self._snapshot())]

    def heartbeat(self) -> list[Event]:
        """A sign of life: comments do not reset Codex's idle timer, a data event does."""
        return [] if self.over else [ev.ResponseInProgress(response=self._snapshot())]

    def receive(self, deltas: list[Delta]) -> list[Event]:
        """The events of some deltas."""
        events: list[Event] = []
        for delta in deltas:
            if isinstance(delta, CallPiece):
                events += self._call_piece(delta.call)
            elif self._open_call is not None:
                self._waiting.append(delta)
            elif isinstance(delta, Text):
                events += self._text(delta.text)
            elif isinstance(delta, Thought):
                events += self._thought(delta.text)
            else:
                events += self._refusal(delta.text)
        return events

    # --- items

    def _text(self, text: str) -> list[Event]:
        if isinstance(self._open, MessageBuilder):
            return self._open.append_text(text)
        builder = self._message()
        return self._begin(builder) + builder.append_text(text)

    def _refusal(self, text: str) -> list[Event]:
        if self._client.refusal_as_text:
            return self._text(text)
        if isinstance(self._open, MessageBuilder):
            return self._open.append_refusal(text)
        builder = self._message()
        return self._begin(builder) + builder.append_refusal(text)

    def _message(self) -> MessageBuilder:
        return MessageBuilder(*self._next("msg"), self.logprobs)

    def _next(self, prefix: str) -> tuple[str, int]:
        """The id and the index of the next item."""
        index = len(self.response.output) + (self._open is not None)
        return output_item_id(prefix, self.response.id, index), index

    def _thought(self, text: str) -> list[Event]:
        if isinstance(self._open, ReasoningBuilder):
            return self._open.append(text)
        builder = self._reasoning()
        return self._begin(builder) + builder.append(text)

    def _reasoning(self) -> ReasoningBuilder:
        hidden = self._client.summary_instead and self.wishes.summary
        return ReasoningBuilder(*self._next("rs"), content=not hidden, summary=self.wishes.summary)

    def _begin(self, builder: Builder) -> list[Event]:
        events = self._close("completed")
        self._open = builder
        return events + builder.open()

    def _close(self, status: ItemStatus) -> list[Event]:
        builder, self._open = self._open, None
        if builder is None:
            return []
        if isinstance(builder, ReasoningBuilder):
            events, item = builder.close(status, self._sealed(builder.text))
        else:
            events, item = builder.close(status)
        self.response.output.append(item)
        return events

    def _sealed(self, text: str, details: list[Raw] | None = None, signed: dict[str, Raw] | None = None) -> str | None:
        if not self.wishes.encrypted and not details and not signed:
            return None
        return seal(Sealed("reasoning", self.family, text, details or [], signed or {}))

    # --- calls

    def _call_piece(self, call: GatheredCall) -> list[Event]:
        if self._client.whole_calls or not call.name or not self._allows(call):
            return []
        events: list[Event] = []
        if self._open_call is None:
            events = self._begin(self._call_builder(call))
            self._open_call = call
        if call is not self._open_call or not isinstance(self._open, CallBuilder):
            return events
        new = call.arguments[self._told :]
        self._told += len(new)
        return events + self._open.append(new if self._is_custom(call) else self._mender.feed(new))

    def _allows(self, call: GatheredCall) -> bool:
        return self._allowed is None or self.table.called(call.name).key in self._allowed

    def _is_custom(self, call: GatheredCall) -> bool:
        return self.table.called(call.name).kind == "custom"

    def _call_builder(self, call: GatheredCall) -> CallBuilder:
        tool = self.table.called(call.name)
        return CallBuilder(*self._next(_PREFIX[tool.kind]), self._call_id(call), tool)

    def _call_id(self, call: GatheredCall) -> str:
        if not call.id or call.id in self._call_ids:
            call.id = self._new_id("call")
        self._call_ids.add(call.id)
        return call.id

    def _whole_call(self, call: GatheredCall) -> list[Event]:
        builder = self._call_builder(call)
        events = self._begin(builder)
        events += builder.append(call.arguments if self._is_custom(call) else given.strict(call.arguments))
        return events + self._close("completed")

    def summarise(self, text: str) -> list[Event]:
        """The whole answer as one compaction item."""
        name, index = self._next("cmp")
        item = CompactionItem(name, seal(Sealed("summary", text=text)))
        self.response.output.append(item)
        return [
            ev.OutputItemAdded(output_index=index, item=CompactionItem(item.id, "", "in_progress")),
            ev.OutputItemDone(output_index=index, item=item),
        ]

    # --- the end

    def finish(
        self,
        outcome: Ending | Fault,
        calls: list[GatheredCall],
        usage: ResponseUsage | Estimate,
        details: list[dict[str, object]],
        now: int,
    ) -> list[Event]:
        """Everything that is still to be said, and the terminal event; nothing when it was said already."""
        if self.over:
            return []
        if outcome == "completed":
            outcome = self._checked(calls)
        events = self._finish_items(outcome, calls, details)
        if isinstance(usage, ResponseUsage):
            self.response.usage = usage
        elif not isinstance(outcome, Fault):
            self.response.usage = usage(self.response.output)
        self.over = True
        return events + self._terminal(outcome, now)

    def _checked(self, calls: list[GatheredCall]) -> Ending | Fault:
        for call in calls:
            tool = self.table.called(call.name)
            if not self._allows(call):
                return Fault("invalid_tool_call", f"The model called '{tool.name}', which this request does not allow")
            if is_cut(call.arguments) if tool.kind == "custom" else not given.legal(call.arguments):
                said = f"The model called '{tool.name}' with broken arguments: {call.arguments[:80]}"
                return Fault("invalid_tool_call", said)
        return "completed"

    def _finish_items(
        self, outcome: Ending | Fault, calls: list[GatheredCall], details: list[dict[str, object]]
    ) -> list[Event]:
        if outcome != "completed":
            events = self._close("incomplete")
            self._open_call = None
            return events + self._late("incomplete")
        signed = {self._signed_id(call): call.signature for call in calls if call.signature is not None}
        raws = [Raw(codec.encode_any(detail)) for detail in details]
        events = self._close_reasoning(raws, signed) if raws or signed else self._close("completed")
        first, self._open_call = self._open_call, None
        events += self._late("completed")
        for call in calls:
            if call is not first:
                events += self._whole_call(call)
        return events

    def _signed_id(self, call: GatheredCall) -> str:
        if not call.id:
            call.id = self._new_id("call")
        return call.id

    def _close_reasoning(self, details: list[Raw], signed: dict[str, Raw]) -> list[Event]:
        """The open reasoning or, where another item is open, one of its own: with what must come back."""
        builder, events = self._open, list[Event]()
        if not isinstance(builder, ReasoningBuilder):
            builder = self._reasoning()
            events = self._begin(builder)
        self._open = None
        closing, item = builder.close("completed", self._sealed(builder.text, details, signed))
        self.response.output.append(item)
        return events + closing

    def _late(self, status: ItemStatus) -> list[Event]:
        """Text and reasoning that came while a call was open."""
        waiting, self._waiting = self._waiting, []
        return self.receive(waiting) + self._close(status)

    def _terminal(self, outcome: Ending | Fault, now: int) -> list[Event]:
        response = self.response
        if outcome == "completed":
            response.status, response.completed_at = "completed", now
            return [ev.ResponseCompleted(response=response)]
        if outcome == "content_filter" and self._client.filter_fails:
            outcome = Fault("content_filter", "The provider's content filter stopped the answer.")
        if isinstance(outcome, Fault):
            return self._failed(outcome)
        response.status, response.incomplete_details = "incomplete", IncompleteDetails(outcome)
        return [ev.ResponseIncomplete(response=response)]

    def _failed(self, fault: Fault) -> list[Event]:
        answer = self._client.answers[fault.kind]
        message = self.tell(told(self._client, fault))
        self.response.status = "failed"
        self.response.error = ResponseFault(answer.in_stream, message)
        events: list[Event] = []
        if self._client.error_event:
            detail = ev.ErrorDetail(answer.type, answer.in_stream, message)
            events.append(ev.ErrorEvent(code=answer.in_stream, message=message, param=None, error=detail))
        return [*events, ev.ResponseFailed(response=self.response)]

    def _snapshot(self) -> Response:
        return msgspec.structs.replace(self.response, output=list(self.response.output))
