"""Budgets: how far each of them is used today, as the session store tells."""

from __future__ import annotations

import time

from codex_nexus.budgets import Standing, day_of, owners, standings
from codex_nexus.doctor.finding import Finding, ok, warning
from codex_nexus.doctor.scene import Scene
from codex_nexus.errors import StoreError
from codex_nexus.sessions.opening import kept_usage


async def budgets(scene: Scene) -> list[Finding]:
    """One finding for each budget; none when nothing is limited."""
    if not scene.config.budgets:
        return []
    today = day_of(time.time())
    try:
        found = await kept_usage(scene.config.store, scene.home, today)
    except StoreError as error:
        return [warning("budget", f"What was used today cannot be read: {error.message}", f"Look at {scene.file}.")]
    return [_finding(scene, standing) for standing in standings(scene.config.budgets, owners(found, today))]


def _finding(scene: Scene, standing: Standing) -> Finding:
    said = f"{standing.key}: {standing.amount} are used today"
    cure = f"Change '{standing.key}' in {scene.file}, or wait for 00:00 UTC."
    if standing.state == "reached":
        return warning("budget", f"{said}, so turns are refused until 00:00 UTC.", cure)
    if standing.unpriced:
        said += f", without {standing.unpriced:,} tokens of models whose price is not known"
        cure = f"Set 'tokens_per_day' beside it in {scene.file}, which needs no price."
        return warning("budget", f"{said}.", cure)
    return warning("budget", f"{said}.", cure) if standing.state == "nearly" else ok("budget", f"{said}.")
