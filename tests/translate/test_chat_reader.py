from __future__ import annotations

import json
from typing import Any

import pytest

from codex_nexus.translate.chat_reader import ChatReader
from codex_nexus.translate.deltas import CallPiece, Delta, Refused, Text, Thought
from codex_nexus.translate.dialect import DEFAULT, Dialect
from codex_nexus.translate.faults import Fault

LONG = "The user wants me to list the files of this directory"


class Reading:
    """A reader that was fed, and what came out of it."""

    def __init__(self, *payloads: Any, dialect: Dialect = DEFAULT, event: bytes = b"", end: bool = True) -> None:
        self.reader = ChatReader(dialect)
        self.deltas: list[Delta] = []
        for payload in payloads:
            data = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
            self.deltas += self.reader.read(data, event)
        if end:
            self.deltas += self.reader.close()

    @property
    def text(self) -> str:
        return "".join(delta.text for delta in self.deltas if isinstance(delta, Text))

    @property
    def thought(self) -> str:
        return "".join(delta.text for delta in self.deltas if isinstance(delta, Thought))

    @property
    def calls(self) -> list[tuple[str, str, str]]:
        return [(call.id, call.name, call.arguments) for call in self.reader.calls]

    @property
    def ending(self) -> str:
        outcome = self.reader.outcome()
        return outcome.kind if isinstance(outcome, Fault) else outcome


def delta(finish: str | None = None, **fields: Any) -> dict[str, Any]:
    return {"choices": [{"index": 0, "delta": fields, "finish_reason": finish}]}


def piece(
    arguments: Any = "", name: str | None = None, call_id: str | None = None, index: int | None = 0
) -> dict[str, Any]:
    function = {"arguments": arguments} | ({} if name is None else {"name": name})
    call = {"function": function} | ({} if call_id is None else {"id": call_id})
    return delta(tool_calls=[call if index is None else call | {"index": index}])


STOP = delta("stop")


# --- text and reasoning


@pytest.mark.parametrize(
    ("content", "text"),
    [("a", "a"), (None, ""), ("", ""), ([{"type": "text", "text": "a"}, "b", {"text": 5}, 7], "ab"), ({"odd": 1}, "")],
)
def test_content_is_a_string_or_parts(content: Any, text: str) -> None:
    assert Reading(delta(content=content)).text == text


@pytest.mark.parametrize(
    ("fields", "thought"),
    [
        ({"reasoning_content": "a"}, "a"),
        ({"reasoning": "a"}, "a"),
        ({"reasoning_content": "a", "reasoning": "a"}, "a"),
        ({"reasoning_content": "", "reasoning": "a"}, "a"),
        ({"reasoning_details": [{"text": "a"}, {"summary": "b"}, {"data": "x"}, 5], "reasoning": "ab"}, "ab"),
        ({"reasoning_details": "odd", "reasoning": "a"}, "a"),
        ({"reasoning_content": {"odd": 1}}, ""),
        ({"content": [{"type": "thinking", "thinking": "a"}]}, "a"),
        ({"content": [{"type": "thinking", "thinking": [{"text": "a"}, {"text": 5}, {"text": "b"}]}]}, "ab"),
        ({"content": [{"type": "thinking", "thinking": 5}]}, ""),
    ],
)
def test_reasoning_is_taken_from_the_first_place_that_has_any(fields: dict[str, Any], thought: str) -> None:
    assert Reading(delta(**fields)).thought == thought


def test_a_leading_block_is_a_thought_unless_the_dialect_says_no() -> None:
    said = delta(content="<think>a</think>b")
    assert [(Reading(said).thought, Reading(said).text)] == [("a", "b")]
    off = Reading(said, dialect=Dialect(think_tags="off"))
    assert (off.thought, off.text) == ("", "<think>a</think>b")
    assert Reading(delta(content=""), dialect=Dialect(think_tags="off")).deltas == []


INSIDE = Dialect(think_tags="inside")


def test_a_block_that_the_prompt_opened_is_a_thought_where_the_dialect_says_so() -> None:
    pieces = (delta(content="a </th"), delta(content="ink>b"))
    inside = Reading(*pieces, STOP, dialect=INSIDE)
    assert (inside.thought, inside.text, inside.ending) == ("a ", "b", "completed")
    assert not inside.reader.leaked_thought


def test_an_answer_without_any_tag_is_not_lost_inside() -> None:
    answer = Reading(delta(content="Just "), delta(content="this."), STOP, dialect=INSIDE)
    assert (answer.text, answer.ending) == ("Just this.", "completed")
    for ending in ({"choices": [{"delta": {}, "finish_reason": "length"}]}, {"error": "no"}):
        assert not Reading(delta(content="Just this."), ending, dialect=INSIDE).text


