"""The verb `serve`: the services in this process, in several, or in a child that is started anew on source changes."""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import platform
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from codex_nexus import __version__
from codex_nexus.errors import NexusError


def serve(arguments: argparse.Namespace) -> int:
    """Starts the services and gives the exit code."""
    from codex_nexus.service import logs

    logs.set_up(arguments.log_format, arguments.log_file, debug=arguments.dev)
    if arguments.dev and not os.environ.get("CODEX_NEXUS_CHILD"):
        return _reloading()
    if arguments.log_format == "text" and not arguments.log_file:
        return _services(arguments, _say)
    log = logging.getLogger("codex_nexus.service")
    log.info("Codex Nexus %s on Python %s, %s", __version__, platform.python_version(), platform.system())
    try:
        return _services(arguments, log.info)  # a terminal's lines belong into the log, too
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
    source = Path(__file__).parents[1]
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
