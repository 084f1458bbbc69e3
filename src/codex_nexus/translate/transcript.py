"""A history of items as the messages of a chat: always legal for the strictest provider.

Theory of operation. Items are walked once. Consecutive reasoning, assistant text and calls are one assistant message
(a *block*); it ends at the first output, user or developer item. At its end the block is written: the assistant
message, one tool message for each call in call order wherever its output stood, then the pictures of those outputs as a
user message. So calls and results are adjacent and complete by construction. The first developer items make the one
system message; later ones follow the dialect. Texts stay encoded throughout (`codec.Text`).
"""

from __future__ import annotations

import hashlib
from typing import Any

import msgspec
from msgspec import UNSET, Raw, Struct

from codex_nexus.errors import InvalidRequest
from codex_nexus.translate.dialect import Dialect
from codex_nexus.translate.history import CALLS, OUTPUTS, History, content_parts
from codex_nexus.translate.pictures import image_url, picture_key
from codex_nexus.translate.sealed import Sealed, unseal
from codex_nexus.translate.tools import TOOL_SEARCH, ToolTable, declared
from codex_nexus.wire import codec
from codex_nexus.wire.chat import FunctionCall, Message, ToolCall
from codex_nexus.wire.codec import Text
from codex_nexus.wire.items import ContentPart, InputItem

INTERRUPTED = codec.to_text("[no output: call was interrupted]")
NO_OUTPUT = codec.to_text("(no output)")
ORPHAN = codec.to_text("[result of an earlier tool call]")
NO_VISION = codec.to_text("[image omitted: this model cannot see images]")
NO_URL = codec.to_text("[image omitted: this provider takes only images inside the request]")
CONTINUE = codec.to_text("Continue.")
BRIDGE = codec.to_text("OK.")
IMAGE_FOLLOWS = codec.to_text("[image follows]")
SUMMARISE = codec.to_text(
    "This conversation is about to be replaced by a summary. Write that summary now, for yourself: you will go on "
    "with nothing but it. Say what the user wants and every constraint they named; what was done and decided, with "
    "the exact names of files, functions and commands; what was found out; what is left to do, in order. Be complete "
    "and brief. Do not call any tool and do not go on with the work."
)
SUMMARY = codec.to_text("Summary of the conversation so far:")


class _Part(Struct):
    """A piece of a user message: text or an encoded image part."""

    text: Text | None = None
    image: Raw | None = None


class _Block(Struct):
    """One assistant message in the making."""

    texts: list[Text] = []
    reasoning: list[InputItem] = []
    calls: list[int] = []


def to_messages(history: History, head: list[Text], table: ToolTable, dialect: Dialect) -> list[Message]:
    """The messages; `head` are texts that lead the system message (instructions).

    Raises:
        InvalidRequest: a content part cannot be sent to any Chat Completions provider; `param` names it.
    """
    return _Writer(history, head, table, dialect).written()


