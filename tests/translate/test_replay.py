from __future__ import annotations

import json
from typing import Any

import pytest
from msgspec import Raw
from tests.codex_requests import call, message, output
from tests.talks import MORE, USER, Item, assistant, messages, refused, sealed, thought

from codex_nexus.translate.dialect import Dialect

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


# --- what the provider signed

SIGNATURE = Raw(b'{"google":{"thought_signature":"SIG"}}')
DUMMY = {"google": {"thought_signature": "skip_thought_signature_validator"}}


def signatures(*items: Item, dialect: Dialect) -> list[Any]:
    return [
        one.get("extra_content", {}) for said in messages(*items, dialect=dialect) for one in said.get("tool_calls", [])
    ]


def test_an_answer_without_a_signature_gets_the_dummy_on_its_first_call() -> None:
    foreign = [call("a", "f", "{}"), call("b", "f", "{}"), output("a", "x"), output("b", "x"), call("c", "f", "{}")]
    dialect = Dialect(dummy_signature=True, reasoning_field="extra_content")
    assert signatures(USER, *foreign, dialect=dialect) == [DUMMY, {}, DUMMY]
    assert signatures(USER, *foreign, dialect=Dialect(reasoning_field="extra_content")) == [{}, {}, {}]


@pytest.mark.parametrize("field", ["extra_content", "reasoning_content"])
def test_a_known_signature_is_better_than_the_dummy(field: Any) -> None:
    dialect = Dialect(dummy_signature=True, reasoning_field=field, family="own")
    own = sealed(signatures={"a": SIGNATURE})
    assert signatures(USER, own, call("a", "f", "{}"), call("b", "f", "{}"), dialect=dialect) == [
        {"google": {"thought_signature": "SIG"}},
        {},
    ]


def test_the_dummy_is_sent_also_where_reasoning_never_goes_back() -> None:
    dialect = Dialect(dummy_signature=True, reasoning_replay="never", family="own")
    own = sealed(signatures={"a": SIGNATURE})
    assert signatures(USER, own, call("a", "f", "{}"), dialect=dialect) == [DUMMY]
    assert messages(USER, message("assistant", "hi"), MORE, dialect=dialect)[1] == {
        "role": "assistant",
        "content": "hi",
    }


def details(*items: Item, **fields: Any) -> Any:
    dialect = Dialect(reasoning_field="reasoning_details", family="own", **fields)
    return assistant(USER, *items, call("a", "f", "{}"), dialect=dialect).get("reasoning_details")


def test_unsigned_reasoning_may_be_refused() -> None:
    text = [{"type": "reasoning.text", "text": "hm"}]
    assert details(thought("hm")) == text
    assert details(thought("hm"), unsigned_reasoning=False) is None
    signed = {"type": "reasoning.text", "text": "hm", "signature": "S"}
    own = sealed(details=[Raw(json.dumps(signed).encode())])
    assert details(own, unsigned_reasoning=False) == [signed]


@pytest.mark.parametrize(("missing", "said"), [("omit", None), ("empty", []), ("space", [])])
def test_details_that_are_unknown_are_an_empty_list(missing: Any, said: Any) -> None:
    assert details(reasoning_missing=missing) == said


def test_an_item_of_the_other_wire_is_no_detail() -> None:
    item = Raw(b'{"type":"reasoning","encrypted_content":"E"}')
    assert details(sealed("hm", details=[item])) == [{"type": "reasoning.text", "text": "hm"}]
    assert details(sealed("hm", details=[item, Raw(b"5")])) == [5]
