"""Ids of items, made and read."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from codex_nexus.wire.ids import given_item_id, output_item_id, response_of


@given(st.binary(min_size=16, max_size=16), st.integers(0, 1 << 22), st.sampled_from(["msg", "rs", "fc", "item"]))
def test_an_id_tells_its_response_and_is_that_of_no_other_item(digits: bytes, index: int, prefix: str) -> None:
    response = f"resp_{digits.hex()}"
    made = [make(prefix, response, n) for make in (output_item_id, given_item_id) for n in (index, index + 1)]
    assert {response_of(item_id) for item_id in made} == {response}
    assert len(set(made)) == 4
    assert max(map(len, made)) <= 64


@pytest.mark.parametrize(
    "item_id", ["", "msg_1", "rs_0123456789abcdef0123456789abcdef", "msg_" + "0" * 31 + "g0000", "msg_" + "0" * 60]
)
def test_the_id_of_somebody_else_tells_nothing(item_id: str) -> None:
    assert response_of(item_id) is None
