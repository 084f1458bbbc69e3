"""JSON Schemas of tools, rewritten into the form that a provider takes. Pure: a schema in, a schema out.

Every server gets: an object at the root, without choices there; local `$ref`s inlined (a cycle becomes a plain object,
and so does all beyond what any tool needs), no editorial keywords, `type: [X, "null"]` as X, `const` as `enum`. The
subsets that picky servers insist on are the business of `subsets`.
"""

from __future__ import annotations

from typing import Any

from codex_nexus.translate.subsets import CHOICES, Schema, Subset, flattened, listed, restricted
from codex_nexus.wire import codec

_EDITORIAL = {
    "$schema", "$id", "$comment", "$defs", "definitions", "examples", "encrypted", "deprecated", "readOnly", "$ref",
    "$anchor", "$dynamicRef", "$dynamicAnchor", "$recursiveRef", "$recursiveAnchor", "$vocabulary", "dependencies",
}  # fmt: skip
_SUBSCHEMAS = (
    "additionalProperties", "additionalItems", "not", "contains", "propertyNames", "if", "then", "else",
    "unevaluatedItems", "unevaluatedProperties", "contentSchema",
)  # fmt: skip
_LISTS = (*CHOICES, "prefixItems")
_MAPS = ("properties", "patternProperties", "dependentSchemas")
_NOT_AT_THE_ROOT = ("enum", "not", "if", "then", "else")
_DEEPEST = 64
_MOST_REFS = 2000


def normalised(schema: Any, subset: Subset = "plain") -> Schema:
    """The parameters of a function in this subset; anything that is no schema becomes an object without properties."""
    root = codec.as_object(schema) or {}
    result = codec.as_object(_Rewriter(root).rewritten(root, ())) or {}
    if result.get("type", "object") != "object":
        result = {}
    result = flattened(result)
    result["type"] = "object"
    for keyword in _NOT_AT_THE_ROOT:
        result.pop(keyword, None)
    if not isinstance(result.get("properties"), dict):
        result["properties"] = {}
    return result if subset == "plain" else restricted(result, subset)


class _Rewriter:
    """One pass over one schema; counts the references that it follows."""

    def __init__(self, root: Schema) -> None:
        self._root = root
        self._refs = 0

    def rewritten(self, schema: Any, refs: tuple[str, ...]) -> Any:
        node = codec.as_object(schema)
        if node is None:
            return {}
        if len(refs) > _DEEPEST:
            return {"type": "object"}
        ref = node.get("$ref")
        if isinstance(ref, str):
            return self._inlined(node, ref, refs)
        out = {
            keyword: self._child(keyword, value, refs) for keyword, value in node.items() if keyword not in _EDITORIAL
        }
        _simplify(out)
        return out

    def _child(self, keyword: str, value: Any, refs: tuple[str, ...]) -> Any:
        children = codec.as_object(value)
        if keyword in _MAPS and children is not None:
            return {name: self.rewritten(child, (*refs, "")) for name, child in children.items()}
        branches = codec.as_list(value)
        if (keyword in _LISTS or keyword == "items") and branches is not None:
            return [self.rewritten(child, (*refs, "")) for child in branches]
        if keyword == "items" or (keyword in _SUBSCHEMAS and children is not None):
            return self.rewritten(value, (*refs, ""))
        return value

    def _inlined(self, node: Schema, ref: str, refs: tuple[str, ...]) -> Any:
        target = self._target(ref)
        self._refs += 1
        if target is None or ref in refs or self._refs > _MOST_REFS:
            return {"type": "object"}
        result = self.rewritten(target, (*refs, ref))
        if isinstance(node.get("description"), str):
            return {**result, "description": node["description"]}
        return result

    def _target(self, ref: str) -> Any:
        if not ref.startswith("#"):
            return None
        here: Any = self._root
        for step in ref.lstrip("#").strip("/").split("/"):
            name = step.replace("~1", "/").replace("~0", "~")
            if name:
                here = _step(here, name)
        return here


def _simplify(out: Schema) -> None:
    kinds = codec.as_list(out.get("type"))
    if kinds is not None:
        real = [kind for kind in kinds if kind != "null"]
        if len(real) <= 1:
            out["type"] = real[0] if real else "string"
            _without_null(out)
    if out.get("default", 0) is None:
        del out["default"]
    if "const" in out:
        out["enum"] = [out.pop("const")]
    if out.get("additionalProperties") is False:
        del out["additionalProperties"]


def _without_null(out: Schema) -> None:
    values = codec.as_list(out.get("enum"))
    if values is not None:
        out["enum"] = [value for value in values if value is not None]


def _step(here: Any, name: str) -> Any:
    fields = codec.as_object(here)
    if fields is not None:
        return fields.get(name)
    known = listed(here)
    return known[int(name)] if name.isdecimal() and int(name) < len(known) else None
