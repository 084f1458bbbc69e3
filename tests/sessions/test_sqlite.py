"""The SQLite store keeps what it acknowledged, gives it back to whom it belongs, and fails in a way that is told."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import sqlite3
import stat
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from codex_nexus.errors import StoreError
from codex_nexus.sessions import sqlite
from codex_nexus.sessions.sqlite import SqliteStore
from codex_nexus.sessions.store import StoredTurn
from codex_nexus.sessions.usage import Place, Spent
from tests.sessions.turns import OWNER, told, turn
from tests.waiting import PATIENCE


@contextlib.asynccontextmanager
async def opened(path: Path) -> AsyncIterator[SqliteStore]:
    """A store that is closed afterwards."""
    store = SqliteStore(path)
    try:
        yield store
    finally:
        await store.close()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where the database is."""
    return tmp_path / "home" / "nexus.db"


@pytest.fixture
async def store(path: Path) -> AsyncIterator[SqliteStore]:
    """An empty store."""
    async with opened(path) as running:
        yield running


# --- durability


async def test_what_was_kept_is_there_after_a_restart(path: Path) -> None:
    async with opened(path) as store:
        await store.put(turn("r1", owner="alice"))
    async with opened(path) as store:
        await store.put(turn("r2", "r1", owner="alice"))
        assert await told(store, "r2", "alice") == ["ask r1", "answer r1", "ask r2", "answer r2"]


async def test_closing_writes_what_waits(path: Path) -> None:
    store = SqliteStore(path)
    waiting = [asyncio.ensure_future(store.put(turn(f"r{n}"))) for n in range(300)]
    await asyncio.sleep(0)
    await store.close()
    await asyncio.gather(*waiting)
    assert rows(path) == 300


def rows(path: Path) -> int:
    """The number of turns on the disk."""
    with contextlib.closing(sqlite3.connect(path)) as db:
        return db.execute("SELECT count(*) FROM responses").fetchone()[0]


_LOAD = """
import asyncio, pathlib, sys
from codex_nexus.sessions.sqlite import SqliteStore
from codex_nexus.sessions.store import StoredTurn

store = SqliteStore(pathlib.Path(sys.argv[1]))

async def keep(worker):
    prev = None
    for n in range(10**6):
        name = f"{worker}-{n}"
        await store.put(StoredTurn(name, prev, "", 1, "completed", b"[1]", b"[2]", b'{"output":[]}'))
        print(name, flush=True)
        prev = name

async def main():
    await asyncio.gather(*(keep(worker) for worker in range(8)))

asyncio.run(main())
"""


