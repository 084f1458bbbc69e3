"""The API port: its paths, the guard in front of them and the one error envelope behind them."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable

from aiohttp import web

from codex_nexus import __version__
from codex_nexus.errors import Forbidden, NexusError, NotFound, RequestError, Unauthorized
from codex_nexus.gateway import chat, conversations, models, responses, stored, sums, websocket
from codex_nexus.gateway.guard import admit, cors_headers, preflight_headers
from codex_nexus.gateway.replies import UpstreamError, client_of, envelope, error_reply, fault_reply
from codex_nexus.gateway.state import CALLER, CORS, GATEWAY, Gateway
from codex_nexus.gateway.trace import TRACE

log = logging.getLogger("codex_nexus.gateway")

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def make_app(gateway: Gateway) -> web.Application:
    """The application of the API port."""
    app = web.Application(middlewares=[_door], client_max_size=0)
    app[GATEWAY] = gateway
    app[websocket.SOCKETS] = set()
    app.on_shutdown.append(websocket.close_all)
    for path, handlers in _paths().items():
        # Clients join a base URL and a path with none, one or two slashes between them, and some add one at the end.
        for spelt in (f"{start}{path}{end}" for start in ("/v1", "", "/v1/", "/") for end in ("", "/")):
            resource = app.router.add_resource(spelt)
            for method, handler in handlers.items():
                resource.add_route(method, handler)
            resource.add_route("*", _refusing(", ".join(handlers)))
    app.router.add_route("*", "/{path:.*}", _nowhere)
    return app


def _paths() -> dict[str, dict[str, Handler]]:
    """What is done at each path; a path that is written out comes before one with a name in its place."""
    return {
        "/responses": {"POST": responses.create, "GET": _upgrade, "HEAD": _alive},
        "/responses/input_tokens": {"POST": sums.input_tokens},
        "/responses/compact": {"POST": sums.compact},
        "/responses/{id}": {"GET": stored.retrieve, "DELETE": stored.delete},
        "/responses/{id}/cancel": {"POST": stored.cancel},
        "/responses/{id}/input_items": {"GET": stored.input_items},
        "/conversations": {"POST": conversations.create},
        "/conversations/{id}": {
            "GET": conversations.retrieve,
            "POST": conversations.update,
            "DELETE": conversations.delete,
        },
        "/conversations/{id}/items": {"GET": conversations.list_items, "POST": conversations.add_items},
        "/conversations/{id}/items/{item}": {
            "GET": conversations.retrieve_item,
            "DELETE": conversations.delete_item,
        },
        "/chat/completions": {"POST": chat.create},
        "/models": {"GET": models.index, "HEAD": models.index},
        "/models/{id:.*[^/]}": {"GET": models.one, "HEAD": models.one},
        "/healthz": {"GET": _health, "HEAD": _health},
        "/metrics": {"GET": _metrics, "HEAD": _metrics},
    }


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
            _note(request, error)
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
    _count(request, reply)
    return reply


def _count(request: web.Request, reply: web.StreamResponse) -> None:
    """Into the counts, and into the record of a turn where there is one."""
    trace = request.get(TRACE)
    if trace is not None:
        trace.replied(reply)
    resource = request.match_info.route.resource
    request.app[GATEWAY].metrics.replied(_plain(resource.canonical) if resource else "/{path}", reply.status)


def _note(request: web.Request, error: RequestError) -> None:
    """One line; of those whom the guard turned away not more than a log can bear."""
    if isinstance(error, (Unauthorized, Forbidden)):
        who = request.remote or "nowhere"
        request.app[GATEWAY].refusals.note(f"{request.method} {request.path} from {who} refused: {error}")
    else:
        log.info("%s %s refused: %s", request.method, request.path, error)


def _plain(path: str) -> str:
    """One name for all spellings of a path."""
    return path.replace("//", "/").rstrip("/")


def _of_framework(error: web.HTTPException) -> web.Response:
    body = envelope(error.reason or "The request was refused.", "invalid_request_error")
    reply = web.Response(status=error.status, body=body, content_type="application/json")
    if "Allow" in error.headers:
        reply.headers["Allow"] = error.headers["Allow"]
    return reply


def _preflight(request: web.Request) -> web.Response:
    if "Origin" in request.headers and not request[CORS]:
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


def _refusing(allowed: str) -> Handler:
    """Tells every other method which ones a path knows."""

    async def refuse(request: web.Request) -> web.StreamResponse:
        raise RequestError(
            f"{request.method} is not allowed at {request.path}; use {allowed}.", status=405, headers={"Allow": allowed}
        )

    return refuse


async def _nowhere(request: web.Request) -> web.StreamResponse:
    raise NotFound(f"There is nothing at {request.path}.", code="not_found")
