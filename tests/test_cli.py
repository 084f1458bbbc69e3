"""The command line as a user meets it: what it prints, where it fails, and with which exit code."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from codex_nexus import __version__
from codex_nexus.cli import main
from codex_nexus.errors import ConfigError
from tests.waiting import PATIENCE, eventually

VERBS = ("serve", "demo", "check", "version")
ADDRESS = re.compile(r"^\[nexus\] Codex Nexus running: (http://127\.0\.0\.1:\d+)$")


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of our files, and nothing of the real user's."""
    folder = tmp_path / "nexus"
    monkeypatch.setenv("CODEX_NEXUS_HOME", str(folder))
    monkeypatch.setenv("CODEX_HOME", str(tmp_path / "no-codex"))
    monkeypatch.setenv("HOME", str(tmp_path))
    folder.mkdir()
    return folder


def configure(home: Path, **config: Any) -> Path:
    """Writes config.json."""
    path = home / "config.json"
    path.write_text(json.dumps(config))
    return path


# --- verbs that end by themselves


@pytest.mark.parametrize("argv", [["version"], ["--version"]])
def test_the_version(argv: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with contextlib.suppress(SystemExit):
        assert main(argv) == 0
    assert capsys.readouterr().out == f"codex-nexus {__version__}\n"


def test_the_help_names_every_verb(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["--help"])
    told = capsys.readouterr().out
    assert caught.value.code == 0
    for word in (*VERBS, "--host", "--port", "--dev", "config.json", "CODEX_NEXUS_HOME", "Exit codes"):
        assert word in told


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_has_a_help(verb: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main([verb, "--help"])
    assert caught.value.code == 0
    assert f"codex-nexus {verb}" in capsys.readouterr().out


@pytest.mark.parametrize(
    "argv", [["no-such-verb"], ["--no-such-flag"], ["--port", "x"], ["--port", "65535"], ["serve", "--port", "-1"]]
)
def test_wrong_use_is_told(argv: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(argv)
    assert caught.value.code == 2
    assert "usage: codex-nexus" in capsys.readouterr().err


@pytest.mark.usefixtures("home")
def test_a_check_without_a_file_is_good(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check"]) == 0
    assert "good. Default provider: deepseek." in capsys.readouterr().out


def test_a_check_of_a_good_file_is_good(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = configure(home, provider="kimi", provider_api_keys={"kimi": "sk-secret-key"})
    assert main(["check"]) == 0
    told = capsys.readouterr().out
    assert str(path) in told
    assert "Default provider: kimi." in told
    assert "sk-secret-key" not in told


def test_a_check_tells_every_problem(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = configure(home, port="x", language="tlh", provider="nobody", provider_api_keys={"kimi": 5}, theme="dark")
    assert main(["check"]) == 2
    told = capsys.readouterr().err
    assert told.startswith(f"codex-nexus: {path} has 4 problems:\n")
    for key in ("port: ", "language: ", "provider: ", "provider_api_keys.kimi: "):
        assert f"\n  - {key}" in told
    assert "Traceback" not in told


def test_a_check_of_the_users_providers(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (home / "providers.json").write_text('{"providers": [{"id": "x", "colour": "red"}]}')
    assert main(["check"]) == 2
    told = capsys.readouterr().err
    assert "providers.json" in told
    assert "colour" in told


@pytest.mark.parametrize(
    ("config", "said"),
    [
        ({"vision_model": "deepseek/deepseek-v4-pro"}, "takes no images itself"),
        ({"vision_model": "kimi/kimi-k9"}, "'kimi-k9' is none of the models known of Kimi"),
        ({"vision_model": "kimi/kimi-k3"}, "There is no API key for Kimi"),
        ({"vision_model": "custom/eyes"}, "has no address; set 'custom_upstream'"),
        ({"vision_model": "kimi/kimi-k3", "provider_api_keys": {"kimi": "sk-key-of-kimi"}}, ""),
        ({"vision_model": "ollama/llava"}, ""),
        ({}, ""),
    ],
)
def test_a_check_doubts_a_vision_model(
    home: Path, capsys: pytest.CaptureFixture[str], config: dict[str, Any], said: str
) -> None:
    configure(home, **config)
    assert main(["check"]) == 0
    told = capsys.readouterr().out
    assert ("vision_model" in told) == bool(said)
    assert said in told


@pytest.mark.skipif(os.name == "nt", reason="arguments are bytes on POSIX only")
@pytest.mark.parametrize("argv", [["probe", "ollama/caf\udce9"], ["models", "caf\udce9"], ["--host", "caf\udce9"]])
def test_bytes_that_are_no_text_are_told(argv: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(argv)
    assert caught.value.code == 2
    assert "not written in UTF-8" in capsys.readouterr().err


def test_the_log_of_every_verb_hides_keys(home: Path) -> None:
    configure(home, provider_api_keys={"kimi": "an-odd-looking-key"})
    program = (
        "import logging, sys; from pathlib import Path; from codex_nexus import cli; from codex_nexus.probe import world\n"
        "def probe(home, *_, **__):\n    world.read(home); logging.getLogger('x').warning('sk-abcdefgh12345678 an-odd-looking-key')\n"
        "cli.VERBS['models'] = lambda _: probe(Path(sys.argv[1])) or 0\n"
        "raise SystemExit(cli.main(['models']))"
    )
    ran = subprocess.run([sys.executable, "-c", program, str(home)], check=False, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr
    assert "***" in ran.stderr
    assert "abcdefgh" not in ran.stderr + ran.stdout
    assert "odd-looking" not in ran.stderr + ran.stdout


def test_under_dev_an_error_is_raised(home: Path) -> None:
    configure(home, port="x")
    with pytest.raises(ConfigError, match="port: "):
        main(["--dev", "check"])


# --- the services as a process


@contextlib.contextmanager
def serving(*flags: str) -> Iterator[tuple[subprocess.Popen[str], list[str]]]:
    """`codex-nexus` with these flags, and the lines that it printed until its address."""
    command = [sys.executable, "-m", "codex_nexus", *flags]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            lines: list[str] = []
            while not (lines and ADDRESS.match(lines[-1])):
                line = process.stdout.readline()
                assert line, f"it ended: {lines} {process.communicate()[1]}"
                lines.append(line.rstrip("\n"))
            yield process, lines
        finally:
            process.kill()


def ended(*flags: str) -> subprocess.CompletedProcess[str]:
    """`codex-nexus` that cannot start."""
    command = [sys.executable, "-m", "codex_nexus", *flags]
    return subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=False)


@pytest.mark.skipif(sys.platform == "win32", reason="signals")
@pytest.mark.usefixtures("home")
def test_ctrl_c_ends_the_demo_and_the_codex_that_it_started(tmp_path: Path) -> None:
    program, mark = tmp_path / "codex", tmp_path / "process"
    program.write_text(f"#!/bin/sh\necho $$ > {mark}.new && mv {mark}.new {mark}\nexec sleep 600\n")
    program.chmod(0o755)
    environ = os.environ | {"CODEX_BIN": str(program), "XDG_CACHE_HOME": str(tmp_path / "caches")}
    command = [sys.executable, "-m", "codex_nexus", "demo"]
    with subprocess.Popen(command, env=environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        eventually(mark.exists)
        process.send_signal(signal.SIGINT)
        _, complaint = process.communicate(timeout=PATIENCE)
    assert (process.returncode, complaint) == (130, "codex-nexus: stopped with Ctrl+C.\n")
    assert list(tmp_path.glob("caches/*")) == []
    with pytest.raises(ProcessLookupError):
        os.kill(int(mark.read_text()), 0)


def is_well(address: str) -> bool:
    """Whether a gateway answers there."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(f"{address}/healthz", timeout=PATIENCE) as response:
        return json.load(response)["name"] == "codex-nexus"


@pytest.mark.usefixtures("home")
@pytest.mark.parametrize(("flags", "number"), [([], signal.SIGTERM), (["serve", "--no-inject"], signal.SIGINT)])
def test_it_serves_until_it_is_told_to_end(flags: list[str], number: signal.Signals) -> None:
    with serving(*flags, "--port", "0") as (process, lines):
        [address] = [match[1] for line in lines if (match := ADDRESS.match(line))]
        assert is_well(address)
        process.send_signal(number)
        out, err = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0, err
    assert "[nexus] Stopping; running answers may finish." in out
    assert "Traceback" not in err


@pytest.mark.usefixtures("home")
def test_a_port_that_we_hold_already_is_told() -> None:
    with serving("--port", "0") as (_, lines):
        port = lines[-1].rpartition(":")[2]
        second = ended("--port", port)
    assert second.returncode == 1
    assert second.stderr.startswith(f"codex-nexus: Port {port} is taken: Codex Nexus already runs there")
    assert "Traceback" not in second.stderr
    assert "running:" not in second.stdout


@pytest.mark.usefixtures("home")
def test_a_port_that_another_program_holds_is_told() -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        result = ended("--port", str(port))
    assert result.returncode == 1
    assert result.stderr.startswith(f"codex-nexus: Port {port} is taken: another program holds it")


def test_a_wrong_configuration_stops_it_with_every_problem(home: Path) -> None:
    configure(home, port="x", provider="nobody")
    result = ended("serve", "--port", "0")
    assert result.returncode == 2
    assert "\n  - port: " in result.stderr
    assert "\n  - provider: " in result.stderr
    assert "Traceback" not in result.stderr


def test_beyond_loopback_a_token_is_made(home: Path) -> None:
    command = [sys.executable, "-m", "codex_nexus", "--host", "0.0.0.0", "--port", "0", "--no-inject"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        assert process.stdout is not None
        lines = [process.stdout.readline() for _ in range(2)]
        process.send_signal(signal.SIGTERM)
        rest = process.stdout.read()
    token = json.loads((home / "config.json").read_text())["access_token"]
    assert "access_token" in lines[0]
    assert "[nexus] Codex Nexus running: http://0.0.0.0:" in lines[1]
    assert token not in "".join(lines) + rest
    assert process.returncode == 0


def test_nothing_is_written_into_codexs_home_without_a_codex(home: Path) -> None:
    with serving("--port", "0") as (process, _):
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=PATIENCE)
    assert not Path(os.environ["CODEX_HOME"]).exists()


@pytest.mark.skipif(sys.platform == "win32", reason="pipes end differently there")
def test_a_gateway_goes_on_when_nobody_reads_what_it_says(home: Path) -> None:
    command = [sys.executable, "-m", "codex_nexus", "serve", "--port", "0", "--no-inject"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stderr is not None
    line = process.stdout.readline().decode().strip()
    process.stdout.close()
    address = ADDRESS.match(line)
    assert address, line
    with urllib.request.urlopen(f"{address[1]}/healthz", timeout=PATIENCE) as answer:
        assert answer.status == 200
    process.terminate()
    errors = process.stderr.read().decode()
    process.stderr.close()
    assert process.wait(PATIENCE) == 0, errors
    assert "Traceback" not in errors


@pytest.mark.usefixtures("home")
def test_a_reader_that_goes_away_is_no_fault() -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "codex_nexus", "config", "show", "--all"], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait(PATIENCE) == 1


def test_a_log_begins_with_the_version(home: Path) -> None:
    log = home / "nexus.log"
    configure(home, port="x")
    assert ended("--log-file", str(log)).returncode == 2
    assert f"Codex Nexus {__version__} on Python" in log.read_text().splitlines()[0]
