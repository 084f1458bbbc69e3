"""Content parts of items as the content of chat messages: texts, images, and notes in the place of all else."""

from __future__ import annotations

from msgspec import Raw, Struct

from codex_nexus.errors import InvalidRequest
from codex_nexus.translate.dialect import Dialect
from codex_nexus.translate.pictures import image_url, picture_key
from codex_nexus.wire import codec
from codex_nexus.wire.codec import Text
from codex_nexus.wire.items import ContentPart

NO_VISION = codec.to_text("[image omitted: this model cannot see images]")
NO_URL = codec.to_text("[image omitted: this provider takes only images inside the request]")

TEXTS = {"input_text", "output_text", "text", "summary_text", "reasoning_text", "refusal"}
"""Types of parts that say something in words."""
_SHORT = 64
"""Bytes; what is longer is not looked into for mere white space."""


class Piece(Struct):
    """A piece of a message: text or an encoded image part."""

    text: Text | None = None
    image: Raw | None = None


def says_nothing(text: Text) -> bool:
    """Whether a text is empty or mere white space, which some servers refuse as content."""
    return codec.is_blank(text) or (len(memoryview(text)) <= _SHORT and not codec.of_text(text).strip())


def has_text(part: ContentPart) -> bool:
    """Whether the part says something in words."""
    return part.type in TEXTS and codec.is_text(part.text) and not says_nothing(part.text)


def told_text(part: ContentPart) -> Text | None:
    """What an agent or a tool tells in this part; what Codex calls encrypted is plain text on other houses' models."""
    if has_text(part):
        return part.text
    sealed = part.encrypted_content
    return sealed if codec.is_text(sealed) and not says_nothing(sealed) else None


def assistant_text(part: ContentPart) -> Text | None:
    """What the assistant said in this part; a refusal was said as well."""
    if has_text(part):
        return part.text
    return part.refusal if part.type == "refusal" and codec.is_text(part.refusal) else None


def omitted(part: ContentPart) -> Text:
    """The note in the place of a part that cannot be sent."""
    return codec.to_text(f"[content of type {part.type or 'unknown'} omitted]")


class PartReader:
    """Reads parts for one model: what it cannot see becomes words."""

    def __init__(self, dialect: Dialect, described: dict[str, str]) -> None:
        self._images = dialect.images
        self._described = described

    def user(self, parts: list[ContentPart], where: str) -> list[Piece]:
        """What a user's message says.

        Raises:
            InvalidRequest: a part that no Chat Completions provider takes; `param` names it.
        """
        found: list[Piece] = []
        for n, part in enumerate(parts):
            at = f"{where}[{n}]"
            if has_text(part):
                found.append(Piece(part.text))
            elif part.type == "input_image":
                found.append(self.image(part, at))
            elif part.type in ("input_file", "input_audio"):
                raise InvalidRequest(f"'{part.type}' is not supported by Chat Completions providers.", at)
            elif part.type not in TEXTS:
                found.append(Piece(omitted(part)))
        return found

    def image(self, part: ContentPart, where: str) -> Piece:
        """An image as a chat takes it, or what stands in its place.

        Raises:
            InvalidRequest: the part has no URL.
        """
        url = image_url(part.image_url)
        if url is None:
            raise InvalidRequest("'input_image' needs 'image_url'; files by id live at OpenAI only.", where)
        if self._images == "none":
            note = self._described.get(picture_key(url)) if self._described else None
            return Piece(NO_VISION if note is None else codec.to_text(note))
        if self._images == "data" and bytes(memoryview(url)[:6]) != b'"data:':
            return Piece(NO_URL)
        detail = {"original": "high"}.get(part.detail or "", part.detail)
        shown = b',"detail":' + codec.encode(detail) if detail else b""
        return Piece(image=Raw(b'{"type":"image_url","image_url":{"url":' + bytes(url) + shown + b"}}"))


def content_of(pieces: list[Piece], between: str = "\n\n") -> Raw:
    """The pieces as the content of one message: a text as long as there is no image, else a list of parts."""
    if all(piece.image is None for piece in pieces):
        return codec.join_texts([piece.text for piece in pieces if piece.text is not None], between)
    return Raw(b"[" + b",".join(_encoded(piece) for piece in pieces) + b"]")


def _encoded(piece: Piece) -> bytes:
    if piece.image is not None:
        return bytes(piece.image)
    return b'{"type":"text","text":' + bytes(piece.text or codec.EMPTY) + b"}"
