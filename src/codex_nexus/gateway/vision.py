"""Eyes for models that have none: another model describes an image once, and the description is kept.

Only with `vision_model` in the configuration, and only for turns with images whose provider takes none. Each
description is a request of its own, and stands as one in the book of turns. A failure costs one line in the log and a
reason in the short note that stands for images anyway; it is not tried again for a while.
"""

from __future__ import annotations

import asyncio
import json
import logging
import secrets
import time
from pathlib import Path
from typing import Any, Protocol

import aiohttp
import msgspec
from msgspec import Raw, Struct

from codex_nexus.config.file import write_private
from codex_nexus.errors import NexusError
from codex_nexus.gateway.exchange import pieces, teller
from codex_nexus.gateway.learned import Learned
from codex_nexus.gateway.replies import UpstreamError
from codex_nexus.gateway.traffic import Traffic, TurnRecord, TurnStatus
from codex_nexus.gateway.upstream import Upstream
from codex_nexus.routing import Caller, Destination, Route
from codex_nexus.snapshot import Snapshot
from codex_nexus.translate.clients import PLAIN
from codex_nexus.translate.turn import Turn, open_turn
from codex_nexus.wire import codec
from codex_nexus.wire.create import decode_create
from codex_nexus.wire.items import MessageItem

log = logging.getLogger("codex_nexus.vision")

FILE = "pictures.json"
_MOST_KEPT = 512
_MOST_AT_ONCE = 8
_LONGEST = 8000
_LONGEST_REASON = 200
_CLIENT = "vision"
"""How such a request is told from those of clients in the book of turns."""
_PATIENCE_S = 90.0
_AGAIN_S = 300.0
_ASK = (
    "Describe this image for somebody who cannot see it and has to work with it: a programmer at a terminal. Say what "
    "kind of image it is, write out all text, code and messages word for word, then layout, colours and state as far "
    "as they matter. Answer with the description alone."
)


class Roads(Protocol):
    """What is needed of the gateway: routes, the road upstream, what was learned there, and the book of turns."""

    learned: Learned
    traffic: Traffic
    upstream: Upstream

    async def route(self, snapshot: Snapshot, asked: str, caller: Caller) -> Route:
        """The route of a model name."""
        ...

    async def affordable(self, route: Route, snapshot: Snapshot, caller: Caller) -> Route:
        """The route as far as its budgets allow."""
        ...


class _Asking(Struct, frozen=True):
    """Who asks, and over which roads."""

    roads: Roads
    snapshot: Snapshot
    caller: Caller


class _Failure(Struct, frozen=True):
    """Why there is no description, and until when (monotonic seconds) it is not asked for again."""

    reason: str
    until: float


class Vision:
    """Descriptions by image, kept in the home folder when there is one; the oldest are dropped."""

    def __init__(self, home: Path | None) -> None:
        self._path = None if home is None else home / FILE
        self._known: dict[str, str] | None = None
        self._failed: dict[str, _Failure] = {}
        self._looking: dict[str, asyncio.Lock] = {}

    async def look(self, roads: Roads, snapshot: Snapshot, turn: Turn, caller: Caller) -> None:
        """Tells the turn what is on its images, as far as it is known or can be found out; else why not."""
        asked = snapshot.config.vision_model
        images = turn.pictures() if asked else {}
        if not images:
            return
        asking = _Asking(roads, snapshot, caller)
        new = [key for key in images if _name(asked, key) not in self._read()][:_MOST_AT_ONCE]
        await asyncio.gather(*(self._describe(asking, key, images[key]) for key in new))
        notes = ((key, self._note(asked, key)) for key in images)
        turn.describe({key: note for key, note in notes if note})

    def _note(self, asked: str, key: str) -> str:
        """What stands for the image; nothing when it was not asked about."""
        name = _name(asked, key)
        seen, failure = self._read().get(name), self._failed.get(name)
        if seen is not None:
            return f"[image, described by another model: {seen}]"
        if failure is None:
            return ""
        return f"[image omitted: this model cannot see images, and {asked} did not describe it: {failure.reason}]"

    async def _describe(self, asking: _Asking, key: str, url: Raw) -> None:
        """Asks for the description, unless it is known by now or failed a short while ago."""
        asked = asking.snapshot.config.vision_model
        name = _name(asked, key)
        async with self._looking.setdefault(name, asyncio.Lock()):
            failure = self._failed.get(name)
            if name in self._read() or (failure is not None and failure.until > time.monotonic()):
                return
            try:
                text = await _ask(asking, codec.of_text(url))
            except (NexusError, UpstreamError, TimeoutError, aiohttp.ClientError, OSError) as error:
                reason = _reason(error)
                log.warning("%s described no image: %s", asked, reason)
                self._fail(name, reason)
            else:
                self._keep(name, text)
            finally:
                self._looking.pop(name, None)

    def _fail(self, name: str, reason: str) -> None:
        if len(self._failed) >= _MOST_KEPT:
            self._failed.clear()
        self._failed[name] = _Failure(reason, time.monotonic() + _AGAIN_S)

    # --- what is kept

    def _read(self) -> dict[str, str]:
        if self._known is None:
            self._known = self._stored()
        return self._known

    def _stored(self) -> dict[str, str]:
        try:
            value: Any = json.loads(self._path.read_text("utf-8")) if self._path is not None else {}
        except (OSError, ValueError):
            value = {}
        fields = codec.as_object(value) or {}
        return {name: text for name, text in fields.items() if isinstance(text, str)}

    def _keep(self, name: str, text: str) -> None:
        known = self._read()
        self._failed.pop(name, None)
        known |= self._stored() | {name: text}  # another worker may have written meanwhile
        for oldest in list(known)[: max(0, len(known) - _MOST_KEPT)]:
            del known[oldest]
        if self._path is None:
            return
        try:
            write_private(self._path, json.dumps(known, indent=0, ensure_ascii=False).encode() + b"\n")
        except OSError as error:
            log.warning("%s cannot be written: %s", self._path, error.strerror)


