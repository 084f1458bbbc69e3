"""From the user's files and the command line to the snapshot that is served; makes the access token where one is due.

Starts nothing and listens nowhere.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from codex_nexus import snapshot as snapshot_floor
from codex_nexus.codex_home.inject import codex_lives_here
from codex_nexus.config import file as config_file
from codex_nexus.config.model import Config, unknown_providers
from codex_nexus.config.secrets import Secret
from codex_nexus.errors import ConfigError
from codex_nexus.gateway.guard import is_loopback
from codex_nexus.snapshot import Snapshot

Say = Callable[[str], None]


class Overrides(msgspec.Struct, frozen=True):
    """What the command line says over the file."""

    host: str | None = None
    port: int | None = None
    panel: bool = True
    """Whether the control panel is opened."""
    inject: bool = False
    """Whether Codex's configuration may be brought up to date at start."""
    socket: int | None = None
    """A listening socket to take over: this is one of several workers."""
    worker: int = 0
    """Its number; only the first has the panel and speaks to the user."""
    news: int | None = None
    """The end of the workers' news channel that this worker holds; see `service.news`."""

    @property
    def said(self) -> dict[str, Any]:
        """The keys of the configuration that the command line sets."""
        both = {"host": self.host, "port": self.port}
        return {name: value for name, value in both.items() if value is not None}


class Files:
    """The files of one folder, with the command line over them."""

    def __init__(self, home: Path, overrides: Overrides, say: Say) -> None:
        self.home = home
        self._overrides = overrides
        self._say = say

    def read(self, *, look_only: bool = False) -> tuple[Config, Snapshot]:
        """The configuration as the file has it, and the snapshot of it with the command line over it.

        Args:
            look_only: leave a file that is no JSON where it is, and call it a problem; otherwise it is set aside.

        Raises:
            ConfigError: with every problem.
        """
        loaded = config_file.load(self.home, look_only=look_only)
        for note in loaded.notes:
            self._say(f"[nexus] {note}")
        known = snapshot_floor.load_catalogue(self.home).providers
        problems = loaded.problems + unknown_providers(loaded.config, known.__contains__)
        if problems:
            raise ConfigError(str(self.home / "config.json"), problems)
        config = self._with_saved_token(loaded.config, loaded.unknown)
        return config, self.built(config)

    def built(self, config: Config) -> Snapshot:
        """The snapshot of a configuration, with the command line over it.

        Raises:
            ConfigError: the providers' file is wrong.
        """
        return snapshot_floor.build(self._over(config), snapshot_floor.load_catalogue(self.home))

    def with_token(self, config: Config) -> Config:
        """The same configuration, with a fresh access token if it needs one and has none."""
        if not self._needs_token(self._over(config)):
            return config
        return msgspec.structs.replace(config, access_token=Secret(config_file.new_access_token()))

    def injects(self, config: Config) -> bool:
        """Whether Codex's configuration is to be brought up to date."""
        return self._overrides.inject and config.codex_config_auto and codex_lives_here()

    def _over(self, config: Config) -> Config:
        return msgspec.structs.replace(config, **self._overrides.said)

    def _needs_token(self, config: Config) -> bool:
        return not config.access_token and (not is_loopback_host(config.host) or self.injects(config))

    def _with_saved_token(self, config: Config, unknown: dict[str, Any]) -> Config:
        """A token that is made at the start stands in the file before anybody is asked for it."""
        settled = self.with_token(config)
        if settled is config:
            return config
        host = self._over(config).host
        try:
            path = config_file.save(self.home, settled, unknown)
        except ConfigError:
            if is_loopback_host(host):
                return config  # nobody is asked for a token here; Codex's configuration stays as it is
            raise
        if not is_loopback_host(host):
            self._say(f"[nexus] {host} is reachable from other machines: callers need access_token in {path}.")
        return settled


def is_loopback_host(host: str) -> bool:
    """Whether only this machine can reach a listener on that address."""
    return host == "localhost" or (host not in ("", "0.0.0.0", "::") and is_loopback(host))  # noqa: S104
