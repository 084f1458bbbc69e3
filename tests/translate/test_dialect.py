from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from msgspec import Raw

from codex_nexus.translate.dialect import DEFAULT, Dialect, patched


def patch(**fields: Any) -> dict[str, Raw]:
    return {name: Raw(json.dumps(value).encode()) for name, value in fields.items()}


def test_the_later_patch_wins_field_by_field() -> None:
    dialect = patched(DEFAULT, patch(system="head", max_tools=9), patch(max_tools=5, tool_choice=["auto"]))
    assert dialect == Dialect(system="head", max_tools=5, tool_choice=("auto",))


def test_what_no_patch_names_stays_as_it_was() -> None:
    base = Dialect(system="inline", efforts=("low",))
    assert patched(base, patch(images="none")) == Dialect(system="inline", efforts=("low",), images="none")


def test_a_patch_can_say_the_default() -> None:
    assert patched(Dialect(system="inline"), patch(system="head_then_user")) == DEFAULT


def test_no_patch_is_no_change() -> None:
    assert patched(DEFAULT) is DEFAULT
    assert patched(DEFAULT, {}) is DEFAULT


@pytest.mark.parametrize("wrong", [{"sytem": "head"}, {"system": "tail"}, {"max_tools": "9"}])
def test_a_wrong_patch_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(msgspec.ValidationError):
        patched(DEFAULT, patch(**wrong))
