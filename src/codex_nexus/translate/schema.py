"""JSON Schemas of tools, rewritten into the subset that a provider takes. Pure: a schema in, a schema out.

Every server gets: an object at the root, local `$ref`s inlined (a cycle becomes a plain object), no editorial keywords,
`type: [X, "null"]` as X, `const` as `enum`. The subset `mfjs` also wants a type on every property and types inside
`anyOf` branches only; `gemini` refuses a list of keywords.
"""

from __future__ import annotations

from typing import Any, Literal, cast

Subset = Literal["plain", "mfjs", "gemini"]
Schema = dict[str, Any]

_EDITORIAL = {"$schema", "$id", "$comment", "$defs", "definitions", "examples", "encrypted", "deprecated", "readOnly"}
_GEMINI_REFUSES = {
    "additionalProperties", "propertyNames", "patternProperties", "exclusiveMinimum", "exclusiveMaximum", "const",
    "unevaluatedProperties", "dependentRequired", "dependentSchemas", "if", "then", "else", "not", "contentEncoding",
    "contentMediaType", "uniqueItems", "prefixItems", "contains", "multipleOf",
}  # fmt: skip
_SUBSCHEMAS = ("items", "additionalProperties", "not", "contains", "propertyNames", "if", "then", "else")
_LISTS = ("anyOf", "oneOf", "allOf", "prefixItems")
_MAPS = ("properties", "patternProperties", "dependentSchemas")
_DEEPEST = 64


def normalised(schema: Any, subset: Subset = "plain") -> Schema:
    """The parameters of a function in this subset; anything that is no schema becomes an object without properties."""
    root = cast("Schema", schema) if isinstance(schema, dict) else {}
    result = _Rewriter(root, subset).rewritten(root, ())
    if not isinstance(result, dict) or result.get("type", "object") != "object":
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

    def rewritten(self, schema: Any, refs: tuple[str, ...]) -> Any:
        if not isinstance(schema, dict):
            return self._of_boolean(schema)
        if len(refs) > _DEEPEST:
            return {"type": "object"}
        node = cast("Schema", schema)
        ref = node.get("$ref")
        if isinstance(ref, str):
            return self._inlined(node, ref, refs)
        out: Schema = {}
        for keyword, value in node.items():
            if keyword not in _EDITORIAL and not (self._subset == "gemini" and keyword in _GEMINI_REFUSES):
                out[keyword] = self._child(keyword, value, refs)
        self._simplify(out)
        if self._subset == "gemini" and "const" in node:
            out["enum"] = [node["const"]]
        return self._typed(out) if self._subset == "mfjs" else out

    def _child(self, keyword: str, value: Any, refs: tuple[str, ...]) -> Any:
        if keyword in _MAPS and isinstance(value, dict):
            children = cast("Schema", value)
            return {name: self.rewritten(child, (*refs, "")) for name, child in children.items()}
        if keyword in _LISTS and isinstance(value, list):
            return [self.rewritten(child, (*refs, "")) for child in cast("list[Any]", value)]
        if keyword in _SUBSCHEMAS and isinstance(value, dict):
            return self.rewritten(value, (*refs, ""))
        return value

    def _of_boolean(self, schema: Any) -> Any:
        if self._subset == "plain":
            return schema if isinstance(schema, bool) else {}
        return {"type": "string"}

    def _inlined(self, node: Schema, ref: str, refs: tuple[str, ...]) -> Any:
        target = self._target(ref)
        if target is None or ref in refs:
            return {"type": "object"}
        result = self.rewritten(target, (*refs, ref))
        if isinstance(result, dict) and isinstance(node.get("description"), str):
            return {**cast("Schema", result), "description": node["description"]}
        return result

    def _target(self, ref: str) -> Any:
        if not ref.startswith("#"):
            return None
        here: Any = self._root
        for step in ref.lstrip("#").strip("/").split("/"):
            name = step.replace("~1", "/").replace("~0", "~")
            if name:
                here = cast("Schema", here).get(name) if isinstance(here, dict) else None
        return here

    def _simplify(self, out: Schema) -> None:
        kinds = out.get("type")
        if isinstance(kinds, list):
            real = [kind for kind in cast("list[Any]", kinds) if kind != "null"]
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
        for keyword in ("oneOf", "allOf"):
            if keyword in out:
                out["anyOf"] = out.pop(keyword)
        if "anyOf" in out:
            kind = out.pop("type", None)
            out["anyOf"] = [
                branch if "type" in branch or not kind else {**branch, "type": kind} for branch in out["anyOf"]
            ]
        elif "type" not in out:
            out["type"] = _guessed(out)
        out.pop("additionalProperties", None)
        return out


def _guessed(node: Schema) -> str:
    if "properties" in node:
        return "object"
    if "items" in node:
        return "array"
    values = node.get("enum")
    if isinstance(values, list) and values:
        first: Any = cast("list[Any]", values)[0]
        return {bool: "boolean", int: "integer", float: "number"}.get(type(first), "string")
    return "string"
