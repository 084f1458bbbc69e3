"""What the forge reads: the workflow and the forms of issues."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[1]


def test_the_workflow_knows_every_system_and_calls_the_verbs() -> None:
    told = yaml.safe_load((ROOT / ".github/workflows/test.yml").read_text("utf-8"))
    matrix = told["jobs"]["test"]["strategy"]["matrix"]
    assert [name.partition("-")[0] for name in matrix["os"]] == ["ubuntu", "macos", "windows"]
    assert matrix["python"] == ["3.11", "3.12", "3.13", "3.14"]
    runs = [step.get("run", "") for step in told["jobs"]["test"]["steps"]]
    assert any("make test" in run for run in runs)
    for path in re.findall(r"tests/[\w/.]+", " ".join(runs)):
        assert (ROOT / path).exists()


def test_the_package_says_which_pythons_the_workflow_tries() -> None:
    told = yaml.safe_load((ROOT / ".github/workflows/test.yml").read_text("utf-8"))
    classifiers = re.findall(
        r"Programming Language :: Python :: (3\.\d+)", (ROOT / "pyproject.toml").read_text("utf-8")
    )
    assert classifiers == told["jobs"]["test"]["strategy"]["matrix"]["python"]


@pytest.mark.parametrize("form", sorted((ROOT / ".github/ISSUE_TEMPLATE").glob("*.yml")), ids=lambda path: path.stem)
def test_the_forms_are_valid(form: Path) -> None:
    told = yaml.safe_load(form.read_text("utf-8"))
    if form.stem == "config":
        return
    assert {"name", "description", "body"} <= set(told)
    ids = [part["id"] for part in told["body"] if part["type"] != "markdown"]
    assert len(ids) == len(set(ids))
    assert all(part["attributes"].get("label") or part["type"] == "markdown" for part in told["body"])


def test_a_bug_report_asks_for_the_doctor_and_the_trace() -> None:
    text = (ROOT / ".github/ISSUE_TEMPLATE/bug.yml").read_text("utf-8")
    assert "codex-nexus doctor --json" in text
    assert "SECURITY.md" in text
