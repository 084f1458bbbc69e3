"""The tables, in the words of each database, and the versions that led there.

responses      one row a turn: what its request added and what was answered, never the history
threads        turns that hang together; forgotten as a whole, by last use
running        responses under way in the background, and the process that works on them
events         what a background response said, some events a row
conversations  and their items
usage          what turns used: one row a day, provider, model and caller
"""

from __future__ import annotations

VERSION = 3

_TABLES = """
CREATE TABLE responses (
    n {serial}, id TEXT NOT NULL UNIQUE, prev TEXT, thread TEXT NOT NULL, owner TEXT NOT NULL,
    created BIGINT NOT NULL, status TEXT NOT NULL, conversation TEXT, context_end BIGINT NOT NULL DEFAULT 0,
    input {bytes} NOT NULL, output {bytes} NOT NULL, resource {bytes} NOT NULL
);
CREATE INDEX responses_thread ON responses (thread);
"""
_ADDED_BY_2 = """
CREATE TABLE threads (id TEXT PRIMARY KEY, used BIGINT NOT NULL, bytes BIGINT NOT NULL);
CREATE INDEX threads_used ON threads (used);
CREATE TABLE running (
    id TEXT PRIMARY KEY, runner TEXT NOT NULL, beat {real} NOT NULL, cancel INTEGER NOT NULL DEFAULT 0
);
CREATE TABLE events (
    response TEXT NOT NULL, first BIGINT NOT NULL, last BIGINT NOT NULL, at BIGINT NOT NULL, data {bytes} NOT NULL,
    PRIMARY KEY (response, first)
);
CREATE INDEX events_at ON events (at);
CREATE TABLE conversations (
    id TEXT PRIMARY KEY, owner TEXT NOT NULL, created BIGINT NOT NULL, metadata {bytes} NOT NULL
);
CREATE TABLE items (
    n {serial}, conversation TEXT NOT NULL, id TEXT NOT NULL, data {bytes} NOT NULL, UNIQUE (conversation, id)
);
CREATE INDEX items_conversation ON items (conversation, n);
"""

_ADDED_BY_3 = """
CREATE TABLE usage (
    day TEXT NOT NULL, provider TEXT NOT NULL, model TEXT NOT NULL, owner TEXT NOT NULL,
    turns BIGINT NOT NULL, failed BIGINT NOT NULL, input_tokens BIGINT NOT NULL, cached_tokens BIGINT NOT NULL,
    output_tokens BIGINT NOT NULL, reasoning_tokens BIGINT NOT NULL, cost BIGINT NOT NULL,
    unpriced_tokens BIGINT NOT NULL, PRIMARY KEY (day, provider, model, owner)
);
"""

_SQLITE = {"serial": "INTEGER PRIMARY KEY", "bytes": "BLOB", "real": "REAL"}
_POSTGRES = {
    "serial": "BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY",
    "bytes": "BYTEA",
    "real": "DOUBLE PRECISION",
}

_SQLITE_NEW = (_TABLES + _ADDED_BY_2 + _ADDED_BY_3).format_map(_SQLITE)
SQLITE_STEPS = {
    1: (
        """
DROP INDEX responses_created;
ALTER TABLE responses ADD COLUMN thread TEXT NOT NULL DEFAULT '';
ALTER TABLE responses ADD COLUMN conversation TEXT;
ALTER TABLE responses ADD COLUMN context_end BIGINT NOT NULL DEFAULT 0;
CREATE INDEX responses_thread ON responses (thread);
"""
        + _ADDED_BY_2
    ).format_map(_SQLITE),
    2: _ADDED_BY_3,
}
"""From each version to the next one. The first knew nothing but responses; its threads are found afterwards."""
_POSTGRES_NEW = (_TABLES + _ADDED_BY_2 + _ADDED_BY_3).format_map(_POSTGRES)
POSTGRES_STEPS = {2: _ADDED_BY_3}
"""From each version to the next one; the second was the first with PostgreSQL."""


def sqlite_from(version: int) -> str:
    """The statements that lead a SQLite file from this version to today's; 0: a new file."""
    return _way(version, _SQLITE_NEW, SQLITE_STEPS)


def postgres_from(version: int) -> str:
    """The same for PostgreSQL."""
    return _way(version, _POSTGRES_NEW, POSTGRES_STEPS)


def _way(version: int, new: str, steps: dict[int, str]) -> str:
    return "".join(steps[step] for step in range(version, VERSION)) if version else new
