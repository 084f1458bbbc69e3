"""Our own `encrypted_content`: what a model must see again, carried by the client, readable by us alone.

It is marked with issuer and version and carries a checksum; a blob of anybody else, of a newer version or a damaged one
is not ours and is dropped. It is no secret from the user: its content is what their own model said.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from typing import Literal

import msgspec
from msgspec import Raw

_MARK = "nexus1."
_SUM = 12


class Sealed(msgspec.Struct, frozen=True, omit_defaults=True):
    """The reasoning of one turn as its provider gave it, or the summary of a thread."""

    kind: Literal["reasoning", "summary"] = "reasoning"
    family: str = ""
    """Whose reasoning it is (`Dialect.family`): it is never shown to another."""
    text: str = ""
    details: list[Raw] = []
    """`reasoning_details`, verbatim."""
    signatures: dict[str, Raw] = {}
    """`extra_content` of tool calls, by call_id."""


def seal(content: Sealed) -> str:
    """The blob."""
    data = base64.urlsafe_b64encode(msgspec.json.encode(content)).decode()
    return f"{_MARK}{_checksum(data)}.{data}"


def unseal(blob: str | None, kind: str) -> Sealed | None:
    """What we sealed, or None when this is not ours."""
    if not blob or not blob.startswith(_MARK):
        return None
    checksum, _, data = blob[len(_MARK) :].partition(".")
    if _checksum(data) != checksum:
        return None
    try:
        content = msgspec.json.decode(base64.urlsafe_b64decode(data), type=Sealed)
    except (binascii.Error, msgspec.DecodeError, ValueError):
        return None
    return content if content.kind == kind else None


def _checksum(data: str) -> str:
    return hashlib.sha256(data.encode("utf-8", "replace")).hexdigest()[:_SUM]
