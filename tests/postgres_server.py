"""A PostgreSQL server of the tests' own: in a temporary folder, on a free loopback port, gone at the end.

with PostgresServer(*programs()) as server:
    url = server.new_database()

`programs` looks on the PATH and where Debian puts its versions. The server refuses to run as root, so root lends it to
another user.
"""

from __future__ import annotations

import glob
import itertools
import os
import pwd
import shutil
import socket
import subprocess
import tempfile
import time
from pathlib import Path
from types import TracebackType
from typing import Any, Self

PATIENCE = 60.0


def programs() -> tuple[Path, Path] | None:
    """`initdb` and `postgres`, or None."""
    folders = [*sorted(glob.glob("/usr/lib/postgresql/*/bin"), reverse=True), os.environ.get("POSTGRES_BIN", "")]  # noqa: PTH207
    found = shutil.which("postgres")
    folders += [str(Path(found).resolve().parent)] if found else []
    for folder in folders:
        if folder and (Path(folder) / "initdb").exists():
            return Path(folder) / "initdb", Path(folder) / "postgres"
    return None


class PostgresServer:
    """The server while it runs; `stop` and `start` may be called in between."""

    def __init__(self, initdb: Path, postgres: Path) -> None:
        self._initdb, self._postgres = initdb, postgres
        self._folder = Path(tempfile.mkdtemp(prefix="nexus-pg-"))
        self._as: dict[str, Any] = {"user": _other_user(), "group": None} if os.geteuid() == 0 else {}
        self._process: subprocess.Popen[bytes] | None = None
        self._numbers = itertools.count(1)
        self.port = _free_port()

    @property
    def url(self) -> str:
        """The address of its first database."""
        return self.url_of("postgres")

    def url_of(self, database: str) -> str:
        """The address of a database."""
        return f"postgresql://nexus@127.0.0.1:{self.port}/{database}"

    def new_database(self) -> str:
        """The address of an empty database."""
        import psycopg  # noqa: PLC0415 - an extra

        name = f"test_{next(self._numbers)}"
        with psycopg.connect(self.url, autocommit=True) as db:
            db.execute(f"CREATE DATABASE {name}")  # type: ignore[arg-type]
        return self.url_of(name)

    def __enter__(self) -> Self:
        if self._as:
            shutil.chown(self._folder, self._as["user"])
            self._as = {"user": self._as["user"], "group": pwd.getpwnam(self._as["user"]).pw_gid, "extra_groups": []}
        command = [
            self._initdb,
            "-D",
            self._data,
            "-U",
            "nexus",
            "-A",
            "trust",
            "-E",
            "UTF8",
            "--locale=C",
            "--no-sync",
        ]
        made = subprocess.run(command, check=False, capture_output=True, text=True, cwd=self._folder, **self._as)
        assert made.returncode == 0, made.stderr
        self.start()
        return self

    @property
    def _data(self) -> Path:
        return self._folder / "data"

    def start(self) -> None:
        """Starts it, and waits until it answers."""
        options = {
            "listen_addresses": "127.0.0.1", "port": self.port, "unix_socket_directories": self._folder, "fsync": "off",
            "shared_buffers": "32MB", "max_connections": 60,
        }  # fmt: skip
        flags = [flag for name, value in options.items() for flag in ("-c", f"{name}={value}")]
        with (self._folder / "server.log").open("ab") as log:
            self._process = subprocess.Popen(
                [self._postgres, "-D", self._data, *flags], stdout=log, stderr=log, cwd=self._folder, **self._as
            )
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            try:
                import psycopg  # noqa: PLC0415 - an extra

                psycopg.connect(self.url, connect_timeout=2).close()
            except psycopg.OperationalError:
                time.sleep(0.05)
            else:
                return
        raise AssertionError((self._folder / "server.log").read_text())

    def stop(self) -> None:
        """Stops it at once; every connection breaks."""
        process, self._process = self._process, None
        if process is not None:
            process.send_signal(3)  # SIGQUIT: immediate shutdown
            process.wait(PATIENCE)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
        shutil.rmtree(self._folder, ignore_errors=True)


def _other_user() -> str:
    names = {user.pw_name for user in pwd.getpwall()}
    return next(name for name in ("postgres", "nobody") if name in names)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
