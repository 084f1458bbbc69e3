"""Who holds a port."""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from codex_nexus.service import holder


@pytest.fixture
def taken() -> Iterator[int]:
    """A port that this process holds."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


@pytest.mark.skipif(sys.platform == "win32", reason="tested by what Windows says, below")
def test_our_own_process_is_found(taken: int) -> None:
    assert holder.holder_of(taken).endswith(f", process {os.getpid()}")


def test_nobody_holds_a_free_port(taken: int) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))  # bound, but nobody listens
        assert holder.holder_of(free.getsockname()[1]) == ""


_SAID = {
    "lsof": "p4711\ncOllama\nf10\n",
    "netstat": (
        "  Proto  Lokale Adresse  Remoteadresse  Status  PID\r\n"
        "  TCP    127.0.0.1:58000  0.0.0.0:0  ABHÖREN  1\r\n"
        "  TCP    127.0.0.1:5800  127.0.0.1:61234  HERGESTELLT  2\r\n"
        "  TCP    127.0.0.1:5800  0.0.0.0:0  ABHÖREN  4711\r\n"
    ).replace("\r\n", "\n"),
    "tasklist": '"ollama.exe","4711","Console","1","12.345 K"\n',
}


@pytest.mark.parametrize(
    ("platform", "expected"), [("darwin", "Ollama, process 4711"), ("win32", "ollama.exe, process 4711")]
)
def test_what_other_systems_say_is_understood(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, platform: str, expected: str
) -> None:
    monkeypatch.setattr(holder, "_PROC", tmp_path)
    monkeypatch.setattr(holder.sys, "platform", platform)
    monkeypatch.setattr(holder, "_said", lambda *command: _SAID[command[0]])
    assert holder.holder_of(5800) == expected
    monkeypatch.setattr(holder, "_said", lambda *_: "")
    assert holder.holder_of(5800) == ""
