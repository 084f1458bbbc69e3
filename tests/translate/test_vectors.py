"""Every vector, checked on what the client gets: events for streams, the request for requests, the kind for errors."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from typing import Any

import pytest
from tests import oracle, vectors
from tests.driving import answered, chat_of, opened, played
from tests.vectors import Call, ErrorVector, Reading, RequestVector, StreamVector

from codex_nexus.translate.chat_reader import ChatReader
from codex_nexus.translate.clients import CODEX, PLAIN, Client
from codex_nexus.translate.faults import Fault, classify
from codex_nexus.translate.sealed import unseal
from codex_nexus.wire.sse import SseDecoder

Cut = Callable[[bytes], list[bytes]]


def whole(data: bytes) -> list[bytes]:
    return [data]


def byte_by_byte(data: bytes) -> list[bytes]:
    return [data[n : n + 1] for n in range(len(data))]


def at_random(data: bytes) -> list[bytes]:
    cuts = sorted(random.sample(range(len(data) + 1), min(len(data), 12)))
    return [data[start:end] for start, end in zip([0, *cuts], [*cuts, len(data)], strict=True)]


def named(vector: Any) -> str:
    return vector.name


@pytest.mark.parametrize("cut", [whole, byte_by_byte, at_random], ids=lambda cut: cut.__name__)
@pytest.mark.parametrize("client", [PLAIN, CODEX], ids=lambda client: client.name)
@pytest.mark.parametrize("vector", vectors.streams(), ids=named)
def test_a_client_is_told_what_the_provider_said(vector: StreamVector, client: Client, cut: Cut) -> None:
    story = oracle.read(answered(cut(vector.upstream), client, vector.dialect))
    assert_told(story, vector.reading, client)


@pytest.mark.parametrize("vector", vectors.streams(), ids=named)
def test_the_kind_of_an_ending_is_known(vector: StreamVector) -> None:
    reader = ChatReader(vector.dialect)
    decoder = SseDecoder()
    for event, data in decoder.receive_data(vector.upstream) + decoder.close():
        reader.read(data, event)
    outcome = reader.outcome()
    ending = f"failed {outcome.kind}" if isinstance(outcome, Fault) else outcome
    assert ending == vector.reading.status.removeprefix("incomplete ")


@pytest.mark.parametrize("vector", vectors.streams(), ids=named)
def test_the_log_is_warned_of_what_looks_like_a_call(vector: StreamVector) -> None:
    turn = opened({"tools": [{"type": "function", "name": "f"}]})
    turn.to_chat(vector.dialect, "m")
    played(turn, [vector.upstream])
    assert turn.warnings == ((vector.reading.warn,) if vector.reading.warn else ())


@pytest.mark.parametrize("vector", vectors.errors(), ids=named)
def test_a_refusal_is_understood(vector: ErrorVector) -> None:
    fault = classify(
        vector.status,
        vector.body,
        headers=vector.headers,
        dialect=vector.dialect,
        nearly_full=vector.nearly_full,
    )
    assert (fault.kind, fault.heal, fault.retry_after) == (vector.kind, vector.heal, vector.retry_after)


@pytest.mark.parametrize("vector", vectors.requests(), ids=named)
def test_a_request_becomes_a_chat(vector: RequestVector) -> None:
    assert chat_of(vector.request, vector.dialect, vector.model) == vector.chat


@pytest.mark.parametrize("client", [PLAIN, CODEX], ids=lambda client: client.name)
@pytest.mark.parametrize("vector", [vector for vector in vectors.requests() if vector.reading], ids=named)
def test_an_answer_comes_back_in_the_words_of_its_request(vector: RequestVector, client: Client) -> None:
    turn = opened(vector.request, client)
    turn.to_chat(vector.dialect, vector.model)
    assert vector.reading is not None
    assert vector.upstream is not None
    assert_told(oracle.read(played(turn, byte_by_byte(vector.upstream))), vector.reading, client)


def assert_told(story: oracle.Story, reading: Reading, client: Client) -> None:
    assert ending_of(story) == expected_ending(reading, client)
    assert (story.text, story.refusal) == told_text(reading, client)
    assert reading.reasoning == (story.reasoning or story.summary)
    assert calls_of(story) == list(reading.calls)
    if reading.usage is None and not reading.status.startswith("failed"):
        assert (story.usage is not None) == client.estimates_usage
    else:
        assert usage_of(story) == reading.usage
    signed = [raw for blob in story.sealed if (found := unseal(blob, "reasoning")) for raw in found.signatures.values()]
    assert (reading.signature is not None) == bool(signed)
    assert all(reading.signature in bytes(raw).decode() for raw in signed if reading.signature)


def told_text(reading: Reading, client: Client) -> tuple[str, str]:
    """Text and refusal, as the client is told them."""
    return (reading.text + reading.refusal, "") if client.refusal_as_text else (reading.text, reading.refusal)


def ending_of(story: oracle.Story) -> tuple[str, str | None]:
    return story.status, story.reason or story.code


def expected_ending(reading: Reading, client: Client) -> tuple[str, str | None]:
    status, _, why = reading.status.partition(" ")
    if why == "content_filter" and client is CODEX:
        return "failed", "invalid_prompt"
    if status == "failed":
        return status, CODES[why]
    return status, why or None


CODES = {
    "server": "server_error",
    "truncated": "server_error",
    "empty": "server_error",
    "missing_tool_call": "server_error",
    "invalid_tool_call": "server_error",
    "context_length_exceeded": "context_length_exceeded",
    "rate_limit": "rate_limit_exceeded",
    "content_filter": "invalid_prompt",
}


def calls_of(story: oracle.Story) -> list[Call]:
    """Calls that a client may run; ids that we made show as `*`."""
    found: list[Call] = []
    for told in story.calls:
        if told.status != "completed":
            continue
        call_id = "*" if told.call_id.startswith("call_own") else told.call_id
        arguments = json.loads(told.arguments) if told.type == "function_call" else told.arguments
        found.append(Call(call_id, told.name, arguments, told.namespace, told.type == "custom_tool_call"))
    return found


def usage_of(story: oracle.Story) -> dict[str, int] | None:
    usage = story.usage
    if usage is None:
        return None
    return {
        "input": usage["input_tokens"],
        "output": usage["output_tokens"],
        "cached": usage["input_tokens_details"]["cached_tokens"],
        "reasoning": usage["output_tokens_details"]["reasoning_tokens"],
    }
