"""Dialect fields as they stand in a record: what changed between two dialects, laid over one, in words."""

from __future__ import annotations

import json
from typing import Any

import msgspec

from codex_nexus.translate.dialect import Dialect, patched

Fields = dict[str, Any]
"""A dialect's fields by name, with JSON values."""


def difference(before: Dialect, after: Dialect) -> Fields:
    """The fields that changed, as they stand in a record."""
    changed = [name for name in Dialect.__struct_fields__ if getattr(before, name) != getattr(after, name)]
    return {name: json.loads(msgspec.json.encode(getattr(after, name))) for name in changed}


def laid_over(dialect: Dialect, fields: Fields) -> Dialect:
    """The dialect with these fields."""
    return patched(dialect, {name: msgspec.Raw(msgspec.json.encode(value)) for name, value in fields.items()})


def shown(fields: Fields) -> str:
    """The fields for a person, in one line."""
    return ", ".join(f"{name}: {_short(value)}" for name, value in fields.items())


def _short(value: Any) -> str:
    if isinstance(value, list):
        return " ".join(map(str, value)) or "none"  # pyright: ignore[reportUnknownArgumentType, reportUnknownVariableType]
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
