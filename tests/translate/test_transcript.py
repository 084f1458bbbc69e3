from __future__ import annotations

import json
import re
from typing import Any

import pytest
from msgspec import Raw
from tests.codex_requests import PICTURE, call, message, output, picture
from tests.driving import chat_of

from codex_nexus.errors import InvalidRequest
from codex_nexus.translate.dialect import DEFAULT, Dialect
from codex_nexus.translate.sealed import Sealed, seal

Item = dict[str, Any]
USER, MORE = message("user", "go"), message("user", "more")
TAGGED = "<developer_message>\n{}\n</developer_message>"


def messages(*items: Item, dialect: Dialect = DEFAULT, **fields: Any) -> list[dict[str, Any]]:
    return chat_of({"input": list(items)} | fields, dialect)["messages"]


def roles(*items: Item, dialect: Dialect = DEFAULT) -> str:
    return " ".join(said["role"] for said in messages(*items, dialect=dialect))


def contents(*items: Item, dialect: Dialect = DEFAULT) -> list[Any]:
    return [said["content"] for said in messages(*items, dialect=dialect)]


def assistant(*items: Item, dialect: Dialect = DEFAULT) -> dict[str, Any]:
    (only,) = [said for said in messages(*items, dialect=dialect) if said["role"] == "assistant"]
    return only


def thought(text: str, **fields: Any) -> Item:
    return {"type": "reasoning", "summary": [], "content": [{"type": "reasoning_text", "text": text}]} | fields


def sealed(text: str = "sealed", family: str = "own", **more: Any) -> Item:
    blob = seal(Sealed("reasoning", family, text, **more))
    return {"type": "reasoning", "summary": [{"type": "summary_text", "text": "shown"}], "encrypted_content": blob}


def refused(*items: Item, dialect: Dialect = DEFAULT) -> str | None:
    with pytest.raises(InvalidRequest) as caught:
        messages(*items, dialect=dialect)
    return caught.value.param


# --- developer messages


def test_instructions_and_early_developer_messages_are_one_system_message() -> None:
    early = message("developer", "Use tabs.", "No emoji.")
    assert messages(early, USER, instructions="Be brief.") == [
        {"role": "system", "content": "Be brief.\n\nUse tabs.\n\nNo emoji."},
        {"role": "user", "content": "go"},
    ]


@pytest.mark.parametrize("before", [USER, message("assistant", "hi"), call("a", "f", "{}")])
def test_once_the_talk_has_begun_a_developer_message_is_late(before: Item) -> None:
    late = message("developer", "Use tabs.")
    assert TAGGED.format("Use tabs.") in contents(before, late)
    assert contents(before, late, dialect=Dialect(system="head"))[0] == "Use tabs."
    assert {"role": "system", "content": "Use tabs."} in messages(before, late, dialect=Dialect(system="inline"))


def test_late_developer_messages_lead_the_next_words_of_the_user() -> None:
    first, second = message("developer", "A"), message("developer", "B")
    assert contents(USER, first, second, MORE) == ["go", f"{TAGGED.format('A')}\n\n{TAGGED.format('B')}\n\nmore"]
    assert contents(USER, MORE, first) == ["go", "more", TAGGED.format("A")]


def test_inline_stays_where_it_was() -> None:
    assert roles(USER, message("developer", "A"), MORE, dialect=Dialect(system="inline")) == "user system user"


def test_a_developer_message_without_words_is_nothing() -> None:
    assert contents(USER, message("developer", ""), MORE) == ["go", "more"]


# --- user messages


def test_empty_messages_are_left_out() -> None:
    assert contents(message("user", ""), USER, message("user"), message("assistant", ""), MORE) == ["go", "more"]


def test_users_may_have_to_be_one() -> None:
    assert contents(USER, MORE, dialect=Dialect(merge_users=True)) == ["go\n\nmore"]
    late = message("developer", "A")
    assert contents(USER, late, MORE, dialect=Dialect(merge_users=True)) == [f"go\n\n{TAGGED.format('A')}\n\nmore"]


