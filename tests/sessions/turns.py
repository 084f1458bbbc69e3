"""Turns for a store, and the texts that it gives back."""

from __future__ import annotations

import json
from typing import Any

from codex_nexus.sessions.store import SessionStore, StoredTurn

OWNER = ""


def turn(
    name: str,
    prev: str | None = None,
    owner: str = OWNER,
    *,
    created: int = 1000,
    status: str = "completed",
    **more: Any,
) -> StoredTurn:
    """A turn whose input and output name it."""
    return StoredTurn(
        response_id=name,
        previous_response_id=prev,
        owner=owner,
        created_at=created,
        status=status,
        input=json.dumps([f"ask {name}"]).encode(),
        output=json.dumps([f"answer {name}"]).encode(),
        resource=json.dumps({"id": name, "status": status, "output": []}).encode(),
        **more,
    )


async def told(store: SessionStore, name: str, owner: str = OWNER) -> list[str] | None:
    """The texts of a chain, oldest first."""
    history = await store.history(name, owner)
    return None if history is None else [text for part in history for text in json.loads(bytes(part))]
