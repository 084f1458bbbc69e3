"""The road to providers: keys in turn, retries, repairs and fallbacks before the first byte.

After the first byte of an answer nothing is tried again: what the client has seen must not be said twice. Of the
loops the outermost holds a turn while everybody says "too many requests", the next one changes the provider, then the
words, the inner ones key and attempt.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

import aiohttp
import msgspec
from msgspec import Struct

from codex_nexus.config.model import Retry
from codex_nexus.gateway.connections import Connections
from codex_nexus.gateway.exchange import ask, teller
from codex_nexus.gateway.judgement import Asking, BegunWithFault, Opened, Wire
from codex_nexus.gateway.keyring import OTHER_KEY, Keyring
from codex_nexus.gateway.learned import Learned
from codex_nexus.gateway.replies import UpstreamError
from codex_nexus.gateway.trace import Trace
from codex_nexus.routing import Destination, Route
from codex_nexus.snapshot import Snapshot
from codex_nexus.translate.faults import Fault
from codex_nexus.translate.healing import described, healed, says_the_same
from codex_nexus.translate.usage import fills

log = logging.getLogger("codex_nexus.upstream")

_SAME_AGAIN = {"server", "unreachable", "timeout"}
_OTHER_PROVIDER = _SAME_AGAIN | OTHER_KEY
_LONGEST_DELAY_S = 8.0
_OVERFULL = 1.25
"""An estimate above this share of the window is sure enough to refuse a prompt that its server would cut in silence."""

_REPAIRS = 4
"""A server may refuse one thing after another; each refusal costs a round trip, none costs tokens."""

Body = Callable[[Destination], bytes]


class _Call(Struct, frozen=True):
    """What is the same for every destination; see `Upstream.open`."""

    body: Body
    snapshot: Snapshot
    wire: Wire | None
    repairs: int
    trace: Trace | None


class Upstream:
    """The way to all providers. One for the life of the process."""

    def __init__(self, learned: Learned | None = None) -> None:
        self._learned = learned or Learned(None)
        self._connections = Connections()
        self._keyring = Keyring()

    async def close(self) -> None:
        """Closes every connection."""
        await self._connections.close()

    def session(self, provider_id: str, snapshot: Snapshot) -> aiohttp.ClientSession:
        """The HTTP client for this provider, for requests of another kind.

        Raises:
            UpstreamError: a SOCKS proxy is configured and cannot be used.
        """
        return self._connections.session(provider_id, snapshot)

    async def open(
        self,
        route: Route,
        body: Body,
        snapshot: Snapshot,
        wire: Wire | None = None,
        repairs: int = _REPAIRS,
        *,
        trace: Trace | None = None,
    ) -> Opened:
        """The first answer that any destination of the route begins. A short limit of requests is waited for.

        Args:
            route: where to go.
            body: makes the body for a destination.
            snapshot: keys, timeouts and proxies.
            wire: the endpoint to use whatever the dialect says; None: as it says.
            repairs: how often a refused request may be said in other words.
            trace: where each request is recorded, if anywhere.

        Raises:
            UpstreamError: none did; the fault is the last one.
        """
        call, attempt = _Call(body, snapshot, wire, repairs, trace), 1
        while True:
            try:
                return await self._first(route, call)
            except UpstreamError as error:
                wait = _delay(error.fault, attempt, snapshot.config.retry)
                if error.fault.kind != "rate_limit" or wait is None:
                    if isinstance(error, BegunWithFault):
                        return error.opened
                    raise
                log.warning("%s failed (%s), asking again in %.1f s", error.upstream, error.fault.message, wait)
            await asyncio.sleep(wait)
            attempt += 1

    async def _first(self, route: Route, call: _Call) -> Opened:
        """One destination after the other, as long as another one may help."""
        fault = Fault("server", "No provider was asked.")
        for n, destination in enumerate(route.destinations):
            try:
                return await self._healing(destination, call)
            except UpstreamError as error:
                fault, error.upstream = error.fault, destination.name
                if n == len(route.destinations) - 1 or fault.kind not in _OTHER_PROVIDER:
                    raise
                log.warning(
                    "%s failed (%s), trying %s", destination.name, fault.message, route.destinations[n + 1].name
                )
        raise UpstreamError(fault)

    async def _healing(self, destination: Destination, call: _Call) -> Opened:
        """Asks, and asks in other words as long as a refusal says which words it wants; these are remembered."""
        spoken = self._learned.applied(destination) if call.repairs else destination
        heals: list[str] = []
        left = call.repairs
        asking = self._asking(spoken, call)
        while True:
            try:
                opened = await self._with_keys(asking)
            except UpstreamError as error:
                self._learned.learn_window(destination.name, error.fault)
                heal = error.fault.heal
                if heal is None or not left or (says_the_same(heal) and heal in heals):
                    raise
                again, steps = self._repaired(asking, heal, call.body)
                if again is None:
                    raise
                asking = again
                log.warning("%s refused (%s); trying again: %s", destination.name, error.fault.message, described(heal))
                heals += [heal] * steps
                left -= 1
            else:
                self._learned.learn_repairs(destination, heals)
                return opened

    def _asking(self, destination: Destination, call: _Call) -> Asking:
        """What to ask.

        Raises:
            UpstreamError: the prompt is too long for a server that would cut it without a word.
        """
        body, window = call.body(destination), destination.dialect.context_window
        # Not what was learned: who enlarges a window of their own server could never show it again.
        if destination.dialect.silent_overflow and fills(body, window, _OVERFULL):
            text = f"the conversation does not fit into the {window} tokens that {destination.model} holds."
            raise UpstreamError(Fault("context_length_exceeded", teller(destination, call.snapshot)(text)))
        window = self._learned.window(destination.name) or window
        return Asking(destination, body, call.snapshot, call.wire, window, trace=call.trace)

    def _repaired(self, asking: Asking, heal: str, body: Body) -> tuple[Asking | None, int]:
        """The same in the words that this heal asks for, in so many steps; None when nothing would change."""
        destination, steps = asking.destination, 0
        while (dialect := healed(destination.dialect, heal)) is not None:
            steps += 1
            if says_the_same(heal):
                return msgspec.structs.replace(asking, salvage=asking.wire is None and dialect.wire == "chat"), steps
            destination = msgspec.structs.replace(destination, dialect=dialect)
            said = body(destination)
            if said != asking.body:
                return msgspec.structs.replace(asking, destination=destination, body=said), steps
        return None, steps

    async def _with_keys(self, asking: Asking) -> Opened:
        """With the key whose turn it is; with the next one when it is refused for something of its own."""
        provider = asking.destination.provider
        keys = self._keyring.in_turn(provider.id, asking.destination.keys)
        for n, key in enumerate(keys):
            try:
                opened = await self._with_retries(asking, key)
            except UpstreamError as error:
                if error.fault.kind not in OTHER_KEY or len(keys) < 2:
                    raise
                rest = self._keyring.refused(provider.id, key, error.fault)
                words = (provider.id, n + 1, len(keys), error.fault.kind, rest)
                log.warning("%s refused key %d of %d (%s); it rests for %.0f s", *words)
                if n == len(keys) - 1:
                    raise
            else:
                self._keyring.accepted(provider.id, key)
                return opened
        raise AssertionError

    async def _with_retries(self, asking: Asking, key: str) -> Opened:
        retry = asking.snapshot.config.retry
        attempt = 1
        while True:
            try:
                return await ask(self._connections, asking, key)
            except UpstreamError as error:
                wait = _delay(error.fault, attempt, retry)
                if error.fault.kind not in _SAME_AGAIN or wait is None:
                    raise
            await asyncio.sleep(wait)
            attempt += 1


def _delay(fault: Fault, attempt: int, retry: Retry) -> float | None:
    """Seconds to wait before the same is asked again; None when that is not worth it any more."""
    if attempt >= retry.attempts or (fault.retry_after or 0) > _LONGEST_DELAY_S:
        return None
    if fault.retry_after is not None:
        return fault.retry_after
    return min(_LONGEST_DELAY_S, retry.base_delay_s * 2 ** (attempt - 1))
