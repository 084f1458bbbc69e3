"""Our part on the disk: links, modes, copies, other writers, and sentences where it cannot be done."""

import os
import stat
import tempfile
from pathlib import Path

import msgspec
import pytest

from codex_nexus.codex_home import config_toml, inject
from codex_nexus.codex_home.inject import Place, apply, codex_folder, eject, points_at
from codex_nexus.codex_home.wish import Wish
from codex_nexus.errors import ConfigError

WISH = Wish(address="http://127.0.0.1:5800", token="nexus-token", model="some-model")
TEXT = b"# mine\r\na = 1\r\n[tui]\nx = 'y'"
posix = pytest.mark.skipif(os.name == "nt", reason="modes and links of POSIX")


@pytest.fixture
def place(tmp_path: Path) -> Place:
    (tmp_path / "codex").mkdir()
    return Place(tmp_path / "codex", tmp_path / "nexus" / "backups")


def files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_in_and_out_again(place: Place) -> None:
    place.config.write_bytes(TEXT)
    place.profile.write_bytes(b"approval_policy = 'never'\n")
    before = files(place.folder)
    assert [change.path for change in apply(place, WISH)] == [place.config, place.profile]
    assert b'model_provider = "codex-nexus"' not in place.config.read_bytes()
    assert b'model_provider = "codex-nexus"' in place.profile.read_bytes()
    assert [change.path for change in eject(place).changes] == [place.config, place.profile]
    assert files(place.folder) == before


def test_nothing_is_written_when_nothing_changes(place: Place) -> None:
    apply(place, WISH)
    before = {path: path.stat().st_mtime_ns for path in place.folder.iterdir()}
    assert apply(place, WISH) == []
    assert {path: path.stat().st_mtime_ns for path in place.folder.iterdir()} == before


def test_a_dry_run_writes_nothing(place: Place) -> None:
    place.config.write_bytes(TEXT)
    changes = apply(place, WISH, dry=True)
    assert "[model_providers.codex-nexus]" in changes[0].diff
    assert files(place.folder) == {"config.toml": TEXT}
    assert place.backups is not None
    assert not place.backups.exists()


def test_what_is_replaced_is_kept_ten_times(place: Place) -> None:
    place.config.write_bytes(TEXT)
    for port in range(15):
        apply(place, msgspec.structs.replace(WISH, address=f"http://127.0.0.1:{6000 + port}"))
    assert place.backups is not None
    copies = sorted(place.backups.glob("config.toml.*"))
    assert len(copies) == 10
    assert b":6013" in copies[-1].read_bytes()
    if os.name != "nt":
        assert {stat.S_IMODE(copy.stat().st_mode) for copy in copies} == {0o600}


def test_the_first_copy_is_the_users_file(place: Place) -> None:
    place.config.write_bytes(TEXT)
    apply(place, WISH)
    assert place.backups is not None
    assert next(place.backups.glob("config.toml.*")).read_bytes() == TEXT


# --- folders


def test_a_missing_folder_is_made_only_when_asked_for_and_goes_again(tmp_path: Path) -> None:
    place = Place(tmp_path / "not" / "there", None)
    assert apply(place, WISH) == []
    assert not place.folder.exists()
    assert len(apply(place, WISH, create=True, dry=True)) == 2
    assert not place.folder.exists()
    apply(place, WISH, create=True)
    assert place.config.exists()
    eject(place)
    assert not place.folder.exists()


def test_a_folder_that_codex_has_used_since_stays(tmp_path: Path) -> None:
    place = Place(tmp_path / "there", None)
    apply(place, WISH, create=True)
    (place.folder / "sessions").mkdir()
    eject(place)
    assert list(place.folder.iterdir()) == [place.folder / "sessions"]


def test_a_folder_of_the_user_stays_even_when_empty(place: Place) -> None:
    apply(place, WISH)
    eject(place)
    assert list(place.folder.iterdir()) == []


def test_ejecting_where_nothing_is(tmp_path: Path) -> None:
    done = eject(Place(tmp_path / "nowhere", None))
    assert (done.changes, done.problems, done.notes) == ([], [], [])


