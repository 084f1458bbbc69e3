"""What the doctor says of providers that refuse, lie or are not there."""

import time
from email.utils import formatdate
from typing import Any

import pytest
from aiohttp import web

from codex_nexus.doctor.finding import Finding
from tests.doctor.conftest import KEY, Chain, good_answers, posix
from tests.upstream import Recorded, Scripted, cut, finish, sse, status, text, usage

pytestmark = posix


def states(found: dict[str, Finding], provider: str = "acme") -> dict[str, str]:
    prefix = f"provider.{provider}."
    return {name.removeprefix(prefix): f.state for name, f in found.items() if name.startswith(prefix)}


async def test_all_is_well(chain: Chain) -> None:
    found = await chain.examine()
    assert states(found) == dict.fromkeys(("address", "key", "proxy", "reach", "model", "answer", "tools"), "ok")
    assert found["clock"].state == "ok"
    assert len(chain.upstream.requests) == 2
    for request in chain.upstream.requests:
        assert request.headers["authorization"] == f"Bearer {KEY}"
        assert request.json["stream"] is True
        assert request.json["model"] == "acme-1"


async def test_offline_asks_nobody(chain: Chain) -> None:
    chain.offline = True
    found = await chain.examine()
    assert states(found) == {"address": "ok", "key": "ok", "proxy": "ok"}
    assert "clock" not in found
    assert not chain.upstream.requests
    assert not chain.upstream.lookups


async def test_the_key_is_refused_by_the_model_list(chain: Chain, monkeypatch: pytest.MonkeyPatch) -> None:
    async def refuse(request: web.Request) -> web.Response:
        return web.json_response({"error": {"message": f"bad key {KEY}"}}, status=401)

    monkeypatch.setattr(chain.upstream, "_get", refuse)
    await restarted(chain)
    found = await chain.examine()
    assert found["provider.acme.key"].state == "fault"
    assert "provider_api_keys.acme" in found["provider.acme.key"].cure
    assert "provider.acme.answer" not in found


async def test_the_key_is_refused_at_the_first_question(chain: Chain) -> None:
    chain.upstream.script(status(401, {"error": {"message": f"Incorrect API key: {KEY}", "code": "invalid_api_key"}}))
    found = await chain.examine()
    answer = found["provider.acme.answer"]
    assert answer.state == "fault"
    assert "provider_api_keys.acme" in answer.cure
    assert "provider.acme.tools" not in found
    assert KEY not in str(found)


async def test_no_such_model(chain: Chain) -> None:
    chain.config["model_routes"] = {"gpt-x": {"provider": "acme", "model": "acme-9"}}
    chain.write()

    def play(asked: Recorded) -> Scripted:
        if asked.json["model"] == "acme-9":
            return status(404, {"error": {"message": "no such model", "code": "model_not_found"}})
        return good_answers(asked)

    chain.upstream.script(play)
    found = await chain.examine()
    assert found["provider.acme.model"].state == "warning"
    assert "acme-1" in found["provider.acme.model"].cure
    assert found["provider.acme.answer"].state == "fault"
    assert "model_routes" in found["provider.acme.answer"].cure
    assert found["provider.acme.tools"].state == "ok"  # the default model's


async def test_an_answer_in_place_of_a_tool_call(chain: Chain) -> None:
    chain.upstream.script(sse([text("seven"), finish("stop"), usage()]))
    found = await chain.examine()
    assert found["provider.acme.answer"].state == "ok"
    assert found["provider.acme.tools"].state == "warning"


async def test_a_model_without_tools(chain: Chain) -> None:
    def play(asked: Recorded) -> Scripted:
        if asked.json.get("tools"):
            return status(400, {"error": {"message": "acme-1 does not support tools"}})
        return sse([text("OK"), finish("stop"), usage()])

    chain.upstream.script(play)
    found = await chain.examine()
    assert found["provider.acme.answer"].state == "ok"
    assert found["provider.acme.tools"].state == "fault"
    assert "does not support tools" in found["provider.acme.tools"].sentence


async def test_a_silent_answer(chain: Chain) -> None:
    chain.upstream.script(sse([finish("stop"), usage()]))
    found = await chain.examine()
    assert found["provider.acme.answer"].state in ("warning", "fault")
    assert found["provider.acme.answer"].cure


async def test_a_stream_that_breaks(chain: Chain) -> None:
    chain.upstream.script(cut([text("O")]))
    found = await chain.examine()
    assert found["provider.acme.answer"].state == "fault"


@pytest.mark.parametrize(
    ("code", "body", "word"),
    [
        (402, {"error": {"message": "Insufficient Balance"}}, "Top up"),
        (429, {"error": {"message": "slow down", "code": "rate_limit_exceeded"}}, "Wait"),
        (500, "<html>oops</html>", "codex-nexus probe"),
    ],
)
async def test_other_refusals(chain: Chain, code: int, body: Any, word: str) -> None:
    chain.upstream.script(status(code, body))
    answer = (await chain.examine())["provider.acme.answer"]
    assert answer.state == "fault"
    assert word in answer.cure


