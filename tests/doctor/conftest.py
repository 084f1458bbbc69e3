"""A whole chain for the doctor to look at: files, a Codex made of a few lines of shell, a scripted provider."""

import asyncio
import json
import logging
import os
import socket
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from codex_nexus.doctor.examination import examine, look_around
from codex_nexus.doctor.finding import Finding
from codex_nexus.doctor.scene import Scene
from tests.upstream import Recorded, Scripted, Upstream, call, finish, sse, text, usage

KEY = "sk-acme-0123456789abcdef"
TOKEN = "nexus-token-0123456789"
GOOD_CODEX = """#!/bin/sh
echo helper > "$CODEX_HOME/made-by-codex"
case "$1 $2" in
  "--version ") echo "codex-cli {version}" ;;
  "debug models") cat "$CODEX_HOME/catalogue.json" ;;
esac
"""

posix = pytest.mark.skipif(os.name == "nt", reason="the Codex of these tests is a shell script")


def good_answers(asked: Recorded) -> Scripted:
    """A model that answers, and that calls a tool when it has one."""
    if asked.json.get("tools"):
        return sse([call(0, "call_1", "report_number", {"number": 7}), finish("tool_calls"), usage()])
    return sse([text("O"), text("K"), finish("stop"), usage()])


@dataclass
class Chain:
    """The files of one user; `examine()` is the doctor's visit."""

    folder: Path
    upstream: Upstream
    config: dict[str, Any] = field(default_factory=dict[str, Any])
    record: dict[str, Any] = field(default_factory=dict[str, Any])
    offline: bool = False

    @property
    def home(self) -> Path:
        return self.folder / "nexus"

    @property
    def codex_home(self) -> Path:
        return self.folder / "codex"

    def write(self) -> None:
        (self.home / "config.json").write_text(json.dumps(self.config))
        (self.home / "config.json").chmod(0o600)
        (self.home / "providers.json").write_text(json.dumps({"providers": [self.record]}))

    def write_codex(self, script: str) -> None:
        program = self.folder / "fake-codex"
        program.write_text(script)
        program.chmod(0o755)

    async def look(self) -> Scene:
        return await look_around(self.home, offline=self.offline)

    async def examine(self) -> dict[str, Finding]:
        """Findings by name; of two with the same name the worse."""
        found: dict[str, Finding] = {}

        def tell(findings: list[Finding], doing: str) -> None:
            for finding in findings:
                if finding.check not in found or found[finding.check].state == "ok":
                    found[finding.check] = finding

        await examine(await self.look(), tell)
        return found


@pytest.fixture
async def chain(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Chain]:
    """A chain in which all is well, except that no gateway runs and Codex knows of none."""
    for name in list(os.environ):
        if name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)
    async with Upstream(good_answers, models=["acme-1", "acme-2"]) as upstream:
        made = Chain(tmp_path, upstream)
        made.home.mkdir()
        made.codex_home.mkdir()
        made.record = {"id": "acme", "name": "Acme", "base_url": upstream.base_url, "default_model": "acme-1"}
        made.config = {
            "provider": "acme",
            "port": free_port(),
            "access_token": TOKEN,
            "provider_api_keys": {"acme": KEY},
        }
        made.write()
        made.write_codex(GOOD_CODEX.format(version="0.169.0"))
        monkeypatch.setenv("CODEX_BIN", str(tmp_path / "fake-codex"))
        monkeypatch.setenv("CODEX_HOME", str(made.codex_home))
        yield made


@pytest.fixture(autouse=True)
def _loud() -> Iterator[None]:
    """The verb silences our log; other tests want to hear it."""
    log = logging.getLogger("codex_nexus")
    level = log.level
    yield
    log.setLevel(level)


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


@pytest.fixture
async def listening() -> AsyncIterator[Callable[[int, bytes], Any]]:
    """Starts a stranger at a port, who says always the same."""
    servers: list[asyncio.Server] = []

    async def listen(port: int, said: bytes) -> None:
        async def say(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(said)
            await writer.drain()
            writer.close()

        servers.append(await asyncio.start_server(say, "127.0.0.1", port))

    yield listen
    for server in servers:
        server.close()
        await server.wait_closed()
