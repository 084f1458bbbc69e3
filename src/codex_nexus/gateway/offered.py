"""What a provider offers: its own live list laid over what its record knows. One reading for terminal and panel."""

from __future__ import annotations

from msgspec import Struct

from codex_nexus.gateway.learned import Learned
from codex_nexus.gateway.listing import ListedModel
from codex_nexus.providers.catalogue import ProviderRecord
from codex_nexus.snapshot import Snapshot

Price = tuple[float, float, float]
"""US dollars per million tokens: input from cache, input, output."""


class OfferedModel(Struct, frozen=True):
    """One model on offer.

    Attributes:
        context_window: tokens: as a refusal told, else as the record says, else as the provider lists it.
        at_most: the window is what the model can hold; its server may have been started with less.
        max_output: tokens.
        images: whether it takes images; None: nobody says.
        price: see `Price`.
        listed: whether the provider's own list has it; None: there is no such list.
    """

    id: str
    name: str = ""
    context_window: int | None = None
    at_most: bool = False
    max_output: int | None = None
    images: bool | None = None
    price: Price | None = None
    listed: bool | None = None


def price_of(record: ProviderRecord, model: str, live: tuple[ListedModel, ...]) -> Price | None:
    """The list price of a model: ours, else the provider's own; None: nobody says."""
    ours = record.model(model)
    if ours is not None and ours.price is not None:
        return ours.price
    return next((listed.price for listed in live if listed.id == model), None)


def offered(
    record: ProviderRecord, live: tuple[ListedModel, ...] | None, snapshot: Snapshot, learned: Learned
) -> tuple[OfferedModel, ...]:
    """The models of the record first, then what only the provider's own list has; None: it told no list."""
    told = {model.id: model for model in live or ()}
    ids = dict.fromkeys((*(model.id for model in record.models), *told))
    return tuple(
        _offered(
            record, told.get(name) or ListedModel(name), snapshot, learned,
            listed=None if live is None else name in told,
        )
        for name in ids
    )  # fmt: skip


def _offered(
    record: ProviderRecord, theirs: ListedModel, snapshot: Snapshot, learned: Learned, *, listed: bool | None
) -> OfferedModel:
    ours = record.model(theirs.id)
    dialect = snapshot.catalogue.dialect(record.id, theirs.id)
    own = learned.window(f"{record.id}/{theirs.id}") or dialect.context_window
    images = ours.images if ours else theirs.images
    return OfferedModel(
        id=theirs.id,
        name=ours.name if ours else "",
        context_window=own or theirs.context_window,
        at_most=theirs.at_most and not own,
        max_output=dialect.max_output,
        images=False if dialect.images == "none" else images,
        price=price_of(record, theirs.id, (theirs,)),
        listed=listed,
    )
