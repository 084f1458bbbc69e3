"""What turns use, added up from the book of turns and brought to the store; and budgets that are held by these sums.

Adding is all that a turn pays for. A task of the service brings what waits to the store every few seconds, and with
budgets asks it what every other process has used; so a crash loses a few seconds, and a budget may be overrun by what
is under way. A store that fails loses nothing: what waits is kept and brought later.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable

from codex_nexus.budgets import Used, day_of, owners, reached, refusal, standings, until_anew
from codex_nexus.config.model import Budget
from codex_nexus.errors import StoreError
from codex_nexus.gateway.offered import Price
from codex_nexus.gateway.replies import UpstreamError
from codex_nexus.gateway.traffic import OTHER, Few, Traffic, TurnRecord
from codex_nexus.routing import Destination, Route
from codex_nexus.sessions.store import SessionStore
from codex_nexus.sessions.usage import Place, Spent, Usage, added
from codex_nexus.translate.faults import Fault

log = logging.getLogger("codex_nexus.usage")

_OWNER = ""
_FRESH_S = 10.0
"""Sums of other processes that are older are asked for again before a turn is let through."""
_PATIENCE_S = 1.0
_FAREWELL_S = 3.0
_MODELS = 500
"""Each model is a row a day."""
_LONGEST = 200
_MOST_TOKENS = 1 << 32
_HIGHEST_PRICE = 1e6
"""A provider that tells more of one turn, or lists a higher price, lies; the sums of the store must not overflow."""

PriceOf = Callable[[str, str], Price | None]
"""The list price for a provider's id and a model of it."""
Budgets = dict[str, Budget]


