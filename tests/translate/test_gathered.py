from __future__ import annotations

import pytest

from codex_nexus.translate.gathered import json_in


@pytest.mark.parametrize(
    ("answer", "found"),
    [
        ('{"ok":true}', '{"ok":true}'),
        (' {"ok":true}\n', '{"ok":true}'),
        ('```json\n{"ok":true}\n```', '{"ok":true}'),
        ('Sure:\n```\nno\n```\n```json\n{"ok": [1]}\n```\nDone.', '{"ok": [1]}'),
        ('The verdict is {"ok":true}, I think.', '{"ok":true}'),
    ],
)
def test_the_object_is_found_wherever_it_stands(answer: str, found: str) -> None:
    assert json_in(answer) == found


@pytest.mark.parametrize("answer", ["", "no json", "[1]", "{broken}", "} {", '{"a":"\ud83d"'])
def test_without_an_object_the_answer_stays_as_it_is(answer: str) -> None:
    assert json_in(answer) == answer
