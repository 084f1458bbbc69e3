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
from codex_nexus.translate import request as request_floor
from codex_nexus.translate import tools as tool_floor
from codex_nexus.translate.clients import Client
from codex_nexus.translate.deltas import ChatReader, Delta
from codex_nexus.translate.dialect import DEFAULT, Dialect
from codex_nexus.translate.faults import Fault
from codex_nexus.translate.history import History
from codex_nexus.translate.stream import NewId, ResponseStream, Wishes
from codex_nexus.translate.tools import DeclaredTool, ToolTable
from codex_nexus.wire import codec
from codex_nexus.wire.events import Event
from codex_nexus.wire.items import message_text
from codex_nexus.wire.responses import CreateResponse, Response, echoed
from codex_nexus.wire.sse import SseDecoder


class Turn:
    """See the module's first lines for what to call when."""

    def __init__(
        self, create: CreateResponse, history: History, declared: list[DeclaredTool], stream: ResponseStream
    ) -> None:
        self._create = create
        self._history = history
        self._declared = declared
        self._stream = stream
        self._decoder = SseDecoder()
        self._reader = ChatReader(DEFAULT)

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

    def to_chat(self, dialect: Dialect, model: str, tell: Callable[[str], str] | None = None) -> bytes:
        """The body for a provider, and a fresh reader for its answer.

        Args:
            dialect: how the provider speaks.
            model: its model id.
            tell: makes a fault's text fit for the client: names the provider, masks secrets.

        Raises:
            InvalidRequest: the request cannot be said in Chat Completions.
        """
        body = request_floor.to_chat(self._create, self._history, self._declared, dialect, model)
        self._decoder = SseDecoder()
        self._reader = ChatReader(dialect)
        self._stream.family = dialect.family
        self._stream.tell = tell or str
        self._stream.table = ToolTable(self._declared, dialect.max_tool_name)
        return body

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
        deltas: list[Delta] = []
        for event, payload in self._decoder.receive_data(data):
            deltas += read(payload, event)
        events = self._stream.receive(deltas) if deltas else []
        return events + self._finish(now) if self._reader.ended else events

    def close(self, now: int) -> list[Event]:
        """The events of the end of the upstream's body."""
        if self._stream.over:
            return []
        deltas: list[Delta] = []
        for event, payload in self._decoder.close():
            deltas += self._reader.read(payload, event)
        return self._stream.receive(deltas) + self._finish(now)

    def fail(self, fault: Fault, now: int) -> list[Event]:
        """The events of an end that upstream did not choose."""
        if self._stream.over:
            return []
        if self._reader.fault is None:
            self._reader.fault = fault
        return self._finish(now)

    def _finish(self, now: int) -> list[Event]:
        reader = self._reader
        events = self._stream.receive(reader.close())
        return events + self._stream.finish(reader.outcome(), reader.calls, reader.usage, reader.details, now)


def open_turn(create: CreateResponse, stored: list[Raw], client: Client, new_id: NewId, now: int) -> Turn:
    """A turn for a request and the stored items (JSON lists) that its `previous_response_id` stands for.

    Raises:
        InvalidRequest: an item or a tool is broken; `param` names it.
    """
    history = history_floor.read_history(stored, create.input)
    declared = tool_floor.declared(create.tools or [], "tools") + history.declared_tools()
    reasoning = create.reasoning
    summary = (reasoning.summary or reasoning.generate_summary) if reasoning else None
    wishes = Wishes(
        summary=summary is not None and summary != "none",
        encrypted="reasoning.encrypted_content" in (create.include or []),
    )
    response = echoed(create, new_id("resp"), now)
    return Turn(create, history, declared, ResponseStream(response, client, wishes, new_id))


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
