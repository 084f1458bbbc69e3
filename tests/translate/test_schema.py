from __future__ import annotations

import json
from typing import Any

import pytest

from codex_nexus.translate.schema import Subset, normalised


def property_of(schema: Any, subset: Subset = "plain", **root: Any) -> Any:
    """What becomes of a schema as the property `a`."""
    return normalised({"type": "object", "properties": {"a": schema}} | root, subset)["properties"]["a"]


# --- every server


@pytest.mark.parametrize("schema", [None, {}, [], "x", True, {"type": "string"}, {"type": "object", "properties": []}])
@pytest.mark.parametrize("subset", ["plain", "mfjs", "gemini"])
def test_the_root_is_an_object_with_properties(schema: Any, subset: Subset) -> None:
    assert normalised(schema, subset) == {"type": "object", "properties": {}}


def test_an_ordinary_schema_stays_as_it_is() -> None:
    schema = {
        "type": "object",
        "properties": {"a": {"type": "array", "items": {"type": "string", "enum": ["x"]}, "default": []}},
        "required": ["a"],
    }
    assert normalised(schema) == schema


def test_editorial_keywords_are_left_out_but_not_properties_of_that_name() -> None:
    schema = {"$schema": "s", "$id": "i", "$comment": "c", "examples": [1], "encrypted": True}
    assert normalised(schema | {"properties": {"examples": schema | {"type": "string"}}}) == {
        "type": "object",
        "properties": {"examples": {"type": "string"}},
    }


@pytest.mark.parametrize(
    ("schema", "simple"),
    [
        ({"type": ["string", "null"]}, {"type": "string"}),
        ({"type": ["null"]}, {"type": "string"}),
        ({"type": ["string", "integer", "null"]}, {"type": ["string", "integer", "null"]}),
        ({"type": "string", "default": None}, {"type": "string"}),
        ({"type": "string", "default": ""}, {"type": "string", "default": ""}),
        ({"const": 5}, {"enum": [5]}),
        ({"type": "object", "additionalProperties": False}, {"type": "object"}),
        ({"additionalProperties": {"const": 1}}, {"additionalProperties": {"enum": [1]}}),
        ({"items": [{"const": 1}, True]}, {"items": [{"enum": [1]}, {}]}),
        ({"not": {"const": 1}}, {"not": {"enum": [1]}}),
        ({"patternProperties": {"^x": {"const": 1}}}, {"patternProperties": {"^x": {"enum": [1]}}}),
        ({"type": ["string", "null"], "enum": ["a", None]}, {"type": "string", "enum": ["a"]}),
        (True, {}),
        (5, {}),
    ],
)
def test_every_server_gets_the_simple_form(schema: Any, simple: Any) -> None:
    assert property_of(schema) == simple


# --- references


def test_a_reference_becomes_what_it_names() -> None:
    number = {"type": "integer", "description": "of the definition"}
    assert property_of({"$ref": "#/$defs/N"}, **{"$defs": {"N": number}}) == number
    assert property_of({"$ref": "#/definitions/N", "description": "own"}, definitions={"N": number}) == {
        "type": "integer",
        "description": "own",
    }
    assert property_of({"$ref": "#/$defs/B", "description": "x"}, **{"$defs": {"B": True}}) == {"description": "x"}


@pytest.mark.parametrize(
    ("ref", "found"),
    [
        ("#/properties/b/anyOf/1", {"type": "integer"}),
        ("#/properties/b/anyOf/7", {"type": "object"}),
        ("#/properties/b/anyOf/x", {"type": "object"}),
        ("#/properties/c~1d~0e", {"type": "number"}),
        ("#/nowhere", {"type": "object"}),
        ("#/properties/b/type/deep", {"type": "object"}),
        ("https://example.test/schema", {"type": "object"}),
    ],
)
def test_a_pointer_is_followed_as_far_as_it_leads(ref: str, found: Any) -> None:
    others = {"b": {"anyOf": [{"type": "string"}, {"type": "integer"}]}, "c/d~e": {"type": "number"}}
    schema = {"type": "object", "properties": {"a": {"$ref": ref}} | others}
    assert normalised(schema)["properties"]["a"] == found


def test_a_cycle_becomes_a_plain_object() -> None:
    tree = {"type": "object", "properties": {"left": {"$ref": "#/$defs/T"}}}
    assert property_of({"$ref": "#/$defs/T"}, **{"$defs": {"T": tree}}) == {
        "type": "object",
        "properties": {"left": {"type": "object"}},
    }
    whole = normalised({"type": "object", "properties": {"a": {"$ref": "#"}}})
    assert whole["properties"]["a"]["properties"]["a"] == {"type": "object"}


def test_what_is_nested_too_deeply_becomes_a_plain_object() -> None:
    schema: Any = {"type": "string"}
    for _ in range(200):
        schema = {"type": "array", "items": schema}
    written = json.dumps(property_of(schema))
    assert written.count("array") < 70
    assert '"object"' in written


def test_definitions_that_all_refer_to_all_come_to_an_end() -> None:
    names = [f"N{n}" for n in range(12)]
    node = {"type": "object", "properties": {name: {"$ref": f"#/$defs/{name}"} for name in names}}
    schema = {"type": "object", "properties": {"a": node}, "$defs": dict.fromkeys(names, node)}
    assert json.dumps(normalised(schema)).count("properties") < 5000


