"""The life of the services: build everything from the folder, start, wait for the end, stop."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import time
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import msgspec

from codex_nexus import snapshot as snapshot_floor
from codex_nexus.codex_home.inject import codex_lives_here
from codex_nexus.config import file as config_file
from codex_nexus.config.model import Config, unknown_providers
from codex_nexus.config.secrets import Secret
from codex_nexus.errors import ConfigError, NexusError, StoreError
from codex_nexus.gateway.guard import is_loopback
from codex_nexus.gateway.state import Gateway
from codex_nexus.service import codex
from codex_nexus.service.helm import Helm
from codex_nexus.service.listener import Listener
from codex_nexus.service.panel import Panel, panel_port
from codex_nexus.service.tending import end_with_parent, tend
from codex_nexus.sessions.opening import open_store
from codex_nexus.sessions.store import SessionStore
from codex_nexus.snapshot import Snapshot

log = logging.getLogger("codex_nexus.service")

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


class Supervisor:
    """Everything that runs in this process."""

    def __init__(self, home: Path, overrides: Overrides, say: Say) -> None:
        self.home = home
        self.started_at = time.time()
        self.applied = Config()
        """The configuration as the file has it, without what the command line says over it."""
        self._overrides = overrides
        self._say = say
        self._gateway: Gateway | None = None
        self._listener: Listener | None = None
        self._panel: Panel | None = None
        self._background: set[asyncio.Task[None]] = set()
        self._ended = asyncio.Event()

    @property
    def address(self) -> str:
        """The gateway's URL, once started."""
        return self._listener.address if self._listener is not None else ""

    @property
    def port(self) -> int:
        """The gateway's port, once started; 0 before."""
        return self._listener.port if self._listener is not None else 0

    @property
    def panel_address(self) -> str:
        """The panel's URL; empty when its port was taken."""
        return self._panel.address if self._panel is not None else ""

    @property
    def overridden(self) -> dict[str, Any]:
        """The keys that the command line sets over the file."""
        said = {"host": self._overrides.host, "port": self._overrides.port}
        return {name: value for name, value in said.items() if value is not None}

    @property
    def gateway(self) -> Gateway:
        """What serves the API port, once started."""
        if self._gateway is None:
            raise RuntimeError("not started")
        return self._gateway

    async def start(self) -> None:
        """Builds and starts the services.

        Raises:
            ConfigError: the files are wrong; the message holds every problem.
            NexusError: the address cannot be used.
        """
        snapshot = self.read()
        self._gateway = Gateway(snapshot, await asyncio.to_thread(self._open_store, snapshot.config), self.home)
        self._spawn(tend(self._gateway, lambda: self._open_store(self.gateway.snapshot.config, quiet=True)))
        if snapshot.config.autostart_nexus:
            await self.open_gateway()
        else:
            self._say("[nexus] The gateway waits ('autostart_nexus' is false): start it in the control panel.")
        if self._overrides.panel and self._overrides.worker == 0:
            await self._open_panel(panel_port(snapshot.config.port))

    async def open_gateway(self) -> None:
        """Starts the gateway, unless it is started.

        Raises:
            NexusError: the address cannot be used.
        """
        if self._listener is not None:
            return
        self._listener = await self._listening(self.gateway.snapshot.config)
        self._say(f"[nexus] Codex Nexus running: {self.address}")
        await self._tell_codex()

    async def _open_panel(self, port: int) -> None:
        """Starts the panel, or another in place of the one before; the gateway is worth more than its panel."""
        before, panel = self._panel, Panel(Helm(self), port)
        try:
            await panel.start()
        except NexusError as error:
            where = f"it stays at {before.address}" if before is not None else "there is none now"
            self._say(f"[web] Control panel: {error.message} So {where}.")
            return
        self._panel = panel
        if before is not None:
            self._spawn(before.retire())
        self._say(f"[web] Control panel: {panel.address}")

    async def _tell_codex(self) -> None:
        """Brings Codex's configuration up to date, where that is wanted."""
        snapshot = self.gateway.snapshot
        if self._listener is not None and self._injects(snapshot.config):
            await asyncio.to_thread(codex.at_start, snapshot, self.home, self._listener.port, self._say)

    def _injects(self, config: Config) -> bool:
        return self._overrides.inject and config.codex_config_auto and codex_lives_here()

    async def _listening(self, config: Config) -> Listener:
        listener = Listener(self.gateway, config.host, config.port, self._overrides.socket)
        await listener.start()
        return listener

    def read(self) -> Snapshot:
        """The snapshot of the files, with the command line over them.

        Raises:
            ConfigError: with every problem.
        """
        loaded = config_file.load(self.home)
        for note in loaded.notes:
            self._say(f"[nexus] {note}")
        known = snapshot_floor.load_catalogue(self.home).providers
        problems = loaded.problems + unknown_providers(loaded.config, known.__contains__)
        if problems:
            raise ConfigError(str(self.home / "config.json"), problems)
        snapshot = self._built(loaded.config, loaded.unknown)
        self.applied = _with_token_of(snapshot, loaded.config)
        return snapshot

    def _built(self, config: Config, unknown: dict[str, Any]) -> Snapshot:
        config = msgspec.structs.replace(config, **self.overridden)
        if self._needs_token(config):
            config = self._with_token(config, unknown)
        return snapshot_floor.build(config, snapshot_floor.load_catalogue(self.home))

    def _needs_token(self, config: Config) -> bool:
        return not config.access_token and (not is_loopback_host(config.host) or self._injects(config))

    def _with_token(self, config: Config, unknown: dict[str, Any]) -> Config:
        token = Secret(config_file.new_access_token())
        written = config_file.load(self.home).config
        try:
            path = config_file.save(self.home, msgspec.structs.replace(written, access_token=token), unknown)
        except ConfigError:
            if is_loopback_host(config.host):
                return config  # nobody is asked for a token here; Codex's configuration stays as it is
            raise
        if not is_loopback_host(config.host):
            self._say(f"[nexus] {config.host} is reachable from other machines: callers need access_token in {path}.")
        return msgspec.structs.replace(config, access_token=token)

    def _open_store(self, config: Config, *, quiet: bool = False) -> SessionStore | None:
        try:
            return open_store(config.store, self.home)
        except StoreError as error:
            if self._gateway is not None:
                self._gateway.store_trouble = error.message
            if not quiet:
                self._say(f"[nexus] {error.message} Responses are not stored until it can be.")
            return None

    async def apply(self, config: Config, unknown: dict[str, Any]) -> None:
        """Hot restart: builds the new world, starts it, swaps, saves; running streams finish on the old one.

        Raises:
            ConfigError, NexusError: nothing was changed, the old world goes on; the message says why.
        """
        old, was = self.gateway.snapshot, self._listener
        if self._needs_token(msgspec.structs.replace(config, **self.overridden)):
            config = msgspec.structs.replace(config, access_token=Secret(config_file.new_access_token()))
        new = self._built(config, unknown)
        moved = was is not None and _place(new.config) != _place(old.config)
        listener = await self._listening(new.config) if moved else was
        store = self.gateway.store
        if new.config.store != old.config.store:
            store = await asyncio.to_thread(self._open_store, new.config)
        try:
            config_file.save(self.home, config, unknown)
        except ConfigError:
            if moved and listener is not None:
                await listener.stop()
            raise
        self.gateway.snapshot, self._listener, self.applied = new, listener, config
        replaced, self.gateway.store = self.gateway.store, store
        if moved and was is not None:
            self._spawn(was.retire())
        if new.config.port != old.config.port:
            await self._open_panel(panel_port(new.config.port))
        if replaced is not None and replaced is not store:
            self._spawn(_close_later(replaced, self.gateway))
        self._say(f"[nexus] Configuration applied: {self.address}")
        if self._overrides.socket is not None:
            os.kill(os.getppid(), signal.SIGHUP)  # the other workers
        await self._tell_codex()

    async def reload(self) -> None:
        """Takes over what another worker has applied; what is wrong with the files is told, and nothing changes."""
        try:
            old, new = self.gateway.snapshot, self.read()
        except NexusError as error:
            self._say(f"[nexus] {error.message}")
            return
        self.gateway.snapshot = new
        if new.config.store != old.config.store:
            replaced, self.gateway.store = self.gateway.store, await asyncio.to_thread(self._open_store, new.config)
            if replaced is not None:
                self._spawn(_close_later(replaced, self.gateway))

    def shut_down(self) -> None:
        """Asks `run` to end, gracefully."""
        self._ended.set()

    async def run(self) -> None:
        """Runs until SIGINT, SIGTERM or `shut_down`, then stops gracefully."""
        _on_signals(self.shut_down)
        if self._overrides.socket is not None:
            asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, lambda: self._spawn(self.reload()))
            self._spawn(end_with_parent(self.shut_down))
        await self.start()
        await self._ended.wait()
        self._say("[nexus] Stopping; running answers may finish.")
        await self.stop()

    async def stop(self) -> None:
        """Stops everything, the panel first, the store last."""
        if self._panel is not None:
            await self._panel.stop()
        if self._listener is not None:
            await self._listener.stop()
        for task in list(self._background):
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
        if self._gateway is not None:
            await self._gateway.close()
            if self._gateway.store is not None:
                await self._gateway.store.close()

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._background.add(task)
        task.add_done_callback(self._background.discard)


