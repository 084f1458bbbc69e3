"""One request to a provider and what comes back: an answer that has begun, or the fault behind a refusal."""

from __future__ import annotations

import asyncio
import contextlib
import io
import os
import re
from collections.abc import AsyncIterator, Callable
from typing import Literal
from urllib.parse import urlsplit

import aiohttp
import msgspec
from msgspec import Struct

from codex_nexus.gateway.advice import advice
from codex_nexus.gateway.connections import Connections, proxy_option
from codex_nexus.gateway.replies import UpstreamError
from codex_nexus.gateway.trace import Attempt, Trace
from codex_nexus.providers.catalogue import ProviderRecord
from codex_nexus.routing import Destination
from codex_nexus.snapshot import Snapshot
from codex_nexus.translate.chat_reader import first_fault
from codex_nexus.translate.faults import Fault, classify, masked
from codex_nexus.translate.usage import fills
from codex_nexus.wire import codec

_EXCERPT = 64 * 1024
_FIRST_WORDS_S = 0.25
"""So long the stream to the client waits for the first words of the provider's, which may be a fault."""
_LARGE = 1 << 20
"""A body above this is written in pieces, so that other streams go on meanwhile."""

Wire = Literal["chat", "responses"]

_ANSWER = re.compile(rb'"choices"\s*:|"object"\s*:\s*"response"')


_PAGE = re.compile(rb"\s*<[!?a-zA-Z]")
_WORDS = re.compile(rb"\s*\w[^\s:{\[]*[ ,.!?]")
"""How a text begins that is neither an event stream nor JSON: a whole word, since a read may end inside `data`."""


class Asking(Struct, frozen=True):
    """What one request needs.

    Attributes:
        body: in the words of the destination.
        wire: the endpoint to use whatever the dialect says; None: as it says.
        window: context window in tokens, if it is known.
        salvage: make an answer of a text that the server's own parser refuses.
        trace: where it is recorded; None: nowhere.
    """

    destination: Destination
    body: bytes
    snapshot: Snapshot
    wire: Wire | None = None
    window: int | None = None
    salvage: bool = False
    trace: Trace | None = None


class Opened(Struct):
    """An answer that has begun: its status was good."""

    response: aiohttp.ClientResponse
    destination: Destination
    read: bytes = b""
    """What had to be read to see that it is an answer."""
    whole: bool = False
    """Nothing follows what was read."""
    fault: Fault | None = None
    """It is no answer at all, for this reason; what was read tells nothing."""
    attempt: Attempt | None = None
    """Where it is recorded."""


class BegunWithFault(UpstreamError):
    """A stream with a good status whose first words are a fault; `opened` tells it as the stream that it is."""

    def __init__(self, fault: Fault, opened: Opened) -> None:
        super().__init__(fault)
        self.opened = opened


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
    tell = teller(destination, snapshot)
    headers = headers_for(provider, key) | destination.headers
    attempt = asking.trace and asking.trace.attempt(
        destination.name,
        url,
        headers,
        asking.body,
        query=provider.query,
        keys=_secrets(destination, snapshot),
    )
    try:
        async with asyncio.timeout(first_byte):
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
            return await _judged(response, asking, tell, attempt)
    except TimeoutError:
        fault = Fault("timeout", tell(f"did not begin to answer within {first_byte:g} s"))
    except (aiohttp.ClientError, OSError) as error:
        fault = Fault("unreachable", tell(f"cannot be reached at {url} ({_reason(error)})"))
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


# --- what came back


async def _judged(
    response: aiohttp.ClientResponse, asking: Asking, tell: Callable[[str], str], attempt: Attempt | None
) -> Opened:
    """The answer, unless it is a refusal (also one that came with status 200)."""
    good = 200 <= response.status < 300
    try:
        if good and "json" not in response.content_type:
            return await _listened(response, asking, tell, attempt)
        read = await _excerpt(response)
        if attempt is not None:
            attempt.heard.add(read)
        if good and (_ANSWER.search(read) or not read.strip()):
            return Opened(response, asking.destination, read, attempt=attempt)
    except BaseException:
        response.close()
        raise
    response.close()
    fault = _refusal(response, read, asking)
    if asking.salvage and fault.generation:
        said = masked(fault.generation, *_secrets(asking.destination, asking.snapshot))
        return Opened(response, asking.destination, completion_of(said), whole=True)
    text = f"{fault.message or response.reason or 'refused the request'} ({response.status})"
    if good and not fault.message:
        text = _no_api(response, asking)
    elif advised := advice(fault, asking.destination, asking.snapshot, response.url):
        text = f"{text}. {advised}"
    code = fault.code if fault.code and fault.code in tell(fault.code) else None
    said = masked(read.decode("utf-8", "replace"), *_secrets(asking.destination, asking.snapshot))
    raise UpstreamError(msgspec.structs.replace(fault, message=tell(text), code=code, generation=""), said)


async def _listened(
    response: aiohttp.ClientResponse, asking: Asking, tell: Callable[[str], str], attempt: Attempt | None
) -> Opened:
    """The stream, unless it begins with a fault: then something may still be done about it."""
    opened = Opened(response, asking.destination, attempt=attempt)
    if asking.wire is not None:
        return opened
    try:
        async with asyncio.timeout(_FIRST_WORDS_S):
            opened.read = await response.content.readany()
    except (TimeoutError, aiohttp.ClientError, OSError):  # who reads on will see the same
        return opened
    if attempt is not None:
        attempt.heard.add(opened.read)
    fault = first_fault(opened.read, asking.destination.dialect)
    if _PAGE.match(opened.read) or (response.content_type.startswith("text/") and _WORDS.match(opened.read)):
        fault = opened.fault = Fault("server", _no_api(response, asking))
        opened.read = b""
    if fault is None:
        return opened
    opened.whole = True
    response.close()
    raise BegunWithFault(msgspec.structs.replace(fault, message=tell(fault.message)), opened)


def _no_api(response: aiohttp.ClientResponse, asking: Asking) -> str:
    """What a person must hear whose address leads to a web page or to another service."""
    wire = asking.wire or asking.destination.dialect.wire
    where = response.url.with_query(None).with_fragment(None).with_user(None)
    api = "Responses" if wire == "responses" else "Chat Completions"
    return f"what answers at {where} is no {api} API ({response.status}, {response.content_type}); check the address."


def _refusal(response: aiohttp.ClientResponse, read: bytes, asking: Asking) -> Fault:
    names = {name.lower(): value for name, value in response.headers.items()}
    full = response.status in (400, 413) and fills(asking.body, asking.window)
    return classify(response.status, read, headers=names, dialect=asking.destination.dialect, nearly_full=full)


def completion_of(text: str) -> bytes:
    """A whole chat completion that says this text."""
    message = {"role": "assistant", "content": text}
    return codec.encode({"choices": [{"index": 0, "message": message, "finish_reason": "stop"}]})


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
    secrets = _secrets(destination, snapshot)
    name = destination.provider.name

    def tell(text: str) -> str:
        shown = masked(text, *secrets)
        if not shown or shown.startswith((name, "The gateway")):
            return shown
        return f"{name} {shown}" if shown.startswith(("cannot be", "did not")) else f"{name}: {shown}"

    return tell


def _secrets(destination: Destination, snapshot: Snapshot) -> tuple[str, ...]:
    return (*snapshot.secrets(), *destination.keys)
