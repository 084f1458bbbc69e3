"""Errors and faults as HTTP replies: one envelope everywhere."""

from __future__ import annotations

import math
from collections.abc import Mapping

from aiohttp import web
from msgspec import Struct

from codex_nexus.errors import NexusError, NoKey
from codex_nexus.translate.clients import CODEX, PLAIN, Client, status_for, wait_for
from codex_nexus.translate.faults import Fault
from codex_nexus.wire import codec


class _Error(Struct):
    message: str
    type: str
    param: str | None
    code: str | None


class _Envelope(Struct):
    error: _Error


class UpstreamError(Exception):
    """No provider answered; `fault` is the last one's, with its text already fit for the client."""

    def __init__(self, fault: Fault) -> None:
        super().__init__(fault.message)
        self.fault = fault


def client_of(headers: Mapping[str, str]) -> Client:
    """Codex, or any other client of the Responses API (Codex 0.169 always sends these headers)."""
    if any(name in headers for name in ("x-codex-turn-metadata", "x-codex-window-id", "x-codex-beta-features")):
        return CODEX
    said = (headers.get("originator", "") + " " + headers.get("User-Agent", "")).lower()
    return CODEX if said.startswith("codex") or " codex" in said else PLAIN


def envelope(message: str, kind: str, code: str | None = None, param: str | None = None) -> bytes:
    """OpenAI's error envelope."""
    return codec.encode(_Envelope(_Error(message, kind, param, code)))


def error_reply(error: NexusError, client: Client = PLAIN) -> web.Response:
    """The reply to an error of ours."""
    status, kind, code = error.status, error.type, error.code
    if client is CODEX and isinstance(error, NoKey):
        # Codex repeats a 401 five times; this one is final until the user mends the configuration.
        status, kind, code = 400, "invalid_request_error", "invalid_prompt"
    body = envelope(error.message, kind, code, error.param)
    return web.Response(status=status, body=body, content_type="application/json", headers=error.headers)


def fault_reply(fault: Fault, client: Client) -> web.Response:
    """The reply when upstream refused before the stream began."""
    answer = client.answers[fault.kind]
    wait = wait_for(client, fault)
    headers = {} if wait is None else {"Retry-After": str(max(1, math.ceil(wait)))}
    code = answer.code or fault.code
    return web.Response(
        status=status_for(client, fault),
        body=envelope(fault.message, answer.type, code),
        content_type="application/json",
        headers=headers,
    )
