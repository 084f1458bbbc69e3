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
from codex_nexus.gateway.listing import Listings
from codex_nexus.gateway.local import Found, addresses, scan
from codex_nexus.gateway.models import usable_providers
from codex_nexus.gateway.offered import OfferedModel, offered
from codex_nexus.gateway.replies import UpstreamError
from codex_nexus.gateway.upstream import Upstream
from codex_nexus.probe import world
from codex_nexus.probe.show import Column, Show
from codex_nexus.routing import Caller
from codex_nexus.snapshot import Snapshot

_OWNER = Caller(owner=True)


class Offer(Struct, frozen=True):
    """A provider and its models; `problem` says why its own list is missing."""

    provider: str
    name: str
    address: str
    models: tuple[OfferedModel, ...] = ()
    problem: str = ""
    hint: str = ""


async def models(home: Path, name: str, *, as_json: bool = False, local: bool = False) -> int:
    """Shows what is on offer. Gives the exit code: 1 when nothing is."""
    snapshot = world.read(home)
    only = world.provider(snapshot, name).id if name else ""
    upstream = Upstream()
    listings, learned = Listings(upstream), Learned(home)
    with Show(quiet=as_json) as show:
        try:
            if local:
                show.doing("Looking at the usual ports of this machine")
                found = [server for server in await scan(listings, snapshot) if only in ("", server.record.id)]
                offers = [_of_server(snapshot, learned, server) for server in found]
            else:
                names = [only] if only else usable_providers(snapshot)
                show.doing(f"Asking {', '.join(names)}")
                offers = await asyncio.gather(*(_offer(listings, learned, snapshot, one) for one in names))
        finally:
            await upstream.close()
    if as_json:
        sys.stdout.write(json.dumps(msgspec.to_builtins(offers), indent=2, ensure_ascii=False) + "\n")
    else:
        _show(show, offers)
        if local and not offers:
            show.line(f"No server answers at {', '.join(addresses(snapshot, only))}.")
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
    hint = "It lists no models." if live == () else ""
    return Offer(name, record.name, record.base_url, offered(record, live, snapshot, learned), problem, hint)


def _of_server(snapshot: Snapshot, learned: Learned, found: Found) -> Offer:
    record = found.record
    models = offered(record, () if found.refusal else found.models, snapshot, learned)
    return Offer(record.id, record.name, record.base_url, models, found.refusal, found.hint)


# --- in the terminal


def _show(show: Show, offers: list[Offer]) -> None:
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


def _row(model: OfferedModel) -> list[str]:
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
