"""`codex-nexus doctor` as a user runs it: before the real Codex, with the gateway up and down."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.gateway_process import TOKEN, UPSTREAM_KEY, GatewayProcess
from tests.upstream import Recorded, Scripted, Upstream, call, finish, sse, stall, text, usage
from tests.waiting import PATIENCE, eventually

pytestmark = pytest.mark.e2e


def good_model(asked: Recorded) -> Scripted:
    """Answers, and calls a tool when it has one."""
    if asked.json.get("tools"):
        return sse([call(0, "call_1", "report_number", {"number": 7}), finish("tool_calls"), usage()])
    return sse([text("O"), text("K"), finish("stop"), usage()])


@pytest.fixture
def installed(upstream: Upstream, tmp_path: Path, binary: Path) -> Iterator[GatewayProcess]:
    """A gateway whose part stands in Codex's configuration."""
    upstream.script(good_model)
    gateway = GatewayProcess(tmp_path, upstream.base_url)
    gateway.config["port"] = gateway.port
    with gateway:
        (tmp_path / "codex").mkdir(exist_ok=True)
        done = verb(gateway, binary, "inject")
        assert done.returncode == 0, done
        yield gateway


def environment(gateway: GatewayProcess, binary: Path | str) -> dict[str, str]:
    """The user's environment."""
    return gateway._environment() | {"CODEX_BIN": str(binary)}


def verb(gateway: GatewayProcess, binary: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """One verb, to its end."""
    command = [sys.executable, "-m", "codex_nexus", *words]
    return subprocess.run(
        command, env=environment(gateway, binary), capture_output=True, text=True, check=False, timeout=PATIENCE
    )


def report(done: subprocess.CompletedProcess[str]) -> dict[str, Any]:
    """What `--json` printed; no secret is in it."""
    for secret in (TOKEN, UPSTREAM_KEY):
        assert secret not in done.stdout + done.stderr
    return json.loads(done.stdout)


def unwell(found: dict[str, Any]) -> list[dict[str, Any]]:
    """Findings that are not ok."""
    return [finding for finding in found["findings"] if finding["state"] != "ok"]


def test_all_is_well(installed: GatewayProcess, binary: Path, upstream: Upstream) -> None:
    done = verb(installed, binary, "doctor", "--json")
    found = report(done)
    assert not unwell(found), found
    assert found["state"] == "ok"
    assert done.returncode == 0
    assert found["versions"]["codex"] == "0.169.0"
    assert found["versions"]["gateway"] == found["versions"]["codex-nexus"]
    assert found["home"] == "~/nexus"
    assert {"codex.catalogue", "provider.custom.answer", "provider.custom.tools", "clock"} <= {
        finding["check"] for finding in found["findings"]
    }
    assert len(upstream.requests) == 2


def test_with_the_gateway_down(installed: GatewayProcess, binary: Path) -> None:
    installed.stop()
    done = verb(installed, binary, "doctor", "--json")
    found = report(done)
    assert [finding["check"] for finding in unwell(found)] == ["gateway"], found
    assert done.returncode == 0


def test_what_a_person_reads(installed: GatewayProcess, binary: Path) -> None:
    done = verb(installed, binary, "doctor", "--offline")
    assert done.returncode == 0, done
    lines = done.stdout.splitlines()
    assert f"ok      The gateway answers at http://127.0.0.1:{installed.port}, version" in done.stdout
    assert lines[-1].endswith("ok, 0 warnings, 0 faults.")
    assert "\x1b" not in done.stdout
    assert not done.stderr


def test_a_provider_that_is_gone(installed: GatewayProcess, binary: Path) -> None:
    config = installed.config | {"custom_upstream": "http://127.0.0.1:9/v1"}
    (installed.home / "config.json").write_text(json.dumps(config))
    done = verb(installed, binary, "doctor", "--json")
    assert [finding["check"] for finding in unwell(report(done))] == ["provider.custom.reach"]
    assert done.returncode == 1


@pytest.mark.skipif(os.name == "nt", reason="signals")
def test_ctrl_c_ends_it_at_once(upstream: Upstream, tmp_path: Path) -> None:
    upstream.script(stall())
    gateway = GatewayProcess(tmp_path, upstream.base_url)
    gateway._write_config()
    command = [sys.executable, "-m", "codex_nexus", "doctor"]
    environ = environment(gateway, "no-codex")
    with subprocess.Popen(
        command, env=environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    ) as process:
        eventually(lambda: upstream.requests)
        began = time.monotonic()
        process.send_signal(signal.SIGINT)
        output, complaint = process.communicate(timeout=PATIENCE)
    assert time.monotonic() - began < PATIENCE / 4
    assert process.returncode == 130
    assert "Traceback" not in output + complaint
    eventually(upstream.aborted.is_set)
