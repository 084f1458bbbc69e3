"""Our part, taken out of the text of a `config.toml`; what was hidden comes back, what came later stays."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from itertools import groupby

from msgspec import Struct

from codex_nexus.codex_home.toml_marks import (
    HIDDEN,
    NAMED_BEFORE,
    OURS,
    REMARK,
    Data,
    block,
    flags_of,
    is_hidden,
    is_mark,
    is_ours,
    is_remarked,
    is_root_key,
    mark,
    original_of,
    read,
    rest,
)
from codex_nexus.codex_home.toml_scan import Path, Piece, scan
from codex_nexus.codex_home.toml_write import without_entry
from codex_nexus.codex_home.wish import PROVIDER, Wish


def undone(text: str, *, mend: bool) -> str | None:
    """The text without our part; None when the file was ours and holds nothing else.

    Args:
        text: valid TOML without byte-order mark.
        mend: also take out a `model_provider` that the user pointed at our provider: Codex does not start with a name
            that leads nowhere.
    """
    pieces = scan(text)
    flags = flags_of(pieces)
    out, tail = _Walk(pieces, read(text)).run(flags)
    bare = pieces[-1].kind == "pair" and is_remarked(pieces[-1]) and not pieces[-1].text.endswith("\n")
    if ((tail and "no-newline" in flags) or bare) and out:
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
    return "".join(p.text for p in pieces if p.kind != "pair" or p.path != ("model_provider",))


def adopted(text: str) -> str:
    """The text with our marks put back, where another program has rewritten the file and dropped all comments."""
    data = read(text)
    there = block(data)
    if any(is_mark(piece) or original_of(piece) is not None for piece in scan(text)) or not _looks_ours(there):
        return text
    default = data.get("model_provider") == PROVIDER
    return "".join(_marked_again(piece, default=default) for piece in scan(text))


def _looks_ours(there: Data) -> bool:
    address, token = (str(there.get(key, "")) for key in ("base_url", "experimental_bearer_token"))
    wish = Wish(address=address.removesuffix("/v1"), token=token)
    return token.startswith("nexus-") and all(there.get(key) == value for key, value in wish.fixed().items())


def _marked_again(piece: Piece, *, default: bool) -> str:
    line = piece.text.rstrip("\r\n")
    if piece.kind == "table" and piece.path == OURS:
        return f"{mark(set())}\n{piece.text}"
    if piece.kind == "pair" and (piece.path == OURS or (default and is_root_key(piece))) and not piece.remark:
        return f"{line} {REMARK}{piece.text[len(line) :]}"
    return piece.text


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
        self._others = rest(data, with_root=True).get("model_providers")

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
        return not is_ours(piece) or self._marked or not self._block

    def _kept_text(self, piece: Piece) -> list[str]:
        original = original_of(piece)
        if original is not None:
            return [self._without_entry(piece, original)]
        if is_ours(piece) and (self._marked or is_remarked(piece)):
            return []
        if not is_remarked(piece):
            return [piece.text]
        if is_root_key(piece) and self._away:
            return [_plain(piece, _value(piece), REMARK)]
        return []

    def _without_entry(self, piece: Piece, original: str) -> str:
        """The user's own line, or our copy without our entry when other entries have changed in it."""
        if original and rest(read(original), with_root=True).get("model_providers") == self._others:
            return original
        line = _plain(piece, without_entry(_value(piece)), piece.remark).rstrip()
        return line + piece.text[len(piece.text.rstrip("\r\n")) :]


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


def _plain(piece: Piece, value: str, remark: str) -> str:
    """The line with this value and without our remark."""
    after = piece.text[piece.value[1] :]
    return piece.text[: piece.value[0]] + value + after.replace(remark, "").lstrip(" \t")
