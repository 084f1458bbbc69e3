"""`codex-nexus serve --workers N`: N processes that share one listening socket, and one that looks after them.

All have the same accept queue, so the death of one costs only the connections that it had. The first worker also has
the control panel: it hears of the turns of all (`news`), and when a configuration is applied there, this process tells
all by SIGHUP to read the files again.
"""

from __future__ import annotations

import errno
import logging
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

from msgspec import structs

from codex_nexus.errors import NexusError
from codex_nexus.gateway.metrics import SHARED, forget
from codex_nexus.service import news
from codex_nexus.service.files import Files, Overrides, Say
from codex_nexus.service.holder import holder_of
from codex_nexus.service.signals import HANGUP, has_terminal, held_back

log = logging.getLogger("codex_nexus.service")

SOCKET, WORKER, NEWS = "CODEX_NEXUS_SOCKET", "CODEX_NEXUS_WORKER", "CODEX_NEXUS_NEWS"
"""Variables that tell a worker its listening socket, its number and its end of the news."""
_FAREWELL_S = 20.0
_TOO_SOON_S = 3.0
_PATIENCE = 5


def run_workers(
    home: Path, overrides: Overrides, count: int, say: Say, flags: tuple[str, ...] = (), *, log_file: str = ""
) -> int:
    """Runs the workers until SIGINT or SIGTERM; gives the exit code.

    Args:
        home: the folder of our files.
        overrides: what the command line says over them.
        count: how many.
        say: tells the user a line.
        flags: of `serve`, for each of them.
        log_file: this process's own, beside which each worker has one; empty: the terminal.

    Raises:
        ConfigError: the files are wrong.
        NexusError: the address cannot be used, or this system cannot share a socket.
    """
    if os.name == "nt":
        raise NexusError("--workers needs a system that can share a socket between processes; Windows cannot.")
    config = Files(home, overrides, say).read()[1].config  # makes the access token once, for all
    with _listening(config.host, config.port) as shared:
        port = int(shared.getsockname()[1])
        flags = ("--host", config.host, "--port", str(port), *flags)
        return _Herd(shared, [*flags] if overrides.inject else [*flags, "--no-inject"], log_file).run(count, say)


def as_worker(overrides: Overrides) -> tuple[Overrides, Say]:
    """What a process does that was started as a worker; only the first of them speaks to the user."""
    number, shared, end = (int(os.environ.pop(name)) for name in (WORKER, SOCKET, NEWS))
    mine = structs.replace(overrides, socket=shared, worker=number, news=end, inject=overrides.inject and not number)
    return mine, (print if number == 0 else log.debug)


def _listening(host: str, port: int) -> socket.socket:
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        shared = socket.socket(family, kind, protocol)
        shared.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        shared.bind(address)
        shared.listen(1024)
    except OSError as error:
        holder = holder_of(port) if error.errno == errno.EADDRINUSE else ""
        held = f" It is held by {holder}; stop that, or choose another port." if holder else ""
        raise NexusError(f"Cannot listen on {host}:{port}: {error.strerror or error}.{held}") from None
    shared.set_inheritable(True)
    return shared


def log_of(file: str, number: int) -> str:
    """The log file of a worker: `nexus.log` becomes `nexus.1.log` for the first. Two cannot rotate one file."""
    path = Path(file)
    return str(path.with_name(f"{path.stem}.{number + 1}{path.suffix}"))


class _Herd:
    def __init__(self, shared: socket.socket, flags: list[str], log_file: str) -> None:
        self._socket = shared
        self._hearing, self._telling = news.channel()
        self._flags = flags
        self._log_file = log_file
        self._workers: dict[int, subprocess.Popen[bytes]] = {}
        self._born: dict[int, float] = {}
        self._ending = threading.Event()
        self._deaths = 0
        self._counts = tempfile.TemporaryDirectory(prefix="codex-nexus-")

    def run(self, count: int, say: Say) -> int:
        for name in ("SIGINT", "SIGTERM"):
            signal.signal(getattr(signal, name), lambda _number, _frame: self._ending.set())
        if HANGUP is not None:
            had = has_terminal()
            signal.signal(HANGUP, lambda _number, _frame: self._hang_up(had_terminal=had))
        try:
            for number in range(count):
                self._start(number)
            while not self._ending.wait(0.2):
                if not self._look(say):
                    return 1
        finally:
            self._stop()
            self._counts.cleanup()
            self._hearing.close()
            self._telling.close()
        return 0

    def _start(self, number: int) -> None:
        shared, end = self._socket.fileno(), (self._telling if number else self._hearing).fileno()
        told = {SOCKET: str(shared), WORKER: str(number), NEWS: str(end), SHARED: self._counts.name}
        log_flag = ["--log-file", log_of(self._log_file, number)] if self._log_file else []
        command = [sys.executable, "-m", "codex_nexus", "serve", *self._flags, *log_flag]
        # a session of its own: Ctrl+C in the terminal comes to the parent, which ends the workers in order
        with held_back():
            self._workers[number] = subprocess.Popen(  # noqa: S603
                command, env={**os.environ, **told}, pass_fds=(shared, end), start_new_session=True
            )
        self._born[number] = time.monotonic()

    def _look(self, say: Say) -> bool:
        """Starts again who has died; False when that is of no use."""
        for number, worker in list(self._workers.items()):
            status = worker.poll()
            if status is None:
                continue
            forget(worker.pid, self._counts.name)
            if number == 0 and status == 0:  # the panel was told to stop
                self._ending.set()
                return True
            early = time.monotonic() - self._born[number] < _TOO_SOON_S
            self._deaths = self._deaths + 1 if early else 0
            if self._deaths >= _PATIENCE:
                say(f"[nexus] Workers end as soon as they begin (status {status}); giving up.")
                return False
            say(f"[nexus] Worker {number} has ended (status {status}); starting another.")
            self._start(number)
        return True

    def _hang_up(self, *, had_terminal: bool) -> None:
        """The files are to be read again; or the terminal was closed, and nobody sees these workers any more."""
        if had_terminal and not has_terminal():
            self._ending.set()
            return
        for worker in self._workers.values():
            if worker.poll() is None and HANGUP is not None:
                worker.send_signal(HANGUP)

    def _stop(self) -> None:
        for worker in self._workers.values():
            if worker.poll() is None:
                worker.send_signal(signal.SIGTERM)
        deadline = time.monotonic() + _FAREWELL_S
        for worker in self._workers.values():
            try:
                worker.wait(max(0.1, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                worker.kill()
                worker.wait()
