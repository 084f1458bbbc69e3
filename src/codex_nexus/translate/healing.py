"""The one repair after a refusal: a heal (see faults) as a change of the dialect. Pure, so it can be remembered."""

from __future__ import annotations

import msgspec

from codex_nexus.translate.dialect import Dialect


def healed(dialect: Dialect, heal: str) -> Dialect | None:
    """How to speak after this refusal; None when nothing would change and a second try is pointless."""
    name, _, detail = heal.partition(":")
    changes = _changes(dialect, name, detail)
    repaired = msgspec.structs.replace(dialect, **changes)
    return repaired if repaired != dialect or name == "retry_once_then_text" else None


def _changes(dialect: Dialect, name: str, detail: str) -> dict[str, object]:
    match name:
        case "replay_reasoning":
            return {
                "reasoning_replay": "all" if dialect.reasoning_replay == "all" else "tool_turns",
                "reasoning_missing": "empty" if dialect.reasoning_missing == "omit" else "space",
            }
        case "tool_choice_auto":
            return {"tool_choice": ("auto",), "tool_choice_thinking": None}
        case "clamp_max_tokens":
            return {"max_output": int(detail)} if detail else {"max_tokens_field": "omit"}
        case "one_max_tokens":
            return {"max_tokens_field": "omit"}
        case "system_head":
            return {"system": "head"}
        case "schema_mfjs":
            return {"json_schema": "mfjs"}
        case "drop_field":
            return _without(dialect, detail)
        case _:
            return {}


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
