"""The file of the configuration is read kindly, written atomically and privately, and never lost."""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path
from typing import Any

import pytest

from codex_nexus.config import file as config_file
from codex_nexus.config.file import home_folder, load, new_access_token, save, write_private
from codex_nexus.config.model import Config
from codex_nexus.config.secrets import Secret
from codex_nexus.errors import ConfigError

AS_ROOT = os.geteuid() == 0


def put(home: Path, content: str | bytes) -> Path:
    """A config.json with this content."""
    path = home / "config.json"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def mode(path: Path) -> int:
    """The permissions of a file."""
    return stat.S_IMODE(path.stat().st_mode)


# --- where it is


def test_the_folder_is_in_the_users_home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("CODEX_NEXUS_HOME", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert home_folder() == tmp_path / ".codex-nexus"


def test_the_folder_can_be_moved(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("CODEX_NEXUS_HOME", "~/elsewhere")
    assert home_folder() == tmp_path / "elsewhere"


# --- reading


def test_without_a_file_there_are_the_defaults(tmp_path: Path) -> None:
    loaded = load(tmp_path / "not there")
    assert (loaded.config, loaded.unknown, loaded.problems, loaded.notes) == (Config(), {}, [], [])
    assert not (tmp_path / "not there").exists()


@pytest.mark.parametrize(
    "content", ['{"port": 6000}', '\ufeff{"port": 6000}', '\n{\r\n  "port": 6000\r\n}\n'], ids=["plain", "bom", "crlf"]
)
def test_a_file_is_read(content: str, tmp_path: Path) -> None:
    put(tmp_path, content)
    loaded = load(tmp_path)
    assert (loaded.config.port, loaded.problems, loaded.notes) == (6000, [], [])


def test_wrong_values_are_problems_and_the_file_stays(tmp_path: Path) -> None:
    path = put(tmp_path, '{"port": "x", "language": "y"}')
    loaded = load(tmp_path)
    assert len(loaded.problems) == 2
    assert path.read_text() == '{"port": "x", "language": "y"}'
    assert list(tmp_path.iterdir()) == [path]


def test_foreign_keys_are_noted_once(tmp_path: Path) -> None:
    put(tmp_path, '{"theme": "dark", "zoom": 2}')
    loaded = load(tmp_path)
    assert loaded.unknown == {"theme": "dark", "zoom": 2}
    [note] = loaded.notes
    assert "theme, zoom" in note


@pytest.mark.skipif(AS_ROOT, reason="root may read everything")
def test_a_file_that_may_not_be_read_is_a_problem(tmp_path: Path) -> None:
    put(tmp_path, "{}").chmod(0)
    with pytest.raises(ConfigError, match="cannot be read"):
        load(tmp_path)


def test_a_folder_in_place_of_the_file_is_a_problem(tmp_path: Path) -> None:
    (tmp_path / "config.json").mkdir()
    with pytest.raises(ConfigError, match="cannot be read"):
        load(tmp_path)


# --- a broken file

BROKEN: list[bytes] = [
    b"",
    b"{",
    b'{"port": 6000,}',
    b'{"port": 6000} // mine',
    b"[]",
    b'"text"',
    b"\xff\xfe\x00",
    b"[" * 100_000,
]


@pytest.mark.parametrize("content", BROKEN, ids=lambda content: repr(content[:16]))
def test_a_broken_file_is_set_aside_and_named(content: bytes, tmp_path: Path) -> None:
    path = put(tmp_path, content)
    loaded = load(tmp_path)
    assert loaded.config == Config()
    assert not path.exists()
    [aside] = tmp_path.iterdir()
    assert aside.read_bytes() == content
    [note] = loaded.notes
    assert str(path) in note
    assert str(aside) in note


def test_a_broken_file_is_never_overwritten(tmp_path: Path) -> None:
    for content in ("{one", "{two", "{three"):
        put(tmp_path, content)
        load(tmp_path)
        save(tmp_path, Config(port=6000), {})
    asides = [path.read_text() for path in tmp_path.glob("config.broken-*.json")]
    assert sorted(asides) == ["{one", "{three", "{two"]


def test_a_broken_file_that_cannot_be_set_aside_stops(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = put(tmp_path, "{")
    monkeypatch.setattr(Path, "rename", _refuse)
    monkeypatch.setattr(os, "link", _refuse)
    with pytest.raises(ConfigError, match="cannot be set aside"):
        load(tmp_path)
    assert path.read_text() == "{"


def _refuse(*_: Any) -> None:
    raise PermissionError(13, "Permission denied")


# --- writing


def test_what_was_saved_is_loaded(tmp_path: Path) -> None:
    config = Config(port=6000, api_key=Secret("sk-1"), provider_api_keys={"kimi": (Secret("a"), Secret("b"))})
    path = save(tmp_path, config, {"theme": "dunkel, 深色"})
    loaded = load(tmp_path)
    assert path == tmp_path / "config.json"
    assert (loaded.config, loaded.unknown) == (config, {"theme": "dunkel, 深色"})
    assert "深色" in path.read_text("utf-8")


def test_the_folder_and_the_file_belong_to_their_owner_alone(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        home = tmp_path / "deep" / "home"
        save(home, Config(port=1), {})
        save(home, Config(port=2), {})
    finally:
        os.umask(before)
    assert mode(home) == 0o700
    assert {path.name: mode(path) for path in home.iterdir()} == {"config.json": 0o600, "config.json.bak": 0o600}


def test_the_version_before_is_kept(tmp_path: Path) -> None:
    put(tmp_path, '{"port":   1}')
    save(tmp_path, Config(port=2), {})
    assert (tmp_path / "config.json.bak").read_text() == '{"port":   1}'
    save(tmp_path, Config(port=3), {})
    assert json.loads((tmp_path / "config.json.bak").read_text()) == {"port": 2}
    assert json.loads((tmp_path / "config.json").read_text()) == {"port": 3}


def test_a_loose_file_becomes_private(tmp_path: Path) -> None:
    put(tmp_path, "{}").chmod(0o644)
    path = save(tmp_path, Config(), {})
    assert mode(path) == 0o600


def test_a_write_that_fails_leaves_the_file_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = put(tmp_path, '{"port": 1}')
    monkeypatch.setattr(os, "fsync", _full)
    with pytest.raises(ConfigError, match="No space left"):
        save(tmp_path, Config(port=2), {})
    assert path.read_text() == '{"port": 1}'
    assert list(tmp_path.iterdir()) == [path]


def _full(_: int) -> None:
    raise OSError(28, "No space left on device")


def test_a_write_that_is_interrupted_leaves_no_trace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(config_file.os, "fsync", _interrupt)
    with pytest.raises(KeyboardInterrupt):
        write_private(tmp_path / "file", b"new")
    assert list(tmp_path.iterdir()) == []


def _interrupt(_: int) -> None:
    raise KeyboardInterrupt


def test_a_reader_sees_the_old_or_the_new_file_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = put(tmp_path, '{"port": 1}')
    seen: list[str] = []
    real = os.fsync

    def looking(handle: int) -> None:
        seen.append(path.read_text())
        real(handle)

    monkeypatch.setattr(os, "fsync", looking)
    save(tmp_path, Config(port=2), {})
    assert seen == ['{"port": 1}'] * 2
    assert json.loads(path.read_text()) == {"port": 2}


def test_a_folder_that_cannot_be_made_is_a_problem(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match="cannot be written"):
        save(tmp_path / "file" / "home", Config(), {})


# --- tokens


def test_a_new_token_is_long_and_never_the_same() -> None:
    tokens = {new_access_token() for _ in range(100)}
    assert len(tokens) == 100
    assert all(token.startswith("nexus-") and len(token) >= 32 for token in tokens)


@pytest.mark.skipif(os.name == "nt", reason="links need rights there")
def test_a_link_to_a_file_kept_elsewhere_stays_a_link(tmp_path: Path) -> None:
    kept = tmp_path / "dotfiles" / "nexus.json"
    kept.parent.mkdir()
    kept.write_text('{"provider": "kimi"}')
    home = tmp_path / "home"
    home.mkdir()
    (home / "config.json").symlink_to(kept)
    save(home, Config(provider="qwen"), {})
    assert (home / "config.json").is_symlink()
    assert json.loads(kept.read_text()) == {"provider": "qwen"}
    assert json.loads((home / "config.json.bak").read_text()) == {"provider": "kimi"}
