"""Our own files: `config.json` and `providers.json`. They are only read; nothing is set aside or mended here."""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path
from typing import Any

from msgspec import Struct

from codex_nexus import snapshot as snapshot_floor
from codex_nexus.config.model import Config, read_config, unknown_providers
from codex_nexus.doctor.finding import Finding, fault, ok, warning
from codex_nexus.doctor.scene import Scene
from codex_nexus.errors import ConfigError
from codex_nexus.providers.catalogue import Catalogue
from codex_nexus.routing import vision_doubt
from codex_nexus.service import logs
from codex_nexus.snapshot import Snapshot
from codex_nexus.wire import codec

_UNREADABLE = "it cannot be read"


class Files(Struct, frozen=True):
    """What the files hold, and what is wrong with them."""

    config: Config
    snapshot: Snapshot | None
    findings: list[Finding]


def read(home: Path) -> Files:
    """Both files, with every problem."""
    config, of_config = _config(home / "config.json")
    catalogue, of_providers = _providers(home / "providers.json")
    if catalogue is not None:
        unknown = unknown_providers(config, catalogue.providers.__contains__)
        of_config += [_problem(home / "config.json", problem) for problem in unknown]
    found = of_config + of_providers
    if catalogue is None or any(finding.state == "fault" for finding in found):
        return Files(config, None, found)
    sentence = f"{home / 'config.json'} is good; the default provider is {config.provider}."
    if not (home / "config.json").exists():
        sentence = f"There is no config.json in {home}: the defaults hold; the provider is {config.provider}."
    snapshot = snapshot_floor.build(config, catalogue)
    logs.never_tell(snapshot.secrets())
    return Files(config, snapshot, [ok("config", sentence), *found, *_vision(snapshot)])


def _vision(snapshot: Snapshot) -> list[Finding]:
    doubt = vision_doubt(snapshot)
    cure = "Set 'vision_model' to a provider/model that takes images, and give its provider a key; or take it out."
    return [warning("config.vision", doubt, cure)] if doubt else []


def _config(path: Path) -> tuple[Config, list[Finding]]:
    raw, problem = _json_object(path)
    if raw is None:
        return Config(), [_problem(path, problem)] if problem else []
    config, unknown, problems = read_config(raw)
    findings = [_problem(path, text) for text in problems]
    if unknown:
        names = ", ".join(unknown)
        findings.append(
            warning("config", f"This version does not know these keys: {names}.", f"Look for a slip in {path}.")
        )
    return config, findings


def _json_object(path: Path) -> tuple[dict[str, Any] | None, str]:
    """The object in the file, or what is wrong with it; neither when there is no file."""
    try:
        value: object = json.loads(path.read_bytes().decode("utf-8-sig"))
    except FileNotFoundError:
        return None, ""
    except OSError as error:
        return None, f"{_UNREADABLE}: {error.strerror}."
    except json.JSONDecodeError as error:
        return None, f"line {error.lineno}, column {error.colno}: no valid JSON ({error.msg})."
    except (ValueError, RecursionError):
        return None, "it is no valid JSON in UTF-8."
    found = codec.as_object(value)
    return found, "" if found is not None else "it holds no JSON object."


def _problem(path: Path, problem: str) -> Finding:
    cure = f"Make it a file that you can read: {path}." if problem.startswith(_UNREADABLE) else f"Edit {path}."
    return fault("config", f"{path.name}: {problem}", cure)


def _providers(path: Path) -> tuple[Catalogue | None, list[Finding]]:
    try:
        catalogue = snapshot_floor.load_catalogue(path.parent)
    except ConfigError as error:
        return None, [fault("providers", f"{path.name}: {text}", f"Edit {path}.") for text in error.problems]
    if not path.exists():
        return catalogue, []
    return catalogue, [ok("providers", f"{path} is good; {len(catalogue.providers)} providers are known.")]


async def mode(scene: Scene) -> list[Finding]:
    """Only its owner may read the file with the keys."""
    try:
        bits = stat.S_IMODE(scene.file.stat().st_mode)
    except OSError:
        return []
    if os.name == "nt" or not bits & 0o077:
        return [ok("config.mode", "Only you can read config.json.")]
    sentence = f"Other users of this machine may read config.json, where keys stand (mode {bits:04o})."
    return [warning("config.mode", sentence, f"chmod 600 {scene.file}")]
