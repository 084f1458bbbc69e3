"""Our model catalogue in the hands of the real Codex: the pinned version, and the oldest that works."""

import json
import os
import re
import subprocess
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from codex_nexus.codex_home.catalog import base_instructions
from codex_nexus.providers.catalogue import shipped
from tests.e2e import codex as program
from tests.e2e.codex import PATIENCE, CodexHome, CodexRun
from tests.e2e.gateway_process import MODEL, TOKEN, GatewayProcess
from tests.upstream import Answer, Recorded, Upstream, call, finish, running_upstream, sse, text, usage

pytestmark = pytest.mark.e2e

OLDEST = "0.144.0"  # reads the catalogue from a file; the URL is read since 0.161.0
WINDOW = 20_000
NEARLY_FULL = 18_100  # Codex compacts above nine tenths of the window


# --- which models, and do they come back


@pytest.fixture(scope="module")
def oldest() -> Path:
    """The oldest Codex that works, installed beside the pinned one."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(program, "VERSION", OLDEST)
        problem = "" if program._installed() else program._install()
        if problem and os.environ.get("CI"):
            pytest.fail(problem)
        if problem:
            pytest.skip(problem)
        return program._program()


@pytest.fixture
def everything(tmp_path: Path, upstream: Upstream) -> Iterator[GatewayProcess]:
    """A gateway that offers every model we ship; only the routed one can be asked."""
    keys = {record.id: "sk-none" for record in shipped().providers.values() if not record.local}
    with GatewayProcess(tmp_path, upstream.base_url, provider_api_keys=keys) as running:
        yield running


def listed(gateway: GatewayProcess) -> bytes:
    """The body of our model list."""
    with urllib.request.urlopen(f"{gateway.base_url}/models", timeout=PATIENCE) as response:
        return response.read()


def believed(codex: CodexHome) -> list[dict[str, Any]]:
    """The catalogue as this Codex has read it."""
    done = subprocess.run(
        [str(codex.binary), "debug", "models"],
        cwd=codex.repo, env=codex._environment(), capture_output=True, text=True, check=True, timeout=PATIENCE,
    )  # fmt: skip
    return json.loads(done.stdout)["models"]


def say(words: str, spent: int = 15) -> Answer:
    """An answer of plain text that reports this many tokens."""
    return sse([text(words), finish("stop"), usage(spent - 3, 3)])


def run_command(command: str, spent: int = 15) -> Answer:
    """An answer that calls exec_command."""
    return sse([call(0, "call_1", "exec_command", {"cmd": command}), finish("tool_calls"), usage(spent - 3, 3)])


def patch_file(path: str, line: str) -> Answer:
    """An answer that adds a file by apply_patch."""
    patch = f"*** Begin Patch\n*** Add File: {path}\n+{line}\n*** End Patch"
    return sse([call(0, "call_1", "apply_patch", {"input": patch}), finish("tool_calls"), usage(12, 3)])


NOT_OURS = "could not create PATH aliases"
"""Codex puts no helper programs below the system's temporary folder, where this checkout may lie."""


def ran_clean(run: CodexRun) -> None:
    """The turn ended well, and Codex had nothing to complain about."""
    assert not run.ended_by_us, run
    assert run.returncode == 0, run
    loud = [line for line in run.stderr.splitlines() if "warning" in line.lower() or "error" in line.lower()]
    assert not [line for line in loud if NOT_OURS not in line], run


def test_every_model_that_we_ship_is_known_by_url(everything: GatewayProcess, codex: CodexHome) -> None:
    ours = [entry["slug"] for entry in json.loads(listed(everything))["models"]]
    assert len(ours) > 50
    codex.write_config(everything.base_url, MODEL, TOKEN)
    assert [entry["slug"] for entry in believed(codex)] == ours


def test_the_oldest_codex_reads_it_from_a_file(oldest: Path, everything: GatewayProcess, upstream: Upstream) -> None:
    body = listed(everything)
    upstream.script(patch_file("made.txt", "by the oldest"), say("It is done."))
    with CodexHome(oldest) as codex:
        (codex.codex_home / "catalogue.json").write_bytes(body)
        codex.write_config(everything.base_url, MODEL, TOKEN, settings={"model_catalog_json": "catalogue.json"})
        assert [entry["slug"] for entry in believed(codex)] == [e["slug"] for e in json.loads(body)["models"]]
        ran_clean(codex.exec("make a file"))
        assert (codex.repo / "made.txt").read_text() == "by the oldest\n"
    our_prompt_was_said(upstream.requests[0])


def test_the_pinned_codex_reads_it_by_url(nexus: CodexHome, upstream: Upstream) -> None:
    upstream.script(patch_file("made.txt", "by the newest"), say("It is done."))
    ran_clean(nexus.exec("make a file"))
    assert (nexus.repo / "made.txt").read_text() == "by the newest\n"
    our_prompt_was_said(upstream.requests[0])


