"""The real Codex, in a home of its own: finds or installs the program, writes its configuration, runs it.

with CodexHome(binary) as home:
    home.write_config("http://127.0.0.1:5800/v1", model="nexus-test", token="local")
    run = home.exec("say hi")
    assert run.returncode == 0, run
    print(run.stdout, (home.repo / "README.md").read_text())
"""

import json
import os
import shutil
import signal
import subprocess
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

ROOT = Path(__file__).resolve().parents[2]
CACHE = ROOT / ".cache"  # not the system's temporary folder: Codex puts no helper programs there
VERSION = "0.169.0"
PROVIDER = "codex-nexus"
INSTALL_TIMEOUT = 300
PATIENCE = 180.0  # seconds within which a run must have ended, well or badly, however slow the machine is
DEAD_PROXY = "http://127.0.0.1:9"  # nothing listens on the discard port


# --- the program


def codex_binary() -> tuple[Path | None, str]:
    """The program, or None with the reason why it cannot be had; where the variable CI is set, that is an error."""
    found = _given() or _installed()
    if found is not None:
        return found, ""
    problem = _install()
    if not problem:
        return _program(), ""
    if os.environ.get("CI"):
        raise RuntimeError(problem)
    return None, problem


def _given() -> Path | None:
    named = os.environ.get("CODEX_BIN") or shutil.which("codex")
    return Path(named) if named else None


def _installed() -> Path | None:
    return _program() if _program().exists() else None


def _folder() -> Path:
    return CACHE / "codex" / VERSION


def _program() -> Path:
    return _folder() / "node_modules" / ".bin" / "codex"


def _install() -> str:
    npm = shutil.which("npm")
    if npm is None:
        return "Codex is not installed, and npm, which could install it, is missing"
    _folder().mkdir(parents=True, exist_ok=True)
    command = [npm, "install", "--no-audit", "--no-fund", "--prefix", str(_folder()), f"@openai/codex@{VERSION}"]
    try:
        done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=INSTALL_TIMEOUT)
    except subprocess.TimeoutExpired:
        return f"npm could not install Codex {VERSION} within {INSTALL_TIMEOUT} s"
    if done.returncode or not _program().exists():
        return f"npm could not install Codex {VERSION}: {done.stderr.strip()[-600:]}"
    return ""


# --- one run of it


@dataclass(frozen=True, slots=True)
class CodexRun:
    """How one run went."""

    args: tuple[str, ...]
    returncode: int
    stdout: str
    stderr: str
    seconds: float
    ended_by_us: bool

    @property
    def output(self) -> str:
        """All that the user saw."""
        return self.stdout + self.stderr

    @property
    def events(self) -> list[dict[str, Any]]:
        """The events that `--json` printed."""
        return [json.loads(line) for line in self.stdout.splitlines() if line.startswith("{")]


