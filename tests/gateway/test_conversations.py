"""Conversations: their items, and the responses that are made in them."""

from __future__ import annotations

from typing import Any

import pytest

from tests.gateway.conftest import Serve
from tests.serving import Reply, Served
from tests.upstream import Upstream, cut, finish, sse, text
from tests.worlds import providers

HELLO = sse([text("Hello"), finish()])


async def made(gateway: Served, **body: Any) -> str:
    """A new conversation."""
    reply = await gateway.ask("POST", "/v1/conversations", body)
    assert reply.status == 200, reply
    return reply.json["id"]


async def items(gateway: Served, name: str, query: str = "order=asc") -> Reply:
    """Its items."""
    return await gateway.get(f"/v1/conversations/{name}/items?{query}")


def said(reply: Reply) -> list[str]:
    """The texts of a list of messages."""
    return [item["content"][0]["text"] for item in reply.json["data"]]


async def test_a_conversation_comes_changes_and_goes(gateway: Served) -> None:
    reply = await gateway.ask("POST", "/v1/conversations", {"metadata": {"topic": "a"}})
    talk = reply.json
    assert talk == {
        "id": talk["id"],
        "object": "conversation",
        "created_at": talk["created_at"],
        "metadata": {"topic": "a"},
    }
    path = f"/v1/conversations/{talk['id']}"
    assert (await gateway.get(path)).json == talk
    changed = (await gateway.ask("POST", path, {"metadata": {"topic": "b"}})).json
    assert changed == talk | {"metadata": {"topic": "b"}}
    gone = await gateway.ask("DELETE", path)
    assert gone.json == {"id": talk["id"], "object": "conversation.deleted", "deleted": True}
    for reply in (
        await gateway.get(path),
        await gateway.ask("POST", path, {"metadata": {}}),
        await gateway.ask("DELETE", path),
        await items(gateway, talk["id"]),
        await gateway.create(conversation=talk["id"]),
    ):
        assert (reply.status, reply.error["type"]) == (404, "invalid_request_error")


async def test_an_empty_body_makes_an_empty_conversation(gateway: Served) -> None:
    reply = await gateway.ask("POST", "/conversations", b"")
    assert reply.json["metadata"] == {}
    assert (await items(gateway, reply.json["id"])).json == {
        "object": "list", "data": [], "first_id": None, "last_id": None, "has_more": False,
    }  # fmt: skip


async def test_items_are_added_read_and_deleted(gateway: Served) -> None:
    name = await made(gateway, items=[{"role": "user", "content": "one"}])
    added = await gateway.ask(
        "POST",
        f"/v1/conversations/{name}/items",
        {"items": [{"role": "assistant", "content": "two"}, {"type": "reasoning", "id": "rs_1", "summary": []}]},
    )
    assert [item["type"] for item in added.json["data"]] == ["message", "reasoning"]
    assert added.json["data"][0]["content"] == [
        {"type": "output_text", "text": "two", "annotations": [], "logprobs": []}
    ]
    listed = (await items(gateway, name)).json["data"]
    assert [item["type"] for item in listed] == ["message", "message", "reasoning"]
    one = f"/v1/conversations/{name}/items/{listed[1]['id']}"
    assert (await gateway.get(one)).json == listed[1]
    assert (await gateway.ask("DELETE", one)).json["object"] == "conversation"
    assert (await gateway.get(one)).status == 404
    assert [item["id"] for item in (await items(gateway, name)).json["data"]] == [listed[0]["id"], "rs_1"]


async def test_items_are_listed_page_by_page(gateway: Served) -> None:
    name = await made(gateway, items=[{"role": "user", "content": str(n)} for n in range(7)])
    first = await items(gateway, name, "limit=3&order=asc")
    assert (said(first), first.json["has_more"]) == (["0", "1", "2"], True)
    rest = await items(gateway, name, f"limit=4&order=asc&after={first.json['last_id']}")
    assert (said(rest), rest.json["has_more"]) == (["3", "4", "5", "6"], False)
    newest = await items(gateway, name, "limit=2")
    assert said(newest) == ["6", "5"]
    assert (await items(gateway, name, "after=none")).error["param"] == "after"


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"items": [{"role": "user", "content": "x"}] * 21}, "items"),
        ({"items": {}}, "items"),
        ({"items": [5]}, "items[0]"),
        ({"items": [{"content": "x"}]}, "items[0].type"),
        ({"items": [{"role": "user", "content": "x"}, {"role": "robot", "content": "x"}]}, "items[1].role"),
        ({"metadata": {"k": 5}}, "metadata"),
        ({"metadata": {"k": "v" * 513}}, "metadata.k"),
    ],
)
async def test_a_wrong_conversation_is_refused(gateway: Served, body: Any, param: str) -> None:
    reply = await gateway.ask("POST", "/v1/conversations", body)
    assert (reply.status, reply.error["param"]) == (400, param)
    assert "input" not in reply.error["message"]


