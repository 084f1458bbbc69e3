"""What holds for every answer, every history and every tool, however odd. Hypothesis looks for the exception.

`THOROUGH=20 pytest tests/translate/test_properties.py` looks twenty times as long.
"""

from __future__ import annotations

import json
import os
from typing import Any, get_args

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import Raw
from openai import omit
from openai.lib.streaming.responses._responses import ResponseStreamState
from openai.types.responses import ResponseStreamEvent
from pydantic import BaseModel
from tests import oracle, vectors
from tests import strategies as some
from tests.chat_rules import NAME, broken
from tests.driving import ASKED, CLIENTS, NOW, answered, chat_of, counted_ids
from tests.schema_rules import schema_faults

from codex_nexus.errors import NexusError
from codex_nexus.translate.clients import CODEX, PLAIN, Client
from codex_nexus.translate.dialect import Dialect
from codex_nexus.translate.faults import classify
from codex_nexus.translate.schema import Subset, normalised
from codex_nexus.translate.tools import ToolTable, declared
from codex_nexus.translate.turn import input_items, open_turn
from codex_nexus.wire.create import decode_create

_TIMES = int(os.environ.get("THOROUGH", "1"))
few = settings(max_examples=60 * _TIMES, deadline=None)
many = settings(max_examples=150 * _TIMES, deadline=None)

clients = st.sampled_from(CLIENTS)
GRAMMAR = {"type": "grammar", "syntax": "lark", "definition": 'start: "*** Begin Patch"'}
REQUEST: dict[str, Any] = {
    "tools": [
        {"type": "function", "name": "f"},
        {"type": "custom", "name": "exec", "format": {"type": "text"}},
        {"type": "custom", "name": "apply_patch", "format": GRAMMAR},
        {"type": "tool_search", "execution": "client", "parameters": {"type": "object"}},
        {"type": "namespace", "name": "mcp__x", "description": "X", "tools": [{"type": "function", "name": "read"}]},
    ],
    "include": ["reasoning.encrypted_content"],
}
requests = st.sampled_from(
    [
        REQUEST,
        REQUEST | {"reasoning": {"summary": "auto"}},
        REQUEST | {"text": {"format": {"type": "json_object"}}},
        {"input": [{"role": "user", "content": "hi"}, {"type": "compaction_trigger"}]},
        {},
    ]
)


# --- answers


@few
@given(st.data(), some.answers(), clients, requests)
def test_cutting_the_bytes_anywhere_changes_nothing(
    data: st.DataObject, answer: bytes, client: Client, request: dict[str, Any]
) -> None:
    whole = answered([answer], client, request=request)
    assert answered(data.draw(some.pieces(answer)), client, request=request) == whole


@few
@given(st.data(), st.sampled_from(vectors.streams()), clients)
def test_cutting_a_vector_anywhere_changes_nothing(
    data: st.DataObject, vector: vectors.StreamVector, client: Client
) -> None:
    whole = answered([vector.upstream], client, vector.dialect)
    assert answered(data.draw(some.pieces(vector.upstream)), client, vector.dialect) == whole


@many
@given(some.answers(), clients, requests)
def test_every_answer_becomes_a_legal_stream_with_one_ending(
    answer: bytes, client: Client, request: dict[str, Any]
) -> None:
    oracle.read(answered([answer], client, request=request))


@many
@given(some.answers(), requests)
def test_codex_never_gets_a_call_that_it_could_not_run(answer: bytes, request: dict[str, Any]) -> None:
    story = oracle.read(answered([answer], CODEX, request=request))
    for call in story.calls:
        assert call.status == "completed"
        assert story.status == "completed"
        if call.type == "function_call":
            assert isinstance(msgspec.json.decode(call.arguments), dict)


@many
@given(some.answers(), requests.filter(lambda request: "text" not in request))
def test_both_clients_are_told_the_same(answer: bytes, request: dict[str, Any]) -> None:
    plain = oracle.read(answered([answer], PLAIN, request=request))
    codex = oracle.read(answered([answer], CODEX, request=request))
    assert len(plain.text) + len(plain.refusal) == len(codex.text)
    assert plain.reasoning == (codex.reasoning or codex.summary)
    assert plain.usage in (codex.usage, None)
    if plain.status == "completed":
        assert {(call.name, call.namespace) for call in plain.calls} == {
            (call.name, call.namespace) for call in codex.calls
        }


