"""The default store: SQLite with a write-ahead log, one writer thread with group commit, one reader thread.

Each turn is one row with the new items alone; a chain is read by following `prev`. The writer takes all that waits,
writes it in one transaction and then wakes those who wait for it.
"""

from __future__ import annotations

import asyncio
import contextlib
import queue
import sqlite3
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

from msgspec import Raw

from codex_nexus.errors import StoreError
from codex_nexus.sessions.store import StoredTurn, assembled

T = TypeVar("T")

_SCHEMA = """
CREATE TABLE IF NOT EXISTS responses (
    n INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    prev TEXT,
    owner TEXT NOT NULL,
    created INTEGER NOT NULL,
    status TEXT NOT NULL,
    input BLOB NOT NULL,
    output BLOB NOT NULL,
    resource BLOB NOT NULL
);
CREATE INDEX IF NOT EXISTS responses_created ON responses (created);
"""
_VERSION = 1
_CHAIN = """
WITH RECURSIVE chain (id, depth) AS (
    SELECT ?, 0
    UNION ALL
    SELECT responses.prev, chain.depth + 1 FROM responses JOIN chain ON responses.id = chain.id
    WHERE responses.prev IS NOT NULL
)
SELECT responses.input, responses.output, responses.owner, responses.status, responses.prev
FROM chain JOIN responses ON responses.id = chain.id ORDER BY chain.depth DESC
"""
_MOST_AT_ONCE = 256
_BUSY_S = 10.0

_Job = tuple[Callable[[sqlite3.Connection], Any], "Future[Any]"]


class SqliteStore:
    """See `SessionStore`."""

    def __init__(self, path: Path) -> None:
        """Opens or makes the database.

        Raises:
            StoreError: it cannot be opened, or a newer version made it.
        """
        self._path = path
        self._jobs: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._closed = False
        try:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            with contextlib.ExitStack() as unless_all_is_well:
                writer = unless_all_is_well.enter_context(contextlib.closing(self._connected()))
                _migrate(writer, path)
                self._reader_db = self._connected()
                unless_all_is_well.pop_all()
        except (sqlite3.Error, OSError) as error:
            raise StoreError(f"The session store {path} cannot be opened: {error}.") from None
        self._reader = ThreadPoolExecutor(1, "nexus-store-reader")
        self._writer = threading.Thread(target=self._write, args=(writer,), name="nexus-store-writer", daemon=True)
        self._writer.start()

    def _connected(self) -> sqlite3.Connection:
        db = sqlite3.connect(self._path, timeout=_BUSY_S, isolation_level=None, check_same_thread=False)
        with contextlib.suppress(OSError):
            self._path.chmod(0o600)
        db.execute("PRAGMA journal_mode=WAL")
        db.execute("PRAGMA synchronous=FULL")
        return db

    async def put(self, turn: StoredTurn) -> None:
        """Keeps a turn; it is on disk when this returns."""
        row = (
            turn.response_id, turn.previous_response_id, turn.owner, turn.created_at, turn.status,
            turn.input, turn.output, turn.resource,
        )  # fmt: skip
        await self._queued(
            lambda db: db.execute(
                "INSERT OR REPLACE INTO responses (id, prev, owner, created, status, input, output, resource) "
                "VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                row,
            )
        )

    async def history(self, response_id: str, owner: str) -> list[Raw] | None:
        """The chain's items; None when it is unknown, another caller's, not whole any more, or did not end well."""
        rows = await self._read(lambda db: db.execute(_CHAIN, (response_id,)).fetchall())
        if not rows or owner not in ("", rows[-1][2]) or rows[-1][3] in ("failed", "cancelled"):
            return None
        if rows[0][4] is not None:
            return None
        return [Raw(part) for row in rows for part in (row[0], row[1])]

    async def resource(self, response_id: str, owner: str) -> bytes | None:
        """The resource, or None."""
        sql = "SELECT resource, output FROM responses WHERE id = ? AND ? IN ('', owner)"
        row = await self._read(lambda db: db.execute(sql, (response_id, owner)).fetchone())
        return None if row is None else assembled(row[0], row[1])

    async def prune(self, before: int) -> int:
        """Forgets old turns, some at a time so that writers are never held up for long."""
        total = 0
        sql = "DELETE FROM responses WHERE n IN (SELECT n FROM responses WHERE created < ? LIMIT 500)"
        while True:
            count = await self._queued(lambda db: db.execute(sql, (before,)).rowcount)
            total += count
            if not count:
                return total

    async def close(self) -> None:
        """Writes what waits, then closes."""
        self._closed = True
        self._jobs.put(None)
        await asyncio.to_thread(self._writer.join)
        self._reader.shutdown()
        self._reader_db.close()

    async def _read(self, work: Callable[[sqlite3.Connection], T]) -> T:
        try:
            return await asyncio.get_running_loop().run_in_executor(self._reader, work, self._reader_db)
        except (sqlite3.Error, RuntimeError) as error:
            raise StoreError(f"The session store cannot be read: {error}.") from None

    async def _queued(self, work: Callable[[sqlite3.Connection], T]) -> T:
        if self._closed:
            raise StoreError("The session store is closed.")
        future: Future[T] = Future()
        self._jobs.put((work, future))
        try:
            return await asyncio.wrap_future(future)
        except sqlite3.Error as error:
            raise StoreError(f"The session store cannot be written: {error}.") from None

    # --- the writer thread

    def _write(self, db: sqlite3.Connection) -> None:
        while True:
            jobs, last = self._waiting()
            if jobs:
                _commit(db, jobs)
            if last:
                db.close()
                return

    def _waiting(self) -> tuple[list[_Job], bool]:
        first = self._jobs.get()
        if first is None:
            return [], True
        jobs = [first]
        while len(jobs) < _MOST_AT_ONCE:
            try:
                job = self._jobs.get_nowait()
            except queue.Empty:
                break
            if job is None:
                return jobs, True
            jobs.append(job)
        return jobs, False


def _commit(db: sqlite3.Connection, jobs: list[_Job]) -> None:
    results: list[tuple[Future[Any], Any]] = []
    try:
        db.execute("BEGIN IMMEDIATE")
        for work, future in jobs:
            if future.set_running_or_notify_cancel():
                results.append((future, None))
                results[-1] = (future, work(db))
        db.execute("COMMIT")
    except Exception as error:  # noqa: BLE001 - whoever waits is told; the writer must live on
        with contextlib.suppress(sqlite3.Error):
            db.execute("ROLLBACK")
        for _, future in jobs:
            if not future.done():
                future.set_exception(error)
        return
    for future, result in results:
        future.set_result(result)


def _migrate(db: sqlite3.Connection, path: Path) -> None:
    version = db.execute("PRAGMA user_version").fetchone()[0]
    if version > _VERSION:
        raise StoreError(
            f"The session store {path} was made by a newer version ({version}); this one knows {_VERSION}."
        )
    db.executescript(_SCHEMA)
    db.execute(f"PRAGMA user_version = {_VERSION}")
