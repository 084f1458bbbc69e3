"""The words of the session store: what is kept of a turn, and what every store can do."""

from __future__ import annotations

from typing import Any, Protocol

import msgspec
from msgspec import Raw, Struct

from codex_nexus.sessions.usage import Spent, Usage


class StoredItem(Struct, frozen=True):
    """One item of a conversation: its id and the wire's JSON, which holds the same id."""

    id: str
    data: bytes


class StoredTurn(Struct, frozen=True):
    """One response with what its request added. Items are kept as the wire's JSON, so unknown ones survive.

    Attributes:
        response_id: the key.
        previous_response_id: the turn before, or None; any number of turns may share one.
        owner: identity of the caller who made it; empty for the gateway's owner.
        created_at: unix seconds.
        status: where it stands; terminal unless it runs in the background.
        input: JSON list of the items that the request added.
        output: JSON list of the answer's items.
        resource: the response resource with an empty `output`.
        conversation: id of the conversation that it belongs to, or None.
        items: what it adds to that conversation.
    """

    response_id: str
    previous_response_id: str | None
    owner: str
    created_at: int
    status: str
    input: bytes
    output: bytes
    resource: bytes
    conversation: str | None = None
    items: tuple[StoredItem, ...] = ()


class Batch(Struct, frozen=True):
    """Some events of a response in a row, as JSON; `first` is the sequence number of the first of them."""

    first: int
    events: tuple[bytes, ...]


class Recorded(Struct, frozen=True):
    """What is kept of the events of a response.

    Attributes:
        events: as JSON, in order.
        running: more may come.
        kept: the events are still there; they are forgotten before the response is.
    """

    events: list[bytes]
    running: bool
    kept: bool = True


class Orphan(Struct, frozen=True):
    """A response whose process no longer tells that it works on it."""

    turn: StoredTurn
    next_number: int


class StoredConversation(Struct, frozen=True):
    """A conversation without its items; `metadata` is a JSON object."""

    id: str
    owner: str
    created_at: int
    metadata: bytes


class Page(Struct, frozen=True):
    """A piece of a list: `limit` items after the one named `after`."""

    limit: int = 20
    newest_first: bool = True
    after: str | None = None


class Sizes(Struct, frozen=True):
    """How much there is.

    Attributes:
        turns: stored responses.
        conversations: stored conversations.
        running: responses under way in the background.
        content: bytes of what they hold.
        disk: bytes that the store takes; 0 when unknown.
    """

    turns: int = 0
    conversations: int = 0
    running: int = 0
    content: int = 0
    disk: int = 0


class StoreState(Struct, frozen=True):
    """How the store does, for people.

    Attributes:
        kind: `sqlite`, `postgresql`, or `none`.
        trouble: why the last response could not be stored; empty while all is well.
        sizes: how much there is.
    """

    kind: str
    trouble: str = ""
    sizes: Sizes = Sizes()


