"""The tables, in the words of each database, and the versions that led there.

responses      one row a turn: what its request added and what was answered, never the history
threads        turns that hang together; forgotten as a whole, by last use
running        responses under way in the background, and the process that works on them
events         what a background response said, some events a row
conversations  and their items
"""

from __future__ import annotations

VERSION = 2

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

_SQLITE = {"serial": "INTEGER PRIMARY KEY", "bytes": "BLOB", "real": "REAL"}
_POSTGRES = {
    "serial": "BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY",
    "bytes": "BYTEA",
    "real": "DOUBLE PRECISION",
}

SQLITE = (_TABLES + _ADDED_BY_2).format_map(_SQLITE)
"""A new SQLite file."""
SQLITE_FROM_1 = (
    """
DROP INDEX responses_created;
ALTER TABLE responses ADD COLUMN thread TEXT NOT NULL DEFAULT '';
ALTER TABLE responses ADD COLUMN conversation TEXT;
ALTER TABLE responses ADD COLUMN context_end BIGINT NOT NULL DEFAULT 0;
CREATE INDEX responses_thread ON responses (thread);
"""
    + _ADDED_BY_2
).format_map(_SQLITE)
"""From the first version, which knew nothing but responses; threads are found afterwards."""
POSTGRES = (_TABLES + _ADDED_BY_2).format_map(_POSTGRES)
"""A new PostgreSQL schema."""
