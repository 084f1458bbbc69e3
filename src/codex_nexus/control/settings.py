"""The user's file as the panel reads and changes it: with a tag, so that two pages cannot overwrite each other."""

from __future__ import annotations

import difflib
import hashlib
import json
import time
from pathlib import Path
from typing import Any, cast

from msgspec import Struct, field

from codex_nexus.config import file as config_file
from codex_nexus.config.model import Config, described, read_config, unknown_providers, written
from codex_nexus.control.masks import masked_urls, restored, shown
from codex_nexus.errors import ConfigError, RequestError
from codex_nexus.providers.catalogue import Catalogue

_CHOICES = ("provider", "api_key", "custom_upstream", "provider_api_keys", "model_routes", "model_overrides")


class Stored(Struct):
    """What stands in the file.

    Attributes:
        broken: why the file cannot be read; empty when it can.
        tag: of these very bytes.
        raw: its object as it was written, with what is wrong in it.
    """

    config: Config
    unknown: dict[str, Any]
    problems: list[str]
    tag: str
    broken: str = ""
    raw: dict[str, Any] = field(default_factory=dict[str, Any])

    @property
    def fresh(self) -> bool:
        """Whether nobody has chosen a provider or given a key yet."""
        values = written(self.config, {})
        return not self.broken and not any(name in values for name in _CHOICES)


def read_stored(home: Path) -> Stored:
    """The file, left where it is even if it is broken."""
    try:
        data = (home / "config.json").read_bytes()
    except FileNotFoundError:
        return Stored(Config(), {}, [], '"none"')
    except OSError as error:
        return Stored(Config(), {}, [], '"unreadable"', f"config.json cannot be read: {error.strerror}.")
    tag = f'"{hashlib.sha256(data).hexdigest()[:20]}"'
    try:
        raw: object = json.loads(data.decode("utf-8-sig"))
    except (ValueError, RecursionError) as error:
        return Stored(Config(), {}, [], tag, f"config.json is no valid JSON: {error}.")
    if not isinstance(raw, dict):
        return Stored(Config(), {}, [], tag, "config.json holds no JSON object.")
    values = cast("dict[str, Any]", raw)
    config, unknown, problems = read_config(values)
    return Stored(config, unknown, problems, tag, raw=values)


def wanted(sent: dict[str, Any], stored: Stored, catalogue: Catalogue) -> Config:
    """The configuration that the page, or the command line, asks for.

    Raises:
        ConfigError: it has problems.
    """
    known = described()
    problems = [f"{key}: there is no such key." for key in sent if key not in known and key not in stored.unknown]
    raw, shortened = restored({key: value for key, value in sent.items() if key in known}, stored.config)
    config, _, wrong = read_config(raw)
    problems += shortened + wrong + unknown_providers(config, catalogue.providers.__contains__)
    if problems:
        raise ConfigError("config.json", problems)
    return config


def check_tag(asked: str | None, stored: Stored) -> None:
    """Lets a change pass that was made on top of what stands in the file, or (None) on top of whatever stands there.

    Raises:
        RequestError: somebody else has changed it since, or the file is broken.
    """
    if stored.broken:
        raise RequestError(f"{stored.broken} Mend the file, or reset it.", status=409, code="config_broken")
    if asked not in (None, "*", stored.tag):
        raise RequestError(
            "The configuration was changed elsewhere since this page read it. Nothing was saved.",
            status=412,
            code="changed_elsewhere",
        )


def set_back(home: Path) -> str:
    """Copies the file to a backup; its name, or empty when there was nothing to keep.

    Raises:
        ConfigError: the backup cannot be written.
    """
    path = home / "config.json"
    stem = f"config.backup-{time.strftime('%Y%m%d-%H%M%S')}"
    name, count = f"{stem}.json", 0
    while path.with_name(name).exists():
        count += 1
        name = f"{stem}-{count}.json"
    try:
        config_file.write_private(path.with_name(name), path.read_bytes())
    except FileNotFoundError:
        return ""
    except OSError as error:
        raise ConfigError(str(path), [f"its backup cannot be written: {error.strerror}."]) from None
    return name


def as_file(config: Config, unknown: dict[str, Any]) -> str:
    """The text of the file with keys masked; values of foreign keys are left out, they may be secrets."""
    masked = shown(config)
    masked |= masked_urls(masked)
    values = {key: masked[key] for key in written(config, {})}
    pools = values.get("provider_api_keys")
    if isinstance(pools, dict):
        values["provider_api_keys"] = {
            name: keys[0] if len(keys) == 1 else keys for name, keys in cast("dict[str, list[str]]", pools).items()
        }
    return json.dumps(values | dict.fromkeys(unknown, "(kept)"), indent=2, ensure_ascii=False) + "\n"


def difference(before: str, after: str) -> str:
    """The lines that change, with all that stay around them."""
    lines = difflib.unified_diff(before.splitlines(), after.splitlines(), lineterm="", n=1000)
    return "\n".join(line for line in lines if not line.startswith(("---", "+++", "@@")))
