"""What the handlers of the API port share: the snapshot, the road upstream, the store, the streams under way."""

from __future__ import annotations

import asyncio
import logging
import time
from pathlib import Path

from aiohttp import web
from msgspec import Raw

from codex_nexus.errors import NoKey, NoRoute, StoreError
from codex_nexus.gateway.learned import Learned
from codex_nexus.gateway.listing import Listings
from codex_nexus.gateway.live import Watch
from codex_nexus.gateway.metrics import Metrics
from codex_nexus.gateway.offered import Price, price_of
from codex_nexus.gateway.refusals import Refusals
from codex_nexus.gateway.replies import UpstreamError
from codex_nexus.gateway.running import Running
from codex_nexus.gateway.silences import Silences
from codex_nexus.gateway.trace import Trace, Traces
from codex_nexus.gateway.traffic import Traffic
from codex_nexus.gateway.upstream import Upstream
from codex_nexus.gateway.usage import UsageBook
from codex_nexus.gateway.vision import Vision
from codex_nexus.routing import Caller, Route, needs_listing, resolve
from codex_nexus.sessions.store import SessionStore, StoredTurn, StoreState
from codex_nexus.snapshot import Snapshot

log = logging.getLogger("codex_nexus.store")

_KEEPING_S = 8.0
"""A turn waits no longer for a store than this."""
_REST_S = 5.0
"""A store that failed is left alone for a while, so that turns do not wait for it one after another."""


class Gateway:
    """The life behind the API port. `snapshot` is swapped whole on reload; a request keeps the one it began with."""

    def __init__(self, snapshot: Snapshot, store: SessionStore | None, home: Path | None = None) -> None:
        self.snapshot = snapshot
        self.learned = Learned(home)
        self.upstream = Upstream(self.learned)
        self.vision = Vision(home)
        self.listings = Listings(self.upstream)
        self.silences = Silences()
        self.watch = Watch()
        self.traffic = Traffic()
        self.metrics = Metrics(self.traffic)
        self.usage = UsageBook(self.traffic, self._price)
        self.refusals = Refusals()
        self.traces = Traces(lambda: self.snapshot.config.traces)
        self.store = store
        self.store_trouble = ""
        """Why the last response could not be stored; empty while all is well."""
        self._rests_until = 0.0
        self.running = Running()

    async def route_turn(
        self, snapshot: Snapshot, asked: str, caller: Caller, client: str, trace: Trace | None = None
    ) -> Route:
        """The same as `route` for a turn: a refusal stands in the book, in the log and on record.

        Raises:
            NoRoute, NoKey: see routing.
            UpstreamError: the budget is used up.
        """
        try:
            return await self.affordable(await self.route(snapshot, asked, caller), snapshot, caller)
        except (NoRoute, NoKey, UpstreamError) as error:
            refused = self.traffic.refuse(asked, client, str(error))
            if trace is not None:
                trace.record = refused
            logging.getLogger("codex_nexus.turn").info("%s refused: %s", asked or "(no model)", error)
            raise

    async def route(self, snapshot: Snapshot, asked: str, caller: Caller) -> Route:
        """The route of a model name; asks a provider for its list only when that decides what the name means.

        Raises:
            NoRoute, NoKey: see routing.
        """
        provider = needs_listing(snapshot, asked)
        if provider is not None:
            await self.listings.ask(provider, snapshot, caller)
        return resolve(snapshot, asked, caller, self.listings.known())

    async def affordable(self, route: Route, snapshot: Snapshot, caller: Caller) -> Route:
        """The route as far as its budgets allow; who brings a key of their own spends their own.

        Raises:
            UpstreamError: the budget is used up.
        """
        return await self.usage.affordable(route, {} if caller.identity else snapshot.config.budgets, self.store)

    def _price(self, provider: str, model: str) -> Price | None:
        record = self.snapshot.catalogue.providers.get(provider)
        return None if record is None else price_of(record, model, self.listings.models(provider))

    def etag(self, snapshot: Snapshot) -> str:
        """The tag of the model list. Codex fetches the list again whenever the two headers differ in one character."""
        return f'"{snapshot.etag}-{self.learned.version}-{self.listings.version:x}"'

    async def keep(self, turn: StoredTurn, *, only_items: bool = False) -> None:
        """Stores a turn, or only what it adds to its conversation; it is durable when this returns.

        Raises:
            StoreError: it is not kept.
        """
        store = self.sure_store()
        if time.monotonic() < self._rests_until:
            raise StoreError(self.store_trouble)
        try:
            async with asyncio.timeout(_KEEPING_S):
                if only_items:
                    await store.add_items(turn.conversation or "", turn.owner, list(turn.items))
                else:
                    await store.put(turn)
        except (StoreError, TimeoutError) as error:
            self.store_trouble = error.message if isinstance(error, StoreError) else "The session store is too slow."
            self._rests_until = time.monotonic() + _REST_S
            raise StoreError(self.store_trouble) from None
        if self.store_trouble:
            log.info("responses are stored again")
            self.store_trouble = ""

    async def store_state(self) -> StoreState:
        """How the store does."""
        if self.store is None:
            return StoreState("none", self.store_trouble or "There is no session store.")
        try:
            async with asyncio.timeout(_REST_S):
                return StoreState(self.store.kind, self.store_trouble, await self.store.sizes())
        except StoreError as error:
            return StoreState(self.store.kind, error.message)
        except TimeoutError:
            return StoreState(self.store.kind, "The session store is too slow.")

    def sure_store(self) -> SessionStore:
        """The store, for what cannot be done without one.

        Raises:
            StoreError: there is none.
        """
        if self.store is None:
            raise StoreError(self.store_trouble or "There is no session store; the gateway's log says why.")
        return self.store

    async def history(self, response_id: str, identity: str) -> list[Raw] | None:
        """The items of a stored chain, or None."""
        return None if self.store is None else await self.store.history(response_id, identity)

    async def resource(self, response_id: str, identity: str) -> bytes | None:
        """A stored response, or None."""
        return None if self.store is None else await self.store.resource(response_id, identity)

    async def close(self) -> None:
        """Lets go of everything but the store, which belongs to the service."""
        await self.running.close()
        await self.watch.close()
        await self.upstream.close()
        await self.usage.close(self.store)


GATEWAY = web.AppKey("gateway", Gateway)
CALLER = web.RequestKey("caller", Caller)
CORS = web.RequestKey("cors", dict[str, str])
