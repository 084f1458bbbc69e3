"""The words of kept usage: what turns used, by day, provider, model and caller. Holds nothing of what was said."""

from __future__ import annotations

from typing import Self

from msgspec import Struct, structs

NANO = 1_000_000_000
"""Nanodollars of a dollar: a list price per million tokens is a whole number of them per token."""


class Spent(Struct, frozen=True):
    """What some turns used.

    Attributes:
        turns: that reached a provider, however they ended.
        failed: those of them that failed or were refused by the provider.
        input_tokens: as providers counted them; cached ones are among them.
        cached_tokens: input read from a provider's cache.
        output_tokens: reasoning ones are among them.
        reasoning_tokens: output that was thought.
        cost: nanodollars, at the list prices that were known when the turns ended.
        unpriced_tokens: tokens of models whose price was not known; `cost` is without them.
    """

    turns: int = 0
    failed: int = 0
    input_tokens: int = 0
    cached_tokens: int = 0
    output_tokens: int = 0
    reasoning_tokens: int = 0
    cost: int = 0
    unpriced_tokens: int = 0

    def __add__(self, other: Self) -> Spent:
        return Spent(*map(sum, zip(structs.astuple(self), structs.astuple(other), strict=True)))

    @property
    def tokens(self) -> int:
        """Input and output."""
        return self.input_tokens + self.output_tokens

    @property
    def dollars(self) -> float | None:
        """The cost in US dollars, as far as prices are known; None when none is."""
        return None if self.unpriced_tokens and not self.cost else self.cost / NANO


class Place(Struct, frozen=True, order=True):
    """Where usage is added up.

    Attributes:
        day: `YYYY-MM-DD` in UTC, on which the turns ended.
        provider: its id.
        model: the provider's name for it.
        owner: identity of the caller; empty for the gateway's owner.
    """

    day: str
    provider: str
    model: str
    owner: str = ""


Usage = dict[Place, Spent]


def added(usage: Usage, more: Usage) -> Usage:
    """Both together."""
    return usage | {place: usage.get(place, Spent()) + spent for place, spent in more.items()}
