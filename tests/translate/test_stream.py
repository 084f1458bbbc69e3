from __future__ import annotations

import itertools
import json
from typing import Any

import pytest
from msgspec import Raw
from tests import oracle

from codex_nexus.translate.clients import CODEX, PLAIN, Client
from codex_nexus.translate.deltas import CallPiece, Delta, Ending, GatheredCall, Refused, Text, Thought
from codex_nexus.translate.faults import Fault
from codex_nexus.translate.sealed import unseal
from codex_nexus.translate.stream import ResponseStream
from codex_nexus.translate.tools import DeclaredTool, ToolTable
from codex_nexus.translate.wishes import Wishes
from codex_nexus.wire.create import CreateResponse
from codex_nexus.wire.events import EventEncoder
from codex_nexus.wire.responses import InputTokensDetails, OutputTokensDetails, ResponseUsage, echoed

TOOLS = [DeclaredTool("function", "f"), DeclaredTool("custom", "exec"), DeclaredTool("tool_search", "tool_search")]
ANYTHING = Wishes()
ENCRYPTED = Wishes(encrypted=True)


def nothing_counted(_: Any) -> None:
    return None


class Play:
    """A stream that is fed deltas and ended; calls grow by `call`."""

    def __init__(self, client: Client = PLAIN, wishes: Wishes = ANYTHING) -> None:
        numbers = itertools.count(1)
        response = echoed(CreateResponse(model="gpt-x"), "resp_1", 1)
        self.stream = ResponseStream(response, client, wishes, lambda prefix: f"{prefix}_{next(numbers)}")
        self.stream.table = ToolTable(TOOLS)
        self.stream.family = "own"
        self.encoder = EventEncoder()
        self.calls: list[GatheredCall] = []
        self.bytes = self.encoder.sse(self.stream.start())

    def say(self, *deltas: Delta) -> None:
        self.bytes += self.encoder.sse(self.stream.receive(list(deltas)))

    def call(self, call_id: str, name: str, arguments: str) -> None:
        """A call grows; a new id begins another."""
        known = next((call for call in self.calls if call.id == call_id), None)
        call = known or GatheredCall(call_id, name)
        if known is None:
            self.calls.append(call)
        call.name = name
        call.arguments += arguments
        self.say(CallPiece(call, arguments))

    def end(
        self, outcome: Ending | Fault = "completed", details: list[dict[str, object]] | None = None
    ) -> oracle.Story:
        events = self.stream.finish(outcome, self.calls, nothing_counted, details or [], 2)
        self.bytes += self.encoder.sse(events)
        return oracle.read(self.bytes)


def shape(story: oracle.Story) -> list[tuple[str, str]]:
    """Type and text of each item, in order."""
    found: list[tuple[str, str]] = []
    for item in story.output:
        parts = item.get("content") or item.get("summary") or []
        text = "".join(part.get("text", part.get("refusal", "")) for part in parts)
        found.append((item["type"], text or str(item.get("arguments", item.get("input", "")))))
    return found


both = pytest.mark.parametrize("client", [PLAIN, CODEX], ids=lambda client: client.name)


# --- items


@both
def test_an_item_is_closed_before_the_next_one_opens(client: Client) -> None:
    play = Play(client)
    play.say(Thought("a"), Thought("b"), Text("c"), Text("d"), Thought("e"), Text("f"))
    assert shape(play.end()) == [("reasoning", "ab"), ("message", "cd"), ("reasoning", "e"), ("message", "f")]


def test_a_refusal_is_a_part_of_its_own_for_those_who_know_it() -> None:
    play = Play(PLAIN)
    play.say(Refused("No"), Refused("!"))
    assert play.end().refusal == "No!"
    codex = Play(CODEX)
    codex.say(Text("Well. "), Refused("No!"))
    assert codex.end().text == "Well. No!"


@pytest.mark.parametrize(
    ("client", "wishes", "reasoning", "summary"),
    [
        (PLAIN, Wishes(), "a", ""),
        (PLAIN, Wishes(summary=True), "a", "a"),
        (CODEX, Wishes(), "a", ""),
        (CODEX, Wishes(summary=True), "", "a"),
    ],
)
def test_reasoning_is_shown_as_the_client_wants_it(
    client: Client, wishes: Wishes, reasoning: str, summary: str
) -> None:
    play = Play(client, wishes)
    play.say(Thought("a"), Text("b"))
    story = play.end()
    assert (story.reasoning, story.summary) == (reasoning, summary)


