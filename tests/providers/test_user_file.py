"""The user's own `providers.json`: it wins over what is shipped, and all that is wrong in it is told."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest

from codex_nexus.errors import ConfigError
from codex_nexus.providers.catalogue import Catalogue, merged, read, shipped
from tests.providers.test_catalogue import IDS


def test_merged_keeps_what_is_shipped_and_lays_the_users_over() -> None:
    user = read(
        json.dumps(
            {
                "families": [{"match": ["deepseek-*"], "dialect": {"reasoning_missing": "space"}}],
                "providers": [
                    {
                        "id": "deepseek",
                        "name": "DeepSeek behind our proxy",
                        "base_url": "https://proxy.example/v1",
                        "mapping": {"gpt-5.5": "deepseek-next"},
                        "models": [
                            {"id": "deepseek-next", "context_window": 2_000_000},
                            {"id": "deepseek-v4-pro", "context_window": 65_536},
                        ],
                        "dialect": {"idle_timeout_s": 60},
                        "rules": [{"match": ["deepseek-next"], "dialect": {"response_format": "schema"}}],
                    },
                    {"id": "house", "name": "House model", "base_url": "http://10.0.0.5/v1", "local": True},
                ],
            }
        ).encode(),
        "user.json",
    )
    base = shipped()
    both = merged(base, user)

    record, known = both.providers["deepseek"], base.providers["deepseek"]
    assert record.name == "DeepSeek behind our proxy"
    assert record.base_url == "https://proxy.example/v1"
    assert record.key_url == known.key_url
    assert record.default_model == known.default_model
    assert record.other_urls == known.other_urls
    assert record.mapping == {**known.mapping, "gpt-5.5": "deepseek-next"}
    assert [model.id for model in record.models] == ["deepseek-next", "deepseek-v4-pro", "deepseek-flash"]

    old = both.dialect("deepseek", "deepseek-v4-pro")
    assert (old.context_window, old.idle_timeout_s, old.default_output) == (65_536, 60, 65_536)
    assert (old.reasoning_missing, old.response_format) == ("space", "object")
    assert both.dialect("deepseek", "deepseek-next").response_format == "schema"

    assert both.providers["house"].local
    assert both.dialect("house", "anything").family == "house"
    assert both.dialect("house", "deepseek-v4").reasoning_missing == "space"
    assert tuple(both.providers) == (*IDS, "house")
    assert both.families[: len(base.families)] == base.families


def user_says(record: dict[str, Any], **more: Any) -> Catalogue:
    """The shipped catalogue with a record of the user's over it."""
    return merged(shipped(), read(json.dumps({"providers": [record], **more}).encode(), "user.json"))


def test_the_user_wins_over_families_hosts_and_models() -> None:
    mine = {"reasoning_missing": "space", "images": "data", "context_window": 9_000, "max_tokens_field": "max_tokens"}
    dialect = user_says({"id": "kimi", "dialect": mine}).dialect("kimi", "kimi-k3")
    assert {name: getattr(dialect, name) for name in mine} == mine
    assert dialect.json_schema == "mfjs"
    blind = user_says({"id": "zai", "dialect": {"images": "data"}}).dialect("zai", "glm-5.3")
    assert (blind.images, shipped().dialect("zai", "glm-5.3").images) == ("data", "none")
    of_family = {"families": [{"match": ["kimi-*"], "dialect": {"json_schema": "plain", "reasoning_missing": "omit"}}]}
    both = user_says({"id": "kimi", "dialect": {"reasoning_missing": "space"}}, **of_family)
    dialect = both.dialect("kimi", "kimi-k3")
    assert (dialect.json_schema, dialect.reasoning_missing) == ("plain", "space")
    assert both.dialect("together", "moonshotai/Kimi-K3").json_schema == "plain"


def test_a_rule_of_the_users_is_for_its_models_alone() -> None:
    both = user_says(
        {
            "id": "house",
            "base_url": "http://h/v1",
            "dialect": {"reasoning_param": "effort", "max_tools": 9},
            "rules": [{"match": ["deepseek-*"], "dialect": {"max_tools": 5}}],
        }
    )
    assert [both.dialect("house", model).max_tools for model in ("deepseek-v4", "other")] == [5, 9]
    assert both.dialect("house", "deepseek-v4").reasoning_param == "effort"


def test_on_the_other_wire_an_effort_is_said_and_no_field_of_a_chat() -> None:
    other = user_says({"id": "zai", "dialect": {"wire": "responses"}}).dialect("zai", "glm-5.2")
    assert (other.extra_body, other.reasoning_param) == ({}, "thinking+effort")
    plain = user_says({"id": "house", "base_url": "http://h/v1", "dialect": {"wire": "responses"}})
    assert plain.dialect("house", "m").reasoning_param == "effort"
    own = {"wire": "responses", "extra_body": {"a": 1}, "reasoning_param": "none"}
    mine = user_says({"id": "zai", "dialect": own}).dialect("zai", "glm-5.2")
    assert (list(mine.extra_body), mine.reasoning_param) == (["a"], "none")


