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

from codex_nexus.providers.catalogue import shipped
from codex_nexus.translate.dialect import Dialect
from tests.chat_rules import broken
from tests.driving import chat_of

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


def test_every_codex_request_is_legal_on_the_responses_wire() -> None:
    for scene, body in requests():
        sent = chat_of(body, Dialect(wire="responses"), "m")
        assert wrong_items(sent["input"]) == [], scene
        assert all(tool["type"] == "function" for tool in sent.get("tools", [])), scene


def wrong_items(items: list[Request]) -> list[str]:
    """What a server that knows only messages, reasoning and function calls would refuse."""
    found: list[str] = []
    waiting: list[str] = []
    for item in items:
        match item["type"]:
            case "function_call":
                waiting.append(item["call_id"])
                if not isinstance(json.loads(item["arguments"]), dict):
                    found.append(f"arguments of {item['call_id']} are no object")
            case "function_call_output":
                if item["call_id"] not in waiting:
                    found.append(f"{item['call_id']} was never called")
                waiting.remove(item["call_id"])
            case "message" | "reasoning":
                if waiting:
                    found.append(f"{item['type']} between {waiting} and the outputs")
            case kind:
                found.append(f"{kind} is unknown")
    return found + waiting