def our_prompt_was_said(request: Recorded) -> None:
    """The base prompt is ours, and the tools that it speaks of are offered."""
    assert request.json["messages"][0]["content"].startswith(base_instructions().strip()[:200])
    offered = {tool["function"]["name"] for tool in request.json["tools"]}
    named = set(re.findall(r"`([a-z]+_[a-z_]+)`", base_instructions()))
    assert named == {"exec_command", "write_stdin", "apply_patch", "view_image", "request_user_input"}
    assert named <= offered


def test_the_patch_in_our_prompt_is_one_that_codex_applies(nexus: CodexHome, upstream: Upstream) -> None:
    prompt = base_instructions()
    begin, end = "*** Begin Patch\n", "*** End Patch\n"
    patch = begin + prompt.partition(begin)[2].partition(end)[0] + end
    folder = nexus.repo / "path" / "to"
    folder.mkdir(parents=True)
    (folder / "file.py").write_text('def greet():\n    print("helo")\n')
    (folder / "old.txt").write_text("old\n")
    calls = [call(0, "call_1", "apply_patch", {"input": patch}), finish("tool_calls"), usage(12, 3)]
    upstream.script(sse(calls), say("It is done."))
    ran_clean(nexus.exec("greet me well"))
    assert (folder / "file.py").read_text() == 'def greet():\n    print("hello")\n'
    assert (folder / "new.txt").read_text() == "first line\n"
    assert not (folder / "old.txt").exists()


@pytest.mark.parametrize("slug", ["scripted", "gpt-6.1-terra"])
def test_what_codex_says_of_other_names(slug: str, everything: GatewayProcess, codex: CodexHome) -> None:
    """Codex warns exactly of the models that we do not list."""
    known = {entry["slug"] for entry in json.loads(listed(everything))["models"]}
    codex.write_config(everything.base_url, slug, TOKEN, stream_max_retries=0)
    run = codex.exec("hello")
    assert ("metadata" in run.stderr and "not found" in run.stderr) == (slug not in known), run


# --- a small window


@pytest.fixture
def small(tmp_path: Path) -> Iterator[tuple[GatewayProcess, Upstream]]:
    """A gateway before a provider whose model holds little."""
    (tmp_path / "nexus").mkdir()
    record = {"id": "custom", "models": [{"id": "scripted", "name": "Small", "context_window": WINDOW}]}
    (tmp_path / "nexus" / "providers.json").write_text(json.dumps({"providers": [record]}))
    with running_upstream() as upstream, GatewayProcess(tmp_path, upstream.base_url) as gateway:
        yield gateway, upstream


def everything_said(request: Recorded) -> str:
    """All messages of a request as one text."""
    return json.dumps(request.json["messages"], ensure_ascii=False)


def test_a_full_window_is_compacted_by_the_local_prompt(
    small: tuple[GatewayProcess, Upstream], codex: CodexHome
) -> None:
    gateway, upstream = small
    codex.write_config(gateway.base_url, MODEL, TOKEN)
    upstream.script(run_command("echo first", NEARLY_FULL), say("SUMMARY: one command ran."), say("All is done."))
    run = codex.exec("run a command")
    ran_clean_but_compacted(run)
    _, compaction, after = upstream.requests
    assert "CONTEXT CHECKPOINT COMPACTION" in everything_said(compaction)
    assert "SUMMARY: one command ran." in everything_said(after)
    assert "echo first" not in everything_said(after)


def test_below_the_limit_nothing_is_compacted(small: tuple[GatewayProcess, Upstream], codex: CodexHome) -> None:
    gateway, upstream = small
    codex.write_config(gateway.base_url, MODEL, TOKEN)
    upstream.script(run_command("echo first", NEARLY_FULL - 300), say("All is done."))
    ran_clean(codex.exec("run a command"))
    assert len(upstream.requests) == 2
    assert "echo first" in everything_said(upstream.requests[1])


def test_a_full_window_is_compacted_by_the_trigger(small: tuple[GatewayProcess, Upstream], codex: CodexHome) -> None:
    gateway, upstream = small
    block = '[model_providers.codex-nexus.capabilities]\nremote_compaction = "v2"\n'
    codex.write_config(gateway.base_url, MODEL, TOKEN, extra_toml=block)
    upstream.script(run_command("echo first", NEARLY_FULL), say("SUMMARY: one command ran."), say("All is done."))
    run = codex.exec("run a command")
    ran_clean_but_compacted(run)
    _, compaction, after = upstream.requests
    assert "CONTEXT CHECKPOINT COMPACTION" not in everything_said(compaction), "Codex did it by itself"
    assert "SUMMARY: one command ran." in everything_said(after)
    assert "echo first" not in everything_said(after)


def ran_clean_but_compacted(run: CodexRun) -> None:
    """The turn ended well; the one remark of Codex is about long threads."""
    assert run.returncode == 0, run
    assert run.stdout.strip() == "All is done.", run
    assert "error" not in run.stderr.lower(), run
