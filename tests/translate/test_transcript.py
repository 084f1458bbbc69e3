from __future__ import annotations

from typing import Any

import pytest
from tests.codex_requests import PICTURE, call, message, output, picture
from tests.talks import MORE, USER, Item, assistant, contents, messages, refused, roles

from codex_nexus.translate.dialect import Dialect
from codex_nexus.translate.sealed import Sealed, seal

TAGGED = "<developer_message>\n{}\n</developer_message>"


# --- reports


def test_what_a_tool_reports_unasked_is_told_behind_the_results() -> None:
    report = {"type": "function_call_output", "name": "goal_objective", "namespace": "agent", "output": "win"}
    thread = messages(USER, call("a", "f", "{}"), call("b", "f", "{}"), output("a", "1"), report, output("b", "2"))
    assert [said["role"] for said in thread] == ["user", "assistant", "tool", "tool", "user"]
    assert thread[-1]["content"] == "[told by agent.goal_objective]\nwin"
    assert contents(report | {"namespace": None}) == ["[told by goal_objective]\nwin"]


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


def test_without_a_role_system_the_first_message_of_the_user_begins_with_the_instructions() -> None:
    early, late = message("developer", "Use tabs."), message("developer", "Use spaces.")
    told, none = TAGGED.format("Be brief.\n\nUse tabs."), Dialect(system="first_user")
    thread = messages(early, USER, message("assistant", "hi"), late, MORE, instructions="Be brief.", dialect=none)
    assert [(said["role"], said["content"]) for said in thread] == [
        ("user", f"{told}\n\ngo"),
        ("assistant", "hi"),
        ("user", f"{TAGGED.format('Use spaces.')}\n\nmore"),
    ]


def test_without_a_role_system_what_was_said_stays_as_it_was() -> None:
    none = Dialect(system="first_user", merge_users=True)
    thread = [message("developer", "Use tabs."), USER, MORE, call("a", "f", "{}"), output("a", "1"), USER]
    whole = messages(*thread, dialect=none)
    for turns in (3, 5):
        before = messages(*thread[:turns], dialect=none)
        assert whole[: len(before)] == before


def test_without_a_role_system_pictures_stand_behind_the_instructions() -> None:
    first = messages(message("developer", "Look."), message("user", picture()), dialect=Dialect(system="first_user"))[0]
    assert first["content"][0] == {"type": "text", "text": TAGGED.format("Look.")}
    assert first["content"][-1]["type"] == "image_url"


@pytest.mark.parametrize("head", [[], [message("developer", "Use tabs.")]])
def test_where_roles_alternate_the_user_begins(head: list[Item]) -> None:
    for dialect in (Dialect(system="first_user", merge_users=True), Dialect(merge_users=True)):
        thread = messages(*head, message("assistant", "hi"), USER, dialect=dialect)
        assert [said["role"] for said in thread if said["role"] != "system"] == ["user", "assistant", "user"]


def test_nobody_asked_anything_and_there_is_no_role_system() -> None:
    only = messages(message("developer", "Use tabs."), dialect=Dialect(system="first_user"))
    assert only == [{"role": "user", "content": f"{TAGGED.format('Use tabs.')}\n\nContinue."}]


def test_late_developer_messages_lead_the_next_words_of_the_user() -> None:
    first, second = message("developer", "A"), message("developer", "B")
    assert contents(USER, first, second, MORE) == ["go", f"{TAGGED.format('A')}\n\n{TAGGED.format('B')}\n\nmore"]
    assert contents(USER, MORE, first) == ["go", "more", TAGGED.format("A")]


def test_inline_stays_where_it_was() -> None:
    assert roles(USER, message("developer", "A"), MORE, dialect=Dialect(system="inline")) == "user system user"


def test_a_developer_message_without_words_is_nothing() -> None:
    assert contents(USER, message("developer", ""), MORE) == ["go", "more"]


# --- user messages


def test_mere_white_space_is_no_message() -> None:
    assert contents(USER, message("assistant", "\n\n"), message("user", " "), MORE) == ["go", "more"]
    assert assistant(USER, message("assistant", " \n"), call("a", "f", "{}"))["content"] is None


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


def test_a_user_never_comes_right_after_a_tool_where_that_is_refused() -> None:
    history = [USER, call("a", "f", "{}"), output("a", "x"), MORE]
    assert contents(*history, dialect=Dialect(tool_to_user_bridge=True))[-2:] == ["OK.", "more"]
    assert contents(USER, MORE, dialect=Dialect(tool_to_user_bridge=True)) == ["go", "more"]
