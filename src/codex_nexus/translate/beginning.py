"""How an answer with a good status begins: with words, with a fault, with nothing, or as something that is no answer.

Fed with what is read as long as it has not `begun`, and a little longer while it is not `settled`. As long as nothing
of an answer was said, the request may be made again.
"""

from __future__ import annotations

import html
import re

from codex_nexus.translate.chat_reader import ChatReader
from codex_nexus.translate.dialect import Dialect
from codex_nexus.translate.faults import Fault
from codex_nexus.translate.items_reader import ItemsReader
from codex_nexus.wire.sse import SseDecoder, SseEvent

_ENOUGH = 64 * 1024
"""Bytes after which it has begun, whatever it is."""
_MOUTHFUL = 2048
"""Bytes that are parted into events at once: of a large read mostly the first few tell."""
_SILENCE = re.compile(rb"(?:\xef(?:\xbb\xbf?)?)?(?:\s|:[^\r\n]*[\r\n])*(?::[^\r\n]*)?")
"""Comments and empty lines, with which servers keep a connection open."""
_PAGE = re.compile(rb"\s*<[!?a-zA-Z]")
_WORDS = re.compile(rb"\s*\w[^\s:{\[]*[ ,.!?]")
"""How a text begins that is neither an event stream nor JSON: a whole word, since a read may end inside `data`."""
_BINARY = re.compile(rb"[\x00-\x08\x0e-\x1a\x1c-\x1f]")
_LOOKED_AT = 512
"""Bytes in which binary data show themselves."""
_FIELD = re.compile(rb"\s*(?:data|event|id|retry)\s*(?::|$)", re.MULTILINE)
_ANSWER = re.compile(rb'"choices"\s*:|"object"\s*:\s*"response"')


class Beginning:
    """The first words of one answer."""

    def __init__(self, dialect: Dialect) -> None:
        self._decoder = SseDecoder()
        self._reader = ItemsReader(dialect) if dialect.wire == "responses" else ChatReader(dialect)
        self._events = 0
        self._spoke = False
        self.read = b""
        self.closed = False

    def receive_data(self, data: bytes) -> None:
        """More of the body was read."""
        self.read += data
        for start in range(0, len(data), _MOUTHFUL):
            if self._knows:
                break
            self._hear(self._decoder.receive_data(data[start : start + _MOUTHFUL]))

    def close(self) -> None:
        """The body is over."""
        self.closed = True
        self._hear(self._decoder.close())

    def _hear(self, events: list[SseEvent]) -> None:
        self._events += len(events)
        for event, payload in events:
            if self._knows:
                return
            self._spoke = bool(self._reader.read(payload, event))

    @property
    def _knows(self) -> bool:
        return self._spoke or self._reader.fault is not None

    @property
    def begun(self) -> bool:
        """There is an event, or what was read is plainly none; a lone JSON value tells itself only at its end."""
        return self.closed or self._events > 0 or len(self.read) > _ENOUGH or self.strange

    @property
    def settled(self) -> bool:
        """What follows cannot change what it is."""
        return self.closed or self._knows or len(self.read) > _ENOUGH

    @property
    def silent(self) -> bool:
        """Nothing was said: the body may have comments, but no event and no value."""
        return _SILENCE.fullmatch(self.read) is not None

    @property
    def fault(self) -> Fault | None:
        """The fault with which it begins."""
        return None if self._spoke else self._reader.fault

    @property
    def answers(self) -> bool:
        """Somewhere in it is an answer."""
        return self._spoke or _ANSWER.search(self.read) is not None

    @property
    def strange(self) -> bool:
        """It is neither an event stream nor the JSON of an answer or an error."""
        if _PAGE.match(self.read) or _WORDS.match(self.read) or self._binary:
            return True
        if not self.closed or self.silent or self.answers or self.fault is not None:
            return False
        return self._decoder.plain or not (self._events or _FIELD.match(self.read))

    @property
    def _binary(self) -> bool:
        return _BINARY.search(self.read, 0, _LOOKED_AT) is not None

    def excerpt(self) -> str:
        """What a person may recognise it by: a page's title or words; nothing of binary data."""
        if self._binary:
            return ""
        text = self.read.decode("utf-8", "replace")
        if not self.closed:  # a word that is cut might be half of a key
            text = text.rpartition(" ")[0]
        if _PAGE.match(self.read):
            title = _TITLE.search(text)
            text = html.unescape(_MARKUP.sub(" ", title[1] if title else text))
        return " ".join(text.split())


_TITLE = re.compile(r"<title[^>]*>\s*([^<]*[^<\s])", re.IGNORECASE)
_MARKUP = re.compile(r"<(script|style)\b.*?(?:</\1\s*>|\Z)|<!--.*?(?:-->|\Z)|<[^>]*(?:>|\Z)", re.IGNORECASE | re.DOTALL)
