"""Context windows and repairs learned from refusals, kept over a restart."""

from __future__ import annotations

import json
import stat
import time
from pathlib import Path

import pytest

from codex_nexus.gateway.learned import Learned
from codex_nexus.providers.catalogue import ProviderRecord
from codex_nexus.routing import Destination
from codex_nexus.translate.dialect import DEFAULT, Dialect
from codex_nexus.translate.faults import Fault, classify


def overflow(tokens: int) -> Fault:
    """A refusal that names a window."""
    message = f"This model's maximum context length is {tokens} tokens. However, you requested 999999 tokens."
    return classify(400, json.dumps({"error": {"message": message}}).encode())


def test_a_window_is_learned(tmp_path: Path) -> None:
    windows = Learned(tmp_path)
    before = windows.version
    windows.learn_window("house/big", overflow(16384))
    assert windows.window("house/big") == 16384
    assert windows.window("house/other") is None
    assert windows.version != before


def test_the_same_window_changes_nothing(tmp_path: Path) -> None:
    windows = Learned(tmp_path)
    windows.learn_window("house/big", overflow(16384))
    version = windows.version
    windows.learn_window("house/big", overflow(16384))
    assert windows.version == version
    windows.learn_window("house/big", overflow(32768))
    assert windows.version != version


@pytest.mark.parametrize(
    "fault",
    [overflow(12), Fault("server", "boom"), Fault("bad_request", "maximum context length"), Fault("timeout", "")],
)
def test_other_refusals_teach_nothing(tmp_path: Path, fault: Fault) -> None:
    windows = Learned(tmp_path)
    windows.learn_window("house/big", fault)
    assert windows.window("house/big") is None
    assert list(tmp_path.iterdir()) == []


def test_what_was_learned_is_there_after_a_restart(tmp_path: Path) -> None:
    Learned(tmp_path).learn_window("house/big", overflow(16384))
    assert Learned(tmp_path).window("house/big") == 16384
    [file] = tmp_path.iterdir()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


@pytest.mark.parametrize("content", ["", "{", "[]", '{"windows": []}', '{"windows": {"house/big": "x"}}', "\x00"])
def test_a_broken_file_is_forgotten(tmp_path: Path, content: str) -> None:
    (tmp_path / "learned.json").write_text(content)
    windows = Learned(tmp_path)
    assert windows.window("house/big") is None
    windows.learn_window("house/big", overflow(16384))
    assert Learned(tmp_path).window("house/big") == 16384


def test_without_a_folder_it_is_kept_in_memory() -> None:
    windows = Learned(None)
    windows.learn_window("house/big", overflow(16384))
    assert windows.window("house/big") == 16384


def test_a_folder_that_cannot_be_written_is_no_failure(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    windows = Learned(tmp_path / "file")
    windows.learn_window("house/big", overflow(16384))
    assert windows.window("house/big") == 16384


# --- repairs


def destination(dialect: Dialect = DEFAULT, url: str = "http://a/v1") -> Destination:
    """A model of a provider at an address."""
    return Destination(ProviderRecord(id="house", base_url=url), "big", ("",), dialect)


HEALS = ["drop_field:user", "system_head", "retry_once_then_text"]


def test_a_repair_is_there_after_a_restart(tmp_path: Path) -> None:
    Learned(tmp_path).learn_repairs(destination(), HEALS)
    learned = Learned(tmp_path)
    assert learned.applied(destination()).dialect == Dialect(drop_params=("user",), system="head")
    assert learned.repairs()["house/big"].heals == ("drop_field:user", "system_head")


def test_repairs_add_up(tmp_path: Path) -> None:
    learned = Learned(tmp_path)
    learned.learn_repairs(destination(), ["drop_field:user"])
    learned.learn_repairs(destination(), ["drop_field:user", "drop_field:verbosity"])
    assert learned.applied(destination()).dialect.drop_params == ("user", "verbosity")


def test_a_repair_changes_what_the_data_say_now() -> None:
    learned = Learned(None)
    learned.learn_repairs(destination(), ["drop_field:user"])
    changed = destination(Dialect(max_output=5, drop_params=("store",)))
    assert learned.applied(changed).dialect == Dialect(max_output=5, drop_params=("store", "user"))


def test_a_repair_belongs_to_its_address() -> None:
    learned = Learned(None)
    learned.learn_repairs(destination(), ["drop_field:user"])
    other = destination(url="http://b/v1")
    assert learned.applied(other) is other


def test_a_repair_is_forgotten_after_a_week(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    learned = Learned(tmp_path)
    learned.learn_repairs(destination(), ["drop_field:user"])
    later = time.time() + 7 * 24 * 3600 + 1
    monkeypatch.setattr("codex_nexus.gateway.learned.time.time", lambda: later)
    assert learned.applied(destination()).dialect == DEFAULT
    assert Learned(tmp_path).repairs() == {}


def test_nothing_lasting_is_not_written(tmp_path: Path) -> None:
    learned = Learned(tmp_path)
    learned.learn_repairs(destination(), [])
    learned.learn_repairs(destination(), ["retry_once_then_text"])
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("repairs", ["[]", '{"house/big": 7}', '{"house/big": {"heals": "x", "at": 1}}'])
def test_broken_repairs_are_forgotten(tmp_path: Path, repairs: str) -> None:
    (tmp_path / "learned.json").write_text(f'{{"windows": {{"house/big": 5000}}, "repairs": {repairs}}}')
    learned = Learned(tmp_path)
    assert learned.repairs() == {}
    assert learned.window("house/big") == 5000
