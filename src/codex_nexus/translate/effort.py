"""How hard to think, in the words of a dialect: an effort, a switch, a budget, or nothing at all."""

from __future__ import annotations

from typing import Any, cast

from msgspec import UNSET, Raw, Struct

from codex_nexus.translate.dialect import EFFORTS, Dialect
from codex_nexus.wire.chat import CreateChatCompletion


class Thinking(Struct):
    """What is said of reasoning.

    Attributes:
        on: None: nothing is said.
        effort: in the server's words.
        budget: tokens; said in the place of an effort where the server knows a place for it.
    """

    on: bool | None = None
    effort: str | None = None
    budget: int | None = None


def wished(asked: str | None, dialect: Dialect) -> Thinking:
    """What the server is told when the client asks for this effort (None: for none in particular)."""
    if asked is None or dialect.reasoning_param == "none":
        return Thinking()
    effort = dialect.effort_map.get(asked, asked)
    if effort == "drop":
        return Thinking()
    if effort in ("off", "none"):
        return _off(dialect)
    budget = dialect.thinking_budgets.get(asked)
    if dialect.efforts and effort not in dialect.efforts:
        return Thinking(True, _nearest(effort, dialect.efforts), budget)
    if effort not in EFFORTS and effort not in dialect.efforts and asked not in dialect.effort_map:
        return Thinking()
    return Thinking(True, effort, budget)


def said_of(asked: str, dialect: Dialect) -> str:
    """For people: what the server is told when the client asks for this effort; empty when nothing is."""
    thinking, way = wished(asked, dialect), dialect.reasoning_param
    if thinking.on is None:
        return ""
    if thinking.budget is not None and way in ("effort_obj", "thinking", "thinking+effort", "enable_thinking"):
        return f"{thinking.budget} tokens"
    if thinking.effort and (way in ("effort", "effort_obj") or (way == "thinking+effort" and thinking.on)):
        return thinking.effort
    return "" if way == "effort" else "on" if thinking.on else "off"


def _off(dialect: Dialect) -> Thinking:
    if dialect.thinking_off == "allowed":
        named = "none" in dialect.efforts or (not dialect.efforts and dialect.reasoning_param != "effort_obj")
        return Thinking(False, "none" if named else None)
    ranked = [effort for effort in EFFORTS if effort in dialect.efforts]
    return Thinking(True, ranked[0]) if ranked else Thinking()


def _nearest(effort: str, takes: tuple[str, ...]) -> str | None:
    """The listed effort closest to the wish, the weaker one when two are as close."""
    if effort not in EFFORTS:
        return None
    rank = EFFORTS.index(cast("Any", effort))
    ranked = [known for known in EFFORTS if known in takes]
    return min(ranked, key=lambda known: abs(EFFORTS.index(known) - rank), default=None)


def put_thinking(request: CreateChatCompletion, thinking: Thinking, dialect: Dialect) -> None:
    """Says it in the request, whose output limit stands already: a budget takes half of it at most."""
    if thinking.on is None:
        return
    effort: Any = thinking.effort or UNSET
    budget = _within(thinking.budget, request)
    match dialect.reasoning_param:
        case "effort":
            request.reasoning_effort = effort
        case "effort_obj" if budget is not None:
            request.reasoning = {"max_tokens": budget}
        case "effort_obj":
            request.reasoning = {"effort": effort} if thinking.effort else {"enabled": thinking.on}
        case "thinking" | "thinking+effort":
            request.thinking = {"type": "enabled" if thinking.on else "disabled"}
            if budget is not None:
                request.thinking["budget_tokens"] = budget
            elif thinking.on and dialect.reasoning_param == "thinking+effort":
                request.reasoning_effort = effort
        case "enable_thinking":
            request.enable_thinking = thinking.on
            request.thinking_budget = UNSET if budget is None else budget
        case "template_kwargs":
            request.chat_template_kwargs = {"enable_thinking": thinking.on}
        case _:  # minimax; with "none" there is no wish
            request.thinking = {"type": "adaptive" if thinking.on else "disabled"}


_LEAST_BUDGET = 128
"""A smaller one is refused (docs.siliconflow.cn chat completions, 2026); better none is said at all."""


def _within(budget: int | None, request: CreateChatCompletion) -> int | None:
    limits = [limit for limit in (request.max_tokens, request.max_completion_tokens) if isinstance(limit, int)]
    if budget is None or not limits:
        return budget
    fitting = min(budget, min(limits) // 2)
    return fitting if fitting >= _LEAST_BUDGET else None


def extra_body(request: CreateChatCompletion, dialect: Dialect) -> dict[str, Raw]:
    """The dialect's extra fields; what refines thinking stays away from a request that turns it off."""
    if request.thinking == {"type": "disabled"}:
        return {name: value for name, value in dialect.extra_body.items() if name != "thinking"}
    return dialect.extra_body
