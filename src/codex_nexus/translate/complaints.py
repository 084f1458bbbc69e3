"""The body of a refusal, whatever shape it has: OpenAI's envelope, a list, a bare text, a web page, nothing."""

from __future__ import annotations

from typing import Any

from msgspec import Struct

from codex_nexus.wire import codec

_LONGEST = 2000


class Complaint(Struct, frozen=True):
    """What a provider complains of."""

    message: str = ""
    code: str = ""
    type: str = ""
    param: str = ""
    generation: str = ""
    """Text that a server's own parser refused (`failed_generation`)."""

    @property
    def words(self) -> str:
        """All that was said, for pattern tests."""
        return " ".join(part for part in (self.message, self.code, self.type, self.param) if part)


def read_complaint(body: bytes) -> Complaint:
    """A refusal's body: OpenAI's envelope and the many other shapes that providers use."""
    text = body.decode("utf-8", "replace").strip().removeprefix("data:").strip()
    if not text:
        return Complaint()
    try:
        value = codec.decode_lenient(text.encode())
    except ValueError:
        return Complaint("" if text.startswith("<") else text[:_LONGEST])
    return complaint_of(value)


def complaint_of(value: Any) -> Complaint:
    """The same of a decoded value."""
    while (several := codec.as_list(value)) is not None:
        value = several[0] if several else None
    fields = codec.as_object(value)
    if fields is None:
        return Complaint(_said(value))
    error = fields.get("error")
    inner, base = codec.as_object(error), codec.as_object(fields.get("base_resp"))
    if inner is not None:
        return _of_error(inner)
    if base is not None:
        return Complaint(_said(base.get("status_msg")), _said(base.get("status_code")))
    message = fields.get("message") or fields.get("msg") or fields.get("detail")
    if error and not (message and isinstance(message, str)):
        message = error
    message = (codec.as_object(message) or {}).get("detail") or message
    return Complaint(_said(message or fields.get("title")), _said(fields.get("code")), _said(fields.get("type")))


def _of_error(error: dict[str, Any]) -> Complaint:
    message = _said(error.get("message") or error.get("detail"))
    metadata = codec.as_object(error.get("metadata")) or {}
    raw = metadata.get("raw")
    if isinstance(raw, str) and raw:
        raw = codec.whole(raw)[:_LONGEST]
        message = f"{message}: {read_complaint(raw.encode()).message or raw}"
    return Complaint(
        message,
        _said(error.get("code")),
        _said(error.get("type") or error.get("status") or metadata.get("limit_source")),
        _said(error.get("param")),
        _said(error.get("failed_generation"), _LONGEST_GENERATION),
    )


_LONGEST_GENERATION = 1 << 16


def _said(value: Any, most: int = _LONGEST) -> str:
    if value is None:
        return ""
    nested = isinstance(value, (dict, list))
    return codec.whole(codec.encode_any(value).decode() if nested else str(value))[:most]
