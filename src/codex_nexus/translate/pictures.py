"""The images of a conversation: which there are, and by what sign one is known again."""

from __future__ import annotations

import hashlib

import msgspec
from msgspec import Raw

from codex_nexus.translate.history import History, content_parts
from codex_nexus.wire import codec
from codex_nexus.wire.codec import Text

_SIGN = b'"input_image"'


def image_url(raw: Raw) -> Text | None:
    """The URL of an image part, which may be a text or an object."""
    if codec.is_text(raw):
        return raw
    if codec.is_null(raw):
        return None
    try:
        url = (codec.as_object(codec.decode_any(raw)) or {}).get("url")
    except msgspec.DecodeError:  # nested too deeply
        return None
    return codec.to_text(url) if isinstance(url, str) else None


def picture_key(url: Text) -> str:
    """The SHA-256 of an image, as hexadecimal digits."""
    return hashlib.sha256(memoryview(url)).hexdigest()


def pictures(history: History) -> dict[str, Text]:
    """All images by key, the latest first."""
    found: dict[str, Text] = {}
    for item in reversed(history.items):
        for raw in (item.content, item.output):
            if bytes(memoryview(raw)[:1]) == b"[" and _SIGN in bytes(raw):
                urls = [image_url(part.image_url) for part in content_parts(raw, "input") if part.type == "input_image"]
                found |= {picture_key(url): url for url in reversed(urls) if url is not None}
    return found
