"""The sentence behind a refusal: whose key it was, which address."""

from __future__ import annotations

from typing import Any

import pytest
from yarl import URL

from codex_nexus.gateway.advice import advice
from codex_nexus.routing import Caller, resolve
from codex_nexus.snapshot import Snapshot
from codex_nexus.translate.faults import Fault
from tests.worlds import world

URL_ASKED = URL("https://user@api.example/v1/chat/completions?key=secret")


def told(fault: Fault, bearer: str = "", **config: Any) -> str:
    snapshot: Snapshot = world(config, environ={"SOME_KEY": "s"})
    (destination, *_) = resolve(snapshot, "m", Caller(owner=not bearer, bearer=bearer), {}).destinations
    return advice(fault, destination, snapshot, URL_ASKED)


@pytest.mark.parametrize(
    ("config", "bearer", "origin"),
    [
        ({"provider_api_keys": {"deepseek": "k"}}, "", "'provider_api_keys.deepseek' in config.json"),
        (
            {"provider_api_keys": {"deepseek": ["k", "env:SOME_KEY"]}},
            "",
            "'provider_api_keys.deepseek' in config.json (env:SOME_KEY)",
        ),
        ({"api_key": "k"}, "", "'api_key' in config.json"),
        (
            {"model_routes": {"m": {"provider": "deepseek", "api_key": "k"}}},
            "",
            "'model_routes.m.api_key' in config.json",
        ),
        ({}, "k", "the one that came with the request"),
        ({"provider": "vllm"}, "", "none is set in 'provider_api_keys.vllm'"),
    ],
)
def test_a_refused_key_is_told_by_where_it_stands(config: dict[str, Any], bearer: str, origin: str) -> None:
    said = told(Fault("auth", "wrong key", 401), bearer, **config)
    assert said == f"Check the key: {origin}."


def test_of_a_forbidden_plan_the_key_is_not_blamed() -> None:
    assert told(Fault("auth", "only for agents", 403), api_key="k") == ""


@pytest.mark.parametrize("message", ["Not Found", ""])
def test_an_address_without_an_api_is_named_without_what_is_private(message: str) -> None:
    said = told(Fault("bad_request", message, 404), api_key="k")
    assert said == "Nothing is served at https://api.example/v1/chat/completions: check the address of the provider."


@pytest.mark.parametrize("message", ["The model `x` does not exist", "No endpoints found that support tool use"])
def test_a_cause_that_is_named_needs_no_guess(message: str) -> None:
    assert told(Fault("bad_request", message, 404), api_key="k") == ""
