"""Values against types: what is right is kept, and every wrong leaf adds one sentence with its path."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
import pytest
from msgspec import Meta, Raw

from codex_nexus.shapes import Shapes


class Leaf(msgspec.Struct):
    name: str
    size: Annotated[int, Meta(ge=1)] = 1
    kind: Literal["a", "b"] = "a"


class Tree(msgspec.Struct):
    leaves: tuple[Leaf, ...] = ()
    by_name: dict[str, Leaf] = {}
    words: tuple[str, ...] = ()
    pair: tuple[int, int] | None = None
    raw: Raw = Raw()


def test_what_is_right_becomes_its_type() -> None:
    shapes = Shapes()
    tree = shapes.checked(
        {"leaves": [{"name": "x"}], "by_name": {"y": {"name": "y", "size": 2}}, "pair": [1, 2], "raw": {"a": 1}},
        Tree,
        "",
    )
    assert shapes.problems == []
    assert (tree.leaves, tree.by_name, tree.pair) == ((Leaf("x"),), {"y": Leaf("y", 2)}, (1, 2))
    assert bytes(tree.raw) == b'{"a":1}'


def test_every_problem_is_told_with_its_path() -> None:
    wrong = {
        "leaves": [{"size": 0, "more": 1}, "x", {"name": 5}],
        "by_name": {"y": {"name": None}},
        "words": [1, "fine"],
        "pair": [1],
        "odd": True,
    }
    shapes = Shapes()
    assert shapes.checked(wrong, Tree, "") is None
    assert shapes.problems == [
        "leaves[0].size: expected a whole number >= 1 (it is 0).",
        "leaves[0].more: there is no such key; known are name, size, kind.",
        "leaves[0].name: this key is required.",
        "leaves[1]: expected an object, got a text.",
        "leaves[2].name: expected a text, got a whole number.",
        "by_name.y.name: expected a text, got null.",
        "words[0]: expected a text, got a whole number.",
        "pair: expected a list of length 2, got 1.",
        "odd: there is no such key; known are leaves, by_name, words, pair, raw.",
    ]


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("c", "kind: 'c' is none of a, b."),
        (5, "kind: expected a text, got a whole number."),
    ],
)
def test_a_choice_that_there_is_not_is_told_with_those_there_are(value: Any, said: str) -> None:
    shapes = Shapes()
    shapes.fields({"kind": value}, Leaf, "")
    assert shapes.problems == [said]


def test_a_wrong_type_never_shows_its_value() -> None:
    shapes = Shapes()
    shapes.checked({"name": ["sk-secret"]}, Leaf, "keys")
    assert "sk-secret" not in str(shapes.problems)


def test_a_list_may_be_written_as_its_only_element() -> None:
    assert Shapes(alone=tuple[str, ...]).checked({"words": "one"}, Tree, "").words == ("one",)
    plain = Shapes()
    plain.checked({"words": "one"}, Tree, "")
    assert plain.problems == ["words: expected a list, got a text."]


def test_the_whole_may_be_wrong() -> None:
    shapes = Shapes()
    assert shapes.checked([], Tree, "") is None
    assert shapes.problems == ["the file: expected an object, got a list."]


def test_only_the_right_fields_are_given_back() -> None:
    shapes = Shapes()
    assert shapes.fields({"name": "x", "size": "big"}, Leaf, "at") == {"name": "x"}
    assert shapes.problems == ["at.size: expected a whole number, got a text."]