async def test_metadata_stays_unless_it_is_named(gateway: Served) -> None:
    name = await made(gateway, metadata={"a": "b"})
    for change, left in (({}, {"a": "b"}), ({"metadata": None}, {})):
        assert (await gateway.ask("POST", f"/v1/conversations/{name}", change)).json["metadata"] == left
    assert (await gateway.ask("POST", "/v1/conversations/conv_none", {})).status == 404


@pytest.mark.parametrize("streamed", [False, True])
async def test_responses_read_a_conversation_and_add_to_it(gateway: Served, upstream: Upstream, streamed: bool) -> None:
    upstream.script(*(sse([text(word), finish()]) for word in ("alpha", "beta", "gamma")))
    name = await made(gateway, items=[{"role": "user", "content": "before"}])
    for n, question in enumerate(("one", "two")):
        named: Any = name if n else {"id": name}
        fields = {"input": question, "conversation": named}
        response = (await gateway.stream(**fields)).response if streamed else (await gateway.create(**fields)).json
        assert response["conversation"] == {"id": name}
    assert said(await items(gateway, name)) == ["before", "one", "alpha", "two", "beta"]
    messages = upstream.requests[1].json["messages"]
    assert [message["content"] for message in messages] == ["before", "one", "alpha", "two"]


async def test_a_response_of_a_conversation_can_be_built_on(gateway: Served, upstream: Upstream) -> None:
    upstream.script(HELLO)
    name = await made(gateway)
    await gateway.create(input="one", conversation=name)
    second = (await gateway.create(input="two", conversation=name)).json["id"]
    await gateway.create(input="three", conversation=name)
    await gateway.create(input="fork", previous_response_id=second)
    asked = [message["content"] for message in upstream.requests[-1].json["messages"]]
    assert asked == ["one", "Hello", "two", "Hello", "fork"]
    await gateway.ask("DELETE", f"/v1/conversations/{name}")
    assert (await gateway.get(f"/v1/responses/{second}")).status == 200
    lost = await gateway.create(input="again", previous_response_id=second)
    assert lost.error["code"] == "previous_response_not_found"


async def test_a_response_that_is_not_stored_still_adds_its_items(gateway: Served, upstream: Upstream) -> None:
    upstream.script(HELLO)
    name = await made(gateway)
    response = (await gateway.create(input="one", conversation=name, store=False)).json
    assert said(await items(gateway, name)) == ["one", "Hello"]
    assert (await gateway.get(f"/v1/responses/{response['id']}")).status == 404


async def test_a_turn_that_fails_adds_nothing(gateway: Served, upstream: Upstream) -> None:
    upstream.script(cut([text("half")]))
    name = await made(gateway)
    assert (await gateway.create(input="one", conversation=name)).json["status"] == "failed"
    assert (await items(gateway, name)).json["data"] == []


async def test_a_conversation_belongs_to_who_made_it(serve: Serve, upstream: Upstream) -> None:
    upstream.script(HELLO)
    known = providers(away={"base_url": upstream.base_url, "default_model": "m"})
    gateway = await serve(provider="away", access_token="nexus-token", known=known)
    alice, bob = ({"X-Forwarded-For": "203.0.113.7", "Authorization": f"Bearer {key}"} for key in ("key-a", "key-b"))
    name = (await gateway.ask("POST", "/v1/conversations", {}, alice)).json["id"]
    assert (await gateway.get(f"/v1/conversations/{name}", alice)).status == 200
    assert (await gateway.get(f"/v1/conversations/{name}", bob)).status == 404
    assert (await gateway.create(bob, conversation=name)).status == 404
    assert (await gateway.create(alice, conversation=name)).status == 200
    assert (await gateway.get(f"/v1/conversations/{name}")).status == 200
