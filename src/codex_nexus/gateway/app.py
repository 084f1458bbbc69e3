"""The API port: its paths, the guard in front of them and the one error envelope behind them."""

from __future__ import annotations

import logging
import re
from collections.abc import Awaitable, Callable

from aiohttp import web

from codex_nexus import __version__
from codex_nexus.errors import Forbidden, NexusError, NotFound, RequestError
from codex_nexus.gateway import chat, conversations, models, responses, stored, sums, websocket
from codex_nexus.gateway.guard import admit, cors_headers, preflight_headers
from codex_nexus.gateway.replies import UpstreamError, client_of, envelope, error_reply, fault_reply
from codex_nexus.gateway.state import CALLER, CORS, GATEWAY, Gateway

log = logging.getLogger("codex_nexus.gateway")

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def make_app(gateway: Gateway) -> web.Application:
    """The application of the API port."""
    app = web.Application(middlewares=[_door], client_max_size=0)
    app[GATEWAY] = gateway
    app[websocket.SOCKETS] = set()
    app.on_shutdown.append(websocket.close_all)
    for prefix in ("/v1", ""):
        app.router.add_post(f"{prefix}/responses", responses.create)
        app.router.add_route("GET", f"{prefix}/responses", _upgrade)
        app.router.add_route("HEAD", f"{prefix}/responses", _alive)
        app.router.add_post(f"{prefix}/responses/input_tokens", sums.input_tokens)
        app.router.add_post(f"{prefix}/responses/compact", sums.compact)
        _add_stored(app.router, f"{prefix}/responses/{{id}}")
        _add_conversations(app.router, f"{prefix}/conversations")
        app.router.add_post(f"{prefix}/chat/completions", chat.create)
        app.router.add_get(f"{prefix}/models", models.index)
        app.router.add_get(f"{prefix}/models/{{id:.+}}", models.one)
        app.router.add_get(f"{prefix}/healthz", _health)
        app.router.add_get(f"{prefix}/metrics", _metrics)
    app.router.add_route("*", "/{path:.*}", _nowhere)
    return app


def _add_stored(router: web.UrlDispatcher, path: str) -> None:
    router.add_get(path, stored.retrieve, allow_head=False)
    router.add_delete(path, stored.delete)
    router.add_post(f"{path}/cancel", stored.cancel)
    router.add_get(f"{path}/input_items", stored.input_items, allow_head=False)


def _add_conversations(router: web.UrlDispatcher, path: str) -> None:
    router.add_post(path, conversations.create)
    one = f"{path}/{{id}}"
    router.add_get(one, conversations.retrieve, allow_head=False)
    router.add_post(one, conversations.update)
    router.add_delete(one, conversations.delete)
    router.add_post(f"{one}/items", conversations.add_items)
    router.add_get(f"{one}/items", conversations.list_items, allow_head=False)
    router.add_get(f"{one}/items/{{item}}", conversations.retrieve_item, allow_head=False)
    router.add_delete(f"{one}/items/{{item}}", conversations.delete_item)


@web.middleware
async def _door(request: web.Request, handler: Handler) -> web.StreamResponse:
    """The guard, then the handler; whatever is raised becomes the envelope."""
    snapshot = request.app[GATEWAY].snapshot
    request[CORS] = cors_headers(request.headers, snapshot)
    try:
        if request.method == "OPTIONS":
            return _preflight(request)
        if handler is not _health:
            request[CALLER] = admit(request.headers, request.remote, snapshot)
        reply = await handler(request)
    except NexusError as error:
        if isinstance(error, RequestError):
            log.info("%s %s refused: %s", request.method, request.path, error)
        reply = error_reply(error, client_of(request.headers))
    except UpstreamError as error:
        reply = fault_reply(error.fault, client_of(request.headers))
    except web.HTTPException as error:
        reply = _of_framework(error)
    except (ConnectionError, TimeoutError):
        raise
    except Exception:
        log.exception("a fault inside the gateway at %s %s", request.method, request.path)
        body = envelope("The gateway failed inside; its log says where.", "server_error", "internal_error")
        reply = web.Response(status=500, body=body, content_type="application/json")
    if not reply.prepared:
        reply.headers.update(request[CORS])
    resource = request.match_info.route.resource
    request.app[GATEWAY].metrics.replied(resource.canonical if resource else "/{path}", reply.status)
    return reply


def _of_framework(error: web.HTTPException) -> web.Response:
    body = envelope(error.reason or "The request was refused.", "invalid_request_error")
    reply = web.Response(status=error.status, body=body, content_type="application/json")
    if "Allow" in error.headers:
        reply.headers["Allow"] = error.headers["Allow"]
    return reply


def _preflight(request: web.Request) -> web.Response:
    if not request[CORS]:
        body = envelope("This origin is not allowed.", "permission_error", "origin_not_allowed")
        return web.Response(status=403, body=body, content_type="application/json")
    return web.Response(status=204, headers=request[CORS] | preflight_headers(request.headers))


async def _health(_: web.Request) -> web.Response:
    return web.json_response({"status": "ok", "name": "codex-nexus", "version": __version__})


async def _metrics(request: web.Request) -> web.Response:
    if not request[CALLER].owner:
        raise Forbidden("The counts are for the gateway's owner: send its access token.", code="owner_only")
    body, content_type = request.app[GATEWAY].metrics.encoded(request.headers.get("Accept", ""))
    return web.Response(body=body, headers={"Content-Type": content_type})


async def _alive(_: web.Request) -> web.Response:
    """`HEAD /responses`: Codex's doctor asks whether the route exists."""
    return web.Response()


async def _upgrade(request: web.Request) -> web.StreamResponse:
    """The WebSocket, for clients that ask for one."""
    if request.headers.get("Upgrade", "").lower() == "websocket":
        return await websocket.serve(request)
    raise RequestError("Use POST to create a response.", status=405, headers={"Allow": "POST, HEAD"})


_KNOWN = [
    (re.compile(pattern), methods)
    for pattern, methods in (
        ("responses|responses/(input_tokens|compact)|responses/[^/]+/cancel|chat/completions", "POST"),
        ("responses/[^/]+", "GET, DELETE"),
        ("responses/[^/]+/input_items|models|healthz|metrics", "GET"),
        ("conversations", "POST"),
        ("conversations/[^/]+", "GET, POST, DELETE"),
        ("conversations/[^/]+/items", "GET, POST"),
        ("conversations/[^/]+/items/[^/]+", "GET, DELETE"),
    )
]


async def _nowhere(request: web.Request) -> web.StreamResponse:
    path = request.path.removeprefix("/v1").removeprefix("/")
    allowed = next((methods for pattern, methods in _KNOWN if pattern.fullmatch(path)), None)
    if allowed is not None:
        raise RequestError(
            f"{request.method} is not allowed at {request.path}; use {allowed}.", status=405, headers={"Allow": allowed}
        )
    raise NotFound(f"There is nothing at {request.path}.", code="not_found")
