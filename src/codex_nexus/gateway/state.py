"""What the handlers of the API port share: the snapshot, the road upstream, the store, the streams under way."""

from __future__ import annotations

from pathlib import Path

from aiohttp import web
from msgspec import Raw

from codex_nexus.errors import StoreError
from codex_nexus.gateway.listing import Listings
from codex_nexus.gateway.live import Watch
from codex_nexus.gateway.traffic import Traffic
from codex_nexus.gateway.upstream import Upstream
from codex_nexus.gateway.windows import Windows
from codex_nexus.routing import Caller, Route, needs_listing, resolve
from codex_nexus.sessions.store import SessionStore, StoredTurn
from codex_nexus.snapshot import Snapshot


class Gateway:
    """The life behind the API port. `snapshot` is swapped whole on reload; a request keeps the one it began with."""

    def __init__(self, snapshot: Snapshot, store: SessionStore | None, home: Path | None = None) -> None:
        self.snapshot = snapshot
        self.upstream = Upstream()
        self.listings = Listings(self.upstream)
        self.watch = Watch()
        self.windows = Windows(home)
        self.traffic = Traffic()
        self.store = store

    async def route(self, snapshot: Snapshot, asked: str, caller: Caller) -> Route:
        """The route of a model name; asks a provider for its list only when that decides what the name means.

        Raises:
            NoRoute, NoKey: see routing.
        """
        provider = needs_listing(snapshot, asked)
        if provider is not None:
            await self.listings.ask(provider, snapshot, caller)
        return resolve(snapshot, asked, caller, self.listings.known())

    def etag(self, snapshot: Snapshot) -> str:
        """The tag of the model list. Codex fetches the list again whenever the two headers differ in one character."""
        return f'"{snapshot.etag}-{self.windows.version}"'

    async def keep(self, turn: StoredTurn) -> None:
        """Stores a turn; it is durable when this returns.

        Raises:
            StoreError: it is not kept.
        """
        if self.store is None:
            raise StoreError("there is no session store")
        await self.store.put(turn)

    async def history(self, response_id: str, identity: str) -> list[Raw] | None:
        """The items of a stored chain, or None."""
        return None if self.store is None else await self.store.history(response_id, identity)

    async def resource(self, response_id: str, identity: str) -> bytes | None:
        """A stored response, or None."""
        return None if self.store is None else await self.store.resource(response_id, identity)

    async def close(self) -> None:
        """Lets go of everything but the store, which belongs to the service."""
        await self.watch.close()
        await self.upstream.close()


GATEWAY = web.AppKey("gateway", Gateway)
CALLER = web.RequestKey("caller", Caller)
CORS = web.RequestKey("cors", dict[str, str])
