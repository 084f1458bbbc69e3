"""`codex-nexus config`: the configuration read and changed without the panel, by the same check and the same file.

A change is saved first. Then the gateway that runs is asked to read its files again, over the panel's port: that works
on every system and says whether it could. The key itself stays in the file; it is sent to nobody.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from msgspec import Struct

from codex_nexus.config import file as config_file
from codex_nexus.config.model import Config, described, plain, read_config
from codex_nexus.config.places import Place, Raw, get, lone, place_of, put, value_of, without
from codex_nexus.control.masks import shown
from codex_nexus.control.settings import Stored, as_file, check_tag, read_stored, set_back, wanted
from codex_nexus.errors import ConfigError, Misuse, NexusError
from codex_nexus.service.asking import Nobody, address_above, told
from codex_nexus.snapshot import load_catalogue

Say = Callable[[str], None]

_ON_THE_LINE = (
    "A key or password does not belong on a command line, where the shell's history and other users of this machine "
    "see it: write - in place of the value, and it is asked for (or read from standard input). "
    "What was typed just now may stand in that history."
)


class Desk(Struct, frozen=True):
    """The user's file, and where a gateway that runs on it may be found.

    Attributes:
        port: the gateway's, as the command line says it; None: the one in the file.
    """

    home: Path
    port: int | None = None

    def read(self) -> Stored:
        """What stands in the file.

        Raises:
            ConfigError: it cannot be read.
        """
        stored = read_stored(self.home)
        if stored.broken:
            raise ConfigError(str(self.home), [f"{stored.broken} Mend it, or: codex-nexus config reset"])
        return stored

    def save(self, raw: Raw, stored: Stored, done: str, say: Say) -> int:
        """Checks everything, saves it, and hands it over to the gateway. Gives the exit code.

        Args:
            raw: the whole configuration, as it is to be.
            stored: the one from which it was made.
            done: what is to be told once it is saved.
            say: tells the person something.

        Raises:
            ConfigError: every problem that is left; nothing was saved.
        """
        config = wanted(raw, stored, load_catalogue(self.home))
        unknown = {key: value for key, value in stored.unknown.items() if key in raw}
        check_tag(stored.tag, read_stored(self.home))
        path = config_file.save(self.home, config, unknown)
        kept = "" if stored.tag == '"none"' else " (the version before: config.json.bak)"
        say(done)
        say(f"Saved: {path}{kept}.")
        return self.hand_over(stored.config, config, say)

    def hand_over(self, before: Config, after: Config, say: Say) -> int:
        """Lets the gateway that runs read its files again. Gives the exit code.

        Args:
            before: it listens still where this says, unless it could not take over the change before.
            after: what it is to take over.
            say: tells the person something.
        """
        ports = [self.port] if self.port else [port for port in dict.fromkeys((before.port, after.port)) if port]
        for port in ports:
            try:
                taken = told(address_above(port), "reload", self._meant(), _Taken, "config")
            except Nobody:
                continue
            except NexusError as error:
                say(f"The gateway that runs has not taken it over: {error.message}")
                return 1
            say(f"The gateway that runs has taken it over{f': {taken.address}' if taken.address else ''}.")
            for name in taken.overridden:
                if getattr(before, name) != getattr(after, name):
                    say(f"But its {name} was fixed at its start (by --{name}, or for its workers): start it anew.")
            return 0
        where = f"on port {ports[0]}" if ports else "that could be found ('port' is 0; say where: --port N)"
        say(f"No gateway runs here {where}; the next one that starts takes it.")
        return 0

    def _meant(self) -> dict[str, str]:
        return {"path": str((self.home / "config.json").absolute())}


class _Taken(Struct):
    address: str
    overridden: list[str]


def show(desk: Desk, written: str, say: Say, complain: Say, *, everything: bool) -> int:
    """Shows the file without its keys, one value, or all values. Gives the exit code.

    Raises:
        Misuse: there is no such place.
    """
    stored = desk.read()
    if written:
        value = get(shown(stored.config), place_of(written).steps)
        say(_spoken(value))
    elif everything:
        say(json.dumps(shown(stored.config), indent=2, ensure_ascii=False))
    else:
        say(as_file(stored.config, stored.unknown).rstrip())
    for problem in stored.problems:
        complain(f"codex-nexus: config.json: {problem}")
    return 2 if stored.problems else 0


def keys(say: Say) -> int:
    """All keys with their defaults and meanings."""
    defaults = shown(Config())
    width = max(map(len, defaults))
    for name, meaning in described().items():
        say(f"{name:<{width}}  {meaning} [{_spoken(defaults[name])}]")
    return 0


def change(desk: Desk, written: str, text: str | None, hidden: Callable[[str], str], say: Say) -> int:
    """Sets a value. Gives the exit code.

    Args:
        desk: the file.
        written: the place.
        text: what the command line says; None: `hidden` gives it.
        hidden: gives the value of this place that stood on no command line.
        say: tells the person something.

    Raises:
        Misuse: no such place or value, or a secret on the command line.
        ConfigError: what would be wrong then; nothing was saved.
    """
    place = place_of(written)
    value = value_of(place, hidden(written) if text is None else text)
    if text is not None and _holds_secrets(place, value):
        raise Misuse(_ON_THE_LINE)
    stored = desk.read()
    raw = put(stored.raw, place, value)
    config, _, problems = read_config(raw)
    before, after = (_at(one, place) for one in (stored.config, config))
    if config == stored.config and not stored.problems and not problems:
        say(f"Nothing to save: {written} is {after}.")
        return desk.hand_over(config, config, say)
    return desk.save(raw, stored, f"{written}: {after} (before: {before}).", say)


def unset(desk: Desk, written: str, say: Say) -> int:
    """Takes a value away, so that its default holds. Gives the exit code.

    Raises:
        Misuse: there is no such place.
        ConfigError: what would be wrong then; nothing was saved.
    """
    stored = desk.read()
    steps = (written,) if written in stored.unknown else place_of(written).steps
    if get(stored.raw, steps) is None:
        say(f"Nothing to do: {written} is not set.")
        return 0
    return desk.save(without(stored.raw, steps), stored, f"{written}: taken away.", say)


def reset(desk: Desk, say: Say) -> int:
    """Goes back to the defaults; the file is kept under another name. Gives the exit code.

    Raises:
        ConfigError: the files cannot be written.
    """
    before = read_stored(desk.home).config
    backup = set_back(desk.home)
    path = config_file.save(desk.home, Config(), {})
    say(f"Saved: {path}, with nothing but defaults{f' (the file before: {backup})' if backup else ''}.")
    return desk.hand_over(before, Config(), say)


def _at(config: Config, place: Place) -> str:
    return _spoken(get(shown(config), place.steps))


def _spoken(value: Any) -> str:
    if value is None:
        return "not set"
    return value if isinstance(value, str) and value else json.dumps(value, ensure_ascii=False)


def _holds_secrets(place: Place, value: Any) -> bool:
    """Whether it has anything that would be shown as a mask only."""
    config = read_config(lone(place, value))[0]
    return plain(config) != shown(config)
