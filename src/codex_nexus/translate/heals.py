"""Which repair a refusal asks for by its wording; what the repair changes stands in healing."""

from __future__ import annotations

import re


def _any(*patterns: str) -> re.Pattern[str]:
    return re.compile("|".join(patterns), re.IGNORECASE)


_HEALS: tuple[tuple[re.Pattern[str], str], ...] = (
    (_any(r"reasoning_(?:content|text).*(?:passed back|missing)", r"missing.*reasoning_content"), "replay_reasoning"),
    (
        _any(
            r"tool_choice.*(?:incompatible|does not support|not support)", r"does not support this tool_choice",
            r"tool_choice parameter does not support", r"invalid tool_choice type",
        ),
        "tool_choice_auto",
    ),
    (_any(r"use \W?max_completion_tokens\W? instead"), "use_field:max_completion_tokens"),
    (_any(r"use \W?max_tokens\W? instead"), "use_field:max_tokens"),
    (_any(r"max_tokens.{0,8}and.{0,8}max_completion_tokens.*(?:same time|both)"), "one_max_tokens"),
    (
        _any(
            r"max_(?:completion_)?tokens.*(?:too large|maximum value|<= ?\d+)", r"fewer max_tokens",
            r"integer above maximum value",
        ),
        "clamp_max_tokens",
    ),
    (_any(r"single tool-calls at once"), "drop_field:parallel_tool_calls"),
    (_any(r"must contain the word '?json"), "add_json_word"),
    (
        _any(
            r"(?:json mode|response_format).{0,60}(?:with|and|combined|alongside).{0,20}(?:tool|function)",
            r"tools?.{0,30}(?:with|and) response_format",
        ),
        "no_format_with_tools",
    ),
    (
        _any(
            r"response_format.{0,60}(?:unavailable|not (?:be )?support|unsupported|must be)",
            r"json_schema.{0,40}(?:not (?:be )?support|unsupported)",
        ),
        "weaker_format",
    ),
    (_any(r"reasoning is mandatory", r"thinking (?:mode )?cannot be disabled"), "thinking_on"),
    (
        _any(
            r"reasoning[._ ]?effort\W.{0,80}(?:not support|must be|should be|one of|expected|invalid)",
            r"invalid (?:value for )?\W?reasoning[._ ]?effort", r"invalid option.{0,80}effort",
            r"does not support thinking",
        ),
        "effort",
    ),
    (
        _any(
            r"image(?:_url| input|s)?\W.{0,40}(?:not support|unsupported|only supported by)", r"only supports? text",
            r"(?:not|n't) support (?:image|vision|multimodal)", r"support image input", r"unknown variant \W?image_url",
        ),
        "strip_images",
    ),
    (_any(r"system message must be at the beginning", r"invalid message role: ?system"), "system_head"),
    (_any(r"thought_signature"), "dummy_signature"),
    (_any(r"flavored json schema", r"tools\.function\.parameters", r"^invalid api parameter.*1210"), "schema_mfjs"),
    (_any(r"tool_use_failed"), "retry_once_then_text"),
)  # fmt: skip
_FIELD = (
    re.compile(r"unknown name \\?\"(?P<field>\w+)", re.IGNORECASE),
    re.compile(r"extra_forbidden.*?loc\W+body\W+(?P<field>\w+)", re.IGNORECASE | re.DOTALL),
    re.compile(r"property '(?P<field>\w+)' is unsupported", re.IGNORECASE),
    re.compile(
        r"un(?:known|recognized|supported) (?:request )?(?:field|param(?:eter)?|argument)s?(?: supplied)?"
        r":? \W?(?P<field>\w+)",
        re.IGNORECASE,
    ),
    re.compile(r"does not support parameter (?P<field>\w+)", re.IGNORECASE),
    re.compile(r"extra inputs are not permitted, field: \W?(?P<field>\w+)", re.IGNORECASE),
    re.compile(r"[`'\"](?P<field>[a-z]+_[a-z_]+)[`'\"] (?:is|are) not (?:supported|allowed|permitted)", re.IGNORECASE),
)
_LIMIT = (
    re.compile(r"<= ?(\d+)"),
    re.compile(r"afford (\d+)"),
    re.compile(r"context length is (\d+).*?has (\d+) input"),
)


def heal_of(words: str) -> str | None:
    """The repair that this wording asks for, or None."""
    for pattern, heal in _HEALS:
        if pattern.search(words):
            return _clamped(words) if heal == "clamp_max_tokens" else _levelled(words) if heal == "effort" else heal
    for pattern in _FIELD:
        found = pattern.search(words)
        if found and found.group("field") not in _VITAL:
            return f"drop_field:{found.group('field')}"
    return None


_VITAL = {"model", "messages", "stream", "tools", "input"}
"""Without these a request is no longer what was asked."""
_LEVEL = re.compile(r"\b(none|minimal|low|medium|high|xhigh|max|ultra)\b", re.IGNORECASE)
_LISTED = re.compile(
    r"(?:one of|supported values|should be|must be|expected|allowed|are:|options?)(?P<rest>.*)", re.DOTALL
)


def _levelled(words: str) -> str:
    """With the levels that are listed; without any, the wish for an effort is dropped."""
    found = _LISTED.search(words.lower())
    levels = dict.fromkeys(_LEVEL.findall(found["rest"])) if found else {}
    return f"effort:{','.join(levels)}" if levels else "effort"


def _clamped(words: str) -> str | None:
    """With the limit that is named; None when no room is left at all."""
    for pattern in _LIMIT:
        found = pattern.search(words)
        if found:
            most, *taken = [int(group) for group in found.groups()]
            limit = most - sum(taken)
            return f"clamp_max_tokens:{limit}" if limit > 0 else None
    return "clamp_max_tokens"
