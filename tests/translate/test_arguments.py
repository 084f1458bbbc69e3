r"""Arguments that only lenient readers take become JSON for everybody, also while they stream."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests import oracle
from tests.driving import CLIENTS, answered, chunks

from codex_nexus.translate.arguments import Mender, legal, strict
from codex_nexus.translate.clients import Client
from codex_nexus.translate.dialect import DEFAULT

WRITTEN = {
    '{"a":1}': {"a": 1},
    '{\n  "a": "x\ny\tz"\n}': {"a": "x\ny\tz"},
    '{"a":"\\ud83d"}': {"a": "\ufffd"},
    '{"a":"\\ud83d\\ude00"}': {"a": "😀"},
    '{"a":"\\ude00\\ud83d \\ud83d\\n"}': {"a": "\ufffd\ufffd \ufffd\n"},
    '{"a":"\\\\ud83d","b":"\\""}': {"a": "\\ud83d", "b": '"'},
    '{"\n":"\\\n"}': None,
}


def streamed(pieces: list[str]) -> str:
    mender = Mender()
    return "".join(map(mender.feed, pieces))


@pytest.mark.parametrize("written", [written for written, read in WRITTEN.items() if read])
def test_legal_arguments_are_mended_wherever_they_are_cut(written: str) -> None:
    assert legal(written)
    assert msgspec.json.decode(strict(written)) == WRITTEN[written]
    for at in range(len(written) + 1):
        assert msgspec.json.decode(streamed([written[:at], written[at:]])) == WRITTEN[written]
    assert msgspec.json.decode(streamed(list(written))) == WRITTEN[written]


@given(st.recursive(st.text() | st.integers(), lambda inner: st.dictionaries(st.text(), inner)), st.data())
def test_good_json_goes_through_unchanged(value: Any, data: st.DataObject) -> None:
    written = json.dumps(
        {"a": value}, ensure_ascii=data.draw(st.booleans()), indent=data.draw(st.sampled_from([None, 1]))
    )
    cuts = sorted(data.draw(st.lists(st.integers(0, len(written)), max_size=5)))
    pieces = [written[a:b] for a, b in zip([0, *cuts], [*cuts, len(written)], strict=True)]
    if "\\ud" not in written.lower():
        assert streamed(pieces) == written
    assert json.loads(streamed(pieces)) == json.loads(written)


@given(st.lists(st.text(alphabet='{"\\ud8De0}\n a:', max_size=9)))
def test_garbage_is_passed_on_in_bounded_pieces(pieces: list[str]) -> None:
    mender = Mender()
    for piece in pieces:
        mender.feed(piece)
        assert len(mender._held) < 12


@pytest.mark.parametrize(
    ("arguments", "is_legal"), [("", True), (" \n", True), ("{}", True), ("[]", False), ('{"a":', False), ("x", False)]
)
def test_what_is_no_object_is_not_legal(arguments: str, is_legal: bool) -> None:
    assert legal(arguments) is is_legal


# --- who may be called

TOOLS = [{"type": "function", "name": name, "parameters": {}} for name in ("look", "touch")]
SPACE = {"type": "namespace", "name": "mcp", "tools": [{"type": "function", "name": "find", "parameters": {}}]}


def one_call(name: str) -> bytes:
    head = {"tool_calls": [{"index": 0, "id": "c1", "function": {"name": name, "arguments": ""}}]}
    tail = {"tool_calls": [{"index": 0, "function": {"arguments": "{}"}}]}
    return chunks({"content": "Well."}, head, tail, finish="tool_calls")


def choosing(*tools: dict[str, str]) -> dict[str, Any]:
    choice = {"type": "allowed_tools", "mode": "auto", "tools": list(tools)}
    return {"tools": [*TOOLS, SPACE], "tool_choice": choice}


@pytest.mark.parametrize("client", CLIENTS, ids=lambda client: client.name)
def test_a_call_that_the_request_does_not_allow_fails_the_answer_and_is_never_shown(client: Client) -> None:
    story = oracle.read(answered([one_call("touch")], client, DEFAULT, choosing({"type": "function", "name": "look"})))
    assert (story.status, story.calls, story.text) == ("failed", [], "Well.")
    assert story.message
    assert "does not allow" in story.message


@pytest.mark.parametrize("client", CLIENTS, ids=lambda client: client.name)
@pytest.mark.parametrize(
    ("said", "allowed"),
    [
        ("look", {"type": "function", "name": "look"}),
        ("functions.look", {"type": "function", "name": "look"}),
        ("mcp__find", {"type": "function", "name": "find", "namespace": "mcp"}),
    ],
)
def test_an_allowed_call_is_told(client: Client, said: str, allowed: dict[str, str]) -> None:
    story = oracle.read(answered([one_call(said)], client, DEFAULT, choosing(allowed)))
    assert story.status == "completed"
    assert [call.name for call in story.calls] == [allowed["name"]]
