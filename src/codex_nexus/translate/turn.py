"""One turn: a Responses request on one side, a Chat Completions request and its answer on the other.

The driver does the input and output. It calls, in this order:

    turn = open_turn(create, stored, client, new_id, now)
    body = turn.to_chat(dialect, model)     # again for each provider that it tries
    events = turn.start()                   # once, when the stream to the client begins
    events = turn.receive_data(data)        # for each read, until `turn.over`
    events = turn.close(now)                # at the end of the body (or when only usage was still to come)
    events = turn.fail(fault, now)          # instead, when the connection broke or the time was up

After a terminal event (`turn.over`) every call gives nothing. `turn.response` is then the answer.
"""

from __future__ import annotations

from collections.abc import Callable

from msgspec import Raw

from codex_nexus.errors import InvalidRequest
from codex_nexus.translate import history as history_floor
from codex_nexus.translate import silence, strict
from codex_nexus.translate import tools as tool_floor
from codex_nexus.translate.answer_form import enforced
from codex_nexus.translate.chat_reader import ChatReader
from codex_nexus.translate.choice import callable_tools, tool_wish
from codex_nexus.translate.clients import Client
from codex_nexus.translate.deltas import Delta, Ending, GatheredCall, Text
from codex_nexus.translate.dialect import DEFAULT, Dialect
from codex_nexus.translate.faults import Fault
from codex_nexus.translate.gathered import json_in
from codex_nexus.translate.history import History
from codex_nexus.translate.items_reader import ItemsReader
from codex_nexus.translate.outputs import MessageBuilder, ReasoningBuilder
from codex_nexus.translate.pictures import pictures
from codex_nexus.translate.request import to_body
from codex_nexus.translate.rescue import Rescue
from codex_nexus.translate.stream import NewId, ResponseStream
from codex_nexus.translate.tools import DeclaredTool, ToolTable
from codex_nexus.translate.usage import estimated_usage
from codex_nexus.translate.wishes import wishes_of
from codex_nexus.wire import codec
from codex_nexus.wire.create import CreateResponse
from codex_nexus.wire.events import Event
from codex_nexus.wire.items import MessageItem, OutputItem, ReasoningItem, message_text
from codex_nexus.wire.responses import Response, ResponseUsage, echoed
from codex_nexus.wire.sse import SseDecoder


