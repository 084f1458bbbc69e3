"""Places of the configuration as a command line writes them, and what is put there."""

from __future__ import annotations

from typing import Any

import pytest

from codex_nexus.config.model import Config, read_config
from codex_nexus.config.places import get, lone, place_of, put, value_of, without
from codex_nexus.errors import Misuse

ROUTE = {"provider": "kimi", "fallbacks": [{"provider": "deepseek"}]}
RAW: dict[str, Any] = {"port": 5900, "model_routes": {"gpt-5.5": ROUTE}, "provider_api_keys": {"kimi": "one"}}


@pytest.mark.parametrize(
    ("written", "steps"),
    [
        ("port", ("port",)),
        ("retry.attempts", ("retry", "attempts")),
        ("timeouts.idle_s", ("timeouts", "idle_s")),
        ("model_routes.fast", ("model_routes", "fast")),
        ("model_routes.fast.model", ("model_routes", "fast", "model")),
        ("model_routes.gpt-5.5", ("model_routes", "gpt-5.5")),
        ("model_routes.gpt-5.5.provider", ("model_routes", "gpt-5.5", "provider")),
        ("model_routes.gpt-5.5.fallbacks.0.model", ("model_routes", "gpt-5.5", "fallbacks", 0, "model")),
        ('model_routes."my.model"', ("model_routes", "my.model")),
        ('model_routes."my.model".model', ("model_routes", "my.model", "model")),
        ("model_overrides.kimi.gpt-4.1", ("model_overrides", "kimi", "gpt-4.1")),
        ("provider_addresses.my.house", ("provider_addresses", "my.house")),
        ("provider_api_keys.kimi", ("provider_api_keys", "kimi")),
        ("provider_api_keys.kimi.1", ("provider_api_keys", "kimi", 1)),
        ("budgets.*.cost_per_day", ("budgets", "*", "cost_per_day")),
        ("allowed_origins.0", ("allowed_origins", 0)),
    ],
)
def test_the_types_part_a_place_into_steps(written: str, steps: tuple[str | int, ...]) -> None:
    assert place_of(written).steps == steps


@pytest.mark.parametrize("key", Config.__struct_fields__)
def test_every_key_is_a_place(key: str) -> None:
    assert place_of(key).steps == (key,)


@pytest.mark.parametrize(
    "written",
    ["", ".", "port.", "port.x", "retry.colour", "model_routes.", "allowed_origins.x", 'model_routes."a"b', "Port"],
)
def test_what_names_nothing_is_refused_with_the_way_to_all_names(written: str) -> None:
    with pytest.raises(Misuse, match="codex-nexus config keys"):
        place_of(written)


def test_a_slip_is_told_its_neighbours() -> None:
    with pytest.raises(Misuse, match="near are port"):
        place_of("prot")


@pytest.mark.parametrize(
    ("written", "text", "value"),
    [
        ("provider", " kimi\n", "kimi"),
        ("provider", '"kimi"', "kimi"),
        ("language", "zh", "zh"),
        ("vision_model", "123", "123"),
        ("port", "5900", 5900),
        ("port", "many", "many"),
        ("codex_config_auto", "false", False),
        ("timeouts.idle_s", "null", None),
        ("api_key", ' "Bearer sk-1 2" ', "sk-12"),
        ("provider_api_keys.kimi", "env:KIMI", "env:KIMI"),
        ("provider_api_keys.kimi", '["a", "env:B"]', ["a", "env:B"]),
        ("model_routes.fast", '{"provider": "kimi"}', {"provider": "kimi"}),
    ],
)
def test_texts_are_taken_as_they_are_and_everything_else_as_json(written: str, text: str, value: object) -> None:
    assert value_of(place_of(written), text) == value


@pytest.mark.parametrize("text", ["{provider:kimi}", "{'provider': 'kimi'}", "kimi", "[" * 100_000])
def test_json_whose_quotes_were_eaten_is_told_so(text: str) -> None:
    with pytest.raises(Misuse, match="Shells eat quotes"):
        value_of(place_of("model_routes.fast"), text)


@pytest.mark.parametrize(
    ("written", "value", "after"),
    [
        ("port", 1, RAW | {"port": 1}),
        ("retry.attempts", 3, RAW | {"retry": {"attempts": 3}}),
        ("model_routes.new.provider", "qwen", RAW | {"model_routes": {"gpt-5.5": ROUTE, "new": {"provider": "qwen"}}}),
        ("provider_api_keys.kimi.1", "two", RAW | {"provider_api_keys": {"kimi": ["one", "two"]}}),
        ("allowed_origins.0", "https://a.example", RAW | {"allowed_origins": ["https://a.example"]}),
    ],
)
def test_a_value_is_put_into_a_copy(written: str, value: object, after: object) -> None:
    before = repr(RAW)
    changed = put(RAW, place_of(written), value)
    assert changed == after
    assert get(changed, place_of(written).steps) == value
    assert repr(RAW) == before


def test_a_list_has_no_holes_and_a_text_no_inside() -> None:
    with pytest.raises(Misuse, match=r"no place provider_api_keys\.kimi\.3"):
        put(RAW, place_of("provider_api_keys.kimi.3"), "x")
    with pytest.raises(Misuse, match=r"no place retry\.attempts"):
        put({"retry": "often"}, place_of("retry.attempts"), 1)


def test_what_is_empty_goes_with_what_is_taken_away() -> None:
    assert without(RAW, place_of("provider_api_keys.kimi").steps) == {k: RAW[k] for k in ("port", "model_routes")}
    assert without(RAW, place_of("model_routes.gpt-5.5.fallbacks.0").steps)["model_routes"] == {
        "gpt-5.5": {"provider": "kimi"}
    }
    assert without(RAW, place_of("retry.attempts").steps) == RAW


def test_a_lone_value_is_a_configuration() -> None:
    raw = lone(place_of("provider_api_keys.kimi.4"), "sk-1")
    config, _, problems = read_config(raw)
    assert not problems
    assert config.provider_api_keys["kimi"][0].reveal() == "sk-1"
