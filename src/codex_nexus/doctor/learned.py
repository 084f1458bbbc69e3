"""What refusals taught the gateway (see gateway/learned): nothing is wrong with it, but people may wonder."""

from __future__ import annotations

import time

from codex_nexus.doctor.finding import Finding, ok
from codex_nexus.doctor.scene import Scene
from codex_nexus.gateway.learned import FILE, Learned, Repairs
from codex_nexus.translate.healing import described


async def repairs(scene: Scene) -> list[Finding]:
    """One finding for each model that is asked in other words since it refused a request."""
    known = Learned(scene.home).repairs()
    return [ok("learned", _sentence(scene, name, repair)) for name, repair in sorted(known.items())]


def _sentence(scene: Scene, name: str, repair: Repairs) -> str:
    until = time.strftime("%Y-%m-%d", time.localtime(repair.until))
    how = "; ".join(map(described, repair.heals))
    return f"{name} refused a request and is asked differently until {until}: {how} (kept in {scene.home / FILE})."