class _Writer:
    def __init__(self, history: History, head: list[Text], table: ToolTable, dialect: Dialect) -> None:
        self._history = history
        self._dialect = dialect
        self._table = table
        self._head = list(head)
        self._messages: list[Message] = []
        self._block = _Block()
        self._user: list[_Part] = []
        self._user_is_tagged = False
        self._begun = False
        self._ids: set[str] = set()

    def written(self) -> list[Message]:
        for n, item in enumerate(self._history.items):
            self._item(n, item)
        self._close_block()
        self._close_user()
        if not self._messages or self._messages[-1].role == "assistant":
            self._messages.append(Message("user", CONTINUE))
        elif not any(message.role == "user" for message in self._messages):
            self._messages.insert(0, Message("user", CONTINUE))
        if self._head:
            self._messages.insert(0, Message("system", codec.join_texts(self._head)))
        return self._messages

    def _item(self, n: int, item: InputItem) -> None:
        kind = item.type or ""
        if kind == "message":
            self._message(item, f"input[{n}].content")
        elif kind == "reasoning":
            self._block.reasoning.append(item)
        elif kind in CALLS:
            self._begun = True
            self._block.calls.append(n)
        elif kind in OUTPUTS:
            self._output(n, item)
        elif kind == "agent_message":
            texts = self._agent_texts(item, f"input[{n}].content")
            self._add_user([_Part(codec.join_texts(texts, "\n"))] if texts else [])
        elif kind == "compaction":
            self._compaction(item)
        elif kind == "compaction_trigger":
            self._add_user([_Part(SUMMARISE)])

    def _message(self, item: InputItem, where: str) -> None:
        parts = content_parts(item.content, where)
        if item.role == "assistant":
            self._begun = True
            self._block.texts += [text for part in parts if (text := _assistant_text(part)) is not None]
        elif item.role == "user":
            self._add_user(self._user_parts(parts, where))
        else:
            self._developer([part.text for part in parts if _has_text(part)])

    def _output(self, n: int, item: InputItem) -> None:
        if self._block.calls:
            self._close_block()
        if n in self._history.used:
            return
        text, images = self._result(item, f"input[{n}].output")
        self._add_user([_Part(codec.join_texts([ORPHAN, text], "\n")), *images])

    def _compaction(self, item: InputItem) -> None:
        sealed = unseal(item.encrypted_content, "summary")
        if sealed is not None and sealed.text:
            self._add_user([_Part(codec.join_texts([SUMMARY, codec.to_text(sealed.text)]))])

    # --- developer and user messages

    def _developer(self, texts: list[Text]) -> None:
        if not texts:
            return
        if not self._begun or self._dialect.system == "head":
            self._head += texts
            return
        self._close_block()
        if self._dialect.system == "inline":
            self._close_user()
            self._messages.append(Message("system", codec.join_texts(texts)))
            return
        tagged = codec.join_texts(
            [_OPEN_TAG, codec.join_texts(texts), _CLOSE_TAG],
            "\n",
        )
        if self._user and not self._user_is_tagged and not self._dialect.merge_users:
            self._close_user()
        self._user.append(_Part(tagged))
        self._user_is_tagged = True

    def _add_user(self, parts: list[_Part]) -> None:
        if not parts:
            return
        self._begun = True
        self._close_block()
        if self._user and not self._user_is_tagged and not self._dialect.merge_users:
            self._close_user()
        self._user += parts
        self._user_is_tagged = False

    def _close_user(self) -> None:
        if not self._user:
            return
        parts, self._user = self._user, []
        self._user_is_tagged = False
        if self._dialect.tool_to_user_bridge and self._messages and self._messages[-1].role == "tool":
            self._messages.append(Message("assistant", BRIDGE))
        self._messages.append(Message("user", _user_content(parts)))

    def _user_parts(self, parts: list[ContentPart], where: str) -> list[_Part]:
        found: list[_Part] = []
        for n, part in enumerate(parts):
            at = f"{where}[{n}]"
            if _has_text(part):
                found.append(_Part(part.text))
            elif part.type == "input_image":
                found.append(self._image(part, at))
            elif part.type in ("input_file", "input_audio"):
                raise InvalidRequest(f"'{part.type}' is not supported by Chat Completions providers.", at)
            elif part.type not in _TEXTS:
                found.append(_Part(codec.to_text(f"[content of type {part.type or 'unknown'} omitted]")))
        return found

    def _image(self, part: ContentPart, where: str) -> _Part:
        url = image_url(part.image_url)
        if url is None:
            raise InvalidRequest("'input_image' needs 'image_url'; files by id live at OpenAI only.", where)
        if self._dialect.images == "none":
            described = self._history.described
            seen = described.get(picture_key(url)) if described else None
            return _Part(NO_VISION if seen is None else codec.to_text(f"[image, described by another model: {seen}]"))
        if self._dialect.images == "data" and bytes(memoryview(url)[:6]) != b'"data:':
            return _Part(NO_URL)
        detail = {"original": "high"}.get(part.detail or "", part.detail)
        shown = b',"detail":' + codec.encode(detail) if detail else b""
        return _Part(image=Raw(b'{"type":"image_url","image_url":{"url":' + bytes(url) + shown + b"}}"))

    def _agent_texts(self, item: InputItem, where: str) -> list[Text]:
        texts: list[Text] = []
        for part in content_parts(item.content, where):
            if _has_text(part):
                texts.append(part.text)
            elif codec.is_text(part.encrypted_content) and not codec.is_blank(part.encrypted_content):
                texts.append(part.encrypted_content)
        return texts

    # --- assistant messages and their results

    def _close_block(self) -> None:
        block, self._block = self._block, _Block()
        if not block.calls and not any(not codec.is_blank(text) for text in block.texts):
            return
        self._close_user()
        calls = [self._call(n) for n in block.calls]
        self._messages.append(self._assistant(block, calls))
        images: list[_Part] = []
        for n, call in zip(block.calls, calls, strict=True):
            text, found = self._answer(n)
            images += found
            self._messages.append(Message("tool", text, tool_call_id=call.id))
        if images:
            self._user = images

    def _call(self, n: int) -> ToolCall:
        item = self._history.items[n]
        name, arguments = self._called(item)
        return ToolCall(self._unique_id(item.call_id or ""), FunctionCall(name, arguments))

    def _called(self, item: InputItem) -> tuple[str, Text]:
        match item.type:
            case "function_call":
                return self._table.name_of(item.namespace, item.name or ""), _legal_arguments(item.arguments)
            case "custom_tool_call":
                text = item.input if codec.is_text(item.input) else codec.EMPTY
                wrapped = '{"input":' + bytes(text).decode() + "}"
                return self._table.name_of(item.namespace, item.name or ""), codec.to_text(wrapped)
            case "tool_search_call":
                return self._table.name_of(None, TOOL_SEARCH), _legal_arguments(item.arguments)
            case _:
                kind = (item.type or "").removesuffix("_call")
                return self._table.name_of(None, kind), _legal_arguments(item.action)

    def _unique_id(self, call_id: str) -> str:
        """The id upstream sees: as it was, but never twice in one conversation, and in the form that it takes."""
        n = 1
        while True:
            wanted = call_id if n == 1 else f"{call_id}_{n}"
            if self._dialect.tool_id == "alnum9":
                wanted = _alnum9(wanted)
            if wanted not in self._ids:
                self._ids.add(wanted)
                return wanted
            n += 1

    def _answer(self, n: int) -> tuple[Text, list[_Part]]:
        output = self._history.outputs.get(n)
        return (INTERRUPTED, []) if output is None else self._result(output, f"input[{n}].output")

    def _result(self, item: InputItem, where: str) -> tuple[Text, list[_Part]]:
        """The text of an output and the images that must follow it."""
        if item.type == "tool_search_output":
            return _found_tools(item, where, self._table), []
        if codec.is_null(item.output):
            return NO_OUTPUT, []
        if codec.is_text(item.output):
            return (NO_OUTPUT if codec.is_blank(item.output) else item.output), []
        if bytes(memoryview(item.output)[:1]) != b"[":
            return codec.to_text(bytes(item.output).decode()), []
        texts: list[Text] = []
        images: list[_Part] = []
        for n, part in enumerate(content_parts(item.output, where)):
            if _has_text(part):
                texts.append(part.text)
            elif part.type == "input_image":
                self._result_image(self._image(part, f"{where}[{n}]"), texts, images)
            elif part.type not in _TEXTS:
                texts.append(codec.to_text(f"[content of type {part.type or 'unknown'} omitted]"))
        return (codec.join_texts(texts, "\n") if texts else NO_OUTPUT), images

    def _result_image(self, part: _Part, texts: list[Text], images: list[_Part]) -> None:
        if part.text is not None:
            texts.append(part.text)
        elif self._dialect.tool_images == "drop":
            texts.append(NO_VISION)
        else:
            texts.append(IMAGE_FOLLOWS)
            images.append(part)

    def _assistant(self, block: _Block, calls: list[ToolCall]) -> Message:
        texts = [text for text in block.texts if not codec.is_blank(text)]
        message = Message("assistant", codec.join_texts(texts) if texts else self._no_content())
        if calls:
            message.tool_calls = calls
        replayed = self._replayed(block)
        if replayed is not None:
            self._put_reasoning(message, replayed, block)
        return message

    def _no_content(self) -> Any:
        match self._dialect.assistant_content:
            case "null":
                return codec.NULL
            case "empty":
                return codec.EMPTY
            case "omit":
                return UNSET
            case _:
                return Raw(b'[{"type":"text","text":""}]')

    # --- reasoning on its way back

    def _replayed(self, block: _Block) -> _Replay | None:
        """What goes back with this message, or None: nothing at all, not even a placeholder."""
        when = self._dialect.reasoning_replay
        if when == "never" or (when == "tool_turns" and not block.calls):
            return None
        replay = _Replay()
        for n, item in enumerate(block.reasoning):
            self._collect(item, replay, f"input[{n}]")
        return replay

    def _collect(self, item: InputItem, replay: _Replay, where: str) -> None:
        sealed = unseal(item.encrypted_content, "reasoning")
        if sealed is not None:
            if sealed.family == self._dialect.family:
                _add_sealed(sealed, replay)
            return
        if item.encrypted_content:
            return
        for raw in (item.content, item.summary):
            texts = [part.text for part in content_parts(raw, where) if _has_text(part)]
            if texts:
                replay.texts.append(codec.join_texts(texts, ""))
                return

    def _put_reasoning(self, message: Message, replay: _Replay, block: _Block) -> None:
        text = codec.join_texts(replay.texts, "\n\n") if replay.texts else self._placeholder(block)
        match self._dialect.reasoning_field:
            case "reasoning_content":
                message.reasoning_content = UNSET if text is None else text
            case "reasoning":
                message.reasoning = UNSET if text is None else text
            case "reasoning_details":
                _put_details(message, replay, text)
            case "think_tags" if replay.texts:
                thought = codec.join_texts([_OPEN_THINK, *replay.texts, _CLOSE_THINK], "\n")
                content = message.content if isinstance(message.content, Raw) else codec.EMPTY
                message.content = codec.join_texts([thought, content]) if codec.is_text(content) else thought
            case "content_parts" if replay.texts:
                _put_parts(message, codec.join_texts(replay.texts, "\n\n"))
            case _:
                pass
        self._put_signatures(message, replay, block)

    def _placeholder(self, block: _Block) -> Text | None:
        if not block.calls:
            return None
        return {"omit": None, "empty": codec.EMPTY, "space": codec.to_text(" ")}[self._dialect.reasoning_missing]

    def _put_signatures(self, message: Message, replay: _Replay, block: _Block) -> None:
        if not isinstance(message.tool_calls, list) or self._dialect.reasoning_field != "extra_content":
            return
        for n, call in zip(block.calls, message.tool_calls, strict=True):
            signature = replay.signatures.get(self._history.items[n].call_id or "")
            if signature is not None:
                call.extra_content = signature


