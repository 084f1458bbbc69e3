"""What upstream streams, as neutral deltas: text, thought, pieces of calls. Every oddity of providers ends here.

Theory of operation. `ChatReader.read` takes the payload of one server-sent event. Text and reasoning leave as deltas at
once; tool calls are gathered (`calls`) and told as they grow, each piece routed to its call by id first, then by index,
then to the open call. How the answer ended is known only at its end: `outcome` gives it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal

from msgspec import Raw, Struct

from codex_nexus.translate.dialect import Dialect
from codex_nexus.translate.faults import Fault, complaint_of, fault_of
from codex_nexus.translate.thinking import Halves, Incremental, ThinkSplitter
from codex_nexus.translate.tools import is_object
from codex_nexus.wire import codec
from codex_nexus.wire.chat import ChatChunk, ChatDelta, Choice, ToolCallDelta, chunk_of, decode_chunk
from codex_nexus.wire.responses import InputTokensDetails, OutputTokensDetails, ResponseUsage


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
        """Whether the arguments are a whole JSON object (or nothing, for a tool without parameters)."""
        return is_object(self.arguments)


Ending = Literal["completed", "max_output_tokens", "content_filter"]

_LENGTH = {"length", "model_length", "max_tokens", "max_output_tokens"}
_FILTER = {"content_filter", "sensitive", "safety"}
_ERROR = {"error", "network_error", "insufficient_system_resource", "abort"}
_OVERFLOW = {"model_context_window_exceeded"}
_CALLS = {"tool_calls", "function_call", "tool_use"}


class ChatReader:
    """Reads one answer. `read` each payload, `close` at the end of the body, then ask for `outcome`."""

    def __init__(self, dialect: Dialect) -> None:
        self._dialect = dialect
        self._splitter = ThinkSplitter() if dialect.think_tags == "auto" else None
        self._text = Incremental(dialect.text_mode)
        self._thought = Incremental("auto")
        self._halves = Halves()
        self._structured_thought = False
        self._finish: str | None = None
        self._usage: Any = None
        self._garbled = False
        self._any_text = False
        self._by_id: dict[str, GatheredCall] = {}
        self._by_index: dict[int, GatheredCall] = {}
        self.calls: list[GatheredCall] = []
        self.details: list[dict[str, Any]] = []
        self.fault: Fault | None = None
        self.ended = False
        """`[DONE]` came, or a fault: nothing after it counts."""

    @property
    def finished(self) -> bool:
        """A finish_reason was seen; only usage can follow."""
        return bool(self._finish) or self.ended

    def read(self, data: bytes, event: bytes = b"") -> list[Delta]:
        """The deltas of one payload; never raises."""
        if self.ended:
            return []
        said = data.strip()
        if said == b"[DONE]":
            self.ended = True
        if self.ended or not said:
            return []
        try:
            chunk = decode_chunk(data)
        except ValueError:
            if b"\n" in said:  # a server that ends its events with one line break only
                return [delta for line in said.split(b"\n") for delta in self.read(line, event)]
            self._garbled = self._garbled or said[:1] in b"{["
            if event == b"error":
                self._fail(Fault("server", data.decode("utf-8", "replace")[:500]))
            return []
        return list(self._chunk(chunk, event))

    def close(self) -> list[Delta]:
        """What was held back."""
        if self._splitter is None:
            return []
        return list(self._split(self._splitter.close()))

    # --- one chunk

    def _chunk(self, chunk: ChatChunk, event: bytes) -> Iterator[Delta]:
        if chunk.usage is not None:
            self._usage = chunk.usage
        elif chunk.x_groq is not None:
            self._usage = _field(chunk.x_groq, "usage") or self._usage
        if chunk.error or event == b"error":
            self._fail_from(chunk)
            return
        choices = chunk.choices
        if not choices:
            yield from self._without_choices(chunk)
            return
        for choice in choices:
            if choice.index in (0, None):
                yield from self._choice(choice)

    def _without_choices(self, chunk: ChatChunk) -> Iterator[Delta]:
        wrapped = chunk.data
        if "choices" in (codec.as_object(wrapped) or {}):
            yield from self._chunk(chunk_of(wrapped), b"")
        elif _refuses(chunk):
            self._fail_from(chunk)

    def _fail_from(self, chunk: ChatChunk) -> None:
        fields = {name: getattr(chunk, name) for name in chunk.__struct_fields__}
        complaint = complaint_of({name: value for name, value in fields.items() if value is not None})
        self._fail(fault_of(complaint, 0, dialect=self._dialect))

    def _fail(self, fault: Fault) -> None:
        if self.fault is None:
            self.fault = fault
        self.ended = True

    def _choice(self, choice: Choice) -> Iterator[Delta]:
        if choice.usage is not None:
            self._usage = choice.usage
        delta = choice.delta or choice.message
        if delta is not None:
            yield from self._delta(delta)
        if isinstance(choice.finish_reason, str) and choice.finish_reason:
            self._finish = choice.finish_reason

    def _delta(self, delta: ChatDelta) -> Iterator[Delta]:
        thought = self._reasoning(delta)
        if thought:
            yield Thought(thought)
        content = delta.content
        if content:
            if isinstance(content, str):
                yield from self._content(content)
            else:
                yield from self._parts(codec.as_list(content) or [])
        if isinstance(delta.refusal, str) and delta.refusal:
            self._any_text = True
            yield Refused(self._halves.whole("refusal", delta.refusal))
        for piece in delta.tool_calls or ():
            yield from self._call_piece(piece)
        if delta.function_call is not None:
            yield from self._call_piece(ToolCallDelta(0, None, delta.function_call))

    # --- text and reasoning

    def _content(self, content: str) -> Iterator[Delta]:
        text = self._text.feed(self._halves.whole("text", content))
        if self._splitter is not None:
            yield from self._split(self._splitter.feed(text))
        elif text:
            self._any_text = True
            yield Text(text)

    def _split(self, split: tuple[str, str]) -> Iterator[Delta]:
        thought, text = split
        if thought and not self._structured_thought:
            yield Thought(thought)
        if text:
            self._any_text = True
            yield Text(text)

    def _parts(self, parts: list[Any]) -> Iterator[Delta]:
        for part in parts:
            kind = _field(part, "type")
            if kind == "thinking":
                thought = _thinking_text(_field(part, "thinking"))
                self._structured_thought = self._structured_thought or bool(thought)
                if thought:
                    yield Thought(self._halves.whole("thought", thought))
            else:
                text = part if isinstance(part, str) else _field(part, "text")
                if isinstance(text, str) and text:
                    yield from self._content(text)

    def _reasoning(self, delta: ChatDelta) -> str:
        """The reasoning of one delta: the first field that has any, never two of them."""
        text = ""
        if delta.reasoning_details is not None:
            text = self._keep_details(codec.as_list(delta.reasoning_details) or [])
        for field in (delta.reasoning_content, delta.reasoning):
            if not text and isinstance(field, str):
                text = field
        if not text:
            return ""
        self._structured_thought = True
        return self._thought.feed(self._halves.whole("thought", text))

    def _keep_details(self, details: list[Any]) -> str:
        texts: list[str] = []
        for detail in details:
            known = codec.as_object(detail)
            if known is None:
                continue
            text = known.get("text") or known.get("summary")
            if isinstance(text, str):
                texts.append(text)
            _merge_detail(self.details, known)
        return "".join(texts)

    # --- tool calls

    def _call_piece(self, piece: ToolCallDelta) -> Iterator[Delta]:
        function = piece.function
        name = codec.whole(function.name).strip() if function is not None and isinstance(function.name, str) else ""
        given = function.arguments if function is not None else None
        fragment = given if isinstance(given, str) else "" if given is None else codec.encode_any(given).decode()
        call = self._route(piece, name, fragment)
        if name and not call.name:
            call.name = name
        if piece.extra_content is not None:
            call.signature = Raw(codec.encode_any(piece.extra_content))
        fragment = self._halves.whole(id(call), fragment)
        if fragment and _repeats(call, fragment, whole=not isinstance(given, str)):
            fragment = ""
        call.arguments += fragment
        yield CallPiece(call, fragment)

    def _route(self, piece: ToolCallDelta, name: str, fragment: str) -> GatheredCall:
        """The call that this piece belongs to: by id, by a new id, by index, by what is open."""
        call_id = codec.whole(piece.id) if isinstance(piece.id, str) else ""
        index = piece.index if isinstance(piece.index, int) else None
        if call_id:
            known = self._by_id.get(call_id)
            if known is None and index is not None:
                known = self._late_id(call_id, self._by_index.get(index), name)
            return known or self._opened(call_id, index, name)
        open_call = self._by_index.get(index) if index is not None else None
        if open_call is None:
            latest = self.calls[-1] if self.calls else None
            if latest is None or (name and index is not None) or _begins_anew(latest, name, fragment):
                return self._opened("", index, name)
            return latest
        return self._opened("", index, name) if _begins_anew(open_call, name, fragment) else open_call

    def _late_id(self, call_id: str, call: GatheredCall | None, name: str) -> GatheredCall | None:
        """A call that began without an id gets it now, unless this is another call."""
        if call is None or call.id or (name and call.name and name != call.name) or call.complete():
            return None
        call.id = call_id
        self._by_id[call_id] = call
        return call

    def _opened(self, call_id: str, index: int | None, name: str) -> GatheredCall:
        template = self._by_index.get(index) if index is not None else None
        call = GatheredCall(call_id, name)
        if not name and not call_id and template is not None:
            call.name = template.name
        self.calls.append(call)
        if call_id:
            self._by_id[call_id] = call
        if index is not None:
            self._by_index[index] = call
        return call

    # --- the end

    @property
    def usage(self) -> ResponseUsage | None:
        """Tokens as upstream counted them, with cached as a part of input and reasoning of output."""
        return read_usage(self._usage)

    def outcome(self) -> Ending | Fault:
        """How the answer ended, once everything was read."""
        if self.fault is not None:
            return self.fault
        finish = self._finish
        if finish in _FILTER:
            return "content_filter"
        if finish in _OVERFLOW:
            return Fault("context_length_exceeded", "The conversation does not fit into the model's context window")
        if finish in _ERROR:
            return Fault("server", f"The provider stopped with '{finish}'")
        if finish in _LENGTH:
            return "max_output_tokens"
        if self._garbled:
            return Fault("server", "The provider sent a line that is not valid JSON")
        if not finish and not self.ended and not self._whole_call_at_eof():
            return Fault("truncated", "The provider's answer was cut before its end")
        return self._of_content(finish)

    def _whole_call_at_eof(self) -> bool:
        return (
            self._dialect.eof_after_complete_tool_ok
            and bool(self.calls)
            and all(call.name and call.complete() for call in self.calls)
        )

    def _of_content(self, finish: str | None) -> Ending | Fault:
        if self.calls:
            if any(not call.name for call in self.calls):
                return Fault("missing_tool_call", "The model called a tool without naming it")
            return "completed"
        if finish in _CALLS:
            return Fault("missing_tool_call", "The provider announced a tool call and sent none")
        if not self._any_text:
            return Fault("empty", "The model gave no answer")
        return "completed"


def _field(value: Any, name: str) -> Any:
    return (codec.as_object(value) or {}).get(name)


def _thinking_text(value: Any) -> str:
    if isinstance(value, str):
        return value
    texts = [_field(part, "text") for part in codec.as_list(value) or []]
    return "".join(text for text in texts if isinstance(text, str))


def _refuses(chunk: ChatChunk) -> bool:
    """Whether an object without choices is an error in the place of an answer."""
    status = _field(chunk.base_resp, "status_code")
    return (
        chunk.success is False
        or bool(status)
        or (chunk.usage is None and bool(chunk.message or chunk.detail or chunk.msg) and chunk.choices is None)
    )


def _begins_anew(call: GatheredCall, name: str, fragment: str) -> bool:
    """Whether a piece without an id opens another call: the known one is whole and this begins a new object or name."""
    if not call.arguments.rstrip().endswith("}") or not call.complete():
        return False
    if name and name != call.name:
        return True
    return fragment.lstrip().startswith("{") and fragment.strip() != call.arguments.strip()


def _repeats(call: GatheredCall, fragment: str, *, whole: bool) -> bool:
    """Whether a fragment adds nothing: all arguments once more, or white space after their end."""
    if not call.arguments.endswith("}"):
        return False
    if fragment.isspace() or whole or fragment.strip() == call.arguments.strip():
        return call.complete()
    return False


def _merge_detail(details: list[dict[str, Any]], detail: dict[str, Any]) -> None:
    """Adds a piece of `reasoning_details`: text that continues the last piece is appended to it."""
    last = details[-1] if details else None
    text = detail.get("text")
    same = last is not None and all(last.get(key) == detail.get(key) for key in ("type", "index"))
    if last is None or not same or not isinstance(text, str) or not isinstance(last.get("text"), str):
        details.append(dict(detail))
        return
    seen: str = last["text"]
    last.update({key: value for key, value in detail.items() if value is not None})
    last["text"] = text if len(text) > len(seen) >= 32 and text.startswith(seen) else seen + text


def read_usage(value: Any) -> ResponseUsage | None:
    """A provider's usage in the words of the Responses API; None when there is none."""
    usage = codec.as_object(value)
    if usage is None:
        return None
    prompt, output = _count(usage, "prompt_tokens"), _count(usage, "completion_tokens")
    total = _count(usage, "total_tokens")
    if not (prompt or output or total):
        return None
    output += max(0, total - prompt - output)
    cached = next((count for count in _cached(usage) if count), 0)
    reasoning = _count(usage.get("completion_tokens_details"), "reasoning_tokens")
    return ResponseUsage(
        prompt,
        InputTokensDetails(min(cached, prompt)),
        output,
        OutputTokensDetails(min(reasoning or _count(usage, "reasoning_tokens"), output)),
        prompt + output,
    )


_BYTES_PER_TOKEN = 4


def estimated_usage(request_bytes: int, answer_bytes: int, window: int | None) -> ResponseUsage:
    """A rough count for a provider that gives none; never more input than the window holds."""
    prompt = request_bytes // _BYTES_PER_TOKEN
    prompt = min(prompt, window) if window else prompt
    output = answer_bytes // _BYTES_PER_TOKEN
    return ResponseUsage(prompt, InputTokensDetails(), output, OutputTokensDetails(), prompt + output)


def _cached(usage: dict[str, Any]) -> Iterator[int]:
    yield _count(usage.get("prompt_tokens_details"), "cached_tokens")
    for name in ("prompt_cache_hit_tokens", "cached_tokens", "num_cached_tokens"):
        yield _count(usage, name)


def _count(value: Any, name: str) -> int:
    count = _field(value, name)
    return int(count) if isinstance(count, (int, float)) and 0 < count < _MOST_TOKENS else 0


_MOST_TOKENS = 1 << 53