class SessionStore(Protocol):
    """Keeps turns, background work and conversations. Every method may raise StoreError; a turn goes on without it.

    `owner` is who asks; the empty one may see everything. What belongs to somebody else is not there.
    """

    kind: str
    """`sqlite` or `postgresql`."""
    poll_s: float
    """How long to trust that news of other processes will come by themselves."""

    async def put(self, turn: StoredTurn) -> None:
        """Keeps a turn; it is durable when this returns."""
        ...

    async def history(self, response_id: str, owner: str) -> list[Raw] | None:
        """JSON lists of items of the whole chain, oldest first.

        None when the turn is not there, is not over, did not end well, or its chain is not whole any more.
        """
        ...

    async def resource(self, response_id: str, owner: str) -> bytes | None:
        """The response resource as JSON, or None."""
        ...

    async def input(self, response_id: str, owner: str) -> bytes | None:
        """JSON list of the items that its request added, or None."""
        ...

    async def delete(self, response_id: str, owner: str) -> bool:
        """Forgets a response; whether it was there."""
        ...

    # --- background work

    async def begin(self, turn: StoredTurn, runner: str) -> None:
        """Keeps a turn that begins to run in the background, by that process."""
        ...

    async def append(self, response_id: str, batch: Batch) -> bool:
        """Keeps events, once also when the same batch comes again; False when it does not run any more."""
        ...

    async def finish(self, turn: StoredTurn, batch: Batch) -> bool:
        """Ends it with its last events; False when it did not run any more, and nothing was changed."""
        ...

    async def events(self, response_id: str, owner: str, after: int) -> Recorded | None:
        """The events with a sequence number beyond `after`; None when there is no such background response."""
        ...

    async def cancel(self, response_id: str) -> bool:
        """Asks the process that runs it to stop; False when nothing runs."""
        ...

    async def beat(self, runner: str, running: list[str]) -> list[str]:
        """Tells that this process is alive and works on these; gives those that must stop."""
        ...

    async def orphans(self, stale_s: float) -> list[Orphan]:
        """Responses whose process has died or has said nothing for that long."""
        ...

    async def changed(self, key: str, seconds: float) -> None:
        """Waits until something happens to this response (or, with the key `cancel`, to any), or for that long."""
        ...

    # --- conversations

    async def create_conversation(self, conversation: StoredConversation, items: list[StoredItem]) -> None:
        """Keeps a conversation with its first items."""
        ...

    async def conversation(self, conversation_id: str, owner: str) -> StoredConversation | None:
        """The conversation, or None."""
        ...

    async def update_conversation(self, conversation_id: str, owner: str, metadata: bytes) -> bool:
        """Changes the metadata; whether it was there."""
        ...

    async def delete_conversation(self, conversation_id: str, owner: str) -> bool:
        """Forgets a conversation and its items; whether it was there."""
        ...

    async def add_items(self, conversation_id: str, owner: str, items: list[StoredItem]) -> bool:
        """Adds items at the end; whether the conversation was there."""
        ...

    async def items(self, conversation_id: str, owner: str, page: Page) -> list[StoredItem] | None:
        """A page of its items; None when the conversation or the item `after` is not there."""
        ...

    async def item(self, conversation_id: str, owner: str, item_id: str) -> bytes | None:
        """One item, or None."""
        ...

    async def delete_item(self, conversation_id: str, owner: str, item_id: str) -> bool:
        """Forgets one item; whether it was there."""
        ...

    async def context(self, conversation_id: str, owner: str) -> list[Raw] | None:
        """All items as one JSON list; None when the conversation is not there."""
        ...

    # --- usage

    async def add_usage(self, usage: Usage) -> None:
        """Adds to what is kept of the same day, provider, model and caller; all of it or nothing."""
        ...

    async def usage(self, since: str) -> Usage:
        """What all callers used on that day (`YYYY-MM-DD`, UTC) and later."""
        ...

    async def used(self, day: str, owner: str) -> dict[str, Spent]:
        """What this very caller used on that day, by provider."""
        ...

    async def forget_usage(self, before: str) -> int:
        """Forgets the days before that one; gives the number of rows."""
        ...

    # --- life

    async def prune(self, before: int) -> int:
        """Forgets chains and conversations whose last turn is older (unix seconds); gives the number of turns."""
        ...

    async def shrink(self, limit: int) -> int:
        """Forgets the chains used longest ago until what is kept holds at most so many bytes; gives their turns."""
        ...

    async def sizes(self) -> Sizes:
        """How much there is."""
        ...

    async def close(self) -> None:
        """Writes what waits and lets go of the files."""
        ...


def assembled(resource: bytes, output: bytes, status: str) -> bytes:
    """The response resource with its output, which is kept once, and its status as it is now."""
    fields: dict[str, Any] = msgspec.json.decode(resource, type=dict[str, Raw])
    fields["output"] = Raw(output)
    fields["status"] = status
    return msgspec.json.encode(fields)
