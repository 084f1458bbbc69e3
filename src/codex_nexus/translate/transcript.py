"""A history of items as the messages of a chat: always legal for the strictest provider.

Theory of operation. Items are walked once. Consecutive reasoning, assistant text and calls are one assistant message
(a *block*); it ends at the first output, user or developer item. At its end the block is written: the assistant
message, one tool message for each call in call order wherever its output stood, then the pictures of those outputs as a
user message. So calls and results are adjacent and complete by construction. The first developer items make the one
system message, or the beginning of the first user message; later ones follow the dialect. Texts stay encoded
throughout (`codec.Text`).

What a single message says is the business of other rooms: `parts`, `calls`, `results`, `replay`.
"""

from __future__ import annotations

from typing import Any

from msgspec import UNSET, Raw, Struct

from codex_nexus.translate.calls import CallWriter
from codex_nexus.translate.dialect import Dialect
from codex_nexus.translate.history import CALLS, OUTPUTS, History, content_parts, is_report
from codex_nexus.translate.parts import PartReader, Piece, assistant_text, content_of, has_text, says_nothing, told_text
from codex_nexus.translate.replay import Replayer
from codex_nexus.translate.results import ResultReader
from codex_nexus.translate.sealed import unseal
from codex_nexus.translate.tools import ToolTable
from codex_nexus.wire import codec
from codex_nexus.wire.chat import Message
from codex_nexus.wire.codec import Text
from codex_nexus.wire.items import InputItem

ORPHAN = "[result of an earlier tool call]"
CONTINUE = codec.to_text("Continue.")
BRIDGE = codec.to_text("OK.")
SUMMARISE = codec.to_text(
    "This conversation is about to be replaced by a summary. Write that summary now, for yourself: you will go on "
    "with nothing but it. Say what the user wants and every constraint they named; what was done and decided, with "
    "the exact names of files, functions and commands; what was found out; what is left to do, in order. Be complete "
    "and brief. Do not call any tool and do not go on with the work."
)
SUMMARY = codec.to_text("Summary of the conversation so far:")
_OPEN_TAG = codec.to_text("<developer_message>")
_CLOSE_TAG = codec.to_text("</developer_message>")


class _Block(Struct):
    """One assistant message in the making."""

    texts: list[Text] = []
    reasoning: list[int] = []
    calls: list[int] = []


def to_messages(
    history: History, head: list[Text], note: Text | None, table: ToolTable, dialect: Dialect
) -> list[Message]:
    """The messages.

    Args:
        history: the items.
        head: texts that lead all others (instructions).
        note: stands behind all texts of the head.
        table: names of the tools.
        dialect: of the server.

    Raises:
        InvalidRequest: a content part cannot be sent to any Chat Completions provider; `param` names it.
    """
    return _Writer(history, head, note, table, dialect).written()


