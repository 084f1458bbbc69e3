"""`codex-nexus probe`: the table is right, and what it suggests makes the refused things work."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from codex_nexus import cli
from codex_nexus.probe.store import write
from codex_nexus.providers import catalogue
from codex_nexus.snapshot import load_catalogue
from tests.probe.fussy import FIVE, Fussy, no_effort, no_images
from tests.upstream import Upstream, running_upstream, status

RECORD = {"id": "house", "name": "House", "local": True, "default_model": "big"}
OPEN = {"system": "inline", "parallel_tool_calls": "send", "reasoning_param": "effort"}
Probe = Callable[..., dict[str, Any]]


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("CODEX_NEXUS_HOME", str(tmp_path))
    return tmp_path


@pytest.fixture
def probe(home: Path, capsys: pytest.CaptureFixture[str]) -> Probe:
    def run(upstream: Upstream, *flags: str, model: str = "house/big", dialect: Any = None, code: int = 0) -> Any:
        if not (home / "providers.json").exists():
            record = RECORD | {"base_url": upstream.base_url, "dialect": OPEN if dialect is None else dialect}
            (home / "providers.json").write_text(json.dumps({"providers": [record]}))
        assert cli.main(["probe", model, "--json", *flags]) == code
        return json.loads(capsys.readouterr().out)

    return run


def results(report: dict[str, Any]) -> dict[str, str]:
    return {row["question"]: row["result"] for row in report["rows"]}


ALL = {
    "text", "tool call", "parallel calls", "results and reasoning", "custom tool", "late instructions",
    "reasoning effort", "image", "JSON schema", "long output", "cut at a limit",
}  # fmt: skip


def test_a_server_that_takes_all_needs_nothing(probe: Probe) -> None:
    with running_upstream(Fussy()) as upstream:
        report = probe(upstream)
    assert results(report) == dict.fromkeys(ALL, "works")
    assert report["suggested"] == {}
    assert all(row["remark"] == "" for row in report["rows"])


def test_what_was_reasoned_goes_back_with_the_results(probe: Probe) -> None:
    with running_upstream(Fussy()) as upstream:
        probe(upstream)
    [back] = [asked.json for asked in upstream.requests if asked.json["messages"][-1]["role"] == "tool"]
    assistant = back["messages"][-3]
    assert assistant["reasoning_content"] == "I need a tool."
    assert len(assistant["tool_calls"]) == 2


def test_five_refusals_are_found_and_repaired(probe: Probe) -> None:
    fussy = Fussy(*FIVE)
    with running_upstream(fussy) as upstream:
        report = probe(upstream)
    repaired = {"text", "tool call", "parallel calls", "late instructions", "long output"}
    assert results(report) == {name: "repaired" if name in repaired else "works" for name in ALL}
    assert report["suggested"] == {
        "system": "head",
        "tool_choice": ["auto"],
        "stream_usage": "implicit",
        "drop_params": ["parallel_tool_calls"],
        "max_output": 8192,
    }
    assert len(fussy.refusals) == 5  # each thing is refused once, then it is known
    remarks = {row["question"]: row["remark"] for row in report["rows"]}
    assert "integer above maximum value" in remarks["long output"]


def test_what_is_suggested_makes_the_refused_things_work(probe: Probe, home: Path) -> None:
    fussy = Fussy(*FIVE)
    with running_upstream(fussy) as upstream:
        report = probe(upstream, "--write")
        assert report["written"] == str(home / "providers.json")
        fussy.refusals.clear()
        again = probe(upstream)
    assert fussy.refusals == []
    assert results(again) == dict.fromkeys(ALL, "works")
    assert again["suggested"] == {}
    dialect = load_catalogue(home).dialect("house", "big")
    assert (dialect.system, dialect.max_output, dialect.stream_usage) == ("head", 8192, "implicit")
    assert load_catalogue(home).dialect("house", "other").max_output is None


def test_without_a_model_it_is_written_for_all_of_them(probe: Probe, home: Path) -> None:
    with running_upstream(Fussy(*FIVE)) as upstream:
        probe(upstream, "--write", model="house")
    assert load_catalogue(home).dialect("house", "other").max_output == 8192


def test_images_and_efforts_are_repaired(probe: Probe) -> None:
    with running_upstream(Fussy(no_images, no_effort)) as upstream:
        report = probe(upstream)
    assert report["suggested"] == {"images": "none", "efforts": ["low", "high"]}
    assert results(report)["reasoning effort"] == "repaired"
    assert results(report)["image"] == "repaired"


def test_calls_that_come_as_text_want_the_rescue(probe: Probe) -> None:
    with running_upstream(Fussy(as_text=True)) as upstream:
        report = probe(upstream)
    assert report["suggested"] == {"tool_text": "on"}
    assert results(report)["tool call"] == "repaired"
    assert results(report)["parallel calls"] == results(report)["custom tool"] == "works"


def test_a_schema_that_is_ignored_is_said_in_words(probe: Probe) -> None:
    with running_upstream(Fussy(schema=False)) as upstream:
        report = probe(upstream)
    assert report["suggested"] == {"response_format": "object"}


def test_a_server_that_refuses_everything_fails_at_once(probe: Probe) -> None:
    with running_upstream(status(401, {"error": {"message": "Incorrect API key provided"}})) as upstream:
        report = probe(upstream, code=1)
    assert results(report) == {"text": "fails"}
    assert "Incorrect API key" in report["rows"][0]["remark"]
    assert len(upstream.requests) == 1


def test_the_table_is_for_people(home: Path, probe: Probe, capsys: pytest.CaptureFixture[str]) -> None:
    with running_upstream(Fussy(*FIVE)) as upstream:
        probe(upstream)
        assert cli.main(["probe", "house"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("Probing House: big")
    assert "tokens" in lines[1]
    assert any(line.startswith("long output") and "repaired" in line for line in lines)
    assert "6 of 11 work, 5 after a repair." in lines
    assert any("--write" in line for line in lines)


@pytest.mark.parametrize(
    ("model", "said"),
    [("hous", "did you mean house"), ("custom/x", "has no address"), ("nobody", "There is no provider 'nobody'")],
)
def test_who_cannot_be_asked_is_said(home: Path, capsys: pytest.CaptureFixture[str], model: str, said: str) -> None:
    record = RECORD | {"base_url": "http://127.0.0.1:9/v1"}
    (home / "providers.json").write_text(json.dumps({"providers": [record]}))
    assert cli.main(["probe", model]) == 1
    assert said in capsys.readouterr().err


def test_the_first_model_of_the_list_is_asked(home: Path, probe: Probe) -> None:
    with running_upstream(Fussy(), models=["first", "second"]) as upstream:
        record = {name: value for name, value in RECORD.items() if name != "default_model"}
        file = {"providers": [record | {"base_url": upstream.base_url}]}
        (home / "providers.json").write_text(json.dumps(file))
        assert probe(upstream, model="house")["model"] == "first"


# --- what is written


def test_other_entries_stay_as_they_are(home: Path, probe: Probe) -> None:
    with running_upstream(Fussy(*FIVE)) as upstream:
        file = {
            "families": [{"match": ["x*"], "dialect": {"images": "none"}, "source": "mine"}],
            "providers": [
                {"id": "other", "name": "Other", "base_url": "http://o/v1"},
                RECORD | {"base_url": upstream.base_url, "dialect": OPEN, "headers": {"X-A": "b"}},
            ],
        }
        before = json.dumps(file)
        (home / "providers.json").write_text(before)
        report = probe(upstream, "--write")
    after = json.loads((home / "providers.json").read_text())
    [rule] = after["providers"][1].pop("rules")
    assert after == file
    assert (rule["match"], rule["dialect"]) == (["big"], report["suggested"])
    assert (home / "providers.json.bak").read_text() == before
    assert (home / "providers.json").stat().st_mode & 0o777 == 0o600


def test_a_second_writing_changes_the_same_rule(home: Path, probe: Probe) -> None:
    with running_upstream(Fussy(*FIVE)) as upstream:
        probe(upstream, "--write")
        upstream.script(Fussy(*FIVE, no_images))
        probe(upstream, "--write")
    [record] = json.loads((home / "providers.json").read_text())["providers"]
    [rule] = record["rules"]
    assert rule["dialect"]["images"] == "none"
    assert rule["dialect"]["max_output"] == 8192


def test_a_wrong_file_is_not_touched(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (home / "providers.json").write_text('{"providers": [{"id": 5}]}')
    assert cli.main(["probe", "custom", "--write"]) == 2
    assert (home / "providers.json").read_text() == '{"providers": [{"id": 5}]}'
    assert "providers.json" in capsys.readouterr().err


def test_a_shipped_provider_gets_an_entry_of_its_own(home: Path) -> None:
    write(home, "vllm", "Org/Model[1]", {"tool_text": "on"})
    known = load_catalogue(home)
    assert known.dialect("vllm", "Org/Model[1]").tool_text == "on"
    assert known.dialect("vllm", "Org/Model1").tool_text == "off"
    assert known.providers["vllm"].base_url == catalogue.shipped().providers["vllm"].base_url
