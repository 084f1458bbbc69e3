"""What both stores do alike: every method of `SessionStore` as a piece of work on a connection.

A store says where such work runs: `_read` beside others, `_write` in a transaction that is durable when it returns.
"""

from __future__ import annotations

import asyncio
import re
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, TypeVar

from msgspec import Raw

from codex_nexus.sessions import talks_sql as talks
from codex_nexus.sessions import turns_sql as turns
from codex_nexus.sessions import usage_sql
from codex_nexus.sessions.signals import Signals
from codex_nexus.sessions.store import (
    Batch,
    Orphan,
    Page,
    Recorded,
    Sizes,
    StoredConversation,
    StoredItem,
    StoredTurn,
)
from codex_nexus.sessions.turns_sql import Db
from codex_nexus.sessions.usage import Spent, Usage

T = TypeVar("T")
Work = Callable[[Db], T]

_ID = re.compile(r"[\x21-\x7e]{1,200}")
_AT_ONCE = 64
_BREATH_S = 0.005
_EVER = 1 << 62


class SqlStore(ABC):
    """See `SessionStore`."""

    kind = ""
    poll_s = 0.5

    def __init__(self) -> None:
        self.signals = Signals()

    @abstractmethod
    async def _read(self, work: Work[T]) -> T: ...

    @abstractmethod
    async def _write(self, work: Work[T]) -> T: ...

    @abstractmethod
    async def close(self) -> None:
        """See `SessionStore`, also for what follows."""

    async def _disk(self) -> int:
        return 0

    async def _asked(self, absent: T, work: Callable[..., T], key: str, *values: Any) -> T:
        """Reads what a client named; a name that no store can hold is not there."""
        if not _ID.fullmatch(key):
            return absent
        return await self._read(lambda db: work(db, key, *values))

    async def _told(self, absent: T, work: Callable[..., T], key: str, *values: Any) -> T:
        """Changes what a client named."""
        if not _ID.fullmatch(key):
            return absent
        return await self._write(lambda db: work(db, key, *values))

    async def put(self, turn: StoredTurn) -> None:  # noqa: D102
        await self._write(lambda db: turns.put(db, turn))

    async def history(self, response_id: str, owner: str) -> list[Raw] | None:  # noqa: D102
        return await self._asked(None, turns.history, response_id, owner)

    async def resource(self, response_id: str, owner: str) -> bytes | None:  # noqa: D102
        return await self._asked(None, turns.resource, response_id, owner)

    async def input(self, response_id: str, owner: str) -> bytes | None:  # noqa: D102
        return await self._asked(None, turns.given, response_id, owner)

    async def delete(self, response_id: str, owner: str) -> bool:  # noqa: D102
        return await self._told(False, turns.delete, response_id, owner)

    # --- background work

    async def begin(self, turn: StoredTurn, runner: str) -> None:  # noqa: D102
        await self._write(lambda db: turns.begin(db, turn, runner))

    async def append(self, response_id: str, batch: Batch) -> bool:  # noqa: D102
        return await self._write(lambda db: turns.append(db, response_id, batch))

    async def finish(self, turn: StoredTurn, batch: Batch) -> bool:  # noqa: D102
        return await self._write(lambda db: turns.finish(db, turn, batch))

    async def events(self, response_id: str, owner: str, after: int) -> Recorded | None:  # noqa: D102
        return await self._asked(None, turns.events, response_id, owner, after)

    async def cancel(self, response_id: str) -> bool:  # noqa: D102
        return await self._told(False, turns.cancel, response_id)

    async def beat(self, runner: str, running: list[str]) -> list[str]:  # noqa: D102
        return await self._write(lambda db: turns.beat(db, runner, running))

    async def orphans(self, stale_s: float) -> list[Orphan]:  # noqa: D102
        return await self._read(lambda db: turns.orphans(db, stale_s))

    async def changed(self, key: str, seconds: float) -> None:  # noqa: D102
        await self.signals.wait(key, seconds)

    # --- conversations

    async def create_conversation(  # noqa: D102
        self, conversation: StoredConversation, items: list[StoredItem]
    ) -> None:
        await self._write(lambda db: talks.create(db, conversation, items))

    async def conversation(self, conversation_id: str, owner: str) -> StoredConversation | None:  # noqa: D102
        return await self._asked(None, talks.find, conversation_id, owner)

    async def update_conversation(self, conversation_id: str, owner: str, metadata: bytes) -> bool:  # noqa: D102
        return await self._told(False, talks.update, conversation_id, owner, metadata)

    async def delete_conversation(self, conversation_id: str, owner: str) -> bool:  # noqa: D102
        return await self._told(False, talks.delete, conversation_id, owner)

    async def add_items(self, conversation_id: str, owner: str, items: list[StoredItem]) -> bool:  # noqa: D102
        return await self._told(False, talks.add, conversation_id, owner, items)

    async def items(self, conversation_id: str, owner: str, page: Page) -> list[StoredItem] | None:  # noqa: D102
        if page.after is not None and not _ID.fullmatch(page.after):
            return None
        return await self._asked(None, talks.page, conversation_id, owner, page)

    async def item(self, conversation_id: str, owner: str, item_id: str) -> bytes | None:  # noqa: D102
        if not _ID.fullmatch(item_id):
            return None
        return await self._asked(None, talks.item, conversation_id, owner, item_id)

    async def delete_item(self, conversation_id: str, owner: str, item_id: str) -> bool:  # noqa: D102
        if not _ID.fullmatch(item_id):
            return False
        return await self._told(False, talks.delete_item, conversation_id, owner, item_id)

    async def context(self, conversation_id: str, owner: str) -> list[Raw] | None:  # noqa: D102
        return await self._asked(None, talks.context, conversation_id, owner)

    # --- usage

    async def add_usage(self, usage: Usage) -> None:  # noqa: D102
        await self._write(lambda db: usage_sql.add(db, usage))

    async def usage(self, since: str) -> Usage:  # noqa: D102
        return await self._read(lambda db: usage_sql.since(db, since))

    async def used(self, day: str, owner: str) -> dict[str, Spent]:  # noqa: D102
        return await self._read(lambda db: usage_sql.by_provider(db, day, owner))

    async def forget_usage(self, before: str) -> int:  # noqa: D102
        return await self._write(lambda db: usage_sql.forget(db, before))

    # --- life

    async def prune(self, before: int) -> int:  # noqa: D102
        while await self._write(lambda db: turns.forget_events(db, _AT_ONCE)):  # noqa: ASYNC110 - writers go between
            await asyncio.sleep(_BREATH_S)
        total = 0
        while (count := await self._write(lambda db: turns.forget(db, before, _AT_ONCE, _AT_ONCE))) is not None:
            total += count
            await asyncio.sleep(_BREATH_S)  # writers go first
        return total

    async def shrink(self, limit: int) -> int:  # noqa: D102
        total = 0
        while await self._read(turns.content) > limit:
            count = await self._write(lambda db: turns.forget(db, _EVER, 1, _AT_ONCE))
            if count is None:
                break
            total += count
            await asyncio.sleep(_BREATH_S)
        return total

    async def sizes(self) -> Sizes:  # noqa: D102
        disk = await self._disk()
        return await self._read(lambda db: turns.sizes(db, disk))
