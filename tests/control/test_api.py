"""The panel's endpoints, over a real port."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from codex_nexus.providers.catalogue import shipped
from codex_nexus.service.files import Overrides
from codex_nexus.service.supervisor import Supervisor
from tests.control.conftest import KEY, Panel
from tests.local_servers import LLAMACPP, OLLAMA, LocalServer
from tests.upstream import Upstream, finish, gated, sse, status, text, usage
from tests.waiting import PATIENCE, until

pytestmark = pytest.mark.usefixtures("home")
GOOD = [text("hello "), text("there"), finish(), usage(10, 5)]


async def events(panel: Panel) -> list[tuple[str, Any]]:
    """The first events of the stream, until a status that says that something was asked."""
    told: list[tuple[str, Any]] = []
    async with asyncio.timeout(PATIENCE), panel.client.get(f"{panel.url}/nexus-ctrl/events") as stream:
        name = ""
        async for line in stream.content:
            if line.startswith(b"event: "):
                name = line[7:].decode().strip()
            if line.startswith(b"data: "):
                told.append((name, json.loads(line[6:])))
                if name == "status" and told[-1][1]["turns"]:
                    break
    return told


async def ask(panel: Panel, message: str = "hi", model: str = "gpt-5.5") -> str:
    """A message through the playground: the whole stream."""
    reply = await panel.post("playground", {"model": model, "message": message})
    return reply.body.decode()


# --- reading


async def test_the_configuration_is_shown_without_its_keys(panel: Panel) -> None:
    reply = await panel.get("config")
    body = reply.json
    assert KEY.encode() not in reply.body
    assert body["config"]["provider_api_keys"] == {"custom": ["sk-…6789"], "kimi": ["env:SOME_KEY", "…"]}
    assert body["config"]["provider"] == "custom"
    assert reply.headers["ETag"] == body["etag"]
    assert body["overridden"] == {"port": 0}
    assert not body["fresh"]
    custom = next(one for one in body["providers"] if one["id"] == "custom")
    assert custom["has_key"]
    assert custom["local"]
    assert {"key_url", "default_model", "models", "mapping", "address"} <= custom.keys()


@pytest.mark.parametrize("panel", [None], indirect=True)
async def test_an_empty_home_is_a_first_visit(panel: Panel) -> None:
    body = (await panel.get("config")).json
    assert body["fresh"]
    assert body["config"] == body["defaults"]


async def test_foreign_keys_are_named_and_kept_without_being_shown(panel: Panel) -> None:
    raw = json.loads(panel.file.read_text()) | {"colour": "secret-blue"}
    panel.file.write_text(json.dumps(raw))
    shown = await panel.get("config")
    assert shown.json["unknown"] == ["colour"]
    assert b"secret-blue" not in shown.body
    assert (await panel.save({"retention_days": 3})).status == 200
    assert json.loads(panel.file.read_text())["colour"] == "secret-blue"


async def test_the_status_tells_addresses_and_counts(panel: Panel, upstream: Upstream) -> None:
    upstream.script(sse(GOOD))
    await ask(panel)
    told = (await panel.get("status")).json
    assert told["running"]
    assert told["address"] == panel.supervisor.address
    assert told["panel"] == panel.url
    assert (told["turns"], told["live"], told["failures"]) == (1, 0, 0)
    assert told["recent"][0]["upstream"].startswith("custom/")
    assert told["recent"][0]["output_tokens"] == 5
    assert told["injection"]["state"] == "absent"
    assert not told["waiting_for_restart"]


async def test_the_status_explains_what_failed(panel: Panel, upstream: Upstream) -> None:
    upstream.script(status(401, {"error": {"message": f"Bad key {KEY}"}}))
    await ask(panel)
    reply = await panel.get("status")
    assert reply.json["failures"] == 1
    assert "Bad key" in reply.json["errors"][0]["message"]
    assert KEY.encode() not in reply.body


async def test_the_event_stream_tells_turns_and_status(panel: Panel, upstream: Upstream) -> None:
    gate = asyncio.Event()
    upstream.script(gated(gate, sse(GOOD)))
    asking = asyncio.create_task(ask(panel))
    told = await events(panel)
    gate.set()
    await asking
    assert [name for name, _ in told[:2]] == ["turns", "status"]
    statuses = [row["status"] for name, rows in told if name == "turns" for row in rows]
    assert "running" in statuses


async def test_the_event_stream_ends_when_the_service_stops(panel: Panel) -> None:
    async with panel.client.get(f"{panel.url}/nexus-ctrl/events") as stream:
        await stream.content.readline()
        await panel.supervisor.stop()
        assert b"event: bye" in await asyncio.wait_for(stream.content.read(), PATIENCE)


async def test_codex_names_say_where_they_go(panel: Panel) -> None:
    names = {one["name"]: one for one in (await panel.get("codex-models")).json["models"]}
    assert names["gpt-5.5"]["provider"] == "custom"


# --- saving


async def test_a_save_writes_the_file_and_waits_for_a_restart(panel: Panel) -> None:
    reply = await panel.save({"body_limit_mb": 12})
    assert reply.status == 200
    written = json.loads(panel.file.read_text())
    assert written["body_limit_mb"] == 12
    assert written["provider_api_keys"] == {"custom": KEY, "kimi": ["env:SOME_KEY", "short"]}
    assert (await panel.get("status")).json["waiting_for_restart"]
    assert panel.supervisor.gateway.snapshot.config.body_limit_mb == 64


async def test_a_hot_restart_applies_at_once_and_leaves_running_streams_alone(panel: Panel, upstream: Upstream) -> None:
    gate = asyncio.Event()
    upstream.script(gated(gate, sse(GOOD)))
    running = asyncio.create_task(ask(panel))
    await until(lambda: upstream.requests)
    reply = await panel.save({"body_limit_mb": 12}, restart=True)
    assert reply.status == 200
    assert panel.supervisor.gateway.snapshot.config.body_limit_mb == 12
    assert not (await panel.get("status")).json["waiting_for_restart"]
    gate.set()
    assert "response.completed" in await running


async def test_two_pages_cannot_overwrite_each_other(panel: Panel) -> None:
    tag = (await panel.get("config")).json["etag"]
    assert (await panel.save({"retention_days": 1}, tag=tag)).status == 200
    second = await panel.save({"retention_days": 2}, tag=tag)
    assert second.status == 412
    assert second.error["code"] == "changed_elsewhere"
    assert json.loads(panel.file.read_text())["retention_days"] == 1


async def test_a_script_saves_on_top_of_whatever_stands_there(panel: Panel) -> None:
    before = json.loads(panel.file.read_text())
    shown = (await panel.get("config")).json["config"]
    assert (await panel.post("config", {"config": shown | {"retention_days": 3}})).status == 200
    assert (await panel.post("config", {"retention_days": 4}, {"If-Match": "*"})).status == 200
    assert (await panel.post("config", {"body_limit_mb": 5, "restart": True})).status == 200
    after = json.loads(panel.file.read_text())
    assert (after["retention_days"], after["body_limit_mb"]) == (4, 5)
    written = set(before) & set(after)  # what says the default is not written
    assert {key: after[key] for key in written} == {key: before[key] for key in written}
    assert written >= {"custom_upstream", "provider_api_keys"}
    refused = await panel.post("config", {"retention_day": 4})
    assert (refused.status, refused.json["problems"][0]["path"]) == (422, "retention_day")


async def test_all_problems_are_told_with_their_paths(panel: Panel) -> None:
    before = panel.file.read_bytes()
    reply = await panel.save(
        {
            "port": "x",
            "provider": "nobody",
            "colour": 1,
            "model_routes": {"a": {"provider": "custom", "fallbacks": [{"provider": 7}]}},
            "api_key": "sk-…none",
        },
        restart=True,
    )
    assert reply.status == 422
    assert reply.error["code"] == "invalid_config"
    paths = {problem["path"] for problem in reply.json["problems"]}
    assert paths == {"port", "provider", "colour", "model_routes.a.fallbacks[0].provider", "api_key"}
    assert panel.file.read_bytes() == before


@pytest.mark.parametrize("host", ["203.0.113.7", "no such host"])
async def test_a_failing_restart_leaves_the_old_world(panel: Panel, upstream: Upstream, host: str) -> None:
    before = panel.file.read_bytes()
    reply = await panel.save({"host": host}, restart=True)
    assert reply.status in (409, 422)
    assert panel.file.read_bytes() == before
    upstream.script(sse(GOOD))
    assert "response.completed" in await ask(panel)


async def test_the_panels_own_port_is_not_given_away(panel: Panel) -> None:
    port = int(panel.url.rsplit(":", 1)[1])
    reply = await panel.save({"port": port}, restart=True)
    assert reply.status == 422
    assert "control panel" in reply.json["problems"][0]["message"]


async def test_a_broken_file_is_told_and_not_overwritten(panel: Panel) -> None:
    panel.file.write_text("{broken")
    body = (await panel.get("config")).json
    assert "no valid JSON" in body["problems"][0]
    assert not body["fresh"]
    reply = await panel.save({})
    assert reply.status == 409
    assert panel.file.read_text() == "{broken"


async def test_an_unwritable_folder_is_a_sentence(panel: Panel, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("codex_nexus.config.file.write_private", refuse)
    reply = await panel.save({"retention_days": 9})
    assert reply.status == 422
    assert "cannot be written" in reply.json["problems"][0]["path"] + reply.json["problems"][0]["message"]


async def test_reset_keeps_a_backup(panel: Panel) -> None:
    before = panel.file.read_text()
    reply = await panel.post("config/reset")
    assert reply.status == 200
    backup = panel.file.with_name(reply.json["backup"])
    assert backup.read_text() == before
    assert backup.stat().st_mode & 0o777 == 0o600
    assert reply.json["fresh"]
    assert panel.supervisor.gateway.snapshot.config.provider_api_keys == {}


async def test_a_token_made_on_the_way_stays_in_the_file(panel: Panel) -> None:
    reply = await panel.save({"host": "0.0.0.0"}, restart=True)
    assert reply.status == 200
    token = json.loads(panel.file.read_text())["access_token"]
    assert panel.supervisor.gateway.snapshot.access_token == token
    assert token.encode() not in reply.body


# --- providers


@pytest.mark.parametrize(
    "panel", [{"provider_proxies": {"custom": "http://me:hidden-word@127.0.0.1:9"}}], indirect=True
)
async def test_a_probe_tells_which_way_it_went_also_when_that_is_why_it_fails(panel: Panel) -> None:
    reply = await panel.post("models", {"provider": "custom"})
    assert reply.status == 502
    assert reply.error["code"] == "unreachable"
    told = {"why": "provider", "place": "provider_proxies.custom", "proxy": "http://…@127.0.0.1:9"}
    assert reply.json["way"] == told
    assert b"hidden-word" not in reply.body


async def test_a_probe_lists_models(panel: Panel, upstream: Upstream) -> None:
    reply = await panel.post("models", {"provider": "custom"})
    assert [model["id"] for model in reply.json["models"]] == ["scripted", "other"]
    assert not reply.json["way"]["proxy"]
    assert upstream.lookups[-1].headers["authorization"] == f"Bearer {KEY}"


@pytest.mark.parametrize("name", ["key", "api_key"])
async def test_a_probe_tries_a_key_that_is_not_saved(panel: Panel, upstream: Upstream, name: str) -> None:
    await panel.post("models", {"provider": "custom", name: "sk-tried"})
    assert upstream.lookups[-1].headers["authorization"] == "Bearer sk-tried"
    assert "sk-tried" not in panel.file.read_text()


async def test_a_probe_tries_an_address_that_is_not_saved(panel: Panel, upstream: Upstream) -> None:
    async with Upstream(models=("elsewhere",)) as other:
        reply = await panel.post("models", {"provider": "custom", "custom_upstream": other.base_url})
    assert reply.json["models"][0]["id"] == "elsewhere"
    assert not upstream.lookups


async def test_a_probe_tries_another_address_of_a_known_provider(panel: Panel, upstream: Upstream) -> None:
    async with Upstream(models=("elsewhere",)) as other:
        reply = await panel.post("models", {"provider": "qwen", "key": "sk-tried", "address": other.base_url})
    assert reply.json["models"][0]["id"] == "elsewhere"
    assert other.lookups[-1].headers["authorization"] == "Bearer sk-tried"


@pytest.mark.parametrize(
    ("asked", "status_", "said"),
    [
        ({"provider": "qwen", "address": "nonsense"}, 400, "is not a URL"),
        ({"provider": "nobody"}, 400, "no provider 'nobody'"),
        ({}, 400, "'provider' must be a text"),
        ({"provider": "custom", "custom_upstream": "http://127.0.0.1:9"}, 502, "cannot be reached"),
        ({"provider": "custom", "custom_upstream": "nonsense"}, 400, "is not a URL"),
        ({"provider": "kimi"}, 502, "cannot be reached"),
        ({"provider": "qwen"}, 401, "no API key"),
    ],
)
async def test_a_probe_that_fails_says_why(panel: Panel, asked: dict[str, str], status_: int, said: str) -> None:
    if asked.get("provider") == "kimi":
        await panel.save({"provider_proxies": {"kimi": "http://127.0.0.1:9"}})
    reply = await panel.post("models", asked)
    assert reply.status == status_
    assert said in reply.error["message"]


async def test_a_probe_tells_what_the_terminal_tells(panel: Panel, home: Path) -> None:
    async with LocalServer(OLLAMA) as server:
        reply = await panel.post("models", {"provider": "ollama", "address": server.base_url})
    [gemma, *_] = reply.json["models"]
    assert (gemma["id"], gemma["context_window"], gemma["at_most"], gemma["images"]) == ("gemma3:4b", 8192, False, True)
    assert next(model for model in reply.json["models"] if model["id"] == "llava:7b")["at_most"]


async def test_local_servers_are_found_for_what_they_are(home: Path) -> None:
    dead = {record.id: "http://127.0.0.1:9/v1" for record in shipped().providers.values() if record.local}
    async with (
        LocalServer(OLLAMA) as ollama,
        LocalServer(LLAMACPP) as stray,
        LocalServer({"GET /v1/models": 401}) as shut,
    ):
        there = dead | {"ollama": ollama.base_url, "vllm": stray.base_url, "sglang": shut.base_url}
        records = [{"id": name, "base_url": url} for name, url in there.items() if name != "custom"]
        (home / "providers.json").write_text(json.dumps({"providers": records}))
        supervisor = Supervisor(home, Overrides(port=0), [].append)
        await supervisor.start()
        async with aiohttp.ClientSession() as client:
            found = (await Panel(supervisor, client, []).get("local")).json
        await supervisor.stop()
    assert [(one["id"], one["models"][0]) for one in found["providers"]] == [("ollama", "gemma3:4b")]
    llamacpp, sglang = sorted(found["others"], key=lambda one: one["id"])
    assert (llamacpp["id"], llamacpp["address"]) == ("llamacpp", stray.base_url)
    assert f'{{"llamacpp": "{stray.base_url}"}}' in llamacpp["hint"]
    assert (sglang["refusal"], sglang["hint"]) == (
        "SGLang: no (401)", "Give its key as provider_api_keys.sglang in config.json.",
    )  # fmt: skip
    assert (sglang["wants_key"], llamacpp["wants_key"]) == (True, False)


# --- the rest


async def test_the_playground_streams_the_gateways_events(panel: Panel, upstream: Upstream) -> None:
    upstream.script(sse(GOOD))
    reply = await panel.post("playground", {"model": "custom/scripted", "message": "hi", "effort": "low"})
    assert reply.headers["Content-Type"].startswith("text/event-stream")
    assert reply.headers["x-nexus-upstream"] == "custom/scripted"
    assert b"response.completed" in reply.body


async def test_the_playground_passes_a_refusal_on(panel: Panel, upstream: Upstream) -> None:
    upstream.script(status(400, {"error": {"message": "no such model"}}))
    reply = await panel.post("playground", {"model": "x", "message": "hi"})
    assert reply.status == 400
    assert "no such model" in reply.error["message"]


@pytest.mark.parametrize("wrong", [{}, {"model": "x"}, {"model": "", "message": "x"}, {"model": 3, "message": "x"}])
async def test_the_playground_needs_a_model_and_a_message(panel: Panel, wrong: dict[str, Any]) -> None:
    assert (await panel.post("playground", wrong)).status == 400


async def test_the_preview_shows_both_files_without_writing(panel: Panel, tmp_path: Path) -> None:
    before = panel.file.read_bytes()
    shown = (await panel.get("config")).json["config"]
    reply = await panel.post("preview", {"config": shown | {"retention_days": 5}})
    body = reply.json
    assert '+  "retention_days": 5' in body["config_json"]["diff"].replace(",", "")
    assert "model_providers.codex-nexus" in body["config_toml"]["diff"]
    assert KEY.encode() not in reply.body
    assert panel.file.read_bytes() == before
    assert not list((tmp_path / "codex").iterdir())


async def test_the_preview_tells_problems(panel: Panel) -> None:
    reply = await panel.post("preview", {"config": {"port": "x"}})
    assert reply.status == 422


async def test_codex_is_connected_and_disconnected(panel: Panel, tmp_path: Path) -> None:
    file = tmp_path / "codex" / "config.toml"
    file.write_text('# mine\nmodel = "o3"\n')
    assert (await panel.post("inject")).json["injection"]["state"] == "present"
    assert panel.supervisor.address in file.read_text()
    assert (await panel.get("status")).json["injection"]["state"] == "present"
    reply = await panel.post("eject")
    assert reply.json["injection"]["state"] == "absent"
    assert file.read_text() == '# mine\nmodel = "o3"\n'


async def test_a_config_toml_that_cannot_be_read_is_told(panel: Panel, tmp_path: Path) -> None:
    (tmp_path / "codex" / "config.toml").write_text("[broken")
    assert (await panel.get("status")).json["injection"]["state"] == "unreadable"
    assert (await panel.post("inject")).status >= 400
    assert (tmp_path / "codex" / "config.toml").read_text() == "[broken"


@pytest.mark.parametrize("panel", [{"autostart_nexus": False}], indirect=True)
async def test_a_gateway_that_waits_is_started_from_the_page(panel: Panel, upstream: Upstream) -> None:
    assert not (await panel.get("status")).json["running"]
    assert (await panel.post("playground", {"model": "x", "message": "y"})).error["code"] == "not_started"
    assert (await panel.save({"retention_days": 2}, restart=True)).status == 200
    assert (await panel.post("start")).json["address"] == panel.supervisor.address != ""
    upstream.script(sse(GOOD))
    assert "response.completed" in await ask(panel)


async def test_shutdown_ends_the_program(panel: Panel) -> None:
    assert (await panel.post("shutdown")).json["stopping"]
    await asyncio.wait_for(panel.supervisor._ended.wait(), PATIENCE)
