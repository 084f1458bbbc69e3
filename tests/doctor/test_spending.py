"""What the doctor says of budgets."""

import time

from codex_nexus.budgets import day_of
from codex_nexus.doctor.finding import Finding
from codex_nexus.doctor.spending import budgets
from codex_nexus.sessions.sqlite import SqliteStore
from codex_nexus.sessions.usage import NANO, Place, Spent
from tests.doctor.conftest import Chain


async def found(chain: Chain) -> list[Finding]:
    chain.offline = True
    chain.write()
    return await budgets(await chain.look())


async def test_nothing_is_limited(chain: Chain) -> None:
    assert await found(chain) == []


async def test_each_budget_is_told(chain: Chain) -> None:
    store = SqliteStore(chain.home / "nexus.db")
    spent = Spent(8, 0, 1000, 0, 200, 0, NANO, 700)
    await store.add_usage({Place(day_of(time.time()), "acme", "m"): spent})
    await store.close()
    chain.config["budgets"] = {
        "*": {"tokens_per_day": 1_000_000},
        "acme": {"turns_per_day": 10, "tokens_per_day": 1200, "cost_per_day": 9},
    }
    said = await found(chain)
    assert [(finding.check, finding.state) for finding in said] == [
        ("budget", "ok"), ("budget", "warning"), ("budget", "warning"), ("budget", "warning"),
    ]  # fmt: skip
    common, tokens, turns, cost = (finding.sentence for finding in said)
    assert common == "budgets.*.tokens_per_day: 1,200 of 1,000,000 tokens are used today."
    assert "refused until 00:00 UTC" in tokens
    assert "8 of 10 turns" in turns
    assert "without 700 tokens of models whose price is not known" in cost


async def test_it_is_one_of_the_checks_and_makes_no_store(chain: Chain) -> None:
    chain.offline = True
    chain.config["budgets"] = {"acme": {"turns_per_day": 10}}
    chain.write()
    assert (await chain.examine())["budget"].state == "ok"
    assert not (chain.home / "nexus.db").exists()


async def test_a_store_that_cannot_be_read(chain: Chain) -> None:
    (chain.home / "nexus.db").write_text("no database, but long enough to look like something else" * 100)
    chain.config["budgets"] = {"acme": {"turns_per_day": 10}}
    [finding] = await found(chain)
    assert finding.state == "warning"
    assert "cannot be opened" in finding.sentence
