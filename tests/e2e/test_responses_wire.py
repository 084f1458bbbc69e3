"""The wire `responses`: the real Codex over llama.cpp's own `/v1/responses` and over our own gateway as upstream."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.codex import CodexHome
from tests.e2e.gateway_process import MODEL, TOKEN, GatewayProcess
from tests.e2e.llama_model import marked
from tests.e2e.llama_server import LlamaServer

pytestmark = pytest.mark.e2e

RESPONSES = json.dumps({"providers": [{"id": "custom", "dialect": {"wire": "responses"}}]})


def on_responses(folder: Path, upstream: str) -> GatewayProcess:
    """A gateway that asks its upstream's own Responses endpoint."""
    gateway = GatewayProcess(folder, upstream)
    gateway.home.mkdir(parents=True, exist_ok=True)
    (gateway.home / "providers.json").write_text(RESPONSES)
    return gateway


@pytest.fixture(params=["llama", "ourselves"])
def outer(
    request: pytest.FixtureRequest, llama: LlamaServer, llama_gateway: GatewayProcess, tmp_path: Path
) -> Iterator[GatewayProcess]:
    """The gateway before a server that speaks Responses."""
    upstream = llama.base_url if request.param == "llama" else llama_gateway.base_url
    with on_responses(tmp_path, upstream) as gateway:
        yield gateway


@pytest.mark.parametrize(
    ("script", "files"),
    [("two-execs", ["first.txt", "second.txt"]), ("think-exec", ["thought.txt"]), ("patch", ["patched.txt"])],
)
def test_tools_work_over_an_upstream_of_responses(
    outer: GatewayProcess, codex: CodexHome, script: str, files: list[str]
) -> None:
    codex.write_config(outer.base_url, MODEL, TOKEN, stream_max_retries=1)
    run = codex.exec(marked(script, "go"))
    assert run.returncode == 0, run.output
    assert all((codex.repo / name).exists() for name in files), run.output
    assert "All done" in run.output
