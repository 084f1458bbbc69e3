"""Our part, written into the text of a `config.toml` that holds nothing of ours."""

from __future__ import annotations

from msgspec import Struct

from codex_nexus.codex_home.toml_marks import (
    OURS,
    PROVIDERS,
    REMARK,
    hide,
    is_as_written,
    is_inline,
    is_ours,
    is_remarked,
    is_root_key,
    mark,
    model_flag,
    read,
    replaced,
)
from codex_nexus.codex_home.toml_scan import Path, Piece, inline_entries, scan
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
    pieces = scan(text)
    for piece in pieces:
        below = is_ours(piece) and piece.table[:2] == OURS
        if piece.kind == "pair" and piece.table == OURS and piece.path[2] not in Wish(address="", token="").fixed():
            lines[piece.text] = piece.path[2]
        elif below and piece.table != OURS:
            tables.append(piece.text)
        elif is_remarked(piece) and piece.path == ("model",):
            there = str(read(text).get("model", ""))
            model = "" if is_as_written(there, pieces) else there
    return Carried(model, tuple(lines), tuple(tables), frozenset(lines.values()))


def built(base: str, wish: Wish, kept: Carried, flags: set[str]) -> str:
    """The text with our part in it."""
    pieces = scan(base)
    _refuse_odd(pieces)
    newline = "\r\n" if base[: base.find("\n") + 1].endswith("\r\n") else "\n"
    switch = wish.switch_default and read(base).get("model_provider") != PROVIDER
    roots = _root_lines(wish, kept) if switch else {}
    flags = flags | {model_flag(wish.model)} if roots else flags
    out: list[str] = []
    for piece in pieces:
        if is_inline(piece):
            out.append(_with_entry(piece, wish, flags))
        elif is_root_key(piece) and piece.path in roots:
            out.append(_in_place(piece, roots, pieces, newline))
        else:
            out.append(hide(piece.text) if is_ours(piece) else piece.text)
    if roots and not any(is_root_key(piece) and piece.path in roots for piece in pieces):
        at = 1 if pieces and pieces[0].text.startswith("#:") and pieces[0].text.endswith("\n") else 0
        out[at:at] = [line + newline for line in roots.values()]
    if any(map(is_inline, pieces)):
        return "".join(out)
    return _with_table("".join(out), _table(wish, kept), flags, newline)


def _refuse_odd(pieces: list[Piece]) -> None:
    for piece in pieces:
        if piece.path == PROVIDERS and (piece.kind == "array" or (is_inline(piece) and not _is_braced(piece))):
            raise Refused("'model_providers' is no table there, so nothing can be added to it; Codex refuses it, too.")


def _is_braced(piece: Piece) -> bool:
    return piece.text[piece.value[0]] == "{"


def _root_lines(wish: Wish, kept: Carried) -> dict[Path, str]:
    """The root keys that we set, as lines without an end."""
    values = {"model": kept.model or wish.model, "model_provider": PROVIDER}
    return {(key,): f"{key} = {quoted(value)} {REMARK}" for key, value in values.items() if value}


def _in_place(piece: Piece, roots: dict[Path, str], pieces: list[Piece], newline: str) -> str:
    """The user's root key, hidden, with ours below: directly, so that the comment belongs to a line of ours."""
    theirs = [other.path for other in pieces if is_root_key(other) and other.path in roots]
    here = [path for path in roots if path == piece.path or (path not in theirs and piece.path == theirs[0])]
    ended = piece.text.endswith("\n")
    text = hide(piece.text) + ("" if ended else newline) + "".join(roots[path] + newline for path in here)
    return text if ended else text.removesuffix(newline)


def _table(wish: Wish, kept: Carried) -> list[str]:
    pairs: dict[str, str | int] = {**wish.fixed()}
    pairs |= {key: value for key, value in wish.tunable().items() if key not in kept.keys}
    lines = [f"[{'.'.join(OURS)}]", *(f"{key} = {quoted(value)}" for key, value in pairs.items())]
    return lines + [text.rstrip("\r\n") for text in (*kept.lines, *kept.tables)]


def _with_table(text: str, table: list[str], flags: set[str], newline: str) -> str:
    text, flags = _ended(text, flags, newline)
    pieces = scan(text)
    if pieces and pieces[-1].kind != "blank":
        flags = flags | {"gap"}
        text += newline
    return text + "".join(line + newline for line in [mark(flags), *table])


def _ended(text: str, flags: set[str], newline: str) -> tuple[str, set[str]]:
    """The text with a newline at its end, and the flag that tells to take it away again."""
    return (text, flags) if not text or text.endswith("\n") else (text + newline, flags | {"no-newline"})


# --- inline tables


def _with_entry(piece: Piece, wish: Wish, flags: set[str]) -> str:
    """A copy of `model_providers = { ... }` with our entry in it.

    The original stands behind it, not above it: Codex spoils the file when it writes into an inline table that has a
    comment above, and a comment at the very end of the file moves when Codex appends a table.
    """
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
    end_of_line = piece.text[len(piece.text.rstrip("\r\n")) :]
    return f"{piece.text[:start]}{value} {replaced(piece.text, flags)}{end_of_line}"


def without_entry(value: str) -> str:
    """An inline table without the entries of our provider."""
    entries = inline_entries(value, 0)
    for n, (key, start, end) in enumerate(entries):
        if key[0] == PROVIDER:
            first = entries[n - 1][2] if n else start
            last = entries[1][1] if not n and len(entries) > 1 else end
            return without_entry(value[:first] + value[last:])
    return value
