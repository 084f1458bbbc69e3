"""Keys never show themselves, and references lead to the keys that they name."""

from __future__ import annotations

import json
import logging
import sys
from types import ModuleType
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from codex_nexus.config.model import Config, ModelRoute
from codex_nexus.config.secrets import Secret, has_foreign_signs, tidied

KEY = "sk-0123456789abcdef"


class FakeKeyring(ModuleType):
    """A keyring with one entry."""

    def get_password(self, service: str, name: str) -> str | None:
        return KEY if (service, name) == ("codex-nexus", "deepseek") else None


class BrokenKeyring(ModuleType):
    """A keyring without a back end."""

    def get_password(self, service: str, name: str) -> str | None:
        raise RuntimeError("no back end")


@pytest.mark.parametrize("show", [repr, str, "{}".format, "%s".__mod__, "{!r}".format], ids=lambda show: show.__name__)
def test_a_key_never_shows_itself(show: Any) -> None:
    assert KEY not in show(Secret(KEY))
    assert "***" in show(Secret(KEY))


def test_a_key_inside_other_values_never_shows_itself() -> None:
    config = Config(
        api_key=Secret(KEY),
        access_token=Secret(KEY),
        provider_api_keys={"deepseek": (Secret(KEY), Secret(KEY))},
        model_routes={"gpt-5": ModelRoute(provider="kimi", api_key=Secret(KEY))},
    )
    assert KEY not in repr(config)
    assert KEY not in str(config.provider_api_keys)


def test_a_key_never_shows_itself_in_a_log(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        logging.getLogger("test").info("with %s and %r", Secret(KEY), [Secret(KEY)])
    assert KEY not in caplog.text


@given(st.text(min_size=6))
def test_no_text_at_all_is_shown(text: str) -> None:
    secret = Secret(text)
    assert secret.reference is not None or repr(secret) == "Secret('***')"


def test_an_encoder_does_not_know_how_to_write_a_key() -> None:
    with pytest.raises(TypeError):
        json.dumps(Secret(KEY))
    with pytest.raises(TypeError):
        msgspec.json.encode(Secret(KEY))


def test_a_reference_is_no_secret_and_may_be_shown() -> None:
    assert "env:DEEPSEEK_API_KEY" in repr(Secret("env:DEEPSEEK_API_KEY"))
    assert Secret("env:DEEPSEEK_API_KEY").reference == "env:DEEPSEEK_API_KEY"
    assert Secret("keyring:deepseek").reference == "keyring:deepseek"
    assert Secret(KEY).reference is None


def test_a_key_is_revealed_as_it_is() -> None:
    assert Secret(KEY).reveal({}) == KEY
    assert Secret(f"  {KEY}\n").reveal({}) == KEY
    assert Secret("env-like-key").reveal({}) == "env-like-key"
    assert not Secret("").reveal({})


def test_a_key_keeps_what_was_written_for_the_file() -> None:
    assert Secret(f" {KEY}").written == f" {KEY}"


def test_an_environment_reference_leads_to_the_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    assert Secret("env:MY_KEY").reveal({"MY_KEY": f" {KEY}\n"}) == KEY
    monkeypatch.setenv("MY_KEY", KEY)
    assert Secret("env:MY_KEY").reveal() == KEY


def test_an_environment_reference_may_lead_nowhere() -> None:
    assert not Secret("env:MY_KEY").reveal({})


@pytest.mark.parametrize("written", ["env:", "keyring:"])
def test_a_reference_without_a_name_is_no_key(written: str) -> None:
    assert not Secret(written).reveal({})


def test_a_keyring_reference_leads_to_the_entry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "keyring", FakeKeyring("keyring"))
    assert Secret("keyring:deepseek").reveal({}) == KEY
    assert not Secret("keyring:other").reveal({})


@pytest.mark.parametrize("keyring", [None, BrokenKeyring("keyring")], ids=["not installed", "broken"])
def test_a_keyring_that_does_not_work_gives_no_key(keyring: ModuleType | None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "keyring", keyring)
    assert not Secret("keyring:deepseek").reveal({})


def test_keys_are_values() -> None:
    assert Secret(KEY) == Secret(KEY) != Secret("other")
    assert Secret(KEY) != KEY
    assert len({Secret(KEY), Secret(KEY)}) == 1
    assert Secret(KEY)
    assert not Secret()


@pytest.mark.parametrize(
    "pasted",
    [
        KEY,
        f" {KEY}\r\n",
        f"'{KEY}'",
        f'"Bearer {KEY}"',
        f"bearer  {KEY}",
        f"\u201c{KEY}\u2019",
        f"\ufeff{KEY}",
        f"{KEY[:4]}\n{KEY[4:]}",
    ],
)
def test_a_pasted_key_is_taken_as_it_was_meant(pasted: str) -> None:
    assert tidied(pasted) == KEY


@pytest.mark.parametrize(
    ("key", "foreign"), [(KEY, False), ("sk-\u0430bc", True), ("sk-\u200babc", True), ("sk a", True)]
)
def test_a_key_with_foreign_signs_is_none(key: str, foreign: bool) -> None:
    assert has_foreign_signs(key) is foreign
