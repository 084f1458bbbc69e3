"""The probe and the scan against llama.cpp's own server with the scripted model."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from codex_nexus import cli
from tests.e2e.llama_server import ALIAS, CONTEXT, LlamaServer
from tests.probe.conftest import quiet_log

pytestmark = pytest.mark.e2e
__all__ = ["quiet_log"]


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, llama: LlamaServer) -> Path:
    monkeypatch.setenv("CODEX_NEXUS_HOME", str(tmp_path))
    record = {"id": "llamacpp", "base_url": llama.base_url}
    (tmp_path / "providers.json").write_text(json.dumps({"providers": [record]}))
    return tmp_path


def test_the_scan_knows_the_window(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["models", "--scan", "--json"]) == 0
    offers = {offer["provider"]: offer for offer in json.loads(capsys.readouterr().out)}
    [model] = offers["llamacpp"]["models"]
    assert (model["id"], model["context_window"], model["at_most"]) == (ALIAS, CONTEXT, False)


def test_the_table_is_right(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["probe", "llamacpp", "--json", "--write"]) == 0
    report: dict[str, Any] = json.loads(capsys.readouterr().out)
    assert report["model"] == ALIAS
    results = {row["question"]: row["result"] for row in report["rows"]}
    # Its grammar holds even this model, which then draws lots: seldom it draws blanks for ever.
    drawn = {results.pop(name) for name in ("JSON schema", "schema with tools")}
    assert drawn <= {"works", "repaired", "differs"}
    assert results == {
        "text": "works",
        "tool call": "differs",  # the model recites; it calls nothing unless its marker is there
        "parallel calls": "differs",
        "results and reasoning": "left out",
        "custom tool": "differs",
        "tool schemas": "differs",
        "late instructions": "works",
        "older thread": "works",
        "reasoning effort": "works",
        "image": "repaired",  # the server has no projector for images
        "long output": "differs",
        "no limit set": "differs",
        "cut at a limit": "works",
    }
    assert report["suggested"]["images"] == "none"
    assert cli.main(["probe", "llamacpp", "--json"]) == 0
    again = json.loads(capsys.readouterr().out)
    assert "images" not in again["suggested"]
    assert next(row for row in again["rows"] if row["question"] == "image")["result"] == "works"
