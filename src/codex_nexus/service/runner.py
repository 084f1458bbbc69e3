"""aiohttp's server with our words for what is no HTTP request: the one error envelope and one line in the log.

Its own reply would be plain text, and its log a traceback for each scanner that knocks.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from aiohttp import HttpVersion11, web
from aiohttp.http_exceptions import BadHttpMethod, HttpProcessingError, LineTooLong

from codex_nexus.errors import NexusError, RequestError
from codex_nexus.gateway.replies import error_reply

_METHOD = re.compile(r"b'[A-Za-z-]{1,32} [^ ]+ HTTP/")
"""An unknown method in a request line that is whole otherwise, as the parser quotes it."""
_METHODS = "GET, POST, DELETE, HEAD, OPTIONS"

Tell = Callable[[str], None]
Refused = Callable[[web.BaseRequest, RequestError], web.Response]


class Runner(web.AppRunner):
    """An application on its way to a port."""

    def __init__(self, app: web.Application, tell: Tell, **options: Any) -> None:
        """Takes what aiohttp's own takes, and beside it who writes the line about a request that is none."""
        # Without handler_cancellation a silent upstream goes on when the client has gone, and the user keeps paying.
        super().__init__(app, access_log=None, handler_cancellation=True, **options)
        self._tell = tell

    async def _make_server(self) -> web.Server:
        plain = await super()._make_server()

        async def answer(request: web.BaseRequest) -> web.StreamResponse:
            expected = request.headers.get("Expect")
            if expected is None or expected.lower() == "100-continue" or request.version < HttpVersion11:
                return await plain.request_handler(request)
            return self._refused(request, RequestError("'Expect' may only be 100-continue.", status=417))

        return _Server(self._refused, answer, request_factory=plain.request_factory, **self._kwargs)

    def _refused(self, request: web.BaseRequest, error: RequestError) -> web.Response:
        self._tell(f"a request from {request.remote or 'nowhere'} refused: {error}")
        return _closing(error)


class _Server(web.Server):
    def __init__(self, refused: Refused, handler: Any, **options: Any) -> None:
        super().__init__(handler, **options)
        self.refused = refused

    def __call__(self) -> web.RequestHandler:
        return _Connection(self, loop=self._loop, **self._kwargs)


class _Connection(web.RequestHandler):
    """One connection of a client."""

    __slots__ = ("_refused",)

    def __init__(self, server: _Server, **options: Any) -> None:
        super().__init__(server, **options)
        self._refused = server.refused

    def handle_error(
        self, request: web.BaseRequest, status: int = 500, exc: BaseException | None = None, message: str | None = None
    ) -> web.StreamResponse:
        """The reply to what could not be read, or to a bug that nobody caught before."""
        if not isinstance(exc, HttpProcessingError) or request.writer.output_size > 0:
            return self._failed(request, status, exc, message)
        return self._refused(request, _refusal(exc))

    def _failed(
        self, request: web.BaseRequest, status: int, exc: BaseException | None, message: str | None
    ) -> web.StreamResponse:
        super().handle_error(request, status, exc, message)  # logs; raises when a reply has begun
        return _closing(NexusError("The gateway failed inside; its log says where.", code="internal_error"))


def _closing(error: NexusError) -> web.Response:
    reply = error_reply(error)
    reply.force_close()
    return reply


def _refusal(error: HttpProcessingError) -> RequestError:
    """What is wrong, without the bytes that the parser quotes: a key may stand in them."""
    if isinstance(error, LineTooLong):
        return RequestError("A line of the request's head is longer than 8190 bytes.", status=431)
    if isinstance(error, BadHttpMethod) and _METHOD.search(error.message):
        return RequestError(
            f"This HTTP method is unknown here; known are {_METHODS}.", status=405, headers={"Allow": _METHODS}
        )
    if "HTTPS" in error.message:
        return RequestError("This port speaks plain HTTP: write http:// in the address, not https://.")
    what = error.message.removeprefix("Bad status line:").strip().partition("\n")[0].rstrip(":. ")
    return RequestError(f"This is no valid HTTP request ({what.partition(':')[0].lower() or 'it cannot be read'}).")
