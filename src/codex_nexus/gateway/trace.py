"""What went through in a turn, recorded for a person who looks for a fault: the last turns, in memory only.

Off unless somebody asks for it; a turn that is not recorded has None in the place of its `Trace`. Bytes are kept as
they came, and bounded; what is shown of them, without keys and without words, is the business of `trace_view`.
"""

from __future__ import annotations

import itertools
import re
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping

from aiohttp import ClientResponse, web
from msgspec import Struct
from yarl import URL

from codex_nexus.config.model import MOST_TRACES
from codex_nexus.gateway.cuts import MOST_BYTES, Tape, shortened
from codex_nexus.gateway.traffic import TurnRecord
from codex_nexus.snapshot import Snapshot
from codex_nexus.translate.faults import Fault
from codex_nexus.wire.events import Event, EventEncoder

_MOST_TRIES = 16
"""Of one turn; a long row of keys and retries says the same again and again."""
_MOST_IN_ALL = 64 << 20
"""Bytes that all recorded turns may hold together when a new one begins."""

_KEPT = frozenset(
    {
        # of requests
        "accept", "accept-encoding", "content-encoding", "content-length", "content-type", "http-referer",
        "openai-beta", "origin", "originator", "session-id", "session_id", "thread-id", "user-agent",
        "version", "x-client-request-id", "x-codex-beta-features", "x-codex-parent-thread-id",
        "x-codex-window-id", "x-openai-internal-codex-responses-lite", "x-openai-subagent", "x-title",
        # of answers
        "allow", "date", "openai-processing-ms", "openai-version", "request-id", "retry-after", "server",
        "transfer-encoding", "via", "x-models-etag", "x-nexus-upstream", "x-request-id", "x-should-retry",
    }
)  # fmt: skip
_KEPT_FAMILIES = ("x-ratelimit-", "ratelimit-", "x-llm-provider-ratelimit-")
_KEPT_IN_QUERY = frozenset({"api-version", "alt", "beta"})
_SECRET_NAME = re.compile(r"auth|cookie|key|pass|secret|sig|token", re.IGNORECASE)
_SHORTEST = 6
"""A shorter key would be found in the middle of ordinary words."""


class Answered(Struct):
    """The head of an answer, `at` seconds after the beginning of the turn."""

    at: float
    status: int
    headers: dict[str, str]


class Attempt:
    """One request to a provider, and what came back.

    Attributes:
        at: seconds after the beginning of the turn.
        to: `provider/model`.
        size: of the body as it was sent, in bytes; `body` may be shorter.
        heard: the answer's bytes as they were read.
        broke: how the connection ended when it did not end well.
        fault: what we took a refusal for.
    """

    def __init__(self, clock: Callable[[], float], to: str, url: str, headers: Mapping[str, str], body: bytes) -> None:
        self._clock = clock
        self.at = clock()
        self.to = to
        self.url = url
        self.headers = kept(headers)
        self.size = len(body)
        self.body = shortened(body)
        self.answer: Answered | None = None
        self.heard = Tape(clock)
        self.broke = ""
        self.fault: Fault | None = None

    def answered(self, response: ClientResponse) -> None:
        """The head of the answer is here."""
        self.answer = Answered(self._clock(), response.status, kept(response.headers))

    def failed(self, error: BaseException) -> None:
        """The connection ended badly."""
        self.broke = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__


class Trace:
    """One turn on record.

    Attributes:
        id: what it is asked for by; unique in this process.
        at: unix time of its beginning.
        door: how the request came in.
        size: of the client's body, unpacked, in bytes; `body` may be shorter.
        record: its row in the book of turns, once it has one.
        more_tries: requests to providers beyond those that are kept.
        sent: what went to the client: events as a stream, or the bytes of a chat completion.
        reply: the head of what went to the client; `said` its body, when it went in one piece.
        secrets: keys and tokens that took part in the turn.
    """

    def __init__(self, name: str, door: str, headers: Mapping[str, str], body: bytes, secrets: Iterable[str]) -> None:
        self.id = name
        self.at = time.time()
        self._begun = time.monotonic()
        self.door = door
        self.headers = kept(headers)
        self.size = len(body)
        self.body = shortened(body)
        self.record: TurnRecord | None = None
        self.tries: list[Attempt] = []
        self.more_tries = 0
        self.sent = Tape(self.clock)
        self.reply: Answered | None = None
        self.said = b""
        self.secrets = _long(secrets) | secret_values(headers)
        self._encoder = EventEncoder()

    def clock(self) -> float:
        """Seconds since the beginning."""
        return time.monotonic() - self._begun

    def attempt(
        self,
        to: str,
        url: str,
        headers: Mapping[str, str],
        body: bytes,
        *,
        query: Mapping[str, str],
        keys: Iterable[str],
    ) -> Attempt:
        """A request goes to a provider."""
        self.secrets |= _long(keys) | secret_values(headers) | secret_values(query)
        attempt = Attempt(self.clock, to, shown_url(url, query), headers, body)
        if len(self.tries) < _MOST_TRIES:
            self.tries.append(attempt)
        else:
            self.more_tries += 1
        return attempt

    def tell(self, events: list[Event]) -> None:
        """Events go to the client."""
        self.sent.add(self._encoder.sse(events))

    def tell_frame(self, frame: bytes) -> None:
        """A WebSocket frame that is no event goes to the client."""
        self.sent.add(b"data: " + frame + b"\n\n")

    def replied(self, reply: web.StreamResponse) -> None:
        """The client's request is answered; the body of a stream was told before."""
        self.reply = Answered(self.clock(), reply.status, kept(reply.headers))
        if isinstance(reply, web.Response) and isinstance(reply.body, bytes):
            self.said = shortened(reply.body)

    def bytes_held(self) -> int:
        """How much memory it takes, about."""
        tries = sum(len(one.body) + one.heard.held for one in self.tries)
        return len(self.body) + len(self.said) + self.sent.held + tries


