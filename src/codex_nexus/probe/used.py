"""`codex-nexus usage`: what was used, read from the session store, also while no gateway runs."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

import msgspec
from msgspec import structs

from codex_nexus.budgets import Standing, day_of, dollars, owners, standings
from codex_nexus.probe import world
from codex_nexus.probe.show import Column, Show
from codex_nexus.sessions.opening import kept_usage
from codex_nexus.sessions.usage import Place, Spent, Usage

_COLUMNS = [
    Column("day"), Column("provider"), Column("model"), Column("turns", right=True), Column("failed", right=True),
    Column("input", right=True), Column("cached", right=True), Column("output", right=True),
    Column("reasoning", right=True), Column("at list price", right=True),
]  # fmt: skip


async def usage(home: Path, days: int, *, as_json: bool = False) -> int:
    """Shows the last days, today among them. Gives the exit code.

    Raises:
        ConfigError: the files are wrong.
        StoreError: the store cannot be read.
    """
    config, now = world.read(home).config, time.time()
    found = await kept_usage(config.store, home, day_of(now, days - 1))
    budgets = standings(config.budgets, owners(found, day_of(now)))
    if as_json:
        said = _report(found, days, day_of(now, days - 1), budgets)
        sys.stdout.write(json.dumps(said, indent=2, ensure_ascii=False) + "\n")
        return 0
    with Show() as show:
        _show(show, found, days)
        _show_budgets(show, budgets)
    return 0


# --- in the terminal


def _show(show: Show, found: Usage, days: int) -> None:
    if not found:
        span = "today" if days == 1 else f"in the last {days} days"
        show.line(f"Nothing was counted {span} (UTC).")
        return
    rows: Usage = {}
    for place, spent in sorted(found.items()):
        row = structs.replace(place, owner="")
        rows[row] = rows.get(row, Spent()) + spent
    total = sum(rows.values(), Spent())
    table = [_row(place, spent) for place, spent in rows.items()]
    show.table(_COLUMNS, [*table, _row(Place("total", "", ""), total)] if len(table) > 1 else table)
    if total.unpriced_tokens:
        show.line(f"No price is known for {total.unpriced_tokens:,} of {total.tokens:,} tokens.", "dim")


def _row(place: Place, spent: Spent) -> list[str]:
    cached = f"{round(100 * spent.cached_tokens / spent.input_tokens)} %" if spent.input_tokens else ""
    cost = "?" if spent.dollars is None else dollars(spent.dollars)
    more = "+" if spent.unpriced_tokens and spent.dollars is not None else ""
    return [
        place.day, place.provider, place.model, f"{spent.turns:,}", f"{spent.failed:,}" if spent.failed else "",
        f"{spent.input_tokens:,}", cached, f"{spent.output_tokens:,}",
        f"{spent.reasoning_tokens:,}" if spent.reasoning_tokens else "", cost + more,
    ]  # fmt: skip


def _show_budgets(show: Show, budgets: list[Standing]) -> None:
    styles = {"good": "", "nearly": "yellow", "reached": "bold red"}
    for standing in budgets:
        text = f"{standing.key}: {standing.amount} today ({100 * standing.share:.0f} %)"
        show.line(text + (", turns are refused until 00:00 UTC" if standing.state == "reached" else ""),
                  styles[standing.state])  # fmt: skip


# --- as JSON


def _report(found: Usage, days: int, since: str, budgets: list[Standing]) -> dict[str, Any]:
    rows = [structs.asdict(place) | _counts(spent) for place, spent in sorted(found.items())]
    stand = [{"key": one.key, "limit": one.limit, "used": one.used, "state": one.state} for one in budgets]
    return {
        "since": since,
        "days": days,
        "rows": rows,
        "total": _counts(sum(found.values(), Spent())),
        "budgets": stand,
    }


def _counts(spent: Spent) -> dict[str, Any]:
    """Cost in US dollars, or null."""
    return msgspec.to_builtins(spent) | {"cost": spent.dollars}
