"""The machine: ports, the running gateway, clock, disk."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
from pathlib import Path
from urllib.parse import urlsplit

from codex_nexus import __version__
from codex_nexus.doctor.finding import Finding, fault, ok, warning
from codex_nexus.doctor.scene import Scene
from codex_nexus.errors import StoreError
from codex_nexus.service.holder import holder_of
from codex_nexus.sessions.opening import look_at

_CLOCK_S = 300
_ROOM_MB = 200
_LARGE_MB = 2048


async def ports(scene: Scene) -> list[Finding]:
    """The gateway's port is ours, free, or somebody else's."""
    port = scene.config.port
    if port == 0:
        return [ok("port", "The gateway takes any free port at each start (port 0).")]
    if scene.health is not None:
        return [ok("port", f"Port {port} is held by Codex Nexus.")]
    if not await _taken(urlsplit(scene.address).hostname or "", port):
        return [ok("port", f"Port {port} is free.")]
    holder = await asyncio.to_thread(holder_of, port)
    if holder:
        cure = f"Stop it, or set another 'port' in {scene.file}."
        return [fault("port", f"Port {port} is held by {holder}, so the gateway cannot start.", cure)]
    cure = (
        f"Stop that program (`lsof -i :{port}`, on Windows `netstat -ano`, names it), "
        f"or set another 'port' in {scene.file}."
    )
    return [fault("port", f"Port {port} is held by another program, so the gateway cannot start.", cure)]


async def _taken(host: str, port: int) -> bool:
    try:
        async with asyncio.timeout(2):
            _, writer = await asyncio.open_connection(host, port)
    except (OSError, TimeoutError):
        return False
    writer.close()
    with contextlib.suppress(OSError):
        await writer.wait_closed()
    return True


async def gateway(scene: Scene) -> list[Finding]:
    """The gateway answers, and it is of this version."""
    if scene.health is None:
        sentence = f"The gateway is not running at {scene.address}."
        return [warning("gateway", sentence, "Start it: codex-nexus (or, for one Codex: codex-nexus run -- codex)")]
    version = str(scene.health.get("version"))
    if version != __version__:
        sentence = f"The gateway at {scene.address} is version {version}, this program is {__version__}."
        return [warning("gateway", sentence, "Stop the gateway and start it anew: codex-nexus")]
    return [ok("gateway", f"The gateway answers at {scene.address}, version {version}.")]


async def disk(scene: Scene) -> list[Finding]:
    """There is room for the session store."""
    place = next(folder for folder in (scene.home, *scene.home.parents) if folder.exists())
    try:
        free = shutil.disk_usage(place).free >> 20
    except OSError as error:
        return [warning("disk", f"{place} cannot be looked at: {error.strerror}.", "Check the disk.")]
    if free < _ROOM_MB:
        sentence = f"Only {free} MB are free at {place}; responses cannot be stored for long."
        return [warning("disk", sentence, f"Make room, or set fewer 'retention_days' in {scene.file}.")]
    return [ok("disk", f"{_size(free)} are free at {place}.")]


async def database(scene: Scene) -> list[Finding]:
    """The session store has not grown out of hand and can be used."""
    size = sum(map(_bytes, (scene.home / name for name in ("nexus.db", "nexus.db-wal")))) >> 20
    if size >= _LARGE_MB and not scene.config.store:
        sentence = f"nexus.db has grown to {_size(size)}."
        return [warning("database", sentence, f"Set fewer 'retention_days' in {scene.file}.")]
    try:
        await look_at(scene.config.store, scene.home)
    except StoreError as error:
        cure = "Move the file away, or put an older copy in its place (nexus.db.version-N.bak, or one of yours)."
        return [warning("database", f"Responses are not stored. {error.message}", cure)]
    if scene.config.store:
        return [ok("database", "Responses are kept where 'store' in config.json says.")]
    return [ok("database", f"nexus.db takes {_size(size)}." if size else "nexus.db takes less than 1 MB.")]


def _bytes(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0


def _size(megabytes: int) -> str:
    return f"{megabytes / 1024:.1f} GB" if megabytes >= 1024 else f"{megabytes} MB"


async def clock(scene: Scene) -> list[Finding]:
    """Our clock agrees with the providers'; a wrong one breaks certificates and tokens."""
    if not scene.skews:
        return []
    skew = min(scene.skews, key=abs)
    if abs(skew) <= _CLOCK_S:
        return [ok("clock", "The clock agrees with the providers'.")]
    side = "behind" if skew > 0 else "ahead of"
    sentence = f"This machine's clock is {abs(skew) / 60:.0f} minutes {side} the providers'."
    return [warning("clock", sentence, "Set the clock, or switch time synchronisation on.")]
