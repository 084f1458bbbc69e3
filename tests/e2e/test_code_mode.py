"""Codex's own code-mode models through a chat upstream: tools inside `additional_tools`, JavaScript in `exec`."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.e2e.codex import CodexHome
from tests.e2e.gateway_process import TOKEN, GatewayProcess
from tests.upstream import call, finish, running_upstream, sse, text, usage

pytestmark = pytest.mark.e2e

SCRIPT = 'const r = await tools.exec_command({cmd: "echo code > code.txt; cat code.txt"}); text(r.output);'


def test_a_code_mode_model_completes_a_tool_turn(codex: CodexHome, tmp_path: Path) -> None:
    overrides = {"custom": {"gpt-6-sol": "scripted"}}
    with (
        running_upstream() as upstream,
        GatewayProcess(tmp_path, upstream.base_url, model_overrides=overrides) as gateway,
    ):
        upstream.script(
            sse([call(0, "c1", "exec", {"input": SCRIPT}), finish("tool_calls"), usage(10, 5)]),
            sse([text("done in code mode"), finish("stop"), usage(10, 5)]),
        )
        codex.write_config(gateway.base_url, "gpt-6-sol", TOKEN, stream_max_retries=1)
        # without our catalogue Codex takes its own, in which this model is one of code mode
        codex.config_file.write_text(re.sub(r"model_catalog_url.*\n", "", codex.config_file.read_text()))
        run = codex.exec("hi")
        offered = {tool["function"]["name"] for tool in upstream.requests[0].json["tools"]}
        answered = upstream.requests[-1].json["messages"][-1]
    assert run.returncode == 0, run.output
    assert {"exec", "wait"} <= offered
    assert (codex.repo / "code.txt").read_text() == "code\n"
    assert answered["role"] == "tool"
    assert "Script completed" in answered["content"]
    assert "done in code mode" in run.output
