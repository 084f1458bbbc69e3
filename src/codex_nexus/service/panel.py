"""The panel's own listener: on loopback, always, one port above the gateway's."""

from __future__ import annotations

import asyncio
import errno
from typing import Any

from aiohttp import web

from codex_nexus.control.app import make_app
from codex_nexus.control.steering import Steering
from codex_nexus.errors import NexusError
from codex_nexus.gateway.refusals import Refusals
from codex_nexus.service.holder import holder_of
from codex_nexus.service.runner import Runner

HOST = "127.0.0.1"
_FAREWELL_S = 1.0
_GOODBYE_S = 15.0
"""How long the port before stays open after a move, so that an open page learns where to go."""


def panel_port(gateway_port: int) -> int:
    """The panel's port for a gateway's; 0: any."""
    return gateway_port + 1 if gateway_port else 0


class Panel:
    """The control panel's port."""

    def __init__(self, steering: Steering, port: int) -> None:
        self._port = port
        self._runner = Runner(make_app(steering), Refusals().note, shutdown_timeout=_FAREWELL_S)

    @property
    def address(self) -> str:
        """The URL to show to people."""
        addresses: list[Any] = self._runner.addresses
        return f"http://{HOST}:{addresses[0][1] if addresses else self._port}"

    async def start(self) -> None:
        """Begins to listen.

        Raises:
            NexusError: the port cannot be used; the message says what to do.
        """
        await self._runner.setup()
        try:
            await web.TCPSite(self._runner, HOST, self._port).start()
        except OSError as error:
            await self._runner.cleanup()
            why = f"cannot be used ({error.strerror or error})"
            if error.errno == errno.EADDRINUSE:
                holder = await asyncio.to_thread(holder_of, self._port)
                why = f"is taken by {holder}" if holder else "is taken"
            raise NexusError(
                f"Port {self._port} {why}; the panel takes the one above the gateway's ('port')."
            ) from None

    async def stop(self) -> None:
        """Ends every page's stream and stops."""
        await self._runner.cleanup()

    async def retire(self) -> None:
        """Stops after a while: another port has taken over, and open pages must hear of it."""
        try:
            await asyncio.sleep(_GOODBYE_S)
        finally:
            await self._runner.cleanup()