def test_reasoning_is_sealed_when_it_is_asked_for() -> None:
    play = Play(CODEX, ENCRYPTED)
    play.say(Thought("a"), Text("b"))
    (blob,) = play.end().sealed
    sealed = unseal(blob, "reasoning")
    assert sealed is not None
    assert (sealed.family, sealed.text) == ("own", "a")


def test_a_sign_of_life_changes_nothing() -> None:
    play = Play()
    play.say(Text("a"))
    play.bytes += play.encoder.sse(play.stream.heartbeat())
    play.say(Text("b"))
    assert play.end().text == "ab"
    assert play.stream.heartbeat() == []


# --- calls


def test_a_plain_client_sees_the_arguments_as_they_come() -> None:
    play = Play(PLAIN)
    for arguments in ("", '{"a"', ":1}"):
        play.call("c1", "f", arguments)
    deltas = [event["delta"] for event in play.end().events if event["type"].endswith("arguments.delta")]
    assert deltas == ['{"a"', ":1}"]


def test_codex_sees_a_call_only_when_all_is_said() -> None:
    play = Play(CODEX)
    play.call("c1", "f", '{"a":1}')
    play.say(Text("late"))
    assert b"function_call" not in play.bytes
    assert shape(play.end()) == [("message", "late"), ("function_call", '{"a":1}')]


def test_what_comes_while_a_call_is_open_waits_until_it_is_whole() -> None:
    play = Play(PLAIN)
    play.call("c1", "f", "{")
    play.say(Text("a"), Thought("b"), Refused("c"))
    play.call("c2", "exec", '{"input":"ls"}')
    play.call("c1", "f", "}")
    assert shape(play.end()) == [
        ("function_call", "{}"),
        ("message", "a"),
        ("reasoning", "b"),
        ("message", "c"),
        ("custom_tool_call", "ls"),
    ]


def test_a_call_without_a_name_is_not_told_until_it_has_one() -> None:
    play = Play(PLAIN)
    play.call("c1", "", '{"a"')
    play.say(Text("a"))
    play.call("c1", "f", ":1}")
    assert shape(play.end()) == [("message", "a"), ("function_call", '{"a":1}')]


@both
def test_every_call_has_an_id_of_its_own(client: Client) -> None:
    play = Play(client)
    play.calls = [GatheredCall("c1", "f"), GatheredCall("c1", "f"), GatheredCall("", "f")]
    ids = [call.call_id for call in play.end().calls]
    assert ids[0] == "c1"
    assert all(call_id.startswith("call_") for call_id in ids[1:])


@pytest.mark.parametrize(
    ("written", "sent"),
    [
        (' {"a":1}\n', '{"a":1}'),
        ('{"a":"x\ny"}', '{"a":"x\\ny"}'),
        ('{"a":NaN}', '{"a":null}'),
        ('{"a":"\\ud83d"}', '{"a":"\ufffd"}'),
        (" ", " {}"),
    ],
)
def test_codex_gets_arguments_that_every_reader_takes(written: str, sent: str) -> None:
    play = Play(CODEX)
    play.call("c1", "f", written)
    (call,) = play.end().calls
    assert json.loads(call.arguments) == json.loads(sent)


@both
@pytest.mark.parametrize(
    ("name", "arguments"), [("f", "{"), ("f", "[1]"), ("tool_search", "x"), ("exec", '{"input":"ls')]
)
def test_a_broken_call_fails_the_turn_instead_of_being_run(client: Client, name: str, arguments: str) -> None:
    play = Play(client)
    play.call("c1", "f", "{}")
    play.call("c2", name, arguments)
    story = play.end()
    assert (story.status, story.code) == ("failed", "server_error")
    assert story.message is not None
    assert f"'{name}' with broken arguments: {arguments}" in story.message
    assert not any(call.status == "completed" for call in story.calls)


# --- what must come back


@both
def test_details_are_sealed_into_the_open_reasoning_or_into_one_of_their_own(client: Client) -> None:
    details: list[dict[str, object]] = [{"type": "reasoning.text", "text": "\ud83d"}]
    play = Play(client)
    play.say(Thought("a"))
    (blob,) = play.end(details=details).sealed
    later = Play(client, Wishes(summary=True))
    later.say(Thought("a"), Text("b"))
    story = later.end(details=details)
    assert [kind for kind, _ in shape(story)] == ["reasoning", "message", "reasoning"]
    for sealed in (unseal(blob, "reasoning"), unseal(story.sealed[0], "reasoning")):
        assert sealed is not None
        assert [json.loads(bytes(raw)) for raw in sealed.details] == [{"type": "reasoning.text", "text": "\ufffd"}]


