"""`codex-nexus models`: the live list over the record, in a table and as JSON; faults in plain sentences."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from codex_nexus import cli
from codex_nexus.gateway.learned import Learned
from codex_nexus.providers.catalogue import shipped
from codex_nexus.translate.faults import Fault
from tests.local_servers import LLAMACPP, OLLAMA, LocalServer, listed

Write = Callable[..., None]
KNOWN = {
    "id": "big",
    "name": "Big One",
    "context_window": 200000,
    "max_output": 8192,
    "price": [0.1, 1, 2.5],
    "images": True,
}


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("CODEX_NEXUS_HOME", str(tmp_path))
    return tmp_path


@pytest.fixture
def write(home: Path) -> Write:
    def files(config: dict[str, Any] | None = None, **records: dict[str, Any]) -> None:
        listing = [{"id": name, "name": name.capitalize(), **record} for name, record in records.items()]
        (home / "config.json").write_text(json.dumps(config or {}))
        (home / "providers.json").write_text(json.dumps({"providers": listing}))

    return files


async def run(*arguments: str) -> int:
    return await asyncio.to_thread(cli.main, ["models", *arguments])


async def test_the_live_list_is_laid_over_the_record(write: Write, capsys: pytest.CaptureFixture[str]) -> None:
    pages = {"GET /v1/models": listed("big", "new", context_length=64000)}
    async with LocalServer(pages) as server:
        write(house={"base_url": server.base_url, "local": True, "models": [KNOWN, {"id": "gone"}]})
        assert await run("house", "--json") == 0
    [offer] = json.loads(capsys.readouterr().out)
    assert (offer["provider"], offer["name"], offer["problem"]) == ("house", "House", "")
    told = {model["id"]: model for model in offer["models"]}
    assert list(told) == ["big", "gone", "new"]
    assert (told["big"]["context_window"], told["big"]["max_output"], told["big"]["price"]) == (
        200000,
        8192,
        [0.1, 1, 2.5],
    )
    assert [model["listed"] for model in told.values()] == [True, False, True]
    assert (told["new"]["context_window"], told["new"]["images"]) == (64000, None)


async def test_the_table_is_for_people(write: Write, capsys: pytest.CaptureFixture[str]) -> None:
    async with LocalServer({"GET /v1/models": listed("big", "new")}) as server:
        write(house={"base_url": server.base_url, "local": True, "models": [KNOWN, {"id": "gone"}]})
        assert await run("house") == 0
    title, head, big, gone, new = capsys.readouterr().out.splitlines()
    assert title == f"House (house)  {server.base_url}"
    assert head.split() == [
        "model",
        "window",
        "output",
        "images",
        "$",
        "per",
        "million",
        "in",
        "/",
        "cached",
        "/",
        "out",
    ]
    assert big.split() == ["big", "200,000", "8,192", "yes", "1", "/", "0.1", "/", "2.5"]
    assert gone.endswith("not in its own list")
    assert new.split() == ["new", "?", "?"]


async def test_a_learned_window_wins(home: Path, write: Write, capsys: pytest.CaptureFixture[str]) -> None:
    refusal = Fault("context_length_exceeded", "This model's maximum context length is 16384 tokens.")
    Learned(home).learn_window("house/new", refusal)
    async with LocalServer({"GET /v1/models": listed("new")}) as server:
        write(house={"base_url": server.base_url, "local": True})
        await run("house", "--json")
    assert json.loads(capsys.readouterr().out)[0]["models"][0]["context_window"] == 16384


async def test_a_fault_is_a_sentence(write: Write, capsys: pytest.CaptureFixture[str]) -> None:
    async with LocalServer({"GET /v1/models": 503}) as server:
        write({"provider": "down"}, house={"base_url": server.base_url, "local": True, "models": [KNOWN]},
              down={"base_url": "http://127.0.0.1:9/v1", "local": True})  # fmt: skip
        assert await run("house") == 0
        shown = capsys.readouterr().out
        assert await run() == 1
    assert "Its own list cannot be had." in shown
    assert "What follows is what we know of it." in shown
    assert "big" in shown
    assert "Down cannot be reached at http://127.0.0.1:9/v1/models." in capsys.readouterr().out


async def test_without_a_key_the_record_is_shown(write: Write, capsys: pytest.CaptureFixture[str]) -> None:
    write(house={"base_url": "http://127.0.0.1:9/v1", "models": [KNOWN]})
    assert await run("house") == 0
    assert "no API key for House" in capsys.readouterr().out


async def test_a_name_that_is_none_is_said(write: Write, capsys: pytest.CaptureFixture[str]) -> None:
    write(house={"base_url": "http://127.0.0.1:9/v1", "local": True})
    assert await run("huose") == 1
    assert "did you mean house" in capsys.readouterr().err


async def test_a_scan_finds_servers(write: Write, capsys: pytest.CaptureFixture[str]) -> None:
    dead = {record.id: {"base_url": "http://127.0.0.1:9/v1"} for record in shipped().providers.values() if record.local}
    write(**dead)
    assert await run("--scan") == 1
    assert capsys.readouterr().out == "No server answers at http://127.0.0.1:9/v1.\n"
    async with LocalServer(OLLAMA) as ollama, LocalServer(LLAMACPP) as stray:
        write(**dead | {"ollama": {"base_url": ollama.base_url}, "vllm": {"base_url": stray.base_url}})
        assert await run("--scan") == 0
    shown = capsys.readouterr().out
    assert "Ask for ollama/gemma3:4b." in shown
    assert "up to 4,096" in shown
    assert f'"provider_addresses": {{"llamacpp": "{stray.base_url}"}} in config.json' in shown
