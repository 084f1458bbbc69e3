"""The panel's endpoint that tells what was used, and how far the budgets are."""

from __future__ import annotations

import time

from aiohttp import web
from msgspec import Struct

from codex_nexus.budgets import Standing, day_of, standings, until_anew
from codex_nexus.control.replies import reply
from codex_nexus.control.state import STEERING
from codex_nexus.errors import StoreError
from codex_nexus.sessions.usage import Spent, Usage

_SPANS = {"today": 1, "week": 7, "month": 30}
"""In days, today among them."""


class _Sum(Struct):
    """One span: see `Spent`; cost in US dollars, null when no price is known, and whether it is all."""

    turns: int
    failed: int
    input_tokens: int
    cached_tokens: int
    output_tokens: int
    reasoning_tokens: int
    cost: float | None
    priced: bool


class _Budget(Struct):
    """How far a budget is used, in tokens, turns or US dollars."""

    key: str
    provider: str
    kind: str
    limit: float
    used: float
    state: str


async def usage(request: web.Request) -> web.Response:
    """`GET /nexus-ctrl/usage`: the sums of all callers, and the budgets."""
    steering, now = request.app[STEERING], time.time()
    found: Usage = {}
    problem = ""
    try:
        found = await steering.usage(_SPANS["month"])
    except StoreError as error:
        problem = error.message
    body = {name: _sum_since(found, day_of(now, days - 1)) for name, days in _SPANS.items()}
    budgets = standings(steering.snapshot.config.budgets, steering.used_today())
    return reply(
        {**body, "budgets": [_budget(one) for one in budgets], "anew_in_s": until_anew(now), "problem": problem}
    )


def _sum_since(usage: Usage, first: str) -> _Sum:
    spent = sum((spent for place, spent in usage.items() if place.day >= first), Spent())
    return _Sum(
        spent.turns, spent.failed, spent.input_tokens, spent.cached_tokens, spent.output_tokens,
        spent.reasoning_tokens, spent.dollars, not spent.unpriced_tokens,
    )  # fmt: skip


def _budget(standing: Standing) -> _Budget:
    return _Budget(standing.key, standing.provider, standing.kind, standing.limit, standing.used, standing.state)
