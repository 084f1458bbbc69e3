"""How likely each token of a text was: asked for in one API's words, read in either's, told in the Responses API's."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from msgspec import Raw, Struct

from codex_nexus.wire import codec
from codex_nexus.wire.create import CreateResponse

INCLUDE = "message.output_text.logprobs"
"""The word of `include` that asks for them."""


class _Likely(Struct):
    token: str
    logprob: float
    bytes: list[int]


class _Token(Struct):
    """One token of the answer; `top_logprobs` are what else might have stood there."""

    token: str
    logprob: float
    bytes: list[int]
    top_logprobs: list[_Likely]


def wanted(create: CreateResponse) -> bool:
    """Whether the client wants to be told."""
    return bool(create.top_logprobs) or INCLUDE in (create.include or ())


def read_logprobs(given: Any) -> list[Raw]:
    """The tokens of a list, as the client gets them; whatever has not their shape is left out."""
    tokens = (
        _Token(likely.token, likely.logprob, likely.bytes, list(_likelies(fields.get("top_logprobs"))))
        for fields in _objects(given)
        if (likely := _likely(fields)) is not None
    )
    return [Raw(codec.encode(token)) for token in tokens]


def _objects(given: Any) -> Iterable[dict[str, Any]]:
    return filter(None, map(codec.as_object, codec.as_list(given) or []))


def _likelies(given: Any) -> Iterable[_Likely]:
    return filter(None, map(_likely, _objects(given)))


def _likely(fields: dict[str, Any]) -> _Likely | None:
    token, logprob = fields.get("token"), fields.get("logprob")
    if not isinstance(token, str) or not isinstance(logprob, (int, float)):
        return None
    token = codec.whole(token)
    told = codec.as_list(fields.get("bytes"))
    known = told is not None and all(isinstance(byte, int) for byte in told)
    return _Likely(token, float(logprob), told if known and told is not None else list(token.encode()))
