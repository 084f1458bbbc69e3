"""What providers say they serve: their own model lists, asked for when needed and kept for a while."""

from __future__ import annotations

import asyncio
import logging
import time
import zlib
from typing import Any

import aiohttp
import msgspec
from msgspec import Struct

from codex_nexus.errors import NexusError
from codex_nexus.gateway.connections import proxy_of
from codex_nexus.gateway.exchange import headers_for, teller
from codex_nexus.gateway.facts import Asking, Facts, facts_of
from codex_nexus.gateway.replies import UpstreamError
from codex_nexus.gateway.upstream import Upstream
from codex_nexus.providers.catalogue import ProviderRecord
from codex_nexus.routing import Caller, Destination, Listed, usable_keys
from codex_nexus.snapshot import Snapshot
from codex_nexus.translate.dialect import DEFAULT
from codex_nexus.translate.faults import Fault, classify
from codex_nexus.wire import codec

log = logging.getLogger("codex_nexus.models")

_FRESH_S = 300.0
_FAILED_S = 30.0
_TIMEOUT_S = 4.0
_FACTS_S = 2.0
_LARGEST = 32 << 20


class ListedModel(Struct, frozen=True):
    """One model as its provider lists it."""

    id: str
    context_window: int | None = None
    images: bool | None = None
    at_most: bool = False
    """The window is what the model can hold; the server may have been started with less."""
    price: tuple[float, float, float] | None = None
    """US dollars per million tokens: input from cache, input, output."""
    owned_by: str = ""


class _Listing(Struct):
    models: tuple[ListedModel, ...]
    until: float


class Listings:
    """The lists of all providers that were asked."""

    def __init__(self, upstream: Upstream) -> None:
        self._upstream = upstream
        self._lists: dict[str, _Listing] = {}
        self._asking: dict[str, asyncio.Lock] = {}
        self.version = 0
        """Changes whenever a provider whose models the data do not know told another list."""

    def known(self) -> Listed:
        """Model ids by provider, as far as they are known."""
        return {name: tuple(model.id for model in listing.models) for name, listing in self._lists.items()}

    def models(self, provider: str) -> tuple[ListedModel, ...]:
        """What is known of this provider's models."""
        listing = self._lists.get(provider)
        return listing.models if listing is not None else ()

    async def ask(self, provider: str, snapshot: Snapshot, caller: Caller) -> None:
        """Asks a provider for its list unless a fresh one is known; a failure is remembered for a short while."""
        if self._fresh(provider):
            return
        async with self._asking.setdefault(provider, asyncio.Lock()):
            if self._fresh(provider):
                return
            models, keep_s = self.models(provider), _FAILED_S
            try:
                models, keep_s = await self.fetch(provider, snapshot, caller), _FRESH_S
            except (NexusError, UpstreamError) as error:
                log.debug("%s tells no models: %s", provider, error)
            if models != self.models(provider) and not snapshot.catalogue.providers[provider].models:
                self.version = zlib.crc32(codec.encode([self.version, models]))
            self._lists[provider] = _Listing(models, time.monotonic() + keep_s)

    def _fresh(self, provider: str) -> bool:
        listing = self._lists.get(provider)
        return listing is not None and listing.until > time.monotonic()

    async def fetch(self, provider: str, snapshot: Snapshot, caller: Caller) -> tuple[ListedModel, ...]:
        """The list, asked for now.

        Raises:
            UpstreamError: the provider cannot be reached or refuses.
            NoKey: there is no key to ask with.
        """
        record = snapshot.catalogue.providers[provider]
        return await self.fetch_from(record, usable_keys(snapshot, record, caller)[0], snapshot)

    async def fetch_from(
        self, record: ProviderRecord, key: str, snapshot: Snapshot, timeout_s: float = _TIMEOUT_S
    ) -> tuple[ListedModel, ...]:
        """The list of this very record, with what its other endpoints know.

        Raises:
            UpstreamError: the provider cannot be reached or refuses.
        """
        tell = teller(Destination(record, "", (key,), DEFAULT), snapshot)
        url = record.models_url
        proxy = proxy_of(record.id, snapshot)
        options: dict[str, Any] = {"proxy": proxy} if proxy.startswith("http") else {}
        session = self._upstream.session(record.id, snapshot)
        try:
            async with asyncio.timeout(timeout_s):
                async with session.get(
                    url, headers=headers_for(record, key), params=record.query or None, allow_redirects=False, **options
                ) as response:
                    body = await _whole(response)
        except (TimeoutError, aiohttp.ClientError, OSError) as error:
            log.debug("%s tells no models: %r", record.name, error)
            raise UpstreamError(Fault("unreachable", tell(f"cannot be reached at {url}"))) from None
        if response.status >= 300:
            fault = classify(response.status, body)
            said = f"{fault.message or response.reason or 'refused'} ({response.status})"
            raise UpstreamError(Fault(fault.kind, tell(said), response.status))
        if _entries(body) is None:
            raise UpstreamError(
                Fault("bad_request", tell(f"did not answer with a list of models at {url}"), response.status)
            )
        models = read_models(body)
        asking = Asking(session, record, headers_for(record, key), options, max(timeout_s, _FACTS_S))
        facts = await facts_of(asking, tuple(model.id for model in models)) if record.fact_sources else {}
        return tuple(_informed(model, facts.get(model.id, Facts())) for model in models)


