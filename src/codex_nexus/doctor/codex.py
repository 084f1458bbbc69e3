"""The user's Codex: the program, what its files say of us, and whether it accepts our model catalogue."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from codex_nexus.codex_home.toml_marks import block, read
from codex_nexus.codex_home.wish import PROFILE, PROVIDER, Refused, Wish
from codex_nexus.doctor.finding import Finding, fault, ok, warning
from codex_nexus.doctor.scene import Scene, environment, execute, throw_away_home
from codex_nexus.wire import codec

OLDEST = (0, 144, 0)
BY_URL = (0, 161, 0)
"""The first version that asks a provider's `model_catalog_url`."""
NEWEST = (0, 169, 0)
_INSTALL = "npm install -g @openai/codex@latest"
_INJECT = "codex-nexus inject"
_FIRST_LINES = 3


async def program(scene: Scene) -> list[Finding]:
    """Codex is there, and of a version that we know."""
    found = scene.program
    if not found.path and found.named:
        sentence = f"CODEX_BIN names '{found.named}', and there is no such program."
        return [warning("codex", sentence, "Set CODEX_BIN to the path of Codex's program, or unset it.")]
    if not found.path:
        sentence = "There is no `codex` on the PATH (the IDE extension and the app bring their own)."
        return [warning("codex", sentence, f"{_INSTALL}, or set CODEX_BIN to the program.")]
    if not found.version:
        return [fault("codex", f"{found.path} does not tell its version: {found.said}.", _INSTALL)]
    return [ok("codex", f"Codex {found.shown} is {found.path}."), _version(found.version, found.shown)]


def _version(version: tuple[int, ...], shown: str) -> Finding:
    if version < OLDEST:
        return warning("codex.version", f"Codex {shown} is older than any that we have tried.", _INSTALL)
    if version < BY_URL:
        sentence = f"Codex {shown} does not ask a provider for its models: it says 'Model metadata not found'."
        return warning("codex.version", sentence, f"{_INSTALL}, or start it with: codex-nexus run -- codex")
    if version > NEWEST:
        sentence = f"Codex {shown} is newer than the newest that we have tried ({_dotted(NEWEST)})."
        return warning("codex.version", sentence, "If something fails, look for a newer Codex Nexus.")
    return ok("codex.version", f"Codex {shown} is a version that we have tried.")


def _dotted(version: tuple[int, ...]) -> str:
    return ".".join(map(str, version))


# --- Codex's files


async def config_toml(scene: Scene) -> list[Finding]:
    """What Codex's own configuration says of us."""
    path = scene.codex_home / "config.toml"
    data, wrong = _toml(path)
    if wrong:
        sentence = f"{path}: {wrong} Codex does not start with it."
        return [fault("codex.config", sentence, f"Edit {path}.")]
    there = block(data)
    chosen = data.get("model_provider")
    if not there:
        return [_absent(path, chosen)]
    drifted = _drift(scene, there)
    if drifted:
        return [fault("codex.config", f"{path} has our provider, but {drifted}.", _INJECT)]
    if chosen == PROVIDER:
        return [ok("codex.config", f"{path} has our provider, and it is Codex's default.")]
    sentence = f"{path} has our provider; Codex's default is {chosen or 'openai'} (use ours: codex -p {PROFILE})."
    return [ok("codex.config", sentence)]


def _absent(path: Path, chosen: object) -> Finding:
    if chosen == PROVIDER:
        sentence = f"{path} chooses {PROVIDER}, but has no such provider: Codex does not start."
        return fault("codex.config", sentence, _INJECT)
    return warning(
        "codex.config", f"{path} does not name this gateway.", f"{_INJECT}, or for one time: codex-nexus run -- codex"
    )


async def profile(scene: Scene) -> list[Finding]:
    """The file behind `codex -p nexus`."""
    path = scene.codex_home / f"{PROFILE}.config.toml"
    data, wrong = _toml(path)
    if wrong:
        return [fault("codex.profile", f"{path}: {wrong}", f"Edit {path}, or: {_INJECT}")]
    if not data:
        sentence = f"There is no profile for `codex -p {PROFILE}`; Codex ignores that flag silently."
        return [warning("codex.profile", sentence, _INJECT)]
    there = block(data)
    drifted = _drift(scene, there) if there else ""
    if drifted or data.get("model_provider") != PROVIDER:
        reason = drifted or "it does not choose our provider"
        return [fault("codex.profile", f"{path} does not lead to this gateway: {reason}.", _INJECT)]
    return [ok("codex.profile", f"`codex -p {PROFILE}` uses this gateway.")]


