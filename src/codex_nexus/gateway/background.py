"""Background work: turns that run without their client, told into the store and read from there by anybody.

The door writes events into the store, some at a time. The client that asked, one that comes back after a cut and one
that asks another replica all read the same way: what is there, then what comes. The process that works on a response
says so once a second; when it dies, any other process ends its responses as failed.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import AsyncIterator, Callable
from typing import Any

import msgspec
from msgspec import Raw

from codex_nexus.errors import NexusError, StoreError
from codex_nexus.gateway.doors import ClientGone
from codex_nexus.gateway.live import LiveTurn
from codex_nexus.gateway.replies import UpstreamError
from codex_nexus.gateway.state import Gateway
from codex_nexus.gateway.turns import Asker, answer, stored_turn
from codex_nexus.sessions.store import Batch, Orphan, SessionStore, StoredTurn
from codex_nexus.wire import codec
from codex_nexus.wire import events as ev
from codex_nexus.wire.create import CreateResponse
from codex_nexus.wire.events import Event, EventEncoder
from codex_nexus.wire.responses import Response

log = logging.getLogger("codex_nexus.turn")

FLUSH_S = 0.1
BEAT_S = 1.0
STALE_S = 20.0
"""A process that has said nothing for so long is taken for dead."""
_INSIST_S = 60.0
_MOST_WAITING = 4 << 20
_LOST = "The process that worked on this response ended before it was complete."


class RecordDoor:
    """Events go into the store; the last ones together with the final response."""

    live = False
    begun = at_once = keeps = True

    def __init__(
        self,
        store: SessionStore,
        runner: str,
        kept: Callable[[Response], StoredTurn],
        begun: Callable[[str], None] = lambda _: None,
    ) -> None:
        """A door for one response.

        Args:
            store: where it goes.
            runner: this process, as others know it.
            kept: the response as the store keeps it.
            begun: is told its id as soon as the store knows it.
        """
        self.headers: dict[str, str] = {}
        self.queued: asyncio.Future[Response] = asyncio.get_running_loop().create_future()
        """The response as it was when its work began to be stored."""
        self._store = store
        self._runner = runner
        self._kept = kept
        self._begun = begun
        self._encoder = EventEncoder()
        self._waiting: list[bytes] = []
        self._first = 0
        self._unsure: Batch | None = None
        """A batch that the store may have kept or not; it is offered again as it was, and kept once."""
        self._ending: StoredTurn | None = None
        self._flushing: asyncio.Task[None] | None = None
        self._lost = False

    async def open(self) -> None:
        """Nothing to do."""

    async def send(self, events: list[Event]) -> None:
        """Takes events; they are stored a moment later."""
        if self._lost:
            raise ClientGone
        for event in events:
            if isinstance(event, ev.ResponseCreated):
                await self._begin(event)
            if isinstance(event, ev.TerminalEvent):
                self._ending = self._kept(event.response)
            self._waiting.append(self._encoder.json(event))
        if self._flushing is None and self._ending is None:
            self._flushing = asyncio.create_task(self._flush_later())

    async def _begin(self, event: ev.ResponseCreated) -> None:
        event.response = msgspec.structs.replace(event.response, status="queued")
        await self._store.begin(self._kept(event.response), self._runner)
        self._begun(event.response.id)
        self.queued.set_result(event.response)

    async def _flush_later(self) -> None:
        await asyncio.sleep(FLUSH_S)
        if self._ending is not None:
            return  # the rest is stored with the end
        try:
            await self._append(self._unsure or self._batch())
        except StoreError as error:
            log.warning("events of %s cannot be stored yet: %s", self._kept_id, error.message)
            self._lost = self._lost or sum(map(len, self._waiting)) > _MOST_WAITING
        self._flushing = None
        if (self._waiting or self._unsure) and self._ending is None and not self._lost:
            self._flushing = asyncio.create_task(self._flush_later())

    async def _append(self, batch: Batch) -> None:
        self._unsure = batch
        self._lost = not await self._store.append(self._kept_id, batch)
        self._unsure = None

    @property
    def _kept_id(self) -> str:
        return self.queued.result().id

    def _batch(self) -> Batch:
        batch = Batch(self._first, tuple(self._waiting))
        self._first += len(self._waiting)
        self._waiting = []
        return batch

    async def end(self) -> None:
        """Stores the rest and the end; insists for a while when the store is down."""
        if self._flushing is not None:
            await self._flushing
        if self._ending is None:
            return
        batch, deadline = self._batch(), time.monotonic() + _INSIST_S
        while True:
            try:
                if self._unsure is not None:
                    await self._append(self._unsure)
                await self._store.finish(self._ending, batch)
            except StoreError as error:
                if time.monotonic() > deadline:
                    log.warning("the end of %s cannot be stored: %s", self._kept_id, error.message)
                    return
                await asyncio.sleep(BEAT_S)
            else:
                return

    async def close(self) -> None:
        """Lets go of what is still to be written."""
        if self._flushing is not None:
            self._flushing.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._flushing


async def start(gateway: Gateway, asked: CreateResponse, asker: Asker, stored: list[Raw]) -> Response:
    """Begins a turn; gives the response as it is queued.

    Raises:
        NexusError, UpstreamError: it cannot begin.
    """
    store, running = gateway.sure_store(), gateway.running

    def kept(response: Response) -> StoredTurn:
        return stored_turn(asked, response, asker.caller)

    def begun(response_id: str) -> None:
        running.begin(response_id, store)
        if running.clock is None or running.clock.done():
            running.clock = asyncio.create_task(_tell(gateway))

    door = RecordDoor(store, running.name, kept, begun)
    running.add(asyncio.create_task(_run(gateway, asked, asker, stored, door)))
    return await asyncio.shield(door.queued)


async def _run(gateway: Gateway, asked: CreateResponse, asker: Asker, stored: list[Raw], door: RecordDoor) -> None:
    try:
        await answer(gateway, asked, asker, stored, door)
    except ClientGone:
        log.info("a background response was taken away while it ran")
    except (NexusError, UpstreamError) as error:
        if door.queued.done():
            log.warning("a background response ended without its end: %s", error)
        else:
            door.queued.set_exception(error)
    except Exception as error:
        log.exception("a fault inside the gateway")
        if not door.queued.done():
            door.queued.set_exception(error)
    finally:
        if door.queued.done() and not door.queued.exception():
            gateway.running.end(door.queued.result().id)
        await door.close()


async def _tell(gateway: Gateway) -> None:
    """Says once a second that this process lives, and stops what somebody cancelled."""
    running = gateway.running
    while stores := running.by_store():
        for store, names in stores:
            with contextlib.suppress(StoreError):
                for name in await store.beat(running.name, names):
                    _stop(gateway, name)
        newest, _ = stores[-1]  # a word of the others is found with the next beat
        await newest.changed("cancel", BEAT_S)


def _stop(gateway: Gateway, response_id: str) -> None:
    for live in gateway.watch.running():
        if isinstance(live, LiveTurn) and live.turn.response.id == response_id and live.stopped is None:
            live.stop("cancelled")


async def reap(gateway: Gateway) -> int:
    """Ends responses whose process has died as failed; gives their number."""
    store = gateway.store
    if store is None:
        return 0
    found = [one for one in await store.orphans(STALE_S) if one.turn.response_id not in gateway.running.responses]
    for orphan in found:
        await store.finish(*ended(orphan, "failed"))
        log.warning("%s is failed: the process that worked on it has ended", orphan.turn.response_id)
    return len(found)


def ended(orphan: Orphan, status: str) -> tuple[StoredTurn, Batch]:
    """The end of a response that its own process did not end, and the events that tell it."""
    turn, number = orphan.turn, orphan.next_number
    resource: dict[str, Any] = msgspec.json.decode(turn.resource)
    begun = [{"type": "response.created", "sequence_number": 0, "response": dict(resource)}] if not number else []
    resource["status"] = status
    if status == "failed":
        resource["error"] = {"code": "server_error", "message": _LOST}
    failed = {"type": "response.failed", "sequence_number": number or 1, "response": resource}
    batch = Batch(number, tuple(codec.encode(event) for event in [*begun, failed]))
    return msgspec.structs.replace(turn, status=status, resource=codec.encode(resource), items=()), batch


async def follow(store: SessionStore, response_id: str, owner: str, after: int) -> AsyncIterator[list[bytes]]:
    """The stored events beyond `after`, then the new ones as they come, until its end; an empty list while it waits."""
    while True:
        recorded = await store.events(response_id, owner, after)
        if recorded is None:
            return
        if recorded.events:
            after += len(recorded.events)
            yield recorded.events
        elif not recorded.running:
            return
        else:
            await store.changed(response_id, store.poll_s)
            yield []
