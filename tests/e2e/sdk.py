"""What the tests with OpenAI's SDKs share: one gateway process before a scripted provider, for a whole file of tests."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
from openai import AsyncOpenAI, OpenAI

from tests.e2e.gateway_process import GatewayProcess
from tests.upstream import Answer, Upstream, call, finish, running_upstream, sse, text, usage
from tests.waiting import PATIENCE

LOOK: dict[str, Any] = {
    "type": "function",
    "name": "look",
    "description": "Look at a place.",
    "parameters": {
        "type": "object",
        "properties": {"at": {"type": "string"}},
        "required": ["at"],
        "additionalProperties": False,
    },
    "strict": True,
}


World = tuple[GatewayProcess, Upstream]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """A gateway process before a scripted provider."""
    folder = tmp_path_factory.mktemp("sdk")
    with running_upstream() as scripted, GatewayProcess(folder, scripted.base_url) as gateway:
        yield gateway, scripted


@pytest.fixture
def upstream(world: World) -> Upstream:
    """The provider, with nothing asked yet."""
    world[1].requests.clear()
    return world[1]


@pytest.fixture
def client(world: World) -> Iterator[OpenAI]:
    """The SDK as a user makes it."""
    with OpenAI(base_url=world[0].base_url, api_key="sk-of-the-client", max_retries=0, timeout=PATIENCE) as made:
        yield made


@pytest.fixture
async def aclient(world: World) -> AsyncIterator[AsyncOpenAI]:
    """The same for asyncio."""
    async with AsyncOpenAI(
        base_url=world[0].base_url, api_key="sk-of-the-client", max_retries=0, timeout=PATIENCE
    ) as made:
        yield made


def say(*pieces: str) -> Answer:
    """An answer of plain text."""
    return sse([*map(text, pieces), finish(), usage(12, 5, cached=4, thought=2)])


def look(at: str, call_id: str = "call_1") -> Answer:
    """An answer that calls `look`, in pieces."""
    pieces = [call(0, call_id, "look", '{"at": '), call(0, arguments=f'"{at}"'), call(0, arguments="}")]
    return sse([*pieces, finish("tool_calls"), usage()])
