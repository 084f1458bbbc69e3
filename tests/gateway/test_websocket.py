"""`GET /responses` as a WebSocket: the same turns in frames, lanes side by side, a memory of its own."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pytest

from codex_nexus.gateway import websocket
from codex_nexus.service import listener
from tests import oracle
from tests.gateway.conftest import Serve
from tests.oracle import Story
from tests.serving import CODEX, Served, let_go
from tests.upstream import Recorded, Upstream, call, cut, finish, gated, sse, stall, status, text, usage
from tests.waiting import PATIENCE, until

HELLO = sse([text("Hel"), text("lo"), finish(), usage(12, 5)])
ENDINGS = ("response.completed", "response.incomplete", "response.failed", "error")
LOOK = {"type": "function", "name": "look", "parameters": {"type": "object", "properties": {}}}


class Talk:
    """One connection as a client has it."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self.socket = socket

    async def send(self, **fields: Any) -> None:
        """A frame `response.create`."""
        body = {"type": "response.create", "model": "gpt-5", "input": "hi"} | fields
        await self.socket.send_str(json.dumps(body))

    async def frame(self) -> dict[str, Any]:
        """The next frame."""
        return json.loads(await self.socket.receive_str(timeout=PATIENCE))

    async def frames(self) -> list[dict[str, Any]]:
        """The frames up to an ending."""
        found = [await self.frame()]
        while not (
            found[-1]["type"] in ENDINGS and not (found[-1]["type"] == "error" and "sequence_number" in found[-1])
        ):
            found.append(await self.frame())
        return found

    async def story(self) -> Story:
        """The next turn, read and checked as a stream would be."""
        return story(await self.frames())

    async def error(self) -> dict[str, Any]:
        """The next frame, which must be an error."""
        frame = await self.frame()
        assert frame["type"] == "error"
        assert frame["error"].keys() == {"type", "code", "message", "param"}
        return frame


def story(frames: list[dict[str, Any]]) -> Story:
    """The story of these frames."""
    records = [f"event: {frame['type']}\ndata: {json.dumps(frame)}\n\n" for frame in frames]
    return oracle.read(("".join(records) + "data: [DONE]\n\n").encode())


@asynccontextmanager
async def connected(
    gateway: Served, headers: dict[str, str] | None = None, path: str = "/v1/responses"
) -> AsyncIterator[Talk]:
    """A connection."""
    async with gateway.client.ws_connect(gateway.url + path, headers=headers) as socket:
        yield Talk(socket)


@pytest.fixture
async def talk(gateway: Served) -> AsyncIterator[Talk]:
    """A connection to the gateway."""
    async with connected(gateway) as made:
        yield made


# --- turns


@pytest.mark.parametrize("path", ["/v1/responses", "/responses"])
@pytest.mark.parametrize("headers", [{}, CODEX | {"openai-beta": "responses_websockets=2026-02-06"}])
async def test_a_turn(gateway: Served, upstream: Upstream, path: str, headers: dict[str, str]) -> None:
    upstream.script(HELLO)
    async with connected(gateway, headers, path) as talk:
        await talk.send(input="greet me")
        told = await talk.story()
    assert (told.status, told.text, told.response["model"]) == ("completed", "Hello", "gpt-5")
    assert upstream.requests[0].json["messages"][-1]["content"] == "greet me"


async def test_many_turns_on_one_connection(talk: Talk, upstream: Upstream) -> None:
    upstream.script(HELLO)
    for _ in range(5):
        await talk.send()
        told = await talk.story()  # sequence numbers begin anew
        assert told.text == "Hello"


async def test_a_frame_may_be_binary(talk: Talk, upstream: Upstream) -> None:
    upstream.script(HELLO)
    await talk.socket.send_bytes(json.dumps({"type": "response.create", "model": "m", "input": "hé"}).encode())
    assert (await talk.story()).text == "Hello"


async def test_half_an_emoji_is_no_reason_to_refuse_a_frame(talk: Talk, upstream: Upstream) -> None:
    upstream.script(HELLO)
    await talk.socket.send_str('{"type": "response.create", "model": "m", "input": "a \\ud83d b"}')
    assert (await talk.story()).text == "Hello"


