"""What a running gateway does beside answering: forgets what is old, ends what nobody works on, finds a lost store."""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections.abc import Callable

from codex_nexus.budgets import day_of
from codex_nexus.errors import NexusError, StoreError
from codex_nexus.gateway import background
from codex_nexus.gateway.state import Gateway
from codex_nexus.sessions.store import SessionStore

log = logging.getLogger("codex_nexus.store")

LOOK_S = 5.0
COUNT_S = 2.0
_USAGE_DAYS = 400
"""Usage is small, and a year of it is what people ask for."""
_PRUNE_EVERY_S = 3600.0
_DAY_S = 86_400


async def tend(gateway: Gateway, reopen: Callable[[], SessionStore | None]) -> None:
    """Looks after a gateway until it is cancelled; the first look is at once.

    Args:
        gateway: the gateway.
        reopen: tries to open the configured store, in a thread.
    """
    pruned = 0.0
    while True:
        try:
            if gateway.store is None:
                await _find(gateway, reopen)
            await background.reap(gateway)
            if not pruned or time.monotonic() - pruned > _PRUNE_EVERY_S:
                await prune(gateway)
                pruned = time.monotonic()
        except StoreError as error:
            log.debug("the store cannot be tended: %s", error.message)
        except NexusError as error:
            log.warning("%s", error.message)
        except Exception:
            log.exception("a fault while looking after the store; the next look may go well")
        await asyncio.sleep(LOOK_S)


async def _find(gateway: Gateway, reopen: Callable[[], SessionStore | None]) -> None:
    store = await asyncio.to_thread(reopen)
    if store is not None:
        gateway.store, gateway.store_trouble = store, ""
        log.info("the session store is there; responses are stored")


async def count(gateway: Gateway, *, warns: bool) -> None:
    """Brings what turns used to the store every few seconds, until it is cancelled.

    Args:
        gateway: the gateway.
        warns: also say when a budget is nearly used up; of several workers one does.
    """
    while True:
        budgets = gateway.snapshot.config.budgets
        try:
            await gateway.usage.bring(gateway.store, ask=bool(budgets))
            if warns:
                gateway.usage.warn(budgets)
        except Exception:
            log.exception("a fault while counting usage; the next round may go well")
        await asyncio.sleep(COUNT_S)


async def prune(gateway: Gateway) -> None:
    """Forgets what is older than `retention_days` and what is beyond `store_limit_mb`, longest unused first.

    Usage stays for 400 days, or as long as responses do.

    Raises:
        StoreError: it cannot be removed.
    """
    config, store = gateway.snapshot.config, gateway.store
    if store is None:
        return
    days, limit = config.retention_days, config.store_limit_mb
    count = await store.prune(int(time.time()) - days * _DAY_S) if days else 0
    if count:
        log.info("forgot %d responses unused for %d days", count, days)
    if days:
        await store.forget_usage(day_of(time.time(), max(days, _USAGE_DAYS)))
    count = await store.shrink(limit << 20) if limit else 0
    if count:
        log.info("forgot %d responses, the store holds at most %d MiB", count, limit)


async def end_with_parent(end: Callable[[], None]) -> None:
    """A worker whose parent has died ends as well."""
    parent = os.getppid()
    while os.getppid() == parent:  # noqa: ASYNC110 - nobody tells
        await asyncio.sleep(1)
    end()


async def close_later(store: SessionStore, gateway: Gateway) -> None:
    """Closes a store that was replaced, once the turns that may still write to it are over."""
    running = gateway.watch.running()
    while any(not turn.closed for turn in running):  # noqa: ASYNC110 - once in the life of a store
        await asyncio.sleep(1)
    await store.close()
