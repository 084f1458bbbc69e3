"""The command line. Imports late: what a verb does not need is not loaded."""

from __future__ import annotations

import argparse
import asyncio
import io
import logging
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from codex_nexus import __version__
from codex_nexus.errors import ConfigError, NexusError

_ABOUT = "A local gateway that lets OpenAI Codex use any model behind a Chat Completions API."
_FILES = (
    "Files: config.json and providers.json in ~/.codex-nexus (CODEX_NEXUS_HOME moves the folder). "
    "Exit codes: 0 good, 1 failed, 2 wrong use or configuration."
)


def main(argv: list[str] | None = None) -> int:
    """Runs a verb and gives the exit code."""
    _set_up_output()
    arguments = _parser().parse_args(argv)
    verb = arguments.verb or "serve"
    if verb not in ("serve", "version"):
        _set_up_log(debug=arguments.dev)
    try:
        return _VERBS[verb](arguments)
    except KeyboardInterrupt:
        print("codex-nexus: stopped with Ctrl+C.", file=sys.stderr)
        return 130
    except NexusError as error:
        if arguments.dev:
            raise
        print(f"codex-nexus: {error.message}", file=sys.stderr)
        return 2 if isinstance(error, ConfigError) else 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("codex-nexus", description=_ABOUT, epilog=_FILES)
    parser.add_argument("--version", action="version", version=f"codex-nexus {__version__}")
    _serve_flags(parser)
    verbs = parser.add_subparsers(dest="verb", metavar="VERB", title="verbs")
    serve = verbs.add_parser("serve", help="start the services (what plain codex-nexus does)", epilog=_FILES)
    _serve_flags(serve, again=True)
    demo = verbs.add_parser("demo", help="see it work in a minute: no key, no network")
    demo.add_argument("--no-codex", action="store_true", help="leave out the turn with the real Codex")
    inject = verbs.add_parser("inject", help="write our part of Codex's configuration, and show it", epilog=_FILES)
    inject.add_argument("--dry-run", action="store_true", help="show what would change, write nothing")
    inject.add_argument("--switch-default", action="store_true", help="also make the gateway Codex's default provider")
    verbs.add_parser("eject", help="take our part of Codex's configuration away; works with everything down")
    run = verbs.add_parser(
        "run", help="run Codex on the gateway, writing nothing into its home: run -- codex ...",
        usage="codex-nexus run -- codex [...]", epilog="The gateway's log goes to run.log in ~/.codex-nexus.",
    )  # fmt: skip
    run.add_argument("command", nargs=argparse.REMAINDER, help="codex and its arguments")
    doctor = verbs.add_parser(
        "doctor", help="look at the whole chain, from the files to a model's tool call, and say what mends it",
        epilog="Exit codes: 0 good or warnings only, 1 a fault, 2 wrong configuration.",
    )  # fmt: skip
    doctor.add_argument("--json", action="store_true", help="a report without secrets, to be pasted into an issue")
    doctor.add_argument("--offline", action="store_true", help="ask no provider (otherwise: a few tokens each)")
    models = verbs.add_parser("models", help="what a provider offers: windows, output, images, prices")
    models.add_argument(
        "provider", nargs="?", default="", type=_word, help="a provider's id; without one: all that can be used"
    )
    models.add_argument("--scan", action="store_true", help="find this machine's model servers on their usual ports")
    models.add_argument("--json", action="store_true", help="the same as JSON")
    probe = verbs.add_parser(
        "probe", help="have a small real conversation with a model, and say what works and what to set",
        epilog="It costs a few thousand tokens. Exit codes: 0 good, 1 the model cannot serve Codex, 130 Ctrl+C.",
    )  # fmt: skip
    probe.add_argument(
        "model", type=_word, metavar="PROVIDER[/MODEL]", help="a provider's id, perhaps with one of its models"
    )
    probe.add_argument("--json", action="store_true", help="the table as JSON")
    probe.add_argument("--write", action="store_true", help="put what it suggests into providers.json")
    usage = verbs.add_parser(
        "usage", help="what was used, by day, provider and model: tokens, and cost at list price",
        epilog="Reads the session store; works with the gateway down. Days are those of UTC.",
    )  # fmt: skip
    usage.add_argument("--days", type=_days, default=7, metavar="N", help="how many, today among them (7)")
    usage.add_argument("--json", action="store_true", help="the same as JSON, also by caller")
    trace = verbs.add_parser(
        "trace", help="what went through in a recorded turn: from and to Codex, from and to the provider",
        epilog="Recording is off until you switch it on in the panel, or set 'traces' in config.json.",
    )  # fmt: skip
    trace.add_argument("id", nargs="?", default="", metavar="ID", help="one turn as JSON; without it: a list")
    trace.add_argument("--out", default="", metavar="FILE", help="write it into this file")
    trace.add_argument("--words", action="store_true", help="leave the words of the conversation in it")
    service = verbs.add_parser("service", help="run as a service of this user, from login on", epilog=_FILES)
    service.add_argument("action", choices=["install", "remove", "status"], help="what to do")
    service.add_argument("--dry-run", action="store_true", help="show the file and the commands, change nothing")
    verbs.add_parser("check", help="check config.json and providers.json, show every problem")
    verbs.add_parser("version", help="show the version")
    return parser


