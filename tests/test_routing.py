"""Which provider, model and key serve a name; who may use which key."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from codex_nexus.errors import NoKey, NoRoute
from codex_nexus.routing import Caller, Listed, Route, is_codex_name, needs_listing, resolve
from codex_nexus.snapshot import Snapshot
from tests.worlds import providers, world

OWNER = Caller(owner=True)
GUEST_KEY = "sk-guest"
GUEST = Caller(owner=False, bearer=GUEST_KEY, identity="guest")
KNOWN = providers(
    house={
        "base_url": "http://house.example/v1",
        "default_model": "house-default",
        "models": [{"id": "house-default"}, {"id": "house-big"}],
        "mapping": {"gpt-5.5": "house-mapped"},
    },
    bare={"base_url": "http://bare.example/v1"},
    away={"base_url": "http://away.example/v1", "default_model": "away-default"},
    near={"base_url": "http://127.0.0.1:9/v1", "local": True, "default_model": "near-default"},
    open={"base_url": "http://open.example/v1", "auth": "none", "default_model": "open-default"},
)
KEYED: dict[str, Any] = {"provider": "house", "provider_api_keys": {"house": "k-house", "bare": "k-bare"}}


def served(asked: str, config: dict[str, Any] | None = None, listed: Listed | None = None) -> str:
    """Where a name goes, as `provider/model`."""
    return route(asked, config, listed).destinations[0].name


def route(
    asked: str, config: dict[str, Any] | None = None, listed: Listed | None = None, caller: Caller = OWNER
) -> Route:
    """The route of a name in the world of these tests."""
    return resolve(here(config), asked, caller, listed or {})


def here(config: dict[str, Any] | None = None) -> Snapshot:
    """The snapshot of `KEYED` with some keys of a test's own."""
    return world(KEYED | (config or {}), KNOWN)


def keys(found: Route) -> list[tuple[str, ...]]:
    """The keys of each destination."""
    return [destination.keys for destination in found.destinations]


# --- the order in which a name is understood

ROUTES = {"model_routes": {"gpt-5.5": {"provider": "bare", "model": "routed"}, "house-big": {"provider": "bare"}}}
OVERRIDES = {"model_overrides": {"house": {"gpt-5.5": "overridden", "plain": "overridden"}}}


def test_a_route_comes_first() -> None:
    assert served("gpt-5.5", ROUTES | OVERRIDES, {"house": ("gpt-5.5",)}) == "bare/routed"


def test_a_route_may_name_what_looks_like_provider_and_model() -> None:
    routes = {"model_routes": {"bare/x": {"provider": "house", "model": "y"}}}
    assert served("bare/x", routes) == "house/y"


def test_provider_and_model_come_second() -> None:
    assert served("bare/gpt-5.5", OVERRIDES) == "bare/gpt-5.5"
    assert served("house/house-big") == "house/house-big"


def test_the_model_after_a_provider_is_mapped_too() -> None:
    assert served("house/gpt-5.5") == "house/house-mapped"
    assert served("house/gpt-5.5", OVERRIDES) == "house/overridden"


def test_an_override_comes_third() -> None:
    assert served("gpt-5.5", OVERRIDES, {"house": ("gpt-5.5",)}) == "house/overridden"
    assert served("plain", OVERRIDES, {"house": ("plain",)}) == "house/overridden"


def test_the_overrides_of_another_provider_mean_nothing() -> None:
    assert served("gpt-5.5", {"model_overrides": {"bare": {"gpt-5.5": "overridden"}}}) == "house/house-mapped"


def test_the_providers_own_mapping_comes_fourth() -> None:
    assert served("gpt-5.5", None, {"house": ("gpt-5.5",)}) == "house/house-mapped"


def test_a_listed_id_comes_fifth() -> None:
    assert served("gpt-oss-120b", None, {"house": ("gpt-oss-120b",)}) == "house/gpt-oss-120b"
    assert served("house-big") == "house/house-big"


def test_the_default_model_comes_last() -> None:
    assert served("something-else", None, {"house": ("gpt-oss-120b",)}) == "house/house-default"


