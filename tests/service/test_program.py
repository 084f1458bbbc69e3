"""How our own program and Codex's are named to a person."""

from __future__ import annotations

import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from codex_nexus import __version__
from codex_nexus.service.program import codex_is_found, first_words, own_command


def executable(folder: Path, name: str) -> None:
    file = folder / (f"{name}.cmd" if sys.platform == "win32" else name)
    file.write_text("")
    file.chmod(0o755)


def test_on_the_path_its_name_is_enough(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    executable(tmp_path, "codex-nexus")
    monkeypatch.setenv("PATH", str(tmp_path))
    assert own_command() == "codex-nexus"
    assert first_words(fresh=False) == []


def test_elsewhere_the_command_that_is_shown_really_works(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    command = own_command()
    assert command in first_words(fresh=False)[0]
    if sys.platform != "win32":
        done = subprocess.run([*shlex.split(command), "version"], check=True, capture_output=True, text=True)
        assert done.stdout.strip() == f"codex-nexus {__version__}"


def test_a_path_with_spaces_is_quoted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "我的 家"
    folder.mkdir()
    executable(folder, "codex-nexus")
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(sys, "executable", str(folder / "python"))
    if sys.platform != "win32":
        assert shlex.split(own_command()) == [str(folder / "codex-nexus")]


def test_without_a_script_the_module_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    assert own_command().endswith("-m codex_nexus")


def test_a_newcomer_is_led_to_the_guide(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    executable(tmp_path, "codex-nexus")
    executable(tmp_path, "codex")
    monkeypatch.setenv("PATH", str(tmp_path))
    assert "guide" in first_words(fresh=True)[0]
    assert codex_is_found()
