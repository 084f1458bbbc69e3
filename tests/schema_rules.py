"""What picky servers demand of the schema of a tool's parameters, as an independent check: `schema_faults(schema, subset)`.

`plain`: an object at the root without choices, nothing but local facts. `mfjs`: the rules of MoonshotAI/walle (its documents,
2026-04) as far as a schema of ours may reach them. `gemini`: the Schema object of ai.google.dev (2026).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

Schema = dict[str, Any]

_REFUSED = {"$ref", "$defs", "definitions", "$schema", "$id", "$comment", "examples", "const"}
_WORDS = {"type", "title", "description"}
_KINDS: dict[str, dict[str, set[str]]] = {
    "mfjs": {
        "object": {"properties", "required", "additionalProperties"},
        "array": {"items", "minItems", "maxItems"},
        "string": {"enum", "default", "minLength", "maxLength"},
        "number": {"enum", "default", "minimum", "maximum"},
        "integer": {"enum", "default", "minimum", "maximum"},
        "boolean": {"default"},
        "null": set(),
    },
    "gemini": {
        "object": {"properties", "required", "nullable"},
        "array": {"items", "minItems", "maxItems", "nullable"},
        "string": {"enum", "format", "nullable", "minLength", "maxLength"},
        "number": {"format", "nullable", "minimum", "maximum"},
        "integer": {"format", "nullable", "minimum", "maximum"},
        "boolean": {"nullable"},
    },
}
_PYTHON: dict[str, tuple[type, ...]] = {
    "string": (str,), "integer": (int,), "number": (int, float), "boolean": (bool,),
}  # fmt: skip


def schema_faults(schema: Any, subset: str) -> Iterator[str]:
    """Every rule that this schema breaks."""
    if not isinstance(schema, dict) or schema.get("type") != "object":
        yield "the root is no object"
        return
    if not isinstance(schema.get("properties"), dict):
        yield "the root has no properties"
    if schema.keys() & {"anyOf", "oneOf", "allOf", "enum", "not"}:
        yield "a choice at the root"
    yield from _plain(schema, "") if subset == "plain" else _picky(schema, _KINDS[subset], "")


_MAPS = {"properties", "patternProperties", "dependentSchemas"}


def _plain(schema: Any, at: str) -> Iterator[str]:
    if isinstance(schema, list):
        for n, child in enumerate(schema):
            yield from _plain(child, f"{at}/{n}")
    elif isinstance(schema, dict):
        if refused := _REFUSED & schema.keys():
            yield f"{at} has {refused}"
        for keyword, child in schema.items():
            if keyword in _MAPS and isinstance(child, dict):
                yield from _named(child, f"{at}/{keyword}")
            elif keyword not in ("enum", "default", "required"):
                yield from _plain(child, f"{at}/{keyword}")


def _named(schemas: Schema, at: str) -> Iterator[str]:
    for name, schema in schemas.items():
        if isinstance(schema, bool):
            yield f"{at}/{name} is a boolean for a schema"
        yield from _plain(schema, f"{at}/{name}")


def _picky(schema: Any, kinds: dict[str, set[str]], at: str) -> Iterator[str]:
    if not isinstance(schema, dict):
        yield f"{at} is no schema"
        return
    if "anyOf" in schema:
        if extra := schema.keys() - {"anyOf", "title", "description"}:
            yield f"{at} has {extra} beside a choice"
        if not schema["anyOf"]:
            yield f"{at} has a choice of nothing"
        for n, branch in enumerate(schema["anyOf"]):
            yield from _picky(branch, kinds, f"{at}/anyOf/{n}")
        return
    kind = schema.get("type")
    if not isinstance(kind, str) or kind not in kinds:
        yield f"{at} has the type {kind!r}"
        return
    if extra := schema.keys() - kinds[kind] - _WORDS:
        yield f"{at} has {extra}"
    yield from _values(schema, kind, at)
    for name, child in schema.get("properties", {}).items():
        yield from _picky(child, kinds, f"{at}/{name}")
    for keyword in ("items", "additionalProperties"):
        if keyword in schema:
            yield from _picky(schema[keyword], kinds, f"{at}/{keyword}")
    if kind == "array" and "nullable" in kinds[kind] and "items" not in schema:
        yield f"{at} does not tell its items"


def _values(schema: Schema, kind: str, at: str) -> Iterator[str]:
    if unknown := set(schema.get("required", [])) - schema.get("properties", {}).keys():
        yield f"{at} requires {unknown}"
    values = [*schema.get("enum", []), *([schema["default"]] if "default" in schema else [])]
    if "enum" in schema and not schema["enum"]:
        yield f"{at} has an empty enum"
    for value in values:
        if not isinstance(value, _PYTHON[kind]) or (isinstance(value, bool) and kind != "boolean"):
            yield f"{at} is a {kind} and may be {value!r}"
    for least, most in (("minimum", "maximum"), ("minLength", "maxLength"), ("minItems", "maxItems")):
        if schema.get(least, 0) > schema.get(most, float("inf")):
            yield f"{at} has {least} above {most}"
