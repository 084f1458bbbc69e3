"""`codex-nexus usage`, run inside this process on a store as a gateway leaves it behind."""

from __future__ import annotations

import asyncio
import json
import time
from pathlib import Path
from typing import Any

import pytest

from codex_nexus.budgets import day_of
from codex_nexus.cli import main
from codex_nexus.sessions.sqlite import SqliteStore
from codex_nexus.sessions.usage import NANO, Place, Spent, Usage


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder of the user's files."""
    monkeypatch.setenv("CODEX_NEXUS_HOME", str(tmp_path))
    return tmp_path


def keep(home: Path, usage: Usage) -> None:
    """What a gateway has counted."""

    async def run() -> None:
        store = SqliteStore(home / "nexus.db")
        await store.add_usage(usage)
        await store.close()

    asyncio.run(run())


def today(ago: int = 0) -> str:
    return day_of(time.time(), ago)


def some(home: Path) -> None:
    keep(
        home,
        {
            Place(today(), "kimi", "k3"): Spent(12, 1, 1_000_000, 800_000, 20_000, 5_000, 2 * NANO),
            Place(today(), "kimi", "k3", "somebody"): Spent(1, 0, 10, 0, 5, 0, 0, 15),
            Place(today(1), "ollama", "qwen3"): Spent(3, 0, 500, 0, 50, 0, 0, 550),
            Place(today(9), "zai", "glm"): Spent(3),
        },
    )


def test_the_table(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    some(home)
    assert main(["usage"]) == 0
    head, *rows = capsys.readouterr().out.splitlines()
    assert head.split() == [
        "day", "provider", "model", "turns", "failed", "input", "cached", "output", "reasoning", "at", "list", "price",
    ]  # fmt: skip
    assert rows[0].split() == [today(1), "ollama", "qwen3", "3", "500", "0", "%", "50", "?"]
    assert rows[1].split() == [
        today(), "kimi", "k3", "13", "1", "1,000,010", "80", "%", "20,005", "5,000", "$2.00+",
    ]  # fmt: skip
    assert rows[2].split()[:2] == ["total", "16"]
    assert rows[3] == "No price is known for 565 of 1,020,565 tokens."
    assert len(rows) == 4


def test_days(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    some(home)
    main(["usage", "--days", "10"])
    assert "glm" in capsys.readouterr().out
    main(["usage", "--days", "1"])
    assert "ollama" not in capsys.readouterr().out


def test_json(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    some(home)
    (home / "config.json").write_text(json.dumps({"budgets": {"kimi": {"turns_per_day": 15}}}))
    assert main(["usage", "--json", "--days", "2"]) == 0
    said: dict[str, Any] = json.loads(capsys.readouterr().out)
    assert (said["since"], said["days"], len(said["rows"])) == (today(1), 2, 3)
    assert {row["owner"] for row in said["rows"]} == {"", "somebody"}
    assert said["rows"][1]["cost"] == 2
    assert said["rows"][0]["cost"] is None
    assert said["total"]["turns"] == 16
    assert said["budgets"] == [{"key": "budgets.kimi.turns_per_day", "limit": 15, "used": 12, "state": "nearly"}]


def test_budgets_stand_below_the_table(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    some(home)
    (home / "config.json").write_text(json.dumps({"budgets": {"kimi": {"turns_per_day": 12}}}))
    main(["usage"])
    assert capsys.readouterr().out.splitlines()[-1] == (
        "budgets.kimi.turns_per_day: 12 of 12 turns today (100 %), turns are refused until 00:00 UTC"
    )


def test_without_a_store_nothing_is_made(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["usage"]) == 0
    assert capsys.readouterr().out == "Nothing was counted in the last 7 days (UTC).\n"
    assert list(home.iterdir()) == []


@pytest.mark.parametrize("days", ["0", "-1", "x", "99999999"])
def test_no_number_of_days(home: Path, capsys: pytest.CaptureFixture[str], days: str) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["usage", "--days", days])
    assert ended.value.code == 2
    assert "no number of days" in capsys.readouterr().err or days == "-1"


def test_a_store_that_cannot_be_opened(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (home / "nexus.db").write_text("no database, but long enough to look like something else" * 100)
    assert main(["usage"]) == 1
    assert "cannot be opened" in capsys.readouterr().err