class CodexHome:
    """A private CODEX_HOME beside a scratch git repository; both vanish at the end, or stay with KEEP_HOMES set."""

    def __init__(self, binary: Path) -> None:
        self.binary = binary
        self.folder = CACHE / "homes" / uuid.uuid4().hex[:12]
        self.codex_home = self.folder / "codex"
        self.repo = self.folder / "repo"
        self.config_file = self.codex_home / "config.toml"
        self._runs = 0

    def __enter__(self) -> Self:
        self.codex_home.mkdir(parents=True)
        self.repo.mkdir()
        (self.repo / "README.md").write_text("# scratch\n")
        identity = ("-c", "user.name=tests", "-c", "user.email=tests@example.invalid")
        for command in (("init", "-q", "-b", "main"), ("add", "."), (*identity, "commit", "-qm", "start")):
            subprocess.run(["git", *command], cwd=self.repo, env=self._environment(), check=True)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if not os.environ.get("KEEP_HOMES"):
            shutil.rmtree(self.folder, ignore_errors=True)

    def write_config(
        self,
        base_url: str,
        model: str,
        token: str,
        extra_toml: str = "",
        *,
        stream_max_retries: int = 5,
        settings: Mapping[str, Any] | None = None,
    ) -> None:
        """Write config.toml; `settings` are more top-level keys, `extra_toml` more tables."""
        top = {"model": model, "model_provider": PROVIDER, **(settings or {})}
        provider = {
            "name": "Codex Nexus",
            "base_url": base_url,
            "model_catalog_url": f"{base_url}/models",
            "experimental_bearer_token": token,
            "wire_api": "responses",
            "request_max_retries": 1,
            "stream_max_retries": stream_max_retries,
            "stream_idle_timeout_ms": 300_000,
        }
        parts = [
            _toml(top),
            f"[model_providers.{PROVIDER}]\n{_toml(provider)}",
            f'[projects."{self.repo}"]\ntrust_level = "trusted"\n',
            # whatever would speak to another host
            "[features]\nplugins = false\napps = false\nremote_plugin = false\n",
            "[analytics]\nenabled = false\n",
            extra_toml,
        ]
        self.config_file.write_text("\n".join(parts))

    def exec(
        self, prompt: str, *flags: str, json: bool = False, until: Callable[[], object] = lambda: False
    ) -> CodexRun:
        """One `codex exec`; it is ended from outside when `until` says so."""
        return self._run("exec", *_exec_flags(json=json), *flags, prompt, until=until)

    def resume(self, prompt: str, *flags: str, json: bool = False) -> CodexRun:
        """One more turn of the last thread."""
        return self._run("exec", "resume", "--last", *_exec_flags(json=json), *flags, prompt)

    def _run(self, *args: str, until: Callable[[], object] = lambda: False) -> CodexRun:
        self._runs += 1
        out, err = (self.folder / f"run-{self._runs}.{name}" for name in ("out", "err"))
        began = time.monotonic()
        # files, not pipes: a grandchild that outlives Codex would keep a pipe open
        with out.open("wb") as stdout, err.open("wb") as stderr:
            process = subprocess.Popen(
                [str(self.binary), *args],
                cwd=self.repo,
                env=self._environment(),
                stdin=subprocess.DEVNULL,
                stdout=stdout,
                stderr=stderr,
                start_new_session=True,
            )
            ended_by_us = _wait(process, until)
        seconds = time.monotonic() - began
        return CodexRun(args, process.returncode, _read(out), _read(err), seconds, ended_by_us)

    def _environment(self) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if name in ("PATH", "LANG", "TERM", "TMPDIR")}
        proxies = dict.fromkeys(("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"), DEAD_PROXY)
        return (
            kept
            | proxies
            | {
                "NO_PROXY": "127.0.0.1,localhost",
                "HOME": str(self.folder),
                "CODEX_HOME": str(self.codex_home),
                "GIT_CONFIG_GLOBAL": os.devnull,
            }
        )


def _read(file: Path) -> str:
    return file.read_text(encoding="utf-8", errors="replace")


def _exec_flags(*, json: bool) -> tuple[str, ...]:
    flags = ("--skip-git-repo-check", "--dangerously-bypass-approvals-and-sandbox")
    return (*flags, "--json") if json else flags


def _wait(process: subprocess.Popen[bytes], until: Callable[[], object]) -> bool:
    """Wait for the end; end the process and its group when its time is over, or `until` is so, and say so."""
    deadline = time.monotonic() + PATIENCE
    while process.poll() is None:
        if until() or time.monotonic() > deadline:
            _end_group(process)
            return True
        time.sleep(0.02)
    return False


def _end_group(process: subprocess.Popen[bytes]) -> None:
    os.killpg(process.pid, signal.SIGTERM)
    try:
        process.wait(5)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _toml(table: Mapping[str, Any]) -> str:
    # JSON's way to write strings, numbers, booleans and lists is TOML's too
    return "".join(f"{key} = {json.dumps(value)}\n" for key, value in table.items())
