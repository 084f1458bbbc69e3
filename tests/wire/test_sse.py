from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests import strategies as some

from codex_nexus.wire.sse import SseDecoder, SseEvent, frame


def events(*pieces: bytes) -> list[SseEvent]:
    decoder = SseDecoder()
    return [event for piece in pieces for event in decoder.receive_data(piece)] + decoder.close()


def data(*pieces: bytes) -> list[bytes]:
    return [event.data for event in events(*pieces)]


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\r"], ids=["LF", "CRLF", "CR"])
def test_every_line_end_ends_a_line(end: bytes) -> None:
    assert data(b"data: a\n\ndata: b\n\n".replace(b"\n", end)) == [b"a", b"b"]


@pytest.mark.parametrize(
    ("stream", "expected"),
    [
        (b"\xef\xbb\xbfdata: a\n\n", [b"a"]),
        (b"\n\ndata: a\n\n\n\n", [b"a"]),
        (b"data:a\n\ndata:  a\n\n", [b"a", b" a"]),
        (b"data: a\ndata: b\n\n", [b"a\nb"]),
        (b"data\n\n", [b""]),
        (b": comment\n\ndata: a\n: more\n\n", [b"a"]),
        (b"id: 7\nretry: 10\ndata: a\n\n", [b"a"]),
        (b"event: ping\n\ndata: a\n\n", [b"a"]),
        (b"data: a\n\ndata: last", [b"a", b"last"]),
        (b"data: a\n\n: bye", [b"a"]),
        (b"", []),
        (b" \r\n", []),
    ],
)
def test_a_stream_is_read_however_it_is_written(stream: bytes, expected: list[bytes]) -> None:
    assert data(stream) == expected


def test_an_event_keeps_its_type() -> None:
    assert events(b"event: error\ndata: {}\n\ndata: {}\n\n") == [(b"error", b"{}"), (b"", b"{}")]


def test_an_event_comes_as_soon_as_its_blank_line() -> None:
    decoder = SseDecoder()
    assert decoder.receive_data(b"data: a\n") == []
    assert decoder.receive_data(b"\n") == [(b"", b"a")]
    assert decoder.close() == []


def test_half_a_line_end_waits_for_its_other_half() -> None:
    decoder = SseDecoder()
    assert decoder.receive_data(b"data: a\r\n\r") == []
    assert decoder.receive_data(b"\ndata: b\r\n\r\n") == [(b"", b"a"), (b"", b"b")]


@pytest.mark.parametrize("body", [b'{"a":1}', b"  [1]\n\n", b"<html>\n\n</html>", b"\xef\xbb\xbf{}"])
def test_a_body_that_is_no_stream_comes_whole_at_the_end(body: bytes) -> None:
    decoder = SseDecoder()
    assert decoder.receive_data(body[:5]) + decoder.receive_data(body[5:]) == []
    assert decoder.plain
    assert decoder.close() == [(b"", body.removeprefix(b"\xef\xbb\xbf"))]


def test_a_body_that_ends_inside_its_byte_order_mark_comes_as_it_is() -> None:
    assert data(b"\xef", b"\xbb") == [b"\xef\xbb"]


@given(st.data(), st.lists(st.sampled_from([b"data: x", b"data:", b":c", b"event: e", b"\n", b"\r", b"\r\n", b"\xc3"])))
def test_any_pieces_give_what_the_standard_says(data: st.DataObject, lines: list[bytes]) -> None:
    stream = b"data: 1\n\n" + b"".join(lines)
    assert events(*data.draw(some.pieces(stream))) == by_the_standard(stream)


def by_the_standard(stream: bytes) -> list[SseEvent]:
    """The algorithm of the HTML standard, except that the last event needs no blank line."""
    found: list[SseEvent] = []
    name, lines = b"", list[bytes]()
    for line in [*re.split(rb"\r\n|\n|\r", stream), b""]:
        field, _, value = line.partition(b":")
        if not line:
            found += [SseEvent(name, b"\n".join(lines))] if lines else []
            name, lines = b"", []
        elif field == b"data":
            lines.append(value.removeprefix(b" "))
        elif field == b"event":
            name = value.removeprefix(b" ")
    return found


def test_a_record_is_framed_with_its_type() -> None:
    assert frame(b"ping", b"{}") == b"event: ping\ndata: {}\n\n"
    assert events(frame(b"ping", b"{}")) == [(b"ping", b"{}")]
