"""The model catalogue in Codex's own shape, so that picker, window, apply_patch and compaction fit the real models.

Fields and their effects: observed with Codex 0.169.0 (2026-11); the fields that older clients require are given, too.
"""

from __future__ import annotations

from functools import lru_cache
from importlib import resources
from typing import Any

from msgspec import Struct

from codex_nexus.translate.dialect import EFFORTS, Dialect

DEFAULT_WINDOW = 131072
"""Tokens, for a model whose window nobody tells."""
_SPOKEN = {
    "none": "No thinking",
    "minimal": "The shortest thought",
    "low": "Quick answers",
    "medium": "Balanced",
    "high": "Thorough",
    "xhigh": "More thorough",
    "max": "As long as it takes",
}


class Offer(Struct, frozen=True):
    """One model that can be asked for by its slug."""

    slug: str
    name: str
    provider: str
    context_window: int | None = None
    images: bool = False
    efforts: tuple[str, ...] = ()


def efforts(dialect: Dialect) -> tuple[str, ...]:
    """The reasoning levels that make a difference for this model."""
    if dialect.reasoning_param == "none":
        return ()
    known = [effort for effort in EFFORTS if effort in dialect.efforts and effort in _SPOKEN]
    return tuple(known) or ("low", "medium", "high")


@lru_cache(maxsize=1)
def base_instructions() -> str:
    """The system prompt for models of other houses, our own writing."""
    return resources.files("codex_nexus.codex_home").joinpath("prompt.md").read_text("utf-8")


def body(offers: list[Offer]) -> dict[str, Any]:
    """The reply to `GET /models`: OpenAI's list and Codex's catalogue in one object (both readers ignore the other)."""
    return {
        "object": "list",
        "data": [listed(offer) for offer in offers],
        "models": [entry(offer, n + 1) for n, offer in enumerate(offers)],
    }


def listed(offer: Offer) -> dict[str, Any]:
    """OpenAI's shape of one model."""
    return {"id": offer.slug, "object": "model", "created": 0, "owned_by": offer.provider}


def entry(offer: Offer, priority: int) -> dict[str, Any]:
    """Codex's shape of one model; the lowest priority stands first and is the default."""
    window = offer.context_window or DEFAULT_WINDOW
    levels = [{"effort": effort, "description": _SPOKEN[effort]} for effort in offer.efforts]
    return {
        "slug": offer.slug,
        "display_name": offer.name,
        "description": f"{offer.name}, served by {offer.provider} through Codex Nexus.",
        "default_reasoning_level": _default_level(offer.efforts),
        "supported_reasoning_levels": levels,
        "default_reasoning_summary": "auto",
        "shell_type": "unified_exec",
        "visibility": "list",
        "supported_in_api": True,
        "priority": priority,
        "upgrade": None,
        "base_instructions": base_instructions(),
        "supports_reasoning_summaries": True,
        "supports_parallel_tool_calls": True,
        "support_verbosity": False,
        "default_verbosity": None,
        "apply_patch_tool_type": "freeform",
        "truncation_policy": {"mode": "tokens", "limit": 10000},
        "context_window": window,
        "max_context_window": window,
        "auto_compact_token_limit": None,
        "effective_context_window_percent": 95,
        "experimental_supported_tools": [],
        "input_modalities": ["text", "image"] if offer.images else ["text"],
        "supports_search_tool": False,
        "tool_mode": "direct",
        "use_responses_lite": False,
        "multi_agent_version": "v1",
        "web_search_tool_type": "text",
    }


def _default_level(levels: tuple[str, ...]) -> str | None:
    return next((level for level in ("medium", "high", "low") if level in levels), levels[0] if levels else None)
