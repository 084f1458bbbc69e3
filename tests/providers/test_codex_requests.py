"""Every request shape that Codex 0.169 sends, in the words of every provider record: nothing to refuse is found.

`tests/vectors/codex_requests.json` holds the shapes (items, tools and schemas as observed; texts are placeholders).
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from codex_nexus.providers.catalogue import merged, read, shipped
from codex_nexus.translate.dialect import Dialect
from tests.chat_rules import NAME, broken
from tests.driving import chat_of
from tests.schema_rules import schema_faults

Request = dict[str, Any]

_FILE = json.loads((Path(__file__).parents[1] / "vectors" / "codex_requests.json").read_text("utf-8"))
PROVIDERS = sorted(shipped().providers)


def requests() -> Iterator[tuple[str, Request]]:
    """Scene and body, with the shared tool declarations put in."""
    tools = _FILE["tools"]
    for shape in _FILE["requests"]:
        body = {name: value for name, value in shape.items() if name != "scene"}
        if "tools" in body:
            body["tools"] = [tools[name] for name in body["tools"]]
        body["input"] = [
            {**item, "tools": [tools[name] for name in item["tools"]]} if "tools" in item else item
            for item in body["input"]
        ]
        yield shape["scene"], body


def dialects(provider_id: str) -> Iterator[tuple[str, Dialect]]:
    """Each of the provider's models and how it speaks."""
    catalogue = shipped()
    models = [model.id for model in catalogue.providers[provider_id].models] or ["some-model"]
    for model in models:
        yield model, catalogue.dialect(provider_id, model)


@pytest.mark.parametrize("provider_id", PROVIDERS)
def test_every_codex_request_is_legal_for(provider_id: str) -> None:
    for model, dialect in dialects(provider_id):
        chat = msgspec.structs.replace(dialect, wire="chat")
        for scene, body in requests():
            assert broken(chat_of(body, chat, model), chat) == [], (model, scene)


@pytest.mark.parametrize("provider_id", PROVIDERS)
def test_every_codex_request_is_legal_on_the_responses_wire_of(provider_id: str) -> None:
    user = {"providers": [{"id": provider_id, "dialect": {"wire": "responses"}}]}
    catalogue = merged(shipped(), read(json.dumps(user).encode(), "user.json"))
    for model, _ in dialects(provider_id):
        dialect = catalogue.dialect(provider_id, model)
        for scene, body in requests():
            assert refused(chat_of(body, dialect, model), dialect) == [], (model, scene)


_KNOWN = {
    "model", "input", "instructions", "tools", "tool_choice", "parallel_tool_calls", "stream", "store", "temperature",
    "top_p", "max_output_tokens", "reasoning", "text", "prompt_cache_key",
}  # fmt: skip
_PARTS = {"user": {"input_text", "input_image"}, "system": {"input_text"}, "assistant": {"output_text"}}


def refused(sent: Request, dialect: Dialect) -> list[str]:
    """What the pickiest native `/responses` would not take."""
    found = [f"fields {sent.keys() - _KNOWN}"] if sent.keys() - _KNOWN - dialect.extra_body.keys() else []
    if sent["store"] is not False or sent["stream"] is not True:
        found.append("state at the provider, or no stream")
    for tool in sent.get("tools", []):
        if tool["type"] != "function" or tool.keys() - {"type", "name", "description", "parameters", "strict"}:
            found.append(f"the tool {tool}")
        found += schema_faults(tool["parameters"], dialect.json_schema)
    choice = sent.get("tool_choice", "auto")
    if not isinstance(choice, str) and choice.keys() != {"type", "name"}:
        found.append(f"tool_choice {choice}")
    return found + wrong_items(sent["input"])


def wrong_items(items: list[Request]) -> list[str]:
    """What a server that knows only messages, reasoning and function calls would refuse."""
    found: list[str] = []
    waiting: list[str] = []
    for item in items:
        match item["type"]:
            case "function_call":
                waiting.append(item["call_id"])
                found += _wrong_call(item)
            case "function_call_output":
                if item["call_id"] not in waiting:
                    found.append(f"{item['call_id']} was never called")
                waiting = [call_id for call_id in waiting if call_id != item["call_id"]]
                if not isinstance(item["output"], str):
                    found += _wrong_parts(item["output"], _PARTS["user"])
            case "message":
                found += _wrong_parts(item["content"], _PARTS[item["role"]])
                found += [f"a message between {waiting} and the outputs"] if waiting else []
            case "reasoning":
                if waiting or not (item.get("content") or item.get("encrypted_content")) or "summary" not in item:
                    found.append(f"{item} behind {waiting}")
            case kind:
                found.append(f"{kind} is unknown")
        if "id" in item or "status" in item:
            found.append(f"{item['type']} has an id or a status of somebody else")
    return found + waiting


def _wrong_call(item: Request) -> list[str]:
    fields = item.keys() - {"type", "call_id", "name", "arguments"}
    legal = NAME.fullmatch(item["name"]) and isinstance(json.loads(item["arguments"]), dict)
    return [] if legal and not fields else [f"the call {item}"]


def _wrong_parts(parts: list[Request], kinds: set[str]) -> list[str]:
    found = [f"a part of type {part['type']}" for part in parts if part["type"] not in kinds]
    return found if parts else ["no parts"]


USER = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "go"}]}
CALL = {"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"}
OUTPUT = {"type": "function_call_output", "call_id": "c", "output": "x"}
THOUGHT = {"type": "reasoning", "summary": [], "content": [{"type": "reasoning_text", "text": "hm"}]}
LEGAL: Request = {"model": "m", "stream": True, "store": False, "input": [USER, THOUGHT, CALL, OUTPUT]}
SCHEMA = {"type": "object", "properties": {}}


def test_a_legal_request_is_not_refused() -> None:
    tool = {"type": "function", "name": "f", "parameters": SCHEMA}
    shown = OUTPUT | {"output": [{"type": "input_image", "image_url": "data:,"}]}
    assert refused(LEGAL | {"tools": [tool], "input": [USER, CALL, shown]}, Dialect()) == []


@pytest.mark.parametrize(
    "fields",
    [
        {"store": True},
        {"metadata": {}},
        {"tools": [{"type": "custom", "name": "f", "parameters": SCHEMA}]},
        {"tools": [{"type": "function", "name": "f", "parameters": {}}]},
        {"tool_choice": {"type": "allowed_tools", "tools": []}},
        {"input": [USER | {"id": "msg_1"}]},
        {"input": [USER | {"content": []}]},
        {"input": [USER | {"content": [{"type": "output_text", "text": "x"}]}]},
        {"input": [CALL]},
        {"input": [CALL | {"namespace": "n"}, OUTPUT]},
        {"input": [CALL | {"name": "a b"}, OUTPUT]},
        {"input": [CALL | {"arguments": "[]"}, OUTPUT]},
        {"input": [CALL, USER, OUTPUT]},
        {"input": [CALL, THOUGHT, OUTPUT]},
        {"input": [CALL, OUTPUT | {"output": [{"type": "output_text", "text": "x"}]}]},
        {"input": [THOUGHT | {"content": None}]},
        {"input": [{"type": "agent_message", "content": []}]},
    ],
)
def test_what_the_pickiest_would_refuse_is_noticed(fields: Request) -> None:
    assert refused(LEGAL | fields, Dialect()) != []
