"""Answers that are told only when they are whole: JSON that a server does not enforce, and summaries of a thread."""

from __future__ import annotations

import re
from collections.abc import Iterator

from msgspec import DecodeError

from codex_nexus.wire import codec

_FENCED = re.compile(r"```[\w-]*\s*\n(?P<body>.*?)\n?\s*```", re.DOTALL)


def json_in(text: str) -> str:
    """The JSON object in an answer that may wrap it in a fence or in prose; the text itself when there is none."""
    for candidate in _candidates(text):
        try:
            value = codec.decode_any(candidate)
        except (DecodeError, UnicodeEncodeError):
            continue
        if codec.as_object(value) is not None:
            return candidate
    return text


def _candidates(text: str) -> Iterator[str]:
    yield text.strip()
    for fenced in _FENCED.finditer(text):
        yield fenced.group("body").strip()
    begin, end = text.find("{"), text.rfind("}")
    if 0 <= begin < end:
        yield text[begin : end + 1]