def test_a_picture_makes_parts_of_a_message() -> None:
    odd = {"type": "input_image", "image_url": {"url": PICTURE}, "detail": "original"}
    assert contents(message("user", "look", picture(), odd)) == [
        [
            {"type": "text", "text": "look"},
            {"type": "image_url", "image_url": {"url": PICTURE, "detail": "high"}},
            {"type": "image_url", "image_url": {"url": PICTURE, "detail": "high"}},
        ]
    ]
    bare = {"type": "input_image", "image_url": PICTURE}
    assert contents(message("user", bare)) == [[{"type": "image_url", "image_url": {"url": PICTURE}}]]


@pytest.mark.parametrize(
    ("images", "url", "shown"),
    [
        ("none", PICTURE, "[image omitted: this model cannot see images]"),
        ("data", "https://x.test/a.png", "[image omitted: this provider takes only images inside the request]"),
        ("data+url", "https://x.test/a.png", None),
    ],
)
def test_a_picture_that_the_model_cannot_take_becomes_a_note(images: Any, url: str, shown: str | None) -> None:
    (content,) = contents(message("user", {"type": "input_image", "image_url": url}), dialect=Dialect(images=images))
    assert content == (shown or [{"type": "image_url", "image_url": {"url": url}}])


@pytest.mark.parametrize(
    "part",
    [
        {"type": "input_file", "file_data": "x"},
        {"type": "input_audio", "input_audio": {}},
        {"type": "input_image", "file_id": "f"},
        {"type": "input_image", "image_url": 5},
        {"type": "input_image", "image_url": {"url": 5}},
    ],
)
def test_content_that_nobody_takes_is_refused_and_named(part: Item) -> None:
    assert refused(USER, message("user", "look", part)) == "input[1].content[1]"


def test_unknown_content_leaves_a_note() -> None:
    assert contents(message("user", {"type": "new"}, {"x": 1}, {"type": "input_text", "text": 5})) == [
        "[content of type new omitted]\n\n[content of type unknown omitted]"
    ]


def test_there_is_always_a_user_and_the_last_word_is_never_the_assistants() -> None:
    assert contents() == ["Continue."]
    assert contents(message("assistant", "hi")) == ["hi", "Continue."]
    assert roles(call("a", "f", "{}"), output("a", "x")) == "user assistant tool"


# --- other items


def test_what_agents_tell_each_other_is_the_users_words() -> None:
    said = {"type": "agent_message", "content": [{"type": "input_text", "text": "a"}, {"encrypted_content": "b"}, {}]}
    assert contents(USER, said, {"type": "agent_message", "content": [{"encrypted_content": ""}]}) == ["go", "a\nb"]


def test_a_summary_of_ours_goes_on_and_a_foreign_one_is_dropped() -> None:
    own = {"type": "compaction", "encrypted_content": seal(Sealed("summary", text="We met."))}
    empty = {"type": "compaction", "encrypted_content": seal(Sealed("summary"))}
    assert contents(own, empty, {"type": "compaction", "encrypted_content": "gAAA"}, USER) == [
        "Summary of the conversation so far:\n\nWe met.",
        "go",
    ]


def test_what_only_another_provider_could_have_run_is_dropped() -> None:
    searched = {"type": "web_search_call", "status": "completed", "action": {"type": "search"}}
    assert contents(USER, searched, {"type": "from_the_future"}, MORE) == ["go", "more"]


def test_the_model_is_asked_for_a_summary_in_words() -> None:
    assert contents(USER, {"type": "compaction_trigger"})[1].startswith("This conversation is about to be replaced")


# --- calls and results


