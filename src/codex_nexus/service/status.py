"""`codex-nexus status`: how the gateway does that runs here, asked from its control panel."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from datetime import timedelta

import msgspec
from msgspec import Struct

from codex_nexus.control.steering import Injection
from codex_nexus.errors import NexusError
from codex_nexus.service.asking import asked
from codex_nexus.sessions.store import StoreState

Say = Callable[[str], None]

_ERRORS = 5
_CODEX = {
    "absent": "not connected; codex-nexus inject connects it",
    "present": "connected: codex -p nexus",
    "default": "connected, as its default",
    "unreadable": "its configuration cannot be read; codex-nexus doctor says why",
}


class _Failed(Struct):
    at: float
    upstream: str
    message: str


class _Status(Struct):
    address: str
    panel: str
    version: str
    uptime_s: float
    provider: str
    turns: int
    failures: int
    live: int
    injection: Injection
    waiting_for_restart: bool
    errors: list[_Failed]
    store: StoreState


def show(panel: str, say: Say, *, as_json: bool) -> None:
    """Tells what the panel's overview tells.

    Raises:
        NexusError: nobody of us answers there.
    """
    body = asked(f"{panel}/nexus-ctrl/status", "status")
    try:
        found = msgspec.json.decode(body, type=_Status)
    except msgspec.DecodeError:
        raise NexusError(f"What answers at {panel} is no control panel of this version.") from None
    if as_json:
        say(json.dumps(json.loads(body), indent=2, ensure_ascii=False))
        return
    for name, text in _lines(found):
        say(f"{name:<10} {text}")


def _lines(found: _Status) -> list[tuple[str, str]]:
    size = f", {found.store.sizes.disk / 1e6:.1f} MB" if found.store.sizes.disk else ""
    lines = [
        ("gateway", found.address or "not started ('autostart_nexus' is false)"),
        ("panel", found.panel),
        ("version", f"{found.version}, up for {timedelta(seconds=round(found.uptime_s))}"),
        ("provider", found.provider),
        ("Codex", _CODEX[found.injection.state]),
        ("turns", f"{found.turns}, {found.live} of them under way, {found.failures} failed"),
        ("store", f"{found.store.kind}{size}{f'; {found.store.trouble}' if found.store.trouble else ''}"),
    ]
    if found.waiting_for_restart:
        lines.append(("!", "config.json says something else; codex-nexus config or a restart applies it"))
    for error in found.errors[:_ERRORS]:
        at = time.strftime("%H:%M:%S", time.localtime(error.at))
        lines.append(("error", f"{at}  {error.upstream or '-'}  {error.message}"))
    return lines
