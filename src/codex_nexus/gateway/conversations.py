"""`/conversations`: lists of items that responses read and add to."""

from __future__ import annotations

import time
from typing import Any

import msgspec
from aiohttp import web
from msgspec import UNSET, Raw, Struct, UnsetType

from codex_nexus.errors import InvalidRequest, NotFound
from codex_nexus.gateway.body import read_body
from codex_nexus.gateway.lists import identified, page_reply, wanted_page
from codex_nexus.gateway.state import CALLER, CORS, GATEWAY
from codex_nexus.gateway.turns import new_id
from codex_nexus.sessions.store import Page, SessionStore, StoredConversation, StoredItem
from codex_nexus.translate.history import read_history
from codex_nexus.wire import codec
from codex_nexus.wire.create import checked_metadata, decode_fields, missing

_MOST_ITEMS = 20


class _Given(Struct):
    items: Raw = Raw()
    metadata: dict[str, str] | UnsetType | None = UNSET


_decoder = msgspec.json.Decoder(_Given)


async def create(request: web.Request) -> web.Response:
    """`POST /conversations`."""
    given = await _given(request)
    talk = StoredConversation(
        new_id("conv"), request[CALLER].identity, int(time.time()), codec.encode(_metadata(given))
    )
    await _store(request).create_conversation(talk, _items(given))
    return _json(request, _shown(talk))


async def retrieve(request: web.Request) -> web.Response:
    """`GET /conversations/{id}`."""
    return _json(request, _shown(await _found(request)))


async def update(request: web.Request) -> web.Response:
    """`POST /conversations/{id}`: other metadata; null is none at all."""
    given, store = await _given(request), _store(request)
    if given.metadata is not UNSET:
        metadata = codec.encode(_metadata(given))
        if not await store.update_conversation(request.match_info["id"], request[CALLER].identity, metadata):
            raise _not_found(request)
    return _json(request, _shown(await _found(request)))


async def delete(request: web.Request) -> web.Response:
    """`DELETE /conversations/{id}`, with its items."""
    name = request.match_info["id"]
    if not await _store(request).delete_conversation(name, request[CALLER].identity):
        raise _not_found(request)
    return _json(request, {"id": name, "object": "conversation.deleted", "deleted": True})


async def add_items(request: web.Request) -> web.Response:
    """`POST /conversations/{id}/items`."""
    items = _items(await _given(request))
    if not items:
        raise missing("items")
    if not await _store(request).add_items(request.match_info["id"], request[CALLER].identity, items):
        raise _not_found(request)
    page = Page(len(items), newest_first=False)
    return _json(request, page_reply(items, page))


async def list_items(request: web.Request) -> web.Response:
    """`GET /conversations/{id}/items`."""
    page, name = wanted_page(request), request.match_info["id"]
    await _found(request)
    one_more = Page(page.limit + 1, page.newest_first, page.after)
    return _json(request, page_reply(await _store(request).items(name, request[CALLER].identity, one_more), page))


async def retrieve_item(request: web.Request) -> web.Response:
    """`GET /conversations/{id}/items/{item}`."""
    where = request.match_info
    item = await _store(request).item(where["id"], request[CALLER].identity, where["item"])
    if item is None:
        raise _no_item(request)
    return _json(request, item)


async def delete_item(request: web.Request) -> web.Response:
    """`DELETE /conversations/{id}/items/{item}`: gives the conversation."""
    where = request.match_info
    if not await _store(request).delete_item(where["id"], request[CALLER].identity, where["item"]):
        raise _no_item(request)
    return _json(request, _shown(await _found(request)))


async def _given(request: web.Request) -> _Given:
    body = await read_body(request, request.app[GATEWAY].snapshot.config.body_limit_mb << 20)
    return decode_fields(body or b"{}", _decoder)


def _metadata(given: _Given) -> dict[str, str]:
    return checked_metadata(None if given.metadata is UNSET else given.metadata)


def _items(given: _Given) -> list[StoredItem]:
    """The items, checked as the input of a response is: a broken one would break every turn to come."""
    if codec.is_null(given.items):
        return []
    try:
        read_history([], given.items)
    except InvalidRequest as error:
        param = (error.param or "").replace("input", "items", 1)
        raise InvalidRequest(error.message.replace("'input", "'items", 1), param, error.code) from None
    items = identified(bytes(given.items), new_id("seed"))
    if len(items) > _MOST_ITEMS:
        raise InvalidRequest(f"At most {_MOST_ITEMS} items can be added at once.", "items")
    return items


def _store(request: web.Request) -> SessionStore:
    return request.app[GATEWAY].sure_store()


async def _found(request: web.Request) -> StoredConversation:
    found = await _store(request).conversation(request.match_info["id"], request[CALLER].identity)
    if found is None:
        raise _not_found(request)
    return found


def _shown(talk: StoredConversation) -> dict[str, Any]:
    return {"id": talk.id, "object": "conversation", "created_at": talk.created_at, "metadata": Raw(talk.metadata)}


def _not_found(request: web.Request) -> NotFound:
    return NotFound(f"Conversation with id '{request.match_info['id']}' not found.", param="id")


def _no_item(request: web.Request) -> NotFound:
    where = request.match_info
    return NotFound(f"There is no item '{where['item']}' in conversation '{where['id']}'.", param="item_id")


def _json(request: web.Request, body: bytes | dict[str, Any]) -> web.Response:
    data = body if isinstance(body, bytes) else codec.encode(body)
    return web.Response(body=data, content_type="application/json", headers=request[CORS])
