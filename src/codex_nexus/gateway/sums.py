"""`POST /responses/input_tokens` and `POST /responses/compact`: a request counted, a thread summed up."""

from __future__ import annotations

import time

import msgspec
from aiohttp import web
from msgspec import Raw

from codex_nexus.errors import NexusError, NoKey, NoRoute
from codex_nexus.gateway.body import read_body
from codex_nexus.gateway.doors import ReplyDoor
from codex_nexus.gateway.references import resolved
from codex_nexus.gateway.replies import client_of
from codex_nexus.gateway.state import CALLER, CORS, GATEWAY, Gateway
from codex_nexus.gateway.trace import TRACE, traced
from codex_nexus.gateway.turns import Asker, answer, history_of, new_id
from codex_nexus.translate.dialect import DEFAULT, Dialect
from codex_nexus.translate.turn import input_items, open_turn
from codex_nexus.translate.usage import estimated_usage
from codex_nexus.wire import codec
from codex_nexus.wire.create import CreateResponse, decode_create
from codex_nexus.wire.responses import Response

_TRIGGER = b'{"type":"compaction_trigger"}'


async def input_tokens(request: web.Request) -> web.Response:
    """An estimate of what the request would count; no model is asked."""
    gateway = request.app[GATEWAY]
    asked = await _decoded(request)
    asker = Asker(request[CALLER], client_of(request.headers))
    stored = await history_of(gateway, asked, asker.caller)
    asked = await resolved(gateway, asked, stored, asker.caller)
    turn = open_turn(asked, stored, asker.client, new_id, int(time.time()))
    dialect, model = await _spoken(gateway, asked, asker)
    usage = estimated_usage(len(turn.to_chat(dialect, model)), 0, None)
    count = {"object": "response.input_tokens", "input_tokens": usage.input_tokens, "estimated": True}
    return web.Response(body=codec.encode(count), content_type="application/json", headers=request[CORS])


async def _spoken(gateway: Gateway, asked: CreateResponse, asker: Asker) -> tuple[Dialect, str]:
    """How the provider of this model speaks; counting needs no key."""
    try:
        route = await gateway.route(gateway.snapshot, asked.model or "", asker.caller)
    except (NoKey, NoRoute):
        return DEFAULT, asked.model or ""
    return route.destinations[0].dialect, route.destinations[0].model


async def compact(request: web.Request) -> web.Response:
    """A summary of a thread as one sealed item, which stands for the thread in later requests."""
    gateway = request.app[GATEWAY]
    asked = await _decoded(request, needs_model=True)
    asker = Asker(request[CALLER], client_of(request.headers), request.get(TRACE))
    stored = await history_of(gateway, asked, asker.caller)
    asked = await resolved(gateway, asked, stored, asker.caller)
    given = bytes(input_items(asked))
    asked = msgspec.structs.replace(
        asked, input=_with_trigger(given), store=False, background=None, conversation=None, stream=None, tools=None,
        tool_choice=None, text=None,
    )  # fmt: skip
    door = ReplyDoor(dict(request[CORS]))
    response = await answer(gateway, asked, asker, stored, door)
    _check(response)
    spent = response.usage or estimated_usage(
        len(given) + sum(map(_size, stored)), len(codec.encode(response.output)), None
    )
    body = {
        "id": response.id,
        "object": "response.compaction",
        "created_at": response.created_at,
        "output": response.output,
        "usage": spent,
    }
    return web.Response(body=codec.encode(body), content_type="application/json", headers=door.headers)


async def _decoded(request: web.Request, *, needs_model: bool = False) -> CreateResponse:
    gateway = request.app[GATEWAY]
    body = await read_body(request, gateway.snapshot.config.body_limit_mb << 20)
    if needs_model:
        traced(request, gateway.traces, body, gateway.snapshot)
    return decode_create(body, chained=not needs_model, needs_model=needs_model)


def _with_trigger(given: bytes) -> Raw:
    inside = given.strip()[1:-1].strip()
    return Raw(b"[" + inside + (b"," if inside else b"") + _TRIGGER + b"]")


def _size(raw: Raw) -> int:
    return len(memoryview(raw))


def _check(response: Response) -> None:
    if response.status == "completed":
        return
    why = response.error.message if response.error is not None else "The model's summary was cut off."
    code = response.error.code if response.error is not None else "server_error"
    status = 400 if code in ("context_length_exceeded", "invalid_prompt") else 502
    kind = "invalid_request_error" if status == 400 else "server_error"
    raise NexusError(why, status=status, type=kind, code=code)
