"""An independent reader of a Responses stream: bytes in, meaning out, and an AssertionError for every broken rule.

It shares no code with the package. `read` checks the framing, the order of the events (one regular expression), each
item's events against each other, and the terminal event against everything before it; what it returns was put together
from the small events alone. The labels I1 to I17 in the messages name the rule:

    I2 framing            I4 how it begins         I6 one terminal event, last   I7 one response id
    I3 sequence_number    I8 item indices          I9 item ids                   I10 what may not change
    I11 texts agree       I12 arguments agree      I14 reasoning agrees          I15 item status
    I16 final output      I17 status and ending
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

Event = dict[str, Any]

_ENDINGS = {"response.completed": "completed", "response.incomplete": "incomplete", "response.failed": "failed"}
_LIFE = {"response.created", "response.in_progress", *_ENDINGS}

_ITEM = {
    "message": (
        r"added (content_part.added (output_text.delta )*output_text.done content_part.done "
        r"|content_part.added (refusal.delta )*refusal.done content_part.done )+done "
    ),
    "reasoning": (
        r"added (content_part.added (reasoning_text.delta )*reasoning_text.done content_part.done )?"
        r"(summary_part.added (summary_text.delta )*summary_text.done summary_part.done )*done "
    ),
    "function_call": r"added (arguments.delta )*arguments.done done ",
    "custom_tool_call": r"added (input.delta )*input.done done ",
    "tool_search_call": r"added done ",
    "compaction": r"added done ",
}
_SHORT = re.compile(r"^response\.(output_item|reasoning_(?=summary)|function_call_|custom_tool_call_)?\.?")

_REQUIRED = [
    "id",
    "object",
    "created_at",
    "completed_at",
    "status",
    "error",
    "incomplete_details",
    "model",
    "output",
    "tools",
    "tool_choice",
    "parallel_tool_calls",
    "instructions",
    "previous_response_id",
    "max_output_tokens",
    "max_tool_calls",
    "safety_identifier",
    "prompt_cache_key",
    "reasoning",
    "usage",
    "text",
    "truncation",
    "temperature",
    "top_p",
    "presence_penalty",
    "frequency_penalty",
    "top_logprobs",
    "store",
    "background",
    "service_tier",
    "metadata",
]
_NEVER_NULL = [
    "id",
    "object",
    "created_at",
    "status",
    "model",
    "output",
    "tools",
    "tool_choice",
    "parallel_tool_calls",
    "reasoning",
    "text",
    "truncation",
    "temperature",
    "top_p",
    "presence_penalty",
    "frequency_penalty",
    "top_logprobs",
    "store",
    "background",
    "service_tier",
    "metadata",
]


@dataclass(frozen=True)
class ToolCall:
    """A call as its small events told it."""

    type: str
    call_id: str
    name: str
    arguments: Any
    """A JSON text of a function, plain text of a custom tool, an object of a tool search."""
    namespace: str | None
    status: str


@dataclass(frozen=True)
class Story:
    """What a stream told."""

    status: str
    text: str
    refusal: str
    reasoning: str
    summary: str
    calls: list[ToolCall]
    usage: dict[str, Any] | None
    reason: str | None
    """Why it is incomplete."""
    code: str | None
    """Why it failed."""
    message: str | None
    output: list[dict[str, Any]]
    response: dict[str, Any]
    events: list[Event] = field(repr=False)

    @property
    def sealed(self) -> list[str]:
        """Every `encrypted_content`, in order."""
        return [item["encrypted_content"] for item in self.output if item.get("encrypted_content")]


def read(stream: bytes) -> Story:
    """The story of a whole stream, checked."""
    events = decoded(stream)
    _check_sequence(events)
    _check_life(events)
    items = [_Item(mine).checked() for mine in _by_item(events)]
    return _told(events, items)


def decoded(stream: bytes) -> list[Event]:
    """The events of the bytes; `[DONE]` must be the last record."""
    assert stream.endswith(b"\n\n"), "I2: the last record needs its empty line"
    *records, done = stream.decode().removesuffix("\n\n").split("\n\n")
    assert done == "data: [DONE]", f"I2: the stream ends with {done!r}"
    return [_event(record) for record in records]


def _event(record: str) -> Event:
    first, newline, second = record.partition("\n")
    assert newline, f"I2: {record!r}"
    assert first.startswith("event: "), f"I2: {record!r}"
    assert second.startswith("data: "), f"I2: {record!r}"
    assert "\n" not in second, f"I2: data in several lines: {record!r}"
    event = json.loads(second.removeprefix("data: "))
    assert event["type"] == first.removeprefix("event: "), "I2e: event and type differ"
    assert event["type"] == "error" or not event.get("error"), "SDKs raise on a top-level error"
    json.dumps(event, ensure_ascii=False).encode()  # raises for half a surrogate pair
    return event


def _check_sequence(events: list[Event]) -> None:
    numbers = [event["sequence_number"] for event in events]
    assert numbers == list(range(len(events))), f"I3: {numbers}"
    assert all(type(number) is int for number in numbers), "I3: a number is no integer"


def _check_life(events: list[Event]) -> None:
    types = [event["type"] for event in events]
    assert types[:2] == ["response.created", "response.in_progress"], f"I4: begins with {types[:2]}"
    assert types.count("response.created") == 1, "I4: created again"
    assert types[-1] in _ENDINGS, f"I6: ends with {types[-1]}"
    assert sum(kind in _ENDINGS for kind in types) == 1, "I6: several endings"
    assert "error" not in types[:-2], "5.2: error stands before failed only"
    assert "error" not in types or types[-1] == "response.failed", "5.2: error without failed"
    life = [event["response"] for event in events if event["type"] in _LIFE]
    assert len({response["id"] for response in life}) == 1, "I7: the response id changes"
    for response in life:
        _check_resource(response)
    for response in life[:-1]:
        assert response["status"] == "in_progress", f"I4: status {response['status']} at work"
        assert (response["usage"], response["completed_at"]) == (None, None), "usage and end are known at the end"
    assert life[0]["output"] == life[1]["output"] == [], "I4: output before the work"


def _check_resource(response: dict[str, Any]) -> None:
    missing = [name for name in _REQUIRED if name not in response]
    assert not missing, f"the resource lacks {missing}"
    null = [name for name in _NEVER_NULL if response[name] is None]
    assert not null, f"the resource has null in {null}"
    assert response["object"] == "response"


def _by_item(events: list[Event]) -> Iterator[list[Event]]:
    """The events of one item after another; nothing stands between them and items do not overlap."""
    mine: list[Event] = []
    count = 0
    for event in events:
        if event["type"] in _LIFE or event["type"] == "error":
            continue
        assert event["output_index"] == count, f"I8: {event['type']} at {event['output_index']}, not {count}"
        mine.append(event)
        if event["type"] == "response.output_item.done":
            yield mine
            mine, count = [], count + 1
    assert not mine, "I8: an item is never done"


class _Item:
    def __init__(self, events: list[Event]) -> None:
        self.events = events
        self.added: dict[str, Any] = events[0].get("item", {})
        self.done: dict[str, Any] = events[-1]["item"]

    def checked(self) -> _Item:
        self._check_order()
        self._check_identity()
        match self.done["type"]:
            case "message":
                self._check_parts("content", self._told_parts("content_index"))
            case "reasoning":
                self._check_parts("content", self._told_parts("content_index"))
                self._check_parts("summary", self._told_parts("summary_index"))
            case "function_call":
                self._check_grown("arguments")
            case "custom_tool_call":
                self._check_grown("input")
            case "compaction":
                assert self.done["encrypted_content"], "an empty summary"
            case _:
                assert isinstance(self.done["arguments"], dict)
        return self

    def _check_order(self) -> None:
        types = "".join(_SHORT.sub("", event["type"]) + " " for event in self.events)
        assert re.fullmatch(_ITEM[self.done["type"]], types), f"5.2: {self.done['type']} as {types}"

    def _check_identity(self) -> None:
        ids = {event["item_id"] for event in self.events[1:-1]} | {self.added["id"], self.done["id"]}
        assert len(ids) == 1, f"I9: one item, ids {ids}"
        assert all(ids), "I9: an empty id"
        for name in ("type", "role", "name", "call_id", "namespace", "execution"):
            assert self.added.get(name) == self.done.get(name), f"I10: {name} changed"
        assert self.added["status"] == "in_progress", f"I15: added as {self.added['status']}"
        assert self.done["status"] in ("completed", "incomplete"), f"I15: done as {self.done['status']}"
        for name, empty in (("content", []), ("summary", []), ("arguments", ""), ("input", "")):
            begun = self.added.get(name, empty)
            assert not begun, f"I12: {name} begins with {begun!r}"

    def _told_parts(self, index: str) -> list[dict[str, Any]]:
        parts: list[dict[str, Any]] = []
        for event in self.events:
            if index not in event:
                continue
            kind = event["type"].rpartition(".")[2]
            if "part" in event and kind == "added":
                assert event[index] == len(parts), "I11: parts are not counted up"
                assert event["part"].get("text", event["part"].get("refusal")) == "", "I11: a part begins full"
                parts.append({"type": event["part"]["type"], "grown": ""})
                continue
            assert event[index] == len(parts) - 1, "I11: an event of another part"
            part = parts[-1]
            if kind == "delta":
                assert event["delta"], "an empty delta"
                part["grown"] += event["delta"]
            elif "part" in event:
                part["part"] = event["part"]
            else:
                part["said"] = event.get("text", event.get("refusal"))
        return parts

    def _check_parts(self, name: str, told: list[dict[str, Any]]) -> None:
        final = self.done.get(name, [])
        assert [part["part"] for part in told] == final, f"I11, I14: {name} is not what was told"
        for part, there in zip(told, final, strict=True):
            text = there.get("text", there.get("refusal"))
            assert part["type"] == there["type"], "I11: a part changes its type"
            assert part["grown"] == part["said"] == text, f"I11, I14: {part['grown']!r} became {text!r}"

    def _check_grown(self, name: str) -> None:
        grown = "".join(event["delta"] for event in self.events if event["type"].endswith(".delta"))
        assert all(event["delta"] for event in self.events if event["type"].endswith(".delta")), "an empty delta"
        said = self.events[-2]
        assert grown == said[name] == self.done[name], f"I12: {grown!r} became {self.done[name]!r}"
        if name == "arguments":
            assert said["name"] == self.done["name"], "I12: the name of arguments.done"


def _told(events: list[Event], items: list[_Item]) -> Story:
    last = events[-1]
    response = last["response"]
    done = [item.done for item in items]
    assert response["output"] == done, "I16: the final output is not what was done"
    ids = [item["id"] for item in done]
    assert len(set(ids)) == len(ids), f"I9: {ids}"
    call_ids = [item["call_id"] for item in done if "call_id" in item]
    assert all(call_ids), "6.1: an empty call_id"
    assert len(set(call_ids)) == len(call_ids), f"6.1: {call_ids}"
    _check_ending(last["type"], response)
    _check_error(events, response)
    return Story(
        response["status"],
        _grown(events, "response.output_text.delta"),
        _grown(events, "response.refusal.delta"),
        _grown(events, "response.reasoning_text.delta"),
        _grown(events, "response.reasoning_summary_text.delta"),
        [_call(item) for item in items if item.done["type"].endswith("_call")],
        _checked_usage(response["usage"]),
        (response["incomplete_details"] or {}).get("reason"),
        (response["error"] or {}).get("code"),
        (response["error"] or {}).get("message"),
        done,
        response,
        events,
    )


def _check_ending(kind: str, response: dict[str, Any]) -> None:
    status = response["status"]
    assert status == _ENDINGS[kind], f"I17: {kind} says {status}"
    assert (response["error"] is not None) == (status == "failed"), "I17: error and failed go together"
    assert (response["incomplete_details"] is not None) == (status == "incomplete"), "I17: a reason is incomplete's"
    assert (response["completed_at"] is not None) == (status == "completed"), "I17: completed_at"
    if status == "failed":
        assert response["error"]["code"], "I17: no code"
        assert isinstance(response["error"]["message"], str), "I17: no message"
    if status == "incomplete":
        assert response["incomplete_details"]["reason"] in ("max_output_tokens", "content_filter")
    if status == "completed":
        unfinished = [item["id"] for item in response["output"] if item["status"] != "completed"]
        assert not unfinished, f"I15: {unfinished} in a completed response"


def _check_error(events: list[Event], response: dict[str, Any]) -> None:
    if events[-2]["type"] != "error":
        return
    flat, nested = events[-2], events[-2]["error"]
    assert {"code", "message", "param"} <= flat.keys()
    assert {"type", "code", "message", "param"} <= nested.keys()
    assert flat["code"] == nested["code"] == response["error"]["code"]
    assert flat["message"] == nested["message"] == response["error"]["message"]


def _checked_usage(usage: dict[str, Any] | None) -> dict[str, Any] | None:
    if usage is None:
        return None
    counts = [usage["input_tokens"], usage["output_tokens"], usage["total_tokens"]]
    counts += [usage["input_tokens_details"][name] for name in ("cached_tokens", "cache_write_tokens")]
    counts.append(usage["output_tokens_details"]["reasoning_tokens"])
    assert all(type(count) is int and count >= 0 for count in counts), f"usage: {usage}"
    assert usage["total_tokens"] == usage["input_tokens"] + usage["output_tokens"]
    assert usage["input_tokens_details"]["cached_tokens"] <= usage["input_tokens"]
    assert usage["output_tokens_details"]["reasoning_tokens"] <= usage["output_tokens"]
    return usage


def _grown(events: list[Event], kind: str) -> str:
    return "".join(event["delta"] for event in events if event["type"] == kind)


def _call(item: _Item) -> ToolCall:
    done = item.done
    said = item.events[-2]
    arguments = said.get("arguments", said.get("input")) if len(item.events) > 2 else done["arguments"]
    return ToolCall(
        done["type"], done["call_id"], done.get("name", ""), arguments, done.get("namespace"), done["status"]
    )
