"""`POST /chat/completions`: passed through with routing, model mapping and keys; bytes otherwise untouched."""

from __future__ import annotations

import logging

import aiohttp
import msgspec
from aiohttp import web
from msgspec import Raw

from codex_nexus.gateway.body import read_body
from codex_nexus.gateway.doors import unsized
from codex_nexus.gateway.exchange import pieces
from codex_nexus.gateway.judgement import Opened
from codex_nexus.gateway.live import StopReason
from codex_nexus.gateway.overheard import Overheard
from codex_nexus.gateway.replies import UpstreamError, refusal_reply
from codex_nexus.gateway.state import CALLER, CORS, GATEWAY
from codex_nexus.gateway.trace import TRACE, traced
from codex_nexus.gateway.traffic import TurnRecord
from codex_nexus.gateway.turns import ascii_only, new_id
from codex_nexus.routing import Destination, introduced
from codex_nexus.translate.clients import PLAIN
from codex_nexus.wire import codec
from codex_nexus.wire.create import decode_fields, missing

log = logging.getLogger("codex_nexus.turn")


class _Asked(msgspec.Struct):
    model: str | None = None


_asked_decoder = msgspec.json.Decoder(_Asked)
_fields_decoder = msgspec.json.Decoder(dict[str, Raw])


async def create(request: web.Request) -> web.StreamResponse:
    """The request with only its `model` changed, the answer as it comes."""
    gateway = request.app[GATEWAY]
    snapshot = gateway.snapshot
    body = await read_body(request, snapshot.config.body_limit_mb << 20)
    trace = traced(request, gateway.traces, body, snapshot)
    fields, model = _fields(body)
    route = await gateway.route_turn(snapshot, model, request[CALLER], PLAIN.name, trace)
    route = introduced(route, request[CALLER].agent, None)

    def mapped(destination: Destination) -> bytes:
        if destination.model == model:
            return body
        return codec.encode({**fields, "model": destination.model})

    who = request[CALLER].identity
    record = gateway.traffic.begin(new_id("chat"), model, route.destinations[0].name, PLAIN.name, who)
    if trace is not None:
        trace.record = record
    passing = _Passing()
    gateway.watch.add(passing)
    try:
        opened = await gateway.upstream.open(route, mapped, snapshot, "chat", trace=trace)
        record.upstream = opened.destination.name
        passing.upstream = opened.response
        response = await _passed(request, opened, record)
        gateway.traffic.end(record, "failed" if record.fault else "completed", fault=record.fault)
    except UpstreamError as error:
        record.upstream = error.upstream or record.upstream
        gateway.traffic.end(record, "refused", fault=error.fault.message)
        log.info("%s -> %s refused: %s", model, record.upstream, error.fault.message)
        return refusal_reply(error)
    finally:
        gateway.traffic.end(record, "gone")
        gateway.watch.remove(passing)
        passing.closed = True
    log.info("%s -> %s passed through%s", model, record.upstream, record.fault and f", but {record.fault}")
    return response


class _Passing:
    """What the end of the gateway must know of an answer that is passed through."""

    def __init__(self) -> None:
        self.closed = False
        self.upstream: aiohttp.ClientResponse | None = None

    def look(self, now: float) -> None:
        """Nothing: its client watches the time itself."""

    def stop(self, reason: StopReason) -> None:  # noqa: ARG002 - there is no place to tell it
        """Breaks it off."""
        if self.upstream is not None:
            self.upstream.close()


async def _passed(request: web.Request, opened: Opened, record: TurnRecord) -> web.StreamResponse:
    """Upstream's bytes as they come."""
    upstream = opened.response
    headers = {
        "Content-Type": upstream.headers.get("Content-Type", "application/json"),
        "x-nexus-upstream": ascii_only(opened.destination.name),
    }
    response = unsized(request, headers | request[CORS], upstream.status)
    overheard, trace = Overheard(), request.get(TRACE)
    try:
        await response.prepare(request)
        async for piece in pieces(opened):
            overheard.hear(piece)
            if trace is not None:
                trace.sent.add(piece)
            await response.write(piece)
        await response.write_eof()
    except (aiohttp.ClientError, OSError):
        # The client must see the cut as a cut, not as a good end.
        record.fault = "the answer was cut"
        if request.transport is not None:
            request.transport.abort()
    finally:
        upstream.close()
        usage = overheard.usage()
        if usage is not None:
            record.count(usage)
    return response


def _fields(body: bytes) -> tuple[dict[str, Raw], str]:
    fields = decode_fields(body, _fields_decoder)
    model = decode_fields(body, _asked_decoder).model
    if not model:
        raise missing("model")
    return fields, model