async def test_a_failure_inside_a_turn_is_told_by_its_events(talk: Talk, upstream: Upstream) -> None:
    upstream.script(cut([text("Once")]), HELLO)
    await talk.send()
    told = await talk.story()
    assert (told.status, told.code, told.text) == ("failed", "server_error", "Once")
    await talk.send()
    assert (await talk.story()).text == "Hello"


# --- what is wrong


@pytest.mark.parametrize(
    ("frame", "param", "code"),
    [
        ("{", None, "invalid_json"),
        ("[]", None, None),
        ("{}", "type", None),
        ('{"type": "response.unknown"}', "type", None),
        ('{"type": 5}', "type", "invalid_type"),
        ('{"type": "response.create", "stream_id": 5}', "stream_id", "invalid_type"),
        ('{"type": "response.create", "model": "m", "input": "x", "background": true}', "background", "invalid_value"),
        ('{"type": "response.create", "input": "hi"}', "model", "missing_required_parameter"),
        ('{"type": "response.create", "model": "m"}', "input", "missing_required_parameter"),
        ('{"type": "response.create", "model": "m", "input": 5}', "input", "invalid_type"),
        (
            '{"type": "response.create", "model": "m", "input": "x", "previous_response_id": "resp_none"}',
            "previous_response_id",
            "previous_response_not_found",
        ),
    ],
)
async def test_a_wrong_frame_is_told_and_the_connection_stays(
    talk: Talk, upstream: Upstream, frame: str, param: str | None, code: str | None
) -> None:
    upstream.script(HELLO)
    await talk.socket.send_str(frame)
    told = await talk.error()
    assert told["status"] == 400
    assert told["error"]["param"] == param
    assert code is None or told["error"]["code"] == code
    await talk.send()
    assert (await talk.story()).text == "Hello"


@pytest.mark.parametrize(
    ("headers", "http", "code"), [({}, 401, "invalid_api_key"), (CODEX, 400, "invalid_prompt")], ids=["plain", "codex"]
)
async def test_a_refusal_is_told_in_the_clients_terms(
    gateway: Served, upstream: Upstream, headers: dict[str, str], http: int, code: str
) -> None:
    upstream.script(status(401, {"error": {"message": "no such key"}}))
    async with connected(gateway, headers) as talk:
        await talk.send()
        told = await talk.error()
    assert (told["status"], told["error"]["code"]) == (http, code)
    assert "no such key" in told["error"]["message"]


async def test_what_codex_says_besides_is_understood(talk: Talk, upstream: Upstream) -> None:
    upstream.script(HELLO)
    await talk.socket.send_str('{"type": "response.processed", "response_id": "resp_1"}')
    await talk.socket.send_str('{"type": "response.steer", "previous_response_id": "resp_1", "input": "no"}')
    steer = await talk.frame()
    assert (steer["type"], steer["error"]["code"]) == ("response.steer.failed", "steering_not_supported")
    await talk.send()
    assert (await talk.story()).text == "Hello"


# --- the memory of a connection


def said(request: Recorded) -> list[Any]:
    """What the messages of a request say."""
    return [message["content"] for message in request.json["messages"]]


async def test_a_turn_that_is_not_stored_can_be_continued_here(gateway: Served, upstream: Upstream) -> None:
    upstream.script(HELLO)
    async with connected(gateway) as talk:
        await talk.send(input="first", store=False)
        first = (await talk.story()).response["id"]
        await talk.send(input="second", store=False, previous_response_id=first)
        second = (await talk.story()).response["id"]
        await talk.send(input="third", store=False, previous_response_id=second)
        await talk.story()
        assert said(upstream.requests[2]) == ["first", "Hello", "second", "Hello", "third"]
    async with connected(gateway) as talk:
        await talk.send(previous_response_id=first)
        assert (await talk.error())["error"]["code"] == "previous_response_not_found"


async def test_a_stored_turn_can_be_continued_anywhere(gateway: Served, talk: Talk, upstream: Upstream) -> None:
    upstream.script(HELLO)
    made = (await gateway.create(input="first")).json["id"]
    await talk.send(input="second", previous_response_id=made)
    second = (await talk.story()).response["id"]
    assert (await gateway.create(input="third", previous_response_id=second)).status == 200
    assert said(upstream.requests[2]) == ["first", "Hello", "second", "Hello", "third"]


