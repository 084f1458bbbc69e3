"""Who asks, and may they: loopback, browser pages, tokens (product rules in docs/security.md)."""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
from collections.abc import Mapping
from urllib.parse import urlsplit

from codex_nexus.config.file import TOKEN_PREFIX
from codex_nexus.errors import Forbidden, Unauthorized
from codex_nexus.routing import Caller
from codex_nexus.snapshot import Snapshot

_APP_SCHEMES = {"vscode-webview", "vscode-file", "app", "codex"}
"""Schemes of desktop shells; a web page cannot have such an origin."""
_FORWARDED = ("X-Forwarded-For", "Forwarded", "X-Real-IP")


def admit(headers: Mapping[str, str], peer: str | None, snapshot: Snapshot) -> Caller:
    """The caller of a request.

    Args:
        headers: of the request, names in any case.
        peer: address of the other end; None for a local socket.
        snapshot: configuration with tokens and allowed origins.

    Raises:
        Forbidden: a browser page sends this and is not allowed to.
        Unauthorized: the caller is not on loopback and brings neither token nor key.
    """
    local = is_loopback(peer) and not any(name in headers for name in _FORWARDED)
    _check_browser(headers, snapshot, local=local)
    bearer, agent = _bearer(headers), headers.get("User-Agent", "")
    if snapshot.access_token and bearer and hmac.compare_digest(bearer.encode(), snapshot.access_token.encode()):
        return Caller(owner=True, agent=agent)
    key = "" if belongs_to_chatgpt(headers, bearer) or bearer.startswith(TOKEN_PREFIX) else bearer
    if local:
        return Caller(owner=True, bearer=key, agent=agent)
    if not key:
        raise Unauthorized(
            "This gateway asks callers beyond its own machine for its access token "
            "(Authorization: Bearer ..., 'access_token' in config.json).",
            code="invalid_api_key",
        )
    identity = hashlib.sha256(key.encode()).hexdigest()[:32]
    return Caller(owner=False, bearer=key, identity=identity, agent=agent)


def is_loopback(peer: str | None) -> bool:
    """Whether an address is this machine's own."""
    if not peer:
        return True
    try:
        address = ipaddress.ip_address(peer.partition("%")[0])
    except ValueError:
        return False
    mapped = getattr(address, "ipv4_mapped", None)
    return (mapped or address).is_loopback


def belongs_to_chatgpt(headers: Mapping[str, str], bearer: str) -> bool:
    """Whether a token comes from a ChatGPT login: such a token is never sent to a provider."""
    return "chatgpt-account-id" in headers or (bearer.startswith("eyJ") and bearer.count(".") == 2)


def _bearer(headers: Mapping[str, str]) -> str:
    kind, _, value = headers.get("Authorization", "").partition(" ")
    return value.strip() if kind.lower() == "bearer" and value.isascii() else ""


def _check_browser(headers: Mapping[str, str], snapshot: Snapshot, *, local: bool) -> None:
    origin = headers.get("Origin")
    site = headers.get("Sec-Fetch-Site")
    # Without either header it may still be a page over plain http, by a GET under a name that was rebound.
    if origin is None and site is None and not headers.get("User-Agent", "").startswith("Mozilla/"):
        return
    if origin is not None and not origin_allowed(origin, snapshot):
        raise Forbidden(
            f"Pages of {origin} may not use this gateway; 'allowed_origins' in config.json can allow it.",
            code="origin_not_allowed",
        )
    if origin is None and site in ("cross-site", "same-site"):
        raise Forbidden("Other web sites may not use this gateway.", code="origin_not_allowed")
    if local and not _own_host(headers.get("Host", ""), snapshot):
        raise Forbidden("A browser asked for this gateway under a foreign host name.", code="host_not_allowed")


def origin_allowed(origin: str, snapshot: Snapshot) -> bool:
    """Loopback pages, desktop shells, and what the user allowed."""
    allowed = snapshot.config.allowed_origins
    if origin in allowed or "*" in allowed:
        return True
    try:
        parts = urlsplit(origin)
        host = parts.hostname
    except ValueError:
        return False
    if parts.scheme in _APP_SCHEMES:
        return True
    return parts.scheme in ("http", "https") and (host == "localhost" or (bool(host) and is_loopback(host)))


def _own_host(host: str, snapshot: Snapshot) -> bool:
    try:
        name = urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return False
    own = {"localhost", snapshot.config.host}
    own |= {urlsplit(origin).hostname or "" for origin in snapshot.config.allowed_origins if origin != "*"}
    return name in own or (bool(name) and is_loopback(name))


def cors_headers(headers: Mapping[str, str], snapshot: Snapshot) -> dict[str, str]:
    """What an allowed page must be told; nothing for everybody else."""
    origin = headers.get("Origin")
    if origin is None or not origin_allowed(origin, snapshot):
        return {}
    return {
        "Access-Control-Allow-Origin": origin,
        "Access-Control-Expose-Headers": "x-nexus-upstream, retry-after",
        "Vary": "Origin",
    }


def preflight_headers(headers: Mapping[str, str]) -> dict[str, str]:
    """The answer to a preflight, beside `cors_headers`."""
    answer = {
        "Access-Control-Allow-Methods": "GET, POST, DELETE, HEAD, OPTIONS",
        "Access-Control-Allow-Headers": headers.get("Access-Control-Request-Headers", "authorization, content-type"),
        "Access-Control-Max-Age": "600",
    }
    if headers.get("Access-Control-Request-Private-Network") == "true":
        # A page of the network that calls this machine asks for leave of its own.
        answer["Access-Control-Allow-Private-Network"] = "true"
    return answer