def killed_under_load(path: Path) -> list[str]:
    """The turns that a process had acknowledged when it was killed."""
    with subprocess.Popen([sys.executable, "-c", _LOAD, str(path)], stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        acknowledged = [child.stdout.readline().strip() for _ in range(200)]
        child.send_signal(signal.SIGKILL)
        acknowledged += [line.strip() for line in child.stdout if line.endswith("\n")]
    assert child.returncode == -signal.SIGKILL
    return acknowledged


async def test_a_kill_in_the_middle_of_the_load_loses_no_acknowledged_turn(path: Path) -> None:
    acknowledged = await asyncio.to_thread(killed_under_load, path)
    async with opened(path) as store:
        for name in acknowledged:
            assert await store.resource(name, OWNER) is not None, name
        last = {name.partition("-")[0]: name for name in acknowledged}
        for name in last.values():
            history = await store.history(name, OWNER)
            assert history is not None
            assert len(history) == 2 * (int(name.partition("-")[2]) + 1)


# --- many at once


async def test_turns_that_wait_together_are_written_together(
    store: SqliteStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    groups: list[int] = []
    real = sqlite._commit

    def counting(db: sqlite3.Connection, jobs: list[Any]) -> None:
        groups.append(len(jobs))
        real(db, jobs)

    monkeypatch.setattr(sqlite, "_commit", counting)
    await asyncio.gather(*(store.put(turn(f"r{n}")) for n in range(500)))
    assert sum(groups) == 500
    assert len(groups) < 100
    assert max(groups) <= 256


async def test_readers_do_not_wait_for_writers(store: SqliteStore, path: Path) -> None:
    await store.put(turn("r1"))
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        assert await asyncio.wait_for(told(store, "r1"), sqlite._BUSY_S / 2) == ["ask r1", "answer r1"]
        other.execute("ROLLBACK")


async def test_a_writer_that_gave_up_waiting_harms_nobody(store: SqliteStore) -> None:
    puts = [asyncio.ensure_future(store.put(turn(f"r{n}"))) for n in range(50)]
    await asyncio.sleep(0)
    for put in puts[::2]:
        put.cancel()
    await asyncio.gather(*puts, return_exceptions=True)
    await store.put(turn("after"))
    for n in range(1, 50, 2):
        assert await store.resource(f"r{n}", OWNER) is not None


# --- the file


def names(folder: Path) -> set[str]:
    """The files of a folder."""
    return {file.name for file in folder.iterdir()}


async def test_the_file_is_private(store: SqliteStore, path: Path) -> None:
    await store.put(turn("r1"))
    assert names(path.parent) == {"nexus.db", "nexus.db-wal", "nexus.db-shm"}
    assert {stat.S_IMODE(file.stat().st_mode) for file in path.parent.iterdir()} == {0o600}
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


def test_the_store_of_a_newer_version_is_refused_and_left_alone(path: Path) -> None:
    path.parent.mkdir()
    with contextlib.closing(sqlite3.connect(path)) as db:
        db.execute("PRAGMA user_version = 99")
        db.execute("CREATE TABLE responses (other TEXT)")
        db.commit()
    with pytest.raises(StoreError, match="newer version"):
        SqliteStore(path)
    with contextlib.closing(sqlite3.connect(path)) as db:
        assert db.execute("PRAGMA user_version").fetchone() == (99,)


# --- what goes wrong


def test_a_file_that_is_no_database_is_told(path: Path) -> None:
    path.parent.mkdir()
    path.write_bytes(b"this is no database at all, whatever its name may say" * 10)
    with pytest.raises(StoreError, match="cannot be opened"):
        SqliteStore(path)
    assert path.read_bytes().startswith(b"this is no database")


def test_a_folder_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="cannot be opened"):
        SqliteStore(tmp_path / "file" / "nexus.db")


async def test_a_store_that_cannot_write_says_so_and_recovers(
    store: SqliteStore, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await store.put(turn("r0"))
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("ALTER TABLE responses RENAME TO hidden")
        with pytest.raises(StoreError, match="cannot be written"):
            await store.put(turn("r1"))
        with pytest.raises(StoreError, match="cannot be read"):
            await store.resource("r0", OWNER)
        other.execute("ALTER TABLE hidden RENAME TO responses")
    await store.put(turn("r2"))
    assert await store.resource("r2", OWNER) is not None


async def test_a_full_disk_is_told(store: SqliteStore) -> None:
    await store.put(turn("r1"))
    await store._queued(lambda db: db.execute("PRAGMA max_page_count = 1"))
    big = StoredTurn("big", None, OWNER, 1, "completed", b"[]", b'["' + b"x" * 10**6 + b'"]', b'{"output":[]}')
    with pytest.raises(StoreError, match="full"):
        await store.put(big)
    assert await store.resource("r1", OWNER) is not None


async def test_a_fault_in_the_writer_does_not_end_it(store: SqliteStore) -> None:
    def faulty(_: sqlite3.Connection) -> None:
        raise ValueError("a fault of ours")

    with pytest.raises(ValueError, match="a fault of ours"):
        await asyncio.wait_for(store._queued(faulty), PATIENCE)
    await asyncio.wait_for(store.put(turn("r1")), PATIENCE)
    assert await store.resource("r1", OWNER) is not None


async def test_after_closing_there_are_only_errors(path: Path) -> None:
    store = SqliteStore(path)
    await store.put(turn("r1"))
    await store.close()
    with pytest.raises(StoreError):
        await asyncio.wait_for(store.put(turn("r2")), PATIENCE)
    with pytest.raises(StoreError):
        await asyncio.wait_for(store.resource("r1", OWNER), PATIENCE)
    await store.close()


async def test_nothing_of_a_store_is_left_running(path: Path) -> None:
    async with opened(path) as store:
        await store.put(turn("r1"))
    assert not store._writer.is_alive()
    assert names(path.parent) == {"nexus.db"}


# --- versions

_FIRST = """
CREATE TABLE responses (
    n INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, prev TEXT, owner TEXT NOT NULL, created INTEGER NOT NULL,
    status TEXT NOT NULL, input BLOB NOT NULL, output BLOB NOT NULL, resource BLOB NOT NULL
);
CREATE INDEX responses_created ON responses (created);
PRAGMA user_version = 1;
"""


def of_first_version(path: Path) -> None:
    """A file as the first version wrote it: a chain, a fork, and a turn of its own."""
    path.parent.mkdir()
    with contextlib.closing(sqlite3.connect(path)) as db:
        db.executescript(_FIRST)
        for name, prev, created in (("r1", None, 10), ("r2", "r1", 900), ("r3", "r1", 20), ("x1", None, 10)):
            row = (name, prev, OWNER, created, "completed", b'["ask"]', b'["answer"]', b'{"output":[]}')
            db.execute("INSERT INTO responses VALUES (NULL, ?, ?, ?, ?, ?, ?, ?, ?)", row)
        db.commit()


async def test_a_file_of_the_first_version_is_brought_up_to_date(path: Path) -> None:
    of_first_version(path)
    async with opened(path) as store:
        assert len(await store.history("r2", OWNER) or []) == 4
        await store.put(turn("r4", "r3"))
        assert len(await store.history("r4", OWNER) or []) == 6
        sizes = await store.sizes()
        assert (sizes.turns, sizes.content > 100) == (5, True)
        assert await store.prune(500) == 1
        assert await store.resource("x1", OWNER) is None
        assert await store.resource("r3", OWNER) is not None
    copy = path.with_name("nexus.db.version-1.bak")
    assert stat.S_IMODE(copy.stat().st_mode) == 0o600
    assert rows(copy) == 4
    async with opened(path):
        pass
    assert names(path.parent) == {"nexus.db", copy.name}


_SECOND = """
CREATE TABLE responses (
    n INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, prev TEXT, thread TEXT NOT NULL, owner TEXT NOT NULL,
    created BIGINT NOT NULL, status TEXT NOT NULL, conversation TEXT, context_end BIGINT NOT NULL DEFAULT 0,
    input BLOB NOT NULL, output BLOB NOT NULL, resource BLOB NOT NULL
);
CREATE INDEX responses_thread ON responses (thread);
CREATE TABLE threads (id TEXT PRIMARY KEY, used BIGINT NOT NULL, bytes BIGINT NOT NULL);
CREATE INDEX threads_used ON threads (used);
CREATE TABLE running (id TEXT PRIMARY KEY, runner TEXT NOT NULL, beat REAL NOT NULL, cancel INTEGER NOT NULL DEFAULT 0);
CREATE TABLE events (
    response TEXT NOT NULL, first BIGINT NOT NULL, last BIGINT NOT NULL, at BIGINT NOT NULL, data BLOB NOT NULL,
    PRIMARY KEY (response, first)
);
CREATE INDEX events_at ON events (at);
CREATE TABLE conversations (id TEXT PRIMARY KEY, owner TEXT NOT NULL, created BIGINT NOT NULL, metadata BLOB NOT NULL);
CREATE TABLE items (
    n INTEGER PRIMARY KEY, conversation TEXT NOT NULL, id TEXT NOT NULL, data BLOB NOT NULL, UNIQUE (conversation, id)
);
CREATE INDEX items_conversation ON items (conversation, n);
INSERT INTO responses VALUES (1, 'r1', NULL, 'r1', '', 10, 'completed', NULL, 0, '["ask"]', '["answer"]', '{}');
INSERT INTO threads VALUES ('r1', 10, 19);
PRAGMA user_version = 2;
"""


async def test_a_file_of_the_second_version_is_brought_up_to_date(path: Path) -> None:
    path.parent.mkdir()
    with contextlib.closing(sqlite3.connect(path)) as db:
        db.executescript(_SECOND)
    async with opened(path) as store:
        assert len(await store.history("r1", OWNER) or []) == 2
        await store.add_usage({Place("2026-01-02", "kimi", "k3"): Spent(1)})
        assert await store.usage("2026-01-02") == {Place("2026-01-02", "kimi", "k3"): Spent(1)}
        assert (await store.sizes()).turns == 1
    copy = path.with_name("nexus.db.version-2.bak")
    assert rows(copy) == 1
    with contextlib.closing(sqlite3.connect(path)) as old, contextlib.closing(sqlite3.connect(":memory:")) as new:
        new.executescript(sqlite.schema.sqlite_from(0))
        assert tables(old) == tables(new)


def tables(db: sqlite3.Connection) -> dict[str, list[tuple[str, str]]]:
    """Every table with its columns and their types."""
    names = [row[0] for row in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
    return {name: [row[1:3] for row in db.execute(f"PRAGMA table_info({name})")] for name in names}


async def test_a_change_of_version_that_fails_changes_nothing(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    of_first_version(path)
    with monkeypatch.context() as broken:
        broken.setitem(sqlite.schema.SQLITE_STEPS, 2, "CREATE TABLE oops (")
        with pytest.raises(StoreError, match="cannot be opened"):
            SqliteStore(path)
    with contextlib.closing(sqlite3.connect(path)) as db:
        assert db.execute("PRAGMA user_version").fetchone() == (1,)
    async with opened(path) as store:
        assert len(await store.history("r2", OWNER) or []) == 4


async def test_free_space_goes_back_to_the_disk(path: Path) -> None:
    async with opened(path) as store:
        for n in range(20):
            await store.put(
                StoredTurn(f"r{n}", None, OWNER, n, "completed", b'["' + b"x" * 200_000 + b'"]', b"[]", b"{}")
            )
        await store.prune(100)
    size = path.stat().st_size  # noqa: ASYNC240
    assert size < 1_300_000  # about a MiB stays for what comes


async def test_the_copy_of_a_file_is_of_the_version_before_also_when_another_process_changes_it(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    of_first_version(path)
    monkeypatch.setattr(sqlite, "_BUSY_S", 0.1)
    real, others = sqlite._back_up, list[None]()

    def after_another(*args: Any) -> None:
        if not others:
            others.append(None)
            with contextlib.suppress(StoreError):  # it has to wait, and waits in vain
                SqliteStore(path)._reader.shutdown()
        real(*args)

    monkeypatch.setattr(sqlite, "_back_up", after_another)
    async with opened(path):
        pass
    with contextlib.closing(sqlite3.connect(path.with_name("nexus.db.version-1.bak"))) as copy:
        assert copy.execute("PRAGMA user_version").fetchone() == (1,)