class _Replay(Struct):
    texts: list[Text] = []
    details: list[Raw] = []
    signatures: dict[str, Raw] = {}


_TEXTS = {"input_text", "output_text", "text", "summary_text", "reasoning_text", "refusal"}
_OPEN_TAG = codec.to_text("<developer_message>")
_CLOSE_TAG = codec.to_text("</developer_message>")
_OPEN_THINK = codec.to_text("<think>")
_CLOSE_THINK = codec.to_text("</think>")


def _add_sealed(sealed: Sealed, replay: _Replay) -> None:
    if sealed.text:
        replay.texts.append(codec.to_text(sealed.text))
    replay.details += sealed.details
    replay.signatures.update(sealed.signatures)


def _put_details(message: Message, replay: _Replay, text: Text | None) -> None:
    if replay.details:
        message.reasoning_details = Raw(b"[" + b",".join(bytes(detail) for detail in replay.details) + b"]")
    elif replay.texts and text is not None:
        message.reasoning_details = Raw(b'[{"type":"reasoning.text","text":' + bytes(text) + b"}]")


def _put_parts(message: Message, thought: Text) -> None:
    parts = [b'{"type":"thinking","thinking":[{"type":"text","text":' + bytes(thought) + b"}]}"]
    if isinstance(message.content, Raw) and codec.is_text(message.content) and not codec.is_blank(message.content):
        parts.append(b'{"type":"text","text":' + bytes(message.content) + b"}")
    message.content = Raw(b"[" + b",".join(parts) + b"]")


