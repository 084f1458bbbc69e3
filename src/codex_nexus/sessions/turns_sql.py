"""The statements of a store about turns and background work, in the SQL that SQLite and PostgreSQL share."""

# ruff: noqa: S608 - what is put into a statement is written in this file; values always stand for `?`

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Protocol

from msgspec import Raw

from codex_nexus.sessions.runners import is_dead
from codex_nexus.sessions.store import Batch, Orphan, Recorded, Sizes, StoredItem, StoredTurn, assembled


class Db(Protocol):
    """A connection in a transaction. Values stand for `?`."""

    def run(self, sql: str, *values: Any) -> int:
        """Runs a statement; gives the number of rows that it changed."""
        ...

    def rows(self, sql: str, *values: Any) -> list[Any]:
        """The rows of a query."""
        ...

    def now(self) -> float:
        """The store's own clock, unix seconds."""
        ...

    def notify(self, key: str) -> None:
        """Tells every process, once this is committed."""
        ...


_PUT = """
INSERT INTO responses (id, prev, thread, owner, created, status, conversation, context_end, input, output, resource)
VALUES (?, ?, coalesce((SELECT thread FROM responses WHERE id = ?), ?), ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (id) DO UPDATE SET status = excluded.status, input = excluded.input, output = excluded.output,
    resource = excluded.resource
"""
_USE = """
INSERT INTO threads (id, used, bytes) VALUES (?, ?, ?)
ON CONFLICT (id) DO UPDATE SET bytes = threads.bytes + excluded.bytes,
    used = CASE WHEN excluded.used > threads.used THEN excluded.used ELSE threads.used END
"""
_USE_BY = """
INSERT INTO threads (id, used, bytes) SELECT thread, ?, ? FROM responses WHERE id = ?
""" + _USE[_USE.index("ON CONFLICT") :]
_CHAIN = """
WITH RECURSIVE chain (id, depth) AS (
    SELECT id, 0 FROM responses WHERE id = ?
    UNION ALL
    SELECT responses.prev, chain.depth + 1 FROM responses JOIN chain ON responses.id = chain.id
    WHERE responses.prev IS NOT NULL
)
SELECT responses.input, responses.output, responses.owner, responses.status, responses.prev,
    responses.conversation, responses.context_end
FROM chain JOIN responses ON responses.id = chain.id ORDER BY chain.depth DESC
"""
_MINE = "WHERE id = ? AND ? IN ('', owner)"
_SIZE = "length(input) + length(output) + length(resource)"
_EVENTS_KEPT_S = 86_400
"""Events of a response can be replayed for a day after they were made."""


def put(db: Db, turn: StoredTurn, replaced: int = 0) -> None:
    """Keeps a turn, or what has become of it. All turns that hang together are one thread, forgotten as a whole.

    Args:
        db: the connection.
        turn: the turn.
        replaced: bytes of it that are there already.
    """
    size = len(turn.input) + len(turn.output) + len(turn.resource) - replaced
    context_end = 0
    if turn.conversation is not None:
        context_end = _first(db.rows("SELECT max(n) FROM items WHERE conversation = ?", turn.conversation)) or 0
    begins = turn.conversation or turn.response_id
    db.run(
        _PUT, turn.response_id, turn.previous_response_id, turn.previous_response_id, begins, turn.owner,
        turn.created_at, turn.status, turn.conversation, context_end, turn.input, turn.output, turn.resource,
    )  # fmt: skip
    if turn.conversation is not None and turn.items:
        size += insert_items(db, turn.conversation, turn.items)
    db.run(_USE_BY, turn.created_at, size, turn.response_id)


def insert_items(db: Db, conversation: str, items: Iterable[StoredItem]) -> int:
    """Adds those that are not there yet, unless the conversation is gone; gives their bytes."""
    if not db.rows("SELECT 1 FROM conversations WHERE id = ?", conversation):
        return 0
    sql = "INSERT INTO items (conversation, id, data) VALUES (?, ?, ?) ON CONFLICT (conversation, id) DO NOTHING"
    return sum(len(item.data) for item in items if db.run(sql, conversation, item.id, item.data))


