"""Reasoning on its way back: which of it the provider wants to see again, and in which field.

What a model thought travels in our own sealed blobs (`sealed`). It goes back to its own family only; text that came
without a blob may be anybody's and goes back as text.
"""

from __future__ import annotations

from typing import Literal

from msgspec import UNSET, Raw, Struct

from codex_nexus.translate.dialect import Dialect
from codex_nexus.translate.history import content_parts
from codex_nexus.translate.parts import has_text, says_nothing
from codex_nexus.translate.sealed import Sealed, unseal
from codex_nexus.wire import codec
from codex_nexus.wire.chat import Message
from codex_nexus.wire.codec import Text
from codex_nexus.wire.items import InputItem

_OPEN_THINK = codec.to_text("<think>")
_CLOSE_THINK = codec.to_text("</think>")
_MISSING: dict[Literal["omit", "empty", "space"], Text | None] = {
    "omit": None,
    "empty": codec.EMPTY,
    "space": codec.to_text(" "),
}
_DUMMY = Raw(b'{"google":{"thought_signature":"skip_thought_signature_validator"}}')
"""What the documents of the signatures' inventor name for calls that another model made."""


class _Replay(Struct):
    """What is known of one answer's reasoning."""

    texts: list[Text] = []
    details: list[Raw] = []
    signatures: dict[str, Raw] = {}


class Replayer:
    """Puts reasoning into assistant messages, in the words of one dialect."""

    def __init__(self, dialect: Dialect) -> None:
        self._dialect = dialect

    def put(self, message: Message, reasoning: dict[str, InputItem], call_ids: list[str]) -> None:
        """Gives a message the reasoning that belongs to it.

        Args:
            message: of the assistant, with its content and calls.
            reasoning: the reasoning items of the same answer, by their place in the input.
            call_ids: of its calls, as the client knows them.

        Raises:
            InvalidRequest: an item is broken.
        """
        when = self._dialect.reasoning_replay
        signatures: dict[str, Raw] = {}
        if when == "all" or (when == "tool_turns" and call_ids):
            replay = _Replay()
            for where, item in reasoning.items():
                self._collect(item, replay, where)
            self._put_thoughts(message, replay, calls=bool(call_ids))
            if self._dialect.reasoning_field == "extra_content" or self._dialect.dummy_signature:
                signatures = replay.signatures
        self._put_signatures(message, signatures, call_ids)

    def _collect(self, item: InputItem, replay: _Replay, where: str) -> None:
        sealed = unseal(item.encrypted_content, "reasoning")
        if sealed is not None:
            if sealed.family == self._dialect.family:
                self._add(sealed, replay)
            return
        if item.encrypted_content:
            return
        for raw in (item.content, item.summary):
            texts = [part.text for part in content_parts(raw, where) if has_text(part)]
            if texts:
                replay.texts.append(codec.join_texts(texts, ""))
                return

    def _add(self, sealed: Sealed, replay: _Replay) -> None:
        if sealed.text:
            replay.texts.append(codec.to_text(sealed.text))
        replay.details += [detail for detail in sealed.details if self._speaks(detail)]
        replay.signatures.update(sealed.signatures)

    def _speaks(self, detail: Raw) -> bool:
        """Whether a detail is of this wire: a reasoning item is none of Chat Completions."""
        is_item = (codec.as_object(codec.decode_any(detail)) or {}).get("type") == "reasoning"
        if self._dialect.wire == "responses":
            return is_item or self._dialect.unsigned_reasoning
        return not is_item

    def _put_thoughts(self, message: Message, replay: _Replay, *, calls: bool) -> None:
        missing = _MISSING[self._dialect.reasoning_missing] if calls else None
        text = codec.join_texts(replay.texts) if replay.texts else missing
        match self._dialect.reasoning_field:
            case "reasoning_content":
                message.reasoning_content = UNSET if text is None else text
            case "reasoning":
                message.reasoning = UNSET if text is None else text
            case "reasoning_details":
                self._put_details(message, replay, missing)
            case "think_tags" if replay.texts:
                thought = codec.join_texts([_OPEN_THINK, *replay.texts, _CLOSE_THINK], "\n")
                content = message.content if isinstance(message.content, Raw) else codec.EMPTY
                message.content = codec.join_texts([thought, content]) if codec.is_text(content) else thought
            case "content_parts" if replay.texts:
                _put_parts(message, codec.join_texts(replay.texts))
            case _:
                pass

    def _put_details(self, message: Message, replay: _Replay, missing: Text | None) -> None:
        if replay.details:
            message.reasoning_details = Raw(b"[" + b",".join(bytes(detail) for detail in replay.details) + b"]")
        elif replay.texts and self._dialect.unsigned_reasoning:
            message.reasoning_details = _told(codec.join_texts(replay.texts))
        elif missing is not None:
            message.reasoning_details = _told(missing) if self._dialect.wire == "responses" else Raw(b"[]")

    def _put_signatures(self, message: Message, signatures: dict[str, Raw], call_ids: list[str]) -> None:
        """Each call's own signature, and in a dialect that insists on one the dummy for an answer without any."""
        if not isinstance(message.tool_calls, list):
            return
        for call_id, call in zip(call_ids, message.tool_calls, strict=True):
            signature = signatures.get(call_id)
            if signature is not None:
                call.extra_content = signature
        first = message.tool_calls[0]
        if self._dialect.dummy_signature and first.extra_content is UNSET:
            first.extra_content = _DUMMY


def _told(text: Text) -> Raw:
    return Raw(b'[{"type":"reasoning.text","text":' + bytes(text) + b"}]")


def _put_parts(message: Message, thought: Text) -> None:
    parts = [b'{"type":"thinking","thinking":[{"type":"text","text":' + bytes(thought) + b"}]}"]
    if isinstance(message.content, Raw) and codec.is_text(message.content) and not says_nothing(message.content):
        parts.append(b'{"type":"text","text":' + bytes(message.content) + b"}")
    message.content = Raw(b"[" + b",".join(parts) + b"]")