@many
@given(st.binary(max_size=200), clients)
def test_random_bytes_end_in_a_failure_and_never_raise(garbage: bytes, client: Client) -> None:
    assert oracle.read(answered([garbage], client)).status == "failed"


@many
@given(some.odd_streams(), clients, requests)
def test_json_of_any_shape_never_raises(stream: bytes, client: Client, request: dict[str, Any]) -> None:
    oracle.read(answered([stream], client, request=request))


@many
@given(some.odd_event_streams(), clients, requests, st.data())
def test_events_of_any_shape_never_raise(
    stream: bytes, client: Client, request: dict[str, Any], data: st.DataObject
) -> None:
    onward = Dialect(wire="responses", family="own")
    whole = answered([stream], client, onward, request)
    oracle.read(whole)
    assert answered(data.draw(some.pieces(stream)), client, onward, request) == whole


@many
@given(st.data(), st.sampled_from(vectors.streams()), clients)
def test_a_damaged_vector_never_raises(data: st.DataObject, vector: vectors.StreamVector, client: Client) -> None:
    damaged = bytearray(vector.upstream)
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(damaged) - 1))
        damaged[at : at + data.draw(st.integers(0, 9))] = data.draw(
            st.binary(max_size=2) | st.sampled_from([b'"', b"{", b"null", b"\\ud83d", b"\n\n", b"\r"])
        )
    oracle.read(answered([bytes(damaged)], client, vector.dialect))


@many
@given(st.integers(0, 999), st.binary(max_size=80) | some.json_values.map(lambda value: json.dumps(value).encode()))
def test_every_refusal_has_a_kind(status: int, body: bytes) -> None:
    fault = classify(status, body)
    assert fault.kind in PLAIN.answers
    msgspec.json.encode(fault)


# --- the judge: OpenAI's SDK

_KNOWN: dict[str, type[BaseModel]] = {
    kind.model_fields["type"].annotation.__args__[0]: kind for kind in get_args(get_args(ResponseStreamEvent)[0])
}
_BEYOND_THE_SDK = {
    "error",
    "presence_penalty",
    "frequency_penalty",
    "name",
    "status",
    "completed_at",
    "logprobs",
    "store",
}


def extras(model: Any) -> set[str]:
    """Names of fields that the SDK's types do not have, however deep."""
    if isinstance(model, list):
        return {name for entry in model for name in extras(entry)}
    if not isinstance(model, BaseModel):
        return set()
    inner = {name for field in type(model).model_fields for name in extras(getattr(model, field))}
    return inner | set(model.model_extra or {})


@few
@given(some.answers(), clients, requests)
def test_the_sdk_accepts_every_event(answer: bytes, client: Client, request: dict[str, Any]) -> None:
    for event in oracle.decoded(answered([answer], client, request=request)):
        accepted = _KNOWN[event["type"]].model_validate_json(json.dumps(event), strict=True)
        assert sorted(extras(accepted) - _BEYOND_THE_SDK) == []


@few
@given(some.answers(), clients, requests)
def test_the_accumulator_of_the_sdk_agrees(answer: bytes, client: Client, request: dict[str, Any]) -> None:
    story = oracle.read(answered([answer], client, request=request))
    state: ResponseStreamState[Any] = ResponseStreamState(input_tools=omit, text_format=omit)
    last: Any = None
    for event in story.events:
        if event["type"] != "error":
            last = state.handle_event(_KNOWN[event["type"]].model_validate(event))[-1]
    assert last.response.status == story.status
    assert [item.to_dict()["id"] for item in last.response.output] == [item["id"] for item in story.output]
    assert last.response.output_text == story.text


# --- requests


@many
@given(some.histories, some.dialects)
def test_every_history_becomes_a_legal_chat(history: list[dict[str, Any]], dialect: Dialect) -> None:
    body = chat_of({"input": history, "instructions": "Be brief.", "tools": REQUEST["tools"]}, dialect)
    assert broken(body, dialect) == []