async def test_a_warm_up_asks_no_model_and_can_be_built_on(talk: Talk, upstream: Upstream) -> None:
    upstream.script(HELLO)
    await talk.send(generate=False, store=False, input=[{"role": "user", "content": "warm"}], tools=[LOOK])
    warm = await talk.story()
    assert (warm.status, warm.output) == ("completed", [])
    assert upstream.requests == []
    await talk.send(input="now", store=False, previous_response_id=warm.response["id"])
    assert (await talk.story()).text == "Hello"
    assert said(upstream.requests[0]) == ["warm", "now"]


async def test_a_call_and_its_result(talk: Talk, upstream: Upstream) -> None:
    upstream.script(sse([call(0, "c1", "look", "{}"), finish("tool_calls")]), HELLO)
    await talk.send(store=False, tools=[LOOK])
    first = await talk.story()
    result = {"type": "function_call_output", "call_id": "c1", "output": "seen"}
    await talk.send(store=False, tools=[LOOK], input=[result], previous_response_id=first.response["id"])
    assert (await talk.story()).text == "Hello"
    assert [message["role"] for message in upstream.requests[1].json["messages"]] == ["user", "assistant", "tool"]


async def test_a_turn_that_failed_forgets_the_one_that_it_built_on(talk: Talk, upstream: Upstream) -> None:
    upstream.script(HELLO, status(400, {"error": {"message": "bad"}}), HELLO)
    await talk.send(store=False)
    first = (await talk.story()).response["id"]
    await talk.send(store=False, previous_response_id=first)
    assert (await talk.error())["status"] == 400
    await talk.send(store=False, previous_response_id=first)
    assert (await talk.error())["error"]["code"] == "previous_response_not_found"


