"""A gateway in this process: the real application on a real loopback port, and a plain HTTP client before it."""

from __future__ import annotations

import asyncio
import io
import json
from collections.abc import Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import aiohttp

from codex_nexus.gateway.state import Gateway
from codex_nexus.service.listener import Listener
from codex_nexus.sessions.store import SessionStore
from codex_nexus.snapshot import Snapshot
from tests import oracle
from tests.oracle import Story
from tests.upstream import Upstream
from tests.waiting import PATIENCE

CODEX = {
    "originator": "codex_exec",
    "user-agent": "codex_exec/0.169.0 (Debian 12.0.0; x86_64) xterm (codex_exec; 0.169.0)",
    "x-codex-window-id": "0199a213-81c0-7800-8aa1-bbab2a035a53:0",
}
"""What Codex sends with every request."""


@dataclass(frozen=True)
class Reply:
    """A whole answer."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        """The body as JSON."""
        return json.loads(self.body)

    @property
    def error(self) -> dict[str, Any]:
        """The error of OpenAI's envelope, which must be whole."""
        assert self.headers["Content-Type"].startswith("application/json"), self
        assert self.json.keys() == {"error"}, self
        error = self.json["error"]
        assert error.keys() == {"message", "type", "param", "code"}, self
        assert isinstance(error["message"], str)
        assert error["message"]
        return error

    @property
    def story(self) -> Story:
        """The story of the stream, read and checked by the oracle."""
        assert self.status == 200, self
        assert self.headers["Content-Type"].startswith("text/event-stream"), self
        return oracle.read(self.body)


class Served:
    """The gateway while it runs."""

    def __init__(self, snapshot: Snapshot, store: SessionStore | None, home: Path | None = None) -> None:
        self.gateway = Gateway(snapshot, store, home)
        self.listener = Listener(self.gateway, "127.0.0.1", 0)
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Self:
        await self.listener.start()
        self._stack.push_async_callback(self.gateway.close)
        self._stack.push_async_callback(self.listener.stop)
        self.client = await self._stack.enter_async_context(
            aiohttp.ClientSession(auto_decompress=False, timeout=aiohttp.ClientTimeout(total=PATIENCE))
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._stack.aclose()

    @property
    def url(self) -> str:
        """Its address."""
        return self.listener.address

    async def ask(
        self, method: str, path: str, body: Any = None, headers: Mapping[str, str] | None = None, **options: Any
    ) -> Reply:
        """One request and its whole answer; a body that is no bytes is sent as JSON."""
        raw = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
        data = None if raw is None else io.BytesIO(raw)
        given = {"Content-Type": "application/json", **(headers or {})}
        async with self.client.request(method, self.url + path, data=data, headers=given, **options) as response:
            return Reply(response.status, response.headers, await response.read())

    async def get(self, path: str, headers: Mapping[str, str] | None = None) -> Reply:
        """A GET."""
        return await self.ask("GET", path, headers=headers)

    async def create(self, headers: Mapping[str, str] | None = None, **fields: Any) -> Reply:
        """`POST /v1/responses` with these fields over a short question."""
        return await self.ask("POST", "/v1/responses", {"model": "gpt-5", "input": "hi"} | fields, headers)

    async def stream(self, headers: Mapping[str, str] | None = None, **fields: Any) -> Story:
        """The same as a stream, which must begin well."""
        return (await self.create(headers, stream=True, **fields)).story

    async def open(self, headers: Mapping[str, str] | None = None, **fields: Any) -> aiohttp.ClientResponse:
        """A stream of which the headers are here; who opens it closes it."""
        body = {"model": "gpt-5", "input": "hi", "stream": True} | fields
        return await self.client.post(self.url + "/v1/responses", json=body, headers=headers)

    async def raw(self, data: bytes) -> bytes:
        """What comes back for these very bytes on a connection of their own, until it closes or falls silent."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.listener.port)
        try:
            writer.write(data)
            await writer.drain()
            answer = b""
            while piece := await asyncio.wait_for(reader.read(65536), PATIENCE):
                answer += piece
                if b"Connection: close" not in data:
                    break
            return answer
        finally:
            writer.close()
            await writer.wait_closed()


async def let_go(upstream: Upstream) -> None:
    """Waits until upstream has seen that nobody listens any more."""
    await asyncio.wait_for(upstream.aborted.wait(), PATIENCE)


async def read_until(response: aiohttp.ClientResponse, words: bytes) -> bytes:
    """What a stream says until these words have come."""
    said = b""
    while words not in said:
        piece = await response.content.readany()
        assert piece, said
        said += piece
    return said