class UsageBook:
    """The sums of this process, and what the store told of all."""

    def __init__(self, traffic: Traffic, price: PriceOf, clock: Callable[[], float] = time.time) -> None:
        """Listens from now on.

        Args:
            traffic: the book of turns.
            price: what a model costs.
            clock: unix time.
        """
        self._price = price
        self._clock = clock
        self._waiting: Usage = {}
        self._under_way: Usage = {}
        self._stored: dict[str, Spent] = {}
        """What the owner has used on `_day` by provider, as far as it is in the store."""
        self._day = ""
        self._asked_at = float("-inf")
        self._models = Few(_MODELS)
        self._warned: set[str] = set()
        self._trouble = ""
        self._one_at_a_time = asyncio.Lock()
        self._tasks: set[asyncio.Task[None]] = set()
        traffic.listen(self._hear)

    def _hear(self, record: TurnRecord) -> None:
        if record.status == "running" or not record.upstream:
            return
        provider, _, model = record.upstream.partition("/")
        day = self._today()
        named = _storable(model)
        place = Place(day, _storable(provider), named if self._models.admits(named) else OTHER, record.owner)
        spent = _spent(record, self._price(provider, model))
        self._waiting[place] = self._waiting.get(place, Spent()) + spent

    def _today(self) -> str:
        """The day; with a new one the sums begin anew."""
        day = day_of(self._clock())
        if day != self._day:
            self._day, self._stored = day, {}
            self._models.clear()
            self._warned.clear()
        return day

    # --- sums

    def today(self) -> dict[str, Spent]:
        """What the gateway's owner has used today, by provider; callers with keys of their own are not among it."""
        day = self._today()
        return _both(self._stored, owners(added(self._under_way, self._waiting), day))

    async def since(self, store: SessionStore | None, days: int) -> Usage:
        """What all callers used in the last days, today among them, with what this process has not stored yet.

        Raises:
            StoreError: the store cannot be read.
        """
        first = day_of(self._clock(), days - 1)
        async with self._one_at_a_time:
            kept = {} if store is None else await store.usage(first)
            return added(kept, self._waiting)

    # --- the store

    async def bring(self, store: SessionStore | None, *, ask: bool = False) -> None:
        """Brings what waits to the store. Who waits for this may be cancelled, the work itself is done to its end.

        Args:
            store: None: there is none; everything waits on.
            ask: also learn what all processes have used today.
        """
        if store is None:
            return
        task = asyncio.create_task(self._bring(store, ask=ask))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        await asyncio.shield(task)

    async def _bring(self, store: SessionStore, *, ask: bool) -> None:
        async with self._one_at_a_time:
            try:
                if self._waiting:
                    await self._write(store)
                if ask:
                    await self._read(store)
            except StoreError as error:
                if not self._trouble:
                    log.warning("usage cannot be brought to the store, it waits in memory: %s", error.message)
                self._trouble = error.message
            else:
                if self._trouble:
                    log.info("usage is stored again")
                self._trouble = ""

    async def _write(self, store: SessionStore) -> None:
        self._under_way, self._waiting = self._waiting, {}
        written = False
        try:
            await store.add_usage(self._under_way)
            written = True
        finally:
            brought, self._under_way = self._under_way, {}
            if not written:
                self._waiting = added(brought, self._waiting)
        day = self._today()
        self._stored = _both(self._stored, owners(brought, day))

    async def _read(self, store: SessionStore) -> None:
        self._asked_at = time.monotonic()
        day = self._today()
        told = await store.used(day, _OWNER)
        if day == self._today():
            self._stored = told

    async def close(self, store: SessionStore | None) -> None:
        """Brings the last of it; a store that hangs is not waited for."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_FAREWELL_S):
                await self.bring(store)

    # --- budgets

    async def affordable(self, route: Route, budgets: Budgets, store: SessionStore | None) -> Route:
        """The route without the destinations whose budget is used up.

        Raises:
            UpstreamError: none is left; the fault says what is used up and when it begins anew.
        """
        if not budgets:
            return route
        if time.monotonic() - self._asked_at > _FRESH_S:
            self._asked_at = time.monotonic()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_PATIENCE_S):
                    await self.bring(store, ask=True)
        used, left = self.today(), list[Destination]()
        fault: Fault | None = None
        for destination in route.destinations:
            standing = reached(budgets, used, destination.provider.id)
            if standing is None:
                left.append(destination)
                continue
            now = self._clock()
            why = refusal(standing, destination.provider.name, now)
            fault = fault or Fault("insufficient_quota", why, retry_after=until_anew(now))
        if not left:
            raise UpstreamError(fault or Fault("server", "No provider was asked."))
        if fault is not None:
            log.warning("%s goes to %s: %s", route.asked, left[0].name, fault.message)
        return Route(route.asked, tuple(left))

    def warn(self, budgets: Budgets) -> None:
        """One line in the log for each budget that is nearly used up, once a day."""
        for standing in standings(budgets, self.today()) if budgets else ():
            if standing.state != "good" and standing.key not in self._warned:
                self._warned.add(standing.key)
                log.warning("budget: %.0f %% of %s are used (%s)", 100 * standing.share, standing.key, standing.amount)


def _both(sums: Used, more: Used) -> dict[str, Spent]:
    return {**sums, **{name: sums.get(name, Spent()) + spent for name, spent in more.items()}}


def _spent(record: TurnRecord, price: Price | None) -> Spent:
    given, cached, made, thought = (
        min(max(0, count), _MOST_TOKENS)
        for count in (record.input_tokens, record.cached_tokens, record.output_tokens, record.reasoning_tokens)
    )
    cost, unpriced = 0, given + made
    if price is not None and all(0 <= one <= _HIGHEST_PRICE for one in price):
        for_cached, for_input, for_output = price
        millionths = (given - cached) * for_input + cached * for_cached + made * for_output
        cost, unpriced = round(1000 * millionths), 0
    failed = record.status in ("failed", "refused")
    return Spent(1, int(failed), given, cached, made, thought, cost, unpriced)


def _storable(name: str) -> str:
    """A name as every database takes it."""
    text = name[:_LONGEST].encode("utf-8", "replace").decode()
    return "".join(sign for sign in text if sign.isprintable())
