"""`codex-nexus trace`: the recorded turns of the gateway that runs here, asked from its control panel."""

from __future__ import annotations

import json
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote

import msgspec
from msgspec import Struct

from codex_nexus.config import file as config_file
from codex_nexus.control.steering import Recorded
from codex_nexus.errors import ConfigError, NexusError
from codex_nexus.service.panel import HOST, panel_port

Say = Callable[[str], None]

_PATIENCE_S = 15.0
_OFF = (
    "No turns are recorded. Switch 'Record turns' on in the control panel, or set 'traces' in config.json to the "
    "number of turns to keep; then let the turn happen again."
)
_LOUD = (
    "!! This holds every word of the turn: prompts, answers, files that were read. Keys are masked. "
    "Do not put it into a public issue."
)


class _List(Struct):
    keep: int
    traces: list[Recorded]


class _Refused(Struct):
    message: str
    code: str | None = None


class _Envelope(Struct):
    error: _Refused


def panel_address(home: Path, port: int | None) -> str:
    """Where the panel is to be found: one port above the gateway's.

    Raises:
        ConfigError: the gateway's port cannot be known.
    """
    gateway = port or config_file.load(home, look_only=True).config.port
    if not gateway:
        raise ConfigError("config.json", ["port: it is 0, so say where the gateway runs: codex-nexus --port N trace"])
    return f"http://{HOST}:{panel_port(gateway)}"


def show(address: str, say: Say) -> None:
    """Lists the recorded turns, newest last.

    Raises:
        NexusError: nobody of us answers there.
    """
    found = msgspec.json.decode(_asked(f"{address}/nexus-ctrl/traces"), type=_List)
    if not found.traces:
        say(_OFF if not found.keep else f"No turn has come since recording began; the last {found.keep} will be kept.")
        return
    for row in found.traces:
        at = time.strftime("%H:%M:%S", time.localtime(row.at))
        route = f"{row.asked or '?'} -> {row.upstream or 'nowhere'}"
        tries = f"{row.tries} request{'' if row.tries == 1 else 's'}"
        say(f"{row.id:>4}  {at}  {row.status:<10}  {row.seconds:6.1f} s  {tries:<11}  {route}")
    say("One of them, without its words, to pass on: codex-nexus trace ID --out trace.json")


def write(address: str, name: str, out: str, say: Say, *, words: bool) -> None:
    """Writes one recorded turn.

    Args:
        address: of the panel.
        name: the turn's number in the list, or its response id.
        out: the file; empty: `say` gets the text.
        say: tells the person something.
        words: whether the words of the conversation stand in it.

    Raises:
        NexusError: it is not recorded, nobody answers, or the file cannot be written.
    """
    data = _asked(f"{address}/nexus-ctrl/traces/{quote(name, safe='')}{'?words=1' if words else ''}")
    text = json.dumps(json.loads(data), indent=1, ensure_ascii=False) + "\n"
    if not out:
        say(text.rstrip("\n"))
        return
    path = Path(out).expanduser()
    try:
        config_file.write_private(path, text.encode())
    except OSError as error:
        raise NexusError(f"{path} cannot be written: {error.strerror or error}.") from None
    say(
        _LOUD
        if words
        else "Words were taken out. An error may quote what was said: look it through before you pass it on."
    )
    say(f"Written: {path}")


def warn(say: Say) -> None:
    """Says what it means to show words."""
    say(_LOUD)


def _asked(url: str) -> bytes:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(url, timeout=_PATIENCE_S) as reply:
            return reply.read()
    except urllib.error.HTTPError as error:
        raise NexusError(_sentence(error.read(), error.code, url)) from None
    except (OSError, ValueError):
        where = url.partition("/nexus-ctrl")[0]
        raise NexusError(
            f"No control panel answers at {where}. Start codex-nexus; if it runs on another port: "
            "codex-nexus --port N trace (N is the gateway's)."
        ) from None


def _sentence(body: bytes, status: int, url: str) -> str:
    """What the panel says; in our words, when it is no panel that speaks."""
    try:
        said = msgspec.json.decode(body, type=_Envelope).error
    except msgspec.DecodeError:
        said = _Refused("")
    if said.message and (status != 404 or said.code == "not_recorded"):
        return said.message
    where = url.partition("/nexus-ctrl")[0]
    return f"What answers at {where} is no control panel of this version; say the gateway's port: --port N trace."
