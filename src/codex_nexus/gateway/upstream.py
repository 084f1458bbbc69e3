"""The road to providers: one HTTP client, keys in turn, retries and fallbacks before the first byte.

After the first byte of an answer nothing is tried again: what the client has seen must not be said twice.
"""

from __future__ import annotations

import asyncio
import contextlib
import io
import logging
import os
import re
import urllib.request
from collections.abc import AsyncIterator, Callable
from functools import lru_cache
from typing import Any, Literal

import aiohttp
import msgspec
from msgspec import Struct

from codex_nexus.gateway.learned import Learned
from codex_nexus.gateway.replies import UpstreamError
from codex_nexus.providers.catalogue import ProviderRecord
from codex_nexus.routing import Destination, Route
from codex_nexus.snapshot import Snapshot
from codex_nexus.translate.faults import Fault, classify, masked
from codex_nexus.translate.healing import healed

log = logging.getLogger("codex_nexus.upstream")

_EXCERPT = 64 * 1024
_SAME_AGAIN = {"server", "unreachable", "timeout"}
_OTHER_KEY = {"rate_limit", "insufficient_quota", "auth"}
_OTHER_PROVIDER = _SAME_AGAIN | _OTHER_KEY
_LONGEST_DELAY_S = 8.0
_LARGE = 1 << 20
"""A body above this is written in pieces, so that other streams go on meanwhile."""

_REPAIRS = 4
"""A server may refuse one thing after another; each refusal costs a round trip, none costs tokens."""

Body = Callable[[Destination], bytes]
Wire = Literal["chat", "responses"]

_ANSWER = re.compile(rb'"choices"\s*:|"object"\s*:\s*"response"')


class Opened(Struct):
    """An answer that has begun: its status was good."""

    response: aiohttp.ClientResponse
    destination: Destination
    read: bytes = b""
    """What had to be read to see that it is an answer."""


