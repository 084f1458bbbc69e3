"""Talks as lists of items, and the messages that they become."""

from __future__ import annotations

from typing import Any

import pytest

from codex_nexus.errors import InvalidRequest
from codex_nexus.translate.dialect import DEFAULT, Dialect
from codex_nexus.translate.sealed import Sealed, seal
from tests.codex_requests import message
from tests.driving import chat_of

Item = dict[str, Any]
USER, MORE = message("user", "go"), message("user", "more")


def messages(*items: Item, dialect: Dialect = DEFAULT, **fields: Any) -> list[dict[str, Any]]:
    return chat_of({"input": list(items)} | fields, dialect)["messages"]


def roles(*items: Item, dialect: Dialect = DEFAULT) -> str:
    return " ".join(said["role"] for said in messages(*items, dialect=dialect))


def contents(*items: Item, dialect: Dialect = DEFAULT) -> list[Any]:
    return [said["content"] for said in messages(*items, dialect=dialect)]


def assistant(*items: Item, dialect: Dialect = DEFAULT) -> dict[str, Any]:
    (only,) = [said for said in messages(*items, dialect=dialect) if said["role"] == "assistant"]
    return only


def thought(text: str, **fields: Any) -> Item:
    return {"type": "reasoning", "summary": [], "content": [{"type": "reasoning_text", "text": text}]} | fields


def sealed(text: str = "sealed", family: str = "own", **more: Any) -> Item:
    blob = seal(Sealed("reasoning", family, text, **more))
    return {"type": "reasoning", "summary": [{"type": "summary_text", "text": "shown"}], "encrypted_content": blob}


def refused(*items: Item, dialect: Dialect = DEFAULT) -> str | None:
    with pytest.raises(InvalidRequest) as caught:
        messages(*items, dialect=dialect)
    return caught.value.param