def test_a_route_without_a_model_is_understood_in_the_same_order() -> None:
    def routed(provider: str, listed: Listed | None = None, **config: Any) -> str:
        config |= {"api_key": "k", "model_routes": {"gpt-5.5": {"provider": provider}}}
        return served("gpt-5.5", config, listed)

    assert routed("house", **OVERRIDES) == "house/overridden"
    assert routed("house") == "house/house-mapped"
    assert routed("away") == "away/away-default"
    assert routed("bare", {"bare": ("first", "gpt-5.5")}) == "bare/gpt-5.5"
    assert routed("bare", {"bare": ("first", "second")}) == "bare/first"


@pytest.mark.parametrize(
    "asked",
    [
        "gpt-5", "gpt-5.6-codex-mini", "gpt-6", "GPT-7", "codex-auto-review", "codex-mini-latest", "o3", "o4-mini",
        "o9-pro", "gpt-4.1-nano", "gpt4o", "chatgpt-4o-latest", "gpt-5-nano-2026-01-01",
    ],
)  # fmt: skip
def test_every_name_that_codex_may_ask_for_is_served(asked: str) -> None:
    assert is_codex_name(asked)
    assert served(asked) == "house/house-default"
    assert served(asked, {"provider": "bare"}, {"bare": ("qwen3:8b", "llama4")}) == "bare/qwen3:8b"


@pytest.mark.parametrize("asked", ["qwen3:8b", "openchat", "orca", "kimi-k3", "deepseek-chat", "ollama", "o"])
def test_other_names_are_not_codexs(asked: str) -> None:
    assert not is_codex_name(asked)


def test_a_name_that_nobody_knows_is_passed_on_where_there_is_no_default() -> None:
    assert served("mystery", {"provider": "bare"}) == "bare/mystery"
    assert served("mystery", {"provider": "bare"}, {"bare": ("qwen3:8b",)}) == "bare/mystery"
    assert served("gpt-5", {"provider": "bare"}) == "bare/gpt-5"


# --- ids with slashes

OPENROUTER: dict[str, Any] = {"provider": "openrouter", "provider_api_keys": {"openrouter": "k-or"}}


@pytest.mark.parametrize("asked", ["openai/gpt-5.5", "anthropic/claude-opus-5", "meta/llama:free", "a/b/c"])
def test_a_listed_id_with_a_slash_is_sent_as_it_is(asked: str) -> None:
    assert served(asked, OPENROUTER, {"openrouter": (asked,)}) == f"openrouter/{asked}"


@pytest.mark.parametrize("asked", ["openai/gpt-9", "anthropic/claude-opus-5", "qwen/qwen9-max"])
def test_the_list_decides_about_an_id_with_a_slash(asked: str) -> None:
    assert needs_listing(here(OPENROUTER), asked) == "openrouter"


def test_an_id_that_begins_like_a_provider_belongs_to_the_default_that_lists_it() -> None:
    listed = {"openrouter": ("qwen/qwen3-max", "openrouter/auto")}
    assert served("qwen/qwen3-max", OPENROUTER, listed) == "openrouter/qwen/qwen3-max"
    assert served("openrouter/auto", OPENROUTER, listed) == "openrouter/openrouter/auto"


def test_a_provider_with_a_key_of_its_own_takes_its_name_back() -> None:
    both = OPENROUTER | {"provider_api_keys": {"openrouter": "k-or", "qwen": "k-qwen"}}
    assert served("qwen/qwen3-max", both, {"openrouter": ("qwen/qwen3-max",)}) == "qwen/qwen3-max"


def test_a_local_provider_needs_no_key_to_be_meant() -> None:
    assert served("near/llama4", OPENROUTER, {"openrouter": ("near/llama4",)}) == "near/llama4"
    assert needs_listing(here(OPENROUTER), "near/llama4") is None


def test_a_shared_key_does_not_go_to_another_provider_by_accident() -> None:
    config = {"provider": "openrouter", "api_key": "k-or", "provider_api_keys": {}}
    assert needs_listing(here(config), "qwen/qwen3-max") == "openrouter"
    found = route("qwen/qwen3-max", config, {"openrouter": ("qwen/qwen3-max",)})
    assert found.destinations[0].name == "openrouter/qwen/qwen3-max"


# --- when a list must be asked for


