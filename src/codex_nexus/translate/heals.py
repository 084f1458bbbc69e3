"""Which repair a refusal asks for by its wording; what the repair changes stands in healing.

A heal is a name, perhaps with a detail behind a colon: `drop_field:store`, `clamp_max_tokens:32768`, `effort:low,high`.
The order of the rows matters: a field that is refused by name may be refused for a reason of its own.
"""

from __future__ import annotations

import re
from collections.abc import Callable


def _any(*patterns: str) -> re.Pattern[str]:
    return re.compile("|".join(patterns), re.IGNORECASE | re.DOTALL)


def heal_of(words: str) -> str | None:
    """The repair that this wording asks for, or None."""
    for pattern, heal, detailed in _HEALS:
        if pattern.search(words):
            return heal if detailed is None else detailed(heal, words)
    return _room_left(words) or _dropped(words)


# --- limits of tokens

_LIMITS = (
    re.compile(r"<= ?(\d+)"),
    re.compile(r"\d > (\d+)\b"),
    re.compile(r"\[ ?\d+ ?, ?(\d+) ?\]"),
    re.compile(r"between \d+ and (\d+)", re.IGNORECASE),
    re.compile(
        r"(?:at most|up to|less than or equal to|no more than|(?:model|output|token) limit (?:of|is)|cannot exceed"
        r"|must not exceed|maximum(?: value| allowed| output tokens?)*(?: is| of|:)?)\D{0,12}(\d+)",
        re.IGNORECASE,
    ),
    re.compile(r"exceeds? (?:the )?(?:model'?s? )?(?:maximum|limit)\D{0,24}(\d+)", re.IGNORECASE),
)
_AFFORDED = re.compile(r"afford (\d+)", re.IGNORECASE)
_ROOM = (
    re.compile(r"context length is (?P<window>\d+).*?has (?P<prompt>\d+) input", re.IGNORECASE | re.DOTALL),
    re.compile(r"(?P<prompt>\d+) \+ \d+ > (?P<window>\d+)"),
    re.compile(r"tokens \+ .{0,20}must be <= (?P<window>\d+)\. Given: (?P<prompt>\d+)", re.IGNORECASE),
    re.compile(
        r"context length is (?P<window>\d+) tokens.*?requested (?:about )?\d+ tokens \((?P<prompt>\d+) (?:tokens )?"
        r"(?:in|from|of) (?:the|your) (?:messages|prompt)[,;] (?:and )?\d+ (?:tokens )?(?:in|for) the "
        r"(?:completion|output)",
        re.IGNORECASE | re.DOTALL,
    ),
)
"""Windows and prompts, in tokens, of a refusal for both together."""
_ROOMY = 0.8
"""A prompt of more than this share of the window is to be compacted, not to be answered in a word."""
_SUM = re.compile(r"prompt|input|messages|plus|\bsum\b|\+", re.IGNORECASE)


def _clamped(heal: str, words: str) -> str | None:
    """With the limit that is named: of the model, or for this request alone; None when the prompt is too long."""
    for pattern in _ROOM:
        if pattern.search(words):
            return _room_left(words)
    afforded = _AFFORDED.search(words)
    if afforded:
        return f"fit_max_tokens:{afforded[1]}" if int(afforded[1]) else None
    limits = [int(found[1]) for pattern in _LIMITS if (found := pattern.search(words)) and int(found[1])]
    if limits:
        return f"{heal}:{limits[0]}"
    return None if "context" in words and _SUM.search(words) else heal


def _room_left(words: str) -> str | None:
    """A prompt that fits by far, with an answer that does not: less may be asked for."""
    found = next(filter(None, (pattern.search(words) for pattern in _ROOM)), None)
    if found is None:
        return None
    window, prompt = int(found["window"]), int(found["prompt"])
    return f"fit_max_tokens:{window - prompt}" if prompt < window * _ROOMY else None


# --- efforts

_LEVEL = re.compile(r"\b(none|minimal|low|medium|high|xhigh|max|ultra)\b", re.IGNORECASE)
_LISTED = re.compile(
    r"(?:one of|supported values|valid values|should be|must be|expected|allowed|accepts?|supports?|are:|options?)"
    r"(?P<rest>.*?)(?:,? \(?but\b|\bgot\b|\binput'|\breceived\b|[.;] |$)",
    re.DOTALL,
)
_NOT = re.compile(r"\bnot? supports? \W?\w+\W?", re.IGNORECASE)


def _levelled(heal: str, words: str) -> str:
    """With the levels that are listed; without any, the wish for an effort is dropped."""
    listed = (_LEVEL.findall(found["rest"]) for found in _LISTED.finditer(_NOT.sub("", words.lower())))
    levels = next(filter(None, listed), None)
    return f"{heal}:{','.join(dict.fromkeys(levels))}" if levels else heal


# --- schemas

_TOOL_NAME = re.compile(r"(?:function|tool)s?\W{1,3}(?:named? )?['\"`](?P<name>[\w-]{1,64})['\"`]", re.IGNORECASE)


