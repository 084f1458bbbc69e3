"""A message sent through the gateway itself, over its own port: what the page sees is what Codex would see."""

from __future__ import annotations

from typing import Any

from aiohttp import ClientError, ClientSession, ClientTimeout, web
from yarl import URL

from codex_nexus.control.replies import json_body, text_of
from codex_nexus.control.state import STEERING
from codex_nexus.control.steering import Steering
from codex_nexus.errors import NexusError
from codex_nexus.translate.dialect import EFFORTS

_PASSED_ON = ("Content-Type", "x-nexus-upstream", "retry-after")
_EVERYWHERE = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - an address to be replaced


async def play(request: web.Request) -> web.StreamResponse:
    """`POST /nexus-ctrl/playground`: the gateway's events, byte for byte."""
    steering, fields = request.app[STEERING], await json_body(request)
    asked = _asked(fields)
    if not steering.address:
        raise NexusError("The gateway is not started.", status=409, type="invalid_request_error", code="not_started")
    timeout = ClientTimeout(total=None, sock_connect=5)
    url = f"{reachable(steering.address)}/v1/responses"
    try:
        async with (
            ClientSession(timeout=timeout) as session,
            session.post(url, json=asked, headers=_headers(steering)) as answer,
        ):
            names = {name: answer.headers[name] for name in _PASSED_ON if name in answer.headers}
            response = web.StreamResponse(status=answer.status, headers=names)
            await response.prepare(request)
            while piece := await answer.content.readany():
                await response.write(piece)
            return response
    except ClientError as error:
        raise NexusError(f"The gateway did not answer: {error}.", status=502) from None


def _asked(fields: dict[str, Any]) -> dict[str, Any]:
    effort = text_of(fields, "effort")
    message = {"role": "user", "content": text_of(fields, "message", required=True)}
    asked: dict[str, Any] = {"input": [message], "stream": True, "store": False}
    asked["model"] = text_of(fields, "model", required=True).strip()
    if effort in EFFORTS:
        asked["reasoning"] = {"effort": effort, "summary": "auto"}
    return asked


def _headers(steering: Steering) -> dict[str, str]:
    token = steering.snapshot.access_token
    return {"User-Agent": "nexus-panel"} | ({"Authorization": f"Bearer {token}"} if token else {})


def reachable(address: str) -> str:
    """An address to connect to: a listener on every address is reached on loopback."""
    url = URL(address)
    return str(url.with_host(_EVERYWHERE.get(url.host or "", url.host or ""))).rstrip("/")
