"""JSON Schemas of tools, rewritten into the subset that a provider takes. Pure: a schema in, a schema out.

Every server gets: an object at the root, local `$ref`s inlined (a cycle becomes a plain object, and so does all beyond
what any tool needs), no editorial keywords, `type: [X, "null"]` as X, `const` as `enum`. The subset `mfjs` also wants a
type on every property, and beside `anyOf` types in its branches only; `gemini` refuses a list of keywords.
"""

from __future__ import annotations

from typing import Any, Literal

from codex_nexus.wire import codec

Subset = Literal["plain", "mfjs", "gemini"]
Schema = dict[str, Any]

_EDITORIAL = {
    "$schema", "$id", "$comment", "$defs", "definitions", "examples", "encrypted", "deprecated", "readOnly", "$ref",
    "$anchor", "$dynamicRef", "$dynamicAnchor", "$recursiveRef", "$recursiveAnchor", "$vocabulary", "dependencies",
}  # fmt: skip
_GEMINI_REFUSES = {
    "additionalProperties", "propertyNames", "patternProperties", "exclusiveMinimum", "exclusiveMaximum", "const",
    "unevaluatedProperties", "dependentRequired", "dependentSchemas", "if", "then", "else", "not", "contentEncoding",
    "contentMediaType", "uniqueItems", "prefixItems", "contains", "multipleOf",
}  # fmt: skip
_SUBSCHEMAS = (
    "additionalProperties", "additionalItems", "not", "contains", "propertyNames", "if", "then", "else",
    "unevaluatedItems", "unevaluatedProperties", "contentSchema",
)  # fmt: skip
_CHOICES = ("anyOf", "oneOf", "allOf")
_LISTS = (*_CHOICES, "prefixItems")
_MAPS = ("properties", "patternProperties", "dependentSchemas")
_DEEPEST = 64
_MOST_REFS = 2000


def normalised(schema: Any, subset: Subset = "plain") -> Schema:
    """The parameters of a function in this subset; anything that is no schema becomes an object without properties."""
    root = codec.as_object(schema) or {}
    result = codec.as_object(_Rewriter(root, subset).rewritten(root, ())) or {}
    if result.get("type", "object") != "object":
        result = {}
    result["type"] = "object"
    if not isinstance(result.get("properties"), dict):
        result["properties"] = {}
    if subset != "plain":
        for keyword in _LISTS:
            result.pop(keyword, None)
    return result


class _Rewriter:
    def __init__(self, root: Schema, subset: Subset) -> None:
        self._root = root
        self._subset = subset
        self._refs = 0

    def rewritten(self, schema: Any, refs: tuple[str, ...]) -> Any:
        node = codec.as_object(schema)
        if node is None:
            return self._of_boolean(schema)
        if len(refs) > _DEEPEST:
            return {"type": "object"}
        ref = node.get("$ref")
        if isinstance(ref, str):
            return self._inlined(node, ref, refs)
        out: Schema = {}
        for keyword, value in (_pushed_down(node) if self._subset == "mfjs" else node).items():
            if keyword not in _EDITORIAL and not (self._subset == "gemini" and keyword in _GEMINI_REFUSES):
                out[keyword] = self._child(keyword, value, refs)
        self._simplify(out)
        if self._subset == "gemini" and "const" in node:
            out["enum"] = [node["const"]]
        return self._typed(out) if self._subset == "mfjs" else out

    def _child(self, keyword: str, value: Any, refs: tuple[str, ...]) -> Any:
        children = codec.as_object(value)
        if keyword in _MAPS and children is not None:
            return {name: self.rewritten(child, (*refs, "")) for name, child in children.items()}
        branches = codec.as_list(value)
        if keyword in _LISTS and branches is not None:
            return [self.rewritten(child, (*refs, "")) for child in branches]
        if keyword == "items":
            return self._items(value, (*refs, ""))
        if keyword in _SUBSCHEMAS and isinstance(value, dict):
            return self.rewritten(value, (*refs, ""))
        return value

    def _items(self, value: Any, refs: tuple[str, ...]) -> Any:
        several = codec.as_list(value)
        if several is None:
            return self.rewritten(value, refs)
        kinds = [self.rewritten(kind, refs) for kind in several]
        if self._subset == "plain":
            return kinds
        return kinds[0] if kinds else self._of_boolean(True)

    def _of_boolean(self, schema: Any) -> Any:
        if self._subset == "plain":
            return schema if isinstance(schema, bool) else {}
        return {"type": "string"}

    def _inlined(self, node: Schema, ref: str, refs: tuple[str, ...]) -> Any:
        target = self._target(ref)
        self._refs += 1
        if target is None or ref in refs or self._refs > _MOST_REFS:
            return {"type": "object"}
        result = self.rewritten(target, (*refs, ref))
        inlined = codec.as_object(result)
        if inlined is not None and isinstance(node.get("description"), str):
            return {**inlined, "description": node["description"]}
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

    def _simplify(self, out: Schema) -> None:
        kinds = codec.as_list(out.get("type"))
        if kinds is not None:
            real = [kind for kind in kinds if kind != "null"]
            if len(real) == 1 or (real and self._subset == "gemini"):
                out["type"] = real[0]
            elif not real:
                out["type"] = "string"
            elif self._subset == "mfjs":
                del out["type"]
                out["anyOf"] = [{"type": kind} for kind in real]
        if out.get("default", 0) is None:
            del out["default"]
        if "const" in out:
            out["enum"] = [out.pop("const")]
        if self._subset == "plain" and out.get("additionalProperties") is False:
            del out["additionalProperties"]

    def _typed(self, out: Schema) -> Schema:
        branches = [branch for keyword in _CHOICES for branch in _listed(out.pop(keyword, None))]
        if branches:
            out.pop("type", None)
            out["anyOf"] = branches
        elif "type" not in out:
            out["type"] = _guessed(out)
        out.pop("additionalProperties", None)
        return out


def _pushed_down(node: Schema) -> Schema:
    """The schema with its type in the branches of its choices."""
    kind = node.get("type", "object" if "properties" in node else None)
    choices = [keyword for keyword in _CHOICES if _listed(node.get(keyword))]
    if kind is None or not choices:
        return node
    out = {keyword: value for keyword, value in node.items() if keyword != "type"}
    for keyword in choices:
        branches = _listed(node[keyword])
        out[keyword] = [{"type": kind, **branch} if isinstance(branch, dict) else branch for branch in branches]
    return out


def _listed(value: Any) -> list[Any]:
    return codec.as_list(value) or []


def _step(here: Any, name: str) -> Any:
    fields = codec.as_object(here)
    if fields is not None:
        return fields.get(name)
    known = _listed(here)
    return known[int(name)] if name.isdecimal() and int(name) < len(known) else None


def _guessed(node: Schema) -> str:
    if "properties" in node:
        return "object"
    if "items" in node:
        return "array"
    values = _listed(node.get("enum"))
    match values[:1]:
        case [bool()]:
            return "boolean"
        case [int()]:
            return "integer"
        case [float()]:
            return "number"
        case _:
            return "string"
