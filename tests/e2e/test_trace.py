"""A turn of the real Codex on record, asked for with the real verb."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.codex import PATIENCE, CodexHome
from tests.e2e.gateway_process import MODEL, TOKEN, UPSTREAM_KEY, GatewayProcess
from tests.upstream import Upstream, call, finish, reasoning, sse, text, usage

pytestmark = pytest.mark.e2e

WORD = "albatross"


@pytest.fixture
def recording(upstream: Upstream, tmp_path: Path) -> Iterator[GatewayProcess]:
    """A gateway that keeps its last turns on record."""
    process = GatewayProcess(tmp_path, upstream.base_url)
    process.config = process.config | {"traces": 5}
    with process as running:
        yield running
        print(running.log)


def trace(gateway: GatewayProcess, *argv: str) -> str:
    """What the verb prints."""
    command = [sys.executable, "-m", "codex_nexus", "--port", str(gateway.port), "trace", *argv]
    environ = {**os.environ, "CODEX_NEXUS_HOME": str(gateway.home)}
    done = subprocess.run(command, env=environ, capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_turn_of_codex_is_written_without_its_words(
    codex: CodexHome, recording: GatewayProcess, upstream: Upstream, tmp_path: Path
) -> None:
    codex.write_config(recording.base_url, MODEL, TOKEN, stream_max_retries=1)
    upstream.script(
        sse(
            [
                reasoning(WORD),
                call(0, "call_0", "exec_command", {"cmd": f"echo {WORD}"}),
                finish("tool_calls"),
                usage(12, 3),
            ]
        ),
        sse([text(f"The {WORD} "), text("flies."), finish("stop"), usage(12, 3)]),
    )
    run = codex.exec(f"say {WORD}")
    assert run.returncode == 0, run
    assert len(trace(recording).splitlines()) == 3
    out = tmp_path / "trace.json"
    trace(recording, "2", "--out", str(out))
    told = out.read_text("utf-8")
    seen = json.loads(told)
    for secret in (WORD, TOKEN, UPSTREAM_KEY, "You are"):
        assert secret not in told
    assert seen["client_request"]["headers"]["originator"] == "codex_exec"
    assert "exec_command" in told
    assert seen["turn"]["status"] == "completed"
    worded = trace(recording, "2", "--words")
    assert WORD in worded
    assert TOKEN not in worded
    assert UPSTREAM_KEY not in worded