@both
def test_signatures_are_sealed_by_the_id_of_their_call(client: Client) -> None:
    play = Play(client)
    play.calls = [GatheredCall("c1", "f", "{}", Raw(b'"one"')), GatheredCall("", "f", "{}", Raw(b'"two"'))]
    story = play.end()
    (sealed,) = [unseal(blob, "reasoning") for blob in story.sealed]
    assert sealed is not None
    assert {call_id: bytes(raw) for call_id, raw in sealed.signatures.items()} == {
        "c1": b'"one"',
        story.calls[1].call_id: b'"two"',
    }
    assert [item["type"] for item in story.output] == ["reasoning", "function_call", "function_call"]


def test_an_answer_that_was_cut_seals_nothing() -> None:
    play = Play(PLAIN)
    play.calls = [GatheredCall("c1", "f", "{}", Raw(b'"one"'))]
    play.say(Thought("a"))
    assert play.end("max_output_tokens", [{"text": "a"}]).sealed == []


# --- the end


@both
def test_an_answer_that_was_cut_is_incomplete_and_so_is_its_last_item(client: Client) -> None:
    play = Play(client)
    play.say(Thought("a"), Text("b"))
    story = play.end("max_output_tokens")
    assert (story.status, story.reason) == ("incomplete", "max_output_tokens")
    assert [item["status"] for item in story.output] == ["completed", "incomplete"]


def test_what_waited_is_told_even_when_the_call_was_cut() -> None:
    play = Play(PLAIN)
    play.call("c1", "f", '{"a"')
    play.say(Text("b"))
    story = play.end("max_output_tokens")
    assert [(item["type"], item["status"]) for item in story.output] == [
        ("function_call", "incomplete"),
        ("message", "incomplete"),
    ]


def test_a_filter_is_a_failure_for_those_who_would_try_again() -> None:
    assert Play(PLAIN).end("content_filter").reason == "content_filter"
    assert Play(CODEX).end("content_filter").code == "invalid_prompt"


def test_a_failure_is_told_in_the_words_of_the_client() -> None:
    fault = Fault("rate_limit", "Slow down, sk-secret.", retry_after=3)
    plain, codex = Play(PLAIN), Play(CODEX)
    codex.stream.tell = lambda message: message.replace("sk-secret", "***")
    told = plain.end(fault)
    assert [event["type"] for event in told.events[-2:]] == ["error", "response.failed"]
    assert told.events[-2]["error"]["type"] == "rate_limit_error"
    story = codex.end(fault)
    assert (story.code, story.message) == ("rate_limit_exceeded", "Slow down, ***. Please try again in 3s.")
    assert "error" not in [event["type"] for event in story.events]


def test_there_is_one_ending() -> None:
    play = Play()
    play.end(Fault("server", "x"))
    assert play.stream.over
    assert play.stream.finish("completed", [], nothing_counted, [], 3) == []


def test_usage_is_what_was_counted_or_estimated_but_no_failure_is_estimated() -> None:
    usage = ResponseUsage(1, InputTokensDetails(), 2, OutputTokensDetails(), 3)
    counted, estimated, failed = Play(), Play(), Play()
    counted.stream.finish(Fault("server", "x"), [], usage, [], 1)
    estimated.stream.finish("max_output_tokens", [], lambda _: usage, [], 1)
    failed.stream.finish(Fault("server", "x"), [], lambda _: usage, [], 1)
    assert [play.stream.response.usage for play in (counted, estimated, failed)] == [usage, usage, None]


def test_a_summary_is_one_item_that_holds_it_sealed() -> None:
    play = Play()
    play.bytes += play.encoder.sse(play.stream.summarise("We read the docs."))
    (item,) = play.end().output
    sealed = unseal(item["encrypted_content"], "summary")
    assert sealed is not None
    assert sealed.text == "We read the docs."


@pytest.mark.parametrize(
    ("client", "wanted", "enforced", "gathers"),
    [(PLAIN, True, True, False), (PLAIN, True, False, True), (CODEX, True, True, True), (CODEX, False, False, False)],
)
def test_json_is_gathered_when_nobody_enforces_it_or_the_client_wants_it_whole(
    client: Client, wanted: bool, enforced: bool, gathers: bool
) -> None:
    stream = Play(client, Wishes(json=wanted)).stream
    assert stream.wishes.json is wanted
    assert stream.gathers_json(enforced) is gathers
