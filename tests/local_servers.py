"""Servers of the kinds that run on a user's machine: fixed JSON at fixed paths, on a free loopback port."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from types import TracebackType
from typing import Any, Self

from aiohttp import web

Pages = dict[str, Any]
"""`GET /path` or `POST /path` -> what is answered, or a function of the decoded body; an int is a bare status, a text
a web page."""


class LocalServer:
    """`asked` holds method, path and body of every request, in order, `keys` their Authorization headers."""

    def __init__(self, pages: Pages, delay_s: float = 0.0) -> None:
        self.pages = pages
        self.asked: list[tuple[str, str, Any]] = []
        self.keys: list[str] = []
        self._delay_s = delay_s
        self._runner: web.AppRunner | None = None
        self.port = 0

    @property
    def base_url(self) -> str:
        """Its API."""
        return f"http://127.0.0.1:{self.port}/v1"

    async def __aenter__(self) -> Self:
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", self._answer)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        self.port = self._runner.addresses[0][1]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._runner is not None:
            await self._runner.cleanup()

    async def _answer(self, request: web.Request) -> web.Response:
        body = await request.read()
        asked = json.loads(body) if body else None
        self.asked.append((request.method, request.path, asked))
        self.keys.append(request.headers.get("Authorization", ""))
        await asyncio.sleep(self._delay_s)
        page = self.pages.get(f"{request.method} {request.path}", 404)
        if isinstance(page, Callable):
            page = page(asked)
        if isinstance(page, int):
            return web.json_response({"error": {"message": "no"}}, status=page)
        if isinstance(page, str):
            return web.Response(text=page, content_type="text/html")
        return web.json_response(page)


def listed(*ids: str, owned_by: str = "", **fields: Any) -> Any:
    """A model list in OpenAI's shape."""
    return {"object": "list", "data": [{"id": name, "object": "model", "owned_by": owned_by, **fields} for name in ids]}


OLLAMA: Pages = {
    "GET /v1/models": listed("gemma3:4b", "qwen3:8b", "llava:7b", owned_by="library"),
    "GET /api/ps": {"models": [{"name": "gemma3:4b", "model": "gemma3:4b", "context_length": 8192}]},
    "POST /api/show": lambda asked: {
        "gemma3:4b": {
            "parameters": 'stop "<end>"\nnum_ctx 2048',
            "model_info": {"general.architecture": "gemma3", "gemma3.context_length": 131072},
            "capabilities": ["completion", "vision"],
        },
        "qwen3:8b": {
            "parameters": "temperature 0.6\nnum_ctx                        32768",
            "model_info": {"qwen3.context_length": 40960},
            "capabilities": ["completion", "tools"],
        },
    }.get(asked["model"], {"model_info": {"llama.context_length": 4096, "llama.vision": 7}}),
}
LMSTUDIO: Pages = {
    "GET /v1/models": listed("qwen/qwen3-4b", "gemma-3", "old", owned_by="organization_owner"),
    "GET /api/v1/models": {
        "models": [
            {
                "key": "qwen/qwen3-4b",
                "max_context_length": 262144,
                "loaded_instances": [{"id": "qwen/qwen3-4b", "config": {"context_length": 16384}}],
                "capabilities": {"vision": False, "trained_for_tool_use": True},
            },
            {
                "key": "gemma-3",
                "max_context_length": 131072,
                "loaded_instances": [],
                "capabilities": {"vision": True},
            },
        ]
    },
    "GET /api/v0/models": {"data": [{"id": "old", "type": "llm", "loaded_context_length": 4096}]},
}
LLAMACPP: Pages = {
    "GET /v1/models": listed("reciter", owned_by="llamacpp", meta={"n_ctx_train": 131072}),
    "GET /props": {"default_generation_settings": {"n_ctx": 40960}, "modalities": {"vision": False}},
}
VLLM: Pages = {"GET /v1/models": listed("coder", owned_by="vllm", max_model_len=65536)}
SGLANG: Pages = {
    "GET /v1/models": listed("moe", owned_by="sglang", max_model_len=32768),
    "GET /get_server_info": {"model_path": "moe", "context_length": 16384, "max_total_num_tokens": 90000},
    "GET /model_info": {"model_path": "moe", "is_generation": True, "has_image_understanding": True},
}
