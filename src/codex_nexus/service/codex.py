"""The gateway's part in the user's Codex: what it wishes for, at start and by the verbs `inject` and `eject`."""

from __future__ import annotations

import http.client
import json
import logging
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

import msgspec

from codex_nexus.codex_home import inject as codex_files
from codex_nexus.codex_home.inject import Change, Place, codex_folder
from codex_nexus.codex_home.wish import Wish
from codex_nexus.config import file as config_file
from codex_nexus.config.secrets import Secret
from codex_nexus.errors import ConfigError, NexusError
from codex_nexus.snapshot import Snapshot, build, load_catalogue

log = logging.getLogger("codex_nexus.service")

_PATIENCE_S = 1.0
_HISTORY = (
    "The gateway is Codex's default now. Codex lists threads by provider: earlier ones are out of its list until the "
    "default is given back (codex-nexus eject). Nothing is lost."
)

Say = Callable[[str], None]


def default_model(snapshot: Snapshot) -> str:
    """The model that a default asks for, the catalogue's first; empty when only the provider's own list knows."""
    routed = next(iter(snapshot.config.model_routes), "")
    return routed or snapshot.catalogue.providers[snapshot.config.provider].default_model


def local_address(host: str, port: int) -> str:
    """The gateway's URL for a client on this machine."""
    host = {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 - compared, not bound
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def alive(address: str) -> bool:
    """Whether a Codex Nexus answers there. No proxy is asked."""
    try:
        parts = urlsplit(address)
        connection = http.client.HTTPConnection(parts.hostname or "", parts.port or 80, timeout=_PATIENCE_S)
        try:
            connection.request("GET", "/healthz")
            return bool(json.loads(connection.getresponse().read(4096)).get("name") == "codex-nexus")
        finally:
            connection.close()
    except (OSError, ValueError, AttributeError, http.client.HTTPException):
        return False


def at_start(snapshot: Snapshot, home: Path, port: int, say: Say) -> None:
    """Brings Codex's configuration up to date: silent when it is, one line otherwise. Nothing here stops a gateway."""
    try:
        _bring_up_to_date(snapshot, home, port, say)
    except NexusError as error:
        say(f"[nexus] Codex's configuration stays as it is. {one_line(error)}")
    except Exception as error:  # the gateway is worth more than its entry in Codex's configuration
        log.exception("a fault while Codex's configuration was written")
        say(f"[nexus] Codex's configuration stays as it is: {error!r}.")


def _bring_up_to_date(snapshot: Snapshot, home: Path, port: int, say: Say) -> None:
    place = place_of(home)
    if not place.folder.exists():
        return
    if not snapshot.access_token:
        say("[nexus] Codex's configuration stays as it is: 'access_token' in config.json gives no token.")
        return
    wish = wish_of(snapshot, port)
    there = codex_files.points_at(place)
    if there and there != wish.address and alive(there):
        say(f"[nexus] Codex uses another Codex Nexus, at {there}, and keeps it; `codex-nexus inject` changes that.")
        return
    changes = codex_files.apply(place, wish)
    if changes:
        paths = ", ".join(str(change.path) for change in changes)
        say(f"[nexus] Codex's configuration was brought up to date: {paths}. Undo: codex-nexus eject")
    if _switches(changes, place):
        say(f"[nexus] {_HISTORY}")


def place_of(home: Path) -> Place:
    """The Codex home of this user, with our folder for its backups."""
    return Place(codex_folder(), home / "backups")


def wish_of(snapshot: Snapshot, port: int) -> Wish:
    """Our part for a gateway of this configuration that listens on this port."""
    config = snapshot.config
    return Wish(
        address=local_address(config.host, port),
        token=snapshot.access_token,
        model=default_model(snapshot),
        switch_default=config.codex_config_switch_default,
        auth_json=config.codex_auth_json,
    )


def one_line(error: NexusError) -> str:
    """The message of an error in one line."""
    return f"{error.source}: {' '.join(error.problems)}" if isinstance(error, ConfigError) else error.message


def inject(home: Path, say: Say, *, dry: bool, switch_default: bool) -> None:
    """The verb `inject`.

    Raises:
        NexusError: it cannot be done; the message says why.
    """
    snapshot, fresh = _settled(home, dry=dry, switch_default=switch_default)
    if not snapshot.config.port:
        raise ConfigError(str(home / "config.json"), ["port: with 0 nobody can know where the gateway will be."])
    wish = msgspec.structs.replace(wish_of(snapshot, snapshot.config.port), insist=True)
    place = place_of(home)
    changes = codex_files.apply(place, wish, create=True, dry=dry)
    _show(changes, say)
    if _switches(changes, place):
        say(_HISTORY)
    if dry:
        say("Nothing was written (--dry-run)." if changes else "Nothing would change.")
    elif changes:
        before = f" What was there before: {place.backups}." if place.backups and place.backups.exists() else ""
        say(f"Written.{before} Undo: codex-nexus eject")
    else:
        say(f"Nothing to do: our part already stands in {place.config}.")
    if fresh and not dry and alive(wish.address):
        say("An access token was made; restart the gateway, so that it knows it.")


def _switches(changes: list[Change], place: Place) -> bool:
    """Whether Codex's default provider becomes another one; the profile always names ours."""
    lines = [line for change in changes if change.path == place.config for line in change.diff.splitlines()]
    return any(line.startswith("+model_provider =") for line in lines)


def _settled(home: Path, *, dry: bool, switch_default: bool) -> tuple[Snapshot, bool]:
    """The configuration with a token, and whether the token is new."""
    loaded = config_file.load(home)
    if loaded.problems:
        raise ConfigError(str(home / "config.json"), loaded.problems)
    config = loaded.config
    fresh = not config.access_token
    if fresh:
        config = msgspec.structs.replace(config, access_token=Secret(config_file.new_access_token()))
    if switch_default:
        config = msgspec.structs.replace(config, codex_config_switch_default=True)
    snapshot = build(config, load_catalogue(home))
    if not snapshot.access_token:
        raise ConfigError(str(home / "config.json"), ["access_token: the reference leads to no token."])
    if not dry and config != loaded.config:
        config_file.save(home, config, loaded.unknown)
    return snapshot, fresh


def eject(home: Path, say: Say) -> int:
    """The verb `eject`: needs no gateway and no configuration. Gives the exit code."""
    folder = codex_folder()
    done = codex_files.eject(Place(folder, home / "backups" if home.is_dir() else None))
    _show(done.changes, say)
    for note in done.notes:
        say(note)
    for problem in done.problems:
        say(f"Not taken away: {one_line(problem)}")
    if done.changes:
        say("Taken away. A gateway that starts writes it again, unless 'codex_config_auto' is false.")
    elif not done.problems:
        say(f"Nothing to do: nothing of ours stands in {folder}.")
    return 1 if done.problems else 0


def _show(changes: list[Change], say: Say) -> None:
    for change in changes:
        say(f"{change.path}\n{change.diff}")
