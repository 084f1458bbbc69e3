"""What a client is told instead of being mended: a request that brings nothing but a mistake.

A history with damage somewhere in it is repaired on its way (see transcript), because nobody can mend it any more. But
a request whose items are all of unknown types, or which brings nothing but results and one of them belongs to no call,
asks nothing; so does a message of unknown parts. A tool or a choice of tools that does not say what it is means nothing
either. Their program is wrong, and OpenAI's API says so. Codex is never told: it would send the same once more.
"""

from __future__ import annotations

import msgspec
from msgspec import Raw

from codex_nexus.errors import InvalidRequest
from codex_nexus.translate.history import CALLS, NAMED, OUTPUTS, History, content_parts, is_report
from codex_nexus.translate.parts import TEXTS
from codex_nexus.wire import codec
from codex_nexus.wire.create import CreateResponse, invalid_field, missing
from codex_nexus.wire.items import ContentPart, InputItem

_HOSTED = {
    "web_search_call", "file_search_call", "computer_call", "computer_call_output", "code_interpreter_call",
    "image_generation_call", "mcp_call", "mcp_list_tools", "mcp_approval_request", "mcp_approval_response",
    "program", "program_output", "configuration_update",
}  # fmt: skip
_TALK = {"message", "reasoning", "compaction", "compaction_trigger", "additional_tools", "agent_message"}
_PARTS = TEXTS | {"input_image", "input_file", "input_audio", "encrypted_content"}
_KNOWN = _TALK | CALLS | OUTPUTS | _HOSTED


class _Typed(msgspec.Struct):
    type: str = ""


_typed = msgspec.json.Decoder(_Typed)


def check(create: CreateResponse, history: History) -> None:
    """Whether what the request brought makes sense.

    Raises:
        InvalidRequest: it does not; in the words of OpenAI's API where these are known.
    """
    for n, tool in enumerate(create.tools or []):
        _check_tool(tool, f"tools[{n}]")
    _check_choice(create)
    _check_items(history)


def _check_tool(tool: Raw, where: str) -> None:
    try:
        kind = _typed.decode(tool).type
    except msgspec.ValidationError as error:
        raise invalid_field(error, where) from None
    if not kind:
        raise missing(f"{where}.type")


def _check_choice(create: CreateResponse) -> None:
    choice = codec.as_object(create.tool_choice)
    if choice is None:
        return
    kind = choice.get("type")
    if not kind:
        raise missing("tool_choice.type")
    named = choice.get("name") or (codec.as_object(choice.get("function")) or {}).get("name")
    if kind in ("function", "custom") and not named:
        raise missing("tool_choice.name")
    if kind == "allowed_tools" and choice.get("tools") is None:
        raise missing("tool_choice.tools")


def _check_items(history: History) -> None:
    brought = list(enumerate(history.items))[history.brought :]
    if brought and all(item.type not in _KNOWN for _, item in brought):
        where, kind = "input[0].type", brought[0][1].type
        raise InvalidRequest(f"'{where}' is '{kind}', which is no type of item that is known here.", where)
    for n, item in brought:
        where = f"input[{n - history.brought}]"
        if item.type == "message":
            _check_parts(item, f"{where}.content")
        elif item.call_id == "":
            raise missing(f"{where}.call_id")
        elif item.type in NAMED and not item.name:
            raise missing(f"{where}.name")
    if any(item.type not in OUTPUTS for _, item in brought):
        return
    for n, item in brought:
        if n not in history.used and not is_report(item):
            raise InvalidRequest(
                f"No tool call found for function call output with call_id {item.call_id}.", "input", None
            )


def _check_parts(message: InputItem, where: str) -> None:
    parts = [] if codec.is_text(message.content) else content_parts(message.content, where)
    if parts and all(part.type not in _PARTS for part in parts):
        where, kind = f"{where}[0].type", parts[0].type
        if not kind:
            raise missing(where)
        raise InvalidRequest(f"'{where}' is '{kind}', which is no type of content that is known here.", where)
    for n, part in enumerate(parts):
        if part.type in TEXTS:
            _check_text(part, f"{where}[{n}]")


def _check_text(part: ContentPart, where: str) -> None:
    where, text = (f"{where}.refusal", part.refusal) if part.type == "refusal" else (f"{where}.text", part.text)
    if codec.is_null(text):
        raise missing(where)
    if not codec.is_text(text):
        raise InvalidRequest(f"'{where}' must be a string.", where, "invalid_type")
