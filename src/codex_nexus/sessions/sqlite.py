"""The default store: SQLite with a write-ahead log, one writer thread with group commit, one reader thread.

Each turn is one row with the new items alone; a chain is read by following `prev`. The writer takes all that waits,
writes it in one transaction and then wakes those who wait for it; when a piece of work fails, each is done again in a
transaction of its own. Every statement costs a wait for the interpreter's lock: few statements matter more than their
work. Several processes of one machine may share the file.
"""

from __future__ import annotations

import asyncio
import contextlib
import queue
import sqlite3
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

from codex_nexus.errors import StoreError
from codex_nexus.sessions import schema
from codex_nexus.sessions.shared import SqlStore, Work

T = TypeVar("T")

_MOST_AT_ONCE = 256
_BUSY_S = 10.0
_VACUUM_PAGES = 256

_Job = tuple[Callable[[sqlite3.Connection], Any], "Future[Any]"]


class _Connection:
    """See `turns_sql.Db`."""

    def __init__(self, db: sqlite3.Connection, told: list[str]) -> None:
        self._db = db
        self._told = told

    def run(self, sql: str, *values: Any) -> int:
        return self._db.execute(sql, values).rowcount

    def rows(self, sql: str, *values: Any) -> list[Any]:
        return self._db.execute(sql, values).fetchall()

    def now(self) -> float:
        return time.time()

    def notify(self, key: str) -> None:
        self._told.append(key)


class SqliteStore(SqlStore):
    """See `SessionStore`."""

    kind = "sqlite"
    poll_s = 0.25

    def __init__(self, path: Path) -> None:
        """Opens or makes the database.

        Raises:
            StoreError: it cannot be opened, or a newer version made it.
        """
        super().__init__()
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
        self._writer = threading.Thread(target=self._work, args=(writer,), name="nexus-store-writer", daemon=True)
        self._writer.start()

    def _connected(self) -> sqlite3.Connection:
        db = sqlite3.connect(self._path, timeout=_BUSY_S, isolation_level=None, check_same_thread=False)
        with contextlib.suppress(OSError):
            self._path.chmod(0o600)
        try:
            db.execute("PRAGMA auto_vacuum=INCREMENTAL")
            db.execute("PRAGMA journal_mode=WAL")
            db.execute("PRAGMA synchronous=FULL")
        except sqlite3.Error:
            db.close()
            raise
        return db

    async def prune(self, before: int) -> int:  # noqa: D102 - see `SessionStore`
        count = await super().prune(before)
        await self._vacuum()
        return count

    async def shrink(self, limit: int) -> int:  # noqa: D102
        count = await super().shrink(limit)
        if count:
            await self._vacuum()
        return count

    async def _vacuum(self) -> None:
        """Gives free pages back to the disk, some at a time."""
        while await self._queued(_vacuumed):  # noqa: ASYNC110 - writers go between
            await asyncio.sleep(0.005)

    async def close(self) -> None:
        """Writes what waits, then closes."""
        self._closed = True
        self._jobs.put(None)
        await asyncio.to_thread(self._writer.join)
        self._reader.shutdown()
        self._reader_db.close()

    async def _disk(self) -> int:
        sizes = [path.stat().st_size for path in self._path.parent.glob(f"{self._path.name}*") if path.is_file()]
        return sum(sizes)

    async def _read(self, work: Work[T]) -> T:
        try:
            reader = _Connection(self._reader_db, [])
            return await asyncio.get_running_loop().run_in_executor(self._reader, work, reader)
        except (sqlite3.Error, RuntimeError) as error:
            raise StoreError(f"The session store cannot be read: {error}.") from None

    async def _write(self, work: Work[T]) -> T:
        told: list[str] = []
        result = await self._queued(lambda db: work(_Connection(db, told)))
        for key in told:
            self.signals.tell(key)
        return result

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

    def _work(self, db: sqlite3.Connection) -> None:
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
    """All pieces of work in one transaction; when one of them fails, each in a transaction of its own."""
    jobs = [(work, future) for work, future in jobs if future.set_running_or_notify_cancel()]
    try:
        results = _transaction(db, jobs)
    except Exception as error:  # noqa: BLE001 - whoever waits is told; the writer must live on
        if len(jobs) == 1:
            jobs[0][1].set_exception(error)
            return
        for job in jobs:
            _alone(db, job)
        return
    for (_, future), result in zip(jobs, results, strict=True):
        future.set_result(result)


