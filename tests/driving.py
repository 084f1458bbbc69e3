"""Drives a turn of the pure core as a gateway would, without any input or output: pieces in, the client's bytes out."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Iterable
from typing import Any

from codex_nexus.translate.clients import CODEX, PLAIN, Client
from codex_nexus.translate.dialect import DEFAULT, Dialect
from codex_nexus.translate.turn import Turn, open_turn
from codex_nexus.wire.create import decode_create
from codex_nexus.wire.events import EventEncoder

NOW = 1_700_000_000
CLIENTS = (PLAIN, CODEX)
ASKED: dict[str, Any] = {"model": "gpt-x", "input": "hi"}


def counted_ids() -> Callable[[str], str]:
    """Ids that are counted up: `msg_own1`, `fc_own2`."""
    numbers = itertools.count(1)
    return lambda prefix: f"{prefix}_own{next(numbers)}"


def opened(request: dict[str, Any] | None = None, client: Client = PLAIN) -> Turn:
    """A turn for a request."""
    create = decode_create(json.dumps(ASKED | (request or {})).encode(), chained=True)
    return open_turn(create, [], client, counted_ids(), NOW)


def chat_of(request: dict[str, Any], dialect: Dialect = DEFAULT, model: str = "m") -> dict[str, Any]:
    """The Chat request that a Responses request becomes, mended wherever that can be done."""
    return json.loads(opened(request, CODEX).to_chat(dialect, model))


def played(turn: Turn, pieces: Iterable[bytes]) -> bytes:
    """What the client gets when the upstream sends these pieces and ends."""
    encoder = EventEncoder()
    stream = encoder.sse(turn.start())
    for piece in pieces:
        stream += encoder.sse(turn.receive_data(piece, NOW + 1))
    return stream + encoder.sse(turn.close(NOW + 1))


def answered(
    pieces: Iterable[bytes],
    client: Client = PLAIN,
    dialect: Dialect = DEFAULT,
    request: dict[str, Any] | None = None,
) -> bytes:
    """What the client gets for an answer to a request."""
    turn = opened(request, client)
    turn.to_chat(dialect, "m")
    return played(turn, pieces)


def chunks(*deltas: dict[str, Any], finish: str | None = "stop", usage: dict[str, int] | None = None) -> bytes:
    """An ordinary answer: these deltas, a finish_reason, perhaps usage, `[DONE]`."""
    choices = [{"index": 0, "delta": delta} for delta in deltas]
    if finish is not None:
        choices.append({"index": 0, "delta": {}, "finish_reason": finish})
    said: list[dict[str, Any]] = [{"choices": [choice]} for choice in choices]
    if usage is not None:
        said.append({"choices": [], "usage": usage})
    return b"".join(b"data: " + json.dumps(chunk).encode() + b"\n\n" for chunk in said) + b"data: [DONE]\n\n"


def call(name: str, arguments: str = "{}", call_id: str = "c1", index: int = 0) -> dict[str, Any]:
    """A delta that holds a whole call."""
    function = {"name": name, "arguments": arguments}
    return {"tool_calls": [{"index": index, "id": call_id, "type": "function", "function": function}]}