def _toml(path: Path) -> tuple[dict[str, Any], str]:
    """The document, or what is wrong with it; empty when there is no file."""
    try:
        return read(path.read_bytes().decode("utf-8")), ""
    except FileNotFoundError:
        return {}, ""
    except OSError as error:
        return {}, f"it cannot be read ({error.strerror})."
    except UnicodeDecodeError:
        return {}, "it is no UTF-8 text."
    except Refused as error:
        return {}, error.message.replace(", so it was not touched", "")


def _drift(scene: Scene, there: dict[str, Any]) -> str:
    """How the provider in a file differs from the one that we would write; empty when it does not."""
    token = scene.snapshot.access_token if scene.snapshot is not None else ""
    wanted = Wish(address=scene.address, token=token).fixed()
    if not token or _has_other_credential(there):
        wanted.pop("experimental_bearer_token")
    if scene.config.port == 0:  # the address is known only while it runs
        wanted = {key: value for key, value in wanted.items() if not key.endswith("url")}
    for key, value in wanted.items():
        if there.get(key) == value:
            continue
        if key == "experimental_bearer_token":
            return "its token is not the access_token of config.json"
        return f"its {key} is {there.get(key)!r}, not {value!r}"
    return ""


def _has_other_credential(there: dict[str, Any]) -> bool:
    return bool(there.get("env_key") or there.get("auth"))


async def login(scene: Scene) -> list[Finding]:
    """Codex's own login is no business of ours: it is only named."""
    path = scene.codex_home / "auth.json"
    try:
        held = codec.as_object(json.loads(path.read_bytes())) or {}
    except FileNotFoundError:
        return [ok("codex.login", "Codex has no login; with our provider it needs none.")]
    except (OSError, ValueError):
        return [warning("codex.login", f"{path} cannot be read by Codex.", "codex logout, then codex login")]
    kind = "a ChatGPT login" if held.get("tokens") else "an API key" if held.get("OPENAI_API_KEY") else "no login"
    return [ok("codex.login", f"Codex's auth.json holds {kind}; it stays as it is and is never sent to providers.")]


# --- the catalogue in its hands


async def catalogue(scene: Scene, body: bytes) -> list[Finding]:
    """The installed Codex reads our list of models and gives every one of them back.

    Args:
        scene: with the program.
        body: of the gateway's `GET /v1/models`.
    """
    ours = _slugs(body)
    if not scene.program.path or ours is None or (scene.offline and not ours):
        return []
    if not ours:
        cure = "Start the model server, or name a model in 'model_routes'."
        return [warning("codex.catalogue", "The gateway has no model to list.", cure)]
    with throw_away_home() as home:
        (home / "catalogue.json").write_bytes(body)
        (home / "config.toml").write_text('model_catalog_json = "catalogue.json"\n')
        environ = {**environment(), "CODEX_HOME": str(home)}
        ran = await execute([scene.program.path, "debug", "models"], environ, timeout_s=30, folder=home)
    back = _slugs(ran.output.encode()) if not ran.status else None
    if back is None:
        said = " ".join(ran.complaint.strip().splitlines()[:_FIRST_LINES]) or f"it ended with status {ran.status}"
        sentence = f"Codex {scene.program.shown} does not accept our model catalogue: {said}."
        return [fault("codex.catalogue", sentence, f"{_INSTALL}, or look for a newer Codex Nexus.")]
    lost = [slug for slug in ours if slug not in back]
    if lost:
        sentence = f"Codex {scene.program.shown} does not take over {len(lost)} of our models: {', '.join(lost[:5])}."
        return [fault("codex.catalogue", sentence, _INSTALL)]
    number = "1 model" if len(ours) == 1 else f"all {len(ours)} models"
    return [ok("codex.catalogue", f"Codex {scene.program.shown} accepts {number} of our catalogue.")]


def _slugs(body: bytes) -> list[str] | None:
    try:
        models = codec.as_list((codec.as_object(json.loads(body)) or {}).get("models"))
    except ValueError:
        return None
    return None if models is None else [str(entry["slug"]) for entry in map(codec.as_object, models) if entry]
