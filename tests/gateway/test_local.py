"""Servers on the user's machine: found on their ports, their windows from their own endpoints."""

from __future__ import annotations

import json
import socket
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from codex_nexus.gateway import local
from codex_nexus.gateway.facts import found_at, number_at, truth_at
from codex_nexus.gateway.listing import ListedModel, Listings, read_models
from codex_nexus.gateway.local import scan
from codex_nexus.gateway.upstream import Upstream
from codex_nexus.providers.catalogue import Catalogue, shipped
from codex_nexus.routing import Caller
from tests.local_servers import LLAMACPP, LMSTUDIO, OLLAMA, SGLANG, VLLM, LocalServer, Pages, listed
from tests.waiting import PATIENCE
from tests.worlds import providers, world


@pytest.fixture(autouse=True)
def _patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that is there is found, however slow the machine."""
    monkeypatch.setattr(local, "_KNOCK_S", PATIENCE)


LOCAL = [record.id for record in shipped().providers.values() if record.local and record.base_url]


def moved(**addresses: str) -> Catalogue:
    """The shipped catalogue, every local server on a dead port but these."""
    return providers(**{name: {"base_url": addresses.get(name, "http://127.0.0.1:9/v1")} for name in LOCAL})


async def ask(provider: str, server: LocalServer) -> dict[str, ListedModel]:
    """What a provider's list says."""
    upstream = Upstream()
    try:
        snapshot = world({}, moved(**{provider: server.base_url}))
        return {model.id: model for model in await Listings(upstream).fetch(provider, snapshot, Caller(owner=True))}
    finally:
        await upstream.close()


@pytest.mark.parametrize(
    ("provider", "pages", "told"),
    [
        (
            "ollama",
            OLLAMA,
            {
                "gemma3:4b": (8192, False, True),
                "qwen3:8b": (32768, False, False),
                "llava:7b": (4096, True, None),
            },
        ),
        (
            "lmstudio",
            LMSTUDIO,
            {"qwen/qwen3-4b": (16384, False, False), "gemma-3": (131072, True, True), "old": (4096, False, False)},
        ),
        ("llamacpp", LLAMACPP, {"reciter": (40960, False, False)}),
        ("vllm", VLLM, {"coder": (65536, False, None)}),
        ("sglang", SGLANG, {"moe": (16384, False, True)}),
        ("sglang", {"GET /v1/models": SGLANG["GET /v1/models"]}, {"moe": (32768, False, None)}),
    ],
)
async def test_a_window_is_the_one_that_the_server_works_with(
    provider: str, pages: Pages, told: dict[str, Any]
) -> None:
    async with LocalServer(pages) as server:
        found = await ask(provider, server)
    assert {name: (model.context_window, model.at_most, model.images) for name, model in found.items()} == told


@pytest.mark.parametrize("provider", ["ollama", "lmstudio", "llamacpp"])
@pytest.mark.parametrize("page", [404, 500, [], {}, {"models": 5}, {"data": [7]}, "text", None])
async def test_a_server_that_tells_no_more_keeps_its_list(provider: str, page: Any) -> None:
    class Silent(dict[str, Any]):
        def get(self, path: str, _: Any = None) -> Any:
            return listed("a", "b") if path == "GET /v1/models" else page

    async with LocalServer(Silent()) as server:
        assert list(await ask(provider, server)) == ["a", "b"]


async def test_the_catalogue_shows_the_true_window(serve: Any) -> None:
    async with LocalServer(LLAMACPP) as server:
        gateway = await serve(moved(llamacpp=server.base_url), provider="llamacpp")
        models = (await gateway.get("/v1/models")).json["models"]
        assert [(model["slug"], model["context_window"]) for model in models] == [("reciter", 40960)]


async def scanned(snapshot: Any) -> tuple[list[Any], float]:
    upstream = Upstream()
    began = time.monotonic()
    try:
        return await scan(Listings(upstream), snapshot), time.monotonic() - began
    finally:
        await upstream.close()


async def test_servers_are_found() -> None:
    async with LocalServer(OLLAMA) as ollama, LocalServer(VLLM) as vllm:
        found, _ = await scanned(world({}, moved(ollama=ollama.base_url, vllm=vllm.base_url)))
    assert [(one.record.id, [model.id for model in one.models], one.usual) for one in found] == [
        ("ollama", ["gemma3:4b", "qwen3:8b", "llava:7b"], True),
        ("vllm", ["coder"], True),
    ]


async def test_a_server_on_the_port_of_another_is_known_by_its_signature() -> None:
    async with LocalServer(LLAMACPP) as server:
        [found], _ = await scanned(world({}, moved(vllm=server.base_url)))
    assert (found.record.id, found.record.base_url, found.usual) == ("llamacpp", server.base_url, False)
    assert found.models[0].context_window == 40960