def _place(config: Config) -> tuple[str, int]:
    return config.host, config.port


def _with_token_of(snapshot: Snapshot, config: Config) -> Config:
    """The configuration with the access token that was made for the snapshot, so that the next save keeps it."""
    return config if config.access_token else msgspec.structs.replace(config, access_token=snapshot.config.access_token)


async def _close_later(store: SessionStore, gateway: Gateway) -> None:
    """Closes a store that was replaced, once the turns that may still write to it are over."""
    running = gateway.watch.running()
    while any(not turn.closed for turn in running):  # noqa: ASYNC110 - once in the life of a store
        await asyncio.sleep(1)
    await store.close()


def is_loopback_host(host: str) -> bool:
    """Whether only this machine can reach a listener on that address."""
    return host == "localhost" or (host not in ("", "0.0.0.0", "::") and is_loopback(host))  # noqa: S104


def _on_signals(stop: Callable[[], None]) -> None:
    loop = asyncio.get_running_loop()
    for name in ("SIGINT", "SIGTERM"):
        number = getattr(signal, name)
        try:
            loop.add_signal_handler(number, stop)
        except NotImplementedError:  # Windows has no such handlers in the loop
            signal.signal(number, lambda _number, _frame: loop.call_soon_threadsafe(stop) and None)
