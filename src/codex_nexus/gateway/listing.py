"""What providers say they serve: their own model lists, asked for when needed and kept for a while."""

from __future__ import annotations

import asyncio
import logging
import time
from typing import Any

import aiohttp
from msgspec import Struct

from codex_nexus.errors import NexusError
from codex_nexus.gateway.replies import UpstreamError
from codex_nexus.gateway.upstream import Upstream, headers_for, proxy_of, teller
from codex_nexus.routing import Caller, Destination, Listed, usable_keys
from codex_nexus.snapshot import Snapshot
from codex_nexus.translate.dialect import DEFAULT
from codex_nexus.translate.faults import classify
from codex_nexus.wire import codec

log = logging.getLogger("codex_nexus.models")

_FRESH_S = 300.0
_FAILED_S = 30.0
_TIMEOUT_S = 4.0
_LARGEST = 32 << 20


class ListedModel(Struct, frozen=True):
    """One model as its provider lists it."""

    id: str
    context_window: int | None = None
    images: bool | None = None


class _Listing(Struct):
    models: tuple[ListedModel, ...]
    until: float


class Listings:
    """The lists of all providers that were asked."""

    def __init__(self, upstream: Upstream) -> None:
        self._upstream = upstream
        self._lists: dict[str, _Listing] = {}

    def known(self) -> Listed:
        """Model ids by provider, as far as they are known."""
        return {name: tuple(model.id for model in listing.models) for name, listing in self._lists.items()}

    def models(self, provider: str) -> tuple[ListedModel, ...]:
        """What is known of this provider's models."""
        listing = self._lists.get(provider)
        return listing.models if listing is not None else ()

    async def ask(self, provider: str, snapshot: Snapshot, caller: Caller) -> None:
        """Asks a provider for its list unless a fresh one is known; a failure is remembered for a short while."""
        listing = self._lists.get(provider)
        if listing is not None and listing.until > time.monotonic():
            return
        try:
            models = await self.fetch(provider, snapshot, caller)
            self._lists[provider] = _Listing(models, time.monotonic() + _FRESH_S)
        except (NexusError, UpstreamError) as error:
            log.debug("%s tells no models: %s", provider, error)
            before = listing.models if listing is not None else ()
            self._lists[provider] = _Listing(before, time.monotonic() + _FAILED_S)

    async def fetch(self, provider: str, snapshot: Snapshot, caller: Caller) -> tuple[ListedModel, ...]:
        """The list, asked for now.

        Raises:
            UpstreamError: the provider cannot be reached or refuses.
            NoKey: there is no key to ask with.
        """
        record = snapshot.catalogue.providers[provider]
        key = usable_keys(snapshot, record, caller)[0]
        tell = teller(Destination(record, "", (key,), DEFAULT), snapshot)
        url = record.base_url.rstrip("/") + record.models_path
        proxy = proxy_of(provider, snapshot)
        options: dict[str, Any] = {"proxy": proxy} if proxy.startswith("http") else {}
        try:
            async with asyncio.timeout(_TIMEOUT_S):
                session = self._upstream.session(provider, snapshot)
                async with session.get(
                    url, headers=headers_for(record, key), params=record.query or None, allow_redirects=False, **options
                ) as response:
                    body = await response.content.read(_LARGEST)
        except (TimeoutError, aiohttp.ClientError, OSError) as error:
            fault = classify(503, str(error).encode())
            raise UpstreamError(type(fault)("unreachable", tell(f"cannot be reached at {url}"))) from None
        if response.status >= 300:
            fault = classify(response.status, body)
            raise UpstreamError(type(fault)(fault.kind, tell(fault.message or "refused"), response.status))
        return read_models(body)


def read_models(body: bytes) -> tuple[ListedModel, ...]:
    """The models of a list in OpenAI's shape, or one of its relatives; nothing when it is none."""
    try:
        value = codec.decode_lenient(body)
    except ValueError:
        return ()
    fields = codec.as_object(value)
    entries = codec.as_list(value if fields is None else fields.get("data") or fields.get("models")) or []
    found = [_model(entry) for entry in map(codec.as_object, entries) if entry is not None]
    return tuple(model for model in found if model.id)


_WINDOWS = ("context_length", "max_model_len", "max_context_length", "context_window")


def _model(entry: dict[str, Any]) -> ListedModel:
    name = entry.get("id") or entry.get("name") or entry.get("key") or ""
    windows = [entry.get(field) for field in _WINDOWS]
    windows.append((codec.as_object(entry.get("top_provider")) or {}).get("context_length"))
    sizes = [size for size in windows if isinstance(size, int) and size > 0]
    modalities = codec.as_list((codec.as_object(entry.get("architecture")) or {}).get("input_modalities"))
    images = None if modalities is None else "image" in modalities
    return ListedModel(str(name), min(sizes) if sizes else None, images)