def _named(heal: str, words: str) -> str:
    """With the tool that is named, if one is."""
    found = _TOOL_NAME.search(words)
    return f"{heal}:{found['name']}" if found else heal


# --- rows

_Detailed = Callable[[str, str], str | None]

_HEALS: tuple[tuple[re.Pattern[str], str, _Detailed | None], ...] = (
    (
        _any(
            r"reasoning_(?:content|text|details).{0,80}(?:passed back|missing|required|must be (?:provided|present))",
            r"missing.{0,40}reasoning_content",
        ),
        "replay_reasoning",
        None,
    ),
    (
        _any(
            r"tool_choice.{0,120}(?:incompatible|not support|unsupported|only support|not allowed|not available)",
            r"(?:not support|unsupported|only supports?).{0,40}tool_choice", r"invalid tool_choice",
            r"tool_choice\W.{0,60}(?:expected one of|unknown variant|must be (?:one of|'?\"?auto|set to))",
            r"only .{0,12}auto.{0,40}tool_choice", r"tool_choice\W.{0,20}only .{0,12}auto",
        ),
        "tool_choice_auto",
        None,
    ),
    (_any(r"use \W?max_completion_tokens\W? instead"), "use_field:max_completion_tokens", None),
    (_any(r"use \W?max_tokens\W? instead"), "use_field:max_tokens", None),
    (
        _any(
            r"max_tokens.{0,8}and.{0,8}max_completion_tokens.{0,60}(?:same time|both|together|simultaneous)",
            r"(?:both|only one of).{0,20}max_tokens.{0,8}(?:and|or).{0,8}max_completion_tokens",
        ),
        "one_max_tokens",
        None,
    ),
    (
        _any(
            r"max(?:_completion|_output)?_tokens.{0,120}(?:too (?:large|high)|maximum|<=|at most|less than or equal"
            r"|exceed|between|valid range|should be \[|greater than|above)",
            r"(?:range|value) of \W?max(?:_completion)?_tokens", r"fewer max_tokens", r"integer above maximum value",
            r"maximum allowed number of output tokens",
        ),
        "clamp_max_tokens",
        _clamped,
    ),
    (_any(r"single tool[- ]calls? at once"), "drop_field:parallel_tool_calls", None),
    (_any(r"must contain the word \W{0,2}json"), "add_json_word", None),
    (
        _any(
            r"(?:json mode|response_format).{0,60}(?:with|and|combined|alongside).{0,20}(?:tool|function)",
            r"tools?.{0,30}(?:with|and) response_format",
        ),
        "no_format_with_tools",
        None,
    ),
    (
        _any(
            r"response_format.{0,60}(?:unavailable|not (?:be )?support|unsupported|must be|unknown variant)",
            r"json_schema.{0,40}(?:not (?:be )?support|unsupported)",
        ),
        "weaker_format",
        None,
    ),
    (
        _any(r"reasoning is (?:mandatory|required)", r"(?:thinking|reasoning) (?:mode )?(?:cannot|can't) be disabled"),
        "thinking_on",
        None,
    ),
    (
        _any(
            r"reasoning[._ ]?effort\W.{0,80}(?:not support|must be|should be|one of|expected|invalid|unsupported"
            r"|allowed)",
            r"invalid (?:value for )?\W?reasoning[._ ]?effort", r"invalid option.{0,80}effort",
            r"(?:supported|valid|allowed) values.{0,80}reasoning[._]?effort", r"does not support thinking",
            r"effort (?:level )?\W?\w+\W? is not (?:supported|allowed|valid)",
        ),
        "effort",
        _levelled,
    ),
    (
        _any(
            r"image(?:_url| input| content|s)?\W.{0,40}(?:not (?:be )?support|unsupported|only supported by"
            r"|not allowed)",
            r"only supports? text", r"(?:not|n't|cannot) (?:support|accept|process|handle|take) (?:\w+ )?"
            r"(?:image|vision|multimodal)", r"support image input", r"unknown variant \W?image_url",
            r"not a (?:multimodal|vision) model", r"(?:unsupported|invalid) content (?:part )?type\W{1,4}image",
            r"unsupported content\[\]\.type", r"at most 0 image", r"required for image input",
        ),
        "strip_images",
        None,
    ),
    (
        _any(
            r"system (?:role|messages?|prompts?|instructions?) (?:is |are )?"
            r"(?:not (?:be )?(?:supported|allowed|permitted|enabled)|unsupported)",
            r"(?:not|n't) support (?:the )?\W?(?:role \W?)?system\W{0,2} ?(?:role|message|prompt|instruction|with\b|$)",
            r"only user,?(?: and)? (?:assistant|model)(?:,? and tool)? roles are (?:supported|allowed)"
            r"(?!.{0,80}system)",
            r"(?:role|roles)\W{1,4}system\W{0,3} (?:is )?(?:not (?:supported|allowed|permitted)|unsupported)",
            r"(?:unsupported|unknown|unexpected) role\W{1,4}system",
            r"(?:developer|system)[ _]?instruction is not (?:enabled|supported)",
            r"role\W.{0,80}(?:must|should) be (?:one of |either )?\W{0,3}user\W{1,6}(?:or |and )?\W?"
            r"(?:assistant|model)\b(?!\W?,? (?:or |and )?\W?(?:tool\W{1,4})?(?:or )?\W?system)",
        ),
        "no_system",
        None,
    ),
    (
        _any(
            r"system message must be (?:at the beginning|the first|first)", r"invalid message role\W{1,3}system",
            r"only (?:one|a single) system message", r"multiple system messages",
            r"system.{0,20}must (?:come|be) first", r"roles are supported.{0,40}initial.{0,20}system message",
        ),
        "system_head",
        None,
    ),
    (_any(r"unexpected role \W?user\W? after role \W?tool"), "bridge_to_user", None),
    (_any(r"roles must alternate"), "merge_users", None),
    (_any(r"tool[ _]call[ _]ids?\W.{0,60}(?:a-z|alphanumeric).{0,40}length(?: of)? 9"), "ids_of_nine", None),
    (
        _any(
            r"(?:tool_use|tool_calls?|tool_result)\W{0,3}\d*\W{0,3}\.?(?:tool_use_)?id\W.{0,40}"
            r"(?:match|pattern|too long|maximum length|at most \d+ char)",
            r"(?:tool_?call_?|tool_?use_?)id\W.{0,80}(?:match|pattern|regular expression|too long|maximum length"
            r"|length less than|at most \d+ char|invalid char)",
        ),
        "plain_ids",
        None,
    ),
    (_any(r"thought_?signature"), "dummy_signature", None),
    (
        _any(
            r"unknown name .{0,8}(?:\$schema|\$ref|\$defs|additionalProperties|propertyNames|patternProperties|const"
            r"|exclusiveM\w+|oneOf|allOf|not|examples|default|title)\W",
        ),
        "schema_gemini",
        None,
    ),
    (
        _any(
            r"flavored json schema", r"tools\.function\.parameters", r"^invalid api parameter.*1210",
            r"invalid (?:json )?schema for (?:function|tool)", r"tools\W{0,2}\d*\W{0,2}\.?function\.parameters",
            r"(?:function|tool) (?:parameters|schema).{0,40}(?:invalid|not valid)",
        ),
        "schema_mfjs",
        _named,
    ),
    (_any(r"tool_use_failed"), "retry_once_then_text", None),
)  # fmt: skip

