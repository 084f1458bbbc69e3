"""What providers say they serve: asked when needed, kept for a while, read in every shape."""

from __future__ import annotations

import asyncio
import json
from types import SimpleNamespace
from typing import Any

import pytest

from codex_nexus.gateway import listing
from codex_nexus.gateway.listing import ListedModel, Listings, read_models
from codex_nexus.gateway.replies import UpstreamError
from codex_nexus.providers.catalogue import Catalogue
from codex_nexus.routing import Caller
from codex_nexus.translate.faults import Fault
from tests.gateway.conftest import UPSTREAM_KEY, Serve
from tests.serving import Served
from tests.upstream import Upstream, finish, sse, text
from tests.worlds import providers

HELLO = sse([text("hi"), finish()])
OWNER = Caller(owner=True)
FAR = SimpleNamespace(monotonic=lambda: 1e12)
"""A clock on which everything is long ago."""


def read(value: Any) -> list[str]:
    """The ids of a list."""
    return [model.id for model in read_models(json.dumps(value).encode())]


@pytest.mark.parametrize(
    "value",
    [
        {"object": "list", "data": [{"id": "a", "object": "model"}, {"id": "b"}]},
        {"data": [{"id": "a"}, {"id": "b"}, {"id": ""}, {"object": "model"}, None, "c"]},
        {"models": [{"name": "a"}, {"name": "b"}]},
        {"models": [{"key": "a"}, {"key": "b"}]},
        [{"id": "a"}, {"id": "b"}],
    ],
)
def test_a_list_is_read_in_every_shape(value: Any) -> None:
    assert read(value) == ["a", "b"]


@pytest.mark.parametrize("value", [{}, [], None, "x", 5, {"data": None}, {"data": {"id": "a"}}, {"error": {}}])
def test_what_is_no_list_names_nothing(value: Any) -> None:
    assert read(value) == []


@pytest.mark.parametrize("body", [b"", b"<html>", b"{", b"\xff"])
def test_what_is_no_json_names_nothing(body: bytes) -> None:
    assert read_models(body) == ()


def test_windows_and_images_are_read() -> None:
    listed = [
        {"id": "a", "context_length": 131072, "architecture": {"input_modalities": ["text", "image"]}},
        {"id": "b", "context_length": 200000, "top_provider": {"context_length": 128000}},
        {"id": "c", "max_model_len": 4096, "architecture": {"input_modalities": ["text"]}},
        {"id": "d", "max_context_length": 0, "context_window": "big", "architecture": None, "top_provider": 3},
    ]
    assert read_models(json.dumps(listed).encode()) == (
        ListedModel("a", 131072, True),
        ListedModel("b", 128000, None),
        ListedModel("c", 4096, False),
        ListedModel("d", None, None),
    )


# --- asking


async def test_a_provider_is_asked_with_its_key(gateway: Served, upstream: Upstream) -> None:
    snapshot = gateway.gateway.snapshot
    models = await gateway.gateway.listings.fetch("custom", snapshot, OWNER)
    assert [model.id for model in models] == ["scripted"]
    [lookup] = upstream.lookups
    assert lookup.path == "/v1/models"
    assert lookup.headers["authorization"] == f"Bearer {UPSTREAM_KEY}"


async def test_a_long_list_is_read_to_its_end(gateway: Served, upstream: Upstream) -> None:
    upstream.models = [f"maker/model-number-{n}-with-a-rather-long-name" for n in range(20_000)]
    models = await gateway.gateway.listings.fetch("custom", gateway.gateway.snapshot, OWNER)
    assert len(models) == 20_000


async def test_a_list_is_kept_for_a_while(gateway: Served, upstream: Upstream, monkeypatch: pytest.MonkeyPatch) -> None:
    upstream.script(HELLO)
    for name in ("some-model", "other-model"):
        await gateway.create(model=name)
    assert len(upstream.lookups) == 1
    monkeypatch.setattr(listing, "time", FAR)
    await gateway.create(model="some-model")
    assert len(upstream.lookups) == 2


async def test_turns_that_begin_together_ask_once(gateway: Served, upstream: Upstream) -> None:
    upstream.script(HELLO)
    await asyncio.gather(*(gateway.create(model="some-model") for _ in range(10)))
    assert len(upstream.lookups) == 1


def no_list(upstream: Upstream) -> Catalogue:
    """A provider that tells no models."""
    return providers(house={"base_url": upstream.base_url, "models_path": "/nothing"})


async def test_a_failure_is_remembered_for_a_short_while(serve: Serve, upstream: Upstream) -> None:
    gateway = await serve(no_list(upstream), provider="house")
    listings = gateway.gateway.listings
    for _ in range(3):
        await listings.ask("house", gateway.gateway.snapshot, OWNER)
    assert listings.models("house") == ()
    assert len(upstream.lookups) == 1
    upstream.script(HELLO)
    assert (await gateway.create(model="gpt-5")).status == 200
    assert upstream.requests[0].json["model"] == "gpt-5"


async def test_a_failure_does_not_lose_what_was_known(
    gateway: Served, upstream: Upstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    listings: Listings = gateway.gateway.listings
    snapshot = gateway.gateway.snapshot
    await listings.ask("custom", snapshot, OWNER)

    async def failing(*_: Any) -> Any:
        raise UpstreamError(Fault("server", "down"))

    monkeypatch.setattr(listing, "time", FAR)
    monkeypatch.setattr(listings, "fetch", failing)
    await listings.ask("custom", snapshot, OWNER)
    assert listings.known() == {"custom": ("scripted",)}


async def test_a_refusal_is_told(serve: Serve, upstream: Upstream) -> None:
    gateway = await serve(no_list(upstream), provider="house")
    with pytest.raises(UpstreamError, match="no such page") as caught:
        await gateway.gateway.listings.fetch("house", gateway.gateway.snapshot, OWNER)
    assert caught.value.fault.status == 404


async def test_a_provider_that_cannot_be_reached_is_told(serve: Serve) -> None:
    gateway = await serve(custom_upstream="http://127.0.0.1:9/v1")
    with pytest.raises(UpstreamError, match="cannot be reached at"):
        await gateway.gateway.listings.fetch("custom", gateway.gateway.snapshot, OWNER)