class Traces:
    """The last turns, oldest first."""

    def __init__(self, configured: Callable[[], int]) -> None:
        self._configured = configured
        self.switched: tuple[int, int] | None = None
        """What the file said when somebody switched, and the number that counts until the file says something else."""
        self._held: deque[Trace] = deque()
        self._numbers = itertools.count(1)

    @property
    def keep(self) -> int:
        """How many turns are kept; 0: none is recorded."""
        configured = self._configured()
        if self.switched is None or self.switched[0] != configured:
            return configured
        return self.switched[1]

    def switch(self, keep: int) -> None:
        """Keeps so many from now on, until the configuration says something else or this process ends."""
        self.switched = (self._configured(), max(0, min(MOST_TRACES, keep)))
        self._trim()

    @property
    def held(self) -> list[Trace]:
        """Those that are kept."""
        self._trim()
        return list(self._held)

    def find(self, name: str) -> Trace | None:
        """By its own id, or by that of its turn."""
        return next((one for one in self.held if name == one.id or (one.record and one.record.id == name)), None)

    def begin(self, door: str, headers: Mapping[str, str], body: bytes, snapshot: Snapshot) -> Trace | None:
        """A request is here; None when nobody wants to know."""
        if not self.keep:
            self._held.clear()
            return None
        trace = Trace(str(next(self._numbers)), door, headers, body, snapshot.secrets())
        self._held.append(trace)
        self._trim()
        return trace

    def _trim(self) -> None:
        while len(self._held) > self.keep or (len(self._held) > 1 and self._bytes_held() > _MOST_IN_ALL):
            self._held.popleft()

    def _bytes_held(self) -> int:
        # A few large turns fill the room; with fewer there is nothing to add up.
        return sum(one.bytes_held() for one in self._held) if len(self._held) * 4 * MOST_BYTES > _MOST_IN_ALL else 0


TRACE = web.RequestKey("trace", Trace)
"""The record of a request, if it is recorded."""


def traced(request: web.Request, traces: Traces, body: bytes, snapshot: Snapshot) -> Trace | None:
    """Begins to record what this request asks for, where that is wanted."""
    trace = traces.begin(f"{request.method} {request.path}", request.headers, body, snapshot)
    if trace is not None:
        request[TRACE] = trace
    return trace


# --- what may be kept


def kept(headers: Mapping[str, str]) -> dict[str, str]:
    """The headers that hold no secret, by their names; all others go."""
    names = {name.lower(): value for name, value in headers.items()}
    return {name: value for name, value in names.items() if name in _KEPT or name.startswith(_KEPT_FAMILIES)}


def shown_url(url: str, query: Mapping[str, str]) -> str:
    """The address without a name and password, and without values of a query that may be secret."""
    whole = URL(url).update_query(query) if query else URL(url)
    shown = {name: value if name.lower() in _KEPT_IN_QUERY else "***" for name, value in whole.query.items()}
    return str(whole.with_user(None).with_query(shown or None))


def secret_values(named: Mapping[str, str]) -> set[str]:
    """The values that are secrets by their names: of headers, or of a query."""
    values = [value for name, value in named.items() if _SECRET_NAME.search(name) and name.lower() not in _KEPT]
    parts = {part for value in values for part in (value, value.rpartition(" ")[2])}
    return _long(parts) | {
        part for value in values for part in re.split(r"[\s;=,]+", value) if len(part) > len("Bearer")
    }


def _long(secrets: Iterable[str]) -> set[str]:
    return {secret for secret in secrets if len(secret) >= _SHORTEST}
