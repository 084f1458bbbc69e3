"""The store of a team: PostgreSQL through psycopg 3, shared by any number of processes on any number of machines.

Work runs in threads, each with a connection of the pool. One more connection listens for news of other processes.
The tables live in a schema of their own, so that the database may hold other things.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any, LiteralString, TypeVar, cast
from urllib.parse import urlsplit

import psycopg
from psycopg_pool import ConnectionPool, PoolClosed, PoolTimeout

from codex_nexus.errors import StoreError
from codex_nexus.sessions import schema
from codex_nexus.sessions.shared import SqlStore, Work

log = logging.getLogger("codex_nexus.store")
logging.getLogger("psycopg.pool").setLevel(logging.CRITICAL)  # what matters of it is in our own errors

T = TypeVar("T")

_SCHEMA = "codex_nexus"
_CHANNEL = "codex_nexus"
_LOCK = 0x6E657875
_POOL = 8
_PATIENCE_S = 3.0
_LISTEN_S = 0.5
_OPTIONS = f"-c search_path={_SCHEMA} -c statement_timeout=15s -c lock_timeout=10s"

_Pg = psycopg.Connection[tuple[Any, ...]]


class _Died(psycopg.OperationalError):
    """The connection broke before its transaction was committed: nothing was changed, and it may be tried again."""


class _Connection:
    """See `turns_sql.Db`."""

    def __init__(self, db: _Pg) -> None:
        self._db = db

    def run(self, sql: str, *values: Any) -> int:
        return self._db.execute(_spelt(sql), values, binary=True).rowcount

    def rows(self, sql: str, *values: Any) -> list[Any]:
        return self._db.execute(_spelt(sql), values, binary=True).fetchall()

    def now(self) -> float:
        return float(self.rows("SELECT extract(epoch FROM clock_timestamp())::float8")[0][0])

    def notify(self, key: str) -> None:
        self._db.execute("SELECT pg_notify(%s, %s)", (_CHANNEL, key))


def _spelt(sql: str) -> LiteralString:
    return cast("LiteralString", sql.replace("?", "%s"))


class PostgresStore(SqlStore):
    """See `SessionStore`."""

    kind = "postgresql"

    def __init__(self, url: str) -> None:
        """Connects and makes the tables; blocks for a few seconds at most.

        Raises:
            StoreError: the server cannot be reached, or a newer version made the tables.
        """
        super().__init__()
        self._url = url
        self._where = _shown(url)
        self._closed = threading.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._pool: ConnectionPool[_Pg] = ConnectionPool(
            url, kwargs=_settings(), min_size=1, max_size=_POOL, timeout=_PATIENCE_S, open=False, name="nexus-store"
        )
        try:
            with psycopg.connect(url, autocommit=False, **_settings()) as db:
                _migrate(db, self._where)
        except psycopg.Error as error:
            raise StoreError(f"The session store {self._where} cannot be opened: {_said(error)}.") from None
        self._pool.open()
        self._threads = ThreadPoolExecutor(_POOL, "nexus-store")
        self._listener = threading.Thread(target=self._listen, name="nexus-store-listener", daemon=True)
        self._listener.start()

    async def close(self) -> None:  # noqa: D102 - see `SessionStore`
        if self._closed.is_set():
            return
        self._closed.set()
        await asyncio.to_thread(self._threads.shutdown)
        await asyncio.to_thread(self._listener.join)
        await asyncio.to_thread(self._pool.close)

    async def _read(self, work: Work[T]) -> T:
        return await self._run(work, "read")

    async def _write(self, work: Work[T]) -> T:
        return await self._run(work, "written")

    async def _run(self, work: Work[T], how: str) -> T:
        if self._closed.is_set():
            raise StoreError("The session store is closed.")
        self._loop = asyncio.get_running_loop()
        try:
            return await self._loop.run_in_executor(self._threads, self._done, work)
        except (psycopg.Error, PoolTimeout, PoolClosed) as error:
            raise StoreError(f"The session store {self._where} cannot be {how}: {_said(error)}.") from None

    def _done(self, work: Work[T]) -> T:
        try:
            return self._tried(work)
        except _Died:
            self._pool.check()  # the others of the pool may have died with it, and each would cost a turn
            return self._tried(work)

    def _tried(self, work: Work[T]) -> T:
        with self._pool.connection() as db:
            try:
                return work(_Connection(db))
            except psycopg.OperationalError as error:
                if db.closed:
                    raise _Died(str(error)) from None
                raise

    async def _disk(self) -> int:
        sql = (
            "SELECT coalesce(sum(pg_total_relation_size(c.oid)), 0)::bigint FROM pg_class c "
            "JOIN pg_namespace s ON s.oid = c.relnamespace WHERE s.nspname = ? AND c.relkind = 'r'"
        )
        return int((await self._read(lambda db: db.rows(sql, _SCHEMA)))[0][0])

    # --- the listener's thread

    def _listen(self) -> None:
        while not self._closed.is_set():
            try:
                with psycopg.connect(self._url, autocommit=True, **_settings()) as db:
                    db.execute(f"LISTEN {_CHANNEL}")
                    self._hear(db)
            except psycopg.Error as error:
                log.debug("no news of other processes: %s", _said(error))
                self._closed.wait(_LISTEN_S)

    def _hear(self, db: _Pg) -> None:
        while not self._closed.is_set():
            for news in db.notifies(timeout=_LISTEN_S):
                loop = self._loop
                if loop is not None:
                    with contextlib.suppress(RuntimeError):  # the loop is closed
                        loop.call_soon_threadsafe(self.signals.tell, news.payload)
                if self._closed.is_set():
                    return


def _settings() -> dict[str, Any]:
    return {"connect_timeout": 3, "options": _OPTIONS, "keepalives_idle": 10, "application_name": "codex-nexus"}


def _migrate(db: _Pg, where: str) -> None:
    """Makes the tables; of several processes that come at once, one does it and the others wait."""
    db.execute("SELECT pg_advisory_xact_lock(%s)", (_LOCK,))
    db.execute(f"CREATE SCHEMA IF NOT EXISTS {_SCHEMA}")
    db.execute("CREATE TABLE IF NOT EXISTS version (version INTEGER NOT NULL)")
    row = db.execute("SELECT max(version) FROM version").fetchone()
    version = int(row[0]) if row is not None and row[0] is not None else 0
    if version > schema.VERSION:
        raise StoreError(
            f"The session store {where} was made by a newer version ({version}); this one knows {schema.VERSION}."
        )
    if version < schema.VERSION:
        db.execute(cast("LiteralString", schema.postgres_from(version)))
        db.execute("INSERT INTO version (version) VALUES (%s)", (schema.VERSION,))


def _shown(url: str) -> str:
    """The address without its secrets."""
    parts = urlsplit(url)
    port = f":{parts.port}" if parts.port else ""
    return f"postgresql://{parts.hostname or 'localhost'}{port}{parts.path}"


def _said(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return lines[0].rstrip(".") if lines else type(error).__name__
