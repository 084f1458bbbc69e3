"""Servers on the user's own machine: which of them answer on their usual ports, and with which models."""

from __future__ import annotations

import asyncio
from urllib.parse import urlsplit

import msgspec
from msgspec import Struct

from codex_nexus.errors import NoKey
from codex_nexus.gateway.listing import ListedModel, Listings
from codex_nexus.gateway.replies import UpstreamError
from codex_nexus.providers.catalogue import ProviderRecord
from codex_nexus.routing import Caller, usable_keys
from codex_nexus.snapshot import Snapshot

_KNOCK_S = 0.5
_LOOPBACK = ("localhost", "127.0.0.1", "::1")


class Found(Struct, frozen=True):
    """A server that answers.

    Attributes:
        record: of the server that it is, with the address where it stands.
        usual: it stands where its record says, so that its models can be asked for at once.
        refusal: what it says instead of a list (it wants a key, for instance).
    """

    record: ProviderRecord
    models: tuple[ListedModel, ...] = ()
    usual: bool = True
    refusal: str = ""


async def scan(listings: Listings, snapshot: Snapshot) -> list[Found]:
    """All local servers that answer, in the order of the catalogue; a silent port costs half a second at most."""
    known = [record for record in snapshot.catalogue.providers.values() if record.local and _is_here(record.base_url)]
    by_address = {record.base_url.rstrip("/"): record for record in reversed(known)}
    found = await asyncio.gather(
        *(_knock(listings, snapshot, record, known) for record in reversed(by_address.values()))
    )
    return [one for one in found if one is not None]


def _is_here(url: str) -> bool:
    return urlsplit(url).hostname in _LOOPBACK


async def _knock(
    listings: Listings, snapshot: Snapshot, record: ProviderRecord, known: list[ProviderRecord]
) -> Found | None:
    try:
        key = usable_keys(snapshot, record, Caller(owner=True))[0]
        models = await listings.fetch_from(record, key, snapshot, _KNOCK_S)
        signed = _signed(record, models, known)
        if signed is record:
            return Found(record, models)
        there = msgspec.structs.replace(signed, base_url=record.base_url)
        return Found(there, await listings.fetch_from(there, key, snapshot, _KNOCK_S), usual=False)
    except UpstreamError as error:
        # A refusal came from somebody; silence and what is no API did not.
        return Found(record, refusal=error.fault.message) if error.fault.status in (401, 403) else None
    except NoKey:
        return None


def _signed(record: ProviderRecord, models: tuple[ListedModel, ...], known: list[ProviderRecord]) -> ProviderRecord:
    """Whose list this is: another server may stand on this one's port."""
    owners = {model.owned_by for model in models if model.owned_by}
    if record.owned_by in owners:
        return record
    return next((other for other in known if other.owned_by in owners), record)
