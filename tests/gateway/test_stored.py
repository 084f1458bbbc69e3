"""What can be done with stored responses: delete, list their input, count, compact."""

from __future__ import annotations

from typing import Any

import pytest

from codex_nexus.translate.sealed import unseal
from tests.serving import Served
from tests.upstream import Upstream, cut, finish, sse, status, text, usage

HELLO = sse([text("Hello"), finish(), usage(12, 5)])


# --- delete


async def test_a_deleted_response_is_gone(gateway: Served, upstream: Upstream) -> None:
    upstream.script(HELLO)
    first = (await gateway.create()).json["id"]
    second = (await gateway.create(previous_response_id=first)).json["id"]
    reply = await gateway.ask("DELETE", f"/v1/responses/{second}")
    assert (reply.status, reply.json) == (200, {"id": second, "object": "response", "deleted": True})
    assert (await gateway.get(f"/v1/responses/{second}")).status == 404
    assert (await gateway.ask("DELETE", f"/v1/responses/{second}")).status == 404
    assert (await gateway.create(previous_response_id=second)).error["code"] == "previous_response_not_found"
    assert (await gateway.create(previous_response_id=first)).status == 200


async def test_a_chain_without_its_beginning_is_never_continued(gateway: Served, upstream: Upstream) -> None:
    upstream.script(HELLO)
    first = (await gateway.create()).json["id"]
    second = (await gateway.create(previous_response_id=first)).json["id"]
    await gateway.ask("DELETE", f"/responses/{first}")
    asked = len(upstream.requests)
    assert (await gateway.create(previous_response_id=second)).error["code"] == "previous_response_not_found"
    assert len(upstream.requests) == asked


# --- input items


async def test_a_text_is_listed_as_a_message(gateway: Served, upstream: Upstream) -> None:
    upstream.script(HELLO)
    made = (await gateway.create(input="hi")).json["id"]
    listed = (await gateway.get(f"/v1/responses/{made}/input_items")).json
    [item] = listed["data"]
    assert item == {
        "id": item["id"],
        "type": "message",
        "role": "user",
        "status": "completed",
        "content": [{"type": "input_text", "text": "hi"}],
    }
    assert item["id"].startswith("msg_")
    assert listed == {
        "object": "list", "data": [item], "first_id": item["id"], "last_id": item["id"], "has_more": False,
    }  # fmt: skip


def words(count: int) -> list[dict[str, Any]]:
    """Messages that are counted, of which every other has an id."""
    return [
        {"role": "user", "content": f"word {n}"} | ({"id": f"msg_{n}", "type": "message"} if n % 2 else {})
        for n in range(count)
    ]


async def test_a_list_is_read_page_by_page(gateway: Served, upstream: Upstream) -> None:
    upstream.script(HELLO)
    made = (await gateway.create(input=words(25))).json["id"]
    for order, expected in (("asc", list(range(25))), ("desc", list(range(24, -1, -1)))):
        seen: list[int] = []
        after, more = "", True
        while more:
            page = (await gateway.get(f"/v1/responses/{made}/input_items?limit=10&order={order}&after={after}")).json
            seen += [int(item["content"][0]["text"].split()[1]) for item in page["data"]]
            after, more = page["last_id"], page["has_more"]
        assert seen == expected
    first = (await gateway.get(f"/v1/responses/{made}/input_items")).json
    assert len(first["data"]) == 20
    assert first["data"][1]["id"] == "msg_23"


@pytest.mark.parametrize(
    "query", ["limit=0", "limit=101", "limit=x", "limit=%C2%B2", "limit=", "order=up", "after=nothing"]
)
async def test_a_wrong_page_is_refused(gateway: Served, upstream: Upstream, query: str) -> None:
    upstream.script(HELLO)
    made = (await gateway.create()).json["id"]
    reply = await gateway.get(f"/v1/responses/{made}/input_items?{query}")
    assert (reply.status, reply.error["param"]) == (400, query.partition("=")[0])


async def test_only_what_this_request_brought_is_listed(gateway: Served, upstream: Upstream) -> None:
    upstream.script(HELLO)
    first = (await gateway.create(input="one")).json["id"]
    second = (await gateway.create(input="two", previous_response_id=first)).json["id"]
    listed = (await gateway.get(f"/v1/responses/{second}/input_items")).json
    assert [item["content"][0]["text"] for item in listed["data"]] == ["two"]


@pytest.mark.parametrize("path", ["", "/input_items"])
@pytest.mark.parametrize("name", ["resp_none", "x" * 3000, "%ED%B2%80", "%00"])
async def test_what_is_not_there_is_not_found(gateway: Served, path: str, name: str) -> None:
    assert (await gateway.get(f"/v1/responses/{name}{path}")).status == 404
    assert (await gateway.ask("DELETE", f"/v1/responses/{name}")).status == 404
    assert (await gateway.ask("POST", f"/v1/responses/{name}/cancel")).status == 404


