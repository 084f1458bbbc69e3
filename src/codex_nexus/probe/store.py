"""Puts suggested dialect fields into the user's `providers.json`; every other entry stays as it is."""

from __future__ import annotations

import json
import re
import time
from pathlib import Path
from typing import Any, cast

from codex_nexus.config.file import write_private
from codex_nexus.errors import ConfigError
from codex_nexus.probe.fields import Fields, difference, laid_over
from codex_nexus.providers import catalogue
from codex_nexus.wire import codec

Entry = dict[str, Any]


def write(home: Path, provider: str, match: str, model: str, dialect: Fields) -> Path:
    """Writes the fields as a rule for models that match, so that they hold for this model; gives the file.

    A rule for all models stands before the user's rules for some. Where one of these says otherwise for this model,
    the fields go into a rule for this very model as well. The file is replaced in one step; the version before stays
    beside it as `providers.json.bak`.

    Raises:
        ConfigError: the file there is wrong, or cannot be written.
    """
    path = home / "providers.json"
    before = _read(path)
    if before:
        catalogue.read(before, str(path))
    whole = codec.as_object(json.loads(before or "{}")) or {}
    exact = model.lower().replace("[", "[[]")
    _put(whole, provider, "*" if match == "*" else exact, dialect)
    text = _written(whole, before)
    if _lacks(text, path, provider, model, dialect):
        _put(whole, provider, exact, dialect)
        text = _written(whole, before)
    catalogue.read(text, str(path))
    try:
        home.mkdir(mode=0o700, parents=True, exist_ok=True)
        if before:
            write_private(path.with_name("providers.json.bak"), before)
        write_private(path, text)
    except OSError as error:
        raise ConfigError(str(path), [f"it cannot be written: {error.strerror}."]) from None
    return path


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return b""
    except OSError as error:
        raise ConfigError(str(path), [f"it cannot be read: {error.strerror}."]) from None


def _written(whole: Entry, before: bytes) -> bytes:
    """The file with the indentation that it had."""
    found = re.search(rb'\n([ \t]+)"', before)
    indent = found[1].decode() if found else 2
    return json.dumps(whole, indent=indent, ensure_ascii=False).encode() + b"\n"


def _lacks(text: bytes, path: Path, provider: str, model: str, dialect: Fields) -> bool:
    """Whether another rule of the file still says something else for this model."""
    known = catalogue.merged(catalogue.shipped(), catalogue.read(text, str(path))).dialect(provider, model)
    return bool(difference(known, laid_over(known, dialect)))


def _put(whole: Entry, provider: str, match: str, dialect: Fields) -> None:
    """The fields in the rule with this match: a new one for all models comes first, one for a model comes last."""
    record = _entry(whole, "providers", provider)
    rules: list[Any] = record.setdefault("rules", cast("Any", []))
    known = [rule for rule in map(codec.as_object, rules) if rule is not None and rule.get("match") == [match]]
    rule: Entry = known[-1] if known else {"match": [match], "dialect": {}}
    rule["dialect"] = {**(codec.as_object(rule.get("dialect")) or {}), **dialect}
    rule["source"] = f"codex-nexus probe, {time.strftime('%Y-%m-%d')}"
    if match != "*":
        rules[:] = [*(other for other in rules if other is not rule), rule]
    elif not known:
        rules.insert(0, rule)


def _entry(whole: Entry, name: str, provider: str) -> Entry:
    """The provider's entry, which is added when there is none."""
    entries: list[Any] = whole.setdefault(name, cast("Any", []))
    for entry in map(codec.as_object, entries):
        if entry is not None and entry.get("id") == provider:
            return entry
    fresh: Entry = {"id": provider}
    entries.append(fresh)
    return fresh