class Turn:
    """See the module's first lines for what to call when."""

    def __init__(
        self,
        create: CreateResponse,
        history: History,
        declared: list[DeclaredTool],
        client: Client,
        stream: ResponseStream,
    ) -> None:
        self._client = client
        self._create = create
        self._history = history
        self._declared = declared
        self._stream = stream
        self._decoder = SseDecoder()
        self._reader: ChatReader | ItemsReader = ChatReader(DEFAULT)
        self._rescue: Rescue | None = None
        self._gathered: list[str] | None = None
        self._request_bytes = 0
        self._dialect, self._model = DEFAULT, ""
        self.asked_again = False
        """The same request was answered with nothing but reasoning before."""
        self.only_thought = False
        """It is so now; worth another try."""

    @property
    def response(self) -> Response:
        """The resource; final once `over`."""
        return self._stream.response

    @property
    def over(self) -> bool:
        """The terminal event was said."""
        return self._stream.over

    @property
    def finished(self) -> bool:
        """Upstream has said how it ends; only usage can follow, and it is not worth a long wait."""
        return self._reader.finished

    @property
    def warnings(self) -> tuple[str, ...]:
        """What the log should say of the answer.

        `leaked_tool_markup`, or `rescued_tool_call` when it was mended; `leaked_thought`: reasoning stood in the text.
        """
        thought = ("leaked_thought",) if self._reader.leaked_thought else ()
        if self._rescue is None or not (self._rescue.leaked or self._rescue.calls):
            return thought
        return ("rescued_tool_call" if self._rescue.calls else "leaked_tool_markup", *thought)

    def pictures(self) -> dict[str, Raw]:
        """The images of the conversation by key, the latest first."""
        return pictures(self._history)

    def describe(self, described: dict[str, str]) -> None:
        """Notes that stand for images (by key) where a model sees none; before `to_chat`."""
        self._history.described = described

    def to_chat(self, dialect: Dialect, model: str, tell: Callable[[str], str] | None = None) -> bytes:
        """The body for a provider, and a fresh reader for its answer.

        Args:
            dialect: how the provider speaks.
            model: its model id.
            tell: makes a fault's text fit for the client: names the provider, masks secrets.

        Raises:
            InvalidRequest: the request cannot be said in Chat Completions.
        """
        body = to_body(self._create, self._history, self._declared, dialect, model)
        self._request_bytes, self._dialect, self._model = len(body), dialect, model
        self._decoder = SseDecoder()
        likely = self._stream.logprobs if self._stream.wishes.logprobs else None
        self._reader = ItemsReader(dialect, likely) if dialect.wire == "responses" else ChatReader(dialect, likely)
        whole = self._history.compacting or self._stream.gathers_json(enforced(dialect, tools=bool(self._declared)))
        self._gathered = [] if whole else None
        self._rescue = self._rescuer(dialect)
        self._stream.family = dialect.family
        self._stream.tell = tell or str
        self._stream.table = table = ToolTable(self._declared, dialect.max_tool_name)
        wish = None if self._history.compacting else tool_wish(self._create.tool_choice, table)
        self._stream.allow(wish.allowed if wish is not None else None)
        return body

    def _rescuer(self, dialect: Dialect) -> Rescue | None:
        if not self._declared or self._history.compacting:
            return None
        tools = None
        if dialect.tool_text == "on":
            tools = callable_tools(self._create, self._declared, dialect) or None
        return Rescue(tools, dialect.family, lone=not self._stream.wishes.json)

    def start(self) -> list[Event]:
        """`response.created` and `response.in_progress`."""
        return self._stream.start()

    def heartbeat(self) -> list[Event]:
        """An event without news."""
        return self._stream.heartbeat()

    def receive_data(self, data: bytes, now: int) -> list[Event]:
        """The events that these bytes of the upstream's body make; never raises."""
        if self._stream.over:
            return []
        read = self._reader.read
        events: list[Event] = []
        for event, payload in self._decoder.receive_data(data):
            events += self._receive(read(payload, event))
        return events + self._finish(now) if self._reader.ended else events

    def close(self, now: int) -> list[Event]:
        """The events of the end of the upstream's body."""
        if self._stream.over:
            return []
        events: list[Event] = []
        for event, payload in self._decoder.close():
            events += self._receive(self._reader.read(payload, event))
        return events + self._finish(now)

    def fail(self, fault: Fault, now: int) -> list[Event]:
        """The events of an end that upstream did not choose."""
        if self._stream.over:
            return []
        self._reader.fault = self._reader.fault or fault
        return self._finish(now)

    def _finish(self, now: int) -> list[Event]:
        reader = self._reader
        events = self._receive(reader.close())
        outcome, calls, details = reader.outcome(), reader.calls, reader.details
        if self._rescue is not None:
            lost = isinstance(outcome, Fault) and outcome.kind == "missing_tool_call"
            late, saved = self._rescue.close(whole=not calls and (lost or outcome == "completed"))
            events += self._tell(late)
            outcome, calls = ("completed", saved) if saved else (outcome, calls)
        if isinstance(outcome, Fault) and outcome.kind == "empty":
            outcome = self._of_silence(outcome)
        text = "".join(self._gathered or ())
        if self._history.compacting:
            calls, details = [], []
            if outcome == "completed" and not text.strip():
                outcome = Fault("empty", "The model gave no summary")
            if outcome == "completed":
                events += self._stream.summarise(text.strip())
        elif text:
            events += self._stream.receive([Text(json_in(text) if outcome == "completed" else text)])
        outcome, calls = self._callable(outcome, calls)
        return events + self._stream.finish(outcome, calls, reader.usage or self._estimated, details, now)

    def _callable(
        self, outcome: Ending | Fault, calls: list[GatheredCall]
    ) -> tuple[Ending | Fault, list[GatheredCall]]:
        """How the answer ends and its calls; a call of a tool although none was offered counts for nothing."""
        if not calls or self._create.tools != [] or not self._client.no_calls_unasked:
            return outcome, calls
        if outcome == "completed" and not self._stream.tells(MessageItem, MessageBuilder):
            outcome = Fault("invalid_tool_call", f"The model called '{calls[0].name}' where it was to answer in words")
        return outcome, []

    def _of_silence(self, fault: Fault) -> Ending | Fault:
        def body() -> bytes:
            return to_body(self._create, self._history, self._declared, self._dialect, self._model)

        too_long = silence.overflow(self._dialect, self._reader.usage, body)
        if too_long is not None or not self._stream.tells(ReasoningItem, ReasoningBuilder):
            return too_long or fault
        self.only_thought = not self.asked_again
        return silence.thoughts_only(again=self.asked_again)

    def _estimated(self, output: list[OutputItem]) -> ResponseUsage | None:
        if not self._client.estimates_usage:
            return None
        return estimated_usage(self._request_bytes, len(codec.encode(output)), self._dialect.context_window)

    def _receive(self, deltas: list[Delta]) -> list[Event]:
        return self._tell(deltas if self._rescue is None else self._rescue.receive(deltas))

    def _tell(self, deltas: list[Delta]) -> list[Event]:
        """The events of deltas; an answer that is told only when it is whole is gathered."""
        if self._gathered is None:
            return self._stream.receive(deltas)
        self._gathered += [delta.text for delta in deltas if isinstance(delta, Text)]
        if self._history.compacting:
            return []
        return self._stream.receive([delta for delta in deltas if not isinstance(delta, Text)])


def open_turn(create: CreateResponse, stored: list[Raw], client: Client, new_id: NewId, now: int) -> Turn:
    """A turn for a request and the stored items (JSON lists) that its `previous_response_id` stands for.

    Raises:
        InvalidRequest: an item or a tool is broken; `param` names it.
    """
    history = history_floor.read_history(stored, create.input)
    if client.told_mistakes:
        strict.check(create, history)
    declared = tool_floor.declared(create.tools or [], "tools") + history.declared_tools()
    response = echoed(create, new_id("resp"), now)
    return Turn(create, history, declared, client, ResponseStream(response, client, wishes_of(create), new_id))


def input_items(create: CreateResponse) -> Raw:
    """The request's input as a JSON list of items, as it is stored.

    Raises:
        InvalidRequest: `input` is neither a string nor a list.
    """
    if codec.is_null(create.input):
        return Raw(b"[]")
    if codec.is_text(create.input):
        return Raw(b"[" + bytes(message_text(create.input)) + b"]")
    if bytes(memoryview(create.input)[:1]) != b"[":
        raise InvalidRequest("'input' must be a string or a list of items.", "input", "invalid_type")
    return create.input