def _has_text(part: ContentPart) -> bool:
    return part.type in _TEXTS and codec.is_text(part.text) and not codec.is_blank(part.text)


def _assistant_text(part: ContentPart) -> Text | None:
    if _has_text(part):
        return part.text
    return part.refusal if part.type == "refusal" and codec.is_text(part.refusal) else None


def _user_content(parts: list[_Part]) -> Raw:
    if all(part.image is None for part in parts):
        return codec.join_texts([part.text for part in parts if part.text is not None])
    encoded = [
        bytes(part.image) if part.image is not None else b'{"type":"text","text":' + bytes(part.text or b'""') + b"}"
        for part in parts
    ]
    return Raw(b"[" + b",".join(encoded) + b"]")


def _legal_arguments(raw: Raw) -> Text:
    """Arguments as a literal of a JSON object, whatever stood there: a broken one is kept under `_raw`."""
    if codec.is_null(raw):
        return _NO_ARGUMENTS
    if not codec.is_text(raw):
        return codec.to_text(bytes(raw).decode()) if bytes(memoryview(raw)[:1]) == b"{" else _NO_ARGUMENTS
    text = codec.of_text(raw)
    if not text.strip():
        return _NO_ARGUMENTS
    try:
        value = codec.decode_any(text)
    except msgspec.DecodeError:
        try:
            value = codec.decode_lenient(text.encode())
        except ValueError:
            value = None
        fields = codec.as_object(value)
        if fields is not None:
            return codec.to_text(codec.encode(fields).decode())
    return raw if isinstance(value, dict) else codec.to_text(codec.encode({"_raw": text}).decode())


_NO_ARGUMENTS = codec.to_text("{}")


def _found_tools(item: InputItem, where: str, table: ToolTable) -> Text:
    if codec.is_null(item.tools):
        return NO_OUTPUT
    raws = msgspec.json.decode(item.tools, type=list[Raw])
    lines = [f"- {table.name_of(tool.namespace, tool.name)}: {tool.description}" for tool in declared(raws, where)]
    return codec.to_text("These tools are available now:\n" + "\n".join(lines)) if lines else NO_OUTPUT


_ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"


def _alnum9(call_id: str) -> str:
    number = int.from_bytes(hashlib.sha256(call_id.encode("utf-8", "replace")).digest()[:8])
    digits: list[str] = []
    for _ in range(9):
        number, digit = divmod(number, len(_ALPHABET))
        digits.append(_ALPHABET[digit])
    return "".join(digits)
