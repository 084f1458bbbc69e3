from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest

from codex_nexus.translate.outputs import CallBuilder, MessageBuilder, ReasoningBuilder
from codex_nexus.translate.tools import DeclaredTool
from codex_nexus.wire.events import Event
from codex_nexus.wire.items import ItemStatus, OutputItem

FUNCTION = DeclaredTool("function", "f")
EXEC = DeclaredTool("custom", "exec", "ns")
PATCH = DeclaredTool("custom", "apply_patch", grammar="*** Begin Patch")
SEARCH = DeclaredTool("tool_search", "tool_search")


def told(events: list[Event]) -> list[tuple[str, Any]]:
    """Each event by its last words, and what it adds."""
    found: list[tuple[str, Any]] = []
    for event in events:
        said = json.loads(msgspec.json.encode(event))
        kind = said["type"].removeprefix("response.")
        value = next((said[name] for name in ("delta", "text", "refusal", "arguments", "input") if name in said), None)
        found.append((kind, value))
    return found


def item_of(item: OutputItem) -> dict[str, Any]:
    return json.loads(msgspec.json.encode(item))


# --- messages


def test_a_message_is_told_piece_by_piece_and_then_whole() -> None:
    message = MessageBuilder("msg_1", 0)
    events = message.open() + message.append_text("a") + message.append_text("b")
    closing, item = message.close("completed")
    assert told(events + closing) == [
        ("output_item.added", None),
        ("content_part.added", None),
        ("output_text.delta", "a"),
        ("output_text.delta", "b"),
        ("output_text.done", "ab"),
        ("content_part.done", None),
        ("output_item.done", None),
    ]
    assert item_of(item) == {
        "type": "message",
        "id": "msg_1",
        "status": "completed",
        "role": "assistant",
        "content": [{"type": "output_text", "text": "ab", "annotations": [], "logprobs": []}],
    }


def test_text_and_refusal_are_parts_one_after_another() -> None:
    message = MessageBuilder("msg_1", 0)
    events = message.append_text("a") + message.append_refusal("b") + message.append_refusal("c")
    events += message.append_text("d")
    closing, item = message.close("incomplete")
    assert [value for kind, value in told(events + closing) if kind.endswith("delta")] == ["a", "b", "c", "d"]
    assert [part.get("text", part.get("refusal")) for part in item_of(item)["content"]] == ["a", "bc", "d"]
    assert item_of(item)["status"] == "incomplete"


def test_a_message_without_words_has_no_parts() -> None:
    closing, item = MessageBuilder("msg_1", 0).close("completed")
    assert told(closing) == [("output_item.done", None)]
    assert item_of(item)["content"] == []


# --- reasoning


CONTENT = "content_part.added reasoning_text.delta reasoning_text.delta reasoning_text.done content_part.done"
SUMMARY = "part.added text.delta text.delta text.done part.done"
SUMMARY_AT_ONCE = "part.added text.delta text.done part.done"


def summary_events(kinds: str) -> list[str]:
    return [f"reasoning_summary_{kind}" for kind in kinds.split()]


@pytest.mark.parametrize(
    ("content", "summary", "kinds"),
    [
        (True, False, CONTENT.split()),
        (False, True, summary_events(SUMMARY)),
        (True, True, CONTENT.split() + summary_events(SUMMARY_AT_ONCE)),
    ],
)
def test_reasoning_is_told_as_content_as_summary_or_as_both(content: bool, summary: bool, kinds: list[str]) -> None:
    reasoning = ReasoningBuilder("rs_1", 0, content=content, summary=summary)
    events = reasoning.open() + reasoning.append("a") + reasoning.append("b")
    closing, item = reasoning.close("completed", None)
    assert [kind for kind, _ in told(events + closing)] == ["output_item.added", *kinds, "output_item.done"]
    assert reasoning.text == "ab"
    done = item_of(item)
    assert done.get("content") == ([{"type": "reasoning_text", "text": "ab"}] if content else None)
    assert done["summary"] == ([{"type": "summary_text", "text": "ab"}] if summary else [])
    assert "encrypted_content" not in done


