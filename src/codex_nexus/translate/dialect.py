"""How a provider speaks Chat Completions: facts as data, no behaviour.

A `Dialect` is resolved field by field (defaults, then the provider's record, then the rules of the model family; later
wins) and handed to the pure core. A quirk that no field can say is a small function named for what it does, elsewhere.
"""

from __future__ import annotations

from typing import Literal

import msgspec

Effort = Literal["none", "minimal", "low", "medium", "high", "xhigh", "max", "ultra"]

EFFORTS: tuple[Effort, ...] = ("none", "minimal", "low", "medium", "high", "xhigh", "max", "ultra")
"""All reasoning efforts a client may ask for, weakest first (Codex 0.169 passes any string)."""


class Dialect(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The surface of one provider (and model family). Every default is the safest choice for an unknown server."""

    family: str = ""
    """Who can read replayed reasoning: reasoning of one family is never sent to another. Empty: the provider's id."""

    wire: Literal["chat", "responses"] = "chat"
    """Which of the provider's endpoints is used: Chat Completions, or its own Responses."""
    system: Literal["head", "inline", "head_then_user", "first_user"] = "head_then_user"
    """Where developer messages go. Early ones always lead; late ones are merged into the head (losing the prompt
    cache), kept in place as system messages, or become tagged user messages. `first_user`: there is no role system;
    early ones stand, tagged too, at the beginning of the first user message (chat templates of Gemma 2, Mistral 7B)."""
    tool_to_user_bridge: bool = False
    """Put a short assistant line between a tool result and a user message (Mistral 3230)."""
    merge_users: bool = False
    """Join consecutive user messages, for chat templates that insist on alternation."""
    assistant_content: Literal["null", "empty", "omit", "text_part"] = "null"
    """The content of an assistant message that has only tool calls."""
    images: Literal["none", "data", "data+url"] = "data"
    """Which images the model takes; others are replaced by a note."""
    tool_images: Literal["follow_user", "in_tool", "drop"] = "follow_user"
    """Where images of a tool result go: into a user message behind all results, or as parts into the result itself
    (few servers take them there), or nowhere."""

    reasoning_param: Literal[
        "none", "effort", "effort_obj", "thinking", "thinking+effort", "enable_thinking", "template_kwargs", "minimax"
    ] = "none"
    """How reasoning is asked for in the request."""
    effort_map: dict[str, str] = {}
    """Asked effort -> sent effort; `drop` sends nothing, `off` turns thinking off. Unlisted efforts pass unchanged
    when `efforts` is empty, else the nearest of `efforts` is sent."""
    efforts: tuple[str, ...] = ()
    """The efforts that the model takes."""
    thinking_budgets: dict[str, int] = {}
    """Asked effort -> tokens of thinking, said in the place of an effort: as `max_tokens` of the object `reasoning`, as
    `budget_tokens` of the object `thinking`, as `thinking_budget` beside `enable_thinking`; elsewhere not at all."""
    thinking_off: Literal["allowed", "refused"] = "allowed"
    reasoning_replay: Literal["never", "tool_turns", "all"] = "tool_turns"
    """Which assistant messages carry their reasoning back."""
    reasoning_field: Literal[
        "reasoning_content", "reasoning", "reasoning_details", "think_tags", "content_parts", "extra_content"
    ] = "reasoning_content"
    """The field in which reasoning is sent back."""
    reasoning_missing: Literal["omit", "empty", "space"] = "omit"
    """What a tool-call message without known reasoning carries in that field."""
    unsigned_reasoning: bool = True
    """Reasoning of which only the text is known goes back in `reasoning_details`; False: only what the provider signed
    (Claude refuses a block without its signature, OpenAI an item without its encrypted content)."""
    dummy_signature: bool = False
    """The first call of an answer without a signature gets the documented dummy one (Gemini 3 refuses it otherwise)."""
    think_tags: Literal["auto", "off", "inside"] = "auto"
    """Read a leading `<think>` block of the answer as reasoning; `inside`: the chat template has opened it already, and
    the answer has only its `</think>` (DeepSeek R1, QwQ on servers without a reasoning parser)."""

    tool_choice: tuple[str, ...] = ("auto", "none", "required", "named")
    """The forms of `tool_choice` that the server takes: auto, none, required, named, any."""
    tool_choice_thinking: tuple[str, ...] | None = None
    """The same while thinking is on; None: as `tool_choice`."""
    parallel_tool_calls: Literal["omit", "send", "false"] = "omit"
    strict: Literal["strip", "keep"] = "strip"
    """The `strict` flag of function tools."""
    json_schema: Literal["plain", "mfjs", "gemini"] = "plain"
    """The subset of JSON Schema in which tool parameters are written."""
    bare_tools: tuple[str, ...] = ()
    """Names of tools whose schema the server refuses however it is written: it stands in their description instead."""
    max_tools: int = 128
    max_tool_name: int = 64
    tool_id: Literal["keep", "plain", "alnum9"] = "keep"
    """The form of a call's id: as it was, if it has no more than 64 characters (OpenAI's limit); only letters, digits,
    _ and -, at most 40 of them (Claude); nine letters and digits (Mistral)."""
    tools_exclude_response_format: bool = False
    """Never send `response_format` beside tools; the schema goes into the system message instead."""
    response_format: Literal["schema", "object", "none"] = "schema"
    """The strongest structured output that the server takes."""

    max_tokens_field: Literal["max_tokens", "max_completion_tokens", "omit"] = "max_tokens"
    max_output: int | None = None
    """The most output tokens that may be asked for; larger wishes are cut to it (None: to the window)."""
    default_output: int | None = None
    """Sent when the client asks for no limit (DeepSeek would stop after 4096 tokens without it)."""
    max_temperature: float | None = None
    """The highest temperature that the server takes; a higher wish is cut to it."""
    drop_params: tuple[str, ...] = ()
    """Top-level request fields that must not be sent."""
    only_params: tuple[str, ...] = ()
    """If not empty: the only optional top-level fields that may be sent (closed schemas)."""
    known_params: tuple[str, ...] = ()
    """Optional fields that only some servers know and this one does: prompt_cache_key, user, verbosity."""
    extra_body: dict[str, msgspec.Raw] = {}
    """Fields merged into every request; of an object that the request says itself only what that leaves open."""
    stream_usage: Literal["include_usage", "implicit"] = "include_usage"

    text_mode: Literal["incremental", "cumulative", "auto"] = "auto"
    """Whether a text delta may repeat all text before it; `auto` finds out."""
    tool_text: Literal["off", "on"] = "off"
    """Make calls of offered tools that arrive as text (`<tool_call>`, DSML, lone JSON, ...) calls again."""
    eof_after_complete_tool_ok: bool = False
    """A body that ends right after a complete tool call is a normal end (OpenCode Zen)."""

    context_window: int | None = None
    """Tokens; None: unknown."""
    silent_overflow: bool = False
    """The server truncates or answers empty instead of refusing a prompt that is too long."""
    quota_codes: tuple[str, ...] = ()
    rate_codes: tuple[str, ...] = ()
    overflow_codes: tuple[str, ...] = ()
    safety_codes: tuple[str, ...] = ()
    """The provider's own error codes, as strings, by meaning."""
    first_byte_timeout_s: float = 600.0
    idle_timeout_s: float = 300.0


DEFAULT = Dialect()


def patched(base: Dialect, *patches: dict[str, msgspec.Raw]) -> Dialect:
    """`base` with the fields of each patch laid over it, later wins.

    Raises:
        msgspec.ValidationError: a patch names an unknown field or gives a wrong value; the message holds the path.
    """
    fields: dict[str, msgspec.Raw] = {}
    for patch in patches:
        fields.update(patch)
    if not fields:
        return base
    known = {name: getattr(base, name) for name in Dialect.__struct_fields__}
    checked = msgspec.json.decode(msgspec.json.encode(fields), type=Dialect)
    known.update({name: getattr(checked, name) for name in fields})
    return Dialect(**known)