def _name(asked: str, key: str) -> str:
    return f"{asked} {key}"


def _reason(error: Exception) -> str:
    """Why, in one short line; the texts of our own errors hold no secret."""
    if isinstance(error, TimeoutError):
        return f"no description came within {_PATIENCE_S:g} s"
    if not isinstance(error, (NexusError, UpstreamError)):
        return "its answer broke off"
    text = " ".join(str(error).split())
    return text if len(text) <= _LONGEST_REASON else f"{text[: _LONGEST_REASON - 3]}..."


async def _ask(asking: _Asking, url: str) -> str:
    """The description, asked for now.

    Raises:
        NexusError, UpstreamError, TimeoutError, aiohttp.ClientError, OSError: there is none.
    """
    roads, snapshot = asking.roads, asking.snapshot
    route = await roads.route(snapshot, snapshot.config.vision_model, asking.caller)
    route = await roads.affordable(route, snapshot, asking.caller)
    seeing = tuple(to for to in route.destinations if _sees(roads.learned.applied(to), url))
    if not seeing:
        raise NexusError("it takes no such images itself")
    content = [{"type": "input_text", "text": _ASK}, {"type": "input_image", "image_url": url}]
    body = {"model": route.asked, "store": False, "input": [{"type": "message", "role": "user", "content": content}]}
    turn = open_turn(decode_create(json.dumps(body).encode()), [], PLAIN, _new_id, int(time.time()))
    record = roads.traffic.begin(turn.response.id, route.asked, seeing[0].name, _CLIENT, asking.caller.identity)
    status: TurnStatus = "gone"
    fault = ""
    try:
        async with asyncio.timeout(_PATIENCE_S):
            await _read(asking, turn, msgspec.structs.replace(route, destinations=seeing), record)
        text = _text_of(turn)
        status = "completed"
    except (NexusError, UpstreamError, TimeoutError, aiohttp.ClientError, OSError) as error:
        status, fault = "failed", _reason(error)
        raise
    finally:
        roads.traffic.end(record, status, turn.response, fault)
    tokens = f"{record.input_tokens}+{record.output_tokens} tokens" if record.input_tokens else "no usage"
    log.info("%s described an image, %s, %.1f s", record.upstream, tokens, record.seconds)
    return text


def _sees(to: Destination, url: str) -> bool:
    return to.dialect.images == "data+url" or (to.dialect.images == "data" and url.startswith("data:"))


async def _read(asking: _Asking, turn: Turn, route: Route, record: TurnRecord) -> None:
    """The whole answer into the turn."""

    def said(to: Destination) -> bytes:
        if to.dialect.images == "none":  # it was refused just now; without the image nothing is worth asking
            raise NexusError("it takes no images")
        return turn.to_chat(to.dialect, to.model, teller(to, asking.snapshot))

    opened = await asking.roads.upstream.open(route, said, asking.snapshot)
    record.upstream = opened.destination.name
    try:
        turn.start()
        async for data in pieces(opened):
            turn.receive_data(data, int(time.time()))
            if turn.over:
                break
        if opened.fault is not None:
            turn.fail(opened.fault, int(time.time()))
        turn.close(int(time.time()))
    finally:
        opened.response.close()


def _new_id(prefix: str) -> str:
    return f"{prefix}_{secrets.token_hex(16)}"


def _text_of(turn: Turn) -> str:
    response = turn.response
    if response.error is not None:
        raise NexusError(response.error.message)
    items = [item for item in response.output if isinstance(item, MessageItem)]
    text = "".join(str(getattr(part, "text", "")) for item in items for part in item.content).strip()
    if not text:
        raise NexusError("it gave no text")
    return text[:_LONGEST]