def test_where_codex_lives(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(Path, "home", lambda: tmp_path)
    assert codex_folder({}) == tmp_path / ".codex"
    assert codex_folder({"CODEX_HOME": "/else/where"}) == Path("/else/where")


# --- links, modes


@posix
def test_a_link_stays_a_link_and_the_mode_stays(place: Place, tmp_path: Path) -> None:
    real = tmp_path / "dotfiles" / "codex.toml"
    real.parent.mkdir()
    real.write_bytes(TEXT)
    real.chmod(0o640)
    place.config.symlink_to(real)
    apply(place, WISH)
    assert place.config.is_symlink()
    assert b"codex-nexus" in real.read_bytes()
    assert stat.S_IMODE(real.stat().st_mode) == 0o640
    eject(place)
    assert place.config.is_symlink()
    assert real.read_bytes() == TEXT
    assert [path.name for path in real.parent.iterdir()] == ["codex.toml"]


@posix
def test_a_new_file_is_the_owners_alone(place: Place) -> None:
    apply(place, WISH)
    assert stat.S_IMODE(place.config.stat().st_mode) == 0o600


@posix
def test_a_link_to_nowhere_gets_its_file_and_loses_it_again(place: Place, tmp_path: Path) -> None:
    place.config.symlink_to(tmp_path / "later.toml")
    apply(place, WISH)
    assert (tmp_path / "later.toml").exists()
    eject(place)
    assert place.config.is_symlink()
    assert not (tmp_path / "later.toml").exists()


# --- what cannot be done


def complaint(place: Place, wish: Wish = WISH) -> str:
    before = files(place.folder) if place.folder.is_dir() else {}
    with pytest.raises(ConfigError) as caught:
        apply(place, wish, create=True)
    assert (files(place.folder) if place.folder.is_dir() else {}) == before
    return caught.value.message


def test_broken_toml_is_named_with_its_place(place: Place) -> None:
    place.config.write_bytes(b"a = 1\nb = ?\n")
    assert f"{place.config}" in complaint(place)
    assert "line 2, column 5" in complaint(place)


def test_a_broken_profile_keeps_the_configuration_as_it_is(place: Place) -> None:
    place.config.write_bytes(TEXT)
    place.profile.write_bytes(b"[")
    assert "nexus.config.toml" in complaint(place)


def test_bytes_that_are_no_text(place: Place) -> None:
    place.config.write_bytes(b"a = 1\nb = '\xff'\n")
    assert "line 2: it is no UTF-8" in complaint(place)


def test_a_folder_in_place_of_the_file(place: Place) -> None:
    place.config.mkdir()
    assert "a folder stands" in complaint(place)


def test_a_file_in_place_of_the_folder(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    assert "no folder" in complaint(Place(tmp_path / "file", None))


def test_a_folder_that_cannot_be_written(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    place.config.write_bytes(TEXT)

    def refuse(**_: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(tempfile, "mkstemp", refuse)
    said = complaint(place)
    assert "cannot be written: Permission denied" in said
    assert "codex-nexus run" in said


def test_a_failure_in_the_middle_leaves_the_old_file(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    place.config.write_bytes(TEXT)

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    assert "No space left" in complaint(place)


def test_one_broken_file_keeps_eject_from_nothing_else(place: Place) -> None:
    apply(place, WISH)
    place.config.write_bytes(b"= \n" + place.config.read_bytes())
    done = eject(place)
    assert [change.path for change in done.changes] == [place.profile]
    assert "line 1" in done.problems[0].message


# --- other writers


def test_a_file_that_changes_meanwhile_is_planned_again(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    place.config.write_bytes(TEXT)
    plain = inject._back_up
    done: list[bool] = []

    def meddle(folder: Path, name: str, data: bytes) -> None:
        plain(folder, name, data)
        if not done:
            done.append(True)
            place.config.write_bytes(b"new = 'text'\n")

    monkeypatch.setattr(inject, "_back_up", meddle)
    apply(place, WISH)
    assert config_toml.undo(place.config.read_text()) == "new = 'text'\n"


def test_a_file_that_never_rests_is_given_up(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    place.config.write_bytes(b"n = 0\n")
    count = iter(range(1, 99))
    monkeypatch.setattr(inject, "_back_up", lambda *_: place.config.write_bytes(b"n = %d\n" % next(count)))
    with pytest.raises(ConfigError, match="another program"):
        apply(place, WISH)


# --- auth.json and what is left behind


def test_auth_json_is_written_when_asked_for_and_absent(place: Place) -> None:
    wish = msgspec.structs.replace(WISH, auth_json=True)
    apply(place, WISH)
    assert not place.auth.exists()
    apply(place, wish)
    assert b"nexus-token" in place.auth.read_bytes()
    eject(place)
    assert not place.auth.exists()


@pytest.mark.parametrize("text", ['{"tokens": {"access_token": "chatgpt"}}', '{"OPENAI_API_KEY": "nexus-token"}', ""])
def test_an_auth_json_of_the_user_is_never_touched(place: Place, text: str) -> None:
    place.auth.write_text(text)
    apply(place, msgspec.structs.replace(WISH, auth_json=True))
    eject(place)
    assert place.auth.read_text() == text


def test_profiles_that_lose_their_provider_are_named(place: Place) -> None:
    apply(place, WISH)
    (place.folder / "fast.config.toml").write_text("model_provider = 'codex-nexus'\n")
    (place.folder / "other.config.toml").write_text("model_provider = 'openai'\n")
    [note] = eject(place).notes
    assert "fast.config.toml" in note


def test_a_provider_of_the_user_is_named(place: Place) -> None:
    place.config.write_text("[model_providers.codex-nexus]\nname = 'mine'\nbase_url = 'http://127.0.0.1:1/v1'\n")
    apply(place, WISH)
    [note] = eject(place).notes
    assert "you wrote yourself" in note


def test_where_the_configuration_points(place: Place) -> None:
    assert points_at(place) == ""
    apply(place, WISH)
    assert points_at(place) == "http://127.0.0.1:5800"
    place.config.write_bytes(b"\xff")
    assert points_at(place) == ""
