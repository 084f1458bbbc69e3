"""A tiny MCP server over standard input and output, with the tools `echo` and `add`; it needs nothing but Python.

JSON-RPC 2.0, one message a line. `mcp_toml()` gives the lines that make Codex start it.
"""

import json
import sys
from collections.abc import Callable, Iterable, Iterator
from typing import Any

PROTOCOL = "2025-06-18"

TOOLS: dict[str, tuple[str, dict[str, str], Callable[[dict[str, Any]], str]]] = {
    "echo": ("Say the text again.", {"text": "string"}, lambda given: f"echo: {given['text']}"),
    "add": ("Add two numbers.", {"a": "number", "b": "number"}, lambda given: str(given["a"] + given["b"])),
}


def mcp_toml(name: str = "tiny") -> str:
    """The table for Codex's config.toml."""
    return f"[mcp_servers.{name}]\ncommand = {json.dumps(sys.executable)}\nargs = [{json.dumps(__file__)}]\n"


def replies(lines: Iterable[str]) -> Iterator[dict[str, Any]]:
    """The answers to these messages."""
    for line in lines:
        message = json.loads(line)
        if "id" in message and "method" in message:
            yield {"jsonrpc": "2.0", "id": message["id"], **_answer(message["method"], message.get("params") or {})}


def _answer(method: str, params: dict[str, Any]) -> dict[str, Any]:
    match method:
        case "initialize":
            return {"result": _introduction(params.get("protocolVersion", PROTOCOL))}
        case "ping":
            return {"result": {}}
        case "tools/list":
            return {"result": {"tools": [_declaration(name) for name in TOOLS]}}
        case "tools/call" if params.get("name") in TOOLS:
            return {"result": _call(params["name"], params.get("arguments") or {})}
        case _:
            return {"error": {"code": -32601, "message": f"nothing here answers {method}"}}


def _introduction(version: str) -> dict[str, Any]:
    return {"protocolVersion": version, "capabilities": {"tools": {}}, "serverInfo": {"name": "tiny", "version": "1"}}


def _declaration(name: str) -> dict[str, Any]:
    description, arguments, _ = TOOLS[name]
    properties = {key: {"type": kind} for key, kind in arguments.items()}
    schema = {"type": "object", "properties": properties, "required": list(arguments)}
    return {"name": name, "description": description, "inputSchema": schema}


def _call(name: str, given: dict[str, Any]) -> dict[str, Any]:
    try:
        return _said(TOOLS[name][2](given), failed=False)
    except (KeyError, TypeError) as error:
        return _said(f"bad arguments: {error!r}", failed=True)


def _said(text: str, *, failed: bool) -> dict[str, Any]:
    return {"content": [{"type": "text", "text": text}], "isError": failed}


if __name__ == "__main__":
    for reply in replies(sys.stdin):
        print(json.dumps(reply), flush=True)
