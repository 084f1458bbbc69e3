"""The whole service in this process, with its panel on a free port, before a scripted provider."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from codex_nexus.service.files import Overrides
from codex_nexus.service.supervisor import Supervisor
from tests.upstream import Upstream

KEY = "sk-upstream-0123456789"
CONFIG: dict[str, Any] = {
    "provider": "custom",
    "provider_api_keys": {"custom": KEY, "kimi": ["env:SOME_KEY", "short"]},
    "outbound_proxy": "",
}


@dataclass(frozen=True)
class Reply:
    """A whole answer."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def error(self) -> dict[str, Any]:
        """The error of OpenAI's envelope, which must be whole."""
        error = self.json["error"]
        assert error.keys() == {"message", "type", "param", "code"}
        assert error["message"]
        return error


class Panel:
    """The service and a client of its panel."""

    def __init__(self, supervisor: Supervisor, client: aiohttp.ClientSession, said: list[str]) -> None:
        self.supervisor = supervisor
        self.client = client
        self.said = said
        self.token = ""

    @property
    def url(self) -> str:
        return self.supervisor.panel_address

    @property
    def file(self) -> Path:
        return self.supervisor.home / "config.json"

    async def ask(self, method: str, path: str, body: Any = None, headers: Mapping[str, str] | None = None) -> Reply:
        data = body if isinstance(body, (bytes, type(None))) else json.dumps(body).encode()
        async with self.client.request(method, self.url + path, data=data, headers=headers) as response:
            return Reply(response.status, response.headers, await response.read())

    async def get(self, name: str, **headers: str) -> Reply:
        return await self.ask("GET", f"/nexus-ctrl/{name}", headers=headers)

    async def post(self, name: str, body: Any = None, headers: Mapping[str, str] | None = None) -> Reply:
        if not self.token:
            self.token = (await self.get("session")).json["token"]
        ours = {"Content-Type": "application/json", "x-nexus-csrf": self.token}
        return await self.ask(
            "POST", f"/nexus-ctrl/{name}", body if body is not None else {}, ours | dict(headers or {})
        )

    async def save(self, change: dict[str, Any], *, restart: bool = False, tag: str | None = None) -> Reply:
        """Saves the configuration as it is shown, with this change."""
        shown = (await self.get("config")).json
        sent = {"config": shown["config"] | change, "restart": restart}
        return await self.post("config", sent, {"If-Match": tag or shown["etag"]})


@pytest.fixture
async def upstream() -> AsyncIterator[Upstream]:
    """The scripted provider."""
    async with Upstream(models=("scripted", "other")) as running:
        yield running


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of the configuration; Codex has a home of its own."""
    (tmp_path / "codex").mkdir()
    monkeypatch.setenv("CODEX_HOME", str(tmp_path / "codex"))
    monkeypatch.delenv("SOME_KEY", raising=False)
    (tmp_path / "nexus").mkdir()
    return tmp_path / "nexus"


@pytest.fixture
async def panel(home: Path, upstream: Upstream, request: pytest.FixtureRequest) -> AsyncIterator[Panel]:
    """A running service. A parameter is what its configuration file holds; None: there is no file."""
    given: Any = getattr(request, "param", {})
    if given is not None:
        config = {**CONFIG, "custom_upstream": upstream.base_url, **given}
        (home / "config.json").write_text(json.dumps(config))
    said: list[str] = []
    supervisor = Supervisor(home, Overrides(port=0), said.append)
    await supervisor.start()
    async with aiohttp.ClientSession() as client:
        yield Panel(supervisor, client, said)
    await supervisor.stop()
