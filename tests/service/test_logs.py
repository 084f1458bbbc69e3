"""The log: colours only where they show, JSON that programs can read, files that stay small and private, no keys."""

from __future__ import annotations

import io
import json
import logging
import stat
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from codex_nexus.errors import NexusError
from codex_nexus.gateway.traffic import TurnRecord
from codex_nexus.service import logs

SECRETS = (
    "sk-abcdefgh12345678",
    "nexus-Zm9vYmFyYmF6cXV4MTIzNA",
    "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.c2lnbmF0dXJl",
    "Bearer abcdefgh12345678",
    "AIzaSyA1234567890123456789012345678",
)
TURN = TurnRecord("resp_1", 0.0, "gpt-5.5", "custom/m", "codex", "completed", 1.5, 10, 0, 2)


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture(autouse=True)
def root_logger() -> Iterator[None]:
    """The root logger as it was."""
    root = logging.getLogger()
    before, level = root.handlers[:], root.level
    yield
    for handler in set(root.handlers) - set(before):
        handler.close()
    root.handlers[:] = before
    root.setLevel(level)


def record(message: str, *args: Any, level: int = logging.INFO, **extra: Any) -> logging.LogRecord:
    made = logging.LogRecord("codex_nexus.test", level, __file__, 1, message, args, None)
    made.__dict__.update(extra)
    return made


@pytest.mark.parametrize("secret", SECRETS)
@pytest.mark.parametrize("formatter", [logs.Lines(colour=False), logs.Lines(colour=True), logs.JsonLines()])
def test_no_key_passes(secret: str, formatter: logging.Formatter) -> None:
    fault = TurnRecord("r", 0.0, "m", "p/m", "codex", "failed", fault=f"refused {secret}")
    line = formatter.format(record("upstream said %s at %s", secret, {"key": secret}, turn=fault))
    assert secret.removeprefix("Bearer ") not in line
    assert "***" in line


def test_no_key_passes_in_a_traceback() -> None:
    try:
        raise ValueError(f"wrong: {SECRETS[0]}")  # noqa: TRY301
    except ValueError:
        made = record("a fault")
        made.exc_info = sys.exc_info()
    assert SECRETS[0] not in logs.JsonLines().format(made)
    made.exc_text = None
    assert SECRETS[0] not in logs.Lines(colour=False).format(made)


def test_foreign_words_neither_steer_the_terminal_nor_pass_for_a_line_of_ours() -> None:
    line = logs.Lines(colour=False).format(record("refused: %s", "\x1b]0;evil\x07 no\r\n12:00:00 I resp_1 completed"))
    head, continued = line.split("\n")
    assert head.endswith(r"refused: \x1b]0;evil\x07 no\x0d")
    assert continued == "    12:00:00 I resp_1 completed"


@pytest.mark.parametrize(
    "line",
    [
        "GET https://api.example/v1/models?key=0a1b2c3d4e5f&alt=sse",
        "headers {'api-key': '0a1b2c3d4e5f', 'accept': '*/*'}",
        'body {"x-goog-api-key": "0a1b2c3d4e5f"}',
        "Authorization: Basic 0a1b2c3d4e5f",
        "proxy http://me:0a1b2c3d4e5f@proxy.example:8080 refused",
        "postgresql://nexus:0a1b2c3d4e5f@db/nexus cannot be reached",
    ],
)
def test_what_stands_where_secrets_stand_does_not_pass(line: str) -> None:
    told = logs.Lines(colour=False).format(record(line))
    assert "0a1b2c3d4e5f" not in told
    assert "***" in told
    assert len(told) > 20


def test_a_configured_key_does_not_pass_whatever_it_looks_like(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logs, "_known", set())
    logs.never_tell(["plain words", "plain words and more", "", "abc"])
    try:
        raise ValueError("refused: plain words and more, abc")  # noqa: TRY301
    except ValueError:
        made = record("https://host/plain words?x", exc_info=sys.exc_info())
    for formatter in (logs.JsonLines(), logs.Lines(colour=False)):
        made.exc_text = None
        told = formatter.format(made)
        assert "plain words" not in told
        assert "and more" not in told
        assert ", abc" in told


def test_ordinary_words_stay() -> None:
    text = (
        "gpt-5.5 -> custom/qwen3-coder-480b completed, 10+2 tokens, codex-nexus runs in nexus-demo; unknown key: colours, "
        "http://127.0.0.1:5800 http://[::1]:5800/v1 token: wanted, password"
    )
    assert text in logs.Lines(colour=False).format(record(text))


def test_a_turn_in_json() -> None:
    told = json.loads(logs.JsonLines().format(record("%s -> %s", "a", "b", turn=TURN)))
    assert told["message"] == "a -> b"
    assert told["level"] == "info"
    assert told["turn"]["upstream"] == "custom/m"
    assert told["turn"]["input_tokens"] == 10
    assert told["time"].endswith("+00:00")


def test_one_line_for_each_record_in_json() -> None:
    assert "\n" not in logs.JsonLines().format(record("first\nsecond 你好"))


@pytest.mark.parametrize(("status", "colour"), [("completed", "32"), ("incomplete", "33"), ("failed", "31")])
def test_a_turn_has_the_colour_of_its_outcome(status: Any, colour: str) -> None:
    turn = TurnRecord("r", 0.0, "m", "p/m", "codex", status)
    assert f"\x1b[{colour}m" in logs.Lines(colour=True).format(record("turn", turn=turn))
    assert "\x1b" not in logs.Lines(colour=False).format(record("turn", turn=turn))


def test_colours_only_where_they_show() -> None:
    assert logs.takes_colour(Terminal(), {"TERM": "xterm", "WT_SESSION": "x"})
    assert not logs.takes_colour(Terminal(), {"NO_COLOR": "1", "WT_SESSION": "x"})
    assert not logs.takes_colour(Terminal(), {"TERM": "dumb", "WT_SESSION": "x"})
    assert not logs.takes_colour(io.StringIO(), {})
    assert not logs.takes_colour(None, {})


@pytest.mark.skipif(sys.platform == "win32", reason="modes are POSIX's")
def test_a_file_is_private_and_rotates(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logs, "_FILE_BYTES", 1000)
    file = tmp_path / "new" / "nexus.log"
    logs.set_up("text", str(file), debug=False)
    for number in range(100):
        logging.getLogger("codex_nexus.test").info("line %d of many, which fill the file 你好", number)
    files = sorted(file.parent.iterdir())
    assert len(files) == 4
    assert all(stat.S_IMODE(path.stat().st_mode) == 0o600 for path in files)
    assert all(path.stat().st_size <= 1100 for path in files)
    assert "line 99" in file.read_text("utf-8")


def test_a_file_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(NexusError, match="cannot be written"):
        logs.set_up("json", str(tmp_path / "file" / "nexus.log"), debug=False)