@pytest.mark.parametrize(
    ("asked", "config", "provider"),
    [
        ("gpt-5.5", {}, None),  # mapped
        ("house-big", {}, None),  # in the data
        ("gpt-6", {}, None),  # Codex's, and there is a default
        ("house/gpt-5.5", {}, None),
        ("house/house-big", {}, None),
        ("bare/anything", {}, None),
        ("qwen3:8b", {}, "house"),
        ("gpt-6", {"provider": "bare"}, "bare"),
        ("gpt-6", {"provider": "away"}, "away"),  # the data name no models
        ("plain", OVERRIDES, None),
        ("gpt-5.5", ROUTES, None),
        ("x", {"model_routes": {"x": {"provider": "bare"}}}, "bare"),
        ("house-big", ROUTES, "bare"),
        ("bare", {}, "house"),
    ],
)
def test_a_list_is_asked_for_only_where_it_decides(asked: str, config: dict[str, Any], provider: str | None) -> None:
    assert needs_listing(here(config), asked) == provider


_NAMES = st.sampled_from(["gpt-5.5", "gpt-6", "o3", "house-big", "x", "bare/x", "house/x", "near/x", "qwen/x", "a/b"])


@given(_NAMES, st.sampled_from(["house", "bare", "away", "near"]), st.lists(_NAMES, max_size=4))
def test_a_list_that_is_not_asked_for_changes_nothing(asked: str, provider: str, ids: list[str]) -> None:
    config = {"provider": provider, "provider_api_keys": {"house": "k", "bare": "k", "away": "k"}}
    codexs = is_codex_name(asked) and "/" not in asked  # these are not worth a question where the data name the models
    if needs_listing(here(config), asked) is None and not codexs:
        assert served(asked, config) == served(asked, config, {provider: tuple(ids)})


# --- what cannot be served


def test_the_provider_custom_needs_an_address() -> None:
    with pytest.raises(NoRoute, match="custom_upstream") as caught:
        route("custom/x")
    assert (caught.value.status, caught.value.code, caught.value.param) == (404, "model_not_found", "model")


def test_a_provider_without_a_model_is_told() -> None:
    with pytest.raises(NoRoute, match="model_routes"):
        route("bare/")


def test_a_missing_key_is_told_with_its_place() -> None:
    with pytest.raises(NoKey, match=r"provider_api_keys\.away") as caught:
        route("away/x")
    assert (caught.value.status, caught.value.code) == (401, "invalid_api_key")


# --- whose key


def test_the_providers_own_key_comes_first() -> None:
    caller = Caller(owner=True, bearer="sk-caller")
    assert keys(route("house-big", {"api_key": "k-shared"}, caller=caller)) == [("k-house",)]


def test_the_shared_key_comes_second() -> None:
    caller = Caller(owner=True, bearer="sk-caller")
    assert keys(route("away/x", {"api_key": "k-shared"}, caller=caller)) == [("k-shared",)]


def test_the_callers_key_comes_last() -> None:
    assert keys(route("away/x", caller=Caller(owner=True, bearer="sk-caller"))) == [("sk-caller",)]


def test_a_route_may_have_a_key_of_its_own() -> None:
    routes = {"model_routes": {"gpt-5": {"provider": "house", "model": "m", "api_key": "k-route"}}}
    assert keys(route("gpt-5", routes)) == [("k-route",)]
    assert keys(route("house/m", routes)) == [("k-house",)]


def test_a_pool_is_tried_in_its_order() -> None:
    pool = {"provider_api_keys": {"house": ["k-1", "k-2", "k-3"]}}
    assert keys(route("house-big", pool)) == [("k-1", "k-2", "k-3")]


@pytest.mark.parametrize("name", ["near/x", "open/x"])
def test_a_local_provider_needs_no_key(name: str) -> None:
    assert keys(route(name)) == [("",)]


def test_a_caller_from_elsewhere_spends_a_key_of_its_own() -> None:
    shared = {"api_key": "k-shared", "model_routes": {"gpt-5": {"provider": "house", "model": "m", "api_key": "k-r"}}}
    for name in ("house-big", "bare/x", "away/x", "gpt-5"):
        assert keys(route(name, shared, caller=GUEST)) == [(GUEST_KEY,)]


def test_a_caller_from_elsewhere_without_a_key_gets_nothing() -> None:
    with pytest.raises(NoKey):
        route("house-big", {"api_key": "k-shared"}, caller=Caller(owner=False))


@pytest.mark.parametrize("name", ["near/x", "open/x", "ollama/x"])
def test_a_caller_from_elsewhere_does_not_use_local_models(name: str) -> None:
    with pytest.raises(NoKey, match="access token"):
        route(name, caller=GUEST)


