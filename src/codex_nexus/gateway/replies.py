"""Errors and faults as HTTP replies: one envelope everywhere."""

from __future__ import annotations

import math
from collections.abc import Mapping

from aiohttp import web
from msgspec import Struct

from codex_nexus.errors import InvalidRequest, NexusError, NoKey, RequestTooLarge
from codex_nexus.translate.clients import CODEX, PLAIN, Client, status_for, wait_for
from codex_nexus.translate.faults import Fault
from codex_nexus.wire import codec

_ACTED_ON = ("context_length_exceeded", "insufficient_quota")
"""Kinds that every client knows by one code, whatever the provider calls them."""
_REFUSED = 400
_FORBIDDEN = 403


class ErrorShape(Struct):
    """The inside of OpenAI's error envelope."""

    message: str
    type: str
    param: str | None
    code: str | None


class _Envelope(Struct):
    error: ErrorShape


class UpstreamError(Exception):
    """No provider answered.

    Attributes:
        fault: the last one's, with its text already fit for the client.
        said: the body of its refusal without secrets, or empty.
        upstream: `provider/model` whose fault it is; empty when it is nobody's.
    """

    def __init__(self, fault: Fault, said: str = "") -> None:
        super().__init__(fault.message)
        self.fault = fault
        self.said = said
        self.upstream = ""


def client_of(headers: Mapping[str, str]) -> Client:
    """Codex, or any other client of the Responses API (Codex 0.169 always sends these headers)."""
    if any(name in headers for name in ("x-codex-turn-metadata", "x-codex-window-id", "x-codex-beta-features")):
        return CODEX
    said = (headers.get("originator", "") + " " + headers.get("User-Agent", "")).lower()
    return CODEX if said.startswith("codex") or " codex" in said else PLAIN


def envelope(message: str, kind: str, code: str | None = None, param: str | None = None) -> bytes:
    """OpenAI's error envelope."""
    return codec.encode(_Envelope(ErrorShape(message, kind, param, code)))


def error_reply(error: NexusError, client: Client = PLAIN) -> web.Response:
    """The reply to an error of ours."""
    status, shape = fault_shape(error, client)
    body = codec.encode(_Envelope(shape))
    return web.Response(status=status, body=body, content_type="application/json", headers=error.headers)


def fault_shape(error: NexusError | UpstreamError, client: Client) -> tuple[int, ErrorShape]:
    """HTTP status and the inside of the envelope, as this client is told."""
    if isinstance(error, UpstreamError):
        fault, answer = error.fault, client.answers[error.fault.kind]
        status, kind, code = status_for(client, fault), answer.type, answer.code or fault.code
        if client is not CODEX and fault.kind not in _ACTED_ON:
            code = fault.code or answer.code
        if status == _FORBIDDEN and kind == "authentication_error":
            kind = "permission_error"
        return status, ErrorShape(fault.message, kind, None, code)
    if client is CODEX and isinstance(error, (InvalidRequest, NoKey, RequestTooLarge)):
        # Codex repeats 401 and 413 five times, and of a 400 with another code it shows the raw JSON.
        return 400, ErrorShape(error.message, "invalid_request_error", error.param, "invalid_prompt")
    return error.status, ErrorShape(error.message, error.type, error.param, error.code)


def refusal_reply(error: UpstreamError) -> web.Response:
    """The provider's own refusal, as far as it is whole in OpenAI's envelope, else ours."""
    reply = fault_reply(error.fault, PLAIN)
    if (error.fault.status or 0) >= _REFUSED and _is_envelope(error.said):
        reply.set_status(error.fault.status or reply.status)
        reply.text = error.said
    return reply


def _is_envelope(said: str) -> bool:
    try:
        body = codec.as_object(codec.decode_any(said)) or {}
    except ValueError:
        return False
    error = codec.as_object(body.get("error")) or {}
    return set(ErrorShape.__struct_fields__) <= error.keys() and isinstance(error["message"], str)


def fault_reply(fault: Fault, client: Client) -> web.Response:
    """The reply when upstream refused before the stream began."""
    status, shape = fault_shape(UpstreamError(fault), client)
    wait = wait_for(client, fault)
    headers = {} if wait is None else {"Retry-After": str(max(1, math.ceil(wait)))}
    body = codec.encode(_Envelope(shape))
    return web.Response(status=status, body=body, content_type="application/json", headers=headers)