def test_all_that_one_answer_said_is_one_message() -> None:
    said = messages(
        USER,
        message("assistant", "a"),
        call("c1", "f", "{}"),
        message("assistant", "b"),
        call("c2", "g", "{}"),
        message("assistant", "c"),
        output("c2", "2"),
        output("c1", "1"),
    )
    assert [(one["role"], one["content"]) for one in said] == [
        ("user", "go"),
        ("assistant", "a\n\nb\n\nc"),
        ("tool", "1"),
        ("tool", "2"),
    ]
    assert [one["id"] for one in said[1]["tool_calls"]] == ["c1", "c2"]


def test_two_rounds_of_calls_are_two_messages() -> None:
    assert roles(USER, call("a", "f", "{}"), output("a", "x"), call("b", "f", "{}"), output("b", "y")) == (
        "user assistant tool assistant tool"
    )


def test_an_output_that_came_too_early_is_no_reason_to_break_a_message() -> None:
    assert roles(USER, message("assistant", "a"), output("c1", "x"), call("c1", "f", "{}")) == "user assistant tool"


@pytest.mark.parametrize(
    ("content", "said"),
    [("null", None), ("empty", ""), ("omit", ...), ("text_part", [{"type": "text", "text": ""}])],
)
def test_a_message_of_calls_alone_has_the_content_that_the_server_wants(content: Any, said: Any) -> None:
    only = assistant(USER, call("a", "f", "{}"), dialect=Dialect(assistant_content=content))
    assert only.get("content", ...) == said


@pytest.mark.parametrize(
    ("arguments", "sent"),
    [
        ('{"a":1}', '{"a":1}'),
        ("", "{}"),
        (" \n", "{}"),
        (None, "{}"),
        ({"a": 1}, '{"a": 1}'),
        ([1], "{}"),
        ("[1]", '{"_raw":"[1]"}'),
        ('{"a":', '{"_raw":"{\\"a\\":"}'),
        ('{"a":"x\ny"}', '{"a":"x\\ny"}'),
        ('{"a":"\\ud83d"}', '{"a":"\ufffd"}'),
        ("[NaN]", '{"_raw":"[NaN]"}'),
    ],
)
def test_arguments_are_always_a_json_object(arguments: Any, sent: str) -> None:
    (told,) = assistant(USER, call("a", "f", arguments))["tool_calls"]
    assert told["function"]["arguments"] == sent


def test_calls_of_every_kind_are_functions_upstream() -> None:
    told = assistant(
        USER,
        {"type": "custom_tool_call", "call_id": "a", "name": "exec", "namespace": "n", "input": 'say "x"'},
        {"type": "custom_tool_call", "call_id": "b", "name": "exec"},
        {"type": "tool_search_call", "call_id": "c", "arguments": {"query": "x"}},
        {"type": "local_shell_call", "call_id": "d", "action": {"command": ["ls"]}},
    )["tool_calls"]
    assert [(one["function"]["name"], json.loads(one["function"]["arguments"])) for one in told] == [
        ("n__exec", {"input": 'say "x"'}),
        ("exec", {"input": ""}),
        ("tool_search", {"query": "x"}),
        ("local_shell", {"command": ["ls"]}),
    ]


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ("x", "x"),
        ("", "(no output)"),
        (None, "(no output)"),
        ([], "(no output)"),
        ({"n": 7}, '{"n": 7}'),
        ([{"type": "input_text", "text": "a"}, {"type": "input_text", "text": "b"}], "a\nb"),
        (
            [{"type": "input_text", "text": ""}, {"type": "new"}, {}],
            "[content of type new omitted]\n[content of type unknown omitted]",
        ),
    ],
)
def test_a_result_is_told_as_text(said: Any, told: str) -> None:
    assert (
        contents(USER, call("a", "f", "{}"), {"type": "function_call_output", "call_id": "a", "output": said})[-1]
        == told
    )


