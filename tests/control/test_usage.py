"""`GET /nexus-ctrl/usage`: what was used, and how far the budgets are."""

from __future__ import annotations

import time
from typing import Any

import pytest

from codex_nexus.budgets import day_of
from codex_nexus.errors import StoreError
from codex_nexus.sessions.usage import Place, Spent
from tests.control.conftest import Panel
from tests.upstream import Upstream, finish, sse, text, usage

HELLO = sse([text("Hello"), finish(), usage(1000, 50, cached=600, thought=10)])
BUDGETS = {"budgets": {"custom": {"turns_per_day": 1, "tokens_per_day": 1300}, "*": {"cost_per_day": 5}}}


async def one_turn(panel: Panel, upstream: Upstream) -> None:
    """A turn that is answered."""
    upstream.script(HELLO)
    body = {"model": "gpt-5", "input": "hi", "store": False}
    async with panel.client.post(panel.supervisor.address + "/v1/responses", json=body) as response:
        assert response.status == 200


async def test_nothing_was_used_at_first(panel: Panel) -> None:
    body = (await panel.get("usage")).json
    assert [body[span]["turns"] for span in ("today", "week", "month")] == [0, 0, 0]
    assert (body["budgets"], body["problem"]) == ([], "")


async def test_spans_hold_the_days_before(panel: Panel, upstream: Upstream) -> None:
    store, now = panel.supervisor.gateway.store, time.time()
    assert store is not None
    days = {6: 10, 7: 100, 29: 1000, 30: 10_000}
    await store.add_usage({Place(day_of(now, ago), "kimi", "k3"): Spent(count) for ago, count in days.items()})
    await one_turn(panel, upstream)
    body = (await panel.get("usage")).json
    assert [body[span]["turns"] for span in ("today", "week", "month")] == [1, 11, 1111]
    assert body["today"] == {
        "turns": 1, "failed": 0, "input_tokens": 1000, "cached_tokens": 600, "output_tokens": 50,
        "reasoning_tokens": 10, "cost": None, "priced": False,
    }  # fmt: skip


@pytest.mark.parametrize("panel", [BUDGETS], indirect=True)
async def test_budgets_have_their_marks(panel: Panel, upstream: Upstream) -> None:
    await one_turn(panel, upstream)
    body = (await panel.get("usage")).json
    assert [(one["key"], one["used"], one["limit"], one["state"]) for one in body["budgets"]] == [
        ("budgets.custom.tokens_per_day", 1050, 1300, "nearly"),
        ("budgets.custom.turns_per_day", 1, 1, "reached"),
        ("budgets.*.cost_per_day", 0, 5, "good"),
    ]
    assert 0 < body["anew_in_s"] <= 86_400


async def test_a_budget_is_changed_without_a_restart(panel: Panel, upstream: Upstream) -> None:
    await one_turn(panel, upstream)
    assert (await panel.save({"budgets": {"custom": {"turns_per_day": 1}}}, restart=True)).status == 200
    body: dict[str, Any] = {"model": "gpt-5", "input": "hi"}
    async with panel.client.post(panel.supervisor.address + "/v1/responses", json=body) as response:
        assert response.status == 429
    reply = await panel.save({"budgets": {"nobody": {"turns_per_day": 1}}})
    assert reply.status == 422
    assert reply.json["problems"][0]["path"] == "budgets.nobody"


async def test_a_store_that_fails_is_told(panel: Panel, monkeypatch: pytest.MonkeyPatch) -> None:
    async def fail(*_: Any) -> None:
        raise StoreError("The disk is gone.")

    monkeypatch.setattr(panel.supervisor.gateway.store, "usage", fail)
    body = (await panel.get("usage")).json
    assert (body["problem"], body["today"]["turns"]) == ("The disk is gone.", 0)
