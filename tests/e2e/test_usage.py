"""Budgets and usage as the user of the real Codex meets them."""

import json
import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from codex_nexus.gateway.usage import _FRESH_S
from tests.e2e.codex import PATIENCE, CodexHome
from tests.e2e.gateway_process import MODEL, TOKEN, GatewayProcess
from tests.upstream import Upstream, finish, sse, text, usage
from tests.waiting import eventually

pytestmark = pytest.mark.e2e

HELLO = sse([text("Good morning."), finish("stop"), usage(1200, 30, cached=1000)])


@pytest.fixture
def gateway(upstream: Upstream, tmp_path: Path) -> Iterator[GatewayProcess]:
    """A gateway with a budget of one turn."""
    with GatewayProcess(tmp_path, upstream.base_url, budgets={"custom": {"turns_per_day": 1}}) as running:
        yield running
        print(running.log)


@pytest.fixture
def patient(codex: CodexHome, gateway: GatewayProcess) -> CodexHome:
    """A Codex that tries again as often as it does by itself."""
    codex.write_config(gateway.base_url, MODEL, TOKEN, stream_max_retries=5)
    return codex


def used(gateway: GatewayProcess) -> dict[str, Any]:
    """What the verb tells."""
    environ = {**os.environ, "CODEX_NEXUS_HOME": str(gateway.home)}
    command = [sys.executable, "-m", "codex_nexus", "usage", "--json"]
    return json.loads(subprocess.run(command, env=environ, check=True, capture_output=True, timeout=PATIENCE).stdout)


def test_codex_stops_at_once_and_shows_the_sentence(
    patient: CodexHome, gateway: GatewayProcess, upstream: Upstream
) -> None:
    upstream.script(HELLO)
    assert patient.exec("greet me").returncode == 0
    asked = len(upstream.requests)
    refused = gateway.log.count(" refused: ")
    run = patient.exec("greet me again")
    assert not run.ended_by_us, run
    assert run.returncode != 0, run
    assert gateway.log.count(" refused: ") == refused + 1  # Codex asked once
    assert "is used up: 1 of 1 turns. It begins anew at 00:00 UTC" in run.output, run
    assert "'budgets.custom.turns_per_day' in config.json changes it." in run.output, run
    assert len(upstream.requests) == asked
    gateway.stop()
    gateway.start()
    again = patient.exec("greet me once more")
    assert "is used up" in again.output, again
    assert len(upstream.requests) == asked


def test_the_verb_tells_with_the_gateway_up_and_down(
    patient: CodexHome, gateway: GatewayProcess, upstream: Upstream
) -> None:
    upstream.script(HELLO)
    assert patient.exec("greet me").returncode == 0
    eventually(lambda: used(gateway)["rows"])
    said = used(gateway)
    [row] = said["rows"]
    assert (row["provider"], row["model"], row["turns"], row["input_tokens"], row["cached_tokens"]) == (
        "custom", "scripted", 1, 1200, 1000,
    )  # fmt: skip
    gateway.stop()
    assert used(gateway)["rows"] == said["rows"]


def test_what_ended_just_before_the_gateway_is_kept(
    gateway: GatewayProcess, patient: CodexHome, upstream: Upstream
) -> None:
    upstream.script(HELLO)
    assert patient.exec("greet me").returncode == 0
    gateway.stop()
    assert used(gateway)["total"]["turns"] == 1


@pytest.mark.skipif(os.name == "nt", reason="workers need a system that can share a socket")
def test_workers_hold_a_budget_together(upstream: Upstream, tmp_path: Path) -> None:
    upstream.script(HELLO)
    gateway = GatewayProcess(tmp_path, upstream.base_url, budgets={"custom": {"turns_per_day": 4}})
    gateway.flags = ("--workers", "3")
    with gateway:
        for _ in range(4):
            assert asked(gateway) == 200
        eventually(lambda: used(gateway)["total"]["turns"] == 4)
        time.sleep(_FRESH_S + 0.5)  # a worker that has not heard of it by now asks
        assert {asked(gateway) for _ in range(12)} == {429}
        assert used(gateway)["total"]["turns"] == 4
        eventually(lambda: "budget: 100 % of budgets.custom.turns_per_day" in gateway.log)
        assert gateway.log.count("budget: 100 % of budgets.custom.turns_per_day") == 1


def asked(gateway: GatewayProcess) -> int:
    """The status of a turn, over a connection of its own."""
    body = json.dumps({"model": MODEL, "input": "hi", "store": False}).encode()
    headers = {"Content-Type": "application/json", "Connection": "close"}
    request = urllib.request.Request(f"{gateway.base_url}/responses", body, headers)
    try:
        with urllib.request.urlopen(request, timeout=PATIENCE) as reply:
            return int(reply.status)
    except urllib.error.HTTPError as error:
        return error.code
