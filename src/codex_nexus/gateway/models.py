"""`GET /models`: one body for both worlds, OpenAI's `data` and the catalogue that Codex reads, `models`."""

from __future__ import annotations

import asyncio

from aiohttp import web

from codex_nexus.codex_home import catalog
from codex_nexus.errors import NotFound
from codex_nexus.gateway.state import CALLER, CORS, GATEWAY, Gateway
from codex_nexus.routing import Caller, Destination
from codex_nexus.snapshot import Snapshot
from codex_nexus.wire import codec


async def index(request: web.Request) -> web.Response:
    """All models that can be asked for, best first."""
    gateway = request.app[GATEWAY]
    snapshot = gateway.snapshot
    offered = await offers(gateway, snapshot, request[CALLER])
    tag = gateway.etag(snapshot)
    headers = {"ETag": tag, "x-models-etag": tag} | request[CORS]
    if any(known.value in ("*", tag.strip('"')) for known in request.if_none_match or ()):
        return web.Response(status=304, headers=headers)
    body = codec.encode(catalog.body(offered))
    return web.Response(body=body, content_type="application/json", headers=headers)


async def one(request: web.Request) -> web.Response:
    """One model of the list."""
    gateway, name = request.app[GATEWAY], request.match_info["id"]
    offered = await offers(gateway, gateway.snapshot, request[CALLER])
    model = next((model for model in offered if model.slug == name), None)
    if model is None:
        raise NotFound(f"The model '{name}' does not exist here; GET /v1/models lists all.", code="model_not_found")
    return web.Response(
        body=codec.encode(catalog.listed(model)), content_type="application/json", headers=request[CORS]
    )


async def offers(gateway: Gateway, snapshot: Snapshot, caller: Caller) -> list[catalog.Offer]:
    """What the snapshot and the providers' own lists offer."""
    known = snapshot.catalogue.providers
    asked = [name for name in usable_providers(snapshot) if known[name].local or not known[name].models]
    await asyncio.gather(*(gateway.listings.ask(name, snapshot, caller) for name in asked))
    found: list[catalog.Offer] = []
    for name in snapshot.config.model_routes:
        target = snapshot.config.model_routes[name]
        found.append(_offer(gateway, snapshot, name, target.provider, target.model))
    for provider in usable_providers(snapshot):
        prefix = "" if provider == snapshot.config.provider else f"{provider}/"
        ids = _models(gateway, snapshot, provider)
        found += [_offer(gateway, snapshot, f"{prefix}{model}", provider, model) for model in ids]
    seen: set[str] = set()
    return [offer for offer in found if not (offer.slug in seen or seen.add(offer.slug))]


def usable_providers(snapshot: Snapshot) -> list[str]:
    """The default provider, then every other that has a key of its own."""
    names = [snapshot.config.provider, *snapshot.keys]
    return [name for name in dict.fromkeys(names) if snapshot.catalogue.providers[name].base_url]


def _models(gateway: Gateway, snapshot: Snapshot, provider: str) -> list[str]:
    record = snapshot.catalogue.providers[provider]
    ids = [record.default_model] if record.default_model else []
    ids += [model.id for model in record.models]
    if not record.models:
        ids += [model.id for model in gateway.listings.models(provider)]
    return list(dict.fromkeys(ids))


def _offer(gateway: Gateway, snapshot: Snapshot, slug: str, provider: str, model: str) -> catalog.Offer:
    record = snapshot.catalogue.providers[provider]
    dialect = snapshot.catalogue.dialect(provider, model)
    known = record.model(model)
    listed = next((entry for entry in gateway.listings.models(provider) if entry.id == model), None)
    told = dialect.context_window or (listed.context_window if listed else None)
    window = gateway.learned.window(f"{provider}/{model}") or told
    told = known.images if known else listed.images if listed else None
    spoken = gateway.learned.applied(Destination(record, model, (), dialect)).dialect
    # Of whom nobody says it, it is tried: a refusal is mended and remembered; an image held back never comes.
    sees = spoken.images != "none" and told is not False
    return catalog.Offer(
        slug=slug,
        name=(known.name if known and known.name else model) or slug,
        provider=record.name,
        context_window=window,
        images=sees or bool(snapshot.config.vision_model),  # Codex would keep back what could be described
        efforts=catalog.efforts(dialect),
    )
