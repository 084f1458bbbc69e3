"""Background work: queued at once, polled, streamed again, cancelled, and failed when its process has died."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable
from typing import Any

import pytest

from codex_nexus.errors import StoreError
from codex_nexus.gateway import background, stored
from codex_nexus.gateway.live import LiveTurn
from codex_nexus.service import listener
from codex_nexus.sessions.store import Batch, SessionStore, StoredTurn
from tests.gateway.conftest import Serve
from tests.serving import Served, let_go
from tests.upstream import Upstream, cut, finish, gated, sse, stall, status, text, usage
from tests.waiting import PATIENCE, until

HELLO = sse([text("Hel"), text("lo"), finish(), usage(12, 5)])
SLOW = sse([*(text(f"{n} ") for n in range(20)), finish(), usage(1, 20)], pause=0.05)
ENDLESS = sse([text("on ")] * 10_000, pause=0.05)
COUNTED = "".join(f"{n} " for n in range(20))


async def begun(gateway: Served, **fields: Any) -> str:
    """The id of a response that is queued."""
    reply = await gateway.create(background=True, **fields)
    assert (reply.status, reply.json["status"], reply.json["background"]) == (200, "queued", True), reply
    assert reply.json["output"] == []
    return reply.json["id"]


async def over(gateway: Served, name: str) -> dict[str, Any]:
    """The response once it is over."""
    async with asyncio.timeout(PATIENCE):
        while True:
            response = (await gateway.get(f"/v1/responses/{name}")).json
            if response["status"] not in ("queued", "in_progress"):
                return response
            await asyncio.sleep(0.05)


def events_of(body: bytes) -> list[dict[str, Any]]:
    """The events of a stream that ends with `[DONE]`."""
    records = [record for record in body.decode().split("\n\n") if record and not record.startswith(":")]
    assert records.pop() == "data: [DONE]"
    events = [json.loads(record.partition("data: ")[2]) for record in records]
    assert all(record.startswith(f"event: {event['type']}\n") for record, event in zip(records, events, strict=True))
    return events


def told(events: list[dict[str, Any]]) -> str:
    """The text of the deltas."""
    return "".join(event["delta"] for event in events if event["type"] == "response.output_text.delta")


# --- polling


async def test_it_is_queued_at_once_and_done_later(gateway: Served, upstream: Upstream) -> None:
    gate = asyncio.Event()
    upstream.script(gated(gate, SLOW))
    name = await begun(gateway)
    gate.set()
    response = await over(gateway, name)
    assert (response["status"], response["background"]) == ("completed", True)
    assert response["output"][0]["content"][0]["text"] == COUNTED
    assert response["usage"]["output_tokens"] == 20


async def test_it_is_in_progress_meanwhile(gateway: Served, upstream: Upstream) -> None:
    gate = asyncio.Event()
    upstream.script(gated(gate, HELLO))
    name = await begun(gateway)
    async with asyncio.timeout(PATIENCE):
        while (await gateway.get(f"/v1/responses/{name}")).json["status"] != "in_progress":  # noqa: ASYNC110
            await asyncio.sleep(0.02)
    gate.set()
    assert (await over(gateway, name))["status"] == "completed"


async def test_it_is_not_built_on_before_it_is_over(gateway: Served, upstream: Upstream) -> None:
    gate = asyncio.Event()
    upstream.script(gated(gate, SLOW), HELLO)
    name = await begun(gateway, input="one")
    assert (await gateway.create(previous_response_id=name)).error["code"] == "previous_response_not_found"
    gate.set()
    await over(gateway, name)
    assert (await gateway.create(input="two", previous_response_id=name)).status == 200
    asked = [message["content"] for message in upstream.requests[-1].json["messages"]]
    assert asked == ["one", COUNTED, "two"]


@pytest.mark.parametrize("answer", [status(401, {"error": {"message": "bad key"}}), cut([text("half")])])
async def test_what_goes_wrong_later_is_told_in_the_response(gateway: Served, upstream: Upstream, answer: Any) -> None:
    upstream.script(answer)
    response = await over(gateway, await begun(gateway))
    assert response["status"] == "failed"
    assert response["error"]["message"]


async def test_what_is_wrong_at_once_is_told_at_once(gateway: Served, upstream: Upstream) -> None:
    for wrong, param in (({"input": [5]}, "input[0]"), ({"tools": [{"type": "function"}]}, "tools[0].name")):
        reply = await gateway.create(background=True, **wrong)
        assert (reply.status, reply.error["param"]) == (400, param)
    assert upstream.requests == []


async def test_without_a_store_there_is_no_background(serve: Serve, upstream: Upstream) -> None:
    upstream.script(HELLO)
    gateway = await serve(session_store=None)
    reply = await gateway.create(background=True)
    assert (reply.status, reply.error["type"]) == (500, "server_error")
    assert (await gateway.create()).json["store"] is False


# --- the stream


async def test_it_is_streamed_while_it_runs(gateway: Served, upstream: Upstream) -> None:
    upstream.script(SLOW)
    events = events_of((await gateway.create(background=True, stream=True)).body)
    assert [event["sequence_number"] for event in events] == list(range(len(events)))
    assert [event["type"] for event in events[:2]] == ["response.created", "response.in_progress"]
    assert events[0]["response"]["status"] == "queued"
    assert events[-1]["type"] == "response.completed"
    assert told(events) == COUNTED


async def test_a_cut_stream_is_resumed_where_it_was_cut(gateway: Served, upstream: Upstream) -> None:
    upstream.script(SLOW)
    response = await gateway.open(background=True)
    seen = b""
    while seen.count(b"\n\n") < 8:
        seen += await response.content.readany()
    response.close()
    first = events_of(seen[: seen.rindex(b"\n\n") + 2] + b"data: [DONE]\n\n")
    path = f"/v1/responses/{first[0]['response']['id']}?stream=true&starting_after={first[-1]['sequence_number']}"
    rest = events_of((await gateway.get(path)).body)
    numbers = [event["sequence_number"] for event in first + rest]
    assert numbers == list(range(len(numbers)))
    assert told(first + rest) == COUNTED
    assert rest[-1]["type"] == "response.completed"


async def test_it_is_streamed_again_when_it_is_over(gateway: Served, upstream: Upstream) -> None:
    upstream.script(HELLO)
    name = await begun(gateway)
    response = await over(gateway, name)
    whole = events_of((await gateway.get(f"/v1/responses/{name}?stream=true")).body)
    assert whole[-1]["response"] == response
    for after in (0, 3, len(whole) - 2):
        rest = events_of((await gateway.get(f"/v1/responses/{name}?stream=true&starting_after={after}")).body)
        assert rest == whole[after + 1 :]
    assert events_of((await gateway.get(f"/v1/responses/{name}?stream=true&starting_after=999")).body) == []
    for odd in ("x", "%C2%B2", "9" * 30, "--5"):
        wrong = await gateway.get(f"/v1/responses/{name}?stream=true&starting_after={odd}")
        assert (wrong.status, wrong.error["param"]) == (400, "starting_after")


async def test_many_read_one_response_together(gateway: Served, upstream: Upstream) -> None:
    upstream.script(SLOW)
    name = await begun(gateway)
    replies = await asyncio.gather(*(gateway.get(f"/v1/responses/{name}?stream=true") for _ in range(8)))
    assert {told(events_of(reply.body)) for reply in replies} == {COUNTED}
    assert len(upstream.requests) == 1


async def test_the_client_may_go(gateway: Served, upstream: Upstream) -> None:
    upstream.script(SLOW)
    response = await gateway.open(background=True)
    name = json.loads((await response.content.readany()).partition(b"data: ")[2].partition(b"\n")[0])["response"]["id"]
    response.close()
    assert (await over(gateway, name))["status"] == "completed"
    assert upstream.requests[0].aborted is None


# --- cancelling


@pytest.mark.parametrize("answer", [ENDLESS, stall([text("one")], before_headers=False), stall()])
async def test_it_is_cancelled_and_upstream_let_go(gateway: Served, upstream: Upstream, answer: Any) -> None:
    upstream.script(answer)
    name = await begun(gateway)
    await until(lambda: upstream.requests)
    stream = asyncio.create_task(gateway.get(f"/v1/responses/{name}?stream=true"))
    reply = await gateway.ask("POST", f"/v1/responses/{name}/cancel")
    assert (reply.status, reply.json["status"], reply.json["error"]) == (200, "cancelled", None)
    await let_go(upstream)
    last = events_of((await stream).body)[-1]
    assert (last["type"], last["response"]["status"]) == ("response.failed", "cancelled")
    again = await gateway.ask("POST", f"/v1/responses/{name}/cancel")
    assert again.json == reply.json
    assert (await gateway.create(previous_response_id=name)).error["code"] == "previous_response_not_found"


async def test_what_is_over_is_not_cancelled(gateway: Served, upstream: Upstream) -> None:
    upstream.script(HELLO)
    name = await begun(gateway)
    response = await over(gateway, name)
    assert (await gateway.ask("POST", f"/v1/responses/{name}/cancel")).json == response


async def test_a_running_response_can_be_deleted(gateway: Served, upstream: Upstream) -> None:
    upstream.script(stall([text("one")], before_headers=False))
    name = await begun(gateway)
    await until(lambda: upstream.requests)
    assert (await gateway.ask("DELETE", f"/v1/responses/{name}")).status == 200
    await let_go(upstream)
    await until(lambda: not gateway.gateway.running.responses)
    assert (await gateway.get(f"/v1/responses/{name}")).status == 404


# --- what dies


async def test_the_work_of_a_dead_process_is_failed(
    gateway: Served, store: SessionStore, upstream: Upstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    resource = json.dumps(
        {"id": "resp_x", "status": "queued", "background": True, "error": None, "output": []}
    ).encode()
    turn = StoredTurn("resp_x", None, "", int(time.time()), "queued", b"[]", b"[]", resource)
    await store.begin(turn, "elsewhere/1/x")
    created = json.dumps({"type": "response.created", "sequence_number": 0}, separators=(",", ":")).encode()
    await store.append("resp_x", Batch(0, (created,)))
    assert await background.reap(gateway.gateway) == 0
    assert (await gateway.get("/v1/responses/resp_x")).json["status"] == "in_progress"
    monkeypatch.setattr(background, "STALE_S", -1)
    assert await background.reap(gateway.gateway) == 1
    response = (await gateway.get("/v1/responses/resp_x")).json
    assert (response["status"], response["error"]["code"]) == ("failed", "server_error")
    events = events_of((await gateway.get("/v1/responses/resp_x?stream=true")).body)
    assert [(event["type"], event["sequence_number"]) for event in events] == [
        ("response.created", 0), ("response.failed", 1),
    ]  # fmt: skip
    assert await background.reap(gateway.gateway) == 0
    assert not await store.finish(turn, Batch(5, (b"{}",)))


async def test_what_nobody_works_on_can_be_cancelled(
    gateway: Served, store: SessionStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stored, "_OBEY_S", 0.3)
    resource = json.dumps({"id": "resp_y", "status": "queued", "background": True, "error": None}).encode()
    await store.begin(StoredTurn("resp_y", None, "", 1, "queued", b"[]", b"[]", resource), "elsewhere/1/x")
    reply = await gateway.ask("POST", "/v1/responses/resp_y/cancel")
    assert reply.json["status"] == "cancelled"


async def test_a_gateway_that_stops_fails_what_runs(
    serve: Serve, upstream: Upstream, store: SessionStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listener, "DRAIN_S", 0.2)
    upstream.script(stall([text("one")], before_headers=False))
    gateway = await serve()
    name = await begun(gateway)
    await until(lambda: upstream.requests)
    await gateway.listener.stop()
    response = json.loads(await store.resource(name, "") or b"")
    assert response["status"] == "failed"
    assert "stopped" in response["error"]["message"]


# --- a store in trouble


def failing(real: Callable[..., Any], times: int) -> Callable[..., Any]:
    """A method that fails some times before it works."""
    left = [times]

    async def method(*args: Any) -> Any:
        if left[0]:
            left[0] -= 1
            raise StoreError("The session store cannot be written: the disk is full.")
        return await real(*args)

    return method


async def it_is_told_whole(gateway: Served) -> None:
    """A turn in the background, with every event once."""
    name = await begun(gateway)
    assert (await over(gateway, name))["status"] == "completed"
    events = events_of((await gateway.get(f"/v1/responses/{name}?stream=true")).body)
    assert [event["sequence_number"] for event in events] == list(range(len(events)))
    assert told(events) == COUNTED


async def test_a_store_that_fails_for_a_while_loses_nothing(
    gateway: Served, store: Any, upstream: Upstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    upstream.script(SLOW)
    monkeypatch.setattr(store, "append", failing(store.append, 3))
    monkeypatch.setattr(store, "finish", failing(store.finish, 1))
    await it_is_told_whole(gateway)


async def test_a_batch_that_was_kept_although_the_store_failed_is_kept_once(
    gateway: Served, store: Any, upstream: Upstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, lost = store.append, [2]

    async def append(*args: Any) -> bool:
        kept = await real(*args)
        if lost[0]:
            lost[0] -= 1
            raise StoreError("The session store cannot be written: the connection was lost after the commit.")
        return kept

    upstream.script(SLOW)
    monkeypatch.setattr(store, "append", append)
    await it_is_told_whole(gateway)


# --- a client that goes while it begins


async def test_work_whose_client_went_while_it_began_is_still_told_to_be_alive(
    gateway: Served, store: Any, upstream: Upstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, beginning, gate = store.begin, asyncio.Event(), asyncio.Event()

    async def begin(*args: Any) -> None:
        beginning.set()
        await gate.wait()
        await real(*args)

    monkeypatch.setattr(store, "begin", begin)
    upstream.script(stall([text("one")], before_headers=False))
    asking = asyncio.create_task(gateway.create(background=True))
    await beginning.wait()
    asking.cancel()
    await until(asking.done)
    gate.set()
    await until(lambda: upstream.requests)
    [name] = gateway.gateway.running.responses
    monkeypatch.setattr(background, "STALE_S", -1)
    assert await background.reap(gateway.gateway) == 0
    assert (await gateway.ask("POST", f"/v1/responses/{name}/cancel")).json["status"] == "cancelled"


async def test_a_gateway_that_stops_while_work_begins_fails_it(
    serve: Serve, upstream: Upstream, store: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, beginning, gate = store.begin, asyncio.Event(), asyncio.Event()

    async def begin(*args: Any) -> None:
        beginning.set()
        await gate.wait()
        await real(*args)

    monkeypatch.setattr(store, "begin", begin)
    monkeypatch.setattr(listener, "DRAIN_S", 0.1)
    upstream.script(stall())
    gateway = await serve()
    asking = asyncio.create_task(begun(gateway))
    await beginning.wait()
    stopping = asyncio.create_task(gateway.listener.stop())
    [live] = gateway.gateway.watch.running()
    assert isinstance(live, LiveTurn)
    await until(lambda: live.stopped)
    gate.set()
    name = await asking
    await stopping
    assert json.loads(await store.resource(name, "") or b"")["status"] == "failed"