def test_pictures_of_results_follow_as_the_users() -> None:
    history = [USER, call("a", "f", "{}"), call("b", "f", "{}"), output("a", "see", picture()), output("b", "x"), MORE]
    assert roles(*history) == "user assistant tool tool user user"
    assert contents(*history)[2:4] == ["see\n[image follows]", "x"]
    assert (
        contents(*history, dialect=Dialect(tool_images="drop"))[2]
        == "see\n[image omitted: this model cannot see images]"
    )
    blind = Dialect(images="none")
    assert contents(*history, dialect=blind)[2] == "see\n[image omitted: this model cannot see images]"
    assert roles(*history, dialect=Dialect(merge_users=True)) == "user assistant tool tool user"


def test_an_output_without_its_call_is_the_users_words() -> None:
    assert contents(USER, output("x", "a", picture()))[1] == [
        {"type": "text", "text": "[result of an earlier tool call]\na\n[image follows]"},
        {"type": "image_url", "image_url": {"url": PICTURE, "detail": "high"}},
    ]


def test_found_tools_are_named_as_they_are_offered() -> None:
    tools = [{"type": "namespace", "name": "n", "tools": [{"type": "function", "name": "x" * 60, "description": "X."}]}]
    search = {"type": "tool_search_call", "call_id": "s"}
    found = {"type": "tool_search_output", "call_id": "s"}
    body = chat_of({"input": [USER, search, found | {"tools": tools}]}, Dialect(max_tool_name=40))
    (offered,) = [tool["function"]["name"] for tool in body["tools"]]
    assert body["messages"][-1]["content"] == f"These tools are available now:\n- {offered}: X."
    assert [contents(USER, search, found | {"tools": none})[-1] for none in ([], None)] == ["(no output)"] * 2


def test_a_user_never_comes_right_after_a_tool_where_that_is_refused() -> None:
    history = [USER, call("a", "f", "{}"), output("a", "x"), MORE]
    assert contents(*history, dialect=Dialect(tool_to_user_bridge=True))[-2:] == ["OK.", "more"]
    assert contents(USER, MORE, dialect=Dialect(tool_to_user_bridge=True)) == ["go", "more"]


def test_ids_are_unique_and_have_the_form_that_the_server_wants() -> None:
    history = [USER, call("a", "f", "{}"), output("a", "1"), call("a", "f", "{}"), output("a", "2")]
    told = messages(*history)
    assert [(one.get("tool_call_id"), one["content"]) for one in told if one["role"] == "tool"] == [
        ("a", "1"),
        ("a_2", "2"),
    ]
    short = [
        one["tool_call_id"] for one in messages(*history, dialect=Dialect(tool_id="alnum9")) if one["role"] == "tool"
    ]
    assert all(re.fullmatch("[0-9A-Za-z]{9}", one) for one in short)
    assert len(set(short)) == 2
    assert short == [
        one["tool_call_id"]
        for one in messages(*history, MORE, dialect=Dialect(tool_id="alnum9"))
        if one["role"] == "tool"
    ]


# --- reasoning on its way back

TURN = (thought("hm"), call("a", "f", "{}"), output("a", "x"))
TALK = (thought("hm"), message("assistant", "hi"))


@pytest.mark.parametrize(
    ("when", "with_calls", "with_words"), [("never", False, False), ("tool_turns", True, False), ("all", True, True)]
)
def test_reasoning_goes_back_with_the_messages_that_need_it(when: Any, with_calls: bool, with_words: bool) -> None:
    dialect = Dialect(reasoning_replay=when)
    assert ("reasoning_content" in assistant(USER, *TURN, dialect=dialect)) == with_calls
    assert ("reasoning_content" in assistant(USER, *TALK, dialect=dialect)) == with_words


