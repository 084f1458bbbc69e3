"""`item_reference`: what stored responses said, named by id in a request that continues none of them."""

from __future__ import annotations

from typing import Any

from tests.gateway.conftest import Serve
from tests.serving import Served
from tests.upstream import Upstream, call, finish, reasoning, sse, text
from tests.worlds import providers

QUESTION = {"role": "user", "content": "look"}
TOOLS = [{"type": "function", "name": name, "parameters": {"type": "object"}} for name in ("ls", "cat")]
CALLS = sse(
    [reasoning("Both."), text("I look."), call(0, "c0", "ls", "{}"), call(1, "c1", "cat", "{}"), finish("tool_calls")]
)
DONE = sse([text("done"), finish()])


def named(*ids: str) -> list[dict[str, Any]]:
    """References to these items."""
    return [{"type": "item_reference", "id": item_id} for item_id in ids]


def results() -> list[dict[str, Any]]:
    """What both tools gave."""
    return [{"type": "function_call_output", "call_id": f"c{n}", "output": f"result {n}"} for n in range(2)]


async def test_a_tool_loop_names_what_the_model_said(gateway: Served, upstream: Upstream) -> None:
    """As the AI SDK 6 does by default: stored, every item of the model by reference, the results after their calls."""
    upstream.script(CALLS, DONE)
    first = (await gateway.create(input=[QUESTION], tools=TOOLS)).json
    assert [item["type"] for item in first["output"]] == ["reasoning", "message", "function_call", "function_call"]
    given = [QUESTION, *named(*(item["id"] for item in first["output"])), *results()]
    second = await gateway.create(input=given, tools=TOOLS)
    assert second.json["status"] == "completed", second
    whole = await gateway.create(input=[QUESTION, *first["output"], *results()], tools=TOOLS)
    assert whole.json["status"] == "completed"
    by_name, by_value = (request.json["messages"] for request in upstream.requests[1:])
    assert by_name == by_value
    assert [message["role"] for message in by_name] == ["user", "assistant", "tool", "tool"]
    listed = (await gateway.get(f"/v1/responses/{second.json['id']}/input_items?order=asc")).json["data"]
    assert [item["id"] for item in listed[1:5]] == [item["id"] for item in first["output"]]


async def test_what_a_request_brought_can_be_named_too(gateway: Served, upstream: Upstream) -> None:
    upstream.script(DONE)
    first = (await gateway.create(input=[{"role": "user", "content": f"word {n}"} for n in range(3)])).json["id"]
    listed = (await gateway.get(f"/v1/responses/{first}/input_items?order=asc")).json["data"]
    await gateway.stream(input=[*named(listed[2]["id"], listed[0]["id"]), QUESTION])
    assert [m["content"] for m in upstream.requests[-1].json["messages"]] == ["word 2", "word 0", "look"]


async def test_what_is_continued_already_is_not_said_twice(gateway: Served, upstream: Upstream) -> None:
    upstream.script(DONE)
    first = (await gateway.create(input=[QUESTION])).json
    given = [*named(first["output"][0]["id"]), QUESTION]
    reply = await gateway.create(input=given, previous_response_id=first["id"])
    assert reply.status == 200
    assert [m["role"] for m in upstream.requests[-1].json["messages"]] == ["user", "assistant", "user"]


async def test_what_is_not_kept_is_refused_with_its_place(gateway: Served, upstream: Upstream) -> None:
    upstream.script(DONE)
    kept = (await gateway.create(input=[QUESTION])).json
    fleeting = (await gateway.create(input=[QUESTION], store=False)).json
    deleted = (await gateway.create(input=[QUESTION])).json
    await gateway.ask("DELETE", f"/v1/responses/{deleted['id']}")
    good = kept["output"][0]["id"]
    for bad in (fleeting["output"][0]["id"], deleted["output"][0]["id"], "rs_of_somebody_else", good[:-1] + "7"):
        asked = len(upstream.requests)
        reply = await gateway.create(input=[QUESTION, *named(good, bad)])
        assert (reply.status, reply.error["code"], reply.error["param"]) == (400, "item_not_found", "input[2].id")
        assert bad in reply.error["message"]
        assert len(upstream.requests) == asked


async def test_nobody_names_what_belongs_to_another(serve: Serve, upstream: Upstream) -> None:
    known = providers(away={"base_url": upstream.base_url, "default_model": "m"})
    gateway = await serve(provider="away", access_token="nexus-token", known=known)
    upstream.script(DONE)
    hers, his = (
        {"X-Forwarded-For": "203.0.113.7", "Authorization": f"Bearer sk-{name}-0123456789"} for name in ("hers", "his")
    )
    item = (await gateway.create(hers, input=[QUESTION])).json["output"][0]["id"]
    assert (await gateway.create(hers, input=[*named(item), QUESTION])).status == 200
    assert (await gateway.create(his, input=[*named(item), QUESTION])).error["code"] == "item_not_found"


async def test_a_count_knows_what_is_named(gateway: Served, upstream: Upstream) -> None:
    upstream.script(sse([text("many words " * 400), finish()]))
    item = (await gateway.create(input=[QUESTION])).json["output"][0]["id"]
    body = {"model": "gpt-5", "input": [*named(item), QUESTION]}
    counted = await gateway.ask("POST", "/v1/responses/input_tokens", body)
    assert counted.json["input_tokens"] > 400, counted
