"""Our part of a `config.toml`: written into the text of the file, and taken away again byte for byte.

Two kinds of edits exist: whole lines of ours, told by a remark or by the table that they belong to, and lines of the
user that must step aside, hidden where they stand behind `#codex-nexus was# `. Nothing is remembered elsewhere, and
no end mark is needed: Codex rewrites this file too, and what it adds between or after our lines stays.
"""

from __future__ import annotations

import contextlib
import difflib

from msgspec import Struct

from codex_nexus.codex_home.toml_marks import (
    BOM,
    MADE_FOLDER,
    NAMED_BEFORE,
    Data,
    block,
    flags_of,
    is_as_written,
    is_hidden,
    is_mark,
    is_marked,
    is_remarked,
    is_root_key,
    original_of,
    read,
    rest,
)
from codex_nexus.codex_home.toml_scan import Piece, scan
from codex_nexus.codex_home.toml_undo import adopted, undone
from codex_nexus.codex_home.toml_write import Carried, built, carried
from codex_nexus.codex_home.wish import PROVIDER, Refused, Wish, masked


class Plan(Struct, frozen=True):
    """What a text becomes.

    Attributes:
        diff: to be read by a person; tokens are masked.
    """

    text: str
    diff: str
    changed: bool


def plan(text: str | None, wish: Wish, *, made_folder: bool = False) -> Plan:
    """The text with our part in it.

    Args:
        text: of the file, with its own line ends and byte-order mark; None: there is no file.
        wish: the content of our part.
        made_folder: the folder of the file is made by us as well; the text remembers it.

    Raises:
        Refused: the text is not valid TOML, or cannot be edited without harm.
    """
    body = adopted((text or "").removeprefix(BOM))
    data, pieces = read(body), scan(body)
    marked = is_marked(body)
    if marked and _satisfied(pieces, data, wish) and text and text.endswith(body):
        return Plan(text or "", "", changed=False)
    base = undone(body, mend=False) if marked else None if text is None else body
    flags = flags_of(pieces) & {MADE_FOLDER, NAMED_BEFORE}
    flags |= {name for name, true in _flags(data, base, marked=marked, made_folder=made_folder).items() if true}
    after = built(base or "", wish, carried(body) if marked else Carried(), flags)
    _verify(base or "", after, wish)
    after = (BOM if (text or "").startswith(BOM) else "") + after
    return Plan(after, difference(text or "", after), changed=after != text)


def undo(text: str) -> str | None:
    """The text without our part; None when the file itself was ours and holds nothing else.

    Raises:
        Refused: the text is not valid TOML, or our part cannot be taken out without harm.
    """
    body = text.removeprefix(BOM)
    with contextlib.suppress(Refused):
        body = adopted(body)
    if not is_marked(body):
        return text
    data = read(body)
    after = undone(body, mend=True)
    if rest(read(after or ""), with_root=False) != rest(data, with_root=False):
        raise Refused("our part cannot be told from yours any more; delete the lines with 'codex-nexus' by hand.")
    return None if after is None else (BOM if text.startswith(BOM) else "") + after


def made_folder(text: str) -> bool:
    """Whether the text remembers that its folder was made by us."""
    return MADE_FOLDER in flags_of(scan(text.removeprefix(BOM)))


def address_in(text: str) -> str:
    """The gateway that the provider in this text points at; empty when there is none."""
    url = block(read(text)).get("base_url")
    return url.rstrip("/").removesuffix("/v1") if isinstance(url, str) else ""


def token_in(text: str) -> str:
    """The access token in our part of this text; empty when there is none."""
    token = block(read(text)).get("experimental_bearer_token")
    return token if isinstance(token, str) else ""


def is_stranded(text: str) -> bool:
    """Whether the text names our provider without defining it."""
    data = read(text)
    return data.get("model_provider") == PROVIDER and not block(data)


def difference(before: str, after: str) -> str:
    """The changed lines with what stands around them, tokens masked."""
    texts = [text.removeprefix(BOM).replace("\r\n", "\n").removesuffix("\n") for text in (before, after)]
    old, new = [text.split("\n") if text else [] for text in texts]
    lines = difflib.unified_diff(old, new, lineterm="", n=2)
    return masked("\n".join(list(lines)[2:]))


def _flags(data: Data, base: str | None, *, marked: bool, made_folder: bool) -> dict[str, bool]:
    stranded = not marked and data.get("model_provider") == PROVIDER and not block(data)
    return {"new-file": base is None, MADE_FOLDER: made_folder, NAMED_BEFORE: stranded}


def _satisfied(pieces: list[Piece], data: Data, wish: Wish) -> bool:
    there = block(data)
    marked = any(is_mark(piece) or original_of(piece) for piece in pieces)
    if not marked or any(there.get(key) != value for key, value in wish.fixed().items()):
        return False
    if any(key not in there for key in wish.tunable()):
        return False
    switched = any(is_root_key(piece) and is_remarked(piece) for piece in pieces)
    if not wish.switch_default:
        return not switched
    if switched and _is_stale(pieces, data, wish):
        return False
    return data.get("model_provider") == PROVIDER or (switched and not wish.insist)


def _is_stale(pieces: list[Piece], data: Data, wish: Wish) -> bool:
    """Whether our model stands there as we wrote it, while another is wished for now."""
    ours = any(is_remarked(piece) and piece.path == ("model",) for piece in pieces)
    there = str(data.get("model", "")) if ours else ""
    return data.get("model_provider") == PROVIDER and there != wish.model and is_as_written(there, pieces)


def _verify(base: str, after: str, wish: Wish) -> None:
    """Everything that is not ours says what it said before, and ours says what it should."""
    before, now = read(base), read(after)
    same = rest(before, with_root=not wish.switch_default) == rest(now, with_root=not wish.switch_default)
    there = block(now)
    if not same or any(there.get(key) != value for key, value in wish.fixed().items()):
        raise Refused("it cannot be edited without changing other settings, so it was not touched.")
    line = _endangered(after)
    if line:
        raise Refused(
            f"the provider '{PROVIDER}' that stands there by hand cannot step aside: a comment above the inline table "
            f"'{line}' would make Codex spoil the file. Take that provider out, or move it."
        )


def _endangered(text: str) -> str:
    """An inline table with a comment of ours above it: Codex takes that comment along into `[...]` when it writes."""
    near = False
    for piece in scan(text):
        if piece.kind == "comment":
            near = near or is_hidden(piece) or is_mark(piece)
        elif piece.kind != "blank":
            if near and piece.kind == "pair" and piece.text[piece.value[0]] == "{":
                return ".".join(piece.path)
            near = False
    return ""
