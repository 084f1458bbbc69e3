"""The statements of a store about conversations, in the SQL that SQLite and PostgreSQL share."""

# ruff: noqa: S608 - what is put into a statement is written in this file; values always stand for `?`

from __future__ import annotations

from msgspec import Raw

from codex_nexus.sessions.store import Page, StoredConversation, StoredItem
from codex_nexus.sessions.turns_sql import Db, insert_items, joined, lighten, use

_MINE = "WHERE id = ? AND ? IN ('', owner)"


def create(db: Db, conversation: StoredConversation, items: list[StoredItem]) -> None:
    """See `SessionStore.create_conversation`."""
    sql = "INSERT INTO conversations (id, owner, created, metadata) VALUES (?, ?, ?, ?)"
    db.run(sql, conversation.id, conversation.owner, conversation.created_at, conversation.metadata)
    use(db, conversation.id, insert_items(db, conversation.id, items) + len(conversation.metadata))


def find(db: Db, conversation_id: str, owner: str) -> StoredConversation | None:
    """See `SessionStore.conversation`."""
    rows = db.rows(f"SELECT id, owner, created, metadata FROM conversations {_MINE}", conversation_id, owner)
    return StoredConversation(*rows[0]) if rows else None


def update(db: Db, conversation_id: str, owner: str, metadata: bytes) -> bool:
    """See `SessionStore.update_conversation`."""
    found = find(db, conversation_id, owner)
    if found is None:
        return False
    db.run("UPDATE conversations SET metadata = ? WHERE id = ?", metadata, conversation_id)
    lighten(db, conversation_id, len(found.metadata) - len(metadata))
    return True


def delete(db: Db, conversation_id: str, owner: str) -> bool:
    """See `SessionStore.delete_conversation`. Responses that were made in it stay, and can be read."""
    found = find(db, conversation_id, owner)
    if found is None:
        return False
    [(held,)] = db.rows("SELECT coalesce(sum(length(data)), 0) FROM items WHERE conversation = ?", conversation_id)
    if not db.run("DELETE FROM conversations WHERE id = ?", conversation_id):
        return False
    db.run("DELETE FROM items WHERE conversation = ?", conversation_id)
    lighten(db, conversation_id, held + len(found.metadata))
    return True


def add(db: Db, conversation_id: str, owner: str, items: list[StoredItem]) -> bool:
    """See `SessionStore.add_items`."""
    if find(db, conversation_id, owner) is None:
        return False
    use(db, conversation_id, insert_items(db, conversation_id, items))
    return True


def page(db: Db, conversation_id: str, owner: str, wanted: Page) -> list[StoredItem] | None:
    """See `SessionStore.items`."""
    if find(db, conversation_id, owner) is None:
        return None
    order, sign = ("DESC", "<") if wanted.newest_first else ("ASC", ">")
    where, values = "", []
    if wanted.after is not None:
        after = db.rows("SELECT n FROM items WHERE conversation = ? AND id = ?", conversation_id, wanted.after)
        if not after:
            return None
        where, values = f"AND n {sign} ?", [after[0][0]]
    sql = f"SELECT id, data FROM items WHERE conversation = ? {where} ORDER BY n {order} LIMIT ?"
    return [StoredItem(*row) for row in db.rows(sql, conversation_id, *values, wanted.limit)]


def item(db: Db, conversation_id: str, owner: str, item_id: str) -> bytes | None:
    """See `SessionStore.item`."""
    if find(db, conversation_id, owner) is None:
        return None
    rows = db.rows("SELECT data FROM items WHERE conversation = ? AND id = ?", conversation_id, item_id)
    return rows[0][0] if rows else None


def delete_item(db: Db, conversation_id: str, owner: str, item_id: str) -> bool:
    """See `SessionStore.delete_item`."""
    if find(db, conversation_id, owner) is None:
        return False
    rows = db.rows("SELECT length(data) FROM items WHERE conversation = ? AND id = ?", conversation_id, item_id)
    if not db.run("DELETE FROM items WHERE conversation = ? AND id = ?", conversation_id, item_id):
        return False
    lighten(db, conversation_id, rows[0][0])
    return True


def context(db: Db, conversation_id: str, owner: str) -> list[Raw] | None:
    """See `SessionStore.context`."""
    if find(db, conversation_id, owner) is None:
        return None
    rows = db.rows("SELECT data FROM items WHERE conversation = ? ORDER BY n", conversation_id)
    return [joined(row[0] for row in rows)]
