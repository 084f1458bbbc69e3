"""What can be done with a stored response: read it, stream it again, list its input, cancel it, delete it."""

from __future__ import annotations

import asyncio
import contextlib
import time
from typing import Any

import msgspec
from aiohttp import web

from codex_nexus.errors import InvalidRequest, NotFound
from codex_nexus.gateway import background
from codex_nexus.gateway.doors import STREAM_HEADERS, unsized
from codex_nexus.gateway.lists import cut, identified, page_reply, wanted_number, wanted_page
from codex_nexus.gateway.state import CALLER, CORS, GATEWAY
from codex_nexus.sessions.store import SessionStore
from codex_nexus.wire import codec, sse

_UNDER_WAY = ("queued", "in_progress")
_OBEY_S = 10.0
"""A process that was asked to cancel has so long; then its response is cancelled without it."""
_QUIET_S = 10.0


async def retrieve(request: web.Request) -> web.StreamResponse:
    """`GET /responses/{id}`, as it is or as a stream of its events."""
    resource = await _resource(request)
    if request.query.get("stream", "").lower() != "true":
        return _json(request, resource)
    if not _fields(resource).get("background"):
        raise InvalidRequest("Only responses made with 'background' can be streamed again.", "stream")
    after = wanted_number(request, "starting_after", -1)
    return await replay(request, request.match_info["id"], max(-1, after))


async def replay(request: web.Request, response_id: str, after: int) -> web.StreamResponse:
    """The events of a background response beyond `after`, and those to come.

    Raises:
        InvalidRequest: they are not kept any more.
    """
    store, owner = request.app[GATEWAY].sure_store(), request[CALLER].identity
    recorded = await store.events(response_id, owner, after)
    if recorded is None or not recorded.kept:
        raise InvalidRequest("The events of this response are not kept any more; read it without 'stream'.", "stream")
    response = unsized(request, STREAM_HEADERS | request[CORS])
    await response.prepare(request)
    with contextlib.suppress(ConnectionError):
        await _write_all(response, store, response_id, owner, after)
        await response.write(sse.DONE)
        await response.write_eof()
    return response


async def _write_all(response: web.StreamResponse, store: SessionStore, name: str, owner: str, after: int) -> None:
    written = time.monotonic()
    async for events in background.follow(store, name, owner, after):
        if events:
            await response.write(b"".join(sse.frame(_kind(event), event) for event in events))
            written = time.monotonic()
        elif time.monotonic() - written > _QUIET_S:
            await response.write(b": still working\n\n")
            written = time.monotonic()


def _kind(event: bytes) -> bytes:
    """Events are stored as they are encoded: their type leads."""
    begin = len(b'{"type":"')
    return event[begin : event.index(b'"', begin)]


async def delete(request: web.Request) -> web.Response:
    """`DELETE /responses/{id}`."""
    name = request.match_info["id"]
    if not await request.app[GATEWAY].sure_store().delete(name, request[CALLER].identity):
        raise _not_found(name)
    return _json(request, codec.encode({"id": name, "object": "response", "deleted": True}))


async def cancel(request: web.Request) -> web.Response:
    """`POST /responses/{id}/cancel`: whichever process runs it stops; what is over stays as it is."""
    name, store = request.match_info["id"], request.app[GATEWAY].sure_store()
    resource = await _resource(request)
    if not _fields(resource).get("background"):
        raise InvalidRequest("Only responses made with 'background' can be cancelled.", "id")
    deadline = time.monotonic() + _OBEY_S
    while _fields(resource)["status"] in _UNDER_WAY and await store.cancel(name):
        await store.changed(name, store.poll_s)
        resource = await _resource(request)
        if time.monotonic() > deadline:
            await _cancel_anyway(store, name)
            deadline = time.monotonic() + _OBEY_S
    return _json(request, await _resource(request))


async def _cancel_anyway(store: SessionStore, name: str) -> None:
    for orphan in await store.orphans(-_OBEY_S):
        if orphan.turn.response_id == name:
            await store.finish(*background.ended(orphan, "cancelled"))


async def input_items(request: web.Request) -> web.Response:
    """`GET /responses/{id}/input_items`: what its request brought, not what it built on."""
    name, page = request.match_info["id"], wanted_page(request)
    given = await request.app[GATEWAY].sure_store().input(name, request[CALLER].identity)
    if given is None:
        raise _not_found(name)
    items = await asyncio.to_thread(identified, given, name)
    return _json(request, page_reply(cut(items, page), page))


async def _resource(request: web.Request) -> bytes:
    name = request.match_info["id"]
    resource = await request.app[GATEWAY].resource(name, request[CALLER].identity)
    if resource is None:
        raise _not_found(name)
    return resource


def _not_found(name: str) -> NotFound:
    return NotFound(f"Response with id '{name}' not found.", param="id")


def _fields(resource: bytes) -> dict[str, Any]:
    return msgspec.json.decode(resource, type=dict[str, Any])


def _json(request: web.Request, body: bytes) -> web.Response:
    return web.Response(body=body, content_type="application/json", headers=request[CORS])
