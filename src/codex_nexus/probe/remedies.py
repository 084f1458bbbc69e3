"""Dialect fields that are worth a try when a provider does not say in known words what it wants.

Each is one step; the mildest stand first. What a refusal asks for in known words is done before (see translate/heals).
"""

from __future__ import annotations

from codex_nexus.probe.fields import Fields

Remedies = tuple[Fields, ...]

PLAIN: Remedies = (
    {"max_tokens_field": "max_completion_tokens"},
    {"max_tokens_field": "omit"},
    {"stream_usage": "implicit"},
    {"system": "first_user"},
)
CHOICE: Remedies = (
    {"tool_choice": ["auto", "none", "required"]},
    {"tool_choice": ["auto", "none"]},
    {"tool_choice": ["auto"]},
)
PARALLEL: Remedies = ({"parallel_tool_calls": "omit"},)
AS_TEXT: Remedies = ({"tool_text": "on"},)
THOUGHTS: Remedies = ({"think_tags": "inside"},)
SCHEMAS: Remedies = ({"json_schema": "mfjs"}, {"json_schema": "gemini"})
SYSTEM: Remedies = ({"system": "head_then_user"}, {"system": "head"}, {"system": "first_user"})
HISTORY: Remedies = (
    {"tool_id": "plain"},
    {"tool_id": "alnum9"},
    {"tool_to_user_bridge": True},
    {"merge_users": True},
    {"reasoning_missing": "empty"},
    {"reasoning_missing": "space"},
    {"reasoning_replay": "never"},
    {"assistant_content": "empty"},
    {"assistant_content": "omit"},
)
EFFORT: Remedies = ({"efforts": ["low", "medium", "high"]}, {"reasoning_param": "none"})
IMAGES: Remedies = ({"images": "none"},)
FORMAT: Remedies = ({"response_format": "object"}, {"response_format": "none"})
FORMAT_AND_TOOLS: Remedies = ({"tools_exclude_response_format": True},)
LIMIT: Remedies = ({"max_output": 32768}, {"max_output": 16384}, {"max_output": 8192}, {"max_output": 4096})
DEFAULT_LIMIT: Remedies = ({"default_output": 32768}, {"default_output": 8192}, {"default_output": 4096})
