"""The life of the services: build everything from the folder, start, wait for the end, stop."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
import time
from collections.abc import Callable
from pathlib import Path
from urllib.parse import unquote, urlsplit

import msgspec

from codex_nexus import snapshot as snapshot_floor
from codex_nexus.config import file as config_file
from codex_nexus.config.model import Config
from codex_nexus.config.secrets import Secret
from codex_nexus.errors import ConfigError, StoreError
from codex_nexus.gateway.guard import is_loopback
from codex_nexus.gateway.state import Gateway
from codex_nexus.service.listener import Listener
from codex_nexus.sessions.sqlite import SqliteStore
from codex_nexus.sessions.store import SessionStore
from codex_nexus.snapshot import Snapshot

log = logging.getLogger("codex_nexus.service")

_PRUNE_EVERY_S = 3600.0
_DAY_S = 86400

Say = Callable[[str], None]


class Overrides(msgspec.Struct, frozen=True):
    """What the command line says over the file."""

    host: str | None = None
    port: int | None = None


class Supervisor:
    """Everything that runs in this process."""

    def __init__(self, home: Path, overrides: Overrides, say: Say) -> None:
        self._home = home
        self._overrides = overrides
        self._say = say
        self._store: SessionStore | None = None
        self._listener: Listener | None = None
        self._pruning: asyncio.Task[None] | None = None

    @property
    def address(self) -> str:
        """The gateway's URL, once started."""
        return self._listener.address if self._listener is not None else ""

    async def start(self) -> None:
        """Builds and starts the services.

        Raises:
            ConfigError: the files are wrong; the message holds every problem.
            NexusError: the address cannot be used.
        """
        snapshot = self.read()
        self._store = self._open_store(snapshot.config)
        self._listener = Listener(
            Gateway(snapshot, self._store, self._home), snapshot.config.host, snapshot.config.port
        )
        await self._listener.start()
        if self._store is not None:
            self._pruning = asyncio.create_task(_prune(self._store, snapshot.config.retention_days))
        self._say(f"[nexus] Codex Nexus running: {self.address}")

    def read(self) -> Snapshot:
        """The snapshot of the files, with the command line over them."""
        loaded = config_file.load(self._home)
        for note in loaded.notes:
            self._say(f"[nexus] {note}")
        if loaded.problems:
            raise ConfigError(str(self._home / "config.json"), loaded.problems)
        config = loaded.config
        if self._overrides.host is not None:
            config = msgspec.structs.replace(config, host=self._overrides.host)
        if self._overrides.port is not None:
            config = msgspec.structs.replace(config, port=self._overrides.port)
        if not config.access_token and not is_loopback_host(config.host):
            config = self._with_token(loaded, config)
        return snapshot_floor.build(config, snapshot_floor.load_catalogue(self._home))

    def _with_token(self, loaded: config_file.LoadedConfig, config: Config) -> Config:
        token = Secret(config_file.new_access_token())
        path = config_file.save(self._home, msgspec.structs.replace(loaded.config, access_token=token), loaded.unknown)
        self._say(f"[nexus] {config.host} is reachable from other machines: callers need the access_token in {path}.")
        return msgspec.structs.replace(config, access_token=token)

    def _open_store(self, config: Config) -> SessionStore | None:
        try:
            return SqliteStore(_store_path(config.store, self._home))
        except StoreError as error:
            self._say(f"[nexus] {error.message} Responses are not stored.")
            return None

    async def run(self) -> None:
        """Runs until SIGINT or SIGTERM, then stops gracefully."""
        await self.start()
        ended = asyncio.Event()
        _on_signals(ended.set)
        await ended.wait()
        self._say("[nexus] Stopping; running answers may finish.")
        await self.stop()

    async def stop(self) -> None:
        """Stops everything, the store last."""
        if self._pruning is not None:
            self._pruning.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._pruning
        if self._listener is not None:
            await self._listener.stop()
        if self._store is not None:
            await self._store.close()


def is_loopback_host(host: str) -> bool:
    """Whether only this machine can reach a listener on that address."""
    return host == "localhost" or (host not in ("", "0.0.0.0", "::") and is_loopback(host))  # noqa: S104


def _store_path(url: str, home: Path) -> Path:
    parts = urlsplit(url)
    if parts.scheme == "sqlite" and parts.path.strip("/"):
        return Path(
            unquote(parts.path.removeprefix("/")) if not parts.path.startswith("//") else unquote(parts.path[1:])
        )
    if parts.scheme.startswith("postgres"):
        raise ConfigError("config.json", ["store: PostgreSQL is not supported by this version; leave it empty."])
    return home / "nexus.db"


def _on_signals(stop: Callable[[], None]) -> None:
    loop = asyncio.get_running_loop()
    for name in ("SIGINT", "SIGTERM"):
        number = getattr(signal, name)
        try:
            loop.add_signal_handler(number, stop)
        except NotImplementedError:  # Windows has no such handlers in the loop
            signal.signal(number, lambda _number, _frame: loop.call_soon_threadsafe(stop) and None)


async def _prune(store: SessionStore, days: int) -> None:
    while days:
        try:
            count = await store.prune(int(time.time()) - days * _DAY_S)
            if count:
                log.info("forgot %d responses older than %d days", count, days)
        except StoreError as error:
            log.warning("old responses cannot be removed: %s", error.message)
        await asyncio.sleep(_PRUNE_EVERY_S)
