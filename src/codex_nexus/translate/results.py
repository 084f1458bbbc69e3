"""Results of calls as the content of tool messages, and the images that leave them for the message behind."""

from __future__ import annotations

import msgspec
from msgspec import Raw

from codex_nexus.translate.dialect import Dialect
from codex_nexus.translate.history import content_parts
from codex_nexus.translate.parts import (
    NO_VISION,
    TEXTS,
    PartReader,
    Piece,
    content_of,
    omitted,
    says_nothing,
    told_text,
)
from codex_nexus.translate.tools import ToolTable, declared
from codex_nexus.wire import codec
from codex_nexus.wire.codec import Text
from codex_nexus.wire.items import InputItem

INTERRUPTED = codec.to_text("[no output: call was interrupted]")
NO_OUTPUT = codec.to_text("(no output)")
IMAGE_FOLLOWS = codec.to_text("[image follows]")


class ResultReader:
    """Reads the outputs of one conversation for one model."""

    def __init__(self, parts: PartReader, table: ToolTable, dialect: Dialect) -> None:
        self._parts = parts
        self._table = table
        self._place = dialect.tool_images

    def read(self, item: InputItem | None, where: str) -> tuple[Raw, list[Piece]]:
        """The content of the tool message and the images that must follow all of them; None: it was interrupted.

        Raises:
            InvalidRequest: the output has a shape that nothing can be made of; `param` begins with `where`.
        """
        if item is None:
            return INTERRUPTED, []
        if self._place == "in_tool" and _has_parts(item):
            pieces = self._pieces(item.output, where)
            return (content_of(pieces, "\n") if pieces else NO_OUTPUT), []
        return self.in_words(item, where)

    def in_words(self, item: InputItem, where: str) -> tuple[Text, list[Piece]]:
        """The output as a text, and its images apart.

        Raises:
            InvalidRequest: as in `read`.
        """
        if item.type == "tool_search_output":
            return _found_tools(item, where, self._table), []
        if codec.is_null(item.output):
            return NO_OUTPUT, []
        if codec.is_text(item.output):
            return (NO_OUTPUT if says_nothing(item.output) else item.output), []
        if not _has_parts(item):
            return codec.to_text(bytes(item.output).decode()), []
        pieces = self._pieces(item.output, where)
        texts = [self._said(piece) for piece in pieces]
        images = [piece for piece in pieces if piece.image is not None and self._place != "drop"]
        return (codec.join_texts(texts, "\n") if texts else NO_OUTPUT), images

    def _pieces(self, output: Raw, where: str) -> list[Piece]:
        pieces: list[Piece] = []
        for n, part in enumerate(content_parts(output, where)):
            if (text := told_text(part)) is not None:
                pieces.append(Piece(text))
            elif part.type == "input_image":
                pieces.append(self._parts.image(part, f"{where}[{n}]"))
            elif part.type not in TEXTS:
                pieces.append(Piece(omitted(part)))
        return pieces

    def _said(self, piece: Piece) -> Text:
        if piece.text is not None:
            return piece.text
        return NO_VISION if self._place == "drop" else IMAGE_FOLLOWS


def _has_parts(item: InputItem) -> bool:
    return item.type != "tool_search_output" and bytes(memoryview(item.output)[:1]) == b"["


def _found_tools(item: InputItem, where: str, table: ToolTable) -> Text:
    if codec.is_null(item.tools):
        return NO_OUTPUT
    raws = msgspec.json.decode(item.tools, type=list[Raw])
    lines = [f"- {table.name_of(tool.namespace, tool.name)}: {tool.description}" for tool in declared(raws, where)]
    return codec.to_text("These tools are available now:\n" + "\n".join(lines)) if lines else NO_OUTPUT
