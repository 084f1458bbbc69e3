"""The input of a request as typed items: read, checked, paired. What they become upstream is transcript's business."""

from __future__ import annotations

import msgspec
from msgspec import Raw, Struct

from codex_nexus.errors import InvalidRequest
from codex_nexus.translate import tools
from codex_nexus.translate.tools import DeclaredTool
from codex_nexus.wire import codec
from codex_nexus.wire.create import invalid_field, missing
from codex_nexus.wire.items import ContentPart, InputItem, message_text

_items = msgspec.json.Decoder(list[InputItem])
_parts = msgspec.json.Decoder(list[ContentPart])
_tools = msgspec.json.Decoder(list[Raw])

CALLS = {"function_call", "custom_tool_call", "tool_search_call", "local_shell_call", "shell_call", "apply_patch_call"}
"""Item types that are calls with an output of their own."""
NAMED = {"function_call", "custom_tool_call"}
"""Those that name their tool."""
_MAY_LACK_ID = {"tool_search_call", "tool_search_output", "local_shell_call"}
"""Items that a server has run itself, or of old (`call_id: null` in the types of Codex 0.169)."""
OUTPUTS = {f"{call}_output" for call in CALLS} | {"tool_search_output"}
_ROLES = {"user", "assistant", "system", "developer"}


class History(Struct):
    """All items of a conversation, oldest first.

    Attributes:
        outputs: index of a call -> its output item. A call without an entry was interrupted.
        used: indices of outputs that belong to a call; the others are orphans.
        brought: index of the first item that this request brought; those before were stored.
        described: the note that stands for an image, by its key (see pictures), for models that see none.
    """

    items: list[InputItem]
    outputs: dict[int, InputItem]
    used: set[int]
    brought: int = 0
    described: dict[str, str] = {}

    @property
    def compacting(self) -> bool:
        """The client asks for a summary of the thread instead of an answer."""
        return bool(self.items) and self.items[-1].type == "compaction_trigger"

    def declared_tools(self) -> list[DeclaredTool]:
        """Tools that arrived inside the conversation, in order."""
        found: list[DeclaredTool] = []
        for n, item in enumerate(self.items):
            if item.type in ("additional_tools", "tool_search_output") and not codec.is_null(item.tools):
                where = f"input[{n}].tools"
                declared = tools.declared(raw_list(item.tools, where), where)
                found += [msgspec.structs.replace(tool, deferred=False) for tool in declared]
        return found


def raw_list(raw: Raw, where: str) -> list[Raw]:
    """The elements of a JSON list, undecoded."""
    try:
        return _tools.decode(raw)
    except msgspec.ValidationError as error:
        raise invalid_field(error, where) from None


def read_history(stored: list[Raw], given: Raw) -> History:
    """Stored items of earlier turns and the `input` of this one.

    Raises:
        InvalidRequest: an item is broken; `param` names it, counted within this request's input.
    """
    items = [item for raw in stored for item in _items.decode(raw)]
    before = len(items)
    if not codec.is_null(given):
        items += _given(given)
    for item in items:
        if item.type is None:
            item.type = "message" if item.role is not None else ""
    for n, item in enumerate(items[before:]):
        _check(item, f"input[{n}]")
        if item.type == "item_reference":
            _check_reference(item, items[:before], f"input[{n}]")
    history = _paired([item for item in items if item.type != "item_reference"])
    history.brought = sum(item.type != "item_reference" for item in items[:before])
    return history


def _check_reference(item: InputItem, stored: list[InputItem], where: str) -> None:
    """A reference to an item of the stored chain stands for nothing new; one that is left beside leads nowhere."""
    if not item.id:
        raise missing(f"{where}.id")
    if not any(known.id == item.id for known in stored):
        text = f"Item with id '{item.id}' not found. Those of responses with 'store': false are not kept."
        raise InvalidRequest(text, f"{where}.id", "item_not_found")


def _given(given: Raw) -> list[InputItem]:
    if codec.is_text(given):
        return _items.decode(b"[" + bytes(message_text(given)) + b"]")
    try:
        return _items.decode(given)
    except msgspec.ValidationError as error:
        raise invalid_field(error, "input") from None


def _check(item: InputItem, where: str) -> None:
    if item.type == "message":
        if item.role not in _ROLES:
            raise InvalidRequest(f"'{where}.role' must be one of user, assistant, system, developer.", f"{where}.role")
        if codec.is_null(item.content):
            raise missing(f"{where}.content")
    elif item.type in CALLS or item.type in OUTPUTS:
        # Empty ones are damage that other gateways left in a thread (cc-switch#4341): mended, or told by `strict`.
        if item.call_id is None and item.type not in _MAY_LACK_ID and not is_report(item):
            raise missing(f"{where}.call_id")
        if item.type in NAMED and item.name is None:
            raise missing(f"{where}.name")
    elif not item.type:
        raise missing(f"{where}.type")


def is_report(item: InputItem) -> bool:
    """Whether an output answers no call but names the tool that speaks.

    Codex 0.169 tells the objective of a goal so, and what a client gives with a turn (`turn/start` with `toolOutput`).
    """
    return item.type in OUTPUTS and item.call_id is None and bool(item.name)


def _paired(items: list[InputItem]) -> History:
    """Each call with its output: the last output after it with its call_id, before another call takes that id."""
    history = History(items, {}, set())
    latest: dict[str, int] = {}
    early: dict[str, list[int]] = {}
    for n, item in enumerate(items):
        call_id = item.call_id or ""
        if item.type in CALLS:
            latest[call_id] = n
            for output in early.pop(call_id, []):
                history.outputs[n] = items[output]
                history.used.add(output)
        elif item.type in OUTPUTS and not is_report(item):
            call = latest.get(call_id)
            if call is None:
                early.setdefault(call_id, []).append(n)
            else:
                history.outputs[call] = item
                history.used.add(n)
    return history


def content_parts(raw: Raw, where: str) -> list[ContentPart]:
    """The parts of a content that is a string, a list of parts, or null.

    Raises:
        InvalidRequest: neither of them.
    """
    if codec.is_null(raw):
        return []
    if codec.is_text(raw):
        return [ContentPart(type="input_text", text=raw)]
    try:
        return _parts.decode(raw)
    except msgspec.ValidationError as error:
        raise invalid_field(error, where) from None
