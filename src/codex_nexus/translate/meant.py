"""What a text stands for where a tool's schema wants a number, a list, an object: arguments that came as XML."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import msgspec

from codex_nexus.translate.markup import Written
from codex_nexus.translate.schema import normalised
from codex_nexus.translate.tools import DeclaredTool
from codex_nexus.wire import codec


def arguments_for(tool: DeclaredTool, call: Written) -> str:
    """The arguments as JSON, texts turned into what the tool's schema says they are."""
    if call.typed:
        return codec.encode_any(call.arguments).decode()
    kinds = _kinds(tool)
    return codec.encode_any({key: _meant(value, kinds.get(key)) for key, value in call.arguments.items()}).decode()


@lru_cache(maxsize=512)
def _schema(tool: DeclaredTool) -> dict[str, Any]:
    if tool.kind == "custom":
        return {"properties": {"input": {"type": "string"}}, "required": ["input"]}
    try:
        return normalised(codec.decode_any(tool.parameters) if tool.parameters else None)
    except msgspec.DecodeError:
        return {}


def required(tool: DeclaredTool) -> set[str]:
    """The parameters that the tool cannot do without."""
    return {name for name in codec.as_list(_schema(tool).get("required")) or [] if isinstance(name, str)}


@lru_cache(maxsize=512)
def _kinds(tool: DeclaredTool) -> dict[str, frozenset[str]]:
    properties = codec.as_object(_schema(tool).get("properties")) or {}
    return {name: frozenset(_types(schema)) for name, schema in properties.items()}


def _types(schema: Any) -> set[str]:
    fields = codec.as_object(schema) or {}
    kind = fields.get("type")
    kinds = {kind} if isinstance(kind, str) else {str(one) for one in codec.as_list(kind) or []}
    for choice in ("anyOf", "oneOf", "allOf"):
        for branch in codec.as_list(fields.get(choice)) or []:
            kinds |= _types(branch)
    for value in codec.as_list(fields.get("enum")) or [] if not kinds else []:
        kinds.add("string" if isinstance(value, str) else "number")
    return kinds


_WORDS = {"True": True, "False": False, "None": None, "true": True, "false": False, "null": None}


def _meant(text: str, kinds: frozenset[str] | None) -> Any:
    """A text as one of these JSON types; as it is when it may be a text, or can be nothing else."""
    if kinds and "string" in kinds:
        return text
    said = text.strip()
    try:
        value = _WORDS[said] if said in _WORDS else codec.decode_any(said)
    except (msgspec.DecodeError, UnicodeEncodeError):
        return text
    if not kinds:
        return text if codec.as_object(value) is None and codec.as_list(value) is None else value
    return value if value is None or _name_of(value) & kinds else text


def _name_of(value: Any) -> set[str]:
    match value:
        case bool():
            return {"boolean"}
        case int():
            return {"integer", "number"}
        case float():
            return {"number"}
        case str():
            return {"string"}
        case list():
            return {"array"}
        case _:
            return {"object"}
