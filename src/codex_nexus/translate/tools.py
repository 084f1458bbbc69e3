"""Which tools a request offers, under which legal names, and what a call of such a name becomes for the client.

Chat Completions knows functions with names of 64 plain characters. Here a Responses tool of any kind (function, custom,
namespaced, tool search) becomes such a function, and the table of one request leads its calls back. The table is made
anew for each request from `tools` and from all `additional_tools` and `tool_search_output` items of its history, and
the same rules give the names of old calls, so that names never depend on state.
"""

from __future__ import annotations

import hashlib
import re
from functools import lru_cache
from typing import Any, Literal

import msgspec
from msgspec import UNSET, Raw

from codex_nexus.errors import InvalidRequest
from codex_nexus.translate.schema import Subset, normalised
from codex_nexus.translate.unwrap import Unwrapper
from codex_nexus.wire import chat, codec

ToolKind = Literal["function", "custom", "tool_search"]

TOOL_SEARCH = "tool_search"
"""The name under which the client's tool search is offered."""
_DEFAULT_NAMESPACE = "functions"
"""OpenAI's name for tools without a namespace; code-mode clients write it out (observed Codex 0.169)."""
_ILLEGAL = re.compile(r"[^A-Za-z0-9_-]")
_HASH = 8


class DeclaredTool(msgspec.Struct, frozen=True):
    """One tool as the client declared it."""

    kind: ToolKind
    name: str
    namespace: str | None = None
    description: str = ""
    parameters: bytes = b""
    """JSON Schema as it was sent; empty: none."""
    strict: bool | None = None
    grammar: str = ""
    """The definition of a custom tool's format, or empty."""
    deferred: bool = False

    @property
    def key(self) -> tuple[str | None, str]:
        """What makes it the same tool when it is declared again."""
        return self.namespace, self.name


class _Declaration(msgspec.Struct):
    type: str = ""
    name: str | None = None
    description: str | None = None
    parameters: Raw = Raw()
    input_schema: Raw = Raw()
    strict: bool | None = None
    format: Any = None
    tools: list[Raw] | None = None
    defer_loading: bool | None = None
    execution: str | None = None


_declaration = msgspec.json.Decoder(_Declaration)


@lru_cache(maxsize=512)
def _declared(tool: bytes, namespace: str | None) -> tuple[DeclaredTool, ...]:
    """The callable tools of one declaration; none for hosted tools, which a provider cannot run."""
    codec.decode_any(tool)  # refuses what is nested too deeply
    said = _declaration.decode(tool)
    match said.type:
        case "function" | "custom":
            if not said.name:
                raise InvalidRequest("Missing required parameter: 'name'.", "name", "missing_required_parameter")
            return (_callable(said, said.name, namespace),)
        case "namespace":
            inner = [_declared(bytes(tool), said.name) for tool in said.tools or []]
            return tuple(tool for tools in inner for tool in tools)
        case "tool_search" if said.execution != "server":
            return (
                DeclaredTool(
                    TOOL_SEARCH, TOOL_SEARCH, None, said.description or "Search for more tools.", bytes(said.parameters)
                ),
            )
        case _:
            return ()


def _callable(said: _Declaration, name: str, namespace: str | None) -> DeclaredTool:
    if said.type == "function":
        schema = said.input_schema if codec.is_null(said.parameters) else said.parameters
        return DeclaredTool(
            "function", name, namespace, said.description or "", bytes(schema), said.strict,
            deferred=bool(said.defer_loading),
        )  # fmt: skip
    grammar = str((codec.as_object(said.format) or {}).get("definition") or "")
    return DeclaredTool(
        "custom", name, namespace, said.description or "", grammar=grammar, deferred=bool(said.defer_loading)
    )


def declared(tools: list[Raw], where: str) -> list[DeclaredTool]:
    """All callable tools of a list of declarations.

    Raises:
        InvalidRequest: a declaration is broken; `param` begins with `where`.
    """
    found: list[DeclaredTool] = []
    for n, tool in enumerate(tools):
        try:
            found += _declared(bytes(tool), None)
        except msgspec.DecodeError as error:
            raise InvalidRequest(f"Invalid tool {where}[{n}]: {error}.", f"{where}[{n}]", "invalid_type") from None
        except InvalidRequest as error:
            raise InvalidRequest(error.message, f"{where}[{n}].{error.param}", error.code) from None
    return found


def wire_name(namespace: str | None, name: str, longest: int = 64) -> str:
    """The legal name of a tool: the same for the same tool, in every request."""
    whole = name if namespace in (None, "", _DEFAULT_NAMESPACE) else f"{namespace}__{name}"
    legal = _ILLEGAL.sub("_", whole)
    if not legal or not (legal[0].isalpha() or legal[0] == "_"):
        legal = f"_{legal}"
    return _hashed(legal, namespace, name, longest) if len(legal) > longest else legal


def _hashed(legal: str, namespace: str | None, name: str, longest: int) -> str:
    digest = hashlib.sha256(f"{namespace}\0{name}".encode()).hexdigest()[:_HASH]
    return f"{legal[: longest - _HASH - 1]}_{digest}"


