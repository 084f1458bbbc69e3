from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from tests import oracle
from tests.driving import answered, chat_of, chunks

from codex_nexus.translate.clients import CODEX, PLAIN, Client
from codex_nexus.translate.dialect import DEFAULT, Dialect
from codex_nexus.translate.logprobs import read_logprobs

INCLUDE = "message.output_text.logprobs"
ASKED: dict[str, Any] = {"include": [INCLUDE], "top_logprobs": 1}
ITEMS = Dialect(wire="responses")


def token(text: str, **more: Any) -> dict[str, Any]:
    """A token as both APIs write it."""
    return {"token": text, "logprob": -0.5, "bytes": list(text.encode()), "top_logprobs": []} | more


def chat(*pieces: dict[str, Any] | str, **more: Any) -> bytes:
    """An answer in chunks; of a plain text each chunk has the logprob of all that it says."""
    choices = [
        {"index": 0, "delta": {"content": piece}, "logprobs": {"content": [token(piece)]}}
        if isinstance(piece, str)
        else {"index": 0} | piece
        for piece in pieces
    ]
    choices.append({"index": 0, "delta": {}, "finish_reason": "stop"} | more)
    return b"".join(b"data: " + json.dumps({"choices": [choice]}).encode() + b"\n\n" for choice in choices)


def items(*events: dict[str, Any]) -> bytes:
    """An answer of the other wire."""
    end = {"type": "response.completed", "response": {"status": "completed", "output": []}}
    return b"".join(b"data: " + json.dumps(event).encode() + b"\n\n" for event in (*events, end))


def told(
    stream: bytes, dialect: Dialect = DEFAULT, client: Client = PLAIN, **request: Any
) -> tuple[list[list[dict[str, Any]]], list[dict[str, Any]]]:
    """The logprobs of each piece of text, and those of the whole."""
    events = oracle.decoded(answered([stream], client, dialect, ASKED | request))
    oracle.read(answered([stream], client, dialect, ASKED | request))
    [done] = [event for event in events if event["type"] == "response.output_text.done"]
    parts = [event["part"] for event in events if event["type"] == "response.content_part.done"]
    item = next(item for item in events[-1]["response"]["output"] if item["type"] == "message")
    assert done["logprobs"] == parts[-1]["logprobs"] == item["content"][0]["logprobs"]
    deltas = [event["logprobs"] for event in events if event["type"] == "response.output_text.delta"]
    return deltas, done["logprobs"]


# --- what is asked


@pytest.mark.parametrize(
    ("request_", "sent"),
    [
        ({}, {}),
        ({"include": ["reasoning.encrypted_content"]}, {}),
        ({"include": [INCLUDE]}, {"logprobs": True}),
        ({"include": [INCLUDE], "top_logprobs": 0}, {"logprobs": True}),
        ({"top_logprobs": 3}, {"logprobs": True, "top_logprobs": 3}),
        (ASKED, {"logprobs": True, "top_logprobs": 1}),
    ],
)
def test_they_are_asked_for(request_: dict[str, Any], sent: dict[str, Any]) -> None:
    body = chat_of(request_)
    assert {name: body[name] for name in ("logprobs", "top_logprobs") if name in body} == sent


@pytest.mark.parametrize(
    "dialect",
    [Dialect(only_params=("temperature",)), Dialect(drop_params=("logprobs",))],
)
@pytest.mark.parametrize("wire", ["chat", "responses"])
def test_who_does_not_know_them_is_not_asked(dialect: Dialect, wire: Any) -> None:
    body = chat_of(ASKED, msgspec.structs.replace(dialect, wire=wire))
    assert not {"logprobs", "top_logprobs", "include"} & body.keys()


def test_the_other_wire_is_asked_in_its_own_words() -> None:
    body = chat_of(ASKED, ITEMS)
    assert (body["include"], body["top_logprobs"]) == ([INCLUDE], 1)
    assert "logprobs" not in body


