"""`codex-nexus serve --workers N`: N processes that share one listening socket, and one that looks after them.

All have the same accept queue, so the death of one costs only the connections that it had. The first worker also has
the control panel; when a configuration is applied there, the others are told by SIGHUP to read the file again.
"""

from __future__ import annotations

import logging
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

from msgspec import structs

from codex_nexus.errors import NexusError
from codex_nexus.gateway.metrics import SHARED, forget
from codex_nexus.service.supervisor import Overrides, Supervisor

log = logging.getLogger("codex_nexus.service")

SOCKET, WORKER = "CODEX_NEXUS_SOCKET", "CODEX_NEXUS_WORKER"
"""Variables that tell a worker its socket and its number."""
_FAREWELL_S = 20.0
_TOO_SOON_S = 3.0
_PATIENCE = 5

Say = Callable[[str], None]


def run_workers(home: Path, overrides: Overrides, count: int, say: Say, flags: tuple[str, ...] = ()) -> int:
    """Runs the workers until SIGINT or SIGTERM; gives the exit code.

    Raises:
        ConfigError: the files are wrong.
        NexusError: the address cannot be used, or this system cannot share a socket.
    """
    if os.name == "nt":
        raise NexusError("--workers needs a system that can share a socket between processes; Windows cannot.")
    config = Supervisor(home, overrides, say).read().config  # makes the access token once, for all
    with _listening(config.host, config.port) as shared:
        port = int(shared.getsockname()[1])
        return _Herd(shared, ["--host", config.host, "--port", str(port), *flags], inject=overrides.inject).run(
            count, say
        )


def as_worker(overrides: Overrides) -> tuple[Overrides, Say]:
    """What a process does that was started as a worker; only the first of them speaks to the user."""
    number, shared = int(os.environ.pop(WORKER, "0")), int(os.environ.pop(SOCKET))
    mine = structs.replace(overrides, socket=shared, worker=number, inject=overrides.inject and number == 0)
    return mine, (print if number == 0 else log.debug)


def _listening(host: str, port: int) -> socket.socket:
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        shared = socket.socket(family, kind, protocol)
        shared.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        shared.bind(address)
        shared.listen(1024)
    except OSError as error:
        raise NexusError(f"Cannot listen on {host}:{port}: {error.strerror or error}.") from None
    shared.set_inheritable(True)
    return shared


class _Herd:
    def __init__(self, shared: socket.socket, flags: list[str], *, inject: bool) -> None:
        self._socket = shared
        self._flags = flags if inject else [*flags, "--no-inject"]
        self._workers: dict[int, subprocess.Popen[bytes]] = {}
        self._born: dict[int, float] = {}
        self._ending = threading.Event()
        self._deaths = 0
        self._counts = tempfile.TemporaryDirectory(prefix="codex-nexus-")

    def run(self, count: int, say: Say) -> int:
        for name in ("SIGINT", "SIGTERM"):
            signal.signal(getattr(signal, name), lambda _number, _frame: self._ending.set())
        signal.signal(signal.SIGHUP, lambda _number, _frame: self._tell_others())
        try:
            for number in range(count):
                self._start(number)
            while not self._ending.wait(0.2):
                if not self._look(say):
                    return 1
        finally:
            self._stop()
            self._counts.cleanup()
        return 0

    def _start(self, number: int) -> None:
        environ = {**os.environ, SOCKET: str(self._socket.fileno()), WORKER: str(number), SHARED: self._counts.name}
        command = [sys.executable, "-m", "codex_nexus", "serve", *self._flags]
        # a session of its own: Ctrl+C in the terminal comes to the parent, which ends the workers in order
        self._workers[number] = subprocess.Popen(  # noqa: S603
            command, env=environ, pass_fds=(self._socket.fileno(),), start_new_session=True
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

    def _tell_others(self) -> None:
        for number, worker in self._workers.items():
            if number and worker.poll() is None:
                worker.send_signal(signal.SIGHUP)

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
