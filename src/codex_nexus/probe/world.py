"""The user's files as a snapshot, and the words in which a provider is named on the command line."""

from __future__ import annotations

import difflib
from pathlib import Path

from codex_nexus import snapshot as snapshot_floor
from codex_nexus.config import file as config_file
from codex_nexus.config.model import unknown_providers
from codex_nexus.errors import ConfigError, NoRoute
from codex_nexus.providers.catalogue import ProviderRecord
from codex_nexus.service import logs
from codex_nexus.snapshot import Snapshot


def read(home: Path) -> Snapshot:
    """The snapshot of the files in this folder; nothing is changed there.

    Raises:
        ConfigError: with every problem.
    """
    loaded = config_file.load(home, look_only=True)
    known = snapshot_floor.load_catalogue(home)
    problems = loaded.problems + unknown_providers(loaded.config, known.providers.__contains__)
    if problems:
        raise ConfigError(str(home / "config.json"), problems)
    snapshot = snapshot_floor.build(loaded.config, known)
    logs.never_tell(snapshot.secrets())
    return snapshot


def provider(snapshot: Snapshot, name: str) -> ProviderRecord:
    """The record of a provider that has an address.

    Raises:
        NoRoute: there is none.
    """
    record = snapshot.catalogue.providers.get(name)
    if record is None:
        near = difflib.get_close_matches(name, snapshot.catalogue.providers, n=3, cutoff=0.5)
        hint = f"did you mean {' or '.join(near)}?" if near else f"known are {', '.join(snapshot.catalogue.providers)}."
        raise NoRoute(f"There is no provider '{name}'; {hint}")
    if not record.base_url:
        raise NoRoute(f"The provider '{name}' has no address: set 'custom_upstream' in config.json.")
    if "{" in record.base_url:
        raise NoRoute(
            f"The address {record.base_url} has a blank that you must fill in: "
            f"set 'provider_addresses.{name}' in config.json."
        )
    return record
