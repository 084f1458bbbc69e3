"""How our lines in a `config.toml` are told from the user's, and how the user's are hidden in place."""

from __future__ import annotations

import json
import re
import tomllib
from typing import Any, cast
from urllib.parse import quote

from codex_nexus.codex_home.toml_scan import Path, Piece
from codex_nexus.codex_home.wish import PROVIDER, Refused

PROVIDERS: Path = ("model_providers",)
OURS: Path = ("model_providers", PROVIDER)
ROOT_KEYS: tuple[Path, ...] = (("model",), ("model_provider",))
MARK = "# codex-nexus: written by Codex Nexus; `codex-nexus eject` takes it away"
REMARK = "# codex-nexus: eject takes this line away"
HIDDEN = "#codex-nexus was# "
REPLACED = "# codex-nexus: eject puts the old line back"
_WAS = " was# "
BOM = "\ufeff"
MADE_FOLDER = "made-folder"
NAMED_BEFORE = "named-before"
_MODEL = "model="
_PLACE = re.compile(r"\(at line (\d+), column (\d+)\)")

Data = dict[str, Any]


def is_marked(text: str) -> bool:
    """Whether something of ours stands in the text."""
    return any(sign in text for sign in (MARK, REMARK, REPLACED, HIDDEN))


def mark(flags: set[str]) -> str:
    """The comment above our table; the flags are what undoing must know."""
    return MARK + _shown(flags)


def replaced(original: str, flags: set[str]) -> str:
    """The remark behind a line of the user that we replaced by a copy with our entry."""
    return f"{REPLACED}{_shown(flags)}{_WAS}{json.dumps(original, ensure_ascii=False)}"


def _shown(flags: set[str]) -> str:
    return f" ({', '.join(sorted(flags))})" if flags else ""


def flags_of(pieces: list[Piece]) -> set[str]:
    """What undoing must know, from the comment above our table or from the remark behind our copy."""
    said = next((piece.text.strip() for piece in pieces if is_mark(piece)), "")
    said = said or next((piece.remark for piece in pieces if original_of(piece) is not None), "").partition(_WAS)[0]
    inside = said.removeprefix(MARK).removeprefix(REPLACED).strip(" ()")
    return set(inside.split(", ")) if inside else set()


def model_flag(model: str) -> str:
    """The flag that remembers which model we wrote, so that one that was picked since is told from it."""
    return _MODEL + quote(model, safe="/:")


def is_as_written(model: str, pieces: list[Piece]) -> bool:
    """Whether this model is the one that we wrote, not one that was picked since."""
    return model_flag(model) in flags_of(pieces)


def original_of(piece: Piece) -> str | None:
    """The line of the user that this copy of ours stands for; None: it is no copy of ours."""
    if not is_inline(piece) or not piece.remark.startswith(REPLACED):
        return None
    try:
        text = json.loads(piece.remark.partition(_WAS)[2])
        tomllib.loads(text)
    except (TypeError, ValueError, RecursionError):
        return ""
    return str(text)


def is_mark(piece: Piece) -> bool:
    """Whether this is the comment above our provider."""
    return piece.kind == "comment" and piece.text.lstrip().startswith(MARK)


def is_hidden(piece: Piece) -> bool:
    """Whether this is a line of the user that had to step aside."""
    return piece.kind == "comment" and piece.text.startswith(HIDDEN)


def is_ours(piece: Piece) -> bool:
    """Whether this is a header or pair of the provider with our id, in whatever style."""
    return piece.path[:2] == OURS


def is_root_key(piece: Piece) -> bool:
    """Whether this is the root's `model` or `model_provider`."""
    return piece.kind == "pair" and piece.path in ROOT_KEYS


def is_remarked(piece: Piece) -> bool:
    """Whether this line says that it is ours."""
    return piece.kind == "pair" and piece.remark == REMARK


def is_inline(piece: Piece) -> bool:
    """Whether this is `model_providers = { ... }`."""
    return piece.kind == "pair" and piece.path == PROVIDERS


def hide(text: str) -> str:
    """Whole lines as comments."""
    return "".join(HIDDEN + line for line in re.findall(r"[^\n]*\n|[^\n]+\Z", text))


def read(text: str) -> Data:
    """The parsed document.

    Raises:
        Refused: it is not valid TOML; the message names line and column.
    """
    body = text.removeprefix(BOM)
    try:
        return tomllib.loads(body, parse_float=str)
    except tomllib.TOMLDecodeError as error:
        found = _PLACE.search(str(error))
        line, column = found.groups() if found else (body.count("\n") + 1, 1)
        what = str(error).partition(" (at ")[0]
        raise Refused(f"line {line}, column {column}: no valid TOML ({what}), so it was not touched.") from None
    except RecursionError:
        raise Refused("it is nested too deeply to be edited, so it was not touched.") from None


def block(data: Data) -> Data:
    """Our provider in a parsed document; empty when there is none."""
    providers = data.get("model_providers")
    found = cast("Data", providers).get(PROVIDER) if isinstance(providers, dict) else None
    return cast("Data", found) if isinstance(found, dict) else {}


def rest(data: Data, *, with_root: bool) -> Data:
    """A document without our provider, and without the two root keys unless asked for."""
    kept = {key: value for key, value in data.items() if with_root or (key,) not in ROOT_KEYS}
    providers = kept.get("model_providers")
    if isinstance(providers, dict):
        others = {key: value for key, value in cast("Data", providers).items() if key != PROVIDER}
        kept["model_providers"] = others
        if not others:
            del kept["model_providers"]
    return kept
