"""What a Chat Completions upstream streams, as neutral deltas. Every oddity of providers ends here.

Theory of operation. `ChatReader.read` takes the payload of one server-sent event. Text and reasoning leave as deltas at
once; tool calls are gathered (`calls`) and told as they grow. How the answer ended is known only at its end: `outcome`
gives it.
"""

from __future__ import annotations

from typing import Any

from msgspec import Raw

from codex_nexus.translate.complaints import complaint_of
from codex_nexus.translate.deltas import Delta, Ending, GatheredCall, Refused, Text, Thought
from codex_nexus.translate.dialect import Dialect
from codex_nexus.translate.faults import Fault, fault_of
from codex_nexus.translate.gatherer import CallGatherer
from codex_nexus.translate.logprobs import read_logprobs
from codex_nexus.translate.thinking import LONE_END, Details, Halves, Incremental, ThinkSplitter, thinking_text
from codex_nexus.translate.usage import counts, read_usage
from codex_nexus.wire import codec
from codex_nexus.wire.chat import ChatChunk, ChatDelta, Choice, ToolCallDelta, chunk_of, decode_chunk
from codex_nexus.wire.responses import ResponseUsage

_LENGTH = {"length", "model_length", "max_tokens", "max_output_tokens", "max_length"}
_FILTER = {
    "content_filter", "sensitive", "safety", "recitation", "blocklist", "prohibited_content", "spii",
}  # fmt: skip
_ERROR = {"error", "network_error", "insufficient_system_resource", "abort", "aborted", "engine_error", "timeout"}
_OVERFLOW = {"model_context_window_exceeded", "context_length_exceeded", "context_window_exceeded"}
_CALLS = {"tool_calls", "function_call", "tool_use", "tool_call", "malformed_function_call"}


