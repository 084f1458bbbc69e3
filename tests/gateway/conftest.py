"""What the tests of the API port share: a scripted provider, and gateways before it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest

from codex_nexus.gateway import live
from codex_nexus.providers.catalogue import Catalogue
from codex_nexus.sessions.sqlite import SqliteStore
from codex_nexus.sessions.store import SessionStore
from tests.serving import Served
from tests.upstream import Upstream
from tests.worlds import world

UPSTREAM_KEY = "upstream-key-0123456789"
Serve = Callable[..., Awaitable[Served]]


@pytest.fixture
async def upstream() -> AsyncIterator[Upstream]:
    """The scripted provider."""
    async with Upstream() as running:
        yield running


@pytest.fixture
async def other_upstream() -> AsyncIterator[Upstream]:
    """A second provider, for fallbacks."""
    async with Upstream() as running:
        yield running


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[SessionStore]:
    """An empty session store."""
    running = SqliteStore(tmp_path / "nexus.db")
    yield running
    await running.close()


@pytest.fixture
async def serve(upstream: Upstream, store: SessionStore) -> AsyncIterator[Serve]:
    """Starts a gateway before the scripted provider: `await serve(key=value)` with keys of the configuration."""
    async with AsyncExitStack() as running:

        async def start(
            known: Catalogue | None = None, *, session_store: SessionStore | None = store, **config: Any
        ) -> Served:
            ours = {
                "provider": "custom",
                "custom_upstream": upstream.base_url,
                "api_key": UPSTREAM_KEY,
                "retry": {"attempts": 2, "base_delay_s": 0.01},
            }
            return await running.enter_async_context(Served(world(ours | config, known), session_store))

        yield start


@pytest.fixture
async def gateway(serve: Serve) -> Served:
    """A gateway before the scripted provider, with nothing else configured."""
    return await serve()


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """A clock that acts after parts of a second."""
    monkeypatch.setattr(live, "TICK_S", 0.02)
    monkeypatch.setattr(live, "GRACE_S", 0.15)
    monkeypatch.setattr(live, "HEARTBEAT_S", 0.1)
    monkeypatch.setattr(live, "SETTLE_S", 0.15)