class ToolTable:
    """The tools of one request, by wire name and back."""

    def __init__(self, tools: list[DeclaredTool], longest: int = 64) -> None:
        self._longest = longest
        latest = {tool.key: tool for tool in tools}
        self._by_wire: dict[str, DeclaredTool] = {}
        self._names: dict[tuple[str | None, str], str] = {}
        for tool in latest.values():
            name = wire_name(tool.namespace, tool.name, longest)
            if name in self._by_wire:
                name = _hashed(name, tool.namespace, tool.name, longest)
            self._by_wire[name] = tool
            self._names[tool.key] = name

    def __len__(self) -> int:
        return len(self._by_wire)

    def items(self) -> list[tuple[str, DeclaredTool]]:
        """Wire name and tool, in the order of declaration."""
        return list(self._by_wire.items())

    def name_of(self, namespace: str | None, name: str) -> str:
        """The wire name of a tool, also of one that is no longer offered."""
        return self._names.get((namespace, name)) or wire_name(namespace, name, self._longest)

    def named(self, name: str) -> DeclaredTool | None:
        """A tool by the bare name of a `tool_choice`, whatever its namespace."""
        return next((tool for tool in self._by_wire.values() if tool.name == name), self._by_wire.get(name))

    def called(self, name: str) -> DeclaredTool:
        """The tool that a model means by this name; an unknown name stays a function of that name."""
        tool = self._by_wire.get(name)
        if tool is None:
            bare = name.strip().removeprefix("functions.").replace(".", "__").replace(":", "__")
            tool = self._by_wire.get(bare)
        return tool or DeclaredTool("function", name)

    def only(self, names: set[str]) -> ToolTable:
        """The table with only these wire names offered (names of other calls stay the same)."""
        table = ToolTable([], self._longest)
        table._by_wire = {name: tool for name, tool in self._by_wire.items() if name in names}
        table._names = self._names
        return table


_INPUT = "The whole input of the tool as plain text, exactly as its format asks."


@lru_cache(maxsize=512)
def _offer(tool: DeclaredTool, name: str, subset: Subset, keep_strict: bool) -> bytes:  # noqa: FBT001
    if tool.kind == "custom":
        text = {"type": "string", "description": _INPUT}
        parameters: Any = {"type": "object", "properties": {"input": text}, "required": ["input"]}
    else:
        given = codec.decode_any(tool.parameters) if tool.parameters else None
        # A strict schema is checked for what our simplification takes away (closed objects, all names required).
        is_strict = keep_strict and tool.strict is True and codec.as_object(given) is not None
        parameters = given if is_strict else normalised(given, subset)
    function = chat.FunctionTool(
        name,
        _description(tool) or UNSET,
        parameters,
        tool.strict if keep_strict and tool.strict is not None else UNSET,
    )
    return codec.encode(chat.Tool(function))


_NOT_IN_JSON = re.compile(r"[^.\n]*\bdo not wrap\b[^.\n]*\bJSON\b[^.\n]*\.?", re.IGNORECASE)
"""A sentence that is true of freeform tools and false of the function that stands for one."""


def _description(tool: DeclaredTool) -> str:
    if tool.kind != "custom":
        return tool.description
    said = _NOT_IN_JSON.sub("", tool.description).strip()
    return f"{said}\n\nThe `input` must match this grammar:\n{tool.grammar}".strip() if tool.grammar else said


def offered(table: ToolTable, most: int) -> list[tuple[str, DeclaredTool]]:
    """At most `most` tools with their wire names, deferred ones only when nothing searches for them."""
    found = table.items()
    if any(tool.kind == "tool_search" for _, tool in found):
        found = [(name, tool) for name, tool in found if not tool.deferred]
    return found[:most]


def offers(table: ToolTable, subset: Subset, *, keep_strict: bool, most: int, bare: tuple[str, ...] = ()) -> list[Raw]:
    """The `tools` of the chat request, encoded; those in `bare` tell their schema in words."""
    return [
        Raw(_offer(_bared(tool) if name in bare else tool, name, subset, keep_strict))
        for name, tool in offered(table, most)
    ]


def _bared(tool: DeclaredTool) -> DeclaredTool:
    if not tool.parameters:
        return tool
    schema = tool.parameters.decode("utf-8", "replace")
    said = f"{tool.description}\n\nThe arguments must match this JSON Schema:\n{schema}".strip()
    return msgspec.structs.replace(tool, parameters=b"", description=said)


def unwrapped_input(arguments: str) -> str:
    """The text that a model put into the arguments of a custom tool's function; not an object: the text itself."""
    try:
        value = codec.decode_lenient(arguments.encode("utf-8", "replace"))
    except ValueError:
        return Unwrapper().feed(arguments) or arguments
    fields = codec.as_object(value)
    if fields is None:
        return value if isinstance(value, str) else arguments
    text = fields.get("input")
    if text is None and len(fields) == 1:
        text = next(iter(fields.values()))
    return text if isinstance(text, str) else arguments


def is_cut(arguments: str) -> bool:
    """Whether the arguments of a custom tool's function end inside the text of its input."""
    unwrapper = Unwrapper()
    unwrapper.feed(arguments)
    return unwrapper.open


def is_object(arguments: str) -> bool:
    """Whether a text is a whole JSON object."""
    try:
        return isinstance(codec.decode_any(arguments), dict)
    except (msgspec.DecodeError, UnicodeEncodeError):
        return False
