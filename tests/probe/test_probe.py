"""`codex-nexus probe`: the table is right, and what it suggests makes the refused things work."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from rich.cells import cell_len

from codex_nexus import cli
from codex_nexus.probe.store import write
from codex_nexus.providers import catalogue
from codex_nexus.snapshot import load_catalogue
from tests.probe.fussy import (
    FIVE,
    OTHER_FIVES,
    Fussy,
    Refusal,
    knows_two_roles,
    no_effort,
    no_images,
    role_pairs,
    takes_no_system,
    takes_no_tools,
)
from tests.upstream import (
    Answer,
    Recorded,
    Scripted,
    Upstream,
    cut,
    finish,
    raw,
    running_upstream,
    sse,
    stall,
    status,
    text,
)
from tests.waiting import PATIENCE, eventually

RECORD = {"id": "house", "name": "House", "local": True, "default_model": "big"}
OPEN = {"system": "inline", "parallel_tool_calls": "send", "reasoning_param": "effort"}
COMMAND = (sys.executable, "-m", "codex_nexus")
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
    "reasoning effort", "image", "JSON schema", "long output", "cut at a limit", "tool schemas", "older thread",
    "schema with tools", "no limit set",
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
        "parallel_tool_calls": "omit",
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


@pytest.mark.parametrize(("refuses", "fields"), OTHER_FIVES)
def test_whatever_is_refused_the_suggestion_makes_it_good(
    probe: Probe, refuses: tuple[Refusal, ...], fields: dict[str, Any]
) -> None:
    fussy = Fussy(*refuses)
    with running_upstream(fussy) as upstream:
        report = probe(upstream, "--write")
        assert fields.items() <= report["suggested"].items()
        assert len(report["suggested"]) <= len(fields) + 1  # a repair may change a field that goes with another
        assert set(results(report).values()) == {"works", "repaired"}
        for row in report["rows"]:
            assert bool(row["repairs"]) == (row["result"] == "repaired")
            assert all(repair["trouble"] in row["remark"] for repair in row["repairs"])
        fussy.refusals.clear()
        again = probe(upstream)
    assert fussy.refusals == []
    assert results(again) == dict.fromkeys(ALL, "works")
    assert again["suggested"] == {}


@pytest.mark.parametrize("refusal", [takes_no_system, knows_two_roles])
def test_a_model_without_a_role_system_is_found(probe: Probe, refusal: Refusal) -> None:
    with running_upstream(Fussy(refusal)) as upstream:
        assert probe(upstream)["suggested"] == {"system": "first_user"}


def test_a_model_whose_prompt_opens_the_thought_is_found(probe: Probe) -> None:
    fussy = Fussy()

    def thinking(recorded: Recorded) -> Answer:
        answer = fussy(recorded)
        return (
            sse([text("The user wants OK."), text("</think>\n\nOK"), finish()])
            if recorded.json.get("tools") is None
            else answer
        )

    with running_upstream(thinking) as upstream:
        report = probe(upstream)
    [row] = [row for row in report["rows"] if row["question"] == "text"]
    assert row["result"] == "repaired"
    assert "up to a lone </think>" in row["remark"]
    assert report["suggested"]["think_tags"] == "inside"


def test_only_the_remedies_that_are_needed_are_suggested(probe: Probe) -> None:
    def moody(asked: dict[str, Any]) -> str | None:
        """Complains in other words each time, until the users are merged."""
        return f"bad thread {'x' * len(fussy.refusals)}" if ("user", "user") in role_pairs(asked) else None

    fussy = Fussy(moody)
    with running_upstream(fussy) as upstream:
        assert probe(upstream)["suggested"] == {"merge_users": True}


def test_a_model_without_tools_cannot_serve(probe: Probe, capsys: pytest.CaptureFixture[str]) -> None:
    with running_upstream(Fussy(takes_no_tools)) as upstream:
        report = probe(upstream, code=1)
        assert results(report)["text"] == results(report)["image"] == "works"
        assert results(report)["tool call"] == results(report)["custom tool"] == "fails"
        assert report["suggested"] == {}
        assert cli.main(["probe", "house"]) == 1
    assert "Codex cannot work with this model" in capsys.readouterr().out


def test_a_model_that_calls_nothing_is_named(probe: Probe, capsys: pytest.CaptureFixture[str]) -> None:
    with running_upstream(sse([text("I would rather talk."), finish("stop")])) as upstream:
        report = probe(upstream)
        assert cli.main(["probe", "house"]) == 0
    assert report["suggested"] == {}  # an answer that is not good is no reason to speak otherwise
    assert results(report)["tool call"] == results(report)["custom tool"] == "differs"
    assert "expect little of this model" in capsys.readouterr().out


def test_what_went_well_by_chance_is_no_reason_for_a_field(probe: Probe) -> None:
    def moody(recorded: Recorded) -> Answer:
        first = "report_number" in recorded.raw.decode() and len(upstream.requests) == 2
        return sse([text("No."), finish()]) if first else Fussy()(recorded)

    with running_upstream(moody) as upstream:
        report = probe(upstream)
    row = next(row for row in report["rows"] if row["question"] == "tool call")
    assert (row["result"], row["remark"]) == ("repaired", "when asked again; at first: no call, but: 'No.'")
    assert report["suggested"] == {}


@pytest.mark.parametrize("flags", [[], ["--json"]])
def test_no_key_is_shown(home: Path, capsys: pytest.CaptureFixture[str], flags: list[str]) -> None:
    key = f"plain-looking-secret-{'x' * 60}"
    said = f"I know your key, and it is {key}"  # a quotation would be cut inside the key
    with running_upstream(sse([text(said), finish()])) as upstream:
        file = {"providers": [RECORD | {"base_url": upstream.base_url}]}
        (home / "providers.json").write_text(json.dumps(file))
        (home / "config.json").write_text(json.dumps({"provider_api_keys": {"house": key}}))
        cli.main(["probe", "house", *flags])
        upstream.script(status(401, {"error": {"message": said}}))
        cli.main(["probe", "house", *flags])
    assert upstream.requests[0].headers["authorization"] == f"Bearer {key}"
    shown = capsys.readouterr()
    assert "I know your key, and it is ***" in shown.out
    assert "plain-looking" not in shown.out + shown.err


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


@pytest.mark.parametrize(
    ("answer", "remark", "advice"),
    [
        (status(401, {"error": {"message": "Incorrect API key provided"}}), "Incorrect API key", "provider_api_keys.house"),
        (status(402, {"error": {"message": "Insufficient Balance"}}), "Insufficient Balance", "balance"),
        (status(404, {"error": {"message": "model big not found"}}), "model big not found", "codex-nexus models house"),
        (raw(b"<html>Welcome</html>", "text/html"), "A web page came", "usually ends in /v1"),
        (status(500, {"error": {"message": "boom"}}), "boom", "try again later"),
        (cut([text("Hel")]), "cut before its end", "No whole answer"),
        (sse([finish()]), "gave no answer", "No whole answer"),
        (cut([]), "the connection broke before the first word", "No whole answer"),
        (raw(b"It works!", "text/plain"), "It sent 'It works!'.", "No whole answer"),
    ],
)  # fmt: skip
def test_what_stands_in_the_way_of_everything_is_said_once(
    probe: Probe, capsys: pytest.CaptureFixture[str], answer: Scripted, remark: str, advice: str
) -> None:
    with running_upstream(answer) as upstream:
        report = probe(upstream, code=1)
        assert len(upstream.requests) <= 4
        assert cli.main(["probe", "house"]) == 1
    assert results(report) == {"text": "fails"}
    assert remark in report["rows"][0]["remark"]
    assert advice in report["advice"]
    shown = capsys.readouterr().out
    assert shown.count(remark) == 1
    assert "nothing to write" not in shown


def test_a_limit_on_the_way_ends_the_probe(probe: Probe, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("codex_nexus.probe.talk._PAUSE_S", 0.01)

    def tired(recorded: Recorded) -> Answer:
        if len(upstream.requests) > 3:
            return status(429, {"error": {"message": "Too many requests"}})
        return Fussy(FIVE[1])(recorded)

    with running_upstream(tired) as upstream:
        report = probe(upstream, code=1)
    assert list(results(report).values()) == ["repaired", "works", "fails"]
    assert "Too many requests" in report["stopped"]
    assert report["suggested"] == {"stream_usage": "implicit"}  # what was found out stays true


def test_the_table_is_for_people(home: Path, probe: Probe, capsys: pytest.CaptureFixture[str]) -> None:
    with running_upstream(Fussy(*FIVE)) as upstream:
        probe(upstream)
        assert cli.main(["probe", "house"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("Probing House: big")
    assert "tokens" in lines[1]
    assert any(line.startswith("long output") and "repaired" in line for line in lines)
    assert "10 of 15 work, 5 more after a repair." in lines
    assert any("--write" in line for line in lines)


@pytest.mark.parametrize(
    ("model", "said"),
    [
        ("hous", "did you mean house"),
        ("custom/x", "has no address"),
        ("azure/x", "provider_addresses.azure"),
        ("nobody", "There is no provider 'nobody'"),
    ],
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


# --- the terminal


@pytest.mark.skipif(sys.platform == "win32", reason="there is no such terminal")
@pytest.mark.parametrize("width", [60, 80, 120])
def test_nothing_is_wider_than_the_terminal(home: Path, probe: Probe, width: int) -> None:
    from tests.probe.terminal import in_terminal  # noqa: PLC0415 - not on Windows

    with running_upstream(Fussy(*FIVE)) as upstream:
        probe(upstream)
        environ = os.environ | {"CODEX_NEXUS_HOME": str(home), "NO_COLOR": "1"}
        plain = in_terminal([*COMMAND, "probe", "house"], width, environ)
        del environ["NO_COLOR"]
        colourful = in_terminal([*COMMAND, "probe", "house"], width, environ)
    assert (plain.status, plain.coloured, colourful.coloured) == (0, False, True)
    assert max(map(cell_len, plain.lines)) <= width
    assert "long output (13 of 15)" in plain.raw  # while it was waited for
    assert not any("of 15)" in line for line in plain.lines)
    words = " ".join(" ".join(plain.lines).split())
    assert "long output repaired with max_output: 8192; without it: max_tokens: integer above maximum value" in words


def test_a_pipe_gets_one_line_for_each_question_at_once(home: Path, probe: Probe) -> None:
    with running_upstream(Fussy(*FIVE)) as upstream:
        probe(upstream)
        upstream.requests.clear()
        upstream.script(lambda recorded: stall() if len(upstream.requests) > 4 else Fussy(*FIVE)(recorded))
        with probing(home, stdout=subprocess.PIPE) as process:
            assert process.stdout is not None
            lines = [process.stdout.readline() for _ in range(4)]
            process.send_signal(signal.SIGINT)
            _, error = process.communicate(timeout=PATIENCE)
    assert lines[2].startswith("text ")
    assert "stream_usage: implicit" in lines[2]
    assert lines[3].startswith("tool call ")
    assert (process.returncode, error) == (130, "codex-nexus: stopped with Ctrl+C.\n")


def test_ctrl_c_leaves_the_file_as_it_was(home: Path, probe: Probe) -> None:
    with running_upstream(Fussy(*FIVE)) as upstream:
        probe(upstream)
        before = (home / "providers.json").read_bytes()
        upstream.requests.clear()
        upstream.script(Fussy(*FIVE), Fussy(*FIVE), stall())
        with probing(home, "--write", "--json", stdout=subprocess.PIPE) as process:
            eventually(lambda: len(upstream.requests) == 3)
            process.send_signal(signal.SIGINT)
            output, error = process.communicate(timeout=PATIENCE)
    assert (process.returncode, output, error) == (130, "", "codex-nexus: stopped with Ctrl+C.\n")
    assert (home / "providers.json").read_bytes() == before
    assert sorted(path.name for path in home.iterdir()) == ["providers.json"]


def probing(home: Path, *flags: str, stdout: int) -> subprocess.Popen[str]:
    """The verb in a process of its own."""
    environ = os.environ | {"CODEX_NEXUS_HOME": str(home)}
    return subprocess.Popen(
        [*COMMAND, "probe", "house", *flags], env=environ, text=True, stdout=stdout, stderr=subprocess.PIPE
    )


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
    write(home, "vllm", "Org/Model[1]", "Org/Model[1]", {"tool_text": "on"})
    known = load_catalogue(home)
    assert known.dialect("vllm", "Org/Model[1]").tool_text == "on"
    assert known.dialect("vllm", "Org/Model1").tool_text == "off"
    assert known.providers["vllm"].base_url == catalogue.shipped().providers["vllm"].base_url


def test_the_file_keeps_its_indentation(home: Path, probe: Probe) -> None:
    with running_upstream(Fussy(*FIVE)) as upstream:
        record = RECORD | {"base_url": upstream.base_url, "dialect": OPEN}
        (home / "providers.json").write_text(json.dumps({"providers": [record]}, indent="\t"))
        probe(upstream, "--write")
    assert '\n\t\t\t"id": "house",\n' in (home / "providers.json").read_text()


@pytest.mark.parametrize(("model", "others"), [("house", 2048), ("house/big", 2048)])
def test_rules_for_some_models_still_hold(home: Path, probe: Probe, model: str, others: int) -> None:
    with running_upstream(Fussy(*FIVE)) as upstream:
        rules = [
            {"match": ["big"], "dialect": {"max_output": 50000}, "source": "mine"},
            {"match": ["small"], "dialect": {"max_output": others}, "source": "mine"},
        ]
        record = RECORD | {"base_url": upstream.base_url, "dialect": OPEN, "rules": rules}
        (home / "providers.json").write_text(json.dumps({"providers": [record]}))
        probe(upstream, "--write", model=model)
        assert probe(upstream, model=model)["suggested"] == {}
    known = load_catalogue(home)
    assert known.dialect("house", "big").max_output == 8192
    assert known.dialect("house", "small").max_output == others
    assert known.dialect("house", "small").system == ("head" if model == "house" else "inline")
