"""Requests in the shape in which Codex sends them, with texts of our own.

`first_turn` is what it sends after the user's first words, `later_turn` the same thread some calls later: outputs stand
behind everything that the answer said, in the order of the calls, and reasoning comes back for ever.
"""

from __future__ import annotations

from typing import Any

Item = dict[str, Any]

PICTURE = "data:image/png;base64,iVBORw0KGgo="
PATCH = "*** Begin Patch\n*** Add File: hello.txt\n+hello\n*** End Patch"
GRAMMAR = 'start: begin hunk+ end\nbegin: "*** Begin Patch" LF\nend: "*** End Patch" LF?'


def message(role: str, *texts: str | Item) -> Item:
    """A message with one part for each text; a dict is a part of its own."""
    kind = "output_text" if role == "assistant" else "input_text"
    parts = [{"type": kind, "text": text} if isinstance(text, str) else text for text in texts]
    return {"type": "message", "id": f"msg_{role}", "role": role, "content": parts}


def call(call_id: str, name: str, arguments: str, namespace: str | None = None) -> Item:
    """A call of a function as it is echoed."""
    item = {"type": "function_call", "id": f"fc_{call_id}", "call_id": call_id, "name": name, "arguments": arguments}
    return item | {"status": "completed"} | ({"namespace": namespace} if namespace else {})


def output(call_id: str, *said: str | Item) -> Item:
    """What a call gave: a string, or parts as soon as there is more than one thing to say."""
    parts = [{"type": "input_text", "text": text} if isinstance(text, str) else text for text in said]
    plain = said[0] if len(said) == 1 and isinstance(said[0], str) else parts
    return {"type": "function_call_output", "id": f"fco_{call_id}", "call_id": call_id, "output": plain}


def picture() -> Item:
    """An image part."""
    return {"type": "input_image", "image_url": PICTURE, "detail": "high"}


def _function(name: str, *required: str, **more: Any) -> Item:
    properties = {parameter: {"type": "string"} for parameter in required}
    parameters = {"type": "object", "properties": properties, "required": list(required), "additionalProperties": False}
    return {
        "type": "function",
        "name": name,
        "description": f"Does {name}.",
        "strict": False,
        "parameters": parameters,
    } | more


TOOLS: list[Item] = [
    _function("exec_command", "cmd"),
    _function("write_stdin", "session_id"),
    {
        "type": "custom",
        "name": "apply_patch",
        "description": "Edits files.",
        "format": {"type": "grammar", "syntax": "lark", "definition": GRAMMAR},
    },
    _function("view_image", "path"),
    {
        "type": "namespace",
        "name": "mcp__tiny",
        "description": "Tools in the mcp__tiny namespace.",
        "tools": [_function("echo", "text"), _function("later", "text", defer_loading=True)],
    },
    {
        "type": "tool_search",
        "execution": "client",
        "description": "Finds more tools.",
        "parameters": {"type": "object", "properties": {"query": {"type": "string"}}, "required": ["query"]},
    },
    {"type": "web_search", "external_web_access": True, "search_content_types": ["text", "image"]},
]

PREFIX: list[Item] = [
    message("developer", "You are a careful coder."),
    message("developer", "<skills>none</skills>", "<permissions>ask first</permissions>"),
    message("user", "# AGENTS.md of /repo", "<environment><cwd>/repo</cwd></environment>"),
]


def first_turn(*more: Item, **fields: Any) -> dict[str, Any]:
    """The first request of a thread, `more` items behind the user's words."""
    return {
        "model": "gpt-5.5",
        "stream": True,
        "store": False,
        "input": [*PREFIX, message("user", "add a greeting"), *more],
        "tools": TOOLS,
        "tool_choice": "auto",
        "parallel_tool_calls": True,
        "reasoning": {"effort": "medium", "summary": "auto"},
        "include": ["reasoning.encrypted_content"],
        "prompt_cache_key": "01a2-thread",
        "client_metadata": {"session_id": "01a2", "x-codex-turn-metadata": '{"cwd": "/repo"}'},
    } | fields


def later_turn(*more: Item, **fields: Any) -> dict[str, Any]:
    """The thread after two answers with calls, a change of settings, and the user's next words."""
    return first_turn(
        {"type": "reasoning", "id": "rs_1", "summary": [{"type": "summary_text", "text": "look, then patch"}]},
        message("assistant", "I look first."),
        call("call_A", "exec_command", '{"cmd":"ls"}'),
        message("assistant", "And ask the server."),
        call("call_B", "echo", '{"text":"hi"}', "mcp__tiny"),
        output("call_A", "Process exited with code 0\nOutput:\nREADME\n"),
        output("call_B", "Wall time: 0.1 seconds\nOutput:", "echo:hi"),
        {"type": "custom_tool_call", "id": "ctc_1", "call_id": "call_C", "name": "apply_patch", "input": PATCH},
        call("call_D", "view_image", '{"path":"a.png"}'),
        {"type": "custom_tool_call_output", "call_id": "call_C", "output": "Exit code: 0\nOutput:\nSuccess."},
        output("call_D", picture()),
        message("assistant", "Done."),
        message("developer", "<permissions>never ask</permissions>"),
        message("user", "now in French"),
        *more,
        **fields,
    )