# --- fields

_FIELD = (
    re.compile(r"unknown name \\?[\"'](?P<field>\w+)", re.IGNORECASE),
    re.compile(r"extra_forbidden.*?loc\W+body\W+(?P<path>[\w'\", ]+)", re.IGNORECASE | re.DOTALL),
    re.compile(
        r"loc\W+body\W+(?P<path>[\w'\", ]+).*?extra (?:inputs|fields) (?:are )?not permitted", re.IGNORECASE | re.DOTALL
    ),
    re.compile(r"property '(?P<field>\w+)' is unsupported", re.IGNORECASE),
    re.compile(
        r"un(?:known|recognized|supported|expected) (?:request |keyword |body )?"
        r"(?:field|param(?:eter)?|argument|propert(?:y|ie))s?(?: supplied)?:? \W?(?P<field>\w+)",
        re.IGNORECASE,
    ),
    re.compile(r"does not support (?:the )?param(?:eter)? \W?(?P<field>\w+)", re.IGNORECASE),
    re.compile(r"extra inputs are not permitted, field: \W?(?P<path>[\w.\[\]]+)", re.IGNORECASE),
    re.compile(r"(?P<field>\w+)\W{1,4}extra (?:inputs|fields) (?:are )?not permitted", re.IGNORECASE),
    re.compile(r"unsupported value: \W(?P<field>[a-z]+_[a-z_]+)", re.IGNORECASE),
    re.compile(
        r"(?:parameter|field|argument|property)? ?[`'\"]?(?P<field>[a-z]+_[a-z_]+)[`'\"]? (?:parameter |field )?"
        r"(?:is|are) (?:not (?:supported|allowed|permitted|recognized)|unsupported|unknown)",
        re.IGNORECASE,
    ),
    re.compile(r"additional properties are not allowed \([`'\"](?P<field>\w+)", re.IGNORECASE),
    re.compile(r"does not support (?:the )?[`'\"](?P<field>[a-z]+_[a-z_]+)[`'\"]", re.IGNORECASE),
)
_VITAL = {"model", "messages", "stream", "tools", "input", "body", "role", "content", "function", "name", "type"}
"""Without these a request is no longer what was asked."""
_WORD = re.compile(r"[A-Za-z_]\w*")


def _dropped(words: str) -> str | None:
    """The field that is not known, be it of the request or deep inside a message or tool."""
    for pattern in _FIELD:
        found = pattern.search(words)
        if found:
            steps = _WORD.findall(found[1])
            if steps and steps[-1] not in _VITAL:
                return f"drop_field:{steps[-1]}"
    return None
