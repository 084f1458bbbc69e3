from __future__ import annotations

import json
from typing import Any

import pytest
from msgspec import Raw
from tests import oracle
from tests.chat_rules import broken
from tests.codex_requests import PATCH, first_turn, later_turn
from tests.driving import NOW, answered, call, chat_of, chunks, counted_ids, opened, played

from codex_nexus.errors import InvalidRequest
from codex_nexus.translate.clients import CODEX, PLAIN, Client
from codex_nexus.translate.dialect import DEFAULT, Dialect
from codex_nexus.translate.faults import Fault
from codex_nexus.translate.sealed import unseal
from codex_nexus.translate.turn import input_items, open_turn
from codex_nexus.wire.create import CreateResponse, decode_create
from codex_nexus.wire.events import EventEncoder

COUNTED = {"prompt_tokens": 9, "completion_tokens": 3, "total_tokens": 12}
both = pytest.mark.parametrize("client", [PLAIN, CODEX], ids=lambda client: client.name)


def story_of(
    *pieces: bytes, client: Client = PLAIN, request: dict[str, Any] | None = None, dialect: Dialect = DEFAULT
) -> oracle.Story:
    return oracle.read(answered(pieces, client, dialect, request))


# --- driving


@both
def test_the_answer_of_a_turn_is_the_response_of_its_last_event(client: Client) -> None:
    turn = opened(client=client)
    turn.to_chat(DEFAULT, "m")
    assert not turn.over
    story = oracle.read(played(turn, [chunks({"content": "hi"}, usage=COUNTED)]))
    assert turn.over
    assert (turn.response.status, turn.response.completed_at, turn.response.created_at) == ("completed", NOW + 1, NOW)
    assert story.response["usage"]["total_tokens"] == 12


def test_nothing_is_said_after_the_end() -> None:
    turn = opened()
    played(turn, [chunks({"content": "hi"})])
    assert turn.receive_data(chunks({"content": "more"}), NOW) == []
    assert turn.close(NOW) == []
    assert turn.fail(Fault("timeout", "late"), NOW) == []
    assert turn.heartbeat() == []


def test_a_turn_is_over_at_done_even_if_the_body_goes_on() -> None:
    turn = opened()
    turn.receive_data(chunks({"content": "hi"}) + b"data: {", NOW)
    assert turn.over


def test_once_upstream_has_finished_only_usage_can_come() -> None:
    turn = opened()
    turn.receive_data(chunks({"content": "hi"}, finish=None).removesuffix(b"data: [DONE]\n\n"), NOW)
    assert not turn.finished
    turn.receive_data(b'data: {"choices":[{"finish_reason":"stop"}]}\n\n', NOW)
    assert (turn.finished, turn.over) == (True, False)
    turn.close(NOW)
    assert turn.response.status == "completed"


@both
def test_a_driver_can_end_a_turn_that_upstream_left_open(client: Client) -> None:
    turn = opened(client=client)
    encoder = EventEncoder()
    stream = encoder.sse(turn.start() + turn.receive_data(chunks({"content": "a"}, finish=None)[:-14], NOW))
    stream += encoder.sse(turn.heartbeat())
    stream += encoder.sse(turn.fail(Fault("timeout", "No news for 300 s"), NOW))
    story = oracle.read(stream)
    assert (story.status, story.code, story.message, story.text) == ("failed", "server_error", "No news for 300 s", "a")


def test_the_first_fault_wins() -> None:
    turn = opened()
    turn.receive_data(b'data: {"error":"first"}', NOW)
    turn.close(NOW)
    assert turn.response.error is not None
    assert turn.response.error.message == "first"


def test_another_provider_gets_a_fresh_reader_and_its_own_words() -> None:
    turn = opened({"tools": [{"type": "function", "name": "read.file"}]})
    first = turn.to_chat(Dialect(max_tool_name=64), "a")
    turn.receive_data(b"data: {half", NOW)
    second = turn.to_chat(Dialect(family="own", stream_usage="implicit"), "b", lambda message: f"Them: {message}")
    assert (json.loads(first)["model"], json.loads(second)["model"]) == ("a", "b")
    assert "stream_options" not in json.loads(second)
    story = oracle.read(played(turn, [b'data: {"error":"no"}\n\n']))
    assert story.message == "Them: no"


# --- what was asked


def test_reasoning_is_sealed_for_those_who_ask_and_shown_as_they_ask() -> None:
    answer = chunks({"reasoning": "a"}, {"content": "b"})
    request = {"include": ["reasoning.encrypted_content"], "reasoning": {"generate_summary": "auto"}}
    asked = story_of(answer, client=CODEX, request=request, dialect=Dialect(family="own"))
    (blob,) = asked.sealed
    sealed = unseal(blob, "reasoning")
    assert sealed is not None
    assert (sealed.family, asked.summary, asked.reasoning) == ("own", "a", "")
    for silent in ({}, {"reasoning": {"summary": "none"}}, {"reasoning": {}}):
        story = story_of(answer, client=CODEX, request=silent)
        assert (story.sealed, story.summary, story.reasoning) == ([], "", "a")


