"""`POST /responses` and `GET /responses/{id}`."""

from __future__ import annotations

import contextlib

from aiohttp import web

from codex_nexus.errors import InvalidRequest, NotFound
from codex_nexus.gateway.body import read_body
from codex_nexus.gateway.doors import ClientGone, ReplyDoor, SseDoor
from codex_nexus.gateway.replies import client_of
from codex_nexus.gateway.state import CALLER, CORS, GATEWAY
from codex_nexus.gateway.turns import Asker, answer, history_of
from codex_nexus.wire import codec
from codex_nexus.wire.responses import decode_create


async def create(request: web.Request) -> web.StreamResponse:
    """`POST /responses`, streamed or not."""
    gateway = request.app[GATEWAY]
    asked = decode_create(await read_body(request, gateway.snapshot.config.body_limit_mb << 20))
    asker = Asker(request[CALLER], client_of(request.headers))
    stored = await history_of(gateway, asked, asker.caller)
    if not asked.stream:
        reply = ReplyDoor(dict(request[CORS]))
        response = await answer(gateway, asked, asker, stored, reply)
        return web.Response(body=codec.encode(response), content_type="application/json", headers=reply.headers)
    door = SseDoor(request, dict(request[CORS]))
    with contextlib.suppress(ClientGone):
        await answer(gateway, asked, asker, stored, door)
    return door.response


async def retrieve(request: web.Request) -> web.StreamResponse:
    """`GET /responses/{id}`."""
    response_id = request.match_info["id"]
    if request.query.get("stream", "").lower() == "true":
        raise InvalidRequest("Only responses made with 'background' can be streamed again.", "stream")
    resource = await request.app[GATEWAY].resource(response_id, request[CALLER].identity)
    if resource is None:
        raise NotFound(f"Response with id '{response_id}' not found.", param="id")
    return web.Response(body=resource, content_type="application/json", headers=request[CORS])