def test_what_a_dialect_includes_anyway_stays() -> None:
    own = msgspec.structs.replace(ITEMS, extra_body={"include": msgspec.Raw(b'["reasoning.encrypted_content"]')})
    assert chat_of(ASKED, own)["include"] == ["reasoning.encrypted_content", INCLUDE]
    assert chat_of({}, own)["include"] == ["reasoning.encrypted_content"]


# --- what is told


def test_each_piece_has_its_own_and_the_whole_has_all() -> None:
    deltas, whole = told(chat("Hel", "lo", " 👋"))
    assert deltas == [[token("Hel")], [token("lo")], [token(" 👋")]]
    assert whole == [token("Hel"), token("lo"), token(" 👋")]


def test_an_answer_in_one_piece_has_them_too() -> None:
    choice = {"index": 0, "message": {"content": "Hello"}, "finish_reason": "stop"}
    choice["logprobs"] = {"content": [token("Hel"), token("lo")]}
    body = b"data: " + json.dumps({"choices": [choice]}).encode() + b"\n\n"
    assert told(body) == ([[token("Hel"), token("lo")]], [token("Hel"), token("lo")])


def test_nobody_is_told_who_did_not_ask() -> None:
    assert told(chat("Hello"), include=[], top_logprobs=None) == ([[]], [])


def test_a_provider_that_tells_none_breaks_nothing() -> None:
    assert told(chunks({"content": "Hello"})) == ([[]], [])


def test_those_of_thoughts_are_not_told() -> None:
    thought = {"delta": {"reasoning_content": "hm"}, "logprobs": {"content": [token("hm")]}}
    assert told(chat(thought, "Hello"))[1] == [token("Hello")]
    assert told(chat("<think>", "hm", "</think>", "Hello"))[1] == [token("Hello")]


def test_an_answer_that_is_told_whole_has_all_in_its_one_piece() -> None:
    form = {"format": {"type": "json_object"}}
    deltas, whole = told(chat('{"a":', "1}"), client=CODEX, text=form)
    assert deltas == [[token('{"a":'), token("1}")]] == [whole]


def test_the_other_wire_tells_them_by_piece_or_only_at_the_end() -> None:
    part = {"item_id": "m", "output_index": 0, "content_index": 0}
    pieces = [
        {"type": "response.output_text.delta", **part, "delta": text, "logprobs": [token(text)]}
        for text in ("Hel", "lo")
    ]
    done = {"type": "response.output_text.done", **part, "text": "Hello", "logprobs": [token("Hel"), token("lo")]}
    assert told(items(*pieces, done), ITEMS) == ([[token("Hel")], [token("lo")]], [token("Hel"), token("lo")])
    assert told(items(done), ITEMS)[1] == [token("Hel"), token("lo")]
    content = [{"type": "output_text", "text": "Hello", "logprobs": [token("Hello")]}]
    item = {"type": "message", "id": "m", "content": content}
    assert told(items({"type": "response.output_item.done", "item": item}), ITEMS)[1] == [token("Hello")]
    assert told(items(*pieces), ITEMS, include=[], top_logprobs=None)[1] == []


# --- their shape


def test_what_is_missing_is_added_and_what_is_odd_left_out() -> None:
    other = {"token": "b", "logprob": -2, "bytes": None}
    given: list[Any] = [
        {"token": "é", "logprob": -1, "top_logprobs": [other, {"token": "c"}, 5]},
        {"token": 5, "logprob": 0.0},
        {"token": "x", "logprob": None},
        None,
        {"token": "\ud83d", "logprob": -1.5, "bytes": [240], "top_logprobs": None},
    ]
    likely = {"token": "b", "logprob": -2.0, "bytes": [98]}
    assert [json.loads(bytes(raw)) for raw in read_logprobs(given)] == [
        {"token": "é", "logprob": -1.0, "bytes": [195, 169], "top_logprobs": [likely]},
        {"token": "�", "logprob": -1.5, "bytes": [240], "top_logprobs": []},
    ]


@pytest.mark.parametrize("odd", [None, "text", 5, {}, {"content": 1}])
def test_what_is_no_list_is_nothing(odd: Any) -> None:
    assert read_logprobs(odd) == []
