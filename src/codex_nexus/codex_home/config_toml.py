"""Our part of a `config.toml`: written into the text of the file, and taken away again byte for byte.

Two kinds of edits exist: whole lines of ours, each told by a remark or by the table it belongs to, and lines of the
user that must step aside, hidden where they stand behind `#codex-nexus was# `. Nothing is remembered elsewhere, and
no end mark is needed: Codex rewrites this file too, and what it adds between or after our lines stays.
"""

from __future__ import annotations

import difflib
import re
import tomllib
from typing import Any, cast

from msgspec import Struct

from codex_nexus.codex_home.toml_scan import Path, Piece, scan
from codex_nexus.codex_home.wish import PROVIDER, Refused, Wish, masked

OURS: Path = ("model_providers", PROVIDER)
MARK = "# codex-nexus: written by Codex Nexus; `codex-nexus eject` takes it away"
REMARK = "# codex-nexus: eject takes this line away"
HIDDEN = "#codex-nexus was# "
GONE = "#codex-nexus gone# "
_BOM = "\ufeff"
_ROOT_KEYS = (("model",), ("model_provider",))
_PLACE = re.compile(r"\(at line (\d+), column (\d+)\)")

Data = dict[str, Any]


class Plan(Struct, frozen=True):
    """What a text becomes.

    Attributes:
        diff: to be read by a person; tokens are masked.
    """

    text: str
    diff: str
    changed: bool


def plan(text: str | None, wish: Wish, *, made_folder: bool = False) -> Plan:
    """The text with our part in it; None stands for a file that does not exist.

    Args:
        text: of the file, with its own line ends and byte-order mark.
        wish: the content of our part.
        made_folder: the folder of the file is ours as well; the text remembers it.

    Raises:
        Refused: the text is not valid TOML, or cannot be edited without harm.
    """
    body = (text or "").removeprefix(_BOM)
    data = read(body)
    marked = is_marked(body)
    if marked and _satisfied(body, data, wish):
        return Plan(text or "", "", changed=False)
    base = _undone(body, mend=False) if marked else text and body
    flags = _flags(body) & {"made-folder"} | ({"made-folder"} if made_folder else set())
    if base is None:
        flags |= {"new-file"}
    carried = _carried(body, data) if marked else _Carried()
    after = _built(base or "", wish, carried, flags)
    _verify(read(base or ""), read(after), wish)
    after = (_BOM if (text or "").startswith(_BOM) else "") + after
    return Plan(after, difference(text or "", after), changed=True)


def undo(text: str) -> str | None:
    """The text without our part; None when the file itself was ours and holds nothing else.

    Raises:
        Refused: the text is not valid TOML, or our part cannot be taken out without harm.
    """
    body = text.removeprefix(_BOM)
    read(body)
    if not is_marked(body):
        return text
    after = _undone(body, mend=True)
    return None if after is None else text[: len(text) - len(body)] + after


def is_marked(text: str) -> bool:
    """Whether something of ours stands in the text."""
    return any(sign in text for sign in (MARK, REMARK, HIDDEN))


def made_folder(text: str) -> bool:
    """Whether the text remembers that the folder of the file was ours."""
    return "made-folder" in _flags(text)


def block(data: Data) -> Data:
    """Our provider in a parsed document; empty when there is none."""
    providers = data.get("model_providers")
    found = cast("Data", providers).get(PROVIDER) if isinstance(providers, dict) else None
    return cast("Data", found) if isinstance(found, dict) else {}


def read(text: str) -> Data:
    """The parsed document.

    Raises:
        Refused: it is not valid TOML; the message names line and column.
    """
    body = text.removeprefix(_BOM)
    try:
        return tomllib.loads(body, parse_float=str)
    except tomllib.TOMLDecodeError as error:
        found = _PLACE.search(str(error))
        line, column = found.groups() if found else (body.count("\n") + 1, 1)
        what = str(error).partition(" (at ")[0]
        raise Refused(f"line {line}, column {column}: not valid TOML ({what}). The file was not touched.") from None
    except RecursionError:
        raise Refused("it is nested too deeply to be edited. The file was not touched.") from None


