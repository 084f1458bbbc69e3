from __future__ import annotations

from typing import Any

import pytest
from tests.driving import chat_of

from codex_nexus.translate.answer_form import enforced
from codex_nexus.translate.dialect import DEFAULT, Dialect

F = {"type": "function", "name": "f"}


def sent(dialect: Dialect = DEFAULT, **fields: Any) -> dict[str, Any]:
    return chat_of(fields, dialect)


SCHEMA = {"type": "object", "properties": {}}
FORM = {"format": {"type": "json_schema", "name": "n", "schema": SCHEMA, "description": "d", "strict": True}}
OBJECT = {"format": {"type": "json_object"}}
NOTE = "Answer with one JSON object and nothing else."


@pytest.mark.parametrize(
    ("strength", "text", "form", "note"),
    [
        (
            "schema",
            FORM,
            {"type": "json_schema", "json_schema": {"name": "n", "schema": SCHEMA, "description": "d", "strict": True}},
            None,
        ),
        (
            "object",
            FORM,
            {"type": "json_object"},
            f'{NOTE} It must match this JSON Schema:\n{{"type":"object","properties":{{}}}}',
        ),
        ("none", FORM, None, f'{NOTE} It must match this JSON Schema:\n{{"type":"object","properties":{{}}}}'),
        ("schema", OBJECT, {"type": "json_object"}, NOTE),
        ("object", OBJECT, {"type": "json_object"}, NOTE),
        ("none", OBJECT, None, NOTE),
        ("schema", {"format": {"type": "text"}}, None, None),
        ("schema", {"verbosity": "low"}, None, None),
    ],
)
def test_what_the_server_cannot_enforce_is_said_in_words(strength: Any, text: Any, form: Any, note: str | None) -> None:
    body = sent(Dialect(response_format=strength), input="go", text=text)
    assert body.get("response_format") == form
    assert body["messages"] == ([{"role": "system", "content": note}] if note else []) + [
        {"role": "user", "content": "go"}
    ]


def test_the_words_are_added_to_the_instructions() -> None:
    body = sent(Dialect(response_format="none"), input="go", instructions="Be brief.", text=OBJECT)
    assert body["messages"][0] == {"role": "system", "content": f"Be brief.\n\n{NOTE}"}


def test_beside_tools_some_servers_enforce_nothing() -> None:
    dialect = Dialect(tools_exclude_response_format=True)
    assert "response_format" not in sent(dialect, input="go", text=OBJECT, tools=[F])
    assert "response_format" in sent(dialect, input="go", text=OBJECT)
    assert [enforced(dialect, tools=True), enforced(dialect, tools=False)] == [False, True]
    assert not enforced(Dialect(response_format="object"), tools=False)


def test_a_picky_server_gets_the_schema_of_the_answer_in_its_subset_too() -> None:
    schema = {"type": "object", "properties": {"a": {"type": ["string", "null"], "pattern": "x"}}}
    form = {"format": {"type": "json_schema", "name": "n", "schema": schema}}
    for subset, told in (("plain", schema), ("mfjs", {"type": "object", "properties": {"a": {"type": "string"}}})):
        body = sent(Dialect(json_schema=subset), input="go", text=form)
        assert body["response_format"]["json_schema"]["schema"] == told