async def test_nobody_is_there(chain: Chain) -> None:
    await chain.upstream.__aexit__(None, None, None)
    found = await chain.examine()
    assert found["provider.acme.reach"].state == "fault"
    assert chain.upstream.base_url in found["provider.acme.reach"].sentence
    assert "provider.acme.answer" not in found


async def test_a_local_server_is_to_be_started(chain: Chain) -> None:
    chain.record["local"] = True
    chain.write()
    await chain.upstream.__aexit__(None, None, None)
    assert "Start Acme" in (await chain.examine())["provider.acme.reach"].cure


async def test_an_unknown_name(chain: Chain) -> None:
    chain.record["base_url"] = "http://nowhere.invalid/v1"
    chain.write()
    reach = (await chain.examine())["provider.acme.reach"]
    assert reach.state == "fault"
    assert "name is unknown" in reach.sentence


async def test_a_web_page(chain: Chain, monkeypatch: pytest.MonkeyPatch) -> None:
    async def page(request: web.Request) -> web.Response:
        return web.Response(text="<!doctype html><title>Welcome</title>", content_type="text/html")

    monkeypatch.setattr(chain.upstream, "_get", page)
    await restarted(chain)
    found = await chain.examine()
    assert found["provider.acme.reach"].state == "fault"
    assert "web page" in found["provider.acme.reach"].sentence


@pytest.mark.parametrize(("code", "state"), [(302, "fault"), (503, "warning"), (404, "ok")])
async def test_other_replies_of_the_model_list(
    chain: Chain, monkeypatch: pytest.MonkeyPatch, code: int, state: str
) -> None:
    async def reply(request: web.Request) -> web.Response:
        return web.Response(status=code, headers={"Location": "https://example.org/"})

    monkeypatch.setattr(chain.upstream, "_get", reply)
    await restarted(chain)
    assert (await chain.examine())["provider.acme.reach"].state == state


async def test_a_wrong_clock(chain: Chain, monkeypatch: pytest.MonkeyPatch) -> None:
    async def late(request: web.Request) -> web.Response:
        listed = {"data": [{"id": "acme-1"}]}
        return web.json_response(listed, headers={"Date": formatdate(time.time() + 1200, usegmt=True)})

    monkeypatch.setattr(chain.upstream, "_get", late)
    await restarted(chain)
    clock = (await chain.examine())["clock"]
    assert clock.state == "warning"
    assert "20 minutes behind" in clock.sentence


async def test_no_address(chain: Chain) -> None:
    chain.record["id"] = "other"
    chain.record["base_url"] = ""
    chain.config |= {"provider": "other", "provider_api_keys": {}}
    chain.write()
    found = await chain.examine()
    assert found["provider.other.address"].state == "fault"


async def test_a_provider_that_tells_no_models(chain: Chain) -> None:
    chain.upstream.models = []
    assert (await chain.examine())["provider.acme.model"].state == "ok"


async def test_no_model_is_named(chain: Chain) -> None:
    chain.upstream.models = []
    del chain.record["default_model"]
    chain.write()
    found = await chain.examine()
    assert found["provider.acme.model"].state == "warning"
    assert not chain.upstream.requests


async def test_the_first_listed_model_stands_in(chain: Chain) -> None:
    del chain.record["default_model"]
    chain.write()
    await chain.examine()
    assert {request.json["model"] for request in chain.upstream.requests} == {"acme-1"}


async def test_each_routed_provider_and_fallback_is_asked_once(chain: Chain) -> None:
    fallback = {"provider": "custom", "model": "far"}
    chain.config |= {
        "custom_upstream": chain.upstream.base_url,
        "model_routes": {
            "a": {"provider": "acme", "model": "acme-2", "fallbacks": [fallback]},
            "b": {"provider": "acme", "model": "acme-2", "fallbacks": [fallback]},
            "c": {"provider": "acme", "api_key": "sk-route-key-000000"},
        },
    }
    chain.write()
    found = await chain.examine()
    assert states(found, "custom")["answer"] == "ok"
    asked = sorted((r.json["model"], r.headers.get("authorization", "")) for r in chain.upstream.requests)
    assert asked == sorted(
        2 * [("acme-1", f"Bearer {KEY}")]
        + 2 * [("acme-1", "Bearer sk-route-key-000000")]
        + 2 * [("acme-2", f"Bearer {KEY}")]
        + 2 * [("far", "")]
    )


async def restarted(chain: Chain) -> None:
    """The provider again, so that a replaced handler takes effect, at its old port."""
    await chain.upstream.__aexit__(None, None, None)
    await chain.upstream.__aenter__()
