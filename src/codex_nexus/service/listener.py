"""One listening address and what is behind it: started, drained, stopped."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import socket
from typing import Any

from aiohttp import ClientSession, ClientTimeout, web

from codex_nexus.errors import NexusError
from codex_nexus.gateway.app import make_app
from codex_nexus.gateway.live import Watched
from codex_nexus.gateway.state import Gateway
from codex_nexus.service.holder import holder_of
from codex_nexus.service.runner import Runner

DRAIN_S = 10.0
_FAREWELL_S = 2.0
_LONGEST_TURN_S = 7200.0


class Listener:
    """The API port."""

    def __init__(self, gateway: Gateway, host: str, port: int, shared: int | None = None) -> None:
        self._gateway = gateway
        self._host = host
        self._port = port
        self._shared = shared
        """A listening socket of the parent, in the place of one of our own."""
        self._runner = Runner(
            make_app(gateway),
            gateway.refusals.note,
            auto_decompress=False,
            keepalive_timeout=75.0,
            shutdown_timeout=_FAREWELL_S,
        )
        self._site: web.TCPSite | web.SockSite | None = None

    @property
    def address(self) -> str:
        """The URL to show to people."""
        return f"http://{_shown(self._host)}:{self.port}"

    @property
    def port(self) -> int:
        """The port that is really listened on (it differs when 0 was asked for)."""
        addresses: list[Any] = self._runner.addresses
        return int(addresses[0][1]) if addresses else self._port

    async def start(self) -> None:
        """Begins to listen.

        Raises:
            NexusError: the address is taken or cannot be used; the message says what to do.
        """
        await self._runner.setup()
        try:
            await self.resume()
        except OSError as error:
            await self._runner.cleanup()
            raise NexusError(await self._why(error)) from None

    async def pause(self) -> None:
        """Takes no more callers; the turns that run go on."""
        site, self._site = self._site, None
        if site is not None:
            await site.stop()

    async def resume(self) -> None:
        """Takes callers, at first or again; nothing happens when it does.

        Raises:
            OSError: the address cannot be used.
        """
        if self._site is not None:
            return
        if self._shared is not None:
            site = web.SockSite(self._runner, socket.socket(fileno=os.dup(self._shared)), backlog=1024)
        else:
            site = web.TCPSite(self._runner, self._host, self._port, backlog=1024)
        await site.start()
        self._site = site

    async def discard(self) -> None:
        """Ends at once: the place that it was meant for is not taken after all."""
        await self.pause()
        await self._runner.cleanup()

    async def _why(self, error: OSError) -> str:
        where = f"{_shown(self._host)}:{self._port}"
        if error.errno == errno.EADDRINUSE:
            ours = await _is_us(self._host, self._port)
            holder = await asyncio.to_thread(holder_of, self._port)
            who = "Codex Nexus already runs there" if ours else "another program holds it"
            who += f" ({holder})" if holder else ""
            panel = f" Its control panel is usually at http://127.0.0.1:{self._port + 1}." if ours else ""
            cure = "Stop it, or choose another with --port or 'port' in config.json."
            return f"Port {self._port} is taken: {who}. {cure}{panel}"
        # since Python 3.13 asyncio goes over an address that is not there, and its own complaint has no number
        nowhere = error.errno == errno.EADDRNOTAVAIL or error.errno is None
        if isinstance(error, socket.gaierror) or nowhere:
            return f"'{self._host}' is no address of this machine; set --host or 'host' in config.json."
        if error.errno == errno.EACCES:
            return f"This user may not listen on {where}; choose a port above 1023."
        return f"Cannot listen on {where}: {error.strerror or error}."

    async def stop(self) -> None:
        """Takes no more callers, lets running turns finish for a while, ends the others properly."""
        await self.pause()
        await _over(self._gateway.watch.running(), DRAIN_S)
        late = self._gateway.watch.running()
        for turn in late:
            turn.stop("shutdown")
        await _over(late, _FAREWELL_S)
        await self._runner.cleanup()

    async def retire(self) -> None:
        """Another listener has taken over: takes no more callers and ends when the last running turn has."""
        await self.pause()
        await _over(self._gateway.watch.running(), _LONGEST_TURN_S)
        await self._runner.cleanup()


async def _over(turns: list[Watched], seconds: float) -> None:
    deadline = asyncio.get_running_loop().time() + seconds
    while any(not turn.closed for turn in turns) and asyncio.get_running_loop().time() < deadline:  # noqa: ASYNC110
        await asyncio.sleep(0.05)


def _shown(host: str) -> str:
    return f"[{host}]" if ":" in host else host


async def _is_us(host: str, port: int) -> bool:
    local = "127.0.0.1" if host in ("0.0.0.0", "::", "") else host  # noqa: S104 - compared, not bound
    with contextlib.suppress(Exception):
        url = f"http://{_shown(local)}:{port}/healthz"
        async with ClientSession(timeout=ClientTimeout(total=1)) as session, session.get(url) as response:
            return (await response.json()).get("name") == "codex-nexus"
    return False
