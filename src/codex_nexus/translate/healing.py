"""The repair after a refusal: a heal (see heals) as a change of the dialect. Pure, so it can be remembered by name."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import msgspec

from codex_nexus.translate.dialect import Dialect

Changes = dict[str, Any]
"""Fields of a dialect and their new values."""

_SAME_WORDS = "retry_once_then_text"
_MOMENTARY = (_SAME_WORDS, "fit_max_tokens")
"""What helps one request only: chance, or the room that one prompt leaves."""


def healed(dialect: Dialect, heal: str) -> Dialect | None:
    """How to speak after this refusal; None when nothing would change and a second try is pointless."""
    name, _, detail = heal.partition(":")
    repair = _REPAIRS.get(name)
    changes = repair(dialect, detail) if repair is not None else {}
    repaired = msgspec.structs.replace(dialect, **changes)
    return repaired if repaired != dialect or says_the_same(heal) else None


def says_the_same(heal: str) -> bool:
    """Whether the same words are worth a second try."""
    return heal == _SAME_WORDS


def after(dialect: Dialect, heals: Iterable[str]) -> Dialect:
    """The dialect with all of these heals, in order; what changes nothing is passed over."""
    for heal in heals:
        dialect = healed(dialect, heal) or dialect
    return dialect


def needed(dialect: Dialect, heals: Iterable[str]) -> tuple[str, ...]:
    """As few of these heals as make the same of this dialect, in order."""
    kept = list(heals)
    wanted = after(dialect, kept)
    for heal in tuple(kept):
        fewer = list(kept)
        fewer.remove(heal)
        kept = fewer if after(dialect, fewer) == wanted else kept
    return tuple(kept)


def lasting(heals: Iterable[str]) -> list[str]:
    """Those of these heals that will help the next request too."""
    return [heal for heal in heals if not heal.startswith(_MOMENTARY)]


def described(heal: str) -> str:
    """What a heal does, for a person."""
    name, _, detail = heal.partition(":")
    said = _SAID.get(name, name)
    return said.format(detail) if detail else said.replace(" {}", "").replace("{}", "")


def _replaying(dialect: Dialect, _: str) -> Changes:
    return {
        "reasoning_replay": "all" if dialect.reasoning_replay == "all" else "tool_turns",
        "reasoning_missing": "empty" if dialect.reasoning_missing == "omit" else "space",
    }


def _choosing_auto(_: Dialect, __: str) -> Changes:
    return {"tool_choice": ("auto",), "tool_choice_thinking": None}


def _clamped(dialect: Dialect, detail: str) -> Changes:
    if not detail.isdecimal():
        return {"max_tokens_field": "omit"}
    return {"max_output": min(int(detail), dialect.max_output or int(detail))}


def _fitted(dialect: Dialect, detail: str) -> Changes:
    """As much as there is room for, also when no limit was asked for: then the server had counted with its own."""
    changes = _clamped(dialect, detail)
    return {**changes, "default_output": changes["max_output"]} if "max_output" in changes else changes


def _one_limit(dialect: Dialect, _: str) -> Changes:
    """The limit that the dialect names stays; without one, ours is left out."""
    both = {"max_tokens", "max_completion_tokens"}
    extra = {name: value for name, value in dialect.extra_body.items() if name not in both}
    return {"extra_body": extra} if extra != dialect.extra_body else {"max_tokens_field": "omit"}


def _limit_field(_: Dialect, field: str) -> Changes:
    return {"max_tokens_field": field} if field in ("max_tokens", "max_completion_tokens") else {}


def _system_first(dialect: Dialect, _: str) -> Changes:
    """Who refuses the one at the head takes none."""
    return {"system": "first_user" if dialect.system in ("head", "first_user") else "head"}


def _no_system(_: Dialect, __: str) -> Changes:
    return {"system": "first_user"}


def _bridged(_: Dialect, __: str) -> Changes:
    return {"tool_to_user_bridge": True}


def _merged(dialect: Dialect, _: str) -> Changes:
    """Some templates say this of a system message, too: with it no user begins."""
    none = dialect.system == "first_user" or (dialect.merge_users and dialect.system == "head")
    return {"merge_users": True, "system": "first_user" if none else "head"}


def _nine(_: Dialect, __: str) -> Changes:
    return {"tool_id": "alnum9"}


def _plain_ids(dialect: Dialect, _: str) -> Changes:
    return {"tool_id": "plain"} if dialect.tool_id == "keep" else {}


def _schema_mfjs(dialect: Dialect, tool: str) -> Changes:
    """First the narrow subset; when that is refused too, no schema for the tool that is named."""
    if dialect.json_schema != "mfjs":
        return {"json_schema": "mfjs"}
    return {"bare_tools": (*dialect.bare_tools, tool)} if tool and tool not in dialect.bare_tools else {}


def _schema_gemini(_: Dialect, __: str) -> Changes:
    return {"json_schema": "gemini"}


def _weaker_format(dialect: Dialect, _: str) -> Changes:
    return {"response_format": "object" if dialect.response_format == "schema" else "none"}


def _format_or_tools(_: Dialect, __: str) -> Changes:
    return {"tools_exclude_response_format": True}


def _thinking_on(_: Dialect, __: str) -> Changes:
    return {"thinking_off": "refused"}


def _levels(dialect: Dialect, detail: str) -> Changes:
    """The dialect that asks for these efforts only; for none when it has done so already."""
    takes = tuple(filter(None, detail.split(",")))
    if not takes or takes == dialect.efforts:
        return {"reasoning_param": "none"}
    known = (*takes, "drop", "off")
    return {
        "efforts": takes,
        "effort_map": {asked: sent for asked, sent in dialect.effort_map.items() if sent in known},
        "thinking_off": "allowed" if "none" in takes else dialect.thinking_off,
    }


def _no_images(_: Dialect, __: str) -> Changes:
    return {"images": "none"}


def _signing(_: Dialect, __: str) -> Changes:
    return {"dummy_signature": True}


def _without(dialect: Dialect, field: str) -> Changes:
    """The dialect that no longer sends this field."""
    match field:
        case "stream_options" | "include_usage":
            return {"stream_usage": "implicit"}
        case "strict":
            return {"strict": "strip"}
        case "max_tokens" | "max_completion_tokens":
            return {"max_tokens_field": "omit"}
        case "response_format" | "json_schema":
            return {"response_format": "none"}
        case "parallel_tool_calls":
            return {"parallel_tool_calls": "omit", **_dropping(dialect, field)}
        case "tool_choice":
            return {**_choosing_auto(dialect, ""), **_dropping(dialect, field)}
        case "reasoning_content" | "reasoning_details":
            return {"reasoning_replay": "never"}
        case "reasoning" if dialect.reasoning_field == "reasoning" and dialect.reasoning_param != "effort_obj":
            return {"reasoning_replay": "never"}
        case "reasoning_effort" | "reasoning" | "thinking" | "enable_thinking" | "chat_template_kwargs":
            return {"reasoning_param": "none", **_dropping(dialect, field)}
        case _:
            return _dropping(dialect, field)


def _dropping(dialect: Dialect, field: str) -> Changes:
    extra = {name: value for name, value in dialect.extra_body.items() if name != field}
    return {"drop_params": tuple(dict.fromkeys((*dialect.drop_params, field))), "extra_body": extra}


_REPAIRS: dict[str, Callable[[Dialect, str], Changes]] = {
    "replay_reasoning": _replaying,
    "tool_choice_auto": _choosing_auto,
    "clamp_max_tokens": _clamped,
    "fit_max_tokens": _fitted,
    "one_max_tokens": _one_limit,
    "use_field": _limit_field,
    "system_head": _system_first,
    "no_system": _no_system,
    "bridge_to_user": _bridged,
    "merge_users": _merged,
    "ids_of_nine": _nine,
    "plain_ids": _plain_ids,
    "schema_mfjs": _schema_mfjs,
    "schema_gemini": _schema_gemini,
    "add_json_word": _weaker_format,
    "weaker_format": _weaker_format,
    "no_format_with_tools": _format_or_tools,
    "thinking_on": _thinking_on,
    "effort": _levels,
    "strip_images": _no_images,
    "dummy_signature": _signing,
    "drop_field": _without,
}

_SAID = {
    "replay_reasoning": "its reasoning is sent back, also where none is known",
    "tool_choice_auto": "the model chooses its tools itself (tool_choice: auto)",
    "clamp_max_tokens": "at most {} output tokens are asked for",
    "fit_max_tokens": "only {} output tokens are asked for",
    "one_max_tokens": "one limit of output tokens is sent",
    "use_field": "the output limit is sent as {}",
    "system_head": "all instructions stand in one system message at the head",
    "no_system": "instructions stand at the beginning of the first message of the user",
    "bridge_to_user": "a short assistant message stands between a tool's result and the user",
    "merge_users": "messages of the user that follow one another are joined",
    "ids_of_nine": "calls have ids of nine letters and digits",
    "plain_ids": "calls have short ids of letters, digits, _ and -",
    "schema_mfjs": "tool schemas are written in a narrow subset {}",
    "schema_gemini": "tool schemas are written in a subset without unions",
    "add_json_word": "JSON is asked for in words too",
    "weaker_format": "a weaker response_format is sent",
    "no_format_with_tools": "no response_format stands beside tools",
    "thinking_on": "thinking is never switched off",
    "effort": "only these reasoning efforts are sent: {}",
    "strip_images": "images are replaced by a note",
    "dummy_signature": "calls without a thought signature get the documented substitute",
    "drop_field": "'{}' is left out",
    _SAME_WORDS: "the same is asked once more",
}
