from __future__ import annotations

import json

import msgspec

from codex_nexus.wire.codec import to_text
from codex_nexus.wire.items import InputItem, OutputItem, ReasoningItem, message_text


def test_a_string_input_is_one_user_message() -> None:
    assert json.loads(bytes(message_text(to_text('say "hi"')))) == {
        "type": "message",
        "role": "user",
        "content": [{"type": "input_text", "text": 'say "hi"'}],
    }


def test_an_item_of_an_unknown_type_can_be_read() -> None:
    item = msgspec.json.decode(b'{"type":"from_the_future","payload":{"deep":[1]},"status":{"odd":1}}', type=InputItem)
    assert (item.type, item.status, item.role) == ("from_the_future", {"odd": 1}, None)


def test_an_output_item_says_its_type_and_leaves_out_what_is_unset() -> None:
    item: OutputItem = ReasoningItem("rs_1")
    assert json.loads(msgspec.json.encode(item)) == {
        "type": "reasoning",
        "id": "rs_1",
        "status": "in_progress",
        "summary": [],
    }