async def test_a_silent_port_costs_a_second(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(local, "_KNOCK_S", 0.5)
    with socket.create_server(("127.0.0.1", 0)) as deaf:
        url = f"http://127.0.0.1:{deaf.getsockname()[1]}/v1"
        found, seconds = await scanned(world({}, moved(ollama=url, vllm=url.replace("/v1", "/w/v1"))))
    assert found == []
    assert seconds < PATIENCE / 4  # it never answers


@pytest.mark.parametrize(
    ("status", "hint"),
    [(401, "Give its key as provider_api_keys.vllm in config.json."), (503, "Try again when its model is loaded.")],
)
async def test_a_server_that_refuses_is_named(status: int, hint: str) -> None:
    async with LocalServer({"GET /v1/models": status}) as server, LocalServer({}) as none:
        [found], _ = await scanned(world({}, moved(vllm=server.base_url, ollama=none.base_url)))
    assert found.record.id == "vllm"
    assert f"({status})" in found.refusal
    assert (found.models, found.hint) == ((), hint)


@pytest.mark.parametrize("page", ["<html>Hello</html>", {"hello": "world"}, 500, {"data": "none"}])
async def test_what_is_no_model_server_is_not_taken_for_one(page: Any) -> None:
    async with LocalServer({"GET /v1/models": page}) as server:
        found, _ = await scanned(world({}, moved(llamacpp=server.base_url)))
    assert found == []


async def test_a_server_without_models_is_found_all_the_same() -> None:
    async with LocalServer({"GET /v1/models": {"object": "list", "data": None}}) as server:
        [found], _ = await scanned(world({}, moved(ollama=server.base_url)))
    assert (found.record.id, found.hint) == ("ollama", "It serves no model yet.")


async def test_only_a_server_s_own_key_is_shown_to_it() -> None:
    config = {"api_key": "sk-shared-123456789", "provider_api_keys": {"lmstudio": "own-987654321"}}
    async with LocalServer(VLLM) as vllm, LocalServer(LMSTUDIO) as lmstudio:
        await scanned(world(config, moved(vllm=vllm.base_url, lmstudio=lmstudio.base_url)))
    assert set(vllm.keys) == {""}
    assert set(lmstudio.keys) == {"Bearer own-987654321"}


async def test_only_this_machine_is_scanned() -> None:
    async with LocalServer(VLLM) as server:
        elsewhere = server.base_url.replace("127.0.0.1", "127.0.0.2")
        found, _ = await scanned(world({}, moved(vllm=elsewhere)))
    assert (found, server.asked) == ([], [])


def test_prices_of_a_reseller_are_per_million() -> None:
    entry = {"id": "m", "pricing": {"prompt": "0.00000015", "completion": "0.0000006", "input_cache_read": "3e-9"}}
    [model] = read_models(json.dumps({"data": [entry]}).encode())
    assert model.price == (0.003, 0.15, 0.6)
    for broken in ({}, {"prompt": "x", "completion": "1"}, {"prompt": "-1", "completion": "-1"}, {"prompt": None}):
        [model] = read_models(json.dumps({"data": [{"id": "m", "pricing": broken}]}).encode())
        assert model.price is None


# --- paths


VALUE = {"a": {"x.length": 5, "y": [{"n": 1}, {"n": 2}]}, "text": "num_ctx 77\n", "yes": True, "none": None, "zero": 0}


@pytest.mark.parametrize(
    ("path", "found"),
    [("a/x.length", [5]), ("a/*.length", [5]), ("a/y/*/n", [1, 2]), ("b", []), ("a/y/n", []), ("text/x", [])],
)
def test_a_path_leads_to_values(path: str, found: list[Any]) -> None:
    assert found_at(VALUE, path) == found


@pytest.mark.parametrize(
    ("paths", "number"),
    [(("b", "a/*.length"), 5), (("text#num_ctx (\\d+)",), 77), (("text#no (\\d+)",), None), (("yes", "zero"), None)],
)
def test_a_number_is_found(paths: tuple[str, ...], number: int | None) -> None:
    assert number_at(VALUE, paths) == number


@pytest.mark.parametrize(
    ("paths", "truth"),
    [(("yes",), True), (("zero",), False), (("b",), None), (("text=x",), False), (("b", "yes"), True), ((), None)],
)
def test_a_truth_is_found(paths: tuple[str, ...], truth: bool | None) -> None:
    assert truth_at(VALUE, paths) is truth


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["a", "b", "data", "id"]), inner, max_size=3)
    ),
)


@given(JSON, st.sampled_from(["a", "*", "a/b", "*/*", "a#(\\d+)", "data/*=a"]))
def test_no_answer_breaks_the_reading(value: Any, path: str) -> None:
    number = number_at(value, (path,))
    assert number is None or number > 0
    assert truth_at(value, (path,)) in (True, False, None)