def difference(before: str, after: str) -> str:
    """The changed lines with what stands around them, tokens masked."""
    lines = difflib.unified_diff(before.split("\n"), after.split("\n"), lineterm="", n=2)
    shown = [line.rstrip("\r") for line in lines if not line.startswith(("---", "+++"))]
    return masked("\n".join(shown))


# --- writing


class _Carried(Struct):
    """What the user made of our part since it was written."""

    model: str = ""
    lines: tuple[str, ...] = ()
    tables: tuple[str, ...] = ()
    tuned: frozenset[str] = frozenset()


def _satisfied(body: str, data: Data, wish: Wish) -> bool:
    there = block(data)
    if MARK not in body or any(there.get(key) != value for key, value in wish.fixed().items()):
        return False
    if any(key not in there for key in wish.tunable()):
        return False
    named = [piece for piece in scan(body) if _is_root_line(piece) and piece.path == ("model_provider",)]
    if not wish.switch_default:
        return not any(_is_root_line(piece) for piece in scan(body)) and not _hides_root(body)
    return data.get("model_provider") == PROVIDER or (bool(named) and not wish.insist)


def _hides_root(body: str) -> bool:
    return any(piece.path in _ROOT_KEYS for group in _hidden_groups(scan(body)) for piece in group)


def _hidden_groups(pieces: list[Piece]) -> list[list[Piece]]:
    lines = [piece.text.removeprefix(HIDDEN) if _is_hidden(piece) else "" for piece in pieces]
    return [scan(line) for line in lines if line.startswith("model") and not line.startswith("model_providers")]


def _carried(body: str, data: Data) -> _Carried:
    fixed = Wish(address="", token="").fixed()
    tunable = Wish(address="", token="").tunable()
    lines: list[str] = []
    tables: list[str] = []
    tuned: set[str] = set()
    for piece in scan(body):
        if piece.kind == "pair" and piece.table == OURS and piece.path[2] not in fixed:
            lines.append(_ended(piece.text))
            tuned |= {piece.path[2]} & set(tunable)
        elif piece.path[:2] == OURS and piece.path != OURS and piece.table != OURS and piece.kind != "comment":
            tables.append(_ended(piece.text))
    ours = any(_is_root_line(piece) and piece.path == ("model",) for piece in scan(body))
    model = data.get("model") if ours and data.get("model_provider") == PROVIDER else ""
    return _Carried(model if isinstance(model, str) else "", tuple(lines), tuple(tables), frozenset(tuned))


def _built(base: str, wish: Wish, carried: _Carried, flags: set[str]) -> str:
    pieces = scan(base)
    data = read(base)
    _refuse_odd(pieces)
    newline = "\r\n" if "\r\n" in base[: base.find("\n") + 1] else "\n"
    switch = wish.switch_default and data.get("model_provider") != PROVIDER
    if data.get("model_provider") == PROVIDER and not block(data):
        flags |= {"named-before"}
    out: list[str] = []
    inline = False
    for piece in pieces:
        if piece.path == OURS[:1] and piece.kind == "pair":
            inline = True
            out += [_mark(flags) + newline, _with_entry(piece, wish) + newline, _hide(piece.text)]
        elif piece.path[:2] == OURS or (switch and piece.kind == "pair" and piece.path in _ROOT_KEYS):
            out.append(_hide(piece.text))
        else:
            out.append(piece.text)
    if switch:
        out[_root_place(pieces, out) : 0] = []
        at = _root_place(pieces, out)
        out[at:at] = [line + newline for line in _root_lines(wish, carried)]
    return "".join(out) if inline else _with_table("".join(out), wish, carried, flags, newline)