def test_usage_is_estimated_for_those_who_cannot_live_without() -> None:
    answer = chunks({"content": "a" * 400})
    assert story_of(answer, client=PLAIN).usage is None
    usage = story_of(answer, client=CODEX, dialect=Dialect(context_window=10)).usage
    assert usage is not None
    assert usage["input_tokens"] == 10
    assert usage["output_tokens"] >= 100
    counted = story_of(chunks({"content": "a"}, usage=COUNTED), client=CODEX).usage
    assert counted is not None
    assert counted["total_tokens"] == 12


SCHEMA = {"format": {"type": "json_schema", "name": "n", "schema": {"type": "object"}}}
FENCED = chunks({"reasoning": "r"}, {"content": "Here:\n```json\n"}, {"content": '{"ok":true}\n```'})


@pytest.mark.parametrize(
    ("client", "dialect", "text"),
    [
        (CODEX, DEFAULT, '{"ok":true}'),
        (PLAIN, Dialect(response_format="object"), '{"ok":true}'),
        (PLAIN, DEFAULT, 'Here:\n```json\n{"ok":true}\n```'),
    ],
)
def test_json_is_freed_of_its_wrapping_where_nobody_enforces_its_form(
    client: Client, dialect: Dialect, text: str
) -> None:
    story = story_of(FENCED, client=client, request={"text": SCHEMA}, dialect=dialect)
    assert (story.text, story.reasoning) == (text, "r")


def test_json_that_was_cut_is_told_as_far_as_it_came() -> None:
    cut = chunks({"content": '```{"ok"'}, finish="length")
    assert story_of(cut, client=CODEX, request={"text": SCHEMA}).text == '```{"ok"'
    plain = {"text": {"format": {"type": "text"}}}
    assert story_of(chunks({"content": "```x```"}), client=CODEX, request=plain).text == "```x```"


LEAK = chunks({"content": '<tool_call>{"name":"f","arguments":{}}</tool_call>'})


@pytest.mark.parametrize(
    ("tool_text", "tools", "warnings"),
    [
        ("off", [{"type": "function", "name": "f"}], ("leaked_tool_markup",)),
        ("on", [{"type": "function", "name": "f"}], ("rescued_tool_call",)),
        ("on", [], ()),
    ],
)
def test_calls_that_arrive_as_text_are_worth_a_warning(tool_text: Any, tools: Any, warnings: tuple[str, ...]) -> None:
    turn = opened({"tools": tools})
    turn.to_chat(Dialect(tool_text=tool_text), "m")
    assert turn.warnings == ()
    played(turn, [LEAK])
    assert turn.warnings == warnings


# --- a summary of the thread

COMPACT: dict[str, Any] = {
    "input": [{"role": "user", "content": "go"}, {"type": "compaction_trigger"}],
    "tools": [{"type": "function", "name": "f"}],
}


@both
def test_a_trigger_makes_the_answer_a_summary(client: Client) -> None:
    answer = chunks({"reasoning": "r"}, {"content": " We read "}, {"content": "the docs.\n"}, call("f"), usage=COUNTED)
    story = story_of(answer, client=client, request=COMPACT)
    (item,) = story.output
    sealed = unseal(item["encrypted_content"], "summary")
    assert sealed is not None
    assert (item["type"], sealed.text) == ("compaction", "We read the docs.")
    assert chat_of(COMPACT)["tool_choice"] == "none"


@pytest.mark.parametrize("answer", [chunks({"content": " "}), chunks(call("f")), chunks()])
def test_an_empty_summary_is_a_failure(answer: bytes) -> None:
    story = story_of(answer, request=COMPACT)
    assert (story.status, story.output) == ("failed", [])


NO_TOOLS: dict[str, Any] = {"tools": []}


def test_a_call_beside_words_is_nothing_to_codex_where_it_offers_no_tools() -> None:
    answer = chunks({"content": "The summary."}, call("f"))
    story = story_of(answer, client=CODEX, request=NO_TOOLS)
    assert (story.status, story.text, story.calls) == ("completed", "The summary.", [])
    assert [told.name for told in story_of(answer, request=NO_TOOLS).calls] == ["f"]


def test_a_call_in_the_place_of_words_is_a_failure_to_codex_where_it_offers_no_tools() -> None:
    story = story_of(chunks({"reasoning": "r"}, call("f")), client=CODEX, request=NO_TOOLS)
    assert (story.status, story.code, story.calls) == ("failed", "server_error", [])
    assert story.message == "The model called 'f' where it was to answer in words"


