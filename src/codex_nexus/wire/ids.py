"""Ids of items: each tells the response that it belongs to, so that an item can be found by its id alone.

A response's id is `resp_` and 32 hexadecimal digits. An item of its output has the same digits and four (or more) of
its index; an item of its input that came without an id has an `f` between the two.
"""

from __future__ import annotations

import re

_TAIL = re.compile(r"[a-z]+_([0-9a-f]{32})f?[0-9a-f]{4,6}")


def output_item_id(prefix: str, response_id: str, index: int) -> str:
    """Of the item at this index of a response's output; `prefix` is that of its type, such as `msg`."""
    return f"{prefix}_{_digits(response_id)}{index:04x}"


def given_item_id(prefix: str, owner_id: str, index: int) -> str:
    """Of the item at this place among those that a request brought; `owner_id` is its response's, or any other seed."""
    return f"{prefix}_{_digits(owner_id)}f{index:04x}"


def response_of(item_id: str) -> str | None:
    """The response that an item must belong to, by its id; None when the id is not one of ours."""
    found = _TAIL.fullmatch(item_id)
    return found and f"resp_{found[1]}"


def _digits(owner_id: str) -> str:
    return owner_id.partition("_")[2]
