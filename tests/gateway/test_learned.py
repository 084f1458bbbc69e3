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


def test_what_is_learned_again_wins_over_what_was_learned_since() -> None:
    learned = Learned(None)
    asked = destination(Dialect(max_tokens_field="omit"))
    for field in ("max_tokens", "max_completion_tokens", "max_tokens"):
        learned.learn_repairs(asked, [f"use_field:{field}"])
        assert learned.applied(asked).dialect.max_tokens_field == field
    assert learned.repairs()["house/big"].heals == ("use_field:max_tokens",)


def test_a_repair_that_goes_a_step_further_is_remembered_with_both_steps() -> None:
    learned = Learned(None)
    for missing in ("empty", "space"):
        learned.learn_repairs(destination(), ["replay_reasoning"])
        assert learned.applied(destination()).dialect.reasoning_missing == missing
    assert learned.repairs()["house/big"].heals == ("replay_reasoning", "replay_reasoning")


def test_processes_learn_from_each_other(tmp_path: Path) -> None:
    one, two = Learned(tmp_path), Learned(tmp_path)
    one.learn_repairs(destination(), ["drop_field:user"])
    two.learn_window("house/big", overflow(16384))
    two.learn_repairs(destination(), ["drop_field:store"])
    for known in (one, two, Learned(tmp_path)):
        assert known.applied(destination()).dialect.drop_params == ("user", "store")
        assert known.window("house/big") == 16384
    assert one.version == two.version != Learned(None).version


def test_who_deletes_the_file_makes_everybody_forget(tmp_path: Path) -> None:
    one, two = Learned(tmp_path), Learned(tmp_path)
    one.learn_repairs(destination(), ["drop_field:user"])
    assert two.repairs()
    (tmp_path / "learned.json").unlink()
    assert one.repairs() == two.repairs() == {}


def test_where_nothing_can_be_written_it_is_kept_in_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuses(path: Path, data: bytes) -> None:
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr("codex_nexus.gateway.learned.write_private", refuses)
    learned = Learned(tmp_path)
    learned.learn_repairs(destination(), ["drop_field:user"])
    assert learned.applied(destination()).dialect.drop_params == ("user",)
    assert "cannot be written: Read-only file system" in caplog.text


def test_one_line_of_the_log_tells_what_was_repaired_and_for_whom(caplog: pytest.LogCaptureFixture) -> None:
    Learned(None).learn_repairs(destination(), ["drop_field:user", "system_head"])
    [record] = caplog.records
    assert record.getMessage() == (
        "house/big: repaired, and so for a week: 'user' is left out; "
        "all instructions stand in one system message at the head"
    )


@pytest.mark.parametrize("heal", ["clamp_max_tokens:lots", "effort:", "use_field:x", "nonsense", "drop_field:"])
def test_a_hand_made_repair_breaks_nothing(tmp_path: Path, heal: str) -> None:
    repairs = {"house/big": {"heals": [heal], "at": "http://a/v1", "until": 1e12}}
    (tmp_path / "learned.json").write_text(json.dumps({"repairs": repairs}))
    assert Learned(tmp_path).applied(destination()).model == "big"


def test_nothing_lasting_is_not_written(tmp_path: Path) -> None:
    learned = Learned(tmp_path)
    learned.learn_repairs(destination(), [])
    learned.learn_repairs(destination(), ["retry_once_then_text", "fit_max_tokens:9"])
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("repairs", ["[]", '{"house/big": 7}', '{"house/big": {"heals": "x", "at": 1}}'])
def test_broken_repairs_are_forgotten(tmp_path: Path, repairs: str) -> None:
    (tmp_path / "learned.json").write_text(f'{{"windows": {{"house/big": 5000}}, "repairs": {repairs}}}')
    learned = Learned(tmp_path)
    assert learned.repairs() == {}
    assert learned.window("house/big") == 5000
