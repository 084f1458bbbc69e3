"""Our own `encrypted_content`: what a provider must see again, carried by the client, readable by us alone.

It is marked with issuer and version and carries a checksum; a blob of anybody else, of a newer version or a damaged one
is not ours and is dropped. It is no secret from the user: its content is what their own model said.
"""

from __future__ import annotations

import base64
import binascii
import hashlib

import msgspec
from msgspec import Raw

_MARK = "nexus1."
_SUM = 12


class SealedReasoning(msgspec.Struct, frozen=True, omit_defaults=True):
    """The reasoning of one turn as its provider gave it."""

    family: str
    """Whose reasoning it is (`Dialect.family`); others never see details or signatures."""
    text: str = ""
    details: list[Raw] = []
    """`reasoning_details`, verbatim."""
    signatures: dict[str, Raw] = {}
    """`extra_content` of tool calls, by call_id."""


def seal(reasoning: SealedReasoning) -> str:
    """The blob."""
    data = base64.urlsafe_b64encode(msgspec.json.encode(reasoning)).decode()
    return f"{_MARK}{_checksum(data)}.{data}"


def unseal(blob: str | None) -> SealedReasoning | None:
    """What we sealed, or None when this is not ours."""
    if not blob or not blob.startswith(_MARK):
        return None
    checksum, _, data = blob[len(_MARK) :].partition(".")
    if _checksum(data) != checksum:
        return None
    try:
        return msgspec.json.decode(base64.urlsafe_b64decode(data), type=SealedReasoning)
    except (binascii.Error, msgspec.DecodeError, ValueError):
        return None


def _checksum(data: str) -> str:
    return hashlib.sha256(data.encode("utf-8", "replace")).hexdigest()[:_SUM]
