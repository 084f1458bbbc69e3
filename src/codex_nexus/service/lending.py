"""Recorded turns of all workers: each lends what it has on record to the first one, which has the panel.

A worker listens on a socket in the folder that all workers of a gateway share and that nobody else may open. How many
turns are to be kept stands in a file of that folder: a worker reads it when it begins, so that it records like the
others from its first turn, and at each wish.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from pathlib import Path

import msgspec
from msgspec import Struct

from codex_nexus.config import file as config_file
from codex_nexus.errors import NexusError
from codex_nexus.gateway.trace_view import TraceRow
from codex_nexus.service.records import Records

log = logging.getLogger("codex_nexus.service")

_LIST_S = 2.0
_ONE_S = 15.0
_FRESH_S = 1.0
_SWITCHED = "recording"
"""The file that tells how recording was switched in the panel."""


class _Wish(Struct):
    """What the first worker asks for: the list, or the turn of this name."""

    name: str = ""
    words: bool = False


class _Lent(Struct):
    turns: list[str]
    rows: list[TraceRow]


class Lender:
    """What this worker has on record, for the first one. Needs a running loop."""

    def __init__(self, records: Records, folder: str, worker: int) -> None:
        self._records = records
        self._folder = Path(folder)
        self._path = self._folder / f"records-{worker}"
        self._server: asyncio.Server | None = None

    async def start(self) -> None:
        """Listens; without it this worker's turns cannot be looked at, and all else goes on."""
        self._path.unlink(missing_ok=True)
        try:
            self._server = await asyncio.start_unix_server(self._serve, self._path)
        except OSError as error:
            log.warning("this worker's recorded turns cannot be shown in the panel: %s", error)
        _switch(self._records, self._folder)  # last: when it is switched from now on, a wish comes

    def close(self) -> None:
        """Lends nothing more."""
        if self._server is not None:
            self._server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            wish = msgspec.json.decode(await reader.readline(), type=_Wish)
            _switch(self._records, self._folder)
            if wish.name:
                writer.write(await self._records.told(wish.name, words=wish.words) or b"")
            else:
                writer.write(msgspec.json.encode(_Lent(self._records.turns(), await self._records.listed())))
            await writer.drain()
        except (OSError, ValueError) as error:
            log.debug("a wish for recorded turns was not served: %r", error)
        finally:
            writer.close()


class Borrower:
    """The recorded turns of all workers, for the panel of the first: see `control.steering.Records`."""

    def __init__(self, own: Records, folder: str) -> None:
        self._own = own
        self._folder = Path(folder)
        self._turns: list[str] = []
        self._looked = 0.0
        self._looking: asyncio.Task[list[TraceRow]] | None = None
        _switch(own, self._folder)

    @property
    def keep(self) -> int:
        """See `Records`, also for what follows."""
        return self._own.keep

    async def switch(self, keep: int) -> None:  # noqa: D102
        await self._own.switch(keep)
        try:
            config_file.write_private(self._folder / _SWITCHED, msgspec.json.encode(self._own.switched))
        except OSError as error:
            said = f"Only this worker was switched; the others cannot be told: {error.strerror or error}."
            raise NexusError(said) from None
        await self.listed()

    def turns(self) -> list[str]:
        """Those of the others as they were a second ago: asking takes a moment, and this is asked for every second."""
        if time.monotonic() - self._looked > _FRESH_S and (self._looking is None or self._looking.done()):
            self._looking = asyncio.create_task(self.listed())
        return [*self._own.turns(), *self._turns]

    async def listed(self) -> list[TraceRow]:  # noqa: D102
        self._looked = time.monotonic()
        names = self._lenders()
        lent = await asyncio.gather(*(self._ask(name, _Wish(), _LIST_S) for name in names))
        rows, turns = await self._own.listed(), list[str]()
        for name, data in zip(names, lent, strict=True):
            if data:
                told = msgspec.json.decode(data, type=_Lent)
                rows += [msgspec.structs.replace(row, id=f"{name}-{row.id}") for row in told.rows]
                turns += told.turns
        self._turns = turns
        return sorted(rows, key=lambda row: row.at)

    async def told(self, name: str, *, words: bool) -> bytes | None:
        """One of them; `1-7` is the seventh turn of worker 1, and `7` that of this one."""
        own = await self._own.told(name, words=words)
        if own is not None:
            return own
        worker, dash, number = name.partition("-")
        if dash:
            return await self._ask(worker, _Wish(number, words), _ONE_S) or None
        for other in self._lenders() if not name.isdigit() else []:
            if data := await self._ask(other, _Wish(name, words), _ONE_S):
                return data
        return None

    def _lenders(self) -> list[str]:
        return sorted(path.name.removeprefix("records-") for path in self._folder.glob("records-*"))

    async def _ask(self, worker: str, wish: _Wish, seconds: float) -> bytes:
        """What a worker says; nothing, when it is dead, busy or not there."""
        if not worker.isdigit():
            return b""
        with contextlib.suppress(OSError, TimeoutError):
            async with asyncio.timeout(seconds):
                reader, writer = await asyncio.open_unix_connection(self._folder / f"records-{worker}")
                try:
                    writer.write(msgspec.json.encode(wish) + b"\n")
                    return await reader.read()
                finally:
                    writer.close()
        return b""


def _switch(records: Records, folder: Path) -> None:
    """Records as many turns as somebody has wished, if anybody has."""
    with contextlib.suppress(OSError, ValueError):
        records.switched = msgspec.json.decode((folder / _SWITCHED).read_bytes(), type=tuple[int, int])
