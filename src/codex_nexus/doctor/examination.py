"""The examination: all checks at once, their findings in order, shown as they come."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import platform
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import aiohttp
import msgspec

from codex_nexus import __version__
from codex_nexus.codex_home.config_toml import token_in
from codex_nexus.codex_home.inject import codex_folder
from codex_nexus.codex_home.wish import Refused
from codex_nexus.config.model import Config
from codex_nexus.doctor import codex, files, learned, machine, provider, spending
from codex_nexus.doctor.finding import Cleaner, Finding, exit_code, fault, worst
from codex_nexus.doctor.laboratory import Laboratory
from codex_nexus.doctor.scene import Scene, ask_health, environment, find_program
from codex_nexus.doctor.show import Show
from codex_nexus.service.codex import local_address

log = logging.getLogger("codex_nexus.doctor")

Check = tuple[str, Awaitable[list[Finding]]]
"""What a person reads while it runs, and the check."""
Tell = Callable[[list[Finding], str], None]
"""Takes the findings of a check, and what is looked at next."""


async def run(home: Path, *, as_json: bool = False, offline: bool = False) -> int:
    """Examines everything and shows it. Gives the exit code: 0 good or warnings, 1 a fault, 2 wrong configuration."""
    with Show(quiet=as_json, offline=offline) as show:
        scene = await look_around(home, offline=offline)
        cleaner = Cleaner(secrets_of(scene), Path.home())
        found: list[Finding] = []

        def tell(findings: list[Finding], doing: str) -> None:
            shown = [cleaner.finding(finding) for finding in findings]
            found.extend(shown)
            show.findings(shown)
            show.doing(doing)

        await examine(scene, tell)
    if as_json:
        sys.stdout.write(report(scene, cleaner, found) + "\n")
    else:
        show.summary(found)
    return exit_code(found)


async def look_around(home: Path, *, offline: bool = False) -> Scene:
    """What every check needs to know."""
    read = files.read(home)
    address = local_address(read.config.host, read.config.port)
    program, health = await asyncio.gather(find_program(environment()), ask_health(address))
    return Scene(home, codex_folder(), read.config, read.snapshot, read.findings, program, health, offline)


def secrets_of(scene: Scene) -> tuple[str, ...]:
    """Everything that must never be shown, also when the configuration is wrong."""
    config = scene.config
    pools = [secret for pool in config.provider_api_keys.values() for secret in pool]
    routed = [route.api_key for route in config.model_routes.values()]
    known = [secret.reveal() for secret in (config.api_key, config.access_token, *pools, *routed)]
    for path in scene.codex_home.glob("*.toml"):
        with contextlib.suppress(OSError, UnicodeDecodeError, Refused):
            known.append(token_in(path.read_text("utf-8")))
    return tuple(key for key in known if key)


async def examine(scene: Scene, tell: Tell) -> None:
    """All checks at once; their findings are told in order, as they come."""
    tell(scene.read, "Looking around")
    async with contextlib.AsyncExitStack() as stack:
        laboratory: Laboratory | None = None
        if scene.snapshot is not None:
            laboratory = await stack.enter_async_context(Laboratory(scene.snapshot, offline=scene.offline))
        checks = _checks(scene, laboratory)
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(_guarded(doing, check)) for doing, check in checks]
            for task, (following, _) in zip(tasks, [*checks[1:], ("Looking at the clock", None)], strict=True):
                tell(await task, following)
    tell(await machine.clock(scene), "")


def _checks(scene: Scene, laboratory: Laboratory | None) -> list[Check]:
    checks: list[Check] = [
        ("Looking at files", files.mode(scene)),
        ("Looking at the port", machine.ports(scene)),
        ("Looking for the gateway", machine.gateway(scene)),
        ("Looking for Codex", codex.program(scene)),
        ("Reading Codex's configuration", codex.config_toml(scene)),
        ("Reading Codex's profile", codex.profile(scene)),
        ("Looking at Codex's login", codex.login(scene)),
        ("Showing Codex our models", _catalogue(scene, laboratory)),
        ("Looking at what refusals taught", learned.repairs(scene)),
        ("Looking at the disk", machine.disk(scene)),
        ("Looking at the database", machine.database(scene)),
        ("Looking at the budgets", spending.budgets(scene)),
    ]
    if scene.snapshot is not None and laboratory is not None:
        for name, wanted in provider.targets(scene.snapshot).items():
            checks.append((f"Asking {name}", provider.examine(scene, laboratory, wanted)))
    return checks


async def _guarded(doing: str, check: Awaitable[list[Finding]]) -> list[Finding]:
    """A check that fails by itself is a finding, not the end of the examination."""
    try:
        return await check
    except Exception as error:
        log.debug("a check failed", exc_info=True)
        sentence = f"{doing} failed inside ({type(error).__name__}: {error})."
        return [fault("doctor", sentence, "Report it with: codex-nexus --dev doctor")]


async def _catalogue(scene: Scene, laboratory: Laboratory | None) -> list[Finding]:
    """What Codex would be told: by the running gateway (which may ask providers), else by the laboratory's."""
    body = await _running_models(scene) if scene.health is not None and not scene.offline else b""
    if not body and laboratory is not None:
        body = await laboratory.models()
    return await codex.catalogue(scene, body)


async def _running_models(scene: Scene) -> bytes:
    token = scene.snapshot.access_token if scene.snapshot is not None else ""
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    with contextlib.suppress(aiohttp.ClientError, OSError, TimeoutError):
        timeout = aiohttp.ClientTimeout(total=15)
        async with (
            aiohttp.ClientSession(timeout=timeout, headers=headers) as session,
            session.get(f"{scene.address}/v1/models") as response,
        ):
            return await response.read() if response.status == 200 else b""
    return b""


def report(scene: Scene, cleaner: Cleaner, found: list[Finding]) -> str:
    """Everything, fit to be pasted into an issue."""
    config: Config = scene.config
    said: dict[str, Any] = {
        "state": worst(found),
        "versions": {
            "codex-nexus": __version__,
            "codex": scene.program.shown or None,
            "gateway": None if scene.health is None else cleaner.text(str(scene.health.get("version"))),
            "python": platform.python_version(),
            "aiohttp": aiohttp.__version__,
            "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        },
        "home": cleaner.text(str(scene.home)),
        "codex_home": cleaner.text(str(scene.codex_home)),
        "provider": cleaner.text(config.provider),
        "offline": scene.offline,
        "findings": msgspec.to_builtins(found),
    }
    return json.dumps(said, indent=2, ensure_ascii=False)