def test_choices_at_the_root_leave_their_properties() -> None:
    """Some servers refuse `anyOf` there; the model still has to know every name."""
    schema = {
        "type": "object",
        "properties": {"a": {"type": "string"}},
        "oneOf": [{"properties": {"a": {"type": "null"}, "b": {"type": "integer"}}, "required": ["b"]}, True],
        "allOf": [{"properties": {"c": {}}, "required": ["c"]}],
        "not": {"required": ["a"]},
        "enum": [{}],
        "required": ["a"],
    }
    assert normalised(schema) == {
        "type": "object",
        "properties": {"a": {"type": "string"}, "b": {"type": "integer"}, "c": {}},
        "required": ["c", "a"],
    }


# --- picky servers

NAMED = {"type": "object", "properties": {"x": {"type": "string"}}}


@pytest.mark.parametrize(
    ("schema", "typed"),
    [
        ({}, {"type": "string"}),
        (True, {"type": "string"}),
        ({"properties": {"b": {}}}, {"type": "object", "properties": {"b": {"type": "string"}}}),
        ({"items": {}}, {"type": "array", "items": {"type": "string"}}),
        ({"items": [{"type": "integer"}, {}]}, {"type": "array", "items": {"type": "integer"}}),
        ({"items": []}, {"type": "array", "items": {"type": "string"}}),
        ({"type": "array"}, {"type": "array"}),
        ({"enum": [1]}, {"type": "integer", "enum": [1]}),
        ({"enum": [1, 1.5]}, {"type": "number", "enum": [1, 1.5]}),
        ({"enum": ["x"]}, {"type": "string", "enum": ["x"]}),
        ({"enum": []}, {"type": "string"}),
        ({"enum": [True]}, {"type": "boolean"}),
        ({"enum": [1, "x"]}, {"type": "string"}),
        ({"type": "string", "enum": [1]}, {"type": "string"}),
        ({"type": ["string", "integer", "null"]}, {"anyOf": [{"type": "string"}, {"type": "integer"}]}),
        ({"type": "weird"}, {"type": "string"}),
        ({"oneOf": [{"type": "string"}]}, {"type": "string"}),
        ({"anyOf": [{"type": "null"}]}, {"type": "null"}),
        ({"anyOf": [{"type": "string"}, {"type": "null"}], "title": "T"}, {"type": "string", "title": "T"}),
        ({"allOf": [{"const": 1}], "anyOf": [{}, {}]}, {"type": "integer", "enum": [1]}),
        ({"type": "object", "anyOf": [{"required": ["x"]}]}, {"type": "object"}),
        ({"type": "object", "anyOf": "odd"}, {"type": "object"}),
        ({"type": "object", "additionalProperties": True}, {"type": "object"}),
        (
            {"additionalProperties": {"const": 1}},
            {"type": "object", "additionalProperties": {"type": "integer", "enum": [1]}},
        ),
        ({"type": "object", "properties": "odd"}, {"type": "object"}),
        (NAMED | {"required": ["x", "y"]}, NAMED | {"required": ["x"]}),
        ({"type": "string", "pattern": "^a", "format": "uri", "maxLength": 9}, {"type": "string", "maxLength": 9}),
        ({"type": "string", "minLength": 9, "maxLength": 1}, {"type": "string"}),
        ({"type": "integer", "minimum": 0.5, "maximum": 9, "exclusiveMinimum": 0}, {"type": "integer", "maximum": 9}),
        ({"type": "number", "minimum": 0.5, "default": 1}, {"type": "number", "minimum": 0.5, "default": 1}),
        ({"type": "string", "default": 1}, {"type": "string"}),
        ({"type": "array", "items": {"type": "string"}, "default": []}, {"type": "array", "items": {"type": "string"}}),
    ],
)
def test_mfjs_knows_one_type_and_few_keywords(schema: Any, typed: Any) -> None:
    assert property_of(schema, "mfjs") == typed


@pytest.mark.parametrize("subset", ["mfjs", "gemini"])
def test_beside_a_choice_stand_only_words(subset: Subset) -> None:
    schema = NAMED | {"anyOf": [{"required": ["x"]}, {"properties": {"y": {"type": "string"}}}], "description": "D."}
    assert property_of(schema, subset) == {
        "description": "D.",
        "anyOf": [
            NAMED | {"required": ["x"]},
            {"type": "object", "properties": {"x": {"type": "string"}, "y": {"type": "string"}}},
        ],
    }


@pytest.mark.parametrize(
    ("schema", "taken"),
    [
        ({"type": "object", "additionalProperties": {}, "propertyNames": {}}, {"type": "object"}),
        ({"type": "number", "exclusiveMinimum": 0, "multipleOf": 2}, {"type": "number"}),
        ({"type": "string", "x-order": 1, "default": "a", "pattern": "("}, {"type": "string"}),
        ({"const": "x"}, {"type": "string", "enum": ["x"]}),
        ({"const": 5}, {"type": "integer"}),
        ({"type": ["integer", "string"]}, {"anyOf": [{"type": "integer"}, {"type": "string"}]}),
        ({"type": "array"}, {"type": "array", "items": {"type": "string"}}),
        ({"oneOf": [{"type": "string"}, {"type": "null"}]}, {"type": "string"}),
        ({"type": "string", "format": "date-time"}, {"type": "string", "format": "date-time"}),
        ({"type": "string", "format": "uri"}, {"type": "string"}),
        (
            {"type": "array", "prefixItems": [{}], "items": [{"type": "integer"}]},
            {"type": "array", "items": {"type": "integer"}},
        ),
        (True, {"type": "string"}),
    ],
)
def test_gemini_gets_only_keywords_that_it_knows(schema: Any, taken: Any) -> None:
    assert property_of(schema, "gemini") == taken