def test_models_may_be_listed_at_another_address() -> None:
    records = shipped().providers
    assert records["github"].models_url == "https://models.github.ai/catalog/models"
    assert records["kimi"].models_url == "https://api.moonshot.ai/v1/models"
    here = user_says({"id": "mine", "base_url": "http://h/v1/", "models_path": "/list"}).providers["mine"]
    assert here.models_url == "http://h/v1/list"


def test_merging_changes_neither_side() -> None:
    before = dict(shipped().providers)
    user = Catalogue({"kimi": msgspec.structs.replace(before["kimi"], name="Mine")}, ())
    assert merged(shipped(), user).providers["kimi"].name == "Mine"
    assert shipped().providers == before


def test_every_wrong_dialect_field_is_named_with_its_path() -> None:
    text = json.dumps(
        {
            "families": [{"match": ["x-*"], "dialect": {"system": "tail", "famly": "x"}}],
            "providers": [
                {"id": "fine", "name": "Fine", "dialect": {"tool_id": "keep"}},
                {
                    "id": "mine",
                    "name": "Mine",
                    "dialect": {"max_output": "many"},
                    "rules": [
                        {"match": ["*"], "dialect": {}},
                        {"match": ["*"], "dialect": {"reasoning_replay": "sometimes"}},
                    ],
                },
            ],
        }
    )
    with pytest.raises(ConfigError) as caught:
        read(text.encode(), "~/.codex-nexus/providers.json")
    problems = caught.value.problems
    assert [problem.split(":")[0] for problem in problems] == [
        "families[0].dialect.system",
        "families[0].dialect.famly",
        "providers[1] (mine).dialect.max_output",
        "providers[1] (mine).rules[1].dialect.reasoning_replay",
    ]
    assert "tail" in problems[0]
    assert "famly" in problems[1]
    assert "~/.codex-nexus/providers.json has 4 problems" in str(caught.value)
    assert all(problem in str(caught.value) for problem in problems)


def test_every_wrong_shape_is_named_with_its_path() -> None:
    text = {
        "provider": [],
        "families": [{"match": "x-*", "dialect": {}}, 5],
        "providers": [
            {"name": "A", "base": ""},
            {
                "id": "mine",
                "local": "soap",
                "models": [{"id": 7, "price": [1]}, {}],
                "forward": {"X-Id": "secret"},
                "rules": [{"dialect": {"system": "tail"}}],
            },
            7,
        ],
    }
    with pytest.raises(ConfigError) as caught:
        read(json.dumps(text).encode(), "providers.json")
    assert [problem.split(":")[0] for problem in caught.value.problems] == [
        "provider",
        "families[0].match",
        "families[1]",
        "providers[0].base",
        "providers[0].id",
        "providers[1] (mine).local",
        "providers[1] (mine).models[0].id",
        "providers[1] (mine).models[0].price",
        "providers[1] (mine).models[1].id",
        "providers[1] (mine).forward.X-Id",
        "providers[1] (mine).rules[0].match",
        "providers[2]",
    ]
    assert "providers.json has 12 problems" in str(caught.value)
    assert "'secret' is none of user_agent, conversation." in str(caught.value)
    assert not [problem for problem in caught.value.problems if "`" in problem]


@pytest.mark.parametrize(
    ("record", "said"),
    [
        ({"base_url": "ftp://x"}, "base_url: 'ftp://x' does not begin with http:// or https://."),
        ({"auth": "basic"}, "auth: 'basic' is none of bearer, none, header:NAME."),
        ({"auth": "header:"}, "auth: behind 'header:' the name of the header is missing."),
    ],
)
def test_an_address_or_way_of_showing_the_key_that_cannot_work_is_told(record: dict[str, str], said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        read(json.dumps({"providers": [{"id": "a"} | record]}).encode(), "providers.json")
    assert caught.value.problems == [f"providers[0] (a).{said}"]


@pytest.mark.parametrize("text", ['{"providers": [', "", "x", "\xff"])
def test_a_file_that_is_no_json_is_said_to_be_none(text: str) -> None:
    with pytest.raises(ConfigError) as caught:
        read(text.encode("latin-1"), "providers.json")
    assert [problem.split(":")[0] for problem in caught.value.problems] == ["it is not JSON"]


@pytest.mark.parametrize("text", ["[]", "5", "null"])
def test_a_file_that_is_no_object_is_said_to_be_none(text: str) -> None:
    with pytest.raises(ConfigError) as caught:
        read(text.encode(), "providers.json")
    assert caught.value.problems[0].startswith("the file: expected an object, got ")


def test_an_empty_file_adds_nothing() -> None:
    nothing = read(b"{}", "user.json")
    both = merged(shipped(), nothing)
    assert both.providers == shipped().providers
    assert both.families == shipped().families
