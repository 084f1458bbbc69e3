"""A gateway in this process, on a port of its own, that stores nothing: real requests go through the real road."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections.abc import AsyncIterator
from types import TracebackType
from typing import Any, Self

import aiohttp
import msgspec
from msgspec import Struct

from codex_nexus.config.model import ModelRoute
from codex_nexus.gateway.listing import Listings
from codex_nexus.gateway.state import Gateway
from codex_nexus.gateway.upstream import Upstream
from codex_nexus.routing import Caller
from codex_nexus.service.listener import Listener
from codex_nexus.snapshot import Snapshot
from codex_nexus.wire import codec
from codex_nexus.wire.sse import SseDecoder

FIRST_BYTE_S = 60.0
_WHOLE_S = 120.0
_ENDINGS = ("response.completed", "response.incomplete", "response.failed")
Event = dict[str, Any]


class Outcome(Struct):
    """How one small request ended.

    Attributes:
        ending: `completed`, `incomplete`, `failed`, `refused` (no stream began), `cut` (no ending came).
        status: the HTTP status.
        calls: names of the tools that were called.
    """

    ending: str = "cut"
    status: int = 0
    code: str = ""
    message: str = "The answer broke off."
    text: str = ""
    thought: bool = False
    calls: list[str] = msgspec.field(default_factory=list[str])
    seconds: float = 0.0


class _Unasked(Listings):
    """Model lists for an examination that asks no provider."""

    async def ask(self, provider: str, snapshot: Snapshot, caller: Caller) -> None:
        """Asks nobody."""


class Laboratory:
    """The gateway; `async with` starts and stops it. `offline`: it asks no provider by itself."""

    def __init__(self, snapshot: Snapshot, *, offline: bool = False) -> None:
        config = snapshot.config
        retry = msgspec.structs.replace(config.retry, attempts=1)
        waits = msgspec.structs.replace(config.timeouts, first_byte_s=config.timeouts.first_byte_s or FIRST_BYTE_S)
        config = msgspec.structs.replace(config, host="127.0.0.1", port=0, retry=retry, timeouts=waits)
        self.snapshot = msgspec.structs.replace(snapshot, config=config)
        self._gateway = Gateway(self.snapshot, None)
        if offline:
            self._gateway.listings = _Unasked(self._gateway.upstream)
        self._listener = Listener(self._gateway, "127.0.0.1", 0)
        self._session: aiohttp.ClientSession | None = None

    @property
    def upstream(self) -> Upstream:
        """The road to the providers."""
        return self._gateway.upstream

    async def __aenter__(self) -> Self:
        await self._listener.start()
        self._session = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=_WHOLE_S))
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._session is not None:
            await self._session.close()
        await self._listener.stop()
        await self._gateway.close()

    async def models(self) -> bytes:
        """The model list; empty when it cannot be had."""
        assert self._session is not None  # noqa: S101 - entered
        with contextlib.suppress(aiohttp.ClientError, OSError, TimeoutError):
            async with self._session.get(f"{self._listener.address}/v1/models") as response:
                return await response.read()
        return b""

    async def ask(self, provider: str, model: str, key: str, **fields: Any) -> Outcome:
        """One small streamed request to this model, past all routes of the user; `key` is a route's own, or empty."""
        assert self._session is not None  # noqa: S101 - entered
        name = self._routed(provider, model, key)
        body = {"model": name, "stream": True, "store": False, "reasoning": {"effort": "low"}, **fields}
        began = time.monotonic()
        outcome = Outcome()
        try:
            async with self._session.post(f"{self._listener.address}/v1/responses", json=body) as response:
                outcome.status = response.status
                if response.status == 200:
                    async for event in _events(response):
                        _note(outcome, event)
                else:
                    _refused(outcome, await response.read())
        except TimeoutError:
            outcome.message = f"No whole answer came within {_WHOLE_S:g} s."
        except (aiohttp.ClientError, OSError) as error:
            outcome.message = f"The answer broke off ({type(error).__name__})."
        outcome.seconds = time.monotonic() - began
        return outcome

    def _routed(self, provider: str, model: str, key: str) -> str:
        """A name that leads to this model alone; the gateway's snapshot is swapped whole, as on a reload."""
        now = self._gateway.snapshot
        name = f"doctor-{len(now.config.model_routes)}"
        routes = {**now.config.model_routes, name: ModelRoute(provider=provider, model=model)}
        config = msgspec.structs.replace(now.config, model_routes=routes)
        keys = {**now.route_keys, name: key} if key else now.route_keys
        self._gateway.snapshot = msgspec.structs.replace(now, config=config, route_keys=keys)
        return name


async def _events(response: aiohttp.ClientResponse) -> AsyncIterator[Event]:
    decoder = SseDecoder()
    async for data in response.content.iter_any():
        for _, payload in decoder.receive_data(data):
            event = codec.as_object(json.loads(payload)) if payload != b"[DONE]" else None
            if event is not None:
                yield event
        await asyncio.sleep(0)


def _note(outcome: Outcome, event: Event) -> None:
    kind = str(event.get("type"))
    if kind == "response.output_text.delta":
        outcome.text += str(event.get("delta"))
    elif kind.startswith("response.reasoning"):
        outcome.thought = True
    elif kind == "response.output_item.done":
        item = codec.as_object(event.get("item")) or {}
        if item.get("type") == "function_call":
            outcome.calls.append(str(item.get("name")))
    elif kind in _ENDINGS:
        outcome.ending = kind.removeprefix("response.")
        _blame(outcome, (codec.as_object(event.get("response")) or {}).get("error"))


def _refused(outcome: Outcome, body: bytes) -> None:
    outcome.ending = "refused"
    try:
        error = (codec.as_object(json.loads(body)) or {}).get("error")
    except ValueError:
        error = None
    outcome.message = f"status {outcome.status}"
    _blame(outcome, error)


def _blame(outcome: Outcome, error: object) -> None:
    told = codec.as_object(error) or {}
    outcome.code = str(told.get("code") or "")
    outcome.message = str(told.get("message") or outcome.message)
