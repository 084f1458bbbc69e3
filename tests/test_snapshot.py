"""One frozen picture of configuration and catalogue."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from codex_nexus.config.secrets import Secret
from codex_nexus.errors import ConfigError
from codex_nexus.providers.catalogue import shipped
from codex_nexus.snapshot import load_catalogue
from tests.worlds import providers, world


def test_keys_are_revealed_once() -> None:
    snapshot = world(
        {
            "api_key": "env:SHARED",
            "access_token": "nexus-1",
            "provider_api_keys": {"kimi": ["env:KIMI", "k-2"], "zai": "env:NOWHERE", "qwen": ""},
            "model_routes": {"a": {"provider": "kimi", "api_key": "env:ROUTE"}, "b": {"provider": "kimi"}},
        },
        environ={"SHARED": "k-shared", "KIMI": "k-1", "ROUTE": "k-route"},
    )
    assert snapshot.keys == {"kimi": ("k-1", "k-2")}
    assert snapshot.shared_key == "k-shared"
    assert snapshot.route_keys == {"a": "k-route"}
    assert snapshot.access_token == "nexus-1"
    assert set(snapshot.secrets()) == {"k-1", "k-2", "k-shared", "k-route", "nexus-1"}


def test_nothing_secret_means_no_secrets() -> None:
    assert world().secrets() == ()


def test_the_configuration_still_hides_its_keys() -> None:
    snapshot = world({"api_key": "k-shared"})
    assert snapshot.config.api_key == Secret("k-shared")
    assert "k-shared" not in repr(snapshot.config)


def test_providers_that_do_not_exist_are_all_named() -> None:
    with pytest.raises(ConfigError) as caught:
        world({"provider": "nobody", "model_routes": {"a": {"provider": "nowhere"}}})
    assert [problem.partition(":")[0] for problem in caught.value.problems] == ["provider", "model_routes.a.provider"]


def test_the_custom_provider_gets_its_address() -> None:
    snapshot = world({"custom_upstream": "http://10.0.0.7:8000/v1/"})
    assert snapshot.catalogue.providers["custom"].base_url == "http://10.0.0.7:8000/v1"
    assert not shipped().providers["custom"].base_url


def test_a_snapshot_cannot_be_edited() -> None:
    with pytest.raises(AttributeError):
        world().shared_key = "other"  # type: ignore[misc]


# --- the mark of the model list


@pytest.mark.parametrize(
    "change",
    [
        {"provider": "kimi"},
        {"model_routes": {"gpt-5": {"provider": "kimi"}}},
        {"model_overrides": {"deepseek": {"gpt-5": "x"}}},
        {"provider_api_keys": {"kimi": "k"}},
        {"custom_upstream": "http://10.0.0.7:8000/v1"},
    ],
    ids=lambda change: next(iter(change)),
)
def test_what_changes_the_list_changes_the_etag(change: dict[str, Any]) -> None:
    assert world(change).etag != world().etag


def test_the_etag_is_the_same_for_the_same_world() -> None:
    config = {"provider_api_keys": {"kimi": "k", "zai": "l"}}
    assert world(config).etag == world(config).etag
    other_keys = {"provider_api_keys": {"zai": "m", "kimi": "n"}, "api_key": "o", "access_token": "p"}
    assert world(config).etag == world(other_keys).etag


def test_other_providers_change_the_etag() -> None:
    assert world(known=providers(house={"base_url": "http://h/v1"})).etag != world().etag


# --- the user's providers


def test_without_a_file_there_are_the_shipped_providers(tmp_path: Path) -> None:
    assert load_catalogue(tmp_path) is shipped()


def test_the_users_providers_lie_over_the_shipped_ones(tmp_path: Path) -> None:
    mine = {"providers": [{"id": "house", "base_url": "http://h/v1"}, {"id": "kimi", "default_model": "kimi-mine"}]}
    (tmp_path / "providers.json").write_text(json.dumps(mine))
    known = load_catalogue(tmp_path)
    assert known.providers["house"].base_url == "http://h/v1"
    assert known.providers["kimi"].default_model == "kimi-mine"
    assert known.providers["kimi"].base_url == shipped().providers["kimi"].base_url
    assert "house" not in shipped().providers


def test_a_wrong_file_of_providers_is_named(tmp_path: Path) -> None:
    (tmp_path / "providers.json").write_text('{"providers": [{"id": "x", "colour": "red"}]}')
    with pytest.raises(ConfigError, match=r"providers\.json"):
        load_catalogue(tmp_path)


def test_a_folder_in_place_of_the_file_is_a_problem(tmp_path: Path) -> None:
    (tmp_path / "providers.json").mkdir()
    with pytest.raises(ConfigError, match="cannot be read"):
        load_catalogue(tmp_path)


def test_a_provider_at_another_address_remembers_its_usual_one() -> None:
    usual = shipped().providers["kimi"]
    snapshot = world({"provider_addresses": {"kimi": "https://api.moonshot.cn/v1/"}})
    moved = snapshot.catalogue.providers["kimi"]
    assert moved.base_url == "https://api.moonshot.cn/v1"
    assert moved.other_urls == {"usual": usual.base_url, **usual.other_urls}
    assert snapshot.catalogue.providers["deepseek"] is shipped().providers["deepseek"]
