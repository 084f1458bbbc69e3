"""Puts suggested dialect fields into the user's `providers.json`; every other entry stays as it is."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any, cast

from codex_nexus.config.file import write_private
from codex_nexus.errors import ConfigError
from codex_nexus.providers import catalogue
from codex_nexus.wire import codec

Entry = dict[str, Any]


def write(home: Path, provider: str, match: str, dialect: Entry) -> Path:
    """Writes the fields as a rule for models that match, which wins over all shipped rules; gives the file.

    The file is replaced in one step; the version before stays beside it as `providers.json.bak`.

    Raises:
        ConfigError: the file there is wrong, or cannot be written.
    """
    path = home / "providers.json"
    try:
        before = path.read_bytes()
    except FileNotFoundError:
        before = b""
    except OSError as error:
        raise ConfigError(str(path), [f"it cannot be read: {error.strerror}."]) from None
    if before:
        catalogue.read(before, str(path))
    whole = codec.as_object(json.loads(before or "{}")) or {}
    _put(whole, provider, match.lower().replace("[", "[[]"), dialect)
    text = json.dumps(whole, indent=2, ensure_ascii=False).encode() + b"\n"
    catalogue.read(text, str(path))
    try:
        home.mkdir(mode=0o700, parents=True, exist_ok=True)
        if before:
            write_private(path.with_name("providers.json.bak"), before)
        write_private(path, text)
    except OSError as error:
        raise ConfigError(str(path), [f"it cannot be written: {error.strerror}."]) from None
    return path


def _put(whole: Entry, provider: str, match: str, dialect: Entry) -> None:
    record = _entry(whole, "providers", {"id": provider}, "id")
    rule = _entry(record, "rules", {"match": [match], "dialect": {}}, "match")
    rule["dialect"] = {**(codec.as_object(rule.get("dialect")) or {}), **dialect}
    rule["source"] = f"codex-nexus probe, {time.strftime('%Y-%m-%d')}"


def _entry(parent: Entry, name: str, fresh: Entry, key: str) -> Entry:
    """The entry of a list that has the same key as the fresh one, which is added when there is none."""
    entries: list[Any] = parent.setdefault(name, cast("Any", []))
    for entry in map(codec.as_object, entries):
        if entry is not None and entry.get(key) == fresh[key]:
            return entry
    entries.append(fresh)
    return fresh