def lighten(db: Db, thread: str, size: int) -> None:
    """Notes that so many bytes of a thread are gone; one without turns and conversation is forgotten."""
    db.run("UPDATE threads SET bytes = bytes - ? WHERE id = ?", size, thread)
    db.run(
        "DELETE FROM threads WHERE id = ? AND id NOT IN (SELECT thread FROM responses WHERE thread = ?) "
        "AND id NOT IN (SELECT id FROM conversations WHERE id = ?)",
        thread, thread, thread,
    )  # fmt: skip


def use(db: Db, thread: str, size: int) -> None:
    """Notes that a thread was used, and what was added to it."""
    db.run(_USE, thread, int(db.now()), size)


def history(db: Db, response_id: str, owner: str) -> list[Raw] | None:
    """See `SessionStore.history`."""
    rows = db.rows(_CHAIN, response_id)
    if not rows or owner not in ("", rows[-1][2]) or any(row[3] not in ("completed", "incomplete") for row in rows):
        return None
    root = rows[0]
    if root[4] is not None:
        return None
    parts = [Raw(part) for row in rows for part in (row[0], row[1])]
    if root[5] is None:
        return parts
    if not db.rows("SELECT 1 FROM conversations WHERE id = ?", root[5]):
        return None
    before = db.rows("SELECT data FROM items WHERE conversation = ? AND n <= ? ORDER BY n", root[5], root[6])
    return [joined(row[0] for row in before), *parts]


def joined(items: Iterable[bytes]) -> Raw:
    """Items as one JSON list."""
    return Raw(b"[" + b",".join(items) + b"]")


def resource(db: Db, response_id: str, owner: str) -> bytes | None:
    """See `SessionStore.resource`."""
    rows = db.rows(f"SELECT resource, output, status FROM responses {_MINE}", response_id, owner)
    return assembled(*rows[0]) if rows else None


def given(db: Db, response_id: str, owner: str) -> bytes | None:
    """See `SessionStore.input`."""
    return _first(db.rows(f"SELECT input FROM responses {_MINE}", response_id, owner))


def delete(db: Db, response_id: str, owner: str) -> bool:
    """See `SessionStore.delete`."""
    rows = db.rows(f"SELECT thread, {_SIZE} FROM responses {_MINE}", response_id, owner)
    if not rows:
        return False
    [(thread, size)] = rows
    remove(db, response_id)
    lighten(db, thread, size)
    return True


def remove(db: Db, response_id: str) -> None:
    """A response and all that hangs on it."""
    for table, column in (("running", "id"), ("events", "response"), ("responses", "id")):
        if db.run(f"DELETE FROM {table} WHERE {column} = ?", response_id) and table == "running":
            db.notify(response_id)
            db.notify("cancel")


# --- background work


def begin(db: Db, turn: StoredTurn, runner: str) -> None:
    """See `SessionStore.begin`."""
    put(db, turn)
    db.run("INSERT INTO running (id, runner, beat) VALUES (?, ?, ?)", turn.response_id, runner, db.now())


def append(db: Db, response_id: str, batch: Batch) -> bool:
    """See `SessionStore.append`."""
    hold = "UPDATE running SET beat = beat WHERE id = ?"  # until this is committed, nobody else ends it
    if not db.run(hold, response_id):
        return False
    db.run("UPDATE responses SET status = 'in_progress' WHERE id = ? AND status = 'queued'", response_id)
    _keep_events(db, response_id, batch, "ON CONFLICT (response, first) DO NOTHING")
    db.notify(response_id)
    return True


def finish(db: Db, turn: StoredTurn, batch: Batch) -> bool:
    """See `SessionStore.finish`."""
    if not db.run("DELETE FROM running WHERE id = ?", turn.response_id):
        return False
    begun = _first(db.rows(f"SELECT {_SIZE} FROM responses WHERE id = ?", turn.response_id))
    put(db, turn, begun or 0)
    _keep_events(db, turn.response_id, batch)
    db.notify(turn.response_id)
    return True


