"""Which tools a turn offers, and the `tool_choice` that stands beside them."""

from __future__ import annotations

from typing import Any

from msgspec import UNSET, Raw, Struct

from codex_nexus.errors import InvalidRequest
from codex_nexus.translate import tools as tool_floor
from codex_nexus.translate.dialect import Dialect
from codex_nexus.translate.tools import DeclaredTool, ToolTable
from codex_nexus.wire import codec
from codex_nexus.wire.create import CreateResponse


class ToolWish(Struct):
    """What `tool_choice` asks for: a mode, perhaps one tool that must be called, perhaps the only ones allowed."""

    mode: str | None = None
    forced: str | None = None
    allowed: set[str] | None = None


def tool_wish(choice: Any, table: ToolTable) -> ToolWish:
    """`tool_choice` in every form that the Responses API knows.

    Raises:
        InvalidRequest: no such form, or a tool that is absent.
    """
    if choice is None:
        return ToolWish()
    if isinstance(choice, str):
        if choice not in ("auto", "none", "required"):
            raise InvalidRequest(
                f"'tool_choice' must be auto, none, required or an object, not '{choice}'.", "tool_choice"
            )
        return ToolWish(choice)
    wanted = codec.as_object(choice)
    if wanted is None:
        raise InvalidRequest("'tool_choice' must be a string or an object.", "tool_choice", "invalid_type")
    match wanted.get("type"):
        case "function" | "custom":
            return ToolWish("named", _wire(wanted, table))
        case "tool_search":
            return ToolWish("named", _wire({"name": tool_floor.TOOL_SEARCH}, table))
        case "allowed_tools":
            tools = filter(None, map(codec.as_object, codec.as_list(wanted.get("tools")) or []))
            allowed = {_wire(tool, table) for tool in tools if tool.get("type") in ("function", "custom", None)}
            return ToolWish(str(wanted.get("mode") or "auto"), None, allowed)
        case _:
            return ToolWish("auto")


def _wire(wanted: dict[str, Any], table: ToolTable) -> str:
    name, namespace = wanted.get("name"), wanted.get("namespace")
    if name is None and isinstance(wanted.get("function"), dict):
        name = wanted["function"].get("name")
    if not namespace or not isinstance(namespace, str):
        tool = table.named(str(name))
        namespace = tool.namespace if tool else None
    wire = table.name_of(namespace, str(name))
    if not any(wire == known for known, _ in table.items()):
        raise InvalidRequest(f"Tool choice '{name}' not found in 'tools' parameter.", "tool_choice")
    return wire


def callable_tools(create: CreateResponse, declared: list[DeclaredTool], dialect: Dialect) -> dict[str, DeclaredTool]:
    """The tools that the model may call in this turn, by wire name."""
    table = ToolTable(declared, dialect.max_tool_name)
    wish = tool_wish(create.tool_choice, table)
    if wish.mode == "none":
        return {}
    allowed = {wish.forced} if wish.forced is not None else wish.allowed
    return dict(tool_floor.offered(table if allowed is None else table.only(allowed), dialect.max_tools))


def offered(table: ToolTable, wish: ToolWish, dialect: Dialect, *, thinks: bool) -> tuple[list[Raw], Any]:
    """The tools to send and the `tool_choice` beside them, as far as the server takes it while it `thinks`."""
    takes = dialect.tool_choice
    if dialect.tool_choice_thinking is not None and thinks:
        takes = dialect.tool_choice_thinking
    choice: Any = UNSET
    match wish.mode:
        case "none":
            if "none" not in takes:
                return [], UNSET
            choice = "none"
        case "auto":
            choice = "auto"
        case "required":
            choice = next((form for form in ("required", "any") if form in takes), "auto")
        case "named" if "named" in takes:
            choice = {"type": "function", "function": {"name": wish.forced}}
        case "named":
            choice = next((form for form in ("required", "any") if form in takes), "auto")
            table = table.only({wish.forced or ""})
        case _:
            pass
    if wish.allowed is not None:
        table = table.only(wish.allowed)
    keep_strict = dialect.strict == "keep"
    tools = tool_floor.offers(
        table, dialect.json_schema, keep_strict=keep_strict, most=dialect.max_tools, bare=dialect.bare_tools
    )
    return tools, choice
