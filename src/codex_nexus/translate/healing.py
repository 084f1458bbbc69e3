"""The one repair after a refusal: a heal (see faults) as a change of the dialect. Pure, so it can be remembered."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from codex_nexus.translate.dialect import Dialect


def healed(dialect: Dialect, heal: str) -> Dialect | None:
    """How to speak after this refusal; None when nothing would change and a second try is pointless."""
    name, _, detail = heal.partition(":")
    changes = _changes(dialect, name, detail)
    repaired = msgspec.structs.replace(dialect, **changes)
    return repaired if repaired != dialect or name == "retry_once_then_text" else None


def _changes(dialect: Dialect, name: str, detail: str) -> dict[str, object]:
    repair = _REPAIRS.get(name)
    return repair(dialect, detail) if repair is not None else {}


def _replaying(dialect: Dialect, _: str) -> dict[str, object]:
    return {
        "reasoning_replay": "all" if dialect.reasoning_replay == "all" else "tool_turns",
        "reasoning_missing": "empty" if dialect.reasoning_missing == "omit" else "space",
    }


def _clamped(_: Dialect, detail: str) -> dict[str, object]:
    return {"max_output": int(detail)} if detail else {"max_tokens_field": "omit"}


def _weaker(dialect: Dialect, _: str) -> dict[str, object]:
    return {"response_format": "object" if dialect.response_format == "schema" else "none"}


def _levels(dialect: Dialect, detail: str) -> dict[str, object]:
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


def _without(dialect: Dialect, field: str) -> dict[str, object]:
    """The dialect that no longer sends this field."""
    match field:
        case "stream_options":
            return {"stream_usage": "implicit"}
        case "strict":
            return {"strict": "strip"}
        case "max_tokens" | "max_completion_tokens":
            return {"max_tokens_field": "omit"}
        case "response_format":
            return {"response_format": "none"}
        case "tool_choice":
            return {"tool_choice": ("auto",), "tool_choice_thinking": None, **_dropping(dialect, field)}
        case "reasoning_content" | "reasoning_details":
            return {"reasoning_replay": "never"}
        case "reasoning_effort" | "reasoning" | "thinking" | "enable_thinking" | "chat_template_kwargs":
            return {"reasoning_param": "none"}
        case _:
            return _dropping(dialect, field)


def _dropping(dialect: Dialect, field: str) -> dict[str, object]:
    extra = {name: value for name, value in dialect.extra_body.items() if name != field}
    return {"drop_params": tuple(dict.fromkeys((*dialect.drop_params, field))), "extra_body": extra}


_REPAIRS: dict[str, Callable[[Dialect, str], dict[str, object]]] = {
    "replay_reasoning": _replaying,
    "tool_choice_auto": lambda _, __: {"tool_choice": ("auto",), "tool_choice_thinking": None},
    "clamp_max_tokens": _clamped,
    "one_max_tokens": lambda _, __: {"max_tokens_field": "omit"},
    "use_field": lambda _, detail: {"max_tokens_field": detail},
    "system_head": lambda _, __: {"system": "head"},
    "schema_mfjs": lambda _, __: {"json_schema": "mfjs"},
    "add_json_word": _weaker,
    "weaker_format": _weaker,
    "no_format_with_tools": lambda _, __: {"tools_exclude_response_format": True},
    "thinking_on": lambda _, __: {"thinking_off": "refused"},
    "effort": _levels,
    "strip_images": lambda _, __: {"images": "none"},
    "drop_field": _without,
}