def test_reasoning_that_the_server_parts_leaves_the_text_alone() -> None:
    parted = Reading(delta(reasoning_content="a"), delta(content="b"), STOP, dialect=INSIDE)
    assert (parted.thought, parted.text) == ("a", "b")


def test_a_lone_end_of_a_thought_is_noticed() -> None:
    lone = Reading(delta(content="a"), delta(content="</think>b"), STOP)
    assert (lone.text, lone.reader.leaked_thought) == ("a</think>b", True)
    assert not Reading(delta(content="<think>a</think>b"), STOP).reader.leaked_thought


def test_a_block_that_repeats_structured_reasoning_is_not_told_twice() -> None:
    reading = Reading(delta(content="<think>a", reasoning_content="a"), delta(content="</think>b"))
    assert (reading.thought, reading.text) == ("a", "b")


def test_a_refusal_is_an_answer() -> None:
    reading = Reading(delta(refusal="No"), delta(refusal=""), delta(refusal=5), STOP)
    assert reading.deltas == [Refused("No")]
    assert reading.ending == "completed"


def test_an_emoji_in_two_deltas_is_one_again() -> None:
    assert Reading(delta(content="\ud83d"), delta(content="\ude00")).text == "😀"
    assert Reading(delta(reasoning="\ud83d"), delta(content="x"), delta(reasoning="\ude00")).thought == "😀"


def test_text_that_repeats_itself_is_told_once() -> None:
    assert Reading(delta(content=LONG), delta(content=LONG + "!")).text == LONG + "!"
    one_by_one = Dialect(text_mode="incremental")
    assert Reading(delta(content=LONG), delta(content=LONG + "!"), dialect=one_by_one).text == LONG + LONG + "!"
    tagless = Dialect(think_tags="off")
    assert (
        Reading(delta(content=LONG), delta(content=LONG + "!"), delta(content=LONG + "!"), dialect=tagless).text
        == LONG + "!"
    )


def test_details_are_kept_whole_for_their_way_back() -> None:
    reading = Reading(
        delta(reasoning_details=[{"type": "t", "index": 0, "text": "a", "format": None}]),
        delta(reasoning_details=[{"type": "t", "index": 0, "text": "b", "format": "f", "id": None}]),
        delta(reasoning_details=[{"type": "e", "index": 1, "data": "x"}]),
        delta(reasoning_details=[{"type": "e", "index": 1, "data": "y"}]),
        delta(reasoning_details=[{"type": "t", "index": 0, "text": LONG}]),
        delta(reasoning_details=[{"type": "t", "index": 0, "text": LONG + "!"}]),
    )
    assert reading.reader.details == [
        {"type": "t", "index": 0, "text": "ab", "format": "f"},
        {"type": "e", "index": 1, "data": "x"},
        {"type": "e", "index": 1, "data": "y"},
        {"type": "t", "index": 0, "text": LONG + "!"},
    ]


# --- calls


def test_a_call_grows_by_its_index() -> None:
    reading = Reading(piece("", "f", "c1"), piece('{"a"', index=0), piece(":1}", index=0))
    assert reading.calls == [("c1", "f", '{"a":1}')]
    assert [said.arguments for said in reading.deltas if isinstance(said, CallPiece)] == ["", '{"a"', ":1}"]


