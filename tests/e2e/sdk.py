"""What the tests with OpenAI's SDKs share: one gateway process before a scripted provider, for a whole file of tests."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.e2e.gateway_process import GatewayProcess
from tests.upstream import Answer, Upstream, call, finish, running_upstream, sse, text, usage

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


@contextlib.contextmanager
def served(folder: Path) -> Iterator[tuple[GatewayProcess, Upstream]]:
    """A gateway process before a scripted provider."""
    with running_upstream() as upstream, GatewayProcess(folder, upstream.base_url) as gateway:
        yield gateway, upstream


def say(*pieces: str) -> Answer:
    """An answer of plain text."""
    return sse([*map(text, pieces), finish(), usage(12, 5, cached=4, thought=2)])


def look(at: str, call_id: str = "call_1") -> Answer:
    """An answer that calls `look`, in pieces."""
    pieces = [call(0, call_id, "look", '{"at": '), call(0, arguments=f'"{at}"'), call(0, arguments="}")]
    return sse([*pieces, finish("tool_calls"), usage()])
