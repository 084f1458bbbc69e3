"""`vision_model`: images for a model that sees none are described once by another, and only then."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

import pytest

from codex_nexus.snapshot import Snapshot
from tests.serving import CODEX, Served
from tests.upstream import Answer, Recorded, Upstream, cut, finish, sse, stall, status, text, usage
from tests.worlds import providers, world

NOTE = "[image omitted: this model cannot see images]"
KEY = "sk-eyes-0123456789"
SEEN = "[image, described by another model: a red square]"


def picture(data: str = "AAAA") -> dict[str, Any]:
    """An image part."""
    return {"type": "input_image", "image_url": f"data:image/png;base64,{data}"}


def asking(*parts: dict[str, Any]) -> list[dict[str, Any]]:
    """A question with images."""
    content = [{"type": "input_text", "text": "what is it?"}, *parts]
    return [{"type": "message", "role": "user", "content": content}]


def snapshot(blind: Upstream, seeing: Upstream, vision: str = "eyes/big", **eyes: Any) -> Snapshot:
    """A provider that sees nothing, and one that does."""
    known = providers(
        blind={"base_url": blind.base_url, "local": True, "default_model": "m", "dialect": {"images": "none"}},
        eyes={"base_url": seeing.base_url, "local": True, "default_model": "big", **eyes},
    )
    keys = {"eyes": KEY}
    return world(
        {"provider": "blind", "vision_model": vision, "retry": {"attempts": 1}, "provider_api_keys": keys}, known
    )


@pytest.fixture(autouse=True)
def scripts(upstream: Upstream, other_upstream: Upstream) -> None:
    """What both answer."""
    upstream.script(sse([text("fine"), finish()]))
    other_upstream.script(sse([text(" a red"), text(" square\n"), finish()]))


def sent(upstream: Upstream) -> str:
    """The last user message, as JSON."""
    return json.dumps(upstream.requests[-1].json["messages"][-1], ensure_ascii=False)


async def test_an_image_is_described_once(
    upstream: Upstream, other_upstream: Upstream, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "codex_nexus")
    for _ in range(2):
        async with Served(snapshot(upstream, other_upstream), None, tmp_path) as served:
            for _ in range(2):
                assert (await served.create(input=asking(picture()))).status == 200
                assert SEEN in sent(upstream)
    assert len(other_upstream.requests) == 1
    assert picture()["image_url"] in sent(other_upstream)
    assert sum("described an image" in record.message for record in caplog.records) == 1
    assert (tmp_path / "pictures.json").stat().st_mode & 0o777 == 0o600


async def test_several_images_and_those_of_tools_are_described(upstream: Upstream, other_upstream: Upstream) -> None:
    def described(recorded: Recorded) -> Answer:
        return sse([text("one" if "AAAA" in json.dumps(recorded.json) else "two"), finish()])

    other_upstream.script(described)
    async with Served(snapshot(upstream, other_upstream), None) as served:
        items = [
            *asking(picture()),
            {"type": "function_call", "call_id": "c", "name": "view_image", "arguments": "{}"},
            {"type": "function_call_output", "call_id": "c", "output": [picture("BBBB"), picture()]},
        ]
        assert (await served.create(headers=CODEX, input=items)).status == 200
    said = json.dumps(upstream.requests[-1].json["messages"])
    assert said.count("another model: one]") == 2
    assert said.count("another model: two]") == 1
    assert len(other_upstream.requests) == 2


async def test_what_is_stored_is_the_image(upstream: Upstream, other_upstream: Upstream, store: Any) -> None:
    async with Served(snapshot(upstream, other_upstream), store) as served:
        first = (await served.create(input=asking(picture()))).json
        await served.create(input="and now?", previous_response_id=first["id"])
        items = (await served.get(f"/v1/responses/{first['id']}/input_items")).json["data"]
    assert picture()["image_url"] in json.dumps(items)
    assert SEEN in json.dumps(upstream.requests[-1].json)
    assert len(other_upstream.requests) == 1


async def test_turns_without_images_ask_nobody(upstream: Upstream, other_upstream: Upstream) -> None:
    async with Served(snapshot(upstream, other_upstream), None) as served:
        await served.create(input='just words with "input_image" in them')
    assert other_upstream.requests == []


async def test_a_model_that_sees_gets_the_image(upstream: Upstream, other_upstream: Upstream) -> None:
    async with Served(snapshot(upstream, other_upstream), None) as served:
        await served.create(model="eyes/big", input=asking(picture()))
    assert len(other_upstream.requests) == 1
    assert picture()["image_url"] in sent(other_upstream)


async def test_without_the_key_a_note_stands_there(upstream: Upstream, other_upstream: Upstream) -> None:
    async with Served(snapshot(upstream, other_upstream, ""), None) as served:
        await served.create(input=asking(picture()))
    assert NOTE in sent(upstream)
    assert other_upstream.requests == []


def why(reason: str) -> str:
    """The note that says why there is no description."""
    return f"{NOTE[:-1]}, and eyes/big did not describe it: {reason}]"


@pytest.mark.parametrize(
    ("failure", "reason", "requests"),
    [
        ("refused", "Eyes: slow, key *** (429)", 1),
        ("empty", "Eyes: The model gave no answer", 1),
        ("cut", "its answer broke off", 1),
        ("nothing", "Eyes did not answer: it took the request (200) and then sent an empty body", 1),
        ("healed", "it takes no images", 1),
        ("blind", "it takes no such images itself", 0),
        ("address", "it takes no such images itself", 0),
    ],
)
async def test_a_failure_costs_a_line_and_the_note_says_why(
    upstream: Upstream,
    other_upstream: Upstream,
    caplog: pytest.LogCaptureFixture,
    failure: str,
    reason: str,
    requests: int,
) -> None:
    answers: dict[str, Any] = {
        "refused": [status(429, {"error": {"message": f"slow, key {KEY}"}})],
        "empty": [sse([finish()])],
        "cut": [cut([text("a re")])],
        "nothing": [status(200)],
        "healed": [status(400, {"error": {"message": "image input is not supported"}}), sse([text("hm"), finish()])],
    }
    other_upstream.script(*answers.get(failure, [sse([text("x"), finish()])]))
    eyes = {"dialect": {"images": "none"}} if failure == "blind" else {}
    part = {"type": "input_image", "image_url": "http://a/b.png"} if failure == "address" else picture()
    async with Served(snapshot(upstream, other_upstream, **eyes), None) as served:
        for _ in range(2):
            assert (await served.create(input=asking(part))).status == 200
            assert why(reason) in sent(upstream)
            assert KEY not in sent(upstream)
        records = [record for record in served.gateway.traffic.ended if record.client == "vision"]
    assert [record.status for record in records] == ["failed"] * requests
    assert len(other_upstream.requests) == requests
    assert sum("described no image" in record.message for record in caplog.records) == 1
    assert KEY not in caplog.text


async def test_what_it_costs_stands_in_the_book(upstream: Upstream, other_upstream: Upstream) -> None:
    other_upstream.script(sse([text("a red square"), finish(), usage(700, 40)]))
    async with Served(snapshot(upstream, other_upstream), None) as served:
        reply = await served.create(input=asking(picture()))
        mine, seen = sorted(served.gateway.traffic.ended, key=lambda record: record.client)
        counted = (await served.get("/metrics")).body.decode()
    assert (seen.client, seen.asked, seen.upstream, seen.status) == ("vision", "eyes/big", "eyes/big", "completed")
    assert (seen.input_tokens, seen.output_tokens) == (700, 40)
    assert (mine.client, mine.upstream) == ("plain", "blind/m")
    assert 'codex_nexus_tokens_total{kind="input",model="big",provider="eyes"} 700.0' in counted
    assert (reply.json["usage"] or {}).get("input_tokens", 0) < 700  # the turn itself is counted for itself


async def test_a_model_found_blind_is_not_asked_about_another_image(
    upstream: Upstream, other_upstream: Upstream
) -> None:
    refusal = status(400, {"error": {"message": "image input is not supported"}})
    other_upstream.script(refusal, sse([text("hm"), finish()]))
    async with Served(snapshot(upstream, other_upstream), None) as served:
        await served.create(model="eyes/big", input=asking(picture("BBBB")))  # this is how it is learned
        assert len(other_upstream.requests) == 2
        await served.create(input=asking(picture()))
    assert why("it takes no such images itself") in sent(upstream)
    assert len(other_upstream.requests) == 2


async def test_a_model_that_describes_for_itself_does_not_turn_in_a_circle(upstream: Upstream) -> None:
    async with Served(snapshot(upstream, upstream, "blind/m"), None) as served:
        assert (await served.create(input=asking(picture()))).status == 200
    assert len(upstream.requests) == 1
    assert why("it takes no such images itself").replace("eyes/big", "blind/m") in sent(upstream)


async def test_a_reason_is_forgotten_when_the_image_was_described(
    upstream: Upstream, other_upstream: Upstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("codex_nexus.gateway.vision._AGAIN_S", 0.0)
    other_upstream.script(status(429, {"error": {"message": "slow"}}), sse([text("a red square"), finish()]))
    async with Served(snapshot(upstream, other_upstream), None) as served:
        await served.create(input=asking(picture()))
        assert why("Eyes: slow (429)") in sent(upstream)
        await served.create(input=asking(picture()))
        assert SEEN in sent(upstream)


async def test_workers_keep_what_the_others_wrote(upstream: Upstream, other_upstream: Upstream, tmp_path: Path) -> None:
    world_ = snapshot(upstream, other_upstream)
    async with Served(world_, None, tmp_path) as one, Served(world_, None, tmp_path) as two:
        for served, data in ((one, "AAAA"), (two, "BBBB"), (one, "CCCC")):
            await served.create(input=asking(picture(data)))
    assert len(json.loads((tmp_path / "pictures.json").read_text())) == 3


async def test_the_stream_begins_while_an_image_is_looked_at(
    upstream: Upstream, other_upstream: Upstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("codex_nexus.gateway.live.GRACE_S", 0.05)
    monkeypatch.setattr("codex_nexus.gateway.vision._PATIENCE_S", 1.5)
    other_upstream.script(stall())
    async with Served(snapshot(upstream, other_upstream), None) as served:
        story = await served.stream(input=asking(picture()))
    assert story.text == "fine"
    assert why("no description came within 1.5 s") in sent(upstream)


async def test_the_memory_is_bounded(
    upstream: Upstream, other_upstream: Upstream, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("codex_nexus.gateway.vision._MOST_KEPT", 3)
    async with Served(snapshot(upstream, other_upstream), None, tmp_path) as served:
        for n in range(5):
            await served.create(input=asking(picture(f"AAA{n}")))
    assert len(json.loads((tmp_path / "pictures.json").read_text())) == 3


@pytest.mark.parametrize("content", ["", "[]", "\x00", '{"eyes/big x": 5}'])
async def test_a_broken_file_is_forgotten(
    upstream: Upstream, other_upstream: Upstream, tmp_path: Path, content: str
) -> None:
    (tmp_path / "pictures.json").write_text(content)
    async with Served(snapshot(upstream, other_upstream), None, tmp_path) as served:
        await served.create(input=asking(picture()))
    assert SEEN in sent(upstream)
