"""`GET /models`: OpenAI's list and Codex's catalogue in one body."""

from __future__ import annotations

import json
from typing import Any

import pytest

from codex_nexus.gateway import listing
from tests.gateway.conftest import Serve
from tests.serving import CODEX, Reply, Served
from tests.upstream import Upstream, finish, sse, status, text
from tests.worlds import providers

HELLO = sse([text("hi"), finish()])


def ids(reply: Reply) -> list[str]:
    """The ids of OpenAI's list."""
    assert reply.status == 200
    return [model["id"] for model in reply.json["data"]]


async def test_openais_shape(gateway: Served) -> None:
    reply = await gateway.get("/v1/models")
    assert reply.headers["Content-Type"].startswith("application/json")
    assert reply.json["object"] == "list"
    assert reply.json["data"] == [
        {"id": "scripted", "object": "model", "created": 0, "owned_by": reply.json["data"][0]["owned_by"]}
    ]


async def test_codexs_shape(gateway: Served) -> None:
    reply = await gateway.get("/v1/models?client_version=0.169.0", CODEX)
    [model] = reply.json["models"]
    assert model["slug"] == "scripted"
    required = [
        "slug",
        "display_name",
        "supported_reasoning_levels",
        "shell_type",
        "visibility",
        "supported_in_api",
        "priority",
        "support_verbosity",
        "truncation_policy",
        "experimental_supported_tools",
        "base_instructions",
    ]
    assert not [name for name in required if name not in model]
    assert model["base_instructions"]
    assert model["apply_patch_tool_type"] == "freeform"
    assert model["context_window"] > 0


async def test_everything_that_can_be_asked_for_is_listed(serve: Serve, upstream: Upstream) -> None:
    known = providers(
        house={"base_url": upstream.base_url, "default_model": "a", "models": [{"id": "a"}, {"id": "b"}]},
        second={"base_url": upstream.base_url, "default_model": "c", "models": [{"id": "c"}]},
        keyless={"base_url": upstream.base_url, "default_model": "d", "models": [{"id": "d"}]},
    )
    gateway = await serve(
        known,
        provider="house",
        provider_api_keys={"second": "k"},
        model_routes={"gpt-5": {"provider": "second", "model": "c"}, "mine": {"provider": "house"}},
    )
    reply = await gateway.get("/v1/models")
    assert ids(reply) == ["gpt-5", "mine", "a", "b", "second/c"]
    assert [model["slug"] for model in reply.json["models"]] == ids(reply)
    assert [model["priority"] for model in reply.json["models"]] == [1, 2, 3, 4, 5]
    upstream.script(HELLO)
    for name in ids(reply):
        assert (await gateway.create(model=name)).status == 200, name


@pytest.mark.parametrize("local", [True, False])
async def test_a_provider_whose_models_are_not_known_is_asked(serve: Serve, upstream: Upstream, local: bool) -> None:
    upstream.models = ["llama4:8b", "maker/qwen3"]
    known = providers(house={"base_url": upstream.base_url, "local": local})
    gateway = await serve(known, provider="house")
    assert ids(await gateway.get("/v1/models")) == ["llama4:8b", "maker/qwen3"]


async def test_a_provider_that_does_not_answer_does_not_hide_the_others(serve: Serve) -> None:
    known = providers(gone={"base_url": "http://127.0.0.1:9/v1", "local": True})
    gateway = await serve(known, provider="gone", model_routes={"gpt-5": {"provider": "gone", "model": "x"}})
    assert ids(await gateway.get("/v1/models")) == ["gpt-5"]


async def test_one_model_can_be_asked_for(serve: Serve, upstream: Upstream) -> None:
    upstream.models = ["llama4:8b", "maker/qwen3"]
    gateway = await serve()
    for name in upstream.models:
        for path in ("/v1/models", "/models"):
            reply = await gateway.get(f"{path}/{name}")
            assert reply.json == {
                "id": name,
                "object": "model",
                "created": 0,
                "owned_by": reply.json["owned_by"],
            }
    assert (await gateway.get("/v1/models/maker%2Fqwen3")).json["id"] == "maker/qwen3"


async def test_a_model_that_is_not_there_is_not_found(gateway: Served) -> None:
    reply = await gateway.get("/v1/models/maker/unknown")
    assert (reply.status, reply.error["code"]) == (404, "model_not_found")
    assert "maker/unknown" in reply.error["message"]


# --- the tag


async def test_a_list_that_did_not_change_is_not_sent_again(gateway: Served) -> None:
    tag = (await gateway.get("/v1/models")).headers["ETag"]
    reply = await gateway.get("/v1/models", {"If-None-Match": tag})
    assert (reply.status, reply.body, reply.headers["ETag"]) == (304, b"", tag)
    assert (await gateway.get("/v1/models", {"If-None-Match": '"other"'})).status == 200