def test_a_summary_goes_on_as_the_users_words() -> None:
    (item,) = story_of(chunks({"content": "We read the docs."}), request=COMPACT).output
    messages = chat_of({"input": [item, {"role": "user", "content": "go on"}]})["messages"]
    assert messages[0]["content"].endswith("\n\nWe read the docs.")


# --- Codex


def test_a_first_request_of_codex_becomes_a_legal_chat() -> None:
    chat = chat_of(first_turn())
    assert broken(chat, DEFAULT) == []
    assert [message["role"] for message in chat["messages"]] == ["system", "user", "user"]
    assert [tool["function"]["name"] for tool in chat["tools"]] == [
        "exec_command",
        "write_stdin",
        "apply_patch",
        "view_image",
        "mcp__tiny__echo",
        "tool_search",
    ]


def test_a_later_request_of_codex_keeps_calls_and_results_together() -> None:
    chat = chat_of(later_turn())
    assert broken(chat, DEFAULT) == []
    roles = "system user user assistant tool tool assistant tool tool user assistant user"
    assert [message["role"] for message in chat["messages"]] == roles.split()
    first, second = (message for message in chat["messages"] if message.get("tool_calls"))
    assert first["content"] == "I look first.\n\nAnd ask the server."
    assert first["reasoning_content"] == "look, then patch"
    assert [call["function"]["name"] for call in first["tool_calls"]] == ["exec_command", "mcp__tiny__echo"]
    assert json.loads(second["tool_calls"][0]["function"]["arguments"]) == {"input": PATCH}
    assert chat["messages"][-1]["content"].endswith("now in French")


def test_codex_gets_back_what_it_declared() -> None:
    answer = chunks(
        {"reasoning_content": "think"},
        {"content": "I begin."},
        call("exec_command", '{"cmd":"ls"}', "a", 0),
        call("mcp__tiny__echo", '{"text":"x"}', "b", 1),
        call("apply_patch", json.dumps({"input": PATCH.replace("Patch\n", "Patch ***\n", 1)}), "c", 2),
        call("tool_search", '{"query":"q"}', "d", 3),
        finish="tool_calls",
        usage=COUNTED,
    )
    story = story_of(answer, client=CODEX, request=first_turn())
    assert (story.summary, story.text) == ("think", "I begin.")
    assert [(told.type, told.namespace, told.name, told.arguments) for told in story.calls] == [
        ("function_call", None, "exec_command", '{"cmd":"ls"}'),
        ("function_call", "mcp__tiny", "echo", '{"text":"x"}'),
        ("custom_tool_call", None, "apply_patch", PATCH),
        ("tool_search_call", None, "", {"query": "q"}),
    ]


def test_reasoning_and_signatures_make_the_round_trip() -> None:
    dialect = Dialect(family="own", reasoning_field="extra_content")
    signed = {
        "tool_calls": [
            {
                "index": 0,
                "id": "a",
                "function": {"name": "exec_command", "arguments": "{}"},
                "extra_content": {"sig": "S"},
            }
        ]
    }
    story = story_of(chunks({"reasoning": "r"}, signed), client=CODEX, request=first_turn(), dialect=dialect)
    again = first_turn(*story.output, {"type": "function_call_output", "call_id": "a", "output": "ok"})
    (message,) = (message for message in chat_of(again, dialect)["messages"] if "tool_calls" in message)
    assert message["tool_calls"][0]["extra_content"] == {"sig": "S"}


# --- items to store


@pytest.mark.parametrize(
    ("given", "stored"),
    [
        ("hi", [{"type": "message", "role": "user", "content": [{"type": "input_text", "text": "hi"}]}]),
        (
            [{"role": "user", "content": "hi"}, {"type": "new", "x": [1]}],
            [{"role": "user", "content": "hi"}, {"type": "new", "x": [1]}],
        ),
    ],
)
def test_the_input_is_stored_as_a_list_of_items(given: Any, stored: Any) -> None:
    create = decode_create(json.dumps({"model": "m", "input": given}).encode())
    assert json.loads(bytes(input_items(create))) == stored


def test_no_input_is_an_empty_list_and_anything_else_is_refused() -> None:
    assert bytes(input_items(CreateResponse(model="m"))) == b"[]"
    with pytest.raises(InvalidRequest):
        input_items(CreateResponse(model="m", input=Raw(b"5")))


def test_stored_turns_come_before_the_new_words() -> None:
    create = decode_create(b'{"model":"m","previous_response_id":"resp_0","input":"and you?"}')
    turns = [
        Raw(b'[{"role":"user","content":"hi"}]'),
        Raw(b'[{"type":"message","role":"assistant","content":"hello"}]'),
    ]
    turn = open_turn(create, turns, PLAIN, counted_ids(), NOW)
    assert [message["content"] for message in json.loads(turn.to_chat(DEFAULT, "m"))["messages"]] == [
        "hi",
        "hello",
        "and you?",
    ]
    assert turn.response.previous_response_id == "resp_0"