class ChatReader:
    """Reads one answer. `read` each payload, `close` at the end of the body, then ask for `outcome`."""

    def __init__(self, dialect: Dialect, logprobs: list[Raw] | None = None) -> None:
        """A reader of one answer; the logprobs of its text go into this list, ahead of the text itself."""
        self._dialect = dialect
        self._logprobs = logprobs
        self._splitter = None if dialect.think_tags == "off" else ThinkSplitter(inside=dialect.think_tags == "inside")
        self._text = Incremental(dialect.text_mode)
        self._thought = Incremental("auto")
        self._halves = Halves()
        self._gatherer = CallGatherer(self._halves)
        self._details = Details()
        self._structured_thought = False
        self._finish = ""
        self._usage: Any = None
        self._garbled = False
        self._any_text = False
        self.leaked_thought = False
        """An end of a thought stood in the text that had no beginning."""
        self.fault: Fault | None = None
        self.ended = False
        """`[DONE]` came, or a fault: nothing after it counts."""

    @property
    def calls(self) -> list[GatheredCall]:
        """The tool calls so far."""
        return self._gatherer.calls

    @property
    def details(self) -> list[dict[str, Any]]:
        """`reasoning_details` as they must come back."""
        return self._details.whole

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
        out: list[Delta] = []
        self._chunk(chunk, event, out)
        return out

    def close(self) -> list[Delta]:
        """What was held back."""
        out: list[Delta] = []
        if self._splitter is not None:
            self._split(self._splitter.close(), out)
            outcome = self.outcome() if self._splitter.untagged else None
            if isinstance(outcome, Fault) and outcome.kind == "empty":
                out.append(Text(self._splitter.untagged))  # it was no thought at all
                self._any_text = True
        return out

    # --- one chunk; each step adds its deltas to `out`, which costs half of what generators do

    def _chunk(self, chunk: ChatChunk, event: bytes, out: list[Delta]) -> None:
        if chunk.usage is not None:
            self._count(chunk.usage)
        elif chunk.x_groq is not None:
            self._count(_field(chunk.x_groq, "usage"))
        if chunk.error or event == b"error":
            self._fail_from(chunk)
            return
        choices = chunk.choices
        if not choices:
            self._without_choices(chunk, out)
            return
        for choice in choices:
            if choice.index in (0, None):
                self._choice(choice, out)

    def _count(self, usage: Any) -> None:
        if counts(usage):
            self._usage = usage

    def _without_choices(self, chunk: ChatChunk, out: list[Delta]) -> None:
        wrapped = chunk.data
        if "choices" in (codec.as_object(wrapped) or {}):
            self._chunk(chunk_of(wrapped), b"", out)
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

    def _choice(self, choice: Choice, out: list[Delta]) -> None:
        if choice.usage is not None:
            self._count(choice.usage)
        delta = choice.delta or choice.message
        if delta is not None:
            if choice.logprobs is not None and self._logprobs is not None and delta.content:
                self._logprobs += read_logprobs(_field(choice.logprobs, "content"))
            self._delta(delta, out)
        if isinstance(choice.finish_reason, str) and choice.finish_reason:
            self._finish = choice.finish_reason.lower()

    def _delta(self, delta: ChatDelta, out: list[Delta]) -> None:
        thought = self._reasoning(delta)
        if thought:
            out.append(Thought(thought))
        content = delta.content
        if content:
            if isinstance(content, str):
                self._content(content, out)
            else:
                self._parts(codec.as_list(content) or [content], out)
        if isinstance(delta.refusal, str) and delta.refusal:
            self._any_text = True
            out.append(Refused(self._halves.whole("refusal", delta.refusal)))
        if delta.tool_calls:
            out += map(self._gatherer.receive, delta.tool_calls)
        if delta.function_call is not None:
            out.append(self._gatherer.receive(ToolCallDelta(0, None, delta.function_call)))

    # --- text and reasoning

    def _content(self, content: str, out: list[Delta]) -> None:
        text = self._text.feed(self._halves.whole("text", content))
        if self._splitter is not None:
            self._split(self._splitter.feed(text), out)
        elif text:
            self._any_text = True
            out.append(Text(text))

    def _split(self, split: tuple[str, str], out: list[Delta]) -> None:
        thought, text = split
        if self._logprobs and (thought or (self._splitter is not None and self._splitter.thinking)):
            self._logprobs.clear()  # they were of the thought
        if thought and not self._structured_thought:
            out.append(Thought(thought))
        if text:
            self._any_text = True
            self.leaked_thought = self.leaked_thought or LONE_END in text
            out.append(Text(text))

    def _parts(self, parts: list[Any], out: list[Delta]) -> None:
        for part in parts:
            thought = thinking_text(part)
            if thought is None:
                text = part if isinstance(part, str) else _field(part, "text")
                if isinstance(text, str) and text:
                    self._content(text, out)
            elif thought:
                self._structured_thought = True
                out.append(Thought(self._halves.whole("thought", thought)))

    def _reasoning(self, delta: ChatDelta) -> str:
        """The reasoning of one delta: the first field that has any, never two of them."""
        text = ""
        if delta.reasoning_details is not None:
            text = self._details.receive(codec.as_list(delta.reasoning_details) or [])
        for field in (delta.reasoning_content, delta.reasoning):
            if not text and isinstance(field, str):
                text = field
        if not text:
            return ""
        if self._splitter is not None and not (self._structured_thought or self._any_text):
            self._splitter.part()
        self._structured_thought = True
        return self._thought.feed(self._halves.whole("thought", text))

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
        return self._dialect.eof_after_complete_tool_ok and self._gatherer.all_whole()

    def _of_content(self, finish: str) -> Ending | Fault:
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


def _refuses(chunk: ChatChunk) -> bool:
    """Whether an object without choices is an error in the place of an answer."""
    status = _field(chunk.base_resp, "status_code")
    return (
        chunk.success is False
        or bool(status)
        or (chunk.usage is None and bool(chunk.message or chunk.detail or chunk.msg) and chunk.choices is None)
    )
