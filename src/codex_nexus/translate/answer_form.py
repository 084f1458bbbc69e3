"""The form that an answer's text must have: `response_format` where the server takes it, words where it does not."""

from __future__ import annotations

from typing import Any

from msgspec import UNSET

from codex_nexus.translate.dialect import Dialect
from codex_nexus.translate.schema import normalised
from codex_nexus.wire import codec
from codex_nexus.wire.codec import Text
from codex_nexus.wire.create import TextFormat

_SCHEMA_NOTE = "Answer with one JSON object and nothing else. It must match this JSON Schema:\n"
_JSON_NOTE = "Answer with one JSON object and nothing else."


def enforced(dialect: Dialect, *, tools: bool) -> bool:
    """Whether the server itself holds the answer to the schema that was asked for."""
    return dialect.response_format == "schema" and not (tools and dialect.tools_exclude_response_format)


def response_format(form: TextFormat | None, dialect: Dialect, *, tools: bool) -> tuple[Any, Text | None]:
    """`response_format`, and what must be said in words because the server takes less."""
    if form is None or form.type == "text":
        return UNSET, None
    strength = dialect.response_format
    if tools and dialect.tools_exclude_response_format:
        strength = "none"
    if form.type == "json_object":
        return (UNSET if strength == "none" else {"type": "json_object"}), codec.to_text(_JSON_NOTE)
    if strength == "schema":
        schema = form.schema if dialect.json_schema == "plain" else normalised(form.schema, dialect.json_schema)
        said = {"name": form.name, "schema": schema, "description": form.description, "strict": form.strict}
        known = {key: value for key, value in said.items() if value is not None}
        return {"type": "json_schema", "json_schema": known}, None
    note = codec.to_text(_SCHEMA_NOTE + codec.encode(form.schema).decode())
    return ({"type": "json_object"} if strength == "object" else UNSET), note
