"""The recorded turns of this process as the control panel sees them."""

from __future__ import annotations

import asyncio

from codex_nexus.gateway.state import Gateway
from codex_nexus.gateway.trace_view import TraceRow, document, rows


class Records:
    """Implements `control.steering.Records` on a gateway."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway

    @property
    def keep(self) -> int:
        """See `Records`, also for what follows."""
        return self._gateway.traces.keep

    @property
    def switched(self) -> tuple[int, int] | None:
        """See `Traces`."""
        return self._gateway.traces.switched

    @switched.setter
    def switched(self, switched: tuple[int, int]) -> None:
        self._gateway.traces.switched = switched

    async def switch(self, keep: int) -> None:  # noqa: D102
        self._gateway.traces.switch(keep)

    def turns(self) -> list[str]:  # noqa: D102
        return [one.record.id for one in self._gateway.traces.held if one.record is not None]

    async def listed(self) -> list[TraceRow]:  # noqa: D102
        return rows(self._gateway.traces.held, self._gateway.snapshot.secrets())

    async def told(self, name: str, *, words: bool) -> bytes | None:  # noqa: D102
        trace = self._gateway.traces.find(name)
        if trace is None:
            return None
        # a large one takes a moment, in which other turns go on
        return await asyncio.to_thread(document, trace, self._gateway.snapshot.secrets(), words=words)
