"""What may be written on the command line: verbs, flags and their values."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import NoReturn

from codex_nexus import __version__

_ABOUT = "A local gateway that lets OpenAI Codex use any model behind a Chat Completions API."
_FILES = (
    "Files: config.json and providers.json in ~/.codex-nexus (CODEX_NEXUS_HOME moves the folder). "
    "Exit codes: 0 good, 1 failed, 2 wrong use or configuration."
)


class _Parser(argparse.ArgumentParser):
    """Repeats no key that somebody put among the arguments."""

    def error(self, message: str) -> NoReturn:
        from codex_nexus.translate.masks import without_keys

        super().error(without_keys(message))


def parser() -> argparse.ArgumentParser:
    """The whole grammar."""
    whole = _Parser("codex-nexus", description=_ABOUT, epilog=_FILES)
    whole.add_argument("--version", action="version", version=f"codex-nexus {__version__}")
    _serve_flags(whole)
    verbs = whole.add_subparsers(dest="verb", metavar="VERB", title="verbs")
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
    usage.add_argument("--days", type=_DAYS, default=7, metavar="N", help="how many, today among them (7)")
    usage.add_argument("--json", action="store_true", help="the same as JSON, also by caller")
    trace = verbs.add_parser(
        "trace", help="what went through in a recorded turn: from and to Codex, from and to the provider",
        epilog="Recording is off until you switch it on in the panel, or set 'traces' in config.json.",
    )  # fmt: skip
    trace.add_argument("id", nargs="?", default="", metavar="ID", help="one turn as JSON; without it: a list")
    trace.add_argument("--out", default="", metavar="FILE", help="write it into this file")
    trace.add_argument("--words", action="store_true", help="leave the words of the conversation in it")
    status = verbs.add_parser(
        "status", help="how the gateway does that runs here: addresses, turns, last errors, store",
        epilog="Exit codes: 0 it runs, 1 nobody answers. On another port: codex-nexus --port N status.",
    )  # fmt: skip
    status.add_argument("--json", action="store_true", help="all that the panel's overview knows, as JSON")
    _key(verbs.add_parser("key", help="enter, add or remove a provider's key, unseen", epilog=_KEYS))
    _config(verbs.add_parser("config", help="show or change config.json: the panel's settings without the panel"))
    service = verbs.add_parser("service", help="run as a service of this user, from login on", epilog=_FILES)
    service.add_argument("action", choices=["install", "remove", "status"], help="what to do")
    service.add_argument("--dry-run", action="store_true", help="show the file and the commands, change nothing")
    verbs.add_parser("check", help="check config.json and providers.json, show every problem")
    verbs.add_parser("version", help="show the version")
    for name, text in _WHAT.items():
        verbs.choices[name].description = text
    return whole


_WHAT = {
    "serve": "Starts the gateway and its control panel, prints both addresses, and runs until Ctrl+C.",
    "demo": "A scripted provider inside the process answers through the gateway: text, reasoning, tool calls, and, "
    "where Codex is installed, a turn of the real Codex in a throw-away home. Nothing of yours is read or changed.",
    "inject": "Adds our provider to Codex's config.toml and the profile 'nexus' beside it, makes a copy of what was "
    "there before, and shows the change. Every other byte stays.",
    "eject": "Takes our part out of Codex's files again: without later edits they are byte for byte what they were.",
    "run": "Starts Codex on the gateway that runs, or on one of its own for as long as it lasts. Nothing is written "
    "into Codex's home.",
    "doctor": "Looks at files, port, Codex and providers, says in a sentence each what is so and what mends it, and "
    "changes nothing. Each default or routed model is asked two tiny questions.",
    "models": "Asks a provider for its list and lays it over what is known of its models.",
    "probe": "Asks a model what Codex needs of it (tools, reasoning, images, schemas, lengths) and prints a line for "
    "each question: works, repaired, differs or fails.",
    "usage": "Adds up what was used: tokens, turns and cost by day, provider and model, and how far budgets are.",
    "trace": "Shows what really went through in a turn that the running gateway has on record, with keys masked.",
    "status": "Asks the gateway that runs here how it does: addresses, version, turns, last errors, store.",
    "key": "Puts a provider's key into config.json without showing it, or takes it out.",
    "config": "Shows or changes config.json; every change is checked before it is saved.",
    "service": "Runs the gateway from login on, as you, without administrator's rights: systemd, launchd or the task "
    "scheduler of Windows.",
    "check": "Reads config.json and providers.json, shows every problem with its path, and writes nothing. Exit codes: "
    "0 good, 2 there are problems.",
    "version": "Shows the version.",
}


def _key(key: argparse.ArgumentParser) -> None:
    key.add_argument(
        "provider",
        nargs="?",
        default="",
        type=_word,
        metavar="PROVIDER",
        help="a provider's id; without one: which keys are stored",
    )
    key.add_argument(
        "reference", nargs="?", type=_reference, metavar="REFERENCE",
        help="env:NAME or keyring:NAME; without it the key is asked for, or read from standard input",
    )  # fmt: skip
    how = key.add_mutually_exclusive_group()
    how.add_argument("--add", action="store_true", help="beside the keys that are there, not in their place")
    how.add_argument("--remove", action="store_true", help="take the provider's keys out of config.json")


_KEYS = (
    "A key itself is no argument: the shell would keep it. In a pipe: codex-nexus key PROVIDER < FILE, one key on each "
    "line. Exit codes: 0 good, 1 saved but not taken over by the gateway that runs, 2 wrong use or configuration."
)
_PLACES = (
    "KEY is a key of config.json, with dots for what is inside: port, retry.attempts, model_routes.gpt-5.5.provider. "
    "A name that ends like a field stands in double quotes. 'codex-nexus config keys' lists all. "
)
_VALUES = (
    "VALUE is a text, or JSON for everything else; in sh put JSON into '...'. With - it is read from standard input "
    "(on a terminal: asked for, unseen), as keys and passwords must be. Everything is checked before it is saved; the "
    "gateway that runs takes it over at once. Exit codes: 0 good, 1 saved but not taken over, 2 nothing was changed."
)


def _config(config: argparse.ArgumentParser) -> None:
    actions = config.add_subparsers(dest="action", metavar="ACTION", title="actions")
    show = actions.add_parser("show", help="what is set, with masked keys (the default)", epilog=_PLACES)
    show.add_argument("key", nargs="?", default="", type=_word, metavar="KEY", help="one value alone")
    show.add_argument("--all", action="store_true", help="also what is not set, with its default")
    change = actions.add_parser("set", help="set a value", epilog=_PLACES + _VALUES)
    change.add_argument("key", type=_word, metavar="KEY", help="which one")
    change.add_argument("value", type=_word, metavar="VALUE", help="a text or JSON; -: from standard input")
    unset = actions.add_parser("unset", help="take a value away, so that its default holds", epilog=_PLACES)
    unset.add_argument("key", type=_word, metavar="KEY", help="which one")
    reset = actions.add_parser("reset", help="everything back to the defaults; the file is kept under another name")
    reset.add_argument("--yes", action="store_true", help="do not ask")
    actions.add_parser("keys", help="all keys, their meanings and defaults")


def _serve_flags(parser: argparse.ArgumentParser, *, again: bool = False) -> None:
    unset = argparse.SUPPRESS if again else None
    parser.add_argument("--host", type=_word, default=unset, help="address to listen on, over config.json")
    parser.add_argument("--port", type=_PORT, default=unset, help="port to listen on, over config.json; 0: any")
    parser.add_argument(
        "--workers", type=_COUNT, default=unset, metavar="N",
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


def _number(what: str, write: str, least: int, most: int) -> Callable[[str], int]:
    """Reads a number; `what` it is, and what to `write` in its place, are told when it is none."""

    def read(text: str) -> int:
        if not text.isdigit() or not least <= int(text) <= most:
            raise argparse.ArgumentTypeError(f"'{text}' is no {what}; write {write} from {least} to {most}")
        return int(text)

    return read


def _word(text: str) -> str:
    if text != text.encode("utf-8", "replace").decode():  # bytes that Python could not decode
        raise argparse.ArgumentTypeError("it is not written in UTF-8")
    return text


def _reference(text: str) -> str:
    if not text.startswith(("env:", "keyring:")) or text.endswith(":"):
        raise argparse.ArgumentTypeError(
            "only env:NAME or keyring:NAME may stand here. A key itself would stay in the shell's history, and may do "
            "so now; leave it out, and it is asked for"
        )
    return _word(text)


_DAYS = _number("number of days", "one", 1, 36500)
_COUNT = _number("number of processes", "one", 1, 256)
_PORT = _number("port", "a number", 0, 65534)