async def test_the_memory_is_bounded(talk: Talk, upstream: Upstream, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(websocket, "_REMEMBERED", 2)
    upstream.script(HELLO)
    made: list[str] = []
    for _ in range(3):
        await talk.send(store=False)
        made.append((await talk.story()).response["id"])
    await talk.send(store=False, previous_response_id=made[0])
    assert (await talk.error())["error"]["code"] == "previous_response_not_found"
    await talk.send(store=False, previous_response_id=made[2])
    assert (await talk.story()).status == "completed"


# --- lanes


async def test_lanes_run_side_by_side_and_keep_their_order(talk: Talk, upstream: Upstream) -> None:
    gate = asyncio.Event()

    def answer(request: Recorded) -> Any:
        word = request.json["messages"][-1]["content"]
        said = sse([text(word), finish()])
        return gated(gate, said) if word.startswith("slow") else said

    upstream.script(answer)
    await talk.send(stream_id="a", input="slow-1")
    await talk.send(stream_id="a", input="slow-2")
    await talk.send(stream_id="b", input="quick")
    lanes: dict[str, list[Any]] = {"a": [], "b": []}
    ends: list[str] = []
    while len(ends) < 3:
        frame = await talk.frame()
        lanes[frame.pop("stream_id")].append(frame)
        if frame["type"] == "response.completed":
            ends.append(frame["response"]["output"][0]["content"][0]["text"])
            gate.set()
    assert ends == ["quick", "slow-1", "slow-2"]
    assert story(lanes["b"]).text == "quick"
    half = next(n for n, frame in enumerate(lanes["a"]) if frame["type"] == "response.completed") + 1
    assert [story(lanes["a"][:half]).text, story(lanes["a"][half:]).text] == ["slow-1", "slow-2"]


async def test_an_error_belongs_to_its_lane(talk: Talk) -> None:
    await talk.send(stream_id="a", previous_response_id="resp_none")
    assert (await talk.error())["stream_id"] == "a"


async def test_a_lane_that_is_done_makes_room_for_another(
    talk: Talk, upstream: Upstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(websocket, "_LANES", 1)
    upstream.script(HELLO)
    for lane in ("a", "b", "a", None):
        await talk.send(stream_id=lane)
        last: dict[str, Any] = {"type": ""}
        while not last["type"].startswith(("response.completed", "error")):
            last = await talk.frame()
        assert (last["type"], last.get("stream_id")) == ("response.completed", lane)


async def test_there_are_not_too_many_lanes(talk: Talk, upstream: Upstream, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(websocket, "_LANES", 2)
    upstream.script(stall())
    for lane in ("a", "b", "c"):
        await talk.send(stream_id=lane)
    told = await talk.error()
    assert (told["stream_id"], told["error"]["param"]) == ("c", "stream_id")


# --- who may, and how it ends


async def test_a_page_of_another_site_may_not_connect(gateway: Served) -> None:
    with pytest.raises(aiohttp.WSServerHandshakeError) as caught:
        async with connected(gateway, {"Origin": "https://evil.example"}):
            pass
    assert caught.value.status == 403


async def test_a_stranger_may_not_connect(serve: Serve) -> None:
    gateway = await serve(access_token="nexus-token")
    proxied = {"X-Forwarded-For": "203.0.113.7"}
    with pytest.raises(aiohttp.WSServerHandshakeError) as caught:
        async with connected(gateway, proxied):
            pass
    assert caught.value.status == 401
    async with connected(gateway, proxied | {"Authorization": "Bearer nexus-token"}) as talk:
        await talk.send(model=None)
        assert (await talk.error())["error"]["param"] == "model"


async def test_a_get_without_an_upgrade_is_told_the_right_method(gateway: Served) -> None:
    reply = await gateway.get("/v1/responses")
    assert (reply.status, reply.headers["Allow"]) == (405, "POST, HEAD")


async def test_a_frame_above_the_limit_ends_the_connection(serve: Serve) -> None:
    gateway = await serve(body_limit_mb=1)
    async with connected(gateway) as talk:
        await talk.send(input="x" * (1 << 20))
        message = await talk.socket.receive(timeout=PATIENCE)
        assert message.type in (aiohttp.WSMsgType.CLOSE, aiohttp.WSMsgType.CLOSED, aiohttp.WSMsgType.ERROR)


@pytest.mark.parametrize(
    "answer",
    [stall(), stall([text("a")], before_headers=False), sse([text("word ")] * 10_000, pause=0.01)],
    ids=["before the answer", "silent", "flowing"],
)
async def test_upstream_is_let_go_when_the_client_goes(gateway: Served, upstream: Upstream, answer: Any) -> None:
    upstream.script(answer)
    async with connected(gateway) as talk:
        await talk.send()
        await until(lambda: upstream.requests)
    await let_go(upstream)
    await until(lambda: not len(gateway.gateway.watch))


async def test_an_old_connection_is_closed_with_a_word(gateway: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(websocket, "_LONGEST_S", 0.1)
    async with connected(gateway) as talk:
        assert (await talk.error())["error"]["code"] == "websocket_connection_limit_reached"
        assert (await talk.socket.receive(timeout=PATIENCE)).type is aiohttp.WSMsgType.CLOSE


async def test_the_end_of_the_gateway_ends_a_turn_properly(
    gateway: Served, upstream: Upstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listener, "DRAIN_S", 0.1)
    upstream.script(stall([text("Once")], before_headers=False))
    async with connected(gateway) as talk:
        await talk.send()
        said = [await talk.frame()]
        while said[-1]["type"] != "response.output_text.delta":
            said.append(await talk.frame())
        stopping = asyncio.ensure_future(gateway.listener.stop())
        told = story([*said, *await talk.frames()])
        assert (told.status, told.text) == ("failed", "Once")
        message = await talk.socket.receive(timeout=PATIENCE)
        await stopping
    assert (message.type, message.data) == (aiohttp.WSMsgType.CLOSE, aiohttp.WSCloseCode.GOING_AWAY)


async def test_an_idle_connection_does_not_hold_up_the_end_of_the_gateway(
    gateway: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listener, "DRAIN_S", 2 * PATIENCE)
    async with connected(gateway) as talk, asyncio.timeout(PATIENCE):
        await asyncio.gather(gateway.listener.stop(), talk.socket.receive(timeout=PATIENCE))