def _informed(model: ListedModel, facts: Facts) -> ListedModel:
    """The model with what its server knows better than its list."""
    window = facts.context_window or model.context_window or facts.limit
    at_most = facts.limit is not None and not (facts.context_window or model.context_window)
    images = model.images if facts.images is None else facts.images
    return msgspec.structs.replace(model, context_window=window, at_most=at_most, images=images)


async def _whole(response: aiohttp.ClientResponse) -> bytes:
    body = b""
    while len(body) < _LARGEST and (piece := await response.content.readany()):
        body += piece
    return body


def read_models(body: bytes) -> tuple[ListedModel, ...]:
    """The models of a list in OpenAI's shape, or one of its relatives; nothing when it is none."""
    found = [_model(entry) for entry in map(codec.as_object, _entries(body) or []) if entry is not None]
    return tuple(model for model in found if model.id)


def _entries(body: bytes) -> list[Any] | None:
    """The entries of a list, or None when it is none."""
    try:
        value = codec.decode_lenient(body)
    except ValueError:
        return None
    fields = codec.as_object(value)
    if fields is None:
        return codec.as_list(value)
    told = [fields[name] for name in ("data", "models") if name in fields]
    lists = [[] if entries is None else codec.as_list(entries) for entries in told]  # null: a server without models
    return max((entries for entries in lists if entries is not None), key=len, default=None)


_WINDOWS = ("context_length", "max_model_len", "max_context_length", "context_window")


def _model(entry: dict[str, Any]) -> ListedModel:
    name = entry.get("id") or entry.get("name") or entry.get("key") or ""
    windows = [entry.get(field) for field in _WINDOWS]
    windows.append((codec.as_object(entry.get("top_provider")) or {}).get("context_length"))
    sizes = [size for size in windows if isinstance(size, int) and size > 0]
    modalities = codec.as_list((codec.as_object(entry.get("architecture")) or {}).get("input_modalities"))
    images = None if modalities is None else "image" in modalities
    price = _price(codec.as_object(entry.get("pricing")) or {})
    return ListedModel(
        str(name), min(sizes) if sizes else None, images, price=price, owned_by=str(entry.get("owned_by") or "")
    )


def _price(pricing: dict[str, Any]) -> tuple[float, float, float] | None:
    """Prices per token, as resellers list them, per million."""
    try:
        paid, made = (float(pricing[name]) for name in ("prompt", "completion"))
        cached = float(pricing.get("input_cache_read") or paid)
    except (KeyError, TypeError, ValueError):
        return None
    return (round(cached * 1e6, 4), round(paid * 1e6, 4), round(made * 1e6, 4)) if min(paid, made) >= 0 else None
