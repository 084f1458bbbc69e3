"""The panel's own port: one above the gateway's, also when that moves or is taken."""

from __future__ import annotations

import json
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path

import aiohttp
import pytest

from codex_nexus.service.files import Overrides
from codex_nexus.service.supervisor import Supervisor
from tests.control.conftest import Panel
from tests.e2e.gateway_process import _free_port_pair

Start = Callable[[int], Awaitable[Panel]]


@pytest.fixture
async def start(home: Path) -> AsyncIterator[Start]:
    """Starts the service on a port."""
    async with AsyncExitStack() as running:

        async def started(port: int) -> Panel:
            (home / "config.json").write_text(json.dumps({"port": port}))
            said: list[str] = []
            supervisor = Supervisor(home, Overrides(), said.append)
            await supervisor.start()
            running.push_async_callback(supervisor.stop)
            return Panel(supervisor, await running.enter_async_context(aiohttp.ClientSession()), said)

        yield started


async def test_both_addresses_are_told_one_line_each(start: Start) -> None:
    port = _free_port_pair()
    panel = await start(port)
    assert panel.said[:2] == [
        f"[nexus] Codex Nexus running: http://127.0.0.1:{port}",
        f"[web] Control panel: http://127.0.0.1:{port + 1}",
    ]
    assert "its guide" in panel.said[2]


async def test_the_panel_moves_with_the_gateway_and_the_old_port_says_so(start: Start) -> None:
    panel, port = await start(_free_port_pair()), _free_port_pair()
    before = panel.url
    reply = await panel.save({"port": port}, restart=True)
    assert reply.json["panel"] == panel.url == f"http://127.0.0.1:{port + 1}"
    assert (await panel.get("status")).json["address"] == f"http://127.0.0.1:{port}"
    async with panel.client.get(f"{before}/nexus-ctrl/status") as answer:
        assert (await answer.json())["panel"] == panel.url


async def test_a_panel_that_cannot_move_stays(start: Start) -> None:
    panel, port = await start(_free_port_pair()), _free_port_pair()
    before = panel.url
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", port + 1))
        taken.listen()
        assert (await panel.save({"port": port}, restart=True)).status == 200
    assert panel.url == before
    assert any("is taken" in line and before in line for line in panel.said)


async def test_a_gateway_runs_without_its_panel(start: Start) -> None:
    port = _free_port_pair()
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", port + 1))
        taken.listen()
        panel = await start(port)
    assert panel.supervisor.address == f"http://127.0.0.1:{port}"
    assert panel.url == ""
    assert any(f"Port {port + 1} is taken" in line for line in panel.said)
