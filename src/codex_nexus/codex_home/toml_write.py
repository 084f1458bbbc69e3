"""Our part, written into the text of a `config.toml` that holds nothing of ours."""

from __future__ import annotations

from msgspec import Struct

from codex_nexus.codex_home.toml_marks import (
    OURS,
    PROVIDERS,
    REMARK,
    hide,
    is_inline,
    is_ours,
    is_remarked,
    is_root_key,
    mark,
    read,
)
from codex_nexus.codex_home.toml_scan import Piece, inline_entries, scan
from codex_nexus.codex_home.wish import PROVIDER, Refused, Wish, quoted


class Carried(Struct, frozen=True):
    """What the user made of our part since it was written: it goes into the next version of it."""

    model: str = ""
    lines: tuple[str, ...] = ()
    tables: tuple[str, ...] = ()
    keys: frozenset[str] = frozenset()


def carried(text: str) -> Carried:
    """The user's additions to our provider, and the model that was picked while we were the default."""
    lines: dict[str, str] = {}
    tables: list[str] = []
    model = ""
    for piece in scan(text):
        below = is_ours(piece) and piece.table[:2] == OURS
        if piece.kind == "pair" and piece.table == OURS and piece.path[2] not in Wish(address="", token="").fixed():
            lines[piece.text] = piece.path[2]
        elif below and piece.table != OURS:
            tables.append(piece.text)
        elif is_remarked(piece) and piece.path == ("model",):
            model = str(read(text).get("model", ""))
    return Carried(model, tuple(lines), tuple(tables), frozenset(lines.values()))


def built(base: str, wish: Wish, kept: Carried, flags: set[str]) -> str:
    """The text with our part in it."""
    pieces = scan(base)
    _refuse_odd(pieces)
    newline = "\r\n" if base[: base.find("\n") + 1].endswith("\r\n") else "\n"
    switch = wish.switch_default and read(base).get("model_provider") != PROVIDER
    out: list[str] = []
    for piece in pieces:
        if is_inline(piece):
            out.append(f"{mark(flags)}{newline}{_with_entry(piece, wish)}{newline}{hide(piece.text)}")
        elif is_ours(piece) or (switch and is_root_key(piece)):
            out.append(hide(piece.text))
        else:
            out.append(piece.text)
    if switch:
        at = _root_place(pieces)
        out[at:at] = _root_lines(wish, kept, newline)
    if any(map(is_inline, pieces)):
        return "".join(out)
    return _with_table("".join(out), _table(wish, kept), flags, newline)


def _refuse_odd(pieces: list[Piece]) -> None:
    for piece in pieces:
        if piece.path == PROVIDERS and (piece.kind == "array" or (is_inline(piece) and not _is_braced(piece))):
            raise Refused("'model_providers' is no table there, so nothing can be added to it; Codex refuses it, too.")


def _is_braced(piece: Piece) -> bool:
    return piece.text[piece.value[0]] == "{"


def _root_place(pieces: list[Piece]) -> int:
    """Where root keys may stand: before the user's own, else at the top, below a `#:schema` line."""
    for n, piece in enumerate(pieces):
        if is_root_key(piece):
            return n
    return 1 if pieces and pieces[0].text.startswith("#:") and pieces[0].text.endswith("\n") else 0


def _root_lines(wish: Wish, kept: Carried, newline: str) -> list[str]:
    model = kept.model or wish.model
    lines = [f"model = {quoted(model)} {REMARK}{newline}"] if model else []
    return [*lines, f"model_provider = {quoted(PROVIDER)} {REMARK}{newline}"]


def _table(wish: Wish, kept: Carried) -> list[str]:
    pairs: dict[str, str | int] = {**wish.fixed()}
    pairs |= {key: value for key, value in wish.tunable().items() if key not in kept.keys}
    lines = [f"[{'.'.join(OURS)}]", *(f"{key} = {quoted(value)}" for key, value in pairs.items())]
    return lines + [text.rstrip("\r\n") for text in (*kept.lines, *kept.tables)]


def _with_table(text: str, table: list[str], flags: set[str], newline: str) -> str:
    if text and not text.endswith("\n"):
        flags = flags | {"no-newline"}
        text += newline
    pieces = scan(text)
    if pieces and pieces[-1].kind != "blank":
        flags = flags | {"gap"}
        text += newline
    return text + "".join(line + newline for line in [mark(flags), *table])


# --- inline tables


def _with_entry(piece: Piece, wish: Wish) -> str:
    """A copy of `model_providers = { ... }` with our entry in it."""
    start, end = piece.value
    value = without_entry(piece.text[start:end])
    pairs = ", ".join(f"{key} = {quoted(value)}" for key, value in {**wish.fixed(), **wish.tunable()}.items())
    entry = f"{PROVIDER} = {{ {pairs} }}"
    entries = inline_entries(value, 0)
    if entries:
        last = entries[-1][2]
        value = f"{value[:last]}, {entry}{value[last:]}"
    else:
        value = f"{{ {entry} }}"
    return f"{piece.text[:start]}{value} {REMARK}"


def without_entry(value: str) -> str:
    """An inline table without the entries of our provider."""
    entries = inline_entries(value, 0)
    for n, (key, start, end) in enumerate(entries):
        if key[0] == PROVIDER:
            first = entries[n - 1][2] if n else start
            last = entries[1][1] if not n and len(entries) > 1 else end
            return without_entry(value[:first] + value[last:])
    return value