@pytest.mark.parametrize("content", [True, False])
def test_reasoning_without_words_carries_only_its_seal(content: bool) -> None:
    reasoning = ReasoningBuilder("rs_1", 0, content=content, summary=True)
    closing, item = reasoning.close("completed", "nexus1.x")
    assert told(closing) == [("output_item.done", None)]
    assert (item_of(item)["encrypted_content"], item_of(item)["summary"]) == ("nexus1.x", [])


# --- calls


def called(tool: DeclaredTool, *pieces: str, status: ItemStatus = "completed") -> tuple[list[tuple[str, Any]], Any]:
    builder = CallBuilder("id_1", 0, "c1", tool)
    events = builder.open()
    for piece in pieces:
        events += builder.append(piece)
    closing, item = builder.close(status)
    return told(events + closing), item_of(item)


def test_the_arguments_of_a_function_are_told_as_they_come() -> None:
    events, item = called(FUNCTION, '{"a"', "", ":1}")
    assert events == [
        ("output_item.added", None),
        ("function_call_arguments.delta", '{"a"'),
        ("function_call_arguments.delta", ":1}"),
        ("function_call_arguments.done", '{"a":1}'),
        ("output_item.done", None),
    ]
    assert item == {
        "type": "function_call",
        "id": "id_1",
        "call_id": "c1",
        "name": "f",
        "arguments": '{"a":1}',
        "status": "completed",
    }


def test_a_call_without_arguments_has_an_empty_object() -> None:
    events, item = called(FUNCTION, "")
    assert ("function_call_arguments.delta", "{}") in events
    assert item["arguments"] == "{}"
    assert called(FUNCTION, status="incomplete")[1]["arguments"] == ""


def test_the_input_of_a_freeform_call_is_unwrapped_while_it_comes() -> None:
    events, item = called(EXEC, '{"input":"l', "s", '"}')
    assert [event for event in events if "input" in event[0]] == [
        ("custom_tool_call_input.delta", "l"),
        ("custom_tool_call_input.delta", "s"),
        ("custom_tool_call_input.done", "ls"),
    ]
    assert (item["type"], item["namespace"], item["input"]) == ("custom_tool_call", "ns", "ls")


@pytest.mark.parametrize(
    ("pieces", "final"),
    [
        (['{"cmd":"ls"}'], "ls"),
        (["ls -la"], "ls -la"),
        (['{"input":"ls"', ',"input":"rm"}'], "ls"),
        (['{"input":"ls"', "} and more"], "ls"),
        (['{"input":"a', '\\q"}'], "a"),
        ([""], ""),
    ],
)
def test_what_was_told_of_an_input_stands(pieces: list[str], final: str) -> None:
    events, item = called(EXEC, *pieces)
    assert "".join(value for kind, value in events if kind.endswith("delta")) == item["input"] == final


def test_a_cut_input_ends_where_it_was_cut() -> None:
    assert called(EXEC, '{"input":"ls -', status="incomplete")[1]["input"] == "ls -"
    assert called(PATCH, '{"input":"*** Beg', status="incomplete")[1]["input"] == "*** Beg"


def test_a_patch_is_told_once_it_is_whole_and_mended() -> None:
    events, item = called(PATCH, '{"input":"*** Begin Patch ***\\n', '*** End Patch"}')
    assert item["input"] == "*** Begin Patch\n*** End Patch"
    assert [kind for kind, _ in events].count("custom_tool_call_input.delta") == 1


def test_a_tool_search_has_an_object_and_no_deltas() -> None:
    events, item = called(SEARCH, ' {"query"', ':"x"} ')
    assert [kind for kind, _ in events] == ["output_item.added", "output_item.done"]
    assert (item["arguments"], item["execution"]) == ({"query": "x"}, "client")
    assert called(SEARCH, "broken")[1]["arguments"] == {}