def _keep_events(db: Db, response_id: str, batch: Batch, when_there: str = "") -> None:
    if not batch.events:
        return
    last = batch.first + len(batch.events) - 1
    sql = f"INSERT INTO events (response, first, last, at, data) VALUES (?, ?, ?, ?, ?) {when_there}"
    db.run(sql, response_id, batch.first, last, int(db.now()), b"\n".join(batch.events))


def events(db: Db, response_id: str, owner: str, after: int) -> Recorded | None:
    """See `SessionStore.events`."""
    if not db.rows(f"SELECT 1 FROM responses {_MINE}", response_id, owner):
        return None
    running = bool(db.rows("SELECT 1 FROM running WHERE id = ?", response_id))
    found: list[bytes] = []
    sql = "SELECT first, data FROM events WHERE response = ? AND last > ? ORDER BY first"
    for first, data in db.rows(sql, response_id, after):
        found += data.split(b"\n")[max(0, after + 1 - first) :]
    kept = bool(found) or running or bool(db.rows("SELECT 1 FROM events WHERE response = ? LIMIT 1", response_id))
    return Recorded(found, running, kept)


def cancel(db: Db, response_id: str) -> bool:
    """See `SessionStore.cancel`."""
    asked = db.run("UPDATE running SET cancel = 1 WHERE id = ?", response_id)
    if asked:
        db.notify("cancel")
    return bool(asked)


def beat(db: Db, runner: str, running: list[str]) -> list[str]:
    """See `SessionStore.beat`."""
    now = db.now()
    sql = "UPDATE running SET beat = ? WHERE id = ? AND runner = ?"
    lost = [response_id for response_id in running if not db.run(sql, now, response_id, runner)]
    return lost + [row[0] for row in db.rows("SELECT id FROM running WHERE runner = ? AND cancel = 1", runner)]


def orphans(db: Db, stale_s: float) -> list[Orphan]:
    """See `SessionStore.orphans`."""
    silent = db.now() - stale_s
    rows = db.rows("SELECT id, runner, beat FROM running")
    return [orphan for row in rows if row[2] < silent or is_dead(row[1]) for orphan in _orphan(db, row[0])]


def _orphan(db: Db, response_id: str) -> list[Orphan]:
    columns = "prev, owner, created, status, input, output, resource, conversation"
    rows = db.rows(f"SELECT {columns} FROM responses WHERE id = ?", response_id)
    last = _first(db.rows("SELECT max(last) FROM events WHERE response = ?", response_id))
    return [Orphan(StoredTurn(response_id, *row), 0 if last is None else last + 1) for row in rows]


# --- forgetting


def forget(db: Db, before: float, threads: int, most: int) -> int | None:
    """Forgets some turns of threads that were last used before; None when there is no such thread."""
    found = db.rows("SELECT id FROM threads WHERE used < ? ORDER BY used LIMIT ?", before, threads)
    count = 0
    for (thread,) in found:
        rows = db.rows("SELECT id FROM responses WHERE thread = ? LIMIT ?", thread, most - count)
        for (response_id,) in rows:
            remove(db, response_id)
        count += len(rows)
        sql = "DELETE FROM items WHERE n IN (SELECT n FROM items WHERE conversation = ? LIMIT ?)"
        if count >= most or db.run(sql, thread, most) == most:
            return count
        db.run("DELETE FROM conversations WHERE id = ?", thread)
        db.run("DELETE FROM threads WHERE id = ?", thread)
    return count if found else None


def forget_events(db: Db, most: int) -> int:
    """Forgets some old events."""
    old = int(db.now()) - _EVENTS_KEPT_S
    sql = "DELETE FROM events WHERE (response, first) IN (SELECT response, first FROM events WHERE at < ? LIMIT ?)"
    return db.run(sql, old, most)


def content(db: Db) -> int:
    """Bytes of all that is kept."""
    return int(_first(db.rows("SELECT sum(bytes) FROM threads")) or 0)


def sizes(db: Db, disk: int) -> Sizes:
    """See `SessionStore.sizes`."""

    def count(table: str) -> int:
        return int(_first(db.rows(f"SELECT count(*) FROM {table}")))

    return Sizes(count("responses"), count("conversations"), count("running"), content(db), disk)


def _first(rows: list[Any]) -> Any:
    return rows[0][0] if rows else None