class Upstream:
    """All connections to providers. One for the life of the process."""

    def __init__(self, learned: Learned | None = None) -> None:
        self._learned = learned or Learned(None)
        self._session: aiohttp.ClientSession | None = None
        self._proxied: dict[str, aiohttp.ClientSession] = {}
        self._turn_of_key: dict[str, int] = {}

    async def close(self) -> None:
        """Closes every connection."""
        for session in (self._session, *self._proxied.values()):
            if session is not None:
                await session.close()

    async def open(
        self, route: Route, body: Body, snapshot: Snapshot, wire: Wire | None = None, repairs: int = _REPAIRS
    ) -> Opened:
        """The first answer that any destination of the route begins.

        Args:
            route: where to go.
            body: makes the body for a destination.
            snapshot: keys, timeouts and proxies.
            wire: the endpoint to use whatever the dialect says; None: as it says.
            repairs: how often a refused request may be said in other words.

        Raises:
            UpstreamError: none did; the fault is the last one.
        """
        fault = Fault("server", "No provider was asked.")
        for n, destination in enumerate(route.destinations):
            try:
                return await self._healing(destination, body, snapshot, wire, repairs)
            except UpstreamError as error:
                fault = error.fault
                last = n == len(route.destinations) - 1
                if last or fault.kind not in _OTHER_PROVIDER:
                    raise
                log.warning(
                    "%s failed (%s), trying %s", destination.name, fault.message, route.destinations[n + 1].name
                )
        raise UpstreamError(fault)

    async def _healing(
        self, destination: Destination, body: Body, snapshot: Snapshot, wire: Wire | None, repairs: int
    ) -> Opened:
        """Asks, and asks in other words as long as a refusal says which words it wants; these are remembered."""
        destination = self._learned.applied(destination) if repairs else destination
        said, heals = body(destination), list[str]()
        while True:
            try:
                opened = await self._with_keys(destination, said, snapshot, wire)
            except UpstreamError as error:
                heal = error.fault.heal
                repaired = healed(destination.dialect, heal) if heal and len(heals) < repairs else None
                if heal is None or repaired is None or heal in heals:
                    raise
                destination = msgspec.structs.replace(destination, dialect=repaired)
                before, said = said, body(destination)
                if said == before and not heal.startswith("retry"):
                    raise
                log.warning("%s refused (%s); trying again with %s", destination.name, error.fault.message, heal)
                heals.append(heal)
            else:
                self._learned.learn_repairs(destination, heals)
                return opened

    async def _with_keys(self, destination: Destination, body: bytes, snapshot: Snapshot, wire: Wire | None) -> Opened:
        keys = self._rotated(destination)
        for n, key in enumerate(keys):
            try:
                return await self._with_retries(destination, key, body, snapshot, wire)
            except UpstreamError as error:
                if n == len(keys) - 1 or error.fault.kind not in _OTHER_KEY:
                    raise
                log.warning("%s refused key %d of %d (%s)", destination.name, n + 1, len(keys), error.fault.kind)
        raise AssertionError

    def _rotated(self, destination: Destination) -> tuple[str, ...]:
        keys = destination.keys
        if len(keys) < 2:
            return keys
        first = self._turn_of_key.get(destination.provider.id, 0) % len(keys)
        self._turn_of_key[destination.provider.id] = first + 1
        return keys[first:] + keys[:first]

    async def _with_retries(
        self, destination: Destination, key: str, body: bytes, snapshot: Snapshot, wire: Wire | None
    ) -> Opened:
        retry = snapshot.config.retry
        attempt = 1
        while True:
            try:
                return await self._once(destination, key, body, snapshot, wire)
            except UpstreamError as error:
                if attempt >= retry.attempts or error.fault.kind not in _SAME_AGAIN:
                    raise
                wait = error.fault.retry_after
                if wait is not None and wait > _LONGEST_DELAY_S:
                    raise
                await asyncio.sleep(
                    wait if wait is not None else min(_LONGEST_DELAY_S, retry.base_delay_s * 2 ** (attempt - 1))
                )
                attempt += 1

    async def _once(
        self, destination: Destination, key: str, body: bytes, snapshot: Snapshot, wire: Wire | None
    ) -> Opened:
        provider = destination.provider
        url = provider.base_url.rstrip("/") + (
            provider.responses_path if (wire or destination.dialect.wire) == "responses" else provider.chat_path
        )
        timeouts = snapshot.config.timeouts
        first_byte = timeouts.first_byte_s or destination.dialect.first_byte_timeout_s
        tell = teller(destination, snapshot)
        try:
            async with asyncio.timeout(first_byte):
                response = await self.session(provider.id, snapshot).post(
                    url,
                    data=body if len(body) < _LARGE else io.BytesIO(body),
                    params=provider.query or None,
                    headers=headers_for(provider, key),
                    allow_redirects=False,
                    timeout=aiohttp.ClientTimeout(total=None, sock_connect=timeouts.connect_s),
                    **self._proxy(provider.id, snapshot),
                )
                return await self._judged(response, destination, tell)
        except TimeoutError:
            fault = Fault("timeout", tell(f"did not begin to answer within {first_byte:g} s"))
        except (aiohttp.ClientError, OSError) as error:
            fault = Fault("unreachable", tell(f"cannot be reached at {url} ({_reason(error)})"))
        raise UpstreamError(fault)

    async def _judged(
        self, response: aiohttp.ClientResponse, destination: Destination, tell: Callable[[str], str]
    ) -> Opened:
        """The answer, unless it is a refusal (also one that came with status 200)."""
        try:
            if 200 <= response.status < 300 and "json" not in response.content_type:
                return Opened(response, destination)
            read = await _excerpt(response)
            if 200 <= response.status < 300 and (_ANSWER.search(read) or not read.strip()):
                return Opened(response, destination, read)
        except BaseException:
            response.close()
            raise
        response.close()
        names = {name.lower(): value for name, value in response.headers.items()}
        fault = classify(response.status, read, headers=names, dialect=destination.dialect)
        text = f"{fault.message or response.reason or 'refused the request'} ({response.status})"
        code = fault.code if fault.code and fault.code in tell(fault.code) else None
        raise UpstreamError(Fault(fault.kind, tell(text), fault.status, fault.retry_after, fault.heal, code))

    # --- sessions and proxies

    def session(self, provider_id: str, snapshot: Snapshot) -> aiohttp.ClientSession:
        """The HTTP client for this provider."""
        proxy = proxy_of(provider_id, snapshot)
        if proxy.startswith("socks"):
            if proxy not in self._proxied:
                self._proxied[proxy] = _new_session(_socks(proxy))
            return self._proxied[proxy]
        if self._session is None:
            self._session = _new_session(aiohttp.TCPConnector(limit=0, ttl_dns_cache=60))
        return self._session

    def _proxy(self, provider_id: str, snapshot: Snapshot) -> dict[str, Any]:
        proxy = proxy_of(provider_id, snapshot)
        return {"proxy": proxy} if proxy.startswith("http") else {}


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