async def test_only_background_work_can_be_cancelled(gateway: Served, upstream: Upstream) -> None:
    upstream.script(HELLO)
    made = (await gateway.create()).json["id"]
    assert (await gateway.ask("POST", f"/v1/responses/{made}/cancel")).status == 400


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("PUT", "/v1/responses/resp_1", "GET, DELETE"),
        ("GET", "/v1/responses/resp_1/cancel", "POST"),
        ("POST", "/v1/responses/resp_1/input_items", "GET"),
        ("PUT", "/v1/responses/compact", "POST"),
        ("PUT", "/v1/conversations", "POST"),
        ("PUT", "/v1/conversations/conv_1/items/msg_1", "GET, DELETE"),
    ],
)
async def test_a_wrong_method_is_told(gateway: Served, method: str, path: str, allowed: str) -> None:
    reply = await gateway.ask(method, path)
    assert (reply.status, reply.headers["Allow"]) == (405, allowed)
    assert reply.error["type"] == "invalid_request_error"


# --- counting


async def test_a_request_is_counted_without_asking_anybody(gateway: Served, upstream: Upstream) -> None:
    upstream.script(HELLO)
    short = (await gateway.ask("POST", "/v1/responses/input_tokens", {"model": "gpt-5", "input": "hi"})).json
    assert short["object"] == "response.input_tokens"
    assert short["estimated"] is True
    long = (await gateway.ask("POST", "/v1/responses/input_tokens", {"input": "word " * 1000})).json
    assert short["input_tokens"] < 100 < 1000 < long["input_tokens"] < 2000
    assert upstream.requests == []
    made = (await gateway.create(input="word " * 1000)).json["id"]
    chained = {"model": "gpt-5", "input": "more", "previous_response_id": made}
    assert (await gateway.ask("POST", "/v1/responses/input_tokens", chained)).json["input_tokens"] > 1000
    wrong = await gateway.ask("POST", "/v1/responses/input_tokens", {"input": 5})
    assert (wrong.status, wrong.error["param"]) == (400, "input")


# --- compaction


async def test_a_thread_is_summed_up_and_goes_on(gateway: Served, upstream: Upstream) -> None:
    upstream.script(HELLO, sse([text("They said hello."), finish(), usage(30, 4)]), HELLO)
    made = (await gateway.create(input="first")).json["id"]
    body = {"model": "gpt-5", "input": [{"role": "user", "content": "second"}], "previous_response_id": made}
    summed = (await gateway.ask("POST", "/v1/responses/compact", body)).json
    assert summed["object"] == "response.compaction"
    assert summed["usage"]["total_tokens"] == 34
    [item] = summed["output"]
    sealed = unseal(item["encrypted_content"], "summary")
    assert sealed is not None
    assert sealed.text == "They said hello."
    said = [message["content"] for message in upstream.requests[1].json["messages"]]
    assert said[:2] == ["first", "Hello"]
    assert "second" in said[2]
    await gateway.create(input=[*summed["output"], {"role": "user", "content": "third"}])
    after = str(upstream.requests[2].json["messages"])
    assert "They said hello." in after
    assert "third" in after
    assert "first" not in after
    assert (await gateway.get(f"/v1/responses/{summed['id']}")).status == 404


async def test_usage_of_a_compaction_is_estimated_when_nobody_counts(gateway: Served, upstream: Upstream) -> None:
    upstream.script(sse([text("Short."), finish()]))
    summed = (await gateway.ask("POST", "/v1/responses/compact", {"model": "gpt-5", "input": "x" * 4000})).json
    assert summed["usage"]["input_tokens"] > 500


@pytest.mark.parametrize("answer", [cut([text("half")]), sse([finish()]), sse([text("half"), finish("length")])])
async def test_a_summary_that_is_not_whole_is_an_error(gateway: Served, upstream: Upstream, answer: Any) -> None:
    upstream.script(answer)
    reply = await gateway.ask("POST", "/v1/responses/compact", {"model": "gpt-5", "input": "long"})
    assert reply.status == 502
    assert reply.error["message"]


async def test_a_compaction_that_is_refused_is_told(gateway: Served, upstream: Upstream) -> None:
    upstream.script(status(401, {"error": {"message": "no key"}}))
    assert (await gateway.ask("POST", "/v1/responses/compact", {"model": "gpt-5", "input": "x"})).status == 401
    assert (await gateway.ask("POST", "/v1/responses/compact", {"input": "x"})).error["param"] == "model"
