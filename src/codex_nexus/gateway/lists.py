"""Lists of items as clients read them: every item with an id and in its full form, and a page of them."""

from __future__ import annotations

import re
from typing import Any

import msgspec
from aiohttp import web
from msgspec import Raw

from codex_nexus.errors import InvalidRequest
from codex_nexus.sessions.store import Page, StoredItem
from codex_nexus.wire import codec
from codex_nexus.wire.create import invalid_field
from codex_nexus.wire.ids import given_item_id

_ID = re.compile(r"[\x21-\x7e]{1,200}")
_PREFIXES = {
    "message": "msg",
    "reasoning": "rs",
    "function_call": "fc",
    "function_call_output": "fco",
    "custom_tool_call": "ctc",
    "custom_tool_call_output": "ctco",
    "tool_search_call": "tsc",
    "compaction": "cmp",
}
_NUMBER = re.compile("-?[0-9]{1,15}")
_MOST = 100
_objects = msgspec.json.Decoder(list[dict[str, Raw]])


def identified(items: bytes, seed: str) -> list[StoredItem]:
    """The items of a JSON list, each with its id; who has none gets one that follows from the seed and its place.

    Raises:
        InvalidRequest: an element is no object.
    """
    try:
        decoded = _objects.decode(items)
    except msgspec.ValidationError as error:
        raise invalid_field(error, "items") from None
    return [_identified(item, seed, n) for n, item in enumerate(decoded)]


def _identified(item: dict[str, Raw], seed: str, n: int) -> StoredItem:
    kind = _text(item, "type") or ("message" if "role" in item else "")
    given = _text(item, "id")
    name = given if given is not None and _ID.fullmatch(given) else given_item_id(_PREFIXES.get(kind, "item"), seed, n)
    fields: dict[str, Any] = {"id": name, "type": kind} | {
        key: value for key, value in item.items() if key not in ("id", "type")
    }
    if kind == "message":
        fields = {"status": "completed"} | fields
        content = item.get("content", Raw(b"[]"))
        if codec.is_text(content):
            fields["content"] = [_part(content, _text(item, "role"))]
    return StoredItem(name, codec.encode(fields))


def _part(text: Raw, role: str | None) -> dict[str, Any]:
    if role == "assistant":
        return {"type": "output_text", "text": text, "annotations": [], "logprobs": []}
    return {"type": "input_text", "text": text}


def _text(item: dict[str, Raw], key: str) -> str | None:
    value = item.get(key, Raw())
    return codec.of_text(value) if codec.is_text(value) else None


def wanted_number(request: web.Request, name: str, default: int) -> int:
    """A whole number of the query.

    Raises:
        InvalidRequest: it is none, or longer than any that could be meant.
    """
    given = request.query.get(name)
    if given is not None and not _NUMBER.fullmatch(given):
        raise InvalidRequest(f"'{name}' must be a whole number.", name, "invalid_type")
    return default if given is None else int(given)


def wanted_page(request: web.Request) -> Page:
    """The page that the query asks for.

    Raises:
        InvalidRequest: `limit` or `order` is wrong.
    """
    limit, order = wanted_number(request, "limit", 20), request.query.get("order", "desc")
    if not 1 <= limit <= _MOST:
        raise InvalidRequest(f"'limit' must be a number from 1 to {_MOST}.", "limit")
    if order not in ("asc", "desc"):
        raise InvalidRequest("'order' must be 'asc' or 'desc'.", "order")
    return Page(limit, order == "desc", request.query.get("after") or None)


def cut(items: list[StoredItem], page: Page) -> list[StoredItem] | None:
    """The page of items that are all here, oldest first, and one more; None when there is no item `after`."""
    ordered = items[::-1] if page.newest_first else items
    if page.after is not None:
        names = [item.id for item in ordered]
        if page.after not in names:
            return None
        ordered = ordered[names.index(page.after) + 1 :]
    return ordered[: page.limit + 1]


def page_reply(items: list[StoredItem] | None, page: Page) -> bytes:
    """A list of at most `limit` items; `items` may hold one more, which tells that there are more.

    Raises:
        InvalidRequest: there is no item `after`.
    """
    if items is None:
        raise InvalidRequest(f"There is no item '{page.after}' in this list.", "after")
    shown = items[: page.limit]
    return codec.encode(
        {
            "object": "list",
            "data": [Raw(item.data) for item in shown],
            "first_id": shown[0].id if shown else None,
            "last_id": shown[-1].id if shown else None,
            "has_more": len(items) > page.limit,
        }
    )