def test_a_caller_from_elsewhere_does_not_use_the_owners_upstream() -> None:
    config = {"provider": "custom", "custom_upstream": "http://10.0.0.7:8000/v1"}
    with pytest.raises(NoKey, match="access token"):
        route("gpt-5", config, caller=GUEST)


# --- fallbacks

FALLBACKS = {
    "model_routes": {
        "gpt-5": {
            "provider": "house",
            "model": "m",
            "api_key": "k-route",
            "fallbacks": [
                {"provider": "bare", "model": "b"},
                {"provider": "away"},
                {"provider": "near"},
                {"provider": "house", "model": "m2"},
            ],
        }
    }
}


def test_fallbacks_follow_in_their_order_with_their_own_keys() -> None:
    found = route("gpt-5", FALLBACKS | {"api_key": "k-shared"})
    assert [destination.name for destination in found.destinations] == [
        "house/m",
        "bare/b",
        "away/away-default",
        "near/near-default",
        "house/m2",
    ]
    assert keys(found) == [("k-route",), ("k-bare",), ("k-shared",), ("k-shared",), ("k-house",)]
    assert found.asked == "gpt-5"


def test_a_fallback_that_cannot_be_used_is_left_out() -> None:
    names = [destination.name for destination in route("gpt-5", FALLBACKS).destinations]
    assert names == ["house/m", "bare/b", "near/near-default", "house/m2"]
    guests = [destination.name for destination in route("gpt-5", FALLBACKS, caller=GUEST).destinations]
    assert guests == ["house/m", "bare/b", "away/away-default", "house/m2"]


def test_a_destination_speaks_the_dialect_of_its_provider_and_model() -> None:
    config = {"provider_api_keys": {"deepseek": "k"}}
    assert route("deepseek/deepseek-flash", config).destinations[0].dialect.family == "deepseek"
    assert route("house-big").destinations[0].dialect.family == "house"


# --- the one that must never break

_PROVIDERS = ["house", "bare", "away", "near", "open", "openrouter", "ollama", "qwen"]
_PROVIDER = st.sampled_from(_PROVIDERS)
_TARGET = st.fixed_dictionaries({"provider": _PROVIDER}, optional={"model": _NAMES})
_OWN = st.integers(0, 999).map("owner-{}".format)
_CONFIG = st.fixed_dictionaries(
    {"provider": _PROVIDER},
    optional={
        "api_key": _OWN,
        "access_token": _OWN,
        "provider_api_keys": st.dictionaries(_PROVIDER, _OWN | st.lists(_OWN, max_size=3)),
        "model_overrides": st.dictionaries(_PROVIDER, st.dictionaries(_NAMES, _NAMES, max_size=2), max_size=2),
        "model_routes": st.dictionaries(
            _NAMES,
            st.fixed_dictionaries(
                {"provider": _PROVIDER},
                optional={"model": _NAMES, "api_key": _OWN, "fallbacks": st.lists(_TARGET, max_size=3)},
            ),
            max_size=3,
        ),
    },
)
_LISTED = st.dictionaries(_PROVIDER, st.lists(_NAMES, max_size=3).map(tuple), max_size=3)
_BEARER = st.sampled_from(["", GUEST_KEY])


@settings(max_examples=300)
@given(_CONFIG, _NAMES, _BEARER, _LISTED)
def test_no_route_ever_gives_an_owners_key_to_anybody_else(
    config: dict[str, Any], asked: str, bearer: str, listed: Listed
) -> None:
    snapshot = world(config, KNOWN)
    try:
        destinations = resolve(
            snapshot, asked, Caller(owner=False, bearer=bearer, identity="guest"), listed
        ).destinations
    except (NoKey, NoRoute) as error:
        destinations = ()
        assert "owner-" not in error.message  # noqa: PT017 - being refused is well
    assert bearer or not destinations
    for destination in destinations:
        assert destination.keys == (bearer,)
        assert not destination.provider.local
        assert destination.provider.auth != "none"


@given(_CONFIG, _NAMES, _BEARER, _LISTED)
def test_the_owner_gets_a_route_with_a_key_or_a_reason(
    config: dict[str, Any], asked: str, bearer: str, listed: Listed
) -> None:
    try:
        found = resolve(world(config, KNOWN), asked, Caller(owner=True, bearer=bearer), listed)
    except (NoKey, NoRoute):
        return
    for destination in found.destinations:
        assert destination.keys
        assert destination.model
        assert all(destination.keys) or destination.provider.local or destination.provider.auth == "none"
