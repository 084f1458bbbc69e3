"""What an upstream `/responses` streams, as the same neutral deltas: its events are read, and told anew by our laws.

So numbers, ids, order and the one ending are ours, whatever upstream does: missing deltas, repeated items, ids that are
bare UUIDs, no `[DONE]`, usage without details, reasoning under either event name.
"""

from __future__ import annotations

from typing import Any

from msgspec import Raw

from codex_nexus.translate.complaints import complaint_of
from codex_nexus.translate.deltas import CallPiece, Delta, Ending, GatheredCall, Refused, Text, Thought
from codex_nexus.translate.dialect import Dialect
from codex_nexus.translate.faults import Fault, fault_of
from codex_nexus.translate.logprobs import read_logprobs
from codex_nexus.translate.usage import read_usage
from codex_nexus.wire import codec
from codex_nexus.wire.responses import ResponseUsage

_CALLS = {"function_call", "custom_tool_call"}


class ItemsReader:
    """Reads one answer; used as `deltas.ChatReader` is."""

    def __init__(self, dialect: Dialect, logprobs: list[Raw] | None = None) -> None:
        """A reader of one answer; the logprobs of its text go into this list, ahead of the text itself."""
        self._dialect = dialect
        self._logprobs = logprobs
        self._calls: dict[str, GatheredCall] = {}
        self._places: dict[str, str] = {}
        """Place in the output -> the key of the item that stands there."""
        self._texts: dict[str, str] = {}
        self._thoughts: dict[str, str] = {}
        self._ending: Ending | None = None
        self._usage: Any = None
        self._any_text = False
        self.calls: list[GatheredCall] = []
        self.details: list[dict[str, Any]] = []
        self.leaked_thought = False
        self.fault: Fault | None = None
        self.ended = False

    @property
    def finished(self) -> bool:
        """The terminal event was seen."""
        return self.ended

    def read(self, data: bytes, event: bytes = b"") -> list[Delta]:
        """The deltas of one payload; never raises."""
        if self.ended:
            return []
        if data.strip() == b"[DONE]":
            self.ended = True
            return []
        try:
            fields = codec.as_object(codec.decode_lenient(data))
        except ValueError:
            fields = None
        if fields is None:
            return []
        kind = fields.get("type") or event.decode("utf-8", "replace")
        return self._event(str(kind), fields)

    def _event(self, kind: str, fields: dict[str, Any]) -> list[Delta]:
        if fields.get("object") == "response" or kind in _TERMINAL:
            return self._end(codec.as_object(fields.get("response")) or fields)
        if kind in _ITEMS:
            item = codec.as_object(fields.get("item")) or {}
            return self._item(item, self._key_of_item(item, fields), done=_ITEMS[kind])
        if kind == "error" or (fields.get("error") and not kind.startswith("response.")):
            return self._fail(fields)
        said = fields.get("delta", fields.get("text"))
        return self._piece(kind, self._key_of_piece(fields), said if isinstance(said, str) else "", fields)

    def _piece(self, kind: str, key: str, text: str, fields: dict[str, Any]) -> list[Delta]:
        match kind:
            case "response.output_text.delta":
                self._likely(fields)
                return self._text(key, text)
            case "response.output_text.done" if key not in self._texts:
                self._likely(fields)
                return self._text(key, text)
            case "response.refusal.delta":
                self._any_text = self._any_text or bool(text)
                self._texts[key] = self._texts.get(key, "") + text
                return [Refused(text)] if text else []
            case "response.reasoning_text.delta" | "response.reasoning.delta":
                return self._thought(key, "text", text)
            case "response.reasoning_summary_text.delta":
                return self._thought(key, "summary", text)
            case "response.function_call_arguments.delta" | "response.custom_tool_call_input.delta":
                return self._arguments(key, text)
            case "response.function_call_arguments.done" | "response.custom_tool_call_input.done":
                call = self._calls.get(key)
                return [] if call is None else _completed(call, fields)
            case _:
                return []

    def _key_of_item(self, item: dict[str, Any], fields: dict[str, Any]) -> str:
        """Its id; some servers leave it out, and then its place among the output counts."""
        place = _place(fields)
        key = str(item.get("id") or self._places.get(place) or place)
        if place:
            self._places[place] = key
        return key

    def _key_of_piece(self, fields: dict[str, Any]) -> str:
        """The item that a delta belongs to; an id that no item has gives way to its place."""
        given, place = str(fields.get("item_id") or ""), _place(fields)
        if given in self._calls or place not in self._places:
            return given or place
        return self._places[place]

    def _text(self, key: str, text: str) -> list[Delta]:
        if not text:
            return []
        self._any_text = True
        self._texts[key] = self._texts.get(key, "") + text
        return [Text(text)]

    def _likely(self, fields: dict[str, Any]) -> None:
        if self._logprobs is not None and fields.get("logprobs"):
            self._logprobs += read_logprobs(fields["logprobs"])

    def _thought(self, key: str, form: str, text: str) -> list[Delta]:
        """Raw reasoning and its summary may both come for one item: the first form is told."""
        if not text or self._thoughts.setdefault(key, form) != form:
            return []
        return [Thought(text)]

    def _arguments(self, key: str, text: str) -> list[Delta]:
        call = self._calls.get(key)
        if call is None or not text:
            return []
        call.arguments += text
        return [CallPiece(call, text)]

    # --- items

    def _item(self, item: dict[str, Any], key: str, *, done: bool) -> list[Delta]:
        kind = item.get("type")
        if kind in _CALLS:
            return self._call(item, key, done=done)
        if not done:
            return []
        if kind == "message" and key not in self._texts:
            for part in codec.as_list(item.get("content")) or []:
                self._likely(codec.as_object(part) or {})
            return self._text(key, _content(item.get("content"), ("output_text", "text", "refusal")))
        if kind == "reasoning":
            return self._reasoned(item, key)
        return []

    def _call(self, item: dict[str, Any], key: str, *, done: bool) -> list[Delta]:
        call = self._calls.get(key)
        if call is None:
            call = self._calls[key] = GatheredCall(str(item.get("call_id") or ""), str(item.get("name") or ""))
            self.calls.append(call)
        return _completed(call, item) if done else [CallPiece(call, "")]

    def _reasoned(self, item: dict[str, Any], key: str) -> list[Delta]:
        if item.get("encrypted_content"):
            kept = ("type", "summary", "content", "encrypted_content")
            self.details.append(
                {name: item[name] for name in kept if item.get(name) is not None} | {"type": "reasoning"}
            )
        if key in self._thoughts:
            return []
        text = _content(item.get("content"), ("reasoning_text", "text"))
        return self._thought(key, "text", text or _content(item.get("summary"), ("summary_text", "text")))

    # --- the end

    def _end(self, response: dict[str, Any]) -> list[Delta]:
        deltas: list[Delta] = []
        told = {"message": bool(self._texts), "reasoning": bool(self._thoughts or self.details)}
        for n, item in enumerate(codec.as_list(response.get("output")) or []):
            deltas += self._last(codec.as_object(item) or {}, f"end {n}", told)
        self._usage = response.get("usage")
        self.ended = True
        match response.get("status"):
            case "incomplete":
                reason = (codec.as_object(response.get("incomplete_details")) or {}).get("reason")
                self._ending = "content_filter" if reason == "content_filter" else "max_output_tokens"
            case "failed" | "cancelled":
                self._fail({"error": response.get("error") or {"message": "The provider's response failed"}})
            case _:
                self._ending = "completed"
        return deltas

    def _last(self, item: dict[str, Any], key: str, told: dict[str, bool]) -> list[Delta]:
        """What the end says of an item: some servers give it, or its arguments, only there.

        `told`: type of item -> whether the events before said any of that type.
        """
        key, kind = str(item.get("id") or key), str(item.get("type"))
        if kind not in _CALLS:
            return [] if told.get(kind, True) else self._item(item, key, done=True)
        known = self._calls.get(key) or next((call for call in self.calls if call.id == item.get("call_id")), None)
        return self._item(item, key, done=True) if known is None else _completed(known, item)

    def _fail(self, fields: dict[str, Any]) -> list[Delta]:
        if self.fault is None:
            self.fault = fault_of(complaint_of(fields), 0, dialect=self._dialect)
        self.ended = True
        return []

    def close(self) -> list[Delta]:
        """Nothing is held back."""
        return []

    @property
    def usage(self) -> ResponseUsage | None:
        """Tokens as upstream counted them."""
        usage = codec.as_object(self._usage)
        if usage is None:
            return None
        return read_usage(
            {
                "prompt_tokens": usage.get("input_tokens"),
                "completion_tokens": usage.get("output_tokens"),
                "total_tokens": usage.get("total_tokens"),
                "prompt_tokens_details": usage.get("input_tokens_details"),
                "completion_tokens_details": usage.get("output_tokens_details"),
            }
        )

    def outcome(self) -> Ending | Fault:
        """How the answer ended, once everything was read."""
        if self.fault is not None:
            return self.fault
        if self._ending is None:
            return Fault("truncated", "The provider's answer was cut before its end")
        if self._ending == "completed" and not self.calls and not self._any_text:
            return Fault("empty", "The model gave no answer")
        return self._ending


def _completed(call: GatheredCall, fields: dict[str, Any]) -> list[Delta]:
    """The call with its whole arguments, as far as they go on from the pieces that came before."""
    given = fields.get("arguments", fields.get("input"))
    final = given if isinstance(given, str) else "" if given is None else codec.encode(given).decode()
    new = final.removeprefix(call.arguments) if final.startswith(call.arguments) else ""
    call.arguments += new
    return [CallPiece(call, new)]


def _place(fields: dict[str, Any]) -> str:
    """The place of an event's item in the output, or empty."""
    index = fields.get("output_index")
    return f"#{index}" if isinstance(index, int) else ""


_ITEMS = {"response.output_item.added": False, "response.output_item.done": True}
_TERMINAL = {"response.completed", "response.incomplete", "response.failed", "response.cancelled"}


def _content(value: Any, kinds: tuple[str, ...]) -> str:
    if isinstance(value, str):
        return value
    texts: list[str] = []
    for part in codec.as_list(value) or []:
        fields = codec.as_object(part) or {}
        text = fields.get("text") or fields.get("refusal")
        if fields.get("type") in kinds and isinstance(text, str):
            texts.append(text)
    return "".join(texts)
