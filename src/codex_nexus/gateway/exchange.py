"""One request to a provider: what is sent, and the body of its answer. What comes back is judged in judgement."""

from __future__ import annotations

import asyncio
import io
from collections.abc import AsyncIterator, Callable
from urllib.parse import urlsplit

import aiohttp

from codex_nexus.gateway.connections import Connections, proxy_option
from codex_nexus.gateway.judgement import Asking, Judge, Opened, reason
from codex_nexus.gateway.replies import UpstreamError
from codex_nexus.providers.catalogue import ProviderRecord
from codex_nexus.routing import Destination
from codex_nexus.snapshot import Snapshot
from codex_nexus.translate.faults import Fault, masked

_LARGE = 1 << 20
"""A body above this is written in pieces, so that other streams go on meanwhile."""


async def ask(connections: Connections, asking: Asking, key: str) -> Opened:
    """Sends the request with this key, once.

    Raises:
        UpstreamError: no answer began; the fault says why, in words fit for the client.
        BegunWithFault: the same of a stream that may be told as it is.
    """
    destination, snapshot = asking.destination, asking.snapshot
    provider, timeouts = destination.provider, snapshot.config.timeouts
    url = provider.base_url.rstrip("/") + (
        provider.responses_path if (asking.wire or destination.dialect.wire) == "responses" else provider.chat_path
    )
    first_byte = timeouts.first_byte_s or destination.dialect.first_byte_timeout_s
    idle = timeouts.idle_s or destination.dialect.idle_timeout_s
    secrets = _secrets(destination, snapshot)
    tell = _teller(destination.provider.name, secrets)
    headers = headers_for(provider, key) | destination.headers
    attempt = asking.trace and asking.trace.attempt(
        destination.name, url, headers, asking.body, query=provider.query, keys=secrets
    )
    judge = Judge(asking, idle, tell, lambda text: masked(text, *secrets), attempt)
    try:
        async with asyncio.timeout(first_byte) as patience:
            response = await connections.session(provider.id, snapshot).post(
                url,
                data=asking.body if len(asking.body) < _LARGE else io.BytesIO(asking.body),
                params=provider.query or None,
                headers=headers,
                allow_redirects=False,
                timeout=aiohttp.ClientTimeout(total=None, sock_connect=timeouts.connect_s),
                **proxy_option(provider.id, snapshot),
            )
            if attempt is not None:
                attempt.answered(response)
            return await judge.judged(response, patience)
    except TimeoutError:
        fault = Fault("timeout", tell(f"did not begin to answer within {first_byte:g} s"))
    except (aiohttp.ClientError, OSError) as error:
        fault = Fault("unreachable", tell(f"cannot be reached at {url} ({reason(error)})"))
    except UpstreamError as error:
        if attempt is not None:
            attempt.fault = error.fault
        raise
    if attempt is not None:
        attempt.fault = fault
    raise UpstreamError(fault)


async def pieces(opened: Opened) -> AsyncIterator[bytes]:
    """The body of an answer, read by read."""
    if opened.read:
        yield opened.read
    attempt = opened.attempt
    try:
        while not opened.whole and (piece := await opened.response.content.readany()):
            if attempt is not None:
                attempt.heard.add(piece)
            yield piece
    except (aiohttp.ClientError, OSError) as error:
        if attempt is not None:
            attempt.failed(error)
        raise


# --- what is sent and told


def headers_for(provider: ProviderRecord, key: str) -> dict[str, str]:
    """The headers of every request to this provider."""
    headers = {"Content-Type": "application/json", "Accept-Encoding": "identity", "User-Agent": "codex-nexus"}
    headers |= provider.headers
    if key:
        if provider.auth.startswith("header:"):
            headers[provider.auth.removeprefix("header:")] = key
        elif provider.auth != "none" and "@" not in urlsplit(provider.base_url).netloc:  # else the address has its own
            headers["Authorization"] = f"Bearer {key}"
    return headers


def teller(destination: Destination, snapshot: Snapshot) -> Callable[[str], str]:
    """Makes a text fit for the client: says whose it is and hides every key."""
    return _teller(destination.provider.name, _secrets(destination, snapshot))


def _teller(name: str, secrets: tuple[str, ...]) -> Callable[[str], str]:
    def tell(text: str) -> str:
        shown = masked(text, *secrets)
        if not shown or shown.startswith((name, "The gateway")):
            return shown
        return f"{name} {shown}" if shown.startswith(("cannot be", "did not")) else f"{name}: {shown}"

    return tell


def _secrets(destination: Destination, snapshot: Snapshot) -> tuple[str, ...]:
    return (*snapshot.secrets(), *destination.keys)