def proxy_of(provider_id: str, snapshot: Snapshot) -> str:
    """The proxy towards this provider, or empty: the provider's own, ours, the environment's; never for loopback."""
    config = snapshot.config
    own = config.provider_proxies.get(provider_id)
    if own is not None:
        return "" if own == "direct" else own
    if config.outbound_proxy:
        return config.outbound_proxy
    return _environment_proxy(snapshot.catalogue.providers[provider_id].base_url)


@lru_cache(maxsize=256)
def _environment_proxy(url: str) -> str:
    scheme, _, rest = url.partition("://")
    host = rest.partition("/")[0]
    name = host.rsplit(":", 1)[0].strip("[]")
    if name in ("localhost", "::1") or name.startswith("127.") or urllib.request.proxy_bypass(host):
        return ""
    proxies = urllib.request.getproxies()
    return proxies.get(scheme) or proxies.get("all") or os.environ.get("ALL_PROXY", "")


def headers_for(provider: ProviderRecord, key: str) -> dict[str, str]:
    """The headers of every request to this provider."""
    headers = {"Content-Type": "application/json", "Accept-Encoding": "identity", "User-Agent": "codex-nexus"}
    headers |= provider.headers
    if key:
        if provider.auth.startswith("header:"):
            headers[provider.auth.removeprefix("header:")] = key
        elif provider.auth != "none":
            headers["Authorization"] = f"Bearer {key}"
    return headers


def teller(destination: Destination, snapshot: Snapshot) -> Callable[[str], str]:
    """Makes a text fit for the client: says whose it is and hides every key."""
    secrets = (*snapshot.secrets(), *destination.keys)
    name = destination.provider.name

    def tell(text: str) -> str:
        shown = masked(text, *secrets)
        if not shown or shown.startswith((name, "The gateway")):
            return shown
        return f"{name} {shown}" if shown.startswith(("cannot be", "did not")) else f"{name}: {shown}"

    return tell


async def _excerpt(response: aiohttp.ClientResponse) -> bytes:
    """The body: whole if it is an answer in one piece, its beginning if it is a refusal."""
    if 200 <= response.status < 300:
        return await response.read()
    data = b""
    with contextlib.suppress(aiohttp.ClientError, OSError):
        while len(data) < _EXCERPT and (piece := await response.content.readany()):
            data += piece
    return data


def _reason(error: BaseException) -> str:
    if isinstance(error, aiohttp.ClientConnectorDNSError):
        return "its name is unknown"
    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        return "its certificate is not trusted"
    cause = getattr(error, "os_error", None) or error
    number = getattr(cause, "errno", None)
    return os.strerror(number).lower() if isinstance(number, int) and number > 0 else type(error).__name__


async def pieces(opened: Opened) -> AsyncIterator[bytes]:
    """The body of an answer, read by read."""
    if opened.read:
        yield opened.read
    while piece := await opened.response.content.readany():
        yield piece
