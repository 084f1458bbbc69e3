"""The control panel of the gateway that runs here, asked by another process of the same person.

No secret is ever sent: who listens on that port is only believed to be ours.
"""

from __future__ import annotations

import http.client
import json
import urllib.error
import urllib.request
from pathlib import Path
from typing import TypeVar

import msgspec
from msgspec import Struct

from codex_nexus.config import file as config_file
from codex_nexus.errors import ConfigError, NexusError
from codex_nexus.service.panel import HOST, panel_port

Answer = TypeVar("Answer", bound=Struct)

_PATIENCE_S = 15.0


class Nobody(NexusError):
    """No control panel answers there."""


class _Refused(Struct):
    message: str
    code: str | None = None


class _Envelope(Struct):
    error: _Refused


def panel_address(home: Path, port: int | None, verb: str) -> str:
    """Where the panel is to be found: one port above the gateway's.

    Raises:
        ConfigError: the gateway's port cannot be known.
    """
    gateway = port or config_file.load(home, look_only=True).config.port
    if not gateway:
        raise ConfigError("config.json", [f"port: it is 0, so say where the gateway runs: codex-nexus --port N {verb}"])
    return address_above(gateway)


def address_above(gateway: int) -> str:
    """The panel's URL for a gateway's port."""
    return f"http://{HOST}:{panel_port(gateway)}"


def asked(url: str, verb: str) -> bytes:
    """The answer to a GET.

    Raises:
        Nobody: nothing of ours answers there.
        NexusError: what the panel says instead.
    """
    return _answer(urllib.request.Request(url), verb)  # noqa: S310 - an address of our own making


def told(panel: str, name: str, body: dict[str, str], kind: type[Answer], verb: str) -> Answer:
    """The answer to a POST.

    Raises:
        Nobody: nothing of ours answers there.
        NexusError: what the panel says instead.
    """
    url, data = f"{panel}/nexus-ctrl/{name}", json.dumps(body).encode()
    request = urllib.request.Request(url, data, {"Content-Type": "application/json"})  # noqa: S310
    try:
        return msgspec.json.decode(_answer(request, verb), type=kind)
    except msgspec.DecodeError:
        raise NexusError(_foreign(panel, verb)) from None


def _answer(request: urllib.request.Request, verb: str) -> bytes:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    where = request.full_url.partition("/nexus-ctrl")[0]
    try:
        with opener.open(request, timeout=_PATIENCE_S) as reply:
            return reply.read()
    except urllib.error.HTTPError as error:
        raise NexusError(_sentence(error.read(), error.code, where, verb)) from None
    except (OSError, ValueError, http.client.HTTPException):
        raise Nobody(
            f"No control panel answers at {where}. Start codex-nexus; if it runs on another port: "
            f"codex-nexus --port N {verb} (N is the gateway's)."
        ) from None


def _sentence(body: bytes, status: int, where: str, verb: str) -> str:
    """What the panel says; in our words, when it is no panel that speaks."""
    try:
        said = msgspec.json.decode(body, type=_Envelope).error
    except msgspec.DecodeError:
        said = _Refused("")
    if said.message and (status != 404 or said.code == "not_recorded"):
        return said.message
    return _foreign(where, verb)


def _foreign(where: str, verb: str) -> str:
    return f"What answers at {where} is no control panel of this version; say the gateway's port: --port N {verb}."
