"""Our part, taken out of the text of a `config.toml`; what was hidden comes back, what came later stays."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from itertools import groupby

from msgspec import Struct

from codex_nexus.codex_home.toml_marks import (
    GONE,
    HIDDEN,
    NAMED_BEFORE,
    REMARK,
    Data,
    block,
    flags_of,
    hide,
    is_hidden,
    is_inline,
    is_mark,
    is_ours,
    is_remarked,
    is_root_key,
    read,
    rest,
)
from codex_nexus.codex_home.toml_scan import Path, Piece, scan
from codex_nexus.codex_home.toml_write import without_entry
from codex_nexus.codex_home.wish import PROVIDER


def undone(text: str, *, mend: bool) -> str | None:
    """The text without our part; None when the file was ours and holds nothing else.

    Args:
        text: valid TOML without byte-order mark.
        mend: also silence a `model_provider` that the user pointed at our provider: Codex does not start with a name
            that leads nowhere.
    """
    pieces = scan(text)
    flags = flags_of(pieces)
    out, tail = _Walk(pieces, read(text)).run(flags)
    if tail and "no-newline" in flags and out:
        out[-1] = out[-1].removesuffix("\n").removesuffix("\r")
    after = "".join(out)
    if "new-file" in flags and not after.strip():
        return None
    return _mended(after) if mend and NAMED_BEFORE not in flags else after


def _mended(text: str) -> str:
    data = read(text)
    if data.get("model_provider") != PROVIDER or block(data):
        return text
    pieces = scan(text)
    return "".join(hide(p.text, GONE) if p.kind == "pair" and p.path == ("model_provider",) else p.text for p in pieces)


class _Run(Struct, frozen=True):
    """Neighbouring pieces that are all hidden, or none is."""

    hidden: bool
    pieces: list[Piece]


class _Walk:
    """One pass over the pieces of a text."""

    def __init__(self, pieces: list[Piece], data: Data) -> None:
        self._runs = [_Run(key, list(group)) for key, group in groupby(pieces, is_hidden)]
        self._marked = any(map(is_mark, pieces))
        self._block = bool(block(data))
        named = data.get("model_provider")
        roots = [piece for piece in pieces if is_root_key(piece)]
        self._away = named is not None and named != PROVIDER
        self._kept = {piece.path for piece in roots if self._away or not is_remarked(piece)}
        self._edited = self._inline_edited(data)

    def _inline_edited(self, data: Data) -> bool:
        """Whether the providers beside ours are others than in the hidden `model_providers = { ... }`."""
        for piece in (piece for run in self._runs if run.hidden for piece in _unhidden(run, ())):
            if is_inline(piece):
                before = rest(read(piece.text), with_root=True)
                return before.get("model_providers") != rest(data, with_root=True).get("model_providers")
        return True

    def run(self, flags: set[str]) -> tuple[list[str], bool]:
        """What is kept, and whether our provider stood at the very end."""
        out: list[str] = []
        at_mark: int | None = None
        table: Path = ()
        for run in self._runs:
            if run.hidden:
                back = list(_unhidden(run, table))
                table = back[-1].table if back else table
                out += [piece.text for piece in back if self._comes_back(piece)] if back else _texts(run)
                continue
            for piece in run.pieces:
                table = piece.table if piece.kind in ("table", "array") else table
                if is_mark(piece):
                    if "gap" in flags and out and not out[-1].strip():
                        out.pop()
                    at_mark = len(out)
                else:
                    out += self._kept_text(piece)
        return out, at_mark == len(out)

    def _comes_back(self, piece: Piece) -> bool:
        if is_root_key(piece):
            return not self._away and piece.path not in self._kept
        if is_inline(piece):
            return not self._edited
        return not is_ours(piece) or self._marked or not self._block

    def _kept_text(self, piece: Piece) -> list[str]:
        if is_ours(piece) and self._marked:
            return []
        if not is_remarked(piece):
            return [piece.text]
        if is_inline(piece):
            return [_plain(piece, without_entry(_value(piece)))] if self._edited else []
        if is_root_key(piece) and self._away:
            return [_plain(piece, _value(piece))]
        return []


def _unhidden(run: _Run, table: Path) -> Iterator[Piece]:
    """The hidden lines as they were; nothing when somebody has changed them into something else."""
    text = "".join(piece.text.removeprefix(HIDDEN) for piece in run.pieces)
    try:
        tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError):
        return
    yield from scan(text, table)


def _texts(run: _Run) -> list[str]:
    return [piece.text for piece in run.pieces]


def _value(piece: Piece) -> str:
    return piece.text[slice(*piece.value)]


def _plain(piece: Piece, value: str) -> str:
    """The line with this value and without our remark."""
    after = piece.text[piece.value[1] :]
    return piece.text[: piece.value[0]] + value + after.replace(REMARK, "").lstrip(" \t")
