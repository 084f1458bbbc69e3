"""What the checks look at: the folders, the configuration as it stands in the files, the Codex program, the gateway."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import re
import shutil
import tempfile
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
from msgspec import Struct

from codex_nexus.config.model import Config
from codex_nexus.doctor.finding import Finding
from codex_nexus.service.codex import local_address
from codex_nexus.snapshot import Snapshot
from codex_nexus.wire import codec

_VERSION = re.compile(r"(\d+)\.(\d+)\.(\d+)")


class Program(Struct, frozen=True):
    """The user's Codex."""

    path: str = ""
    """Empty: there is none."""
    said: str = ""
    """What it answered to `--version`."""
    named: str = ""
    """What `CODEX_BIN` says."""

    @property
    def version(self) -> tuple[int, ...]:
        """Its version as numbers; empty when it does not tell one."""
        found = _VERSION.search(self.said)
        return tuple(map(int, found.groups())) if found else ()

    @property
    def shown(self) -> str:
        """Its version for people."""
        return ".".join(map(str, self.version))


class Scene(Struct):
    """One examination.

    Attributes:
        config: as far as it could be read.
        snapshot: None when the files are wrong.
        read: what reading the files brought up.
        health: what the gateway at the configured address says of itself; None: nobody like us answers there.
        skews: seconds by which each provider's clock is ahead of ours.
    """

    home: Path
    codex_home: Path
    config: Config
    snapshot: Snapshot | None
    read: list[Finding]
    program: Program
    health: dict[str, Any] | None
    offline: bool = False
    skews: list[float] = msgspec.field(default_factory=list[float])

    @property
    def address(self) -> str:
        """Where the gateway is to be found from this machine."""
        return local_address(self.config.host, self.config.port)

    @property
    def file(self) -> Path:
        """The configuration file, for cures."""
        return self.home / "config.json"


async def find_program(environ: Mapping[str, str]) -> Program:
    """`CODEX_BIN`, or `codex` on the PATH."""
    named = environ.get("CODEX_BIN", "")
    found = shutil.which(named or "codex", path=environ.get("PATH"))
    if found is None:
        return Program(named=named)
    path = str(Path(found).absolute())  # noqa: ASYNC240 - asks no disk
    with throw_away_home() as home:  # Codex makes folders in its home even when it only tells its version
        ran = await execute([path, "--version"], {**environ, "CODEX_HOME": str(home)}, timeout_s=20)
    return Program(path, ran.output.strip() or ran.complaint, named)


async def ask_health(address: str) -> dict[str, Any] | None:
    """What the gateway at this address says of itself."""
    with contextlib.suppress(aiohttp.ClientError, OSError, TimeoutError, ValueError):
        timeout = aiohttp.ClientTimeout(total=3)
        async with aiohttp.ClientSession(timeout=timeout) as session, session.get(f"{address}/healthz") as response:
            said = codec.as_object(json.loads(await response.content.read(65536)))
            if said is not None and said.get("name") == "codex-nexus":
                return said
    return None


# --- foreign programs


class Ran(Struct, frozen=True):
    """How a program ended."""

    status: int
    output: str
    complaint: str
    """What it wrote to its error output."""


async def execute(command: list[str], environ: dict[str, str], *, timeout_s: float, folder: Path | None = None) -> Ran:
    """Runs a program without input; it is ended when it takes too long or nobody waits any more."""
    try:
        process = await asyncio.create_subprocess_exec(
            *command, env=environ, cwd=folder,
            stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip
    except OSError as error:
        return Ran(127, "", f"it cannot be started: {error.strerror or error}")
    try:
        output, complaint = await asyncio.wait_for(process.communicate(), timeout_s)
    except TimeoutError:
        return Ran(124, "", f"it did not end within {timeout_s:g} s")
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    return Ran(process.returncode or 0, output.decode("utf-8", "replace"), complaint.decode("utf-8", "replace"))


def environment() -> dict[str, str]:
    """The environment of foreign programs: ours."""
    return dict(os.environ)


@contextmanager
def throw_away_home() -> Generator[Path]:
    """A Codex home of its own. Codex keeps helpers out of the system's temporary folder and warns there."""
    caches = Path.home() / ".cache"
    try:
        folder = Path(tempfile.mkdtemp(prefix="codex-nexus-doctor-", dir=caches if caches.is_dir() else None))
    except OSError:
        folder = Path(tempfile.mkdtemp(prefix="codex-nexus-doctor-"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
