"""Recorded turns at the panel's port and on the command line."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from codex_nexus.cli import main
from codex_nexus.errors import NexusError
from codex_nexus.service import asking, tracing
from codex_nexus.service.asking import panel_address
from tests.control.conftest import KEY, Panel
from tests.serving import CODEX
from tests.upstream import Upstream, finish, sse, text
from tests.waiting import until

HELLO = sse([text("a private answer"), finish()])


async def turn(panel: Panel) -> None:
    """One turn through the gateway."""
    asked = {"model": "gpt-5", "input": "a private question", "stream": True}
    async with panel.client.post(f"{panel.supervisor.address}/v1/responses", json=asked, headers=CODEX) as reply:
        assert reply.status == 200
        await reply.read()
    await until(lambda: not panel.supervisor.gateway.traffic.running)


async def listed(panel: Panel) -> list[dict[str, Any]]:
    return (await panel.get("traces")).json["traces"]


async def test_nothing_is_recorded_until_it_is_switched_on(panel: Panel, upstream: Upstream) -> None:
    upstream.script(HELLO)
    await turn(panel)
    assert (await panel.get("traces")).json == {"keep": 0, "most": 100, "traces": []}
    assert (await panel.post("traces", {"keep": 2})).json["keep"] == 2
    for _ in range(3):
        await turn(panel)
    rows = await listed(panel)
    assert [row["id"] for row in rows] == ["2", "3"]
    status = (await panel.get("status")).json
    assert status["recording"] == {"keep": 2, "turns": [row["turn"] for row in rows]}
    assert {row["id"] for row in status["recent"]} >= set(status["recording"]["turns"])
    assert (await panel.post("traces", {"keep": 0})).json == {"keep": 0, "most": 100, "traces": []}


async def test_a_recorded_turn_is_told_with_and_without_words(panel: Panel, upstream: Upstream) -> None:
    upstream.script(HELLO)
    await panel.post("traces", {"keep": 5})
    await turn(panel)
    [row] = await listed(panel)
    for name in (row["id"], row["turn"]):
        plain, worded = await panel.get(f"traces/{name}"), await panel.get(f"traces/{name}?words=1")
        assert plain.json["turn"] == row
        assert b"private" not in plain.body
        assert b"a private question" in worded.body
        assert b"a private answer" in worded.body
        assert KEY.encode() not in plain.body + worded.body


@pytest.mark.parametrize("name", ["1", "resp_0", "%2e%2e", "a%2fb", "x" * 100, "%00", "é"])
async def test_a_turn_that_is_not_recorded_is_not_found(panel: Panel, name: str) -> None:
    assert (await panel.get(f"traces/{name}")).status == 404


@pytest.mark.parametrize("keep", [-1, 101, "5", True, None, 1.5])
async def test_a_wrong_number_is_refused(panel: Panel, keep: Any) -> None:
    reply = await panel.post("traces", {"keep": keep})
    assert (reply.status, reply.error["param"]) == (400, "keep")


async def test_the_guard_stands_before_it(panel: Panel) -> None:
    for name in ("traces", "traces/1?words=1"):
        assert (await panel.get(name, Origin="https://evil.example")).status == 403
        assert (await panel.get(name, Host="evil.example")).status == 403
    headers = {"Content-Type": "application/json", "x-nexus-csrf": "another"}
    assert (await panel.ask("POST", "/nexus-ctrl/traces", {"keep": 5}, headers)).status == 403
    assert (await panel.get("traces")).json["keep"] == 0


@pytest.mark.parametrize("panel", [{"traces": 3}], indirect=True)
async def test_the_configuration_says_it_at_the_start_and_on_a_hot_restart(panel: Panel, upstream: Upstream) -> None:
    upstream.script(HELLO)
    await turn(panel)
    assert len(await listed(panel)) == 1
    await panel.post("traces", {"keep": 0})
    assert (await panel.get("traces")).json["keep"] == 0
    assert (await panel.save({"body_limit_mb": 10}, restart=True)).status == 200
    assert (await panel.get("traces")).json["keep"] == 0
    assert (await panel.save({"traces": 7}, restart=True)).status == 200
    assert (await panel.get("traces")).json["keep"] == 7
    assert (await panel.save({"traces": 101})).json["problems"][0]["path"] == "traces"


# --- the command line


async def cli(*argv: str) -> int:
    """The verb, in a thread: the gateway answers in this one."""
    return await asyncio.to_thread(main, list(argv))


@pytest.fixture
def asked(panel: Panel, monkeypatch: pytest.MonkeyPatch) -> Panel:
    """The running service, found by the verb."""
    monkeypatch.setenv("CODEX_NEXUS_HOME", str(panel.supervisor.home))
    monkeypatch.setattr(asking, "panel_address", lambda _home, _port, _verb: panel.url)
    return panel


async def test_the_verb_lists_and_writes(
    asked: Panel, upstream: Upstream, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    upstream.script(HELLO)
    assert await cli("trace") == 0
    assert "Record turns" in capsys.readouterr().out
    await asked.post("traces", {"keep": 5})
    assert await cli("trace") == 0
    assert "No turn has come" in capsys.readouterr().out
    await turn(asked)
    assert await cli("trace") == 0
    assert "gpt-5 -> custom/" in capsys.readouterr().out
    out = tmp_path / "trace.json"
    assert await cli("trace", "1", "--out", str(out)) == 0
    assert "look it through" in capsys.readouterr().out
    assert "private" not in out.read_text()
    assert json.loads(out.read_text())["words"] is False
    assert out.stat().st_mode & 0o077 == 0
    assert await cli("trace", "1", "--words", "--out", str(out)) == 0
    assert "every word" in capsys.readouterr().out
    assert "a private question" in out.read_text()
    assert await cli("trace", "1", "--words") == 0
    said = capsys.readouterr()
    assert json.loads(said.out)["words"] is True
    assert "every word" in said.err


async def test_the_verb_says_what_is_wrong(asked: Panel, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert await cli("trace", "99") == 1
    assert "not recorded" in capsys.readouterr().err
    await asked.post("traces", {"keep": 5})
    assert await cli("trace", "../config") == 1
    assert "not recorded" in capsys.readouterr().err


def test_the_verb_finds_nobody(tmp_path: Path) -> None:
    address = panel_address(tmp_path, 6000, "trace")
    assert address == "http://127.0.0.1:6001"
    assert panel_address(tmp_path, None, "trace") == "http://127.0.0.1:5801"
    (tmp_path / "config.json").write_text('{"port": 0}')
    with pytest.raises(NexusError, match="port"):
        panel_address(tmp_path, None, "trace")
    with pytest.raises(NexusError, match="No control panel answers"):
        tracing.show("http://127.0.0.1:9", print)


async def test_the_verb_knows_a_stranger(panel: Panel) -> None:
    with pytest.raises(NexusError, match="no control panel of this version"):
        await asyncio.to_thread(tracing.show, panel.supervisor.address, print)
