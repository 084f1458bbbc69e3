"""`codex-nexus trace`: the recorded turns of the gateway that runs here, asked from its control panel."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote

import msgspec
from msgspec import Struct

from codex_nexus.config import file as config_file
from codex_nexus.errors import NexusError
from codex_nexus.gateway.trace_view import TraceRow
from codex_nexus.service.asking import asked

Say = Callable[[str], None]

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
    traces: list[TraceRow]


def show(address: str, say: Say) -> None:
    """Lists the recorded turns, newest last.

    Raises:
        NexusError: nobody of us answers there.
    """
    found = msgspec.json.decode(asked(f"{address}/nexus-ctrl/traces", "trace"), type=_List)
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
    data = asked(f"{address}/nexus-ctrl/traces/{quote(name, safe='')}{'?words=1' if words else ''}", "trace")
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