@pytest.mark.parametrize("form", ["W/{}", '"other", {}', '"other",W/{} , "third"', "*"])
async def test_the_tag_is_found_in_every_form_that_http_allows(gateway: Served, form: str) -> None:
    tag = (await gateway.get("/v1/models")).headers["ETag"]
    reply = await gateway.get("/v1/models", {"If-None-Match": form.format(tag)})
    assert (reply.status, reply.headers["ETag"], reply.headers["x-models-etag"]) == (304, tag, tag)


@pytest.mark.parametrize("form", ['"other"', 'W/"other", "third"', "", "nonsense", '"'])
async def test_another_tag_is_not_found(gateway: Served, form: str) -> None:
    assert (await gateway.get("/v1/models", {"If-None-Match": form})).status == 200


async def test_the_tag_is_told_with_every_answer(gateway: Served, upstream: Upstream) -> None:
    upstream.script(HELLO)
    tag = (await gateway.get("/v1/models")).headers["ETag"]
    for reply in (await gateway.get("/v1/models"), await gateway.create(), await gateway.create(stream=True)):
        assert reply.headers["x-models-etag"] == tag


async def test_the_tag_changes_with_the_list(
    gateway: Served, upstream: Upstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    upstream.script(HELLO)
    before = await gateway.get("/v1/models")
    upstream.models = ["scripted", "new"]
    monkeypatch.setattr(listing, "_FRESH_S", 0.0)
    gateway.gateway.listings._lists.clear()
    after = await gateway.get("/v1/models", {"If-None-Match": before.headers["ETag"]})
    assert after.status == 200
    assert ids(after) == ["scripted", "new"]
    assert after.headers["ETag"] != before.headers["ETag"]
    assert (await gateway.create()).headers["x-models-etag"] == after.headers["ETag"]


async def test_a_window_that_was_learned_changes_the_list(gateway: Served, upstream: Upstream) -> None:
    before = await gateway.get("/v1/models")
    upstream.script(status(400, {"error": {"message": "This model's maximum context length is 16384 tokens."}}))
    assert (await gateway.create(CODEX)).error["code"] == "context_length_exceeded"
    after = await gateway.get("/v1/models")
    assert after.json["models"][0]["context_window"] == 16384
    assert after.headers["ETag"] != before.headers["ETag"]


async def test_no_key_is_in_the_list(serve: Serve, upstream: Upstream) -> None:
    routes: dict[str, Any] = {"gpt-5": {"provider": "custom", "model": "x", "api_key": "key-of-route-1"}}
    gateway = await serve(model_routes=routes, provider_api_keys={"kimi": "key-of-kimi-1"})
    reply = await gateway.get("/v1/models")
    assert "key-of" not in json.dumps(reply.json) + str(reply.headers)


@pytest.mark.parametrize(("vision", "modalities"), [("", ["text"]), ("second/eyes", ["text", "image"])])
async def test_codex_may_send_images_when_another_model_looks_at_them(
    serve: Serve, upstream: Upstream, vision: str, modalities: list[str]
) -> None:
    known = providers(
        house={"base_url": upstream.base_url, "local": True, "models": [{"id": "blind"}]},
        second={"base_url": upstream.base_url, "local": True, "models": [{"id": "eyes", "images": True}]},
    )
    gateway = await serve(known, provider="house", vision_model=vision)
    models = (await gateway.get("/v1/models", CODEX)).json["models"]
    blind = next(model for model in models if model["slug"].endswith("blind"))
    assert blind["input_modalities"] == modalities


DOT = "data:image/png;base64,iVBORw0KGgo="
IMAGE: list[dict[str, Any]] = [{"role": "user", "content": [{"type": "input_image", "image_url": DOT}]}]


async def test_images_of_models_that_nobody_describes_are_tried_and_a_refusal_is_remembered(
    gateway: Served, upstream: Upstream
) -> None:
    before = await gateway.get("/v1/models", CODEX)
    assert before.json["models"][0]["input_modalities"] == ["text", "image"]
    upstream.script(status(400, {"error": {"message": "This model does not support image input."}}), HELLO, HELLO)
    assert (await gateway.create(CODEX, input=IMAGE)).status == 200
    after = await gateway.get("/v1/models", CODEX)
    assert after.json["models"][0]["input_modalities"] == ["text"]
    assert after.headers["ETag"] != before.headers["ETag"]


async def test_what_a_provider_says_of_images_counts(serve: Serve, upstream: Upstream) -> None:
    told = [("blind", ["text"]), ("eyes", ["text", "image"])]
    listed = [{"id": name, "architecture": {"input_modalities": modes}} for name, modes in told]
    upstream.no_models = (200, {"data": listed})
    gateway = await serve()
    models = (await gateway.get("/v1/models", CODEX)).json["models"]
    assert [(model["slug"], model["input_modalities"]) for model in models] == told


async def test_a_provider_that_takes_no_images_is_offered_none(serve: Serve, upstream: Upstream) -> None:
    known = providers(house={"base_url": upstream.base_url, "local": True, "dialect": {"images": "none"}})
    gateway = await serve(known, provider="house")
    models = (await gateway.get("/v1/models", CODEX)).json["models"]
    assert [model["input_modalities"] for model in models] == [["text"]]
