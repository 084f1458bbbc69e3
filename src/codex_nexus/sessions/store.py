"""The words of the session store: what is kept of a turn, and what every store can do."""

from __future__ import annotations

from typing import Protocol

import msgspec
from msgspec import Raw, Struct


class StoredTurn(Struct, frozen=True):
    """One response with what its request added. Items are kept as the wire's JSON, so unknown ones survive.

    Attributes:
        response_id: the key.
        previous_response_id: the turn before, or None; any number of turns may share one.
        owner: identity of the caller who made it; empty for the gateway's owner.
        created_at: unix seconds.
        status: terminal status.
        input: JSON list of the items that the request added.
        output: JSON list of the answer's items.
        resource: the response resource with an empty `output`.
    """

    response_id: str
    previous_response_id: str | None
    owner: str
    created_at: int
    status: str
    input: bytes
    output: bytes
    resource: bytes


class SessionStore(Protocol):
    """Keeps finished turns. Every method may raise StoreError; a turn goes on without the store."""

    async def put(self, turn: StoredTurn) -> None:
        """Keeps a turn; it is durable when this returns."""
        ...

    async def history(self, response_id: str, owner: str) -> list[Raw] | None:
        """JSON lists of items of the whole chain, oldest first; None when the turn is not there for this owner."""
        ...

    async def resource(self, response_id: str, owner: str) -> bytes | None:
        """The response resource as JSON, or None."""
        ...

    async def prune(self, before: int) -> int:
        """Forgets turns made before this time (unix seconds); gives their number."""
        ...

    async def close(self) -> None:
        """Writes what waits and lets go of the files."""
        ...


def assembled(resource: bytes, output: bytes) -> bytes:
    """The response resource with its output, which is kept once."""
    fields = msgspec.json.decode(resource, type=dict[str, Raw])
    fields["output"] = Raw(output)
    return msgspec.json.encode(fields)
