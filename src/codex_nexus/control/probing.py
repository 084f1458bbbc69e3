"""What providers serve, asked for by the page: with the stored key, or with one that is only being tried."""

from __future__ import annotations

import asyncio
from typing import Any
from urllib.parse import urlsplit

import msgspec
from aiohttp import web

from codex_nexus import snapshot as snapshot_floor
from codex_nexus.config.model import Config
from codex_nexus.config.secrets import Secret
from codex_nexus.control.masks import SIGN
from codex_nexus.control.replies import json_body, reply, text_of
from codex_nexus.control.settings import read_stored
from codex_nexus.control.state import STEERING
from codex_nexus.control.steering import ProbedModel, Steering
from codex_nexus.errors import InvalidRequest, NexusError
from codex_nexus.providers.catalogue import ProviderRecord
from codex_nexus.routing import target_of
from codex_nexus.snapshot import Snapshot

_LOOPBACK = ("localhost", "127.0.0.1")
_HISTORIC = ("gpt-5.5", "gpt-5.4", "gpt-5.4-mini", "gpt-5.3-codex")


async def models(request: web.Request) -> web.Response:
    """`POST /nexus-ctrl/models`: a provider's own list."""
    steering, fields = request.app[STEERING], await json_body(request)
    provider = text_of(fields, "provider", required=True)
    key, base = text_of(fields, "key").strip(), text_of(fields, "custom_upstream").strip()
    if provider not in steering.snapshot.catalogue.providers:
        raise InvalidRequest(f"There is no provider '{provider}'.", "provider")
    world = _trial(steering, provider, "" if SIGN in key else key, base)
    record = world.catalogue.providers[provider]
    if not record.base_url:
        raise InvalidRequest("This provider has no address yet: give its base URL.", "custom_upstream")
    if record.local and key and SIGN not in key and not Secret(key).reveal():
        raise InvalidRequest(f"The reference {key} leads to no key.", "key")
    found = await steering.models(provider, world)
    return reply({"provider": provider, "models": [_told(model, record, world, steering) for model in found]})


def _trial(steering: Steering, provider: str, key: str, base: str) -> Snapshot:
    """The stored configuration with another key or address for one provider."""
    config: Config = read_stored(steering.home).config
    changes: dict[str, Any] = {"model_routes": {}}
    if key:
        changes["provider_api_keys"] = {provider: (Secret(key),)}
    if base and provider == "custom":
        if urlsplit(base).scheme not in ("http", "https") or not urlsplit(base).hostname:
            raise InvalidRequest(f"'{base}' is not a URL with http:// or https://.", "custom_upstream")
        changes["custom_upstream"] = base
    elif provider != config.provider:
        changes["provider"] = provider
    return snapshot_floor.build(msgspec.structs.replace(config, **changes), steering.snapshot.catalogue)


def _told(model: ProbedModel, record: ProviderRecord, world: Snapshot, steering: Steering) -> dict[str, Any]:
    known = record.model(model.id)
    window = steering.window(f"{record.id}/{model.id}") or model.context_window
    return {
        "id": model.id,
        "name": known.name if known else "",
        "context_window": window or world.catalogue.dialect(record.id, model.id).context_window,
        "price": known.price if known else None,
        "images": known.images if known else model.images,
    }


async def local(request: web.Request) -> web.Response:
    """`GET /nexus-ctrl/local`: providers that answer on their usual port of this machine."""
    steering = request.app[STEERING]
    records = [record for record in steering.snapshot.catalogue.providers.values() if _may_run_here(record)]
    found = await asyncio.gather(*(_asked(steering, record) for record in records))
    return reply({"providers": [entry for entry in found if entry is not None]})


def _may_run_here(record: ProviderRecord) -> bool:
    return record.local and bool(record.base_url) and urlsplit(record.base_url).hostname in _LOOPBACK


async def _asked(steering: Steering, record: ProviderRecord) -> dict[str, Any] | None:
    try:
        found = await steering.models(record.id, _trial(steering, record.id, "", ""))
    except NexusError:
        return None
    ids = [model.id for model in found]
    return {"id": record.id, "name": record.name, "address": record.base_url, "models": ids} if ids else None


async def codex_models(request: web.Request) -> web.Response:
    """`GET /nexus-ctrl/codex-models`: names that Codex asks for, and where each of them goes now."""
    steering = request.app[STEERING]
    world, listed = steering.snapshot, steering.listed()
    names = dict.fromkeys((*_HISTORIC, *world.config.model_routes))
    for record in world.catalogue.providers.values():
        names |= dict.fromkeys(record.mapping)
    told: list[dict[str, str]] = []
    for name in names:
        try:
            target = target_of(world, name, listed)
        except NexusError:
            continue
        told.append({"name": name, "provider": target.provider, "model": target.model})
    return reply({"models": told})
