"""A scripted Chat Completions provider on a real loopback socket; it plays answers and judges nothing.

    async with Upstream() as upstream:
        upstream.script(status(429, {"error": {"message": "slow"}}), sse([text("hi"), finish("stop")]))
        ... point a client at upstream.base_url ...
        assert upstream.requests[0].json["stream"] is True

Each answer serves one POST, in order; the last one repeats. In place of an answer a function may stand: it gets the
recorded request and returns the answer. `running_upstream()` is the same thing for tests that are not asynchronous.
"""

import asyncio
import contextlib
import json
import socket
import struct
import threading
import time
from collections.abc import Awaitable, Callable, Generator, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Protocol, Self

from aiohttp import web

Chunk = dict[str, Any] | bytes
Play = Callable[[web.Request], Awaitable[web.StreamResponse]]

EVENT_STREAM = "text/event-stream"
FAR_AWAY = 3600.0  # seconds; longer than any test waits


# --- what was asked


@dataclass(slots=True)
class Recorded:
    """One request as it arrived."""

    method: str
    path: str
    query: str
    headers: dict[str, str]  # names in lower case
    raw: bytes
    json: Any  # None when the body is no JSON
    arrived: float = field(default_factory=time.monotonic)
    aborted: float | None = None  # when the client went away before the answer had ended


# --- what is answered


@dataclass(frozen=True, slots=True)
class Answer:
    """One way to answer a request."""

    play: Play


Scripted = Answer | Callable[[Recorded], Answer]


def sse(
    chunks: Iterable[Chunk], pause: float = 0.0, *, done: bool = True, headers: Mapping[str, str] | None = None
) -> Answer:
    """An event stream, with `pause` seconds between two chunks; `done` adds the closing `[DONE]`."""
    steps = [*chunks, b"data: [DONE]\n\n"] if done else list(chunks)

    async def play(request: web.Request) -> web.StreamResponse:
        response = await _open_stream(request, headers)
        await _write(response, steps, pause)
        await response.write_eof()
        return response

    return Answer(play)


def raw(body: bytes, content_type: str = EVENT_STREAM, status: int = 200) -> Answer:
    """These very bytes, whole."""

    async def play(_request: web.Request) -> web.StreamResponse:
        return web.Response(body=body, status=status, headers={"Content-Type": content_type})

    return Answer(play)


def status(code: int, body: Any = "", headers: Mapping[str, str] | None = None) -> Answer:
    """A whole answer with this status: a string as text, anything else as JSON."""

    async def play(_request: web.Request) -> web.StreamResponse:
        if isinstance(body, str):
            return web.Response(text=body, status=code, headers=headers)
        return web.json_response(body, status=code, headers=headers)

    return Answer(play)


def stall(chunks: Iterable[Chunk] = (), *, before_headers: bool = True) -> Answer:
    """Silence for ever: before the headers, or (`before_headers=False`) after them and the given chunks."""
    steps = list(chunks)

    async def play(request: web.Request) -> web.StreamResponse:
        if before_headers:
            await asyncio.sleep(FAR_AWAY)
        response = await _open_stream(request, None)
        await _write(response, steps, 0.0)
        await asyncio.sleep(FAR_AWAY)
        return response

    return Answer(play)


class Gate(Protocol):
    """An event, of asyncio or of threads: open once it is set."""

    def is_set(self) -> bool: ...


def gated(gate: Gate, answer: Answer) -> Answer:
    """An answer that begins when the gate opens."""

    async def play(request: web.Request) -> web.StreamResponse:
        while not gate.is_set():  # noqa: ASYNC110 - it may be opened by another thread
            await asyncio.sleep(0.01)
        return await answer.play(request)

    return Answer(play)


def paused(before: Iterable[Chunk], gate: Gate, after: Iterable[Chunk], meanwhile: bytes = b"") -> Answer:
    """A stream that goes on when the gate opens; until then it says `meanwhile` again and again."""

    async def play(request: web.Request) -> web.StreamResponse:
        response = await _open_stream(request, None)
        await _write(response, list(before), 0.0)
        while not gate.is_set():
            if meanwhile:
                await response.write(meanwhile)
            await asyncio.sleep(0.01)
        await _write(response, list(after), 0.0)
        await response.write_eof()
        return response

    return Answer(play)


def cut(chunks: Iterable[Chunk] = (), pause: float = 0.0, *, reset: bool = False) -> Answer:
    """A stream that breaks off: the connection closes without the last chunk of the body, or is reset (`reset`)."""
    steps = list(chunks)

    async def play(request: web.Request) -> web.StreamResponse:
        response = await _open_stream(request, None)
        await _write(response, steps, pause)
        await asyncio.sleep(0.05)  # a reset would overtake what the client has not read yet
        if request.transport is not None:
            _hang_up(request.transport, reset=reset)
        return response

    return Answer(play)


def _hang_up(transport: asyncio.Transport, *, reset: bool) -> None:
    sock = transport.get_extra_info("socket")
    if reset and sock is not None:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    transport.abort()


async def _open_stream(request: web.Request, headers: Mapping[str, str] | None) -> web.StreamResponse:
    response = web.StreamResponse(headers={"Content-Type": EVENT_STREAM, **(headers or {})})
    await response.prepare(request)
    return response


async def _write(response: web.StreamResponse, steps: Sequence[Chunk], pause: float) -> None:
    for number, step in enumerate(steps):
        if number and pause:
            await asyncio.sleep(pause)
        await response.write(step if isinstance(step, bytes) else event(step))


