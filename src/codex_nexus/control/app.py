"""The application of the panel's port: the guard, the endpoints, the files of the page, one error envelope."""

from __future__ import annotations

import asyncio
import hashlib
import logging
import secrets
from collections.abc import Awaitable, Callable
from importlib import resources

from aiohttp import web
from msgspec import Struct

from codex_nexus.control import api, playground, probing, traces, usage
from codex_nexus.control.feed import Feed
from codex_nexus.control.guard import HEADERS, check
from codex_nexus.control.replies import error_reply
from codex_nexus.control.state import CHANGING, FEED, STEERING, TOKEN
from codex_nexus.control.steering import Steering
from codex_nexus.errors import NexusError, NotFound, RequestError

log = logging.getLogger("codex_nexus.control")

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

_BODY_LIMIT = 1 << 20
_KINDS = {
    "html": "text/html",
    "css": "text/css",
    "js": "text/javascript",
    "svg": "image/svg+xml",
}
_GETS: dict[str, Handler] = {
    "session": api.session,
    "config": api.get_config,
    "status": api.status,
    "events": api.events,
    "codex-models": probing.codex_models,
    "local": probing.local,
    "usage": usage.usage,
    "traces": traces.listed,
    "traces/{id}": traces.one,
}
_POSTS: dict[str, Handler] = {
    "config": api.post_config,
    "config/reset": api.reset,
    "reload": api.reload,
    "preview": api.preview,
    "models": probing.models,
    "playground": playground.play,
    "inject": api.inject,
    "eject": api.eject,
    "traces": traces.switch,
    "start": api.start,
    "shutdown": api.shutdown,
}


class _File(Struct, frozen=True):
    data: bytes
    kind: str
    tag: str


def make_app(steering: Steering) -> web.Application:
    """The application."""
    app = web.Application(middlewares=[_door], client_max_size=_BODY_LIMIT)
    app[STEERING] = steering
    app[FEED] = Feed(steering)
    app[TOKEN] = secrets.token_urlsafe(32)
    app[CHANGING] = asyncio.Lock()
    app.on_response_prepare.append(_dress)
    app.on_shutdown.append(_end_streams)
    for name, handler in _GETS.items():
        app.router.add_get(f"/nexus-ctrl/{name}", handler, allow_head=False)
    for name, handler in _POSTS.items():
        app.router.add_post(f"/nexus-ctrl/{name}", handler)
    for path, file in _files().items():
        app.router.add_get(path, _served(file))
    return app


def _files() -> dict[str, _File]:
    """The page: a fixed map of packaged files, read once. No path of a request ever becomes a path of a file."""
    files: dict[str, _File] = {}
    for entry in resources.files("codex_nexus.control").joinpath("static").iterdir():
        kind = _KINDS.get(entry.name.rpartition(".")[2])
        if kind is not None:
            data = entry.read_bytes()
            files[f"/{entry.name}"] = _File(data, kind, f'"{hashlib.sha256(data).hexdigest()[:16]}"')
    if "/index.html" in files:
        files["/"] = files.pop("/index.html")
    return files


def _served(file: _File) -> Handler:
    async def serve(request: web.Request) -> web.StreamResponse:
        headers = {"ETag": file.tag, "Cache-Control": "no-cache"}
        if request.headers.get("If-None-Match") == file.tag:
            return web.Response(status=304, headers=headers)
        return web.Response(body=file.data, content_type=file.kind, charset="utf-8", headers=headers)

    return serve


async def _dress(_: web.Request, response: web.StreamResponse) -> None:
    response.headers.update(HEADERS)
    response.headers.setdefault("Cache-Control", "no-store")


async def _end_streams(app: web.Application) -> None:
    app[FEED].close()


@web.middleware
async def _door(request: web.Request, handler: Handler) -> web.StreamResponse:
    """The guard, then the handler; whatever is raised becomes the envelope."""
    try:
        check(request, request.app[TOKEN])
        return await handler(request)
    except NexusError as error:
        return error_reply(error)
    except web.HTTPException as error:
        return error_reply(_of_framework(error, request))
    except (ConnectionError, TimeoutError):
        raise
    except Exception:
        log.exception("a fault inside the control panel at %s %s", request.method, request.path)
        return error_reply(NexusError("The control panel failed inside; its log says where.", code="internal_error"))


def _of_framework(error: web.HTTPException, request: web.Request) -> NexusError:
    if error.status == 404:
        return NotFound(f"There is nothing at {request.path}.", code="not_found")
    if error.status == 413:
        return RequestError("The body is larger than 1 MiB.", status=413, code="request_too_large")
    allow = {"Allow": error.headers["Allow"]} if "Allow" in error.headers else {}
    return RequestError(error.reason or "The request was refused.", status=error.status, headers=allow)
