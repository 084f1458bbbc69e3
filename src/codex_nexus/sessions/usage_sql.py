"""The statements of a store about usage, in the SQL that SQLite and PostgreSQL share."""

# ruff: noqa: S608 - what is put into a statement is written in this file; values always stand for `?`

from __future__ import annotations

from msgspec import structs

from codex_nexus.sessions.turns_sql import Db
from codex_nexus.sessions.usage import Place, Spent, Usage

_KEYS = Place.__struct_fields__
_COUNTS = Spent.__struct_fields__
_COLUMNS = ", ".join((*_KEYS, *_COUNTS))
_ADD = (
    f"INSERT INTO usage ({_COLUMNS}) VALUES ({', '.join('?' * len(_KEYS + _COUNTS))}) "
    f"ON CONFLICT ({', '.join(_KEYS)}) DO UPDATE SET "
    + ", ".join(f"{name} = usage.{name} + excluded.{name}" for name in _COUNTS)
)
_SUMS = ", ".join(f"CAST(sum({name}) AS BIGINT)" for name in _COUNTS)


def add(db: Db, usage: Usage) -> None:
    """See `SessionStore.add_usage`."""
    for place in sorted(usage):  # in one order everywhere, so that two processes never wait for each other
        db.run(_ADD, *structs.astuple(place), *structs.astuple(usage[place]))


def since(db: Db, day: str) -> Usage:
    """See `SessionStore.usage`."""
    rows = db.rows(f"SELECT {_COLUMNS} FROM usage WHERE day >= ?", day)
    return {Place(*row[: len(_KEYS)]): Spent(*row[len(_KEYS) :]) for row in rows}


def by_provider(db: Db, day: str, owner: str) -> dict[str, Spent]:
    """See `SessionStore.used`."""
    sql = f"SELECT provider, {_SUMS} FROM usage WHERE day = ? AND owner = ? GROUP BY provider"
    rows = db.rows(sql, day, owner)
    return {row[0]: Spent(*row[1:]) for row in rows}


def forget(db: Db, before: str) -> int:
    """See `SessionStore.forget_usage`."""
    return db.run("DELETE FROM usage WHERE day < ?", before)
