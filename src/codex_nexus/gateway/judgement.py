"""What came back for one request: an answer that has begun, or the fault behind what is none.

Nothing of an answer has gone to the client as long as its first words are not here, so until then every fault is one
that another try, other words, another key or another provider may still mend.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Callable
from typing import Literal

import aiohttp
import msgspec
from msgspec import Struct

from codex_nexus.gateway.advice import advice, shown_address
from codex_nexus.gateway.replies import UpstreamError
from codex_nexus.gateway.trace import Attempt, Trace
from codex_nexus.routing import Destination
from codex_nexus.snapshot import Snapshot
from codex_nexus.translate.beginning import Beginning
from codex_nexus.translate.faults import Fault, classify
from codex_nexus.translate.usage import fills
from codex_nexus.wire import codec

_EXCERPT = 64 * 1024
_FIRST_WORDS_S = 0.25
"""So long a stream that has begun without a word is listened to: its first words may be a fault."""
_MOST_SHOWN = 120

Wire = Literal["chat", "responses"]


class Asking(Struct, frozen=True):
    """What one request needs.

    Attributes:
        body: in the words of the destination.
        wire: the endpoint to use whatever the dialect says; None: as it says.
        window: context window in tokens, if it is known.
        salvage: make an answer of a text that the server's own parser refuses.
        trace: where it is recorded; None: nowhere.
    """

    destination: Destination
    body: bytes
    snapshot: Snapshot
    wire: Wire | None = None
    window: int | None = None
    salvage: bool = False
    trace: Trace | None = None


class Opened(Struct):
    """An answer that has begun: its status was good."""

    response: aiohttp.ClientResponse
    destination: Destination
    read: bytes = b""
    """What had to be read to see that it is an answer."""
    whole: bool = False
    """Nothing follows what was read."""
    fault: Fault | None = None
    """It is no answer at all, for this reason; what was read tells nothing."""
    attempt: Attempt | None = None
    """Where it is recorded."""


class BegunWithFault(UpstreamError):
    """A stream with a good status whose first words are a fault; `opened` tells it as the stream that it is."""

    def __init__(self, fault: Fault, opened: Opened) -> None:
        super().__init__(fault)
        self.opened = opened


class Judge:
    """Reads as much of one answer as tells what it is."""

    def __init__(
        self,
        asking: Asking,
        idle_s: float,
        tell: Callable[[str], str],
        mask: Callable[[str], str],
        attempt: Attempt | None,
    ) -> None:
        """A judge of one answer.

        Args:
            asking: what was asked.
            idle_s: seconds of silence after its head that are borne.
            tell: makes a text fit for the client.
            mask: the same of a text that is not ours.
            attempt: where it is recorded.
        """
        self._asking = asking
        self._idle_s = idle_s
        self._tell = tell
        self._mask = mask
        self._attempt = attempt

    async def judged(self, response: aiohttp.ClientResponse, patience: asyncio.Timeout) -> Opened:
        """The answer; `patience`, for its first byte, ends with that.

        Raises:
            UpstreamError: it is a refusal (also one that came with status 200), or nothing at all.
            BegunWithFault: the same of a stream that may be told as it is.
        """
        try:
            if not 200 <= response.status < 300:
                return self._salvaged(response, await self._excerpt(response))
            return await self._begun(response, patience)
        except BaseException:
            response.close()
            raise

    async def _begun(self, response: aiohttp.ClientResponse, patience: asyncio.Timeout) -> Opened:
        beginning = Beginning(self._asking.destination.dialect)
        is_json = "json" in response.content_type
        passed = self._asking.wire is not None and not is_json
        broke = await self._listen(response, patience, beginning, passed=passed)
        opened = Opened(response, self._asking.destination, beginning.read, attempt=self._attempt)
        unread = response.content.total_bytes > len(beginning.read)  # lost when the connection broke
        if beginning.closed and beginning.silent and not unread:
            fault = self._nothing(response, broke)
            if passed and broke is not None:
                raise self._error(fault)
            raise self._with_fault(opened, fault, instead=True)
        if passed:
            return opened
        if is_json:
            if broke is not None:
                raise self._error(Fault("truncated", f"the connection broke in the middle of its answer ({broke})"))
            if beginning.answers or not beginning.closed:
                return opened
            return self._salvaged(response, beginning.read, beginning)
        if beginning.strange:
            raise self._with_fault(opened, Fault("server", self._no_api(response, beginning)), instead=True)
        if beginning.fault is not None:
            raise self._with_fault(opened, beginning.fault, instead=False)
        return opened

    async def _listen(
        self, response: aiohttp.ClientResponse, patience: asyncio.Timeout, beginning: Beginning, *, passed: bool
    ) -> str | None:
        """Hears how it begins; the reason when the connection broke on the way."""
        try:
            while not (beginning.begun or (passed and beginning.read)):
                async with asyncio.timeout(self._idle_s):
                    await self._hear(response, beginning)
                patience.reschedule(None)
        except TimeoutError:
            fault = Fault("timeout", f"did not say a word of its answer for {self._idle_s:g} s")
            raise self._error(fault) from None
        except (aiohttp.ClientError, OSError) as error:
            return self._broken(beginning, error)
        try:
            async with asyncio.timeout(_FIRST_WORDS_S):
                while not (beginning.settled or passed):
                    await self._hear(response, beginning)
        except TimeoutError:
            return None
        except (aiohttp.ClientError, OSError) as error:
            return self._broken(beginning, error)
        return None

    async def _hear(self, response: aiohttp.ClientResponse, beginning: Beginning) -> None:
        piece = await response.content.readany()
        if self._attempt is not None and piece:
            self._attempt.heard.add(piece)
        if piece:
            beginning.receive_data(piece)
        else:
            beginning.close()

    def _broken(self, beginning: Beginning, error: BaseException) -> str:
        if self._attempt is not None:
            self._attempt.failed(error)
        beginning.close()
        return reason(error)

    # --- what is no answer

    def _error(self, fault: Fault) -> UpstreamError:
        return UpstreamError(msgspec.structs.replace(fault, message=self._tell(fault.message)))

    def _with_fault(self, opened: Opened, fault: Fault, *, instead: bool) -> BegunWithFault:
        """The stream as what it is: `instead` of it the fault is told, or it tells the fault itself."""
        opened.whole = True
        if instead:
            opened.fault, opened.read = fault, b""
        told = msgspec.structs.replace(
            fault, kind="server" if instead else fault.kind, message=self._tell(fault.message)
        )
        return BegunWithFault(told, opened)

    def _nothing(self, response: aiohttp.ClientResponse, broke: str | None) -> Fault:
        """Some servers say nothing to a prompt that is too long: `empty` is looked at once more for that."""
        took = f"did not answer: it took the request ({response.status}) and then"
        if broke is None:
            return Fault("empty", f"{took} sent an empty body")
        return Fault("server", f"{took} the connection broke before the first word ({broke})")

    def _no_api(self, response: aiohttp.ClientResponse, beginning: Beginning) -> str:
        """What a person must hear whose address leads to a web page or to another service."""
        wire = self._asking.wire or self._asking.destination.dialect.wire
        api = "Responses" if wire == "responses" else "Chat Completions"
        said = self._mask(beginning.excerpt())
        if not said:
            sent = "binary data"
        else:
            sent = f"'{said}'" if len(said) <= _MOST_SHOWN else f"'{said[:_MOST_SHOWN].rstrip()}…'"
        what = f"({response.status}, {response.content_type}). It sent {sent}."
        return (
            f"what answers at {shown_address(response.url)} is no {api} API {what} "
            "Check the address; if it is right, a proxy or the sign-in page of a network answers in its place."
        )

    def _salvaged(self, response: aiohttp.ClientResponse, read: bytes, beginning: Beginning | None = None) -> Opened:
        """What the model said, when the server's own parser refused that and there is no other way left.

        Raises:
            UpstreamError: it is a refusal like others.
        """
        names = {name.lower(): value for name, value in response.headers.items()}
        full = response.status in (400, 413) and fills(self._asking.body, self._asking.window)
        dialect = self._asking.destination.dialect
        fault = classify(response.status, read, headers=names, dialect=dialect, nearly_full=full)
        if self._asking.salvage and fault.generation:
            response.close()
            return Opened(response, self._asking.destination, completion_of(self._mask(fault.generation)), whole=True)
        text = f"{fault.message or response.reason or 'refused the request'} ({response.status})"
        if beginning is not None and not fault.message:
            text = self._no_api(response, beginning)
        elif advised := advice(
            fault,
            self._asking.destination,
            self._asking.snapshot,
            response.url,
            location=response.headers.get("Location", ""),
        ):
            text = f"{text}. {advised}"
        code = fault.code if fault.code and fault.code in self._tell(fault.code) else None
        told = msgspec.structs.replace(fault, message=self._tell(text), code=code, generation="")
        raise UpstreamError(told, self._mask(read.decode("utf-8", "replace")))

    async def _excerpt(self, response: aiohttp.ClientResponse) -> bytes:
        """The beginning of a refusal's body."""
        data = b""
        with contextlib.suppress(aiohttp.ClientError, OSError):
            while len(data) < _EXCERPT and (piece := await response.content.readany()):
                data += piece
        if self._attempt is not None:
            self._attempt.heard.add(data)
        return data


def completion_of(text: str) -> bytes:
    """A whole chat completion that says this text."""
    message = {"role": "assistant", "content": text}
    return codec.encode({"choices": [{"index": 0, "message": message, "finish_reason": "stop"}]})


def reason(error: BaseException) -> str:
    """Why a connection failed, in words."""
    if isinstance(error, aiohttp.ClientConnectorDNSError):
        return "its name is unknown"
    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        return "its certificate is not trusted"
    cause = getattr(error, "os_error", None) or error
    number = getattr(cause, "errno", None)
    return os.strerror(number).lower() if isinstance(number, int) and number > 0 else type(error).__name__
