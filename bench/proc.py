"""Processes of the benchmark: starting them on one CPU, what the kernel says about them, and ending them by pid."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO

_CPUS = sorted(os.sched_getaffinity(0))
LOAD_CPU = _CPUS[0]
MEASURED_CPU = _CPUS[1 % len(_CPUS)]


@contextmanager
def pinned(cpu: int) -> Generator[None]:
    """Children started within run on `cpu`."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {cpu})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def start(
    command: Sequence[str], cpu: int, log: IO[bytes], env: Mapping[str, str] | None = None, out: int | None = None
) -> subprocess.Popen[bytes]:
    """Start a child on `cpu`; its standard error, and output unless `out` says otherwise, go to `log`."""
    with pinned(cpu):
        return subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=log if out is None else out, stderr=log, env=dict(env or os.environ)
        )


def stop(process: subprocess.Popen[bytes], patience_s: float = 8.0) -> None:
    """Ask a child to end, then make it."""
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
    try:
        process.wait(patience_s)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    for pipe in (process.stdin, process.stdout):
        if pipe:
            pipe.close()


def tree(pid: int) -> list[int]:
    """The process and all its descendants."""
    found = [pid]
    for task in _tasks(pid):
        for child in (_read(task / "children") or "").split():
            found += tree(int(child))
    return found


def cpu_ns(pid: int) -> int:
    """Nanoseconds on a CPU of all threads of a process tree, so far."""
    lines = (_read(task / "schedstat") for one in tree(pid) for task in _tasks(one))
    return sum(int(line.split()[0]) for line in lines if line)


def rss_kb(pid: int) -> int:
    """Resident kilobytes of a process tree."""
    lines = (line for one in tree(pid) for line in (_read(Path(f"/proc/{one}/status")) or "").splitlines())
    return sum(int(line.split()[1]) for line in lines if line.startswith("VmRSS:"))


def open_files(pid: int) -> int:
    """Open file descriptors of a process tree."""
    return sum(len(list(Path(f"/proc/{one}/fd").iterdir())) for one in tree(pid))


def _tasks(pid: int) -> list[Path]:
    try:
        return list(Path(f"/proc/{pid}/task").iterdir())
    except OSError:
        return []


def _read(path: Path) -> str | None:
    try:
        return path.read_text()
    except OSError:
        return None