@pytest.mark.parametrize(
    ("pieces", "calls"),
    [
        (
            [piece("{", "f", "a"), piece("{", "g", "b", 1), piece("}"), piece("}", index=1)],
            [("a", "f", "{}"), ("b", "g", "{}")],
        ),
        ([piece("{", "f", "a"), piece("}", "", "a")], [("a", "f", "{}")]),
        (
            [piece("{", "f", "a", None), piece("{", "g", "b", None), piece("}", None, "a", None)],
            [("a", "f", "{}"), ("b", "g", "{")],
        ),
        ([piece("{}", "f", "a"), piece("{}", "g", "b")], [("a", "f", "{}"), ("b", "g", "{}")]),
        ([piece("{", "f", "a"), piece("}", index=7)], [("a", "f", "{}")]),
        ([piece("{", "f", "a"), piece("{}", "g", None, 7)], [("a", "f", "{"), ("", "g", "{}")]),
        ([piece("{", "f"), piece("}", None, "a")], [("a", "f", "{}")]),
        ([piece("{", "f"), piece("{}", "g", "b")], [("", "f", "{"), ("b", "g", "{}")]),
        ([piece("{}", "f"), piece("{}", None, "b")], [("", "f", "{}"), ("b", "", "{}")]),
        ([piece("{", None, "a"), piece("}", "f")], [("a", "f", "{}")]),
        ([piece("{}", "f", "a"), piece('{"x":1}', "")], [("a", "f", "{}"), ("", "f", '{"x":1}')]),
        ([piece("{}", "f", "a", None), piece("{}", "g", None, None)], [("a", "f", "{}"), ("", "g", "{}")]),
        ([piece("{}", "f", "a"), piece("{}", "g")], [("a", "f", "{}"), ("", "g", "{}")]),
        ([piece("{}", "f", "a"), piece("{}", "f", "a")], [("a", "f", "{}")]),
        ([piece("{}", "f", "a"), piece(" \n", None, "a")], [("a", "f", "{}")]),
        ([piece('{"a":{}', "f", "a"), piece(" \n"), piece("}")], [("a", "f", '{"a":{} \n}')]),
        ([piece('{"a":"}', "f", "a"), piece(" \n"), piece('"}')], [("a", "f", '{"a":"} \n"}')]),
        ([piece('{"a":{}', "f", "a"), piece("}")], [("a", "f", '{"a":{}}')]),
        ([piece({"x": 1}, "f", "a"), piece({"x": 1}, "f", "a")], [("a", "f", '{"x":1}')]),
        ([piece(None, " f ", "a")], [("a", "f", "")]),
        ([piece("{}", 5, "a")], [("a", "", "{}")]),
        ([piece("{}", "f\ud83d", "a\ud83d")], [("a\ufffd", "f\ufffd", "{}")]),
        (
            [delta(function_call={"name": "f", "arguments": "{"}), delta(function_call={"arguments": "}"})],
            [("", "f", "{}")],
        ),
        ([delta(tool_calls=[{"id": "a"}]), delta(tool_calls=[None])], [("a", "", "")]),
    ],
)
def test_every_piece_finds_its_call(pieces: list[dict[str, Any]], calls: list[tuple[str, str, str]]) -> None:
    assert Reading(*pieces).calls == calls


def test_an_emoji_in_the_arguments_may_come_in_halves() -> None:
    assert Reading(piece('{"a":"\ud83d', "f", "a"), piece('\ude00"}')).calls == [("a", "f", '{"a":"😀"}')]


def test_a_signature_stays_with_its_call() -> None:
    said = delta(tool_calls=[{"id": "a", "function": {"name": "f"}, "extra_content": {"sig": "\ud83d"}}])
    (call,) = Reading(said).reader.calls
    assert call.signature is not None
    assert json.loads(bytes(call.signature)) == {"sig": "\ufffd"}


# --- chunks


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b" \n",
        b"keep-alive",
        {},
        {"choices": None},
        {"choices": []},
        {"choices": [{}]},
        {"choices": [{"index": 1, "delta": {"content": "other"}}]},
        {"object": "ping"},
        {"choices": [], "message": "no refusal beside choices"},
        {"usage": {"prompt_tokens": 1}, "message": "nor beside usage"},
    ],
)
def test_what_says_nothing_disturbs_nothing(payload: Any) -> None:
    reading = Reading(payload, delta(content="a"), STOP)
    assert (reading.text, reading.ending) == ("a", "completed")


def test_a_message_stands_for_a_delta_and_data_may_wrap_it() -> None:
    assert Reading({"choices": [{"message": {"content": "a"}}]}).text == "a"
    assert Reading({"success": True, "data": delta(content="a")}).text == "a"
    assert Reading({"choices": [{"index": None, "delta": {"content": "a"}}]}).text == "a"


@pytest.mark.parametrize(
    ("payload", "kind", "message"),
    [
        ({"error": {"message": "m", "code": 429}}, "rate_limit", "m"),
        ({"error": "m"}, "server", "m"),
        ({"success": False, "code": "1302", "msg": "concurrency"}, "rate_limit", "concurrency"),
        (
            {"base_resp": {"status_code": 1008, "status_msg": "insufficient balance"}},
            "insufficient_quota",
            "insufficient balance",
        ),
        ({"detail": "m"}, "server", "m"),
        ({"message": "m", "object": "error"}, "server", "m"),
    ],
)
def test_an_error_in_the_place_of_a_chunk_ends_the_answer(payload: Any, kind: str, message: str) -> None:
    reading = Reading(delta(content="a"), payload, delta(content="b"), STOP)
    assert (reading.text, reading.ending, reading.reader.finished) == ("a", kind, True)
    assert reading.reader.fault is not None
    assert reading.reader.fault.message == message


def test_an_event_called_error_is_one_whatever_it_holds() -> None:
    assert Reading({"message": "m"}, event=b"error").ending == "server"
    broken = Reading(b"gone", event=b"error")
    assert (broken.ending, broken.reader.fault and broken.reader.fault.message) == ("server", "gone")


def test_the_first_fault_is_the_one_that_is_told() -> None:
    reader = ChatReader(DEFAULT)
    reader.fault = Fault("timeout", "first")
    reader.read(b'{"error":"second"}')
    assert reader.outcome() == Fault("timeout", "first")