@few
@given(some.histories, some.histories, some.dialects)
def test_stored_items_count_as_if_they_were_sent(
    stored: list[dict[str, Any]], fresh: list[dict[str, Any]], dialect: Dialect
) -> None:
    create = decode_create(json.dumps(ASKED | {"input": fresh}).encode(), chained=True)
    turn = open_turn(create, [Raw(json.dumps(stored).encode())], CODEX, counted_ids(), NOW)
    assert json.loads(turn.to_chat(dialect, "m")) == chat_of({"input": stored + fresh}, dialect)


@few
@given(some.histories, st.data(), some.json_values)
def test_an_unknown_item_survives_and_disturbs_nothing(
    history: list[dict[str, Any]], data: st.DataObject, payload: Any
) -> None:
    at = data.draw(st.integers(0, len(history)))
    unknown = {"type": "from_the_future", "payload": payload}
    together = [*history[:at], unknown, *history[at:]]
    create = decode_create(json.dumps(ASKED | {"input": together}).encode(), chained=True)
    assert unknown in json.loads(bytes(input_items(create)))
    assert chat_of({"input": together}) == chat_of({"input": history})


@many
@given(
    st.fixed_dictionaries(
        {"model": st.just("x")},
        optional={
            "input": some.json_values | st.lists(some.items() | some.json_values, max_size=3),
            "tools": some.json_values | st.lists(some.declarations() | some.json_values, max_size=3),
            "tool_choice": some.json_values
            | st.dictionaries(
                st.sampled_from(["type", "name", "namespace", "function", "tools", "mode"]),
                some.json_values | st.sampled_from(["function", "allowed_tools", "tool_search", "shell"]),
            ),
            "text": some.json_values,
            "reasoning": some.json_values | st.just({"effort": "high"}),
            "include": some.json_values,
            "metadata": some.json_values,
        },
    ),
    some.dialects,
)
def test_an_odd_request_is_refused_with_a_sentence_or_understood(request: dict[str, Any], dialect: Dialect) -> None:
    try:
        create = decode_create(json.dumps(request).encode())
        body = json.loads(open_turn(create, [], CODEX, counted_ids(), NOW).to_chat(dialect, "m"))
    except NexusError as error:
        refusal: NexusError | None = error
    else:
        refusal = None
        assert broken(body, dialect) == []
    assert refusal is None or (refusal.status, refusal.message[-1:]) == (400, ".")


# --- tools


@many
@given(st.lists(some.declarations(), max_size=8), st.sampled_from([64, 40]))
def test_names_are_legal_and_lead_back_to_their_tool(tools: list[dict[str, Any]], longest: int) -> None:
    known = declared([Raw(json.dumps(tool).encode()) for tool in tools], "tools")
    table = ToolTable(known, longest)
    assert len(table) == len({tool.key for tool in known})
    for name, tool in table.items():
        assert NAME.fullmatch(name)
        assert len(name) <= longest
        assert table.called(name) is tool
        assert table.name_of(tool.namespace, tool.name) == name


@few
@given(some.schemas(), st.sampled_from(["plain", "mfjs", "gemini"]))
def test_a_schema_keeps_the_rules_of_its_subset(schema: Any, subset: Subset) -> None:
    before = json.dumps(schema)
    result = normalised(schema, subset)
    assert json.dumps(schema) == before, "the schema of the client was changed"
    assert result["type"] == "object"
    assert isinstance(result["properties"], dict)
    assert list(schema_faults(result, subset)) == []


@few
@given(some.odd_schemas, st.sampled_from(["plain", "mfjs", "gemini"]))
def test_what_is_no_schema_becomes_one(schema: Any, subset: Subset) -> None:
    result = normalised(schema, subset)
    assert result["type"] == "object"
    assert isinstance(result["properties"], dict)


@pytest.mark.parametrize("subset", ["plain", "mfjs", "gemini"])
def test_schemas_that_all_refer_to_all_come_to_an_end(subset: Subset) -> None:
    names = [f"N{n}" for n in range(14)]
    node = {"type": "object", "properties": {name: {"$ref": f"#/$defs/{name}"} for name in names}}
    schema = {"type": "object", "properties": {"a": node}, "$defs": dict.fromkeys(names, node)}
    assert len(json.dumps(normalised(schema, subset))) < 5_000_000
