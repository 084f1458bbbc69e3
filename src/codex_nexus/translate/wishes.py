"""What a request asks of the form of its answer."""

from __future__ import annotations

from msgspec import Struct

from codex_nexus.translate import logprobs
from codex_nexus.wire.create import CreateResponse


class Wishes(Struct, frozen=True):
    """What the request asked for.

    Attributes:
        summary: reasoning is also told as a summary.
        encrypted: reasoning comes sealed as well, for clients that store nothing here.
        json: the text is JSON.
        logprobs: the text's tokens come with their probabilities.
    """

    summary: bool = False
    encrypted: bool = False
    json: bool = False
    logprobs: bool = False


def wishes_of(create: CreateResponse) -> Wishes:
    """Those of a request."""
    reasoning = create.reasoning
    summary = (reasoning.summary or reasoning.generate_summary) if reasoning else None
    return Wishes(
        summary=summary is not None and summary != "none",
        encrypted="reasoning.encrypted_content" in (create.include or []),
        json=create.text is not None and create.text.format is not None and create.text.format.type != "text",
        logprobs=logprobs.wanted(create),
    )
