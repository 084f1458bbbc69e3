"""Budgets: how far each is used, and whether a provider may still be asked. Pure: sums and time are handed in.

A day is one of UTC, for every machine alike.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Literal

from msgspec import Struct

from codex_nexus.config.model import EVERY, Budget
from codex_nexus.sessions.usage import NANO, Spent, Usage

NEARLY = 0.8
"""The share of a budget at which people are warned."""
_DAY_S = 86_400

Kind = Literal["tokens", "turns", "cost"]
Used = Mapping[str, Spent]
"""What the gateway's owner used today, by provider."""


class Standing(Struct, frozen=True):
    """How far one budget is used.

    Attributes:
        provider: its id, or `*`.
        limit: tokens, turns or US dollars for a day.
        used: the same, so far.
        unpriced: tokens that count for no cost, because their price is not known.
    """

    provider: str
    kind: Kind
    limit: float
    used: float
    unpriced: int = 0

    @property
    def key(self) -> str:
        """Where it is set in `config.json`."""
        return f"budgets.{self.provider}.{self.kind}_per_day"

    @property
    def share(self) -> float:
        """1 and above: it is used up."""
        return self.used / self.limit

    @property
    def state(self) -> Literal["good", "nearly", "reached"]:
        """What people are to be told."""
        return "reached" if self.share >= 1 else "nearly" if self.share >= NEARLY else "good"

    @property
    def amount(self) -> str:
        """`812,000 of 1,000,000 tokens`."""
        if self.kind == "cost":
            return f"{dollars(self.used)} of {dollars(self.limit)} at list price"
        return f"{self.used:,.0f} of {self.limit:,.0f} {self.kind}"


def owners(usage: Usage, day: str) -> dict[str, Spent]:
    """What the gateway's owner used on a day, by provider; who brings a key of their own spends their own."""
    sums: dict[str, Spent] = {}
    for place, spent in usage.items():
        if place.day == day and not place.owner:
            sums[place.provider] = sums.get(place.provider, Spent()) + spent
    return sums


def standings(budgets: Mapping[str, Budget], used: Used) -> list[Standing]:
    """All budgets, in the order of the configuration."""
    return [standing for name, budget in budgets.items() for standing in _of(name, budget, used)]


def reached(budgets: Mapping[str, Budget], used: Used, provider: str) -> Standing | None:
    """The first budget that keeps this provider from being asked: its own before the common one."""
    for name in (provider, EVERY):
        if name in budgets:
            for standing in _of(name, budgets[name], used):
                if standing.state == "reached":
                    return standing
    return None


def _of(name: str, budget: Budget, used: Used) -> list[Standing]:
    spent = sum(used.values(), Spent()) if name == EVERY else used.get(name, Spent())
    found: list[tuple[Kind, float | None, float]] = [
        ("tokens", budget.tokens_per_day, spent.tokens),
        ("turns", budget.turns_per_day, spent.turns),
        ("cost", budget.cost_per_day, spent.cost / NANO),
    ]
    return [
        Standing(name, kind, limit, so_far, spent.unpriced_tokens if kind == "cost" else 0)
        for kind, limit, so_far in found
        if limit is not None
    ]


def refusal(standing: Standing, provider_name: str, now: float) -> str:
    """The sentence for who asks a provider whose budget is used up, at this unix time."""
    whose = "all providers together" if standing.provider == EVERY else provider_name
    left = _for_people(until_anew(now))
    return (
        f"The daily budget for {whose} is used up: {standing.amount}. It begins anew at 00:00 UTC (in {left}); "
        f"'{standing.key}' in config.json changes it."
    )


def day_of(now: float, ago: int = 0) -> str:
    """The day of a unix time, or one so many days before it: `YYYY-MM-DD`."""
    return time.strftime("%Y-%m-%d", time.gmtime(now - ago * _DAY_S))


def until_anew(now: float) -> float:
    """Seconds until the next day begins."""
    return _DAY_S - now % _DAY_S


def dollars(amount: float) -> str:
    """US dollars; small ones with as many digits as they need."""
    if amount == 0 or amount >= 1:
        return f"${amount:,.2f}"
    return f"${amount:.4f}" if amount >= 0.0001 else "<$0.0001"


def _for_people(seconds: float) -> str:
    hours, minutes = divmod(max(1, round(seconds / 60)), 60)
    return " ".join(text for text in (f"{hours} h" if hours else "", f"{minutes} min" if minutes else "") if text)
