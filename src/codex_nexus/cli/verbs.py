"""What each verb does: hands over to the room that can do it."""

from __future__ import annotations

import argparse
import asyncio
import logging
import sys

from codex_nexus import __version__
from codex_nexus.cli.serving import serve
from codex_nexus.errors import ConfigError


def _demo(arguments: argparse.Namespace) -> int:
    from codex_nexus.demo import run

    logging.getLogger("codex_nexus").setLevel(logging.DEBUG if arguments.dev else logging.WARNING)
    return asyncio.run(run(with_codex=not arguments.no_codex))


def _inject(arguments: argparse.Namespace) -> int:
    from codex_nexus.config.file import home_folder
    from codex_nexus.service.codex import inject

    inject(home_folder(), print, dry=arguments.dry_run, switch_default=arguments.switch_default)
    return 0


def _eject(_: argparse.Namespace) -> int:
    from codex_nexus.config.file import home_folder
    from codex_nexus.service.codex import eject

    return eject(home_folder(), print)


def _run(arguments: argparse.Namespace) -> int:
    from codex_nexus.config.file import home_folder
    from codex_nexus.service.run import run

    command: list[str] = arguments.command
    return run(command[1:] if command[:1] == ["--"] else command, home_folder())


def _doctor(arguments: argparse.Namespace) -> int:
    from codex_nexus.config.file import home_folder
    from codex_nexus.doctor import run

    logging.getLogger("codex_nexus").setLevel(logging.DEBUG if arguments.dev else logging.CRITICAL)
    return asyncio.run(run(home_folder(), as_json=arguments.json, offline=arguments.offline))


def _models(arguments: argparse.Namespace) -> int:
    from codex_nexus.config.file import home_folder
    from codex_nexus.probe import models

    _quiet(arguments)
    return asyncio.run(models(home_folder(), arguments.provider, as_json=arguments.json, local=arguments.scan))


def _probe(arguments: argparse.Namespace) -> int:
    from codex_nexus.config.file import home_folder
    from codex_nexus.probe import probe

    _quiet(arguments)
    return asyncio.run(probe(home_folder(), arguments.model, as_json=arguments.json, save=arguments.write))


def _usage(arguments: argparse.Namespace) -> int:
    from codex_nexus.config.file import home_folder
    from codex_nexus.probe import usage

    return asyncio.run(usage(home_folder(), arguments.days, as_json=arguments.json))


def _quiet(arguments: argparse.Namespace) -> None:
    """A verb that shows faults itself does not log them, too."""
    logging.getLogger("codex_nexus").setLevel(logging.DEBUG if arguments.dev else logging.CRITICAL)


def _trace(arguments: argparse.Namespace) -> int:
    from codex_nexus.config.file import home_folder
    from codex_nexus.service import tracing
    from codex_nexus.service.asking import panel_address

    address = panel_address(home_folder(), arguments.port, "trace")
    if not arguments.id:
        tracing.show(address, print)
        return 0
    tracing.write(address, arguments.id, arguments.out, print, words=arguments.words)
    if arguments.words and not arguments.out:
        tracing.warn(lambda text: print(text, file=sys.stderr))
    return 0


def _status(arguments: argparse.Namespace) -> int:
    from codex_nexus.config.file import home_folder
    from codex_nexus.service import status
    from codex_nexus.service.asking import panel_address

    status.show(panel_address(home_folder(), arguments.port, "status"), print, as_json=arguments.json)
    return 0


def _key(arguments: argparse.Namespace) -> int:
    from codex_nexus.cli.typed import hidden
    from codex_nexus.config.file import home_folder
    from codex_nexus.service import keys
    from codex_nexus.service.settings import Desk

    desk = Desk(home_folder(), arguments.port)
    if not arguments.provider:
        return keys.listed(desk, print)
    record = keys.provider_of(desk, arguments.provider)
    if arguments.remove:
        return keys.remove(desk, record, print)
    given = [arguments.reference] if arguments.reference else hidden(keys.question(record))
    return keys.enter(desk, record, given, print, add=arguments.add)


def _config(arguments: argparse.Namespace) -> int:
    from codex_nexus.cli import typed
    from codex_nexus.config.file import home_folder
    from codex_nexus.service import settings

    desk = settings.Desk(home_folder(), arguments.port)
    match arguments.action:
        case "keys":
            return settings.keys(print)
        case "set":
            text = None if arguments.value == "-" else arguments.value
            return settings.change(desk, arguments.key, text, typed.value, print)
        case "unset":
            return settings.unset(desk, arguments.key, print)
        case "reset":
            if not arguments.yes and not typed.agreed("Set everything back to the defaults? The file is kept."):
                return 1
            return settings.reset(desk, print)
        case _:
            key, everything = getattr(arguments, "key", ""), getattr(arguments, "all", False)
            return settings.show(desk, key, print, _complain, everything=everything)


def _complain(text: str) -> None:
    print(text, file=sys.stderr)


def _service(arguments: argparse.Namespace) -> int:
    from codex_nexus.config.file import home_folder
    from codex_nexus.service.unit import manage, this_machine

    return manage(arguments.action, this_machine(home_folder()), print, dry=arguments.dry_run)


def _check(_: argparse.Namespace) -> int:
    from codex_nexus import snapshot
    from codex_nexus.config.file import home_folder, load
    from codex_nexus.config.model import unknown_providers
    from codex_nexus.routing import vision_doubt

    home = home_folder()
    there = home / "config.json"
    loaded = load(home, look_only=True)
    known = snapshot.load_catalogue(home)
    problems = loaded.problems + unknown_providers(loaded.config, known.providers.__contains__)
    if problems:
        raise ConfigError(str(there), problems)
    doubt = vision_doubt(snapshot.build(loaded.config, known))
    for note in (*loaded.notes, *filter(None, [doubt])):
        print(note)
    said = there if there.exists() else "No config.json, the defaults"
    print(f"{said}: good. Default provider: {loaded.config.provider}.")
    return 0


def _version(_: argparse.Namespace) -> int:
    print(f"codex-nexus {__version__}")
    return 0


VERBS = {
    "serve": serve,
    "demo": _demo,
    "inject": _inject,
    "eject": _eject,
    "run": _run,
    "doctor": _doctor,
    "models": _models,
    "probe": _probe,
    "usage": _usage,
    "trace": _trace,
    "status": _status,
    "key": _key,
    "config": _config,
    "service": _service,
    "check": _check,
    "version": _version,
}
