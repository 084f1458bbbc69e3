from __future__ import annotations

import json

from codex_nexus.wire.create import CreateResponse
from codex_nexus.wire.events import (
    EventEncoder,
    FunctionCallArgumentsDelta,
    OutputTextDelta,
    ResponseCompleted,
    ResponseFailed,
    ResponseIncomplete,
    ResponseInProgress,
)
from codex_nexus.wire.responses import echoed

RESPONSE = echoed(CreateResponse(model="gpt-x"), "resp_1", 1)


def delta(text: str) -> OutputTextDelta:
    return OutputTextDelta(item_id="msg_1", output_index=0, content_index=0, delta=text)


def test_events_are_numbered_from_zero_without_gaps() -> None:
    encoder = EventEncoder()
    first = encoder.sse([delta("a"), delta("b")])
    second = encoder.json(delta("c"))
    numbers = [json.loads(line[6:])["sequence_number"] for line in first.splitlines() if line.startswith(b"data: ")]
    assert [*numbers, json.loads(second)["sequence_number"]] == [0, 1, 2]


def test_a_record_names_the_type_that_its_event_has() -> None:
    event, data, *rest = (
        EventEncoder().sse([FunctionCallArgumentsDelta(item_id="fc_1", output_index=1, delta="{")]).split(b"\n")
    )
    assert (event, rest) == (b"event: response.function_call_arguments.delta", [b"", b""])
    assert json.loads(data.removeprefix(b"data: ")) == {
        "type": "response.function_call_arguments.delta",
        "sequence_number": 0,
        "item_id": "fc_1",
        "output_index": 1,
        "delta": "{",
    }


def test_nothing_is_written_for_no_events() -> None:
    assert EventEncoder().sse([]) == b""


def test_done_follows_a_terminal_event_and_no_other() -> None:
    encoder = EventEncoder()
    for kind in (ResponseCompleted, ResponseIncomplete, ResponseFailed):
        assert encoder.sse([delta("a"), kind(response=RESPONSE)]).endswith(b"\n\ndata: [DONE]\n\n")
    assert b"[DONE]" not in encoder.sse([ResponseInProgress(response=RESPONSE)])
