"""The supervisor as the control panel sees it: what may be known and done, in the panel's own words."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from codex_nexus import snapshot as snapshot_floor
from codex_nexus.budgets import Used
from codex_nexus.codex_home import config_toml
from codex_nexus.codex_home import inject as codex_files
from codex_nexus.codex_home.wish import PROVIDER, Refused
from codex_nexus.config import file as config_file
from codex_nexus.config.model import Config
from codex_nexus.config.secrets import Secret
from codex_nexus.control.steering import Book, Injection, LocalServer, Planned, ProbedModel, Records, Way
from codex_nexus.errors import ConfigError, NexusError
from codex_nexus.gateway.local import scan
from codex_nexus.gateway.offered import offered
from codex_nexus.gateway.replies import UpstreamError
from codex_nexus.gateway.road import road_to
from codex_nexus.routing import Caller, Listed
from codex_nexus.service import codex
from codex_nexus.service.program import codex_is_found, own_command
from codex_nexus.sessions.store import StoreState
from codex_nexus.sessions.usage import Usage
from codex_nexus.snapshot import Snapshot

if TYPE_CHECKING:
    from codex_nexus.service.supervisor import Supervisor

_OWNER = Caller(owner=True)


class Helm:
    """Implements `control.steering.Steering` on a supervisor."""

    def __init__(self, supervisor: Supervisor) -> None:
        self._supervisor = supervisor

    @property
    def home(self) -> Path:
        """See `Steering`, also for what follows."""
        return self._supervisor.home

    @property
    def started_at(self) -> float:  # noqa: D102
        return self._supervisor.started_at

    @property
    def address(self) -> str:  # noqa: D102
        return self._supervisor.address

    @property
    def panel_address(self) -> str:  # noqa: D102
        return self._supervisor.panel_address

    @property
    def snapshot(self) -> Snapshot:  # noqa: D102
        return self._supervisor.gateway.snapshot

    @property
    def applied(self) -> Config:  # noqa: D102
        return self._supervisor.applied

    @property
    def overridden(self) -> Mapping[str, Any]:  # noqa: D102
        return self._supervisor.overridden

    @property
    def command(self) -> str:  # noqa: D102
        return own_command()

    @property
    def codex_found(self) -> bool:  # noqa: D102
        return codex_is_found()

    @property
    def book(self) -> Book:  # noqa: D102
        return self._supervisor.book

    @property
    def records(self) -> Records:  # noqa: D102
        return self._supervisor.records

    async def open_gateway(self) -> None:  # noqa: D102
        await self._supervisor.open_gateway()

    async def apply(self, config: Config, unknown: dict[str, Any]) -> None:  # noqa: D102
        await self._supervisor.apply(config, unknown)

    async def reload(self) -> bool:  # noqa: D102
        return await self._supervisor.reload_all()

    def shut_down(self) -> None:  # noqa: D102
        self._supervisor.shut_down()

    async def models(self, provider: str, snapshot: Snapshot) -> tuple[ProbedModel, ...]:  # noqa: D102
        gateway = self._supervisor.gateway
        try:
            found = await gateway.listings.fetch(provider, snapshot, _OWNER)
        except UpstreamError as error:
            raise NexusError(error.fault.message, status=502, type="upstream_error", code=error.fault.kind) from None
        models = offered(snapshot.catalogue.providers[provider], found, snapshot, gateway.learned)
        return tuple(
            ProbedModel(
                model.id, model.name, model.context_window, model.at_most, model.max_output, model.images, model.price
            )
            for model in models
            if model.listed
        )

    def way(self, provider: str, snapshot: Snapshot) -> Way:  # noqa: D102
        road = road_to(provider, snapshot)
        return Way(road.why, road.place, road.shown)

    async def local(self) -> tuple[LocalServer, ...]:  # noqa: D102
        found = await scan(self._supervisor.gateway.listings, self.snapshot)
        return tuple(
            LocalServer(
                one.record.id,
                one.record.name,
                one.record.base_url,
                tuple(model.id for model in one.models),
                one.usual,
                one.refusal,
                one.hint,
                one.wants_key,
            )
            for one in found
        )

    async def store(self) -> StoreState:  # noqa: D102
        return await self._supervisor.gateway.store_state()

    async def usage(self, days: int) -> Usage:  # noqa: D102
        gateway = self._supervisor.gateway
        return await gateway.usage.since(gateway.store, days)

    def used_today(self) -> Used:  # noqa: D102
        return self._supervisor.gateway.usage.today()

    def listed(self) -> Listed:  # noqa: D102
        return self._supervisor.gateway.listings.known()

    # --- Codex

    def injection(self) -> Injection:  # noqa: D102
        path = codex.place_of(self.home).config
        try:
            data = config_toml.read(path.read_text("utf-8"))
        except FileNotFoundError:
            said = "" if path.parent.is_dir() else f"There is no {path.parent}: Codex has not been used here yet."
            return Injection("absent", str(path), said)
        except Refused as error:
            return Injection("unreadable", str(path), error.message)
        except (OSError, UnicodeDecodeError) as error:
            return Injection("unreadable", str(path), f"It cannot be read: {error}.")
        if not config_toml.block(data):
            return Injection("absent", str(path))
        return Injection("default" if data.get("model_provider") == PROVIDER else "present", str(path))

    def planned(self, config: Config) -> Planned:  # noqa: D102
        place = codex.place_of(self.home)
        token = config.access_token or self.applied.access_token or Secret("(made when it is written)")
        world = snapshot_floor.build(
            msgspec.structs.replace(config, access_token=token, **self.overridden), self.snapshot.catalogue
        )
        try:
            changes = codex_files.apply(place, codex.wish_of(world, self._port(world.config)), create=True, dry=True)
        except ConfigError as error:
            return Planned(str(place.config), said=codex.one_line(error))
        diff = "\n".join(change.diff for change in changes if change.path == place.config)
        return Planned(str(place.config), diff, bool(diff))

    def _port(self, config: Config) -> int:
        return config.port or self._supervisor.port

    async def inject(self) -> str:  # noqa: D102
        if not self.applied.access_token:
            stored = config_file.load(self.home)
            token = Secret(config_file.new_access_token())
            await self.apply(msgspec.structs.replace(self.applied, access_token=token), stored.unknown)
        if not self.snapshot.access_token:
            raise ConfigError("config.json", ["access_token: the reference leads to no token."])
        place = codex.place_of(self.home)
        wish = msgspec.structs.replace(codex.wish_of(self.snapshot, self._port(self.snapshot.config)), insist=True)
        changes = await asyncio.to_thread(codex_files.apply, place, wish, create=True)
        return _changed(changes, "Written", f"Our part already stands in {place.config}.")

    async def eject(self) -> str:  # noqa: D102
        place = codex.place_of(self.home)
        done = await asyncio.to_thread(codex_files.eject, place)
        if done.problems:
            raise NexusError(codex.one_line(done.problems[0]), status=409, type="invalid_request_error")
        said = _changed(done.changes, "Taken away", f"Nothing of ours stands in {place.folder}.")
        return " ".join((said, *done.notes))


def _changed(changes: list[codex_files.Change], done: str, nothing: str) -> str:
    paths = ", ".join(str(change.path) for change in changes)
    return f"{done}: {paths}." if changes else nothing
