"""The envelope of a patch: freed of what models write around it, and completed where they leave out its ends.

Codex refuses a patch whose first line is not `*** Begin Patch` or whose last one is not `*** End Patch`, and the model
needs a whole turn to mend it (observed with Codex 0.169). An input that was cut never comes here (see `tools.is_cut`).
"""

from __future__ import annotations

import re

from codex_nexus.translate.tools import DeclaredTool

_BEGIN = "*** Begin Patch"
_END = "*** End Patch"
_FENCE = re.compile(r"\A\s*```[\w-]*\n(?P<body>.*?)\n?```\s*\Z", re.DOTALL)
_COMMAND = re.compile(
    r"\A\s*apply_patch\s+<<-?\s*(?P<quote>['\"]?)(?P<word>\w+)(?P=quote)[ \t]*\n(?P<body>.*)\n(?P=word)\s*\Z", re.DOTALL
)
_MARKER = re.compile(r"^(\*\*\* (?:Begin|End) Patch) \*\*\*[ \t]*$", re.MULTILINE)
_FIRST_HUNK = re.compile(r"\s*\*\*\* (?:Add|Update|Delete) File: ")
_LAST_LINE = re.compile(r"^\*\*\* End Patch\s*$", re.MULTILINE)


def is_patch(tool: DeclaredTool) -> bool:
    """Whether the tool's grammar is that of a patch envelope."""
    return _BEGIN in tool.grammar


def mended_input(tool: DeclaredTool, text: str) -> str:
    """The input of a custom call; that of a patch without fence, shell command and decoration, and with both ends."""
    if not is_patch(tool):
        return text
    wrapped = _FENCE.match(text) or _COMMAND.match(text)
    return _whole(_MARKER.sub(r"\1", wrapped.group("body") if wrapped else text))


def _whole(patch: str) -> str:
    if _FIRST_HUNK.match(patch):
        patch = f"{_BEGIN}\n{patch.lstrip()}"
    if patch.lstrip().startswith(_BEGIN) and not _LAST_LINE.search(patch):
        patch = patch.rstrip("\r\n") + f"\n{_END}\n"
    return patch
