"""Servers on the user's own machine: which of them answer on their usual ports, and with which models."""

from __future__ import annotations

import asyncio
from urllib.parse import urlsplit

import msgspec
from msgspec import Struct

from codex_nexus.gateway.listing import ListedModel, Listings
from codex_nexus.gateway.replies import UpstreamError
from codex_nexus.providers.catalogue import ProviderRecord
from codex_nexus.snapshot import Snapshot

_KNOCK_S = 1.0
_WANTS_KEY = (401, 403)
_LOADING = 503
_LOOPBACK = ("localhost", "127.0.0.1", "::1")


class Found(Struct, frozen=True):
    """A server that answers.

    Attributes:
        record: of the server that it is, with the address where it stands.
        usual: it stands where its record says, so that its models can be asked for at once.
        refusal: what it says instead of a list.
        wants_key: that is why it refuses.
    """

    record: ProviderRecord
    models: tuple[ListedModel, ...] = ()
    usual: bool = True
    refusal: str = ""
    wants_key: bool = False

    @property
    def hint(self) -> str:
        """How to use it, in a sentence."""
        if self.refusal:
            key = f"Give its key as provider_api_keys.{self.record.id} in config.json."
            return key if self.wants_key else "Try again when its model is loaded."
        if not self.usual:
            return (
                f'Set "provider_addresses": {{"{self.record.id}": "{self.record.base_url}"}} in config.json to use it.'
            )
        if not self.models:
            return "It serves no model yet."
        return f"Ask for {self.record.id}/{self.models[0].id}."


async def scan(listings: Listings, snapshot: Snapshot) -> list[Found]:
    """All local servers that answer, in the order of the catalogue; a silent port costs a second at most."""
    known = _known(snapshot)
    by_address = {record.base_url.rstrip("/"): record for record in reversed(known)}
    found = await asyncio.gather(
        *(_knock(listings, snapshot, record, known) for record in reversed(by_address.values()))
    )
    return [one for one in found if one is not None]


def addresses(snapshot: Snapshot, only: str = "") -> list[str]:
    """Where a scan looks, each address once."""
    return list(dict.fromkeys(record.base_url for record in _known(snapshot) if only in ("", record.id)))


def _known(snapshot: Snapshot) -> list[ProviderRecord]:
    return [record for record in snapshot.catalogue.providers.values() if record.local and _is_here(record.base_url)]


def _is_here(url: str) -> bool:
    return urlsplit(url).hostname in _LOOPBACK


async def _knock(
    listings: Listings, snapshot: Snapshot, record: ProviderRecord, known: list[ProviderRecord]
) -> Found | None:
    try:
        # Only a key that is meant for it: who listens on that port is not known yet.
        key = next(iter(snapshot.keys.get(record.id, ())), "")
        models = await listings.fetch_from(record, key, snapshot, _KNOCK_S)
        signed = _signed(record, models, known)
        if signed is record:
            return Found(record, models)
        there = msgspec.structs.replace(signed, base_url=record.base_url)
        return Found(there, await listings.fetch_from(there, key, snapshot, _KNOCK_S), usual=False)
    except UpstreamError as error:
        # A refusal came from somebody; silence and what is no such API did not.
        wants_key = error.fault.status in _WANTS_KEY
        told = wants_key or error.fault.status == _LOADING
        return Found(record, refusal=error.fault.message, wants_key=wants_key) if told else None


def _signed(record: ProviderRecord, models: tuple[ListedModel, ...], known: list[ProviderRecord]) -> ProviderRecord:
    """Whose list this is: another server may stand on this one's port."""
    owners = {model.owned_by for model in models if model.owned_by}
    if record.owned_by in owners:
        return record
    return next((other for other in known if other.owned_by in owners), record)
