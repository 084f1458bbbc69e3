"""Calls of old answers as a chat repeats them: legal names, legal arguments, ids that come once."""

from __future__ import annotations

import hashlib
import re

import msgspec
from msgspec import Raw

from codex_nexus.translate.dialect import Dialect
from codex_nexus.translate.tools import TOOL_SEARCH, ToolTable
from codex_nexus.wire import codec
from codex_nexus.wire.chat import FunctionCall, ToolCall
from codex_nexus.wire.codec import Text
from codex_nexus.wire.items import InputItem

_NO_ARGUMENTS = codec.to_text("{}")
_LONGEST_ID = 64
"""Characters; OpenAI takes no more, and some gateways hide whole signatures in ids."""
_PLAIN_ID = re.compile("[A-Za-z0-9_-]{1,40}")
_ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"


class CallWriter:
    """Writes the calls of one conversation, in order; remembers which ids were given."""

    def __init__(self, table: ToolTable, dialect: Dialect) -> None:
        self._table = table
        self._dialect = dialect
        self._ids: set[str] = set()

    def call(self, item: InputItem) -> ToolCall:
        """The entry of `tool_calls` for a call item of any type."""
        name, arguments = self._called(item)
        return ToolCall(self._unique_id(item.call_id or "call"), FunctionCall(name, arguments))

    def _called(self, item: InputItem) -> tuple[str, Text]:
        match item.type:
            case "function_call":
                return self._table.name_of(item.namespace, item.name or ""), legal_arguments(item.arguments)
            case "custom_tool_call":
                text = item.input if codec.is_text(item.input) else codec.EMPTY
                wrapped = '{"input":' + bytes(text).decode() + "}"
                return self._table.name_of(item.namespace, item.name or ""), codec.to_text(wrapped)
            case "tool_search_call":
                return self._table.name_of(None, TOOL_SEARCH), legal_arguments(item.arguments)
            case _:
                kind = (item.type or "").removesuffix("_call")
                return self._table.name_of(None, kind), legal_arguments(item.action)

    def _unique_id(self, call_id: str) -> str:
        """The id upstream sees: as it was, but never twice in one conversation, and in the form that it takes."""
        n = 1
        while True:
            wanted = call_id if n == 1 else f"{call_id}_{n}"
            wanted = self._formed(wanted)
            if wanted not in self._ids:
                self._ids.add(wanted)
                return wanted
            n += 1

    def _formed(self, call_id: str) -> str:
        match self._dialect.tool_id:
            case "alnum9":
                return _alnum9(call_id)
            case "plain":
                return call_id if _PLAIN_ID.fullmatch(call_id) else _plain(call_id)
            case _:
                return call_id if len(call_id) <= _LONGEST_ID else _plain(call_id)


def legal_arguments(raw: Raw) -> Text:
    """Arguments as a literal of a JSON object, whatever stood there: a broken one is kept under `_raw`."""
    if codec.is_null(raw):
        return _NO_ARGUMENTS
    if not codec.is_text(raw):
        return codec.to_text(bytes(raw).decode()) if bytes(memoryview(raw)[:1]) == b"{" else _NO_ARGUMENTS
    text = codec.of_text(raw)
    if not text.strip():
        return _NO_ARGUMENTS
    try:
        value = codec.decode_any(text)
    except msgspec.DecodeError:
        try:
            value = codec.decode_lenient(text.encode())
        except ValueError:
            value = None
        fields = codec.as_object(value)
        if fields is not None:
            return codec.to_text(codec.encode(fields).decode())
    return raw if isinstance(value, dict) else codec.to_text(codec.encode({"_raw": text}).decode())


def _plain(call_id: str) -> str:
    """Forty characters that every server takes: the beginning of the id, and what tells it from others."""
    mark = hashlib.sha256(call_id.encode("utf-8", "replace")).hexdigest()[:16]
    return f"{re.sub('[^A-Za-z0-9_-]', '_', call_id)[:23]}_{mark}"


def _alnum9(call_id: str) -> str:
    number = int.from_bytes(hashlib.sha256(call_id.encode("utf-8", "replace")).digest()[:8])
    digits: list[str] = []
    for _ in range(9):
        number, digit = divmod(number, len(_ALPHABET))
        digits.append(_ALPHABET[digit])
    return "".join(digits)
