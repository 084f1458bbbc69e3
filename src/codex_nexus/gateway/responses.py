"""`POST /responses`: streamed, whole, or in the background."""

from __future__ import annotations

import contextlib

from aiohttp import web

from codex_nexus.gateway import background, stored
from codex_nexus.gateway.body import read_body
from codex_nexus.gateway.doors import ClientGone, ReplyDoor, SseDoor
from codex_nexus.gateway.references import resolved
from codex_nexus.gateway.replies import client_of
from codex_nexus.gateway.state import CALLER, CORS, GATEWAY
from codex_nexus.gateway.trace import traced
from codex_nexus.gateway.turns import Asker, answer, history_of
from codex_nexus.wire import codec
from codex_nexus.wire.create import decode_create
from codex_nexus.wire.responses import Response


async def create(request: web.Request) -> web.StreamResponse:
    """`POST /responses`."""
    gateway = request.app[GATEWAY]
    body = await read_body(request, gateway.snapshot.config.body_limit_mb << 20)
    trace = traced(request, gateway.traces, body, gateway.snapshot)
    asked = decode_create(body)
    asker = Asker(request[CALLER], client_of(request.headers), trace)
    history = await history_of(gateway, asked, asker.caller)
    asked = await resolved(gateway, asked, history, asker.caller)
    if asked.background:
        queued = await background.start(gateway, asked, asker, history)
        if asked.stream:
            return await stored.replay(request, queued.id, -1)
        return _reply(queued, dict(request[CORS]))
    if not asked.stream:
        reply = ReplyDoor(dict(request[CORS]))
        return _reply(await answer(gateway, asked, asker, history, reply), reply.headers)
    door = SseDoor(request, dict(request[CORS]))
    with contextlib.suppress(ClientGone):
        await answer(gateway, asked, asker, history, door)
    return door.response


def _reply(response: Response, headers: dict[str, str]) -> web.Response:
    return web.Response(body=codec.encode(response), content_type="application/json", headers=headers)
