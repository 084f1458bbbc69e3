"""The subsets of JSON Schema that picky servers insist on. Pure; `schema` has inlined references before.

Both know one type for each node, few keywords for each type, and choices (`anyOf`) with nothing beside them but words:
the rest of a node goes down into its branches. `mfjs` is what MoonshotAI/walle checks (its documents, 2026-04);
`gemini` is the Schema object of ai.google.dev, where an enum has texts only and an array tells its items.
"""

from __future__ import annotations

from typing import Any, Literal

from codex_nexus.wire import codec

Subset = Literal["plain", "mfjs", "gemini"]
Schema = dict[str, Any]

CHOICES = ("anyOf", "oneOf", "allOf")
_WORDS = ("title", "description")
_ORDERED = (("minimum", "maximum"), ("minLength", "maxLength"), ("minItems", "maxItems"))
_KEYWORDS: dict[Subset, dict[str, tuple[str, ...]]] = {
    "mfjs": {
        "object": ("properties", "required", "additionalProperties"),
        "array": ("items", "minItems", "maxItems"),
        "string": ("enum", "default", "minLength", "maxLength"),
        "number": ("enum", "default", "minimum", "maximum"),
        "integer": ("enum", "default", "minimum", "maximum"),
        "boolean": ("default",),
        "null": (),
    },
    "gemini": {
        "object": ("properties", "required"),
        "array": ("items", "minItems", "maxItems"),
        "string": ("enum", "format", "minLength", "maxLength"),
        "number": ("format", "minimum", "maximum"),
        "integer": ("format", "minimum", "maximum"),
        "boolean": (),
    },
}
_FORMATS = {"string": ("date-time",), "number": ("float", "double"), "integer": ("int32", "int64")}
_TYPES: dict[str, tuple[type, ...]] = {
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
}


def restricted(schema: Any, subset: Subset) -> Schema:
    """The schema in this subset; what is no schema becomes a text."""
    given = codec.as_object(schema)
    node = _with_all({"type": "string"} if given is None else given)
    branches = _branches(node)
    if not branches:
        return _leaf(node, subset)
    words = {name: node[name] for name in _WORDS if isinstance(node.get(name), str)}
    rest = {name: value for name, value in node.items() if name not in (*CHOICES, *_WORDS)}
    made: list[Schema] = []
    for branch in branches:
        one = restricted(_laid(rest, branch), subset)
        if one not in made:
            made.append(one)
    return {**(made[0] if len(made) == 1 else {"anyOf": made}), **words}


def flattened(node: Schema) -> Schema:
    """The same object with the properties of its choices among its own, which no server refuses at the root."""
    flat = _with_all(node)
    for keyword in ("anyOf", "oneOf"):
        for branch in listed(flat.pop(keyword, None)):
            found = codec.as_object((codec.as_object(branch) or {}).get("properties")) or {}
            flat["properties"] = found | (codec.as_object(flat.get("properties")) or {})
    return flat


def listed(value: Any) -> list[Any]:
    """A list, or an empty one in the place of anything else."""
    return codec.as_list(value) or []


def _with_all(node: Schema) -> Schema:
    """The node with every branch of its `allOf` laid into it."""
    merged = {keyword: value for keyword, value in node.items() if keyword != "allOf"}
    for branch in listed(node.get("allOf")):
        merged = _laid(_with_all(codec.as_object(branch) or {}), merged)
    return merged


def _laid(under: Schema, over: Any) -> Schema:
    """Two schemas that both hold, as one: properties and what is required of both, else the second's word."""
    upper = codec.as_object(over) or {}
    merged = {**under, **upper}
    properties = [codec.as_object(side.get("properties")) for side in (under, upper)]
    if any(side is not None for side in properties):
        merged["properties"] = (properties[0] or {}) | (properties[1] or {})
    required = [*listed(under.get("required")), *listed(upper.get("required"))]
    if required:
        merged["required"] = list(dict.fromkeys(name for name in required if isinstance(name, str)))
    return merged


def _branches(node: Schema) -> list[Schema]:
    """What the node may be, null apart; empty: one thing only."""
    branches = [codec.as_object(branch) or {} for keyword in ("anyOf", "oneOf") for branch in listed(node.get(keyword))]
    branches = branches or [{"type": kind} for kind in listed(node.get("type"))]
    real = [branch for branch in branches if branch.get("type") != "null"]
    return real or branches[:1]


def _leaf(node: Schema, subset: Subset) -> Schema:
    kind = _kind(node, subset)
    out: Schema = {"type": kind} | {name: node[name] for name in _WORDS if isinstance(node.get(name), str)}
    for keyword in _KEYWORDS[subset][kind]:
        value = _taken(keyword, node.get(keyword), kind, subset)
        if value is not None:
            out[keyword] = value
    if kind == "object":
        _keep_known_names(out)
    if kind == "array" and subset == "gemini":
        out.setdefault("items", {"type": "string"})
    for least, most in _ORDERED:
        if out.get(least, 0) > out.get(most, float("inf")):
            del out[least], out[most]
    return out


def _kind(node: Schema, subset: Subset) -> str:
    kind = node.get("type")
    return kind if isinstance(kind, str) and kind in _KEYWORDS[subset] else _guessed(node)


def _guessed(node: Schema) -> str:
    if "properties" in node or "additionalProperties" in node:
        return "object"
    if "items" in node:
        return "array"
    values = listed(node.get("enum"))
    for kind in ("boolean", "integer", "number"):
        if values and all(_is_of(value, kind) for value in values):
            return kind
    return "string"


def _taken(keyword: str, value: Any, kind: str, subset: Subset) -> Any:
    """The value of a keyword as the subset takes it; None: it is left out."""
    if value is None:
        return None
    match keyword:
        case "properties":
            children = codec.as_object(value)
            return None if children is None else {name: restricted(child, subset) for name, child in children.items()}
        case "items":
            several = codec.as_list(value)
            return restricted(value if several is None else (several or [True])[0], subset)
        case "additionalProperties":
            return restricted(value, subset) if codec.as_object(value) else None
        case "required":
            return listed(value)
        case "enum":
            values = listed(value)
            return values if values and all(_is_of(each, kind) for each in values) else None
        case "format":
            return value if value in _FORMATS[kind] else None
        case "default":
            return value if _is_of(value, kind) else None
        case _:
            return value if _is_of(value, "number" if kind == "number" else "integer") else None


def _is_of(value: Any, kind: str) -> bool:
    return isinstance(value, _TYPES[kind]) and (kind == "boolean" or not isinstance(value, bool))


def _keep_known_names(out: Schema) -> None:
    names = [name for name in listed(out.pop("required", None)) if isinstance(name, str)]
    known = [name for name in names if name in out.get("properties", {})]
    if known:
        out["required"] = known
