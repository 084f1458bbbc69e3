"""`codex-nexus models`: what providers offer, their own live list laid over what the record knows."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path

import msgspec
from msgspec import Struct

from codex_nexus.errors import NexusError
from codex_nexus.gateway.learned import Learned
from codex_nexus.gateway.listing import ListedModel, Listings
from codex_nexus.gateway.local import Found, scan
from codex_nexus.gateway.models import usable_providers
from codex_nexus.gateway.replies import UpstreamError
from codex_nexus.gateway.upstream import Upstream
from codex_nexus.probe import world
from codex_nexus.probe.show import Column, Show
from codex_nexus.providers.catalogue import ProviderRecord
from codex_nexus.routing import Caller
from codex_nexus.snapshot import Snapshot

_OWNER = Caller(owner=True)


class Model(Struct, frozen=True):
    """One model on offer.

    Attributes:
        at_most: the window is what the model can hold; its server may have been started with less.
        price: US dollars per million tokens: input from cache, input, output.
        listed: whether the provider's own list has it; None: there is no such list.
    """

    id: str
    name: str = ""
    context_window: int | None = None
    at_most: bool = False
    max_output: int | None = None
    images: bool | None = None
    price: tuple[float, float, float] | None = None
    listed: bool | None = None


class Offer(Struct, frozen=True):
    """A provider and its models; `problem` says why its own list is missing."""

    provider: str
    name: str
    address: str
    models: tuple[Model, ...] = ()
    problem: str = ""
    hint: str = ""


async def models(home: Path, name: str, *, as_json: bool = False, local: bool = False) -> int:
    """Shows what is on offer. Gives the exit code: 1 when nothing is."""
    snapshot = world.read(home)
    upstream = Upstream()
    listings, learned = Listings(upstream), Learned(home)
    try:
        if local:
            offers = [_of_server(snapshot, learned, found) for found in await scan(listings, snapshot)]
        else:
            names = [world.provider(snapshot, name).id] if name else usable_providers(snapshot)
            offers = await asyncio.gather(*(_offer(listings, learned, snapshot, one) for one in names))
    finally:
        await upstream.close()
    if as_json:
        sys.stdout.write(json.dumps(msgspec.to_builtins(offers), indent=2, ensure_ascii=False) + "\n")
    else:
        _show(offers, local=local)
    return 0 if any(offer.models for offer in offers) else 1


async def _offer(listings: Listings, learned: Learned, snapshot: Snapshot, name: str) -> Offer:
    record = snapshot.catalogue.providers[name]
    live, problem = None, ""
    try:
        live = await listings.fetch(name, snapshot, _OWNER)
    except UpstreamError as error:
        problem = f"Its own list cannot be had. {error.fault.message.rstrip('.')}."
    except NexusError as error:
        problem = error.message
    if problem and record.models:
        problem += " What follows is what we know of it."
    return Offer(name, record.name, record.base_url, merged(record, live, snapshot, learned), problem)


def _of_server(snapshot: Snapshot, learned: Learned, found: Found) -> Offer:
    record = found.record
    first = found.models[0].id if found.models else "MODEL"
    hint = f"Ask for {record.id}/{first}."
    if not found.usual:
        hint = f'Set "base_url": "{record.base_url}" for "{record.id}" in providers.json to use it.'
    listed = () if found.refusal else found.models
    return Offer(
        record.id, record.name, record.base_url, merged(record, listed, snapshot, learned), found.refusal, hint
    )


def merged(
    record: ProviderRecord, live: tuple[ListedModel, ...] | None, snapshot: Snapshot, learned: Learned
) -> tuple[Model, ...]:
    """The models of the record first, then what only the provider's own list has."""
    told = {model.id: model for model in live or ()}
    ids = dict.fromkeys((*(model.id for model in record.models), *told))
    return tuple(_model(record, name, told, snapshot, learned, known=live is not None) for name in ids)


def _model(
    record: ProviderRecord,
    name: str,
    told: dict[str, ListedModel],
    snapshot: Snapshot,
    learned: Learned,
    *,
    known: bool,
) -> Model:
    ours, theirs = record.model(name), told.get(name) or ListedModel(name)
    dialect = snapshot.catalogue.dialect(record.id, name)
    own = learned.window(f"{record.id}/{name}") or dialect.context_window
    return Model(
        id=name,
        name=ours.name if ours else "",
        context_window=own or theirs.context_window,
        at_most=theirs.at_most and not own,
        max_output=dialect.max_output,
        images=ours.images if ours else theirs.images,
        price=(ours.price if ours else None) or theirs.price,
        listed=name in told if known else None,
    )


# --- in the terminal


def _show(offers: list[Offer], *, local: bool) -> None:
    show = Show()
    if local and not offers:
        show.line("No local server answers on its usual port.")
    for n, offer in enumerate(offers):
        if n:
            show.line()
        show.title(f"{offer.name} ({offer.provider})", offer.address)
        if offer.problem:
            show.line(offer.problem, "yellow")
        if offer.models:
            show.table(
                [Column("model"), Column("window", right=True), Column("output", right=True), Column("images"),
                 Column("$ per million in / cached / out"), Column("")],
                [_row(model) for model in offer.models],
            )  # fmt: skip
        if offer.hint:
            show.line(offer.hint, "dim")


def _row(model: Model) -> list[str]:
    window = f"{model.context_window:,}" if model.context_window else "?"
    price = ""
    if model.price is not None:
        cached, paid, made = model.price
        price = f"{paid:g} / {cached:g} / {made:g}"
    return [
        model.id,
        f"up to {window}" if model.at_most else window,
        f"{model.max_output:,}" if model.max_output else "",
        {True: "yes", False: "no", None: "?"}[model.images],
        price,
        "not in its own list" if model.listed is False else "",
    ]