@pytest.mark.parametrize(
    ("field", "fields"),
    [
        ("reasoning_content", {"content": "hi", "reasoning_content": "hm"}),
        ("reasoning", {"content": "hi", "reasoning": "hm"}),
        ("reasoning_details", {"content": "hi", "reasoning_details": [{"type": "reasoning.text", "text": "hm"}]}),
        ("think_tags", {"content": "<think>\nhm\n</think>\n\nhi"}),
        (
            "content_parts",
            {
                "content": [
                    {"type": "thinking", "thinking": [{"type": "text", "text": "hm"}]},
                    {"type": "text", "text": "hi"},
                ]
            },
        ),
        ("extra_content", {"content": "hi"}),
    ],
)
def test_reasoning_goes_back_in_the_field_of_the_server(field: Any, fields: dict[str, Any]) -> None:
    dialect = Dialect(reasoning_replay="all", reasoning_field=field)
    assert assistant(USER, *TALK, dialect=dialect) == {"role": "assistant"} | fields
    without = assistant(USER, message("assistant", "hi"), dialect=dialect)
    assert without == {"role": "assistant", "content": "hi"}


@pytest.mark.parametrize("content", ["null", "empty", "omit"])
def test_reasoning_may_be_all_that_a_message_of_calls_has_to_say(content: Any) -> None:
    tags = assistant(USER, *TURN, dialect=Dialect(reasoning_field="think_tags", assistant_content=content))
    parts = assistant(USER, *TURN, dialect=Dialect(reasoning_field="content_parts", assistant_content=content))
    assert tags["content"].strip() == "<think>\nhm\n</think>"
    assert parts["content"] == [{"type": "thinking", "thinking": [{"type": "text", "text": "hm"}]}]


@pytest.mark.parametrize(("missing", "said"), [("omit", None), ("empty", ""), ("space", " ")])
@pytest.mark.parametrize("field", ["reasoning_content", "reasoning"])
def test_where_reasoning_is_unknown_a_call_carries_what_the_server_accepts(missing: Any, said: Any, field: Any) -> None:
    dialect = Dialect(reasoning_missing=missing, reasoning_replay="all", reasoning_field=field)
    assert assistant(USER, call("a", "f", "{}"), dialect=dialect).get(field) == said
    assert field not in assistant(USER, message("assistant", "hi"), dialect=dialect)


def test_reasoning_is_found_in_content_or_summary_and_joined() -> None:
    summary = {
        "type": "reasoning",
        "summary": [{"type": "summary_text", "text": "s"}, {"type": "summary_text", "text": "t"}],
    }
    nothing = {"type": "reasoning", "summary": [], "content": None}
    both = thought("c", summary=[{"type": "summary_text", "text": "s"}])
    assert assistant(USER, summary, nothing, both, call("a", "f", "{}"))["reasoning_content"] == "st\n\nc"


def test_sealed_reasoning_is_shown_to_its_own_family_alone() -> None:
    own, other = Dialect(family="own"), Dialect(family="other")
    assert assistant(USER, sealed(), call("a", "f", "{}"), dialect=own)["reasoning_content"] == "sealed"
    assert "reasoning_content" not in assistant(USER, sealed(), call("a", "f", "{}"), dialect=other)
    foreign = thought("readable", encrypted_content="gAAA")
    assert "reasoning_content" not in assistant(USER, foreign, call("a", "f", "{}"), dialect=own)


def test_details_go_back_verbatim_and_signatures_on_their_calls() -> None:
    item = sealed("", details=[Raw(b'{"type":"x","data":"y"}')], signatures={"a": Raw(b'{"sig":"S"}')})
    calls = (call("a", "f", "{}"), call("b", "f", "{}"))
    details = assistant(USER, item, *calls, dialect=Dialect(family="own", reasoning_field="reasoning_details"))
    assert details["reasoning_details"] == [{"type": "x", "data": "y"}]
    signed = assistant(USER, item, *calls, dialect=Dialect(family="own", reasoning_field="extra_content"))
    assert [one.get("extra_content") for one in signed["tool_calls"]] == [{"sig": "S"}, None]


def test_reasoning_that_nothing_follows_is_dropped() -> None:
    assert messages(USER, thought("hm"), MORE) == messages(USER, MORE)


def test_broken_reasoning_is_refused() -> None:
    assert refused(USER, {"type": "reasoning", "summary": [5]}, call("a", "f", "{}")) is not None
