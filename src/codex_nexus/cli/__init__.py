"""The command line. Imports late: what a verb does not need is not loaded."""

from __future__ import annotations

import io
import logging
import os
import sys

from codex_nexus.cli.grammar import parser
from codex_nexus.cli.verbs import VERBS
from codex_nexus.errors import ConfigError, Misuse, NexusError


def main(argv: list[str] | None = None) -> int:
    """Runs a verb and gives the exit code."""
    _set_up_output()
    arguments = parser().parse_args(argv)
    verb = arguments.verb or "serve"
    if verb not in ("serve", "version"):
        _set_up_log(debug=arguments.dev)
    try:
        return VERBS[verb](arguments)
    except KeyboardInterrupt:
        print("codex-nexus: stopped with Ctrl+C.", file=sys.stderr)
        return 130
    except BrokenPipeError:  # nobody reads any more: `codex-nexus models | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # what is left is written when Python ends
        return 1
    except NexusError as error:
        if arguments.dev:
            raise
        print(f"codex-nexus: {error.message}", file=sys.stderr)
        return 2 if isinstance(error, (ConfigError, Misuse)) else 1


def _set_up_output() -> None:
    """Before the first word: a terminal of an old code page must not stop a help text."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(encoding="utf-8", errors="replace", line_buffering=True)


def _set_up_log(*, debug: bool) -> None:
    from codex_nexus.service import logs

    if not logging.getLogger().handlers:  # who calls us from a program of their own keeps their log
        logs.set_up("text", "", debug=debug)
