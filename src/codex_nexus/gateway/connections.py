"""HTTP clients towards providers: one for all that are reached directly, one for each SOCKS proxy."""

from __future__ import annotations

from typing import Any

import aiohttp

from codex_nexus.gateway.replies import UpstreamError
from codex_nexus.gateway.road import road_to
from codex_nexus.snapshot import Snapshot
from codex_nexus.translate.faults import Fault


class Connections:
    """All connections to providers."""

    def __init__(self) -> None:
        self._direct: aiohttp.ClientSession | None = None
        self._proxied: dict[str, aiohttp.ClientSession] = {}

    async def close(self) -> None:
        """Closes every connection."""
        for session in (self._direct, *self._proxied.values()):
            if session is not None:
                await session.close()

    def session(self, provider_id: str, snapshot: Snapshot) -> aiohttp.ClientSession:
        """The HTTP client for this provider.

        Raises:
            UpstreamError: a SOCKS proxy is configured and cannot be used.
        """
        proxy = proxy_of(provider_id, snapshot)
        if proxy.startswith("socks"):
            if proxy not in self._proxied:
                self._proxied[proxy] = _new_session(_socks(proxy))
            return self._proxied[proxy]
        if self._direct is None:
            self._direct = _new_session(aiohttp.TCPConnector(limit=0, ttl_dns_cache=60))
        return self._direct


def proxy_option(provider_id: str, snapshot: Snapshot) -> dict[str, Any]:
    """The options of a request that lead it through an HTTP proxy; SOCKS is a matter of the session."""
    proxy = proxy_of(provider_id, snapshot)
    return {"proxy": proxy} if proxy.startswith("http") else {}


def proxy_of(provider_id: str, snapshot: Snapshot) -> str:
    """The proxy towards this provider, or empty."""
    return road_to(provider_id, snapshot).proxy


def _new_session(connector: aiohttp.BaseConnector) -> aiohttp.ClientSession:
    return aiohttp.ClientSession(
        connector=connector,
        cookie_jar=aiohttp.DummyCookieJar(),
        auto_decompress=True,
        skip_auto_headers=("User-Agent",),
    )


def _socks(proxy: str) -> aiohttp.BaseConnector:
    try:
        from aiohttp_socks import ProxyConnector  # noqa: PLC0415 - an extra
    except ImportError:
        raise UpstreamError(
            Fault("unreachable", "A SOCKS proxy is configured; install it with: pip install 'codex-nexus[socks]'.")
        ) from None
    connector: Any = ProxyConnector
    # The client resolves names through the proxy either way and knows only the plain scheme.
    return connector.from_url(proxy.replace("socks5h://", "socks5://"), limit=0)
