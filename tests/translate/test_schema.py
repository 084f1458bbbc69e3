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
        ({"items": [{"const": 1}, True]}, {"items": [{"enum": [1]}, True]}),
        ({"not": {"const": 1}}, {"not": {"enum": [1]}}),
        ({"patternProperties": {"^x": {"const": 1}}}, {"patternProperties": {"^x": {"enum": [1]}}}),
        (True, True),
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
    assert property_of({"$ref": "#/$defs/B", "description": "x"}, **{"$defs": {"B": True}}) is True


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


# --- picky servers


@pytest.mark.parametrize(
    ("schema", "typed"),
    [
        ({}, {"type": "string"}),
        (True, {"type": "string"}),
        ({"properties": {"b": {}}}, {"type": "object", "properties": {"b": {"type": "string"}}}),
        ({"items": {}}, {"type": "array", "items": {"type": "string"}}),
        ({"items": [{"type": "integer"}, {}]}, {"type": "array", "items": {"type": "integer"}}),
        ({"items": []}, {"type": "array", "items": {"type": "string"}}),
        ({"enum": [True]}, {"type": "boolean", "enum": [True]}),
        ({"enum": [1]}, {"type": "integer", "enum": [1]}),
        ({"enum": [1.5]}, {"type": "number", "enum": [1.5]}),
        ({"enum": ["x"]}, {"type": "string", "enum": ["x"]}),
        ({"enum": []}, {"type": "string", "enum": []}),
        ({"type": ["string", "integer", "null"]}, {"anyOf": [{"type": "string"}, {"type": "integer"}]}),
        ({"oneOf": [{"type": "string"}]}, {"anyOf": [{"type": "string"}]}),
        ({"allOf": [{"const": 1}], "anyOf": [{}]}, {"anyOf": [{"type": "string"}, {"type": "integer", "enum": [1]}]}),
        ({"type": "object", "anyOf": [{"required": ["x"]}]}, {"anyOf": [{"type": "object", "required": ["x"]}]}),
        ({"type": "object", "anyOf": [True]}, {"anyOf": [{"type": "string"}]}),
        ({"type": "object", "anyOf": "odd"}, {"type": "object"}),
        ({"type": "object", "additionalProperties": True}, {"type": "object"}),
    ],
)
def test_mfjs_has_a_type_everywhere_and_beside_anyof_in_the_branches_only(schema: Any, typed: Any) -> None:
    assert property_of(schema, "mfjs") == typed


def test_a_type_goes_down_into_the_branches_also_without_a_word_of_it() -> None:
    schema = {"properties": {"x": {"type": "string"}}, "oneOf": [{"required": ["x"]}, {"type": "null"}]}
    assert property_of(schema, "mfjs") == {
        "properties": {"x": {"type": "string"}},
        "anyOf": [{"type": "object", "required": ["x"]}, {"type": "null"}],
    }


@pytest.mark.parametrize("subset", ["mfjs", "gemini"])
def test_choices_at_the_root_are_left_out(subset: Subset) -> None:
    schema = {"type": "object", "properties": {}, "anyOf": [{"required": ["a"]}], "required": ["a"]}
    assert normalised(schema, subset) == {"type": "object", "properties": {}, "required": ["a"]}


@pytest.mark.parametrize(
    ("schema", "taken"),
    [
        ({"type": "object", "additionalProperties": {}, "propertyNames": {}}, {"type": "object"}),
        ({"type": "number", "exclusiveMinimum": 0, "multipleOf": 2}, {"type": "number"}),
        ({"const": "x"}, {"enum": ["x"]}),
        ({"type": ["integer", "string"]}, {"type": "integer"}),
        (
            {"type": "array", "prefixItems": [{}], "items": [{"type": "integer"}]},
            {"type": "array", "items": {"type": "integer"}},
        ),
        (True, {"type": "string"}),
    ],
)
def test_gemini_gets_only_keywords_that_it_knows(schema: Any, taken: Any) -> None:
    assert property_of(schema, "gemini") == taken