def _serve_flags(parser: argparse.ArgumentParser, *, again: bool = False) -> None:
    unset = argparse.SUPPRESS if again else None
    parser.add_argument("--host", type=_word, default=unset, help="address to listen on, over config.json")
    parser.add_argument("--port", type=_port, default=unset, help="port to listen on, over config.json; 0: any")
    parser.add_argument(
        "--workers", type=_count, default=unset, metavar="N",
        help="processes that share the port (and the session store); one is enough for a person",
    )  # fmt: skip
    parser.add_argument(
        "--no-inject", action="store_true", default=argparse.SUPPRESS if again else False,
        help="leave Codex's configuration alone",
    )  # fmt: skip
    parser.add_argument(
        "--log-format", choices=["text", "json"], default=argparse.SUPPRESS if again else "text",
        help="lines for a person, or JSON lines",
    )  # fmt: skip
    parser.add_argument(
        "--log-file", default=argparse.SUPPRESS if again else "", metavar="PATH",
        help="log into this file, which is rotated, in place of the terminal",
    )  # fmt: skip
    parser.add_argument(
        "--dev", action="store_true", default=argparse.SUPPRESS if again else False,
        help="reload on source changes, log at debug level, show tracebacks",
    )  # fmt: skip


def _count(text: str) -> int:
    if not text.isdigit() or not 1 <= int(text) <= 256:
        raise argparse.ArgumentTypeError(f"'{text}' is no number of processes; write one from 1 to 256")
    return int(text)


def _word(text: str) -> str:
    if text != text.encode("utf-8", "replace").decode():  # bytes that Python could not decode
        raise argparse.ArgumentTypeError("it is not written in UTF-8")
    return text


def _days(text: str) -> int:
    if not text.isdigit() or not 1 <= int(text) <= 36500:
        raise argparse.ArgumentTypeError(f"'{text}' is no number of days; write one from 1 to 36500")
    return int(text)


def _port(text: str) -> int:
    if not text.isdigit() or int(text) > 65534:
        raise argparse.ArgumentTypeError(f"'{text}' is no port; write a number from 0 to 65534")
    return int(text)


def _set_up_output() -> None:
    """Before the first word: a terminal of an old code page must not stop a help text."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(encoding="utf-8", errors="replace", line_buffering=True)


def _set_up_log(*, debug: bool) -> None:
    from codex_nexus.service import logs

    if not logging.getLogger().handlers:  # who calls us from a program of their own keeps their log
        logs.set_up("text", "", debug=debug)


def _serve(arguments: argparse.Namespace) -> int:
    from codex_nexus.service import logs

    logs.set_up(arguments.log_format, arguments.log_file, debug=arguments.dev)
    if arguments.dev and not os.environ.get("CODEX_NEXUS_CHILD"):
        return _reloading()
    if arguments.log_format == "text" and not arguments.log_file:
        return _services(arguments, _say)
    log = logging.getLogger("codex_nexus.service")  # a terminal's lines belong into the log, too
    try:
        return _services(arguments, log.info)
    except NexusError as error:
        log.error("%s", error.message)  # noqa: TRY400 - a sentence, no traceback
        raise


def _say(text: str) -> None:
    """Prints a line; a gateway goes on when nobody reads what it says any more."""
    try:
        print(text)
    except OSError:
        sys.stdout = Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115 - to the end


def _services(arguments: argparse.Namespace, say: Callable[[str], None]) -> int:
    from codex_nexus.config.file import home_folder
    from codex_nexus.service.files import Overrides
    from codex_nexus.service.supervisor import Supervisor

    overrides = Overrides(arguments.host, arguments.port, inject=not arguments.no_inject)
    if arguments.workers and arguments.workers > 1:
        from codex_nexus.service.workers import run_workers

        flags = ("--log-format", arguments.log_format, *(("--dev",) if arguments.dev else ()))
        return run_workers(home_folder(), overrides, arguments.workers, say, flags, log_file=arguments.log_file)
    if "CODEX_NEXUS_SOCKET" in os.environ:
        from codex_nexus.service.workers import as_worker

        overrides, quiet = as_worker(overrides)
        say = quiet if overrides.worker else say
    asyncio.run(Supervisor(home_folder(), overrides, say).run())
    return 0


def _reloading() -> int:
    """Runs the services in a child and starts it anew when a source file changes."""
    source = Path(__file__).parent
    environ = {**os.environ, "CODEX_NEXUS_CHILD": "1"}
    while True:
        seen = _stamps(source)
        child = subprocess.Popen([sys.executable, "-m", "codex_nexus", *sys.argv[1:]], env=environ)  # noqa: S603
        try:
            while child.poll() is None and _stamps(source) == seen:
                time.sleep(0.5)
        except KeyboardInterrupt:
            return child.wait()
        if child.poll() is not None:
            return child.returncode
        print("[nexus] Source changed, starting anew.")
        child.terminate()
        child.wait()


def _stamps(source: Path) -> dict[Path, float]:
    return {path: path.stat().st_mtime for path in source.rglob("*") if path.suffix in (".py", ".json", ".md")}


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

    address = tracing.panel_address(home_folder(), arguments.port)
    if not arguments.id:
        tracing.show(address, print)
        return 0
    tracing.write(address, arguments.id, arguments.out, print, words=arguments.words)
    if arguments.words and not arguments.out:
        tracing.warn(lambda text: print(text, file=sys.stderr))
    return 0


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


_VERBS = {
    "serve": _serve,
    "demo": _demo,
    "inject": _inject,
    "eject": _eject,
    "run": _run,
    "doctor": _doctor,
    "models": _models,
    "probe": _probe,
    "usage": _usage,
    "trace": _trace,
    "service": _service,
    "check": _check,
    "version": _version,
}