def _alone(db: sqlite3.Connection, job: _Job) -> None:
    try:
        [result] = _transaction(db, [job])
    except Exception as error:  # noqa: BLE001 - see above
        job[1].set_exception(error)
    else:
        job[1].set_result(result)


def _transaction(db: sqlite3.Connection, jobs: list[_Job]) -> list[Any]:
    try:
        db.execute("BEGIN IMMEDIATE")
        results = [work(db) for work, _ in jobs]
        db.execute("COMMIT")
    except BaseException:
        with contextlib.suppress(sqlite3.Error):
            db.execute("ROLLBACK")
        raise
    return results


def _vacuumed(db: sqlite3.Connection) -> bool:
    """Frees some pages; whether there are more."""
    db.execute(f"PRAGMA incremental_vacuum({_VACUUM_PAGES})").fetchall()
    free = db.execute("PRAGMA freelist_count").fetchone()[0]
    return free >= _VACUUM_PAGES and db.execute("PRAGMA auto_vacuum").fetchone()[0] == 2


# --- versions


def _migrate(db: sqlite3.Connection, path: Path) -> None:
    """Makes the tables, or brings those of an earlier version up to date; several processes may do so at once."""
    if _version(db, path) == schema.VERSION:
        return
    db.execute("BEGIN IMMEDIATE")
    try:
        version = _version(db, path)  # another process may have been quicker
        if 0 < version < schema.VERSION:
            _back_up(path, path.with_name(f"{path.name}.version-{version}.bak"))  # nobody else can change it now
        if version != schema.VERSION:
            for statement in schema.sqlite_from(version).split(";"):
                db.execute(statement)
            if version == 1:
                _find_threads(db)
            db.execute(f"PRAGMA user_version = {schema.VERSION}")
        db.execute("COMMIT")
    except BaseException:
        db.execute("ROLLBACK")
        raise
    if version == 1:
        with contextlib.suppress(sqlite3.Error):  # wanted for `incremental_vacuum`, not needed
            db.execute("VACUUM")


def _version(db: sqlite3.Connection, path: Path) -> int:
    version = db.execute("PRAGMA user_version").fetchone()[0]
    if version > schema.VERSION:
        raise StoreError(
            f"The session store {path} was made by a newer version ({version}); this one knows {schema.VERSION}."
        )
    return version


def look(path: Path) -> None:
    """Looks at a store without changing it.

    Raises:
        StoreError: it cannot be used; the message says why.
    """
    try:
        with contextlib.closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as db:
            _version(db, path)
            db.execute("SELECT count(*) FROM sqlite_master").fetchone()
    except (sqlite3.Error, OSError) as error:
        raise StoreError(f"The session store {path} cannot be opened: {error}.") from None


def _back_up(path: Path, copy: Path) -> None:
    with contextlib.closing(sqlite3.connect(path)) as source, contextlib.closing(sqlite3.connect(copy)) as target:
        copy.chmod(0o600)
        source.backup(target)


def _find_threads(db: sqlite3.Connection) -> None:
    """Names the thread of each turn of the first version: the turn that began it."""
    threads: dict[str, str] = {}
    rows: list[tuple[str, str]] = db.execute("SELECT id, coalesce(prev, '') FROM responses ORDER BY n").fetchall()
    for name, prev in rows:
        threads[name] = threads.get(prev, name)
    db.executemany("UPDATE responses SET thread = ? WHERE id = ?", [(thread, name) for name, thread in threads.items()])
    db.execute(
        "INSERT INTO threads (id, used, bytes) SELECT thread, max(created), "
        "sum(length(input) + length(output) + length(resource)) FROM responses GROUP BY thread"
    )
