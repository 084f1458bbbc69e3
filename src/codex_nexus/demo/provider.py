"""A scripted Chat Completions provider on a free loopback port: it thinks, speaks, and calls tools."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Iterator
from typing import Any, Self

from aiohttp import web

MODEL = "demo-model"
COMMAND = "echo 'Codex ran this through Codex Nexus.' > nexus-demo.txt && cat nexus-demo.txt"
"""What the demo asks a real Codex to run."""

_PAUSE_S = 0.03
_THOUGHT = "The user wants to see the gateway at work. I will greet them, and mind that every script survives the way."
_GREETING = (
    "Hello! I am a scripted model behind Codex Nexus. 你好，世界！ こんにちは 👋🚀 Every word you see was streamed."
)
_FINAL = "Both cities are known now: it is 21 °C in Paris ☀️ and 17 °C in 北京 🌧️. The tool calls came back in order."
_DONE = "The command ran, and its output came back to me. Your Codex works with this gateway. ✅"

Piece = dict[str, Any]


class DemoProvider:
    """Use as an async context manager; `base_url` is its address."""

    base_url = ""

    def __init__(self) -> None:
        app = web.Application()
        app.router.add_post("/v1/chat/completions", _complete)
        app.router.add_get("/v1/models", _models)
        self._runner = web.AppRunner(app, access_log=None)

    async def __aenter__(self) -> Self:
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        self.base_url = f"http://127.0.0.1:{self._runner.addresses[0][1]}/v1"
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._runner.cleanup()


async def _models(_: web.Request) -> web.Response:
    return web.json_response({"object": "list", "data": [{"id": MODEL, "object": "model"}]})


async def _complete(request: web.Request) -> web.StreamResponse:
    asked = await request.json()
    response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
    await response.prepare(request)
    with contextlib.suppress(ConnectionError):  # the tour was stopped
        for chunk in _script(asked["messages"], [tool["function"]["name"] for tool in asked.get("tools", [])]):
            await response.write(b"data: " + json.dumps(chunk, ensure_ascii=False).encode() + b"\n\n")
            await asyncio.sleep(_PAUSE_S)
        await response.write(b"data: [DONE]\n\n")
    return response


def _script(messages: list[Piece], tools: list[str]) -> Iterator[Piece]:
    """The answer to a conversation: a greeting, calls of the offered tools, or what follows their results."""
    if messages[-1]["role"] == "tool":
        yield from _answer(_THOUGHT, _DONE if "exec_command" in tools else _FINAL)
    elif "get_weather" in tools:
        yield from _calls([("get_weather", {"city": "Paris"}), ("get_weather", {"city": "北京"})])
    elif "exec_command" in tools and "nexus-demo" in json.dumps(messages[-1]):
        yield from _calls([("exec_command", {"cmd": COMMAND})])
    else:
        yield from _answer(_THOUGHT, _GREETING)


def _answer(thought: str, text: str) -> Iterator[Piece]:
    for word in _words(thought):
        yield _chunk({"reasoning_content": word})
    for word in _words(text):
        yield _chunk({"content": word})
    yield _chunk({}, "stop")
    yield _usage(len(thought) + len(text), len(thought))


def _calls(calls: list[tuple[str, Piece]]) -> Iterator[Piece]:
    for word in _words("I need a tool for that."):
        yield _chunk({"reasoning_content": word})
    for index, (name, arguments) in enumerate(calls):
        head = {"index": index, "id": f"call_demo_{index}", "type": "function"}
        yield _chunk({"tool_calls": [{**head, "function": {"name": name, "arguments": ""}}]})
        for piece in _words(json.dumps(arguments, ensure_ascii=False)):
            yield _chunk({"tool_calls": [{"index": index, "function": {"arguments": piece}}]})
    yield _chunk({}, "tool_calls")
    yield _usage(40, 10)


def _words(text: str) -> list[str]:
    """Pieces of a few characters, as tokens are."""
    return [text[at : at + 4] for at in range(0, len(text), 4)]


def _chunk(delta: Piece, finish: str | None = None) -> Piece:
    return {
        "id": "chatcmpl-demo",
        "object": "chat.completion.chunk",
        "created": 0,
        "model": MODEL,
        "choices": [{"index": 0, "delta": delta, "finish_reason": finish}],
    }


def _usage(output: int, reasoning: int) -> Piece:
    counts = {"prompt_tokens": 120, "completion_tokens": output, "total_tokens": 120 + output}
    details = {"completion_tokens_details": {"reasoning_tokens": reasoning}}
    return {"object": "chat.completion.chunk", "model": MODEL, "choices": [], "usage": counts | details}