def event(chunk: Mapping[str, Any]) -> bytes:
    """A chunk as one server-sent event."""
    return b"data: " + json.dumps(chunk, ensure_ascii=False, separators=(",", ":")).encode() + b"\n\n"


# --- the chunks of a stream


def text(piece: str) -> dict[str, Any]:
    """A piece of the answer's text."""
    return delta(content=piece)


def reasoning(piece: str) -> dict[str, Any]:
    """A piece of the model's thoughts."""
    return delta(reasoning_content=piece)


def call(
    index: int, call_id: str | None = None, name: str | None = None, arguments: str | dict[str, Any] = ""
) -> dict[str, Any]:
    """A piece of a tool call: its head has an id and a name, what follows has neither."""
    written = arguments if isinstance(arguments, str) else json.dumps(arguments)
    function: dict[str, Any] = {"arguments": written} if name is None else {"name": name, "arguments": written}
    piece: dict[str, Any] = {"index": index, "function": function}
    if call_id is not None:
        piece |= {"id": call_id, "type": "function"}
    return delta(tool_calls=[piece])


def finish(reason: str = "stop") -> dict[str, Any]:
    """The chunk that says why the answer ended."""
    return _chunk([{"index": 0, "delta": {}, "finish_reason": reason}])


def usage(
    prompt: int = 10, completion: int = 5, *, cached: int | None = None, thought: int | None = None
) -> dict[str, Any]:
    """The chunk that counts tokens."""
    counts: dict[str, Any] = {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": prompt + completion,
    }
    if cached is not None:
        counts["prompt_tokens_details"] = {"cached_tokens": cached}
    if thought is not None:
        counts["completion_tokens_details"] = {"reasoning_tokens": thought}
    return _chunk([]) | {"usage": counts}


def delta(**fields: Any) -> dict[str, Any]:
    """A chunk whose delta has these fields."""
    return _chunk([{"index": 0, "delta": fields, "finish_reason": None}])


def _chunk(choices: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "id": "chatcmpl-scripted",
        "object": "chat.completion.chunk",
        "created": 1_700_000_000,
        "model": "scripted",
        "choices": choices,
    }


# --- the server


class Upstream:
    """The provider. `requests` holds the POSTs; GETs (the model list) stand apart in `lookups`."""

    def __init__(self, *answers: Scripted, models: Sequence[str] = ("scripted",), port: int = 0) -> None:
        self.requests: list[Recorded] = []
        self.lookups: list[Recorded] = []
        self.models = list(models)
        self.no_models: tuple[int, Any] | None = None  # status and body in the place of the list
        self.port = port
        self.aborted = asyncio.Event()
        self._answers: list[Scripted] = list(answers)
        self._closing = False
        self._runner: web.AppRunner | None = None

    @property
    def base_url(self) -> str:
        """What a client is given as its base URL."""
        return f"http://127.0.0.1:{self.port}/v1"

    def script(self, *answers: Scripted) -> None:
        """Replace what is still to be played."""
        self._answers = list(answers)

    async def __aenter__(self) -> Self:
        app = web.Application(client_max_size=2**30)
        app.router.add_post("/{path:.*}", self._post)
        app.router.add_get("/{path:.*}", self._get)
        self._runner = web.AppRunner(app, access_log=None, handler_cancellation=True, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", self.port)
        await site.start()
        self.port = self._runner.addresses[0][1]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._closing = True
        if self._runner is not None:
            await self._runner.cleanup()

    async def _get(self, request: web.Request) -> web.StreamResponse:
        self.lookups.append(_record(request, b""))
        if not request.path.endswith("/models"):
            return web.json_response({"error": {"message": "no such page", "code": "not_found"}}, status=404)
        if self.no_models is not None:
            return web.json_response(self.no_models[1], status=self.no_models[0])
        listed = [{"id": name, "object": "model", "created": 0, "owned_by": "tests"} for name in self.models]
        return web.json_response({"object": "list", "data": listed})

    async def _post(self, request: web.Request) -> web.StreamResponse:
        recorded = _record(request, await request.read())
        self.requests.append(recorded)
        try:
            return await self._next_answer(recorded).play(request)
        except (asyncio.CancelledError, ConnectionError):
            self._note_abort(recorded)
            raise

    def _next_answer(self, recorded: Recorded) -> Answer:
        if not self._answers:
            return status(500, {"error": {"message": "the test has scripted no answer", "code": "unscripted"}})
        scripted = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
        return scripted if isinstance(scripted, Answer) else scripted(recorded)

    def _note_abort(self, recorded: Recorded) -> None:
        if not self._closing:
            recorded.aborted = time.monotonic()
            self.aborted.set()


def _record(request: web.Request, body: bytes) -> Recorded:
    headers = {name.lower(): value for name, value in request.headers.items()}
    return Recorded(request.method, request.path, request.query_string, headers, body, _json_or_none(body))


def _json_or_none(body: bytes) -> Any:
    try:
        return json.loads(body)
    except ValueError:
        return None


@contextlib.contextmanager
def running_upstream(*answers: Scripted, models: Sequence[str] = ("scripted",)) -> Generator[Upstream]:
    """The provider in a thread with a loop of its own."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="upstream", daemon=True)
    thread.start()
    upstream = Upstream(*answers, models=models)

    def run(step: Any) -> None:
        asyncio.run_coroutine_threadsafe(step, loop).result(10)

    try:
        run(upstream.__aenter__())
        try:
            yield upstream
        finally:
            run(upstream.__aexit__(None, None, None))
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)
        loop.close()
