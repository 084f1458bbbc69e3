"""What goes through the gateway, for people: the turns under way and the last ones that ended. Bounded, in memory."""

from __future__ import annotations

import secrets
import time
from collections import deque
from collections.abc import Callable
from typing import Literal

from msgspec import Struct

from codex_nexus.wire.responses import Response, ResponseUsage

_LAST = 200
OTHER = "other"
"""How models are told together that are one too many."""

TurnStatus = Literal["running", "completed", "incomplete", "failed", "refused", "gone"]
Listener = Callable[["TurnRecord"], None]


class TurnRecord(Struct):
    """One turn as a row: holds nothing of what was said.

    Attributes:
        id: the response's id.
        at: unix time of its beginning.
        asked: the model name that the client asked for.
        upstream: `provider/model` that serves it; empty when no route was found.
        client: `codex` or `plain`.
        owner: identity of the caller; empty for the gateway's owner.
        seconds: how long it took; so far, while it runs.
        fault: why it failed, as the client was told.
        effort: how hard the client asked the model to think; empty when it did not.
        effort_sent: what the provider was told of it; empty for nothing.
    """

    id: str
    at: float
    asked: str
    upstream: str
    client: str
    status: TurnStatus = "running"
    seconds: float = 0.0
    input_tokens: int = 0
    cached_tokens: int = 0
    output_tokens: int = 0
    reasoning_tokens: int = 0
    fault: str = ""
    owner: str = ""
    effort: str = ""
    effort_sent: str = ""

    @property
    def thinking(self) -> str:
        """Effort asked and effort sent, in few words; empty when none was asked for."""
        if not self.effort or self.effort == self.effort_sent:
            return self.effort and f"effort {self.effort}"
        return f"effort {self.effort} {f'sent as {self.effort_sent}' if self.effort_sent else 'not sent'}"

    def count(self, usage: ResponseUsage) -> None:
        """Notes what the turn used."""
        self.input_tokens, self.output_tokens = usage.input_tokens, usage.output_tokens
        self.cached_tokens = usage.input_tokens_details.cached_tokens
        self.reasoning_tokens = usage.output_tokens_details.reasoning_tokens


class Few:
    """So many different names and no more: a client may invent models, and whoever counts by name would grow."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._names: set[str] = set()

    def admits(self, name: str) -> bool:
        """Whether it is known, or there is still room for it."""
        if name not in self._names and len(self._names) >= self._most:
            return False
        self._names.add(name)
        return True

    def clear(self) -> None:
        """Begins anew."""
        self._names.clear()


class Traffic:
    """The book of turns. Listeners are told of each beginning and each end."""

    def __init__(self) -> None:
        self.running: dict[str, TurnRecord] = {}
        self.ended: deque[TurnRecord] = deque(maxlen=_LAST)
        self.turns = 0
        self.failures = 0
        self._listeners: set[Listener] = set()

    def listen(self, listener: Listener) -> Callable[[], None]:
        """Tells a listener from now on; call the result to stop."""
        self._listeners.add(listener)
        return lambda: self._listeners.discard(listener)

    def begin(self, response_id: str, asked: str, upstream: str, client: str, owner: str = "") -> TurnRecord:
        """A turn begins."""
        record = TurnRecord(response_id, time.time(), asked, upstream, client, owner=owner)
        self.running[response_id] = record
        self.turns += 1
        self._tell(record)
        return record

    def refuse(self, asked: str, client: str, fault: str) -> TurnRecord:
        """A turn that ends before it has a route."""
        record = self.begin(f"refused_{secrets.token_hex(8)}", asked, "", client)
        self.end(record, "refused", fault=fault)
        return record

    def end(self, record: TurnRecord, status: TurnStatus, response: Response | None = None, fault: str = "") -> None:
        """A turn has ended; a second call changes nothing."""
        if self.running.pop(record.id, None) is None:
            return
        record.status = status
        record.seconds = time.time() - record.at
        record.fault = fault or (response.error.message if response is not None and response.error else "")
        if response is not None and response.usage is not None:
            record.count(response.usage)
        self.failures += status in ("failed", "refused")
        self.ended.append(record)
        self._tell(record)

    def _tell(self, record: TurnRecord) -> None:
        for listener in list(self._listeners):
            listener(record)
