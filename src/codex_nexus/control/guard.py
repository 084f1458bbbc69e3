"""Who may speak to the panel: its own page, and nothing else that a browser loads.

A page of another site can make the user's browser send requests here, and can point a name of its own at 127.0.0.1
(DNS rebinding). So every request must name this port by a loopback name; what comes from a browser must come from our
own page; what changes something must be JSON, which no form can send, and carry the token that only our own page can
read, unless it shows by itself whence it comes: from our own origin, or from no browser at all.
"""

from __future__ import annotations

import hmac
from collections.abc import Mapping

from aiohttp import web

from codex_nexus.errors import Forbidden, RequestError

TOKEN_HEADER = "x-nexus-csrf"  # noqa: S105 - the name of a header
_NAMES = ("127.0.0.1", "localhost")

HEADERS = {
    "Content-Security-Policy": (
        "default-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; object-src 'none'; "
        "require-trusted-types-for 'script'"
    ),
    "X-Frame-Options": "DENY",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=()",
}
"""On every reply."""


def check(request: web.Request, token: str) -> None:
    """Lets a request pass.

    Raises:
        Forbidden: it does not come from our own page.
        RequestError: its content is of a kind that a form of another site could send.
    """
    port = own_port(request)
    check_host(request.headers, port)
    check_origin(request.headers, port, navigation=request.path == "/" and request.method in ("GET", "HEAD"))
    if request.method not in ("GET", "HEAD"):
        _check_change(request, token)


def own_port(request: web.Request) -> int:
    """The port on which this request came in."""
    transport = request.transport
    name = transport.get_extra_info("sockname") if transport is not None else None
    return int(name[1]) if name else 0


def check_host(headers: Mapping[str, str], port: int) -> None:
    """Refuses a foreign host name."""
    allowed = [f"{name}:{port}" for name in _NAMES] + (list(_NAMES) if port == 80 else [])
    if headers.get("Host", "").lower() not in allowed:
        raise Forbidden(f"The control panel answers at http://127.0.0.1:{port} only.", code="host_not_allowed")


def check_origin(headers: Mapping[str, str], port: int, *, navigation: bool) -> None:
    """Refuses pages of other origins; following a link to the page itself (`navigation`) is no harm."""
    origin = headers.get("Origin")
    if origin is not None and origin not in {f"http://{name}:{port}" for name in _NAMES}:
        raise _foreign()
    site = headers.get("Sec-Fetch-Site")
    if site in (None, "same-origin", "none"):
        return
    followed = headers.get("Sec-Fetch-Mode") == "navigate" and headers.get("Sec-Fetch-Dest") == "document"
    if not (navigation and followed):
        raise _foreign()


def _check_change(request: web.Request, token: str) -> None:
    default = "" if _needs_token(request.headers) else token
    if not hmac.compare_digest(request.headers.get(TOKEN_HEADER, default).encode(), token.encode()):
        raise Forbidden(
            "This request does not carry the page's token. Load the page again; the program was restarted.",
            code="csrf_token_wrong",
        )
    if request.content_type != "application/json" and request.can_read_body:
        raise RequestError("The body must be application/json.", status=415, code="wrong_content_type")


def _needs_token(headers: Mapping[str, str]) -> bool:
    """A browser has sent it and does not tell for which page; a foreign `Origin` was refused before."""
    return "Origin" not in headers and any(name.lower().startswith("sec-fetch-") for name in headers)


def _foreign() -> Forbidden:
    return Forbidden("Other web sites may not use the control panel.", code="origin_not_allowed")