def test_nothing_counts_after_done() -> None:
    reading = Reading(delta(content="a"), b" [DONE] ", delta(content="b"), {"error": "late"})
    assert (reading.text, reading.ending, reading.reader.finished) == ("a", "completed", True)


# --- the end


@pytest.mark.parametrize(
    ("finish", "ending"),
    [
        ("stop", "completed"),
        ("end", "completed"),
        ("anything", "completed"),
        ("STOP", "completed"),
        ("eos", "completed"),
        ("MAX_TOKENS", "max_output_tokens"),
        ("SAFETY", "content_filter"),
        ("RECITATION", "content_filter"),
        ("abort", "server"),
        ("length", "max_output_tokens"),
        ("model_length", "max_output_tokens"),
        ("sensitive", "content_filter"),
        ("network_error", "server"),
        ("model_context_window_exceeded", "context_length_exceeded"),
        ("tool_calls", "missing_tool_call"),
        ("", "truncated"),
        (None, "truncated"),
    ],
)
def test_a_finish_reason_says_how_it_ended(finish: str | None, ending: str) -> None:
    reading = Reading(delta(finish, content="a"))
    assert (reading.ending, reading.reader.finished) == (ending, bool(finish))


def test_a_call_is_a_turn_of_tools_whatever_the_reason_says() -> None:
    assert Reading(piece("{}", "f", "a"), STOP).ending == "completed"
    assert Reading(piece("{}", None, "a"), STOP).ending == "missing_tool_call"


def test_thinking_alone_is_no_answer() -> None:
    assert Reading(delta(reasoning="a"), STOP).ending == "empty"
    assert Reading(delta(content="<think>a"), STOP).ending == "empty"
    assert Reading(delta(content="\n"), STOP).ending == "empty"


def test_a_line_that_is_no_json_spoils_an_answer_that_does_not_say_why_it_ended() -> None:
    assert Reading(b'{"choi', delta(content="a"), STOP).ending == "server"
    assert Reading(b'{"choi', delta("length", content="a")).ending == "max_output_tokens"


def test_a_body_may_end_after_a_whole_call_where_the_dialect_says_so() -> None:
    zen = Dialect(eof_after_complete_tool_ok=True)
    assert Reading(piece("{}", "f", "a"), dialect=zen).ending == "completed"
    assert Reading(piece("{}", "f", "a")).ending == "truncated"
    assert Reading(piece("{", "f", "a"), dialect=zen).ending == "truncated"
    assert Reading(delta(content="a"), dialect=zen).ending == "truncated"


# --- usage


@pytest.mark.parametrize(
    "payload",
    [
        {"choices": [], "usage": {"prompt_tokens": 3}},
        {"choices": [{"index": 0, "delta": {}, "usage": {"prompt_tokens": 3}}]},
        {"choices": [], "x_groq": {"usage": {"prompt_tokens": 3}}},
    ],
)
def test_usage_is_found_wherever_it_stands(payload: Any) -> None:
    usage = Reading(payload, {"choices": [], "x_groq": {"id": "r"}}).reader.usage
    assert usage is not None
    assert usage.input_tokens == 3


@pytest.mark.parametrize("empty", [{}, None, {"prompt_tokens": 0, "completion_tokens": 0}])
def test_an_empty_usage_does_not_wipe_out_the_real_one(empty: Any) -> None:
    usage = Reading({"choices": [], "usage": {"prompt_tokens": 3}}, {"choices": [], "usage": empty}).reader.usage
    assert usage is not None
    assert usage.input_tokens == 3


@pytest.mark.parametrize(
    "fragments",
    [
        ['{"a":', '{"a": [1', '{"a": [1, 2]}'],
        ['{"a":', " [1, 2]}", '{"a": [1, 2]}'],
        ['{"a":', " [1, 2]}", "\n"],
        ['{"a": [1, 2]}', {"a": [1, 2]}],
    ],
    ids=["always", "at the end", "white space", "as an object"],
)
def test_arguments_that_are_repeated_are_told_once(fragments: list[Any]) -> None:
    reading = Reading(piece("", "f", "c1"), *(piece(fragment) for fragment in fragments))
    assert json.loads(reading.calls[0][2]) == {"a": [1, 2]}
    assert "".join(one.arguments for one in reading.deltas if isinstance(one, CallPiece)).strip() == reading.calls[0][2]


def test_arguments_may_quote_themselves() -> None:
    written = json.dumps({"a": '{"a": "x'})
    reading = Reading(piece("", "f", "c1"), *(piece(sign) for sign in written))
    assert reading.calls == [("c1", "f", written)]


def test_a_part_may_be_reasoning() -> None:
    reading = Reading(
        delta(content=[{"type": "reasoning", "text": "a"}]), delta(content={"type": "text", "text": "b"}), STOP
    )
    assert (reading.thought, reading.text) == ("a", "b")
