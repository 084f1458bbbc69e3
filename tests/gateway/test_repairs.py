"""Refused requests are said again in other words, one refusal after another, and the words are kept over a restart."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.gateway.conftest import Serve
from tests.probe.fussy import FIVE, Fussy, no_effort, no_images
from tests.serving import Served
from tests.upstream import Upstream
from tests.worlds import providers, world

TOOL = {"type": "function", "name": "report_number", "parameters": {}}
FULL: dict[str, Any] = {
    "input": [
        {"type": "message", "role": "user", "content": "a"},
        {"type": "message", "role": "developer", "content": "b"},
        {"type": "message", "role": "user", "content": "Call the tool."},
    ],
    "tools": [TOOL],
    "tool_choice": {"type": "function", "name": "report_number"},
    "parallel_tool_calls": True,
    "max_output_tokens": 60000,
}


def house(upstream: Upstream) -> Any:
    """A provider that is asked for everything."""
    dialect = {"system": "inline", "parallel_tool_calls": "send", "reasoning_param": "effort"}
    return providers(house={"base_url": upstream.base_url, "local": True, "default_model": "big", "dialect": dialect})


async def test_four_refusals_of_one_request_are_survived(
    serve: Serve, upstream: Upstream, caplog: pytest.LogCaptureFixture
) -> None:
    fussy = Fussy(*FIVE[:4])
    upstream.script(fussy)
    gateway = await serve(house(upstream), provider="house")
    story = await gateway.stream(**FULL)
    assert [call.name for call in story.calls] == ["report_number"]
    assert len(fussy.refusals) == 4
    assert sum("trying again:" in record.message for record in caplog.records) == 4
    assert (await gateway.create(**FULL)).status == 200
    assert len(fussy.refusals) == 4


async def test_a_fifth_refusal_is_told_and_teaches_nothing(serve: Serve, upstream: Upstream) -> None:
    fussy = Fussy(*FIVE)
    upstream.script(fussy)
    gateway = await serve(house(upstream), provider="house")
    assert (await gateway.create(**FULL)).status == 400
    assert (await gateway.create(**FULL | {"max_output_tokens": 100})).status == 200
    assert (await gateway.create(**FULL)).status == 200


async def test_images_and_efforts_are_mended(serve: Serve, upstream: Upstream) -> None:
    upstream.script(Fussy(no_images, no_effort))
    gateway = await serve(house(upstream), provider="house")
    picture = {"type": "input_image", "image_url": "data:image/png;base64,AAAA"}
    asked = [{"type": "message", "role": "user", "content": [{"type": "input_text", "text": "see"}, picture]}]
    assert (await gateway.create(input=asked, reasoning={"effort": "medium"})).status == 200
    last = upstream.requests[-1].json
    assert "image_url" not in json.dumps(last)
    assert last["reasoning_effort"] in ("low", "high")


async def test_the_words_are_known_after_a_restart(tmp_path: Path, upstream: Upstream) -> None:
    fussy = Fussy(*FIVE[:4])
    upstream.script(fussy)
    snapshot = world({"provider": "house"}, house(upstream))
    for _ in range(2):
        async with Served(snapshot, None, tmp_path) as served:
            assert (await served.create(**FULL)).status == 200
    assert len(fussy.refusals) == 4
    known = json.loads((tmp_path / "learned.json").read_text())["repairs"]["house/big"]
    assert known["heals"] == [
        "tool_choice_auto", "drop_field:stream_options", "drop_field:parallel_tool_calls", "system_head",
    ]  # fmt: skip
