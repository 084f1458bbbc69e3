"""Neutral deltas: what an upstream's answer says, whatever its wire. Readers make them, the stream tells them."""

from __future__ import annotations

from typing import Literal

from msgspec import Raw, Struct

from codex_nexus.translate.tools import is_object


class Text(Struct, frozen=True):
    """More of the answer."""

    text: str


class Thought(Struct, frozen=True):
    """More reasoning."""

    text: str


class Refused(Struct, frozen=True):
    """More of a refusal."""

    text: str


class CallPiece(Struct, frozen=True):
    """A call grew by these argument characters (perhaps none)."""

    call: GatheredCall
    arguments: str


Delta = Text | Thought | Refused | CallPiece


class GatheredCall(Struct, eq=False):
    """One tool call as far as it is known. `id` is empty when upstream named none."""

    id: str = ""
    name: str = ""
    arguments: str = ""
    signature: Raw | None = None

    def complete(self) -> bool:
        """Whether the arguments are a whole JSON object."""
        return is_object(self.arguments)


Ending = Literal["completed", "max_output_tokens", "content_filter"]
"""How an answer may end that is no fault."""
