"""What providers serve, asked for by the page: with the stored key, or with one that is only being tried."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

import msgspec
from aiohttp import web

from codex_nexus import snapshot as snapshot_floor
from codex_nexus.config.model import Config
from codex_nexus.config.secrets import Secret
from codex_nexus.control.masks import SIGN
from codex_nexus.control.replies import error_reply, json_body, reply, text_of
from codex_nexus.control.settings import read_stored
from codex_nexus.control.state import STEERING
from codex_nexus.control.steering import Steering
from codex_nexus.errors import InvalidRequest, NexusError
from codex_nexus.routing import target_of
from codex_nexus.snapshot import Snapshot

_HISTORIC = ("gpt-5.5", "gpt-5.4", "gpt-5.4-mini", "gpt-5.3-codex")


async def models(request: web.Request) -> web.Response:
    """`POST /nexus-ctrl/models`: a provider's own list, and which way it was asked, also when it refuses."""
    steering, fields = request.app[STEERING], await json_body(request)
    provider = text_of(fields, "provider", required=True)
    key = (text_of(fields, "key") or text_of(fields, "api_key")).strip()  # the second is the word of config.json
    base = text_of(fields, "address").strip() or text_of(fields, "custom_upstream").strip()
    if provider not in steering.snapshot.catalogue.providers:
        raise InvalidRequest(f"There is no provider '{provider}'.", "provider")
    world = _trial(steering, provider, "" if SIGN in key else key, base)
    record = world.catalogue.providers[provider]
    if not record.base_url:
        raise InvalidRequest("This provider has no address yet: give its base URL.", "custom_upstream")
    if record.local and key and SIGN not in key and not Secret(key).reveal():
        raise InvalidRequest(f"The reference {key} leads to no key.", "key")
    way = steering.way(provider, world)
    try:
        found = await steering.models(provider, world)
    except NexusError as error:
        return error_reply(error, way=way)
    return reply({"provider": provider, "models": found, "way": way})


def _trial(steering: Steering, provider: str, key: str, base: str) -> Snapshot:
    """The stored configuration with another key or address for one provider."""
    config: Config = read_stored(steering.home).config
    changes: dict[str, Any] = {"model_routes": {}}
    if key:
        changes["provider_api_keys"] = {provider: (Secret(key),)}
    if base:
        _check_address(base)
        addresses = {**config.provider_addresses, provider: base}
        changes |= {"custom_upstream": base} if provider == "custom" else {"provider_addresses": addresses}
    if provider != config.provider:
        changes["provider"] = provider
    return snapshot_floor.build(msgspec.structs.replace(config, **changes), steering.snapshot.catalogue)


def _check_address(base: str) -> None:
    try:
        parts = urlsplit(base)
        good = parts.scheme in ("http", "https") and bool(parts.hostname)
    except ValueError:
        good = False
    if not good:
        raise InvalidRequest(f"'{base}' is not a URL with http:// or https://.", "address")


async def local(request: web.Request) -> web.Response:
    """`GET /nexus-ctrl/local`: servers of this machine: those to be asked at once, and the others with a hint."""
    found = await request.app[STEERING].local()
    ready = [server for server in found if server.usual and server.models]
    others = [server for server in found if server not in ready]
    return reply({"providers": msgspec.to_builtins(ready), "others": msgspec.to_builtins(others)})


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
