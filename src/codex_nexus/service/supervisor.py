"""The life of the services: build everything from the folder, start, wait for the end, stop."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable, Coroutine, Mapping
from pathlib import Path
from typing import Any, TypeVar

from codex_nexus.config import file as config_file
from codex_nexus.config.model import Config
from codex_nexus.control.settings import read_stored
from codex_nexus.control.steering import Book
from codex_nexus.errors import NexusError, StoreError
from codex_nexus.gateway.metrics import SHARED
from codex_nexus.gateway.state import Gateway
from codex_nexus.service import codex, logs
from codex_nexus.service.crew import First, Other
from codex_nexus.service.files import Files, Overrides, Say
from codex_nexus.service.helm import Helm
from codex_nexus.service.lending import Borrower
from codex_nexus.service.listener import Listener
from codex_nexus.service.panel import Panel, panel_port
from codex_nexus.service.program import first_words
from codex_nexus.service.records import Records
from codex_nexus.service.signals import HANGUP, on_ending, on_hangup
from codex_nexus.service.tending import close_later, count, end_with_parent, tend
from codex_nexus.sessions.opening import open_store
from codex_nexus.sessions.store import SessionStore
from codex_nexus.snapshot import Snapshot

T = TypeVar("T")


class Supervisor:
    """Everything that runs in this process."""

    def __init__(self, home: Path, overrides: Overrides, say: Say) -> None:
        self.home = home
        self.started_at = time.time()
        self.applied = Config()
        """The configuration as the file has it, without what the command line says over it."""
        self._overrides = overrides
        self._files = Files(home, overrides, say)
        self._say = say
        self._gateway: Gateway | None = None
        self._listener: Listener | None = None
        self._panel: Panel | None = None
        self._crew: First | Other | None = None
        self._background: set[asyncio.Task[Any]] = set()
        self._changing = asyncio.Lock()
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
    def overridden(self) -> Mapping[str, Any]:
        """The keys that the command line sets over the file."""
        return self._overrides.said

    @property
    def book(self) -> Book:
        """The turns: of this process, or of all workers."""
        return self._crew.book if self._crew is not None else self.gateway.traffic

    @property
    def records(self) -> Records | Borrower:
        """The recorded turns: of this process, or of all workers."""
        return self._crew.records if self._crew is not None else Records(self.gateway)

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
        self.applied, snapshot = self._files.read()
        logs.never_tell(snapshot.secrets())
        self._gateway = Gateway(snapshot, await asyncio.to_thread(self._open_store, snapshot.config), self.home)
        await self._join_workers(self._gateway)
        self._spawn(tend(self._gateway, lambda: self._open_store(self.gateway.snapshot.config, quiet=True)))
        self._spawn(count(self._gateway, warns=self._overrides.worker == 0))
        if snapshot.config.autostart_nexus or self._overrides.socket is not None:
            await self.open_gateway()
        else:
            self._say("[nexus] The gateway waits ('autostart_nexus' is false): start it in the control panel.")
        if self._overrides.panel and self._overrides.worker == 0:
            await self._open_panel(panel_port(snapshot.config.port))
            for line in first_words(fresh=read_stored(self.home).fresh):
                self._say(line)

    async def _join_workers(self, gateway: Gateway) -> None:
        end, worker = self._overrides.news, self._overrides.worker
        if end is None:
            return
        folder = os.environ[SHARED]
        self._crew = Other(gateway, worker, end, folder) if worker else First(gateway, end, folder)
        await self._crew.start()

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
            where = f"it stays at {before.address}" if before is not None else "the gateway runs without a panel"
            self._say(f"[web] Control panel: {error.message} So {where}.")
            return
        self._panel = panel
        if before is not None:
            self._spawn(before.retire())
        self._say(f"[web] Control panel: {panel.address}")

    async def _tell_codex(self) -> None:
        """Brings Codex's configuration up to date, where that is wanted."""
        snapshot = self.gateway.snapshot
        if self._listener is not None and self._files.injects(snapshot.config):
            await asyncio.to_thread(codex.at_start, snapshot, self.home, self._listener.port, self._say)

    async def _listening(self, config: Config) -> Listener:
        listener = Listener(self.gateway, config.host, config.port, self._overrides.socket)
        await listener.start()
        return listener

    async def _beside(self, was: Listener, config: Config) -> Listener:
        """A listener at a new place. On the same port the one before must let go first; it comes back if in vain."""
        if was.port != config.port:
            return await self._listening(config)
        await was.pause()
        try:
            return await self._listening(config)
        except NexusError:
            await was.resume()
            raise

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
        """Hot restart: builds the new world, starts it, saves, swaps; running streams finish on the old one.

        It is done to its end also when nobody waits for it any more: half of it would be a gateway without a port.

        Raises:
            ConfigError, NexusError: nothing was changed, the old world goes on; the message says why.
        """
        await asyncio.shield(self._spawn(self._apply(config, unknown)))

    async def _apply(self, config: Config, unknown: dict[str, Any]) -> None:
        async with self._changing:
            config = self._files.with_token(config)
            new = self._files.built(config)
            await self._take_over(config, new, lambda: config_file.save(self.home, config, unknown))
        self._say(f"[nexus] Configuration applied: {self.address}")
        self._tell_workers()
        await self._tell_codex()

    def _tell_workers(self) -> None:
        """The other workers, if there are any, are to read the files again."""
        if self._overrides.socket is not None and HANGUP is not None:
            os.kill(os.getppid(), HANGUP)

    async def reload(self) -> None:
        """Takes over what stands in the files; what is wrong with them is told, and nothing changes."""
        try:
            await self._take_files()
        except NexusError as error:
            self._say(f"[nexus] {error.message} Nothing was changed; the gateway runs on as before.")

    async def reload_all(self) -> bool:
        """Takes over what stands in the files, in all workers; whether it differed. Raises as `apply` does."""
        changed = await asyncio.shield(self._spawn(self._take_files()))  # done to its end, like `apply`
        self._tell_workers()
        return changed

    async def _take_files(self) -> bool:
        async with self._changing:
            config, new = await asyncio.to_thread(self._files.read, look_only=True)
            if new == self.gateway.snapshot:
                self.applied = config  # what the command line says over the file may differ
                return False
            await self._take_over(config, new)
        self._say(f"[nexus] Configuration read again: {self.address}")
        await self._tell_codex()
        return True

    async def _take_over(self, config: Config, new: Snapshot, save: Callable[[], Any] = lambda: None) -> None:
        logs.never_tell(new.secrets())
        old, was = self.gateway.snapshot, self._listener
        moved = was is not None and _place(new.config) != _place(old.config)
        listener = was
        if moved and was is not None:
            listener = await self._beside(was, new.config)
        store = self.gateway.store
        if new.config.store != old.config.store:
            store = await asyncio.to_thread(self._open_store, new.config)
        try:
            save()
        except NexusError:
            if listener is not None and was is not None and moved:
                await listener.discard()
                await was.resume()
            if store is not None and store is not self.gateway.store:
                await store.close()
            raise
        self.gateway.snapshot, self._listener, self.applied = new, listener, config
        replaced, self.gateway.store = self.gateway.store, store
        if moved and was is not None:
            self._spawn(was.retire())
        if self._overrides.panel and self._overrides.worker == 0 and new.config.port != old.config.port:
            await self._open_panel(panel_port(new.config.port))
        if replaced is not None and replaced is not store:
            self._spawn(close_later(replaced, self.gateway))

    def shut_down(self) -> None:
        """Asks `run` to end, gracefully."""
        self._ended.set()

    async def run(self) -> None:
        """Runs until SIGINT, SIGTERM or `shut_down`, then stops gracefully; SIGHUP reads the files again."""
        on_ending(self.shut_down)
        if self._overrides.socket is not None:
            self._spawn(end_with_parent(self.shut_down))
        await self.start()
        on_hangup(lambda: self._spawn(self.reload()), self.shut_down)
        await self._ended.wait()
        self._say("[nexus] Stopping; running answers may finish.")
        await self.stop()

    async def stop(self) -> None:
        """Stops everything, the panel first, the store last."""
        if self._panel is not None:
            await self._panel.stop()
        if self._listener is not None:
            await self._listener.stop()
        if self._crew is not None:
            self._crew.close()
        tasks = list(self._background)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if self._gateway is not None:
            await self._gateway.close()
            if self._gateway.store is not None:
                await self._gateway.store.close()

    def _spawn(self, work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        task = asyncio.create_task(work)
        self._background.add(task)
        task.add_done_callback(self._background.discard)
        return task


def _place(config: Config) -> tuple[str, int]:
    return config.host, config.port