class _Writer:
    def __init__(
        self, history: History, head: list[Text], note: Text | None, table: ToolTable, dialect: Dialect
    ) -> None:
        self._history = history
        self._dialect = dialect
        self._parts = PartReader(dialect, history.described)
        self._calls = CallWriter(table, dialect)
        self._results = ResultReader(self._parts, table, dialect)
        self._replayer = Replayer(dialect)
        self._head = list(head)
        self._note = [] if note is None else [note]
        self._messages: list[Message] = []
        self._block = _Block()
        self._user: list[Piece] = []
        self._user_is_tagged = False
        self._first_user: list[Piece] = []
        self._begun = False

    def written(self) -> list[Message]:
        for n, item in enumerate(self._history.items):
            self._item(n, item)
        self._close_block()
        if not self._user and (not self._messages or self._messages[-1].role == "assistant"):
            self._user = [Piece(CONTINUE)]
        self._close_user()
        head = [*self._head, *self._note]
        if self._dialect.system == "first_user":
            self._put_into_first_user(head)
            head = []
        self._begin_with_user()
        if head:
            self._messages.insert(0, Message("system", codec.join_texts(head)))
        return self._messages

    def _put_into_first_user(self, head: list[Text]) -> None:
        if not head:
            return
        if self._messages[0].role != "user":
            self._messages.insert(0, Message("user", _tagged(head)))
            return
        self._messages[0].content = content_of([Piece(_tagged(head)), *self._first_user])

    def _begin_with_user(self) -> None:
        """Somebody must have asked something, and where roles alternate the user begins."""
        roles = [message.role for message in self._messages]
        if "user" not in roles or (self._dialect.merge_users and roles[0] == "assistant"):
            self._messages.insert(0, Message("user", CONTINUE))

    def _item(self, n: int, item: InputItem) -> None:
        kind = item.type or ""
        if kind == "message":
            self._message(item, f"input[{n}].content")
        elif kind == "reasoning":
            self._block.reasoning.append(n)
        elif kind in CALLS:
            self._begun = True
            self._block.calls.append(n)
        elif kind in OUTPUTS:
            self._output(n, item)
        elif kind == "agent_message":
            said = [told_text(part) for part in content_parts(item.content, f"input[{n}].content")]
            texts = [text for text in said if text is not None]
            self._add_user([Piece(codec.join_texts(texts, "\n"))] if texts else [])
        elif kind == "compaction":
            self._compaction(item)
        elif kind == "compaction_trigger":
            self._add_user([Piece(SUMMARISE)])

    def _message(self, item: InputItem, where: str) -> None:
        parts = content_parts(item.content, where)
        if item.role == "assistant":
            self._begun = True
            self._block.texts += [text for part in parts if (text := assistant_text(part)) is not None]
        elif item.role == "user":
            self._add_user(self._parts.user(parts, where))
        else:
            self._developer([part.text for part in parts if has_text(part)])

    def _output(self, n: int, item: InputItem) -> None:
        if self._block.calls:
            self._close_block()
        if n in self._history.used:
            return
        said, images = self._results.in_words(item, f"input[{n}].output")
        teller = ".".join(name for name in (item.namespace, item.name) if name)
        head = codec.to_text(f"[told by {teller}]" if is_report(item) else ORPHAN)
        self._add_user([Piece(codec.join_texts([head, said], "\n")), *images])

    def _compaction(self, item: InputItem) -> None:
        sealed = unseal(item.encrypted_content, "summary")
        if sealed is not None and sealed.text:
            self._add_user([Piece(codec.join_texts([SUMMARY, codec.to_text(sealed.text)]))])

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
        if self._user and not self._user_is_tagged and not self._dialect.merge_users:
            self._close_user()
        self._user.append(Piece(_tagged(texts)))
        self._user_is_tagged = True

    def _add_user(self, pieces: list[Piece]) -> None:
        if not pieces:
            return
        self._begun = True
        self._close_block()
        if self._user and not self._user_is_tagged and not self._dialect.merge_users:
            self._close_user()
        self._user += pieces
        self._user_is_tagged = False

    def _close_user(self) -> None:
        if not self._user:
            return
        pieces, self._user = self._user, []
        self._user_is_tagged = False
        if not self._messages:
            self._first_user = pieces
        if self._dialect.tool_to_user_bridge and self._messages and self._messages[-1].role == "tool":
            self._messages.append(Message("assistant", BRIDGE))
        self._messages.append(Message("user", content_of(pieces)))

    # --- assistant messages and their results

    def _close_block(self) -> None:
        block, self._block = self._block, _Block()
        if not block.calls and all(says_nothing(text) for text in block.texts):
            return
        self._close_user()
        message = self._assistant(block)
        self._messages.append(message)
        images: list[Piece] = []
        calls = message.tool_calls if isinstance(message.tool_calls, list) else []
        for n, call in zip(block.calls, calls, strict=True):
            said, found = self._results.read(self._history.outputs.get(n), f"input[{n}].output")
            images += found
            self._messages.append(Message("tool", said, tool_call_id=call.id))
        if images:
            self._user = images

    def _assistant(self, block: _Block) -> Message:
        texts = [text for text in block.texts if not says_nothing(text)]
        message = Message("assistant", codec.join_texts(texts) if texts else self._no_content())
        items = [self._history.items[n] for n in block.calls]
        if items:
            message.tool_calls = [self._calls.call(item) for item in items]
        reasoning = {f"input[{n}]": self._history.items[n] for n in block.reasoning}
        self._replayer.put(message, reasoning, [item.call_id or "" for item in items])
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


def _tagged(texts: list[Text]) -> Text:
    """Words of the developer as a user's message holds them."""
    return codec.join_texts([_OPEN_TAG, codec.join_texts(texts), _CLOSE_TAG], "\n")
