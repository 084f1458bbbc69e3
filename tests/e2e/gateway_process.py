"""The gateway as a user starts it: `python -m codex_nexus serve` in a process and a folder of its own.

with GatewayProcess(tmp_path, custom_upstream=upstream.base_url) as gateway:
    ... a Responses client at gateway.base_url ...
    print(gateway.log)
"""

import json
import os
import random
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from tests.e2e.llama_server import is_well

TOKEN = "local-access-token"  # what Codex shows to the gateway
UPSTREAM_KEY = "sk-upstream-key"  # what the gateway shows to the provider
MODEL = "nexus-test"  # the name that Codex asks for
UPSTREAM_MODEL = "scripted"  # the name that the provider is asked for
START_TIMEOUT = 90.0
STOP_TIMEOUT = 60.0


class GatewayProcess:
    """The gateway, configured to send `MODEL` to a custom upstream; `extra` are more keys of its configuration."""

    def __init__(self, folder: Path, custom_upstream: str, **extra: Any) -> None:
        self.home = folder / "nexus"
        self.log_file = folder / "gateway.log"
        self.port = _free_port_pair()
        self.config: dict[str, Any] = {
            "provider": "custom",
            "custom_upstream": custom_upstream,
            "api_key": UPSTREAM_KEY,
            "access_token": TOKEN,
            "model_routes": {MODEL: {"provider": "custom", "model": UPSTREAM_MODEL}},
            **extra,
        }
        self.flags: tuple[str, ...] = ()
        self.injects = False
        """Whether it may write into Codex's configuration at its start."""
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def base_url(self) -> str:
        """What Codex is given as its base URL."""
        return f"http://127.0.0.1:{self.port}/v1"

    @property
    def log(self) -> str:
        """All that the gateway has printed."""
        return self.log_file.read_text(encoding="utf-8", errors="replace") if self.log_file.exists() else ""

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def start(self) -> None:
        """Start, and wait until the gateway says that it is well."""
        self._write_config()
        command = [sys.executable, "-m", "codex_nexus", "serve", "--port", str(self.port), *self.flags]
        command += [] if self.injects else ["--no-inject"]
        with self.log_file.open("ab") as log:
            self._process = subprocess.Popen(
                command,
                cwd=self._folder,
                env=self._environment(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        try:
            self._wait_until_healthy()
        except BaseException:
            self.stop()
            raise

    def stop(self) -> int | None:
        """End it with SIGTERM, or by force if it does not go; the exit status, None if it was not running."""
        process, self._process = self._process, None
        if process is None:
            return None
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(STOP_TIMEOUT)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        return process.returncode

    def kill(self) -> None:
        """End it as a crash would: SIGKILL, with nothing said before."""
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.wait()

    @property
    def pid(self) -> int:
        """The process, while it runs."""
        assert self._process is not None
        return self._process.pid

    def _write_config(self) -> None:
        self.home.mkdir(parents=True, exist_ok=True)
        file = self.home / "config.json"
        file.write_text(json.dumps(self.config, indent=2))
        file.chmod(0o600)

    def _environment(self) -> dict[str, str]:
        proxies = {"http_proxy", "https_proxy", "all_proxy", "no_proxy"}
        kept = {name: value for name, value in os.environ.items() if name.lower() not in proxies}
        private = {"CODEX_NEXUS_HOME": self.home, "CODEX_HOME": self._folder / "codex", "HOME": self._folder}
        return kept | {name: str(folder) for name, folder in private.items()} | {"PYTHONUNBUFFERED": "1"}

    def _wait_until_healthy(self) -> None:
        deadline = time.monotonic() + START_TIMEOUT
        while time.monotonic() < deadline and self._process is not None and self._process.poll() is None:
            if is_well(f"http://127.0.0.1:{self.port}/healthz"):
                return
            time.sleep(0.05)
        raise RuntimeError(f"the gateway did not start:\n{self.log[-4000:]}")


def _free_port_pair() -> int:
    """A port that is free together with the next one, which the control panel takes."""
    for _ in range(100):
        # below the range from which the system takes ports for outgoing connections
        port = random.SystemRandom().randrange(20_000, 32_000, 2)
        with socket.socket() as first, socket.socket() as second:
            first.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            second.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                first.bind(("127.0.0.1", port))
                second.bind(("127.0.0.1", port + 1))
            except OSError:
                continue
            return port
    raise RuntimeError("no two free ports side by side")
