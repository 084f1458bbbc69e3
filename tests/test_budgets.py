"""Budgets as numbers and sentences: sums and time are handed in."""

from __future__ import annotations

import pytest

from codex_nexus.budgets import day_of, dollars, owners, reached, refusal, standings, until_anew
from codex_nexus.config.model import Budget
from codex_nexus.sessions.usage import NANO, Place, Spent

NOON = 1_790_000_000.0 - 1_790_000_000.0 % 86_400 + 43_200
USED = {
    "kimi": Spent(turns=3, input_tokens=700, output_tokens=100, cost=NANO // 2),
    "zai": Spent(turns=2, input_tokens=50, output_tokens=50, unpriced_tokens=100),
}


def test_every_limit_is_a_standing_in_the_order_of_the_file() -> None:
    found = standings({"*": Budget(turns_per_day=10), "kimi": Budget(tokens_per_day=1000, cost_per_day=0.5)}, USED)
    assert [(one.key, one.used, one.limit, one.state) for one in found] == [
        ("budgets.*.turns_per_day", 5, 10, "good"),
        ("budgets.kimi.tokens_per_day", 800, 1000, "nearly"),
        ("budgets.kimi.cost_per_day", 0.5, 0.5, "reached"),
    ]


def test_its_own_budget_is_told_before_the_common_one() -> None:
    budgets = {"*": Budget(tokens_per_day=900), "kimi": Budget(turns_per_day=3)}
    first, common = reached(budgets, USED, "kimi"), reached(budgets, USED, "zai")
    assert first is not None
    assert common is not None
    assert (first.key, common.key) == ("budgets.kimi.turns_per_day", "budgets.*.tokens_per_day")
    assert reached({"kimi": Budget(turns_per_day=3)}, USED, "zai") is None
    assert reached({}, USED, "kimi") is None


def test_the_refusal_says_what_how_much_when_and_where() -> None:
    [standing] = standings({"kimi": Budget(tokens_per_day=800)}, USED)
    assert refusal(standing, "Kimi", NOON + 60) == (
        "The daily budget for Kimi is used up: 800 of 800 tokens. It begins anew at 00:00 UTC (in 11 h 59 min); "
        "'budgets.kimi.tokens_per_day' in config.json changes it."
    )
    [common] = standings({"*": Budget(cost_per_day=0.25)}, USED)
    said = refusal(common, "Kimi", NOON)
    assert "for all providers together is used up: $0.5000 of $0.2500 at list price" in said
    assert "(in 12 h)" in said


def test_a_day_is_one_of_utc() -> None:
    midnight = NOON + 43_200
    assert day_of(midnight) != day_of(midnight - 1) == day_of(NOON)
    assert day_of(NOON, 1) == day_of(NOON - 86_400)
    assert (until_anew(midnight), until_anew(midnight - 1)) == (86_400, 1)


def test_who_brings_a_key_of_their_own_is_not_the_owner() -> None:
    usage = {
        Place("2026-01-02", "kimi", "a"): Spent(1),
        Place("2026-01-02", "kimi", "b"): Spent(2),
        Place("2026-01-02", "kimi", "a", "somebody"): Spent(4),
        Place("2026-01-01", "kimi", "a"): Spent(8),
    }
    assert owners(usage, "2026-01-02") == {"kimi": Spent(3)}


@pytest.mark.parametrize(
    ("amount", "text"),
    [(0, "$0.00"), (0.00001, "<$0.0001"), (0.0123, "$0.0123"), (1, "$1.00"), (12345.6, "$12,345.60")],
)
def test_dollars(amount: float, text: str) -> None:
    assert dollars(amount) == text
