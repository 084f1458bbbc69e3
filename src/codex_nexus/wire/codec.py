"""Bytes to types and back, and texts that stay encoded on their way through. Nothing here knows a protocol.

A text of a long history is only passed on: it stays the JSON string literal that it was (`Text`), is joined inside its
quotes and copied into the next request. It is decoded only where its content matters.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from typing import Any, cast

import msgspec
from msgspec import Raw

Text = Raw
"""A JSON string literal with its quotes."""

_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder()
_text_decoder = msgspec.json.Decoder(str)

EMPTY = Raw(b'""')
NULL = Raw(b"null")


def encode(value: object) -> bytes:
    """JSON of a Struct or plain value."""
    return _encoder.encode(value)


def encode_any(value: Any) -> bytes:
    """JSON of plain values that may hold surrogate halves, which become U+FFFD."""
    try:
        return _encoder.encode(value)
    except UnicodeEncodeError:
        return mend_escapes(json.dumps(value).encode())


DEEPEST = 200
"""Levels of nesting that are read. Our own functions follow them down, and a newer Python decodes thousands."""

SHALLOW = 2 * DEEPEST
"""JSON of so many bytes cannot be deeper."""


def decode_any(data: bytes | Raw | str) -> Any:
    """Plain Python values.

    Raises:
        msgspec.DecodeError: not JSON, or nested too deeply.
    """
    try:
        value = _decoder.decode(data)
    except RecursionError:
        raise msgspec.DecodeError("nested too deeply") from None
    if may_be_deep(data) and is_deep(value):
        raise msgspec.DecodeError("nested too deeply")
    return value


def may_be_deep(data: bytes | Raw | str) -> bool:
    """Whether JSON has brackets enough to be nested too deeply; costs next to nothing when it is short."""
    if isinstance(data, str):
        return len(data) > SHALLOW and data.count("{") + data.count("[") > DEEPEST
    if len(memoryview(data)) <= SHALLOW:
        return False
    whole = bytes(data)
    return whole.count(b"{") + whole.count(b"[") > DEEPEST


def is_deep(value: Any) -> bool:
    """Whether a decoded value is nested too deeply."""
    if not isinstance(value, (dict, list)):
        return False
    level: list[Any] = [value]
    for _ in range(DEEPEST):
        level = [child for one in level for child in _inside(one)]
        if not level:
            return False
    return True


def _inside(value: Any) -> Iterable[Any]:
    if isinstance(value, dict):
        return cast("dict[str, Any]", value).values()
    return cast("list[Any]", value) if isinstance(value, list) else ()


def decode_lenient(data: bytes, *, halves: bool = False) -> Any:
    """Plain Python values, also of JSON that strict readers refuse: control characters, NaN, lone surrogate halves.

    Such a half becomes U+FFFD, or stays for somebody who joins it with the next piece (`halves`).

    Raises:
        ValueError: not JSON even so.
    """
    try:
        value = json.loads((data if halves else mend_escapes(data)).decode("utf-8", "replace"), strict=False)
    except RecursionError:
        raise ValueError("nested too deeply") from None
    if may_be_deep(data) and is_deep(value):
        raise ValueError("nested too deeply")
    return value


def as_object(value: Any) -> dict[str, Any] | None:
    """A decoded value as an object, or None when it is something else."""
    return cast("dict[str, Any]", value) if isinstance(value, dict) else None


def as_list(value: Any) -> list[Any] | None:
    """A decoded value as a list, or None when it is something else."""
    return cast("list[Any]", value) if isinstance(value, list) else None


def to_text(value: str) -> Text:
    """A text as a literal."""
    return Raw(_encoder.encode(whole(value)))


def of_text(text: Text) -> str:
    """A literal as a text."""
    return _text_decoder.decode(text)


def is_text(raw: Raw) -> bool:
    """Whether this raw value is a string."""
    return bytes(memoryview(raw)[:1]) == b'"'


def is_null(raw: Raw) -> bool:
    """Whether this raw value is absent or null."""
    return bytes(memoryview(raw)[:5]) in (b"", b"null")


def is_blank(text: Text) -> bool:
    """Whether a text is empty."""
    return len(memoryview(text)) <= 2


def join_texts(texts: list[Text], between: str = "\n\n") -> Text:
    """Several literals as one, without decoding them."""
    if len(texts) == 1:
        return texts[0]
    glue = _encoder.encode(between)[1:-1]
    return Raw(b'"' + glue.join(bytes(memoryview(text)[1:-1]) for text in texts) + b'"')


_HALF = re.compile("[\ud800-\udfff]")
_SURROGATE = re.compile(rb"\\u[dD]")
_ESCAPES = re.compile(
    rb"(\\\\)|(\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2})|(\\u[dD][89a-fA-F][0-9a-fA-F]{2})"
)


def whole(value: str) -> str:
    """The text with surrogate pairs joined and lone halves replaced, so that it can be encoded."""
    if not _HALF.search(value):
        return value
    return value.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def mend_escapes(data: bytes) -> bytes:
    r"""JSON with every lone `\ud83d`-like escape replaced by U+FFFD; strict readers refuse such a body as a whole."""
    if not _SURROGATE.search(data):
        return data
    return _ESCAPES.sub(lambda match: rb"\ufffd" if match.group(3) else match.group(0), data)
