"""The READMEs are followed to the letter: every command that stands in them is run here, or says why it is not."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.e2e.codex import ROOT, CodexHome
from tests.e2e.test_install import built, done, installed, lonely

__all__ = ["built", "installed"]  # fixtures
pytestmark = pytest.mark.e2e

READMES = ("README.md", "README.zh.md")
PROGRAMS = ("codex", "codex-nexus", "make", "pip", "pipx", "uv", "uvx", "docker", "rm", "start.cmd")

RUN = {
    "codex-nexus check": ["check"],
    "codex-nexus inject": ["inject"],
    "codex-nexus inject --switch-default": ["inject", "--switch-default"],
    "codex-nexus eject": ["eject"],
    "codex-nexus models": ["models"],
    "codex-nexus usage": ["usage"],
    "codex-nexus models --scan": ["models", "--scan"],
    "codex-nexus doctor --json": ["doctor", "--json", "--offline"],
    "codex-nexus config set provider deepseek": ["config", "set", "provider", "deepseek"],
}
"""Run below as a stranger; `--offline`, because a test asks nobody outside."""

ELSEWHERE = {
    "codex-nexus": "test_install.test_it_runs_within_a_second",
    "codex-nexus demo": "test_install.test_the_demo_drives_the_real_codex",
    "codex-nexus doctor": "test_doctor",
    "codex-nexus key deepseek": "tests/service/test_settings, at a terminal of its own",
    "codex-nexus run -- codex": "test_codex_home.test_run_serves_a_turn_and_changes_no_file",
    "codex-nexus trace": "test_trace.test_a_turn_of_codex_is_written_without_its_words",
    "codex-nexus probe PROVIDER/MODEL": "test_probe",
    "codex-nexus probe PROVIDER/MODEL --write": "test_probe",
    "codex -p nexus": "test_panel_guide.test_one_click_and_two_keys_lead_from_nothing_to_a_turn_of_codex",
    "codex": "test_codex_home.test_the_switched_default_serves_a_turn_and_gives_the_bytes_back",
    "pip install .": "test_install.installed, from the wheel that this command builds",
    "pip uninstall codex-nexus": "test_install.test_nothing_is_left_behind",
    "rm -rf ~/.codex-nexus": "test_install.test_nothing_is_left_behind",
    "make run": "test_the_make_verbs_are_there",
    "make demo": "test_the_make_verbs_are_there",
    "make test": "what runs this",
    "start.cmd": "the workflow, on Windows",
}

NOT_RUN = {
    "codex-nexus service install": "would change the machine of whoever runs the tests; tests/service runs its dry run",
    "codex-nexus service remove": "as above",
    "docker compose up": "needs a Docker daemon",
    "codex -c model_provider=openai": "would ask OpenAI",
    "codex login": "would open a browser",
    "pipx install .": "installs the same wheel as pip",
    "uv tool install .": "installs the same wheel as pip",
    "uvx --from . codex-nexus": "installs the same wheel as pip",
}


def commands(readme: str) -> set[str]:
    """Every command of the page: lines of shell blocks, and code in the text that begins with a program."""
    page = (ROOT / readme).read_text("utf-8")
    lines = [line for block in re.findall(r"(?s)```sh\n(.*?)```", page) for line in block.splitlines()]
    found = {re.sub(r"\s+#.*", "", line).strip() for line in lines if line.strip()}
    spans = re.findall(r"`([^`\n]+)`", re.sub(r"(?s)```.*?```", "", page))
    return found | {span for span in spans if span.split(" ")[0] in PROGRAMS}


@pytest.mark.parametrize("readme", READMES)
def test_every_command_is_run_or_says_why_not(readme: str) -> None:
    assert commands(readme) == RUN.keys() | ELSEWHERE.keys() | NOT_RUN.keys()


@pytest.mark.parametrize("named", sorted({where for where in ELSEWHERE.values() if where.startswith("test_")}))
def test_the_tests_that_are_named_exist(named: str) -> None:
    module, _, name = named.partition(",")[0].partition(".")
    if module == "test_the_make_verbs_are_there":
        return
    text = (Path(__file__).parent / f"{module}.py").read_text("utf-8")
    assert f"def {name}" in text


@pytest.mark.parametrize("command", sorted(RUN))
def test_a_stranger_runs_it(command: str, installed: Path, codex: CodexHome) -> None:
    environ = lonely(codex.folder) | {"CODEX_HOME": str(codex.codex_home), "CODEX_BIN": str(codex.binary)}
    nexus = str(installed / "codex-nexus")
    asked = subprocess.run([nexus, *RUN[command]], check=False, env=environ, cwd=codex.repo, capture_output=True)
    said = (asked.stdout + asked.stderr).decode()
    assert "Traceback" not in said
    if "models" in command or "doctor" in command:
        assert said.strip(), "a stranger without a key hears what is missing"
    else:
        assert asked.returncode == 0, said


@pytest.mark.skipif(shutil.which("make") is None, reason="there is no make on this machine")
def test_the_make_verbs_are_there() -> None:
    for verb in ("run", "demo", "test"):
        planned = done(["make", "--dry-run", verb], ROOT)
        assert {"run": "codex-nexus", "demo": "codex-nexus demo", "test": "pytest"}[verb] in planned


@pytest.mark.parametrize("readme", READMES)
def test_the_transcript_is_what_the_demo_says(readme: str, installed: Path, binary: Path, codex: CodexHome) -> None:
    environ = lonely(codex.folder, os.environ["PATH"]) | {"CODEX_BIN": str(binary), "NO_PROXY": "127.0.0.1,localhost"}
    told = done([str(installed / "codex-nexus"), "demo"], codex.folder, environ | {"COLUMNS": "120"})
    heard = {re.sub(r"[\s─]+", " ", line).strip() for line in told.splitlines()}
    page = (ROOT / readme).read_text("utf-8")
    shown = re.findall(r"(?s)```text\n\$ codex-nexus demo\n(.*?)```", page)[0].splitlines()
    changing = r"\.\.\.|^Codex Nexus runs at|^OpenAI Codex v|resp_|^$"
    for line in (one for one in shown if not re.search(changing, one)):
        assert re.sub(r"[\s─]+", " ", line).strip() in heard, line
