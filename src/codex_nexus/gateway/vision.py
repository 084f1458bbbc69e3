"""Eyes for models that have none: another model describes an image once, and the description is kept.

Only with `vision_model` in the configuration, and only for turns with images whose provider takes none. A failure costs
one line in the log and the short note that stands for images anyway; it is not tried again for a while.
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
from msgspec import Raw, Struct

from codex_nexus.config.file import write_private
from codex_nexus.errors import NexusError
from codex_nexus.gateway.replies import UpstreamError
from codex_nexus.gateway.upstream import Upstream, pieces, teller
from codex_nexus.routing import Caller, Destination, Route
from codex_nexus.snapshot import Snapshot
from codex_nexus.translate.clients import PLAIN
from codex_nexus.translate.turn import Turn, open_turn
from codex_nexus.wire import codec
from codex_nexus.wire.items import MessageItem
from codex_nexus.wire.responses import decode_create

log = logging.getLogger("codex_nexus.vision")

FILE = "pictures.json"
_MOST_KEPT = 512
_MOST_AT_ONCE = 8
_LONGEST = 8000
_PATIENCE_S = 90.0
_AGAIN_S = 300.0
_ASK = (
    "Describe this image for somebody who cannot see it and has to work with it: a programmer at a terminal. Say what "
    "kind of image it is, write out all text, code and messages word for word, then layout, colours and state as far "
    "as they matter. Answer with the description alone."
)


class Roads(Protocol):
    """What is needed of the gateway: routes, and the road upstream."""

    upstream: Upstream

    async def route(self, snapshot: Snapshot, asked: str, caller: Caller) -> Route:
        """The route of a model name."""
        ...


class _Asking(Struct, frozen=True):
    """Who asks, and over which roads."""

    roads: Roads
    snapshot: Snapshot
    caller: Caller


class Vision:
    """Descriptions by image, kept in the home folder when there is one; the oldest are dropped."""

    def __init__(self, home: Path | None) -> None:
        self._path = None if home is None else home / FILE
        self._known: dict[str, str] | None = None
        self._failed: dict[str, float] = {}
        self._looking: dict[str, asyncio.Lock] = {}

    async def look(self, roads: Roads, snapshot: Snapshot, turn: Turn, caller: Caller) -> None:
        """Tells the turn what is on its images, as far as it is known or can be found out."""
        asked = snapshot.config.vision_model
        seen = dict(list(turn.pictures().items())[:_MOST_AT_ONCE]) if asked else {}
        if not seen:
            return
        asking = _Asking(roads, snapshot, caller)
        found = await asyncio.gather(*(self._described(asking, key, url) for key, url in seen.items()))
        known = self._read()
        described = {key: known[_name(asked, key)] for key in turn.pictures() if _name(asked, key) in known}
        turn.describe(described | {key: text for key, text in zip(seen, found, strict=True) if text})

    async def _described(self, asking: _Asking, key: str, url: Raw) -> str:
        """The description, or nothing."""
        asked = asking.snapshot.config.vision_model
        name = _name(asked, key)
        async with self._looking.setdefault(name, asyncio.Lock()):
            known = self._read().get(name)
            if known is not None or self._failed.get(name, 0) > time.monotonic():
                return known or ""
            began = time.monotonic()
            try:
                async with asyncio.timeout(_PATIENCE_S):
                    text = await _ask(asking, codec.of_text(url))
            except (NexusError, UpstreamError, TimeoutError, aiohttp.ClientError, OSError) as error:
                log.warning("%s described no image: %s", asked, str(error) or type(error).__name__)
                self._fail(name)
                return ""
            finally:
                self._looking.pop(name, None)
            log.info("%s described an image in %.1f s", asked, time.monotonic() - began)
            self._keep(name, text)
            return text

    def _fail(self, name: str) -> None:
        if len(self._failed) >= _MOST_KEPT:
            self._failed.clear()
        self._failed[name] = time.monotonic() + _AGAIN_S

    # --- what is kept

    def _read(self) -> dict[str, str]:
        if self._known is None:
            try:
                value: Any = json.loads(self._path.read_text("utf-8")) if self._path is not None else {}
            except (OSError, ValueError):
                value = {}
            fields = codec.as_object(value) or {}
            self._known = {name: text for name, text in fields.items() if isinstance(text, str)}
        return self._known

    def _keep(self, name: str, text: str) -> None:
        known = self._read()
        known[name] = text
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


async def _ask(asking: _Asking, url: str) -> str:
    """The description, asked for now.

    Raises:
        NexusError, UpstreamError, aiohttp.ClientError, OSError: there is none.
    """
    roads, snapshot = asking.roads, asking.snapshot
    route = await roads.route(snapshot, snapshot.config.vision_model, asking.caller)
    takes = route.destinations[0].dialect.images
    if takes == "none" or (takes == "data" and not url.startswith("data:")):
        raise NexusError("this model takes no such images")
    content = [{"type": "input_text", "text": _ASK}, {"type": "input_image", "image_url": url}]
    body = {"model": route.asked, "store": False, "input": [{"type": "message", "role": "user", "content": content}]}
    turn = open_turn(decode_create(json.dumps(body).encode()), [], PLAIN, _new_id, int(time.time()))

    def said(to: Destination) -> bytes:
        return turn.to_chat(to.dialect, to.model, teller(to, snapshot))

    opened = await roads.upstream.open(route, said, snapshot)
    try:
        if opened.destination.dialect.images == "none":
            raise NexusError("this model takes no images")
        turn.start()
        async for data in pieces(opened):
            turn.receive_data(data, int(time.time()))
            if turn.over:
                break
        turn.close(int(time.time()))
    finally:
        opened.response.close()
    return _text_of(turn)


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
