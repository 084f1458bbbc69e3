"""`GET /metrics`: the counts are right, are Prometheus's, are the owner's, and tell nothing of anybody."""

from __future__ import annotations

from prometheus_client.openmetrics.parser import (
    text_string_to_metric_families as open_metrics,  # pyright: ignore[reportUnknownVariableType]
)
from prometheus_client.parser import text_string_to_metric_families as plain_metrics

from codex_nexus.gateway.metrics import Metrics
from codex_nexus.gateway.traffic import Traffic
from tests.gateway.conftest import Serve
from tests.serving import CODEX, Served
from tests.upstream import Upstream, finish, sse, stall, status, text, usage
from tests.waiting import until

ANSWER = sse([text("a secret answer"), finish(), usage(prompt=100, completion=7, cached=60, thought=3)])
OTHERS = {"X-Forwarded-For": "203.0.113.7"}
TOKEN = "nexus-0123456789abcdef"


async def counts(gateway: Served, path: str = "/metrics") -> dict[str, float]:
    """Every sample, by its name and sorted labels, as Prometheus's own parser reads it."""
    reply = await gateway.get(path)
    assert reply.status == 200, reply
    assert reply.headers["Content-Type"].startswith("text/plain; version=")
    return {
        "|".join((sample.name, *(sample.labels[name] for name in sorted(sample.labels)))): sample.value
        for family in plain_metrics(reply.body.decode())
        for sample in family.samples
    }


async def test_turns_and_tokens_are_counted_by_provider_and_model(gateway: Served, upstream: Upstream) -> None:
    upstream.script(ANSWER, ANSWER, status(400, "no"))
    await gateway.create(input="a secret question")
    await gateway.stream(CODEX)
    await gateway.create()
    told = await counts(gateway)
    assert told["codex_nexus_turns_total|plain|scripted|custom|completed"] == 1
    assert told["codex_nexus_turns_total|codex|scripted|custom|completed"] == 1
    assert told["codex_nexus_turns_total|plain|scripted|custom|refused"] == 1
    tokens = {kind: told[f"codex_nexus_tokens_total|{kind}|scripted|custom"] for kind in ("input", "cached")}
    assert tokens == {"input": 200, "cached": 120}
    assert told["codex_nexus_tokens_total|output|scripted|custom"] == 14
    assert told["codex_nexus_tokens_total|reasoning|scripted|custom"] == 6
    assert told["codex_nexus_turn_seconds_count|custom"] == 3
    assert told["codex_nexus_turns_running"] == 0
    assert told["codex_nexus_http_replies_total|/responses|200"] == 2
    assert told["codex_nexus_http_replies_total|/responses|400"] == 1


async def test_a_turn_under_way_is_told(gateway: Served, upstream: Upstream) -> None:
    upstream.script(stall([text("and then")], before_headers=False))
    reply = await gateway.open()
    assert (await counts(gateway))["codex_nexus_turns_running"] == 1
    reply.close()
    await until(lambda: not gateway.gateway.traffic.running)
    told = await counts(gateway)
    assert told["codex_nexus_turns_running"] == 0
    assert told["codex_nexus_turns_total|plain|scripted|custom|gone"] == 1


async def test_a_chat_turn_counts_too(gateway: Served, upstream: Upstream) -> None:
    upstream.script(ANSWER)
    await gateway.ask("POST", "/chat/completions", {"model": "gpt-5", "messages": [{"role": "user", "content": "hi"}]})
    told = await counts(gateway, "/v1/metrics")
    assert told["codex_nexus_turns_total|plain|scripted|custom|completed"] == 1
    assert told["codex_nexus_http_replies_total|/chat/completions|200"] == 1


async def test_neither_words_nor_ids_nor_keys_are_told(gateway: Served, upstream: Upstream) -> None:
    upstream.script(ANSWER)
    made = await gateway.create(input="a secret question")
    for path in (f"/v1/responses/{made.json['id']}", "/wp-admin/secret.php", "/v1/models/secret"):
        await gateway.get(path)
    told = (await gateway.get("/metrics")).body.decode()
    for secret in ("secret", made.json["id"], "Bearer"):
        assert secret not in told
    assert 'path="/responses/{id}",status="200"' in told
    assert 'path="/{path}",status="404"' in told


async def test_who_asks_for_open_metrics_gets_them(gateway: Served) -> None:
    reply = await gateway.get("/metrics", {"Accept": "application/openmetrics-text; version=1.0.0"})
    assert reply.headers["Content-Type"].startswith("application/openmetrics-text; version=1.0.0")
    names = {family.name for family in open_metrics(reply.body.decode())}
    assert {"codex_nexus_turns", "codex_nexus_build_info", "process_cpu_seconds"} <= names


async def test_the_counts_are_the_owners(serve: Serve) -> None:
    gateway = await serve(access_token=TOKEN)
    assert (await gateway.get("/metrics", OTHERS)).status == 401
    guest = await gateway.get("/metrics", OTHERS | {"Authorization": "Bearer sk-a-guests-own-key"})
    assert (guest.status, guest.error["code"]) == (403, "owner_only")
    assert (await gateway.get("/metrics", OTHERS | {"Authorization": f"Bearer {TOKEN}"})).status == 200
    page = await gateway.get("/metrics", {"Origin": "https://evil.example"})
    assert (page.status, page.error["code"]) == (403, "origin_not_allowed")


def test_names_that_clients_invent_do_not_grow_without_end() -> None:
    traffic = Traffic()
    metrics = Metrics(traffic)
    for number in range(300):
        traffic.end(traffic.begin(f"resp_{number}", "x", f"custom/model-{number}", "plain"), "refused")
    told = metrics.encoded("")[0].decode()
    assert told.count("codex_nexus_turns_total{") == 201
    assert 'model="other",provider="custom",status="refused"} 100.0' in told
