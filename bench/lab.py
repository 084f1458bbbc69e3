"""The laboratory: starts the fake upstream, the gateway and nginx on loopback ports, and ends what it started."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import socket
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

import proc
from bodies import short_body
from client import check, close_callers, get_json, open_callers
from script import Regime

HERE = Path(__file__).resolve().parent
_PATIENCE_S = 20.0
_WARM_UP = 30
_NGINX_CONFIG = """
daemon off; worker_processes 1; pid {home}/nginx.pid; error_log {home}/error.log warn; {user}
worker_rlimit_nofile 8192;
events {{ worker_connections 4096; }}
http {{
    access_log off; client_max_body_size 0; keepalive_timeout 600s; keepalive_requests 1000000;
    client_body_temp_path {home}/body; proxy_temp_path {home}/proxy; fastcgi_temp_path {home}/fastcgi;
    uwsgi_temp_path {home}/uwsgi; scgi_temp_path {home}/scgi;
    upstream fake {{ server 127.0.0.1:{upstream}; keepalive 1024; keepalive_requests 1000000; }}
    server {{
        listen 127.0.0.1:{port} backlog=4096;
        location / {{
            proxy_pass http://fake; proxy_http_version 1.1; proxy_set_header Connection "";
            proxy_buffering off; proxy_request_buffering off; proxy_read_timeout 600s;
        }}
    }}
}}
"""


class LabError(Exception):
    """Something that the benchmark needs could not be started."""


@dataclass
class Upstream:
    """A running fake upstream."""

    process: subprocess.Popen[bytes]
    port: int
    deaf: int


@dataclass
class Target:
    """A running server that is measured."""

    name: str
    protocol: str
    process: subprocess.Popen[bytes]
    port: int
    log: Path

    @property
    def pid(self) -> int:
        return self.process.pid


class Lab:
    """All servers of one run, in one temporary folder."""

    def __init__(self, home: Path, source: Path = HERE.parent / "src") -> None:
        self.home = home
        self._source = source
        self._started: list[subprocess.Popen[bytes]] = []
        self._count = 0
        self.upstream: Upstream

    async def __aenter__(self) -> Self:
        self.upstream = self.start_upstream()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for process in reversed(self._started):
            proc.stop(process)

    def start_upstream(self) -> Upstream:
        """Another fake upstream."""
        log = self._log("upstream")
        with log.open("wb") as sink:
            command = [sys.executable, str(HERE / "upstream.py")]
            process = proc.start(command, proc.LOAD_CPU, sink, out=subprocess.PIPE)
        self._started.append(process)
        assert process.stdout
        line = process.stdout.readline()
        if not line:
            raise LabError(f"the fake upstream did not start: {log.read_text()[-800:]}")
        return Upstream(process, **json.loads(line))

    async def start_gateway(self, upstream_port: int, *, warm: bool = True) -> Target:
        """A gateway before the upstream of that port."""
        log, port = self._log("gateway"), _free_port()
        home = log.with_suffix("")
        home.mkdir()
        _write_config(home, upstream_port)
        command = [sys.executable, "-m", "codex_nexus", "serve", "--port", str(port), "--no-inject"]
        with log.open("wb") as sink:
            process = proc.start(command, proc.MEASURED_CPU, sink, env=_gateway_env(home, self._source))
        target = Target("gateway", "responses", process, port, log)
        await self._settle(target, "/healthz", warm=warm)
        return target

    async def start_nginx(self) -> Target | None:
        """nginx before the upstream, passing bytes; None if there is no nginx to be had."""
        binary = find_nginx()
        if binary is None:
            return None
        log, port = self._log("nginx"), _free_port()
        home = log.with_suffix("")
        home.mkdir()
        user = "user root;" if os.geteuid() == 0 else ""
        text = _NGINX_CONFIG.format(home=home, user=user, upstream=self.upstream.port, port=port)
        (home / "nginx.conf").write_text(text)
        command = [binary, "-e", str(home / "error.log"), "-p", str(home), "-c", str(home / "nginx.conf")]
        with log.open("wb") as sink:
            process = proc.start(command, proc.MEASURED_CPU, sink)
        target = Target("nginx", "chat", process, port, log)
        await self._settle(target, "/", warm=True)
        return target

    def stop(self, process: subprocess.Popen[bytes]) -> None:
        """End one server before the others."""
        proc.stop(process)
        self._started.remove(process)

    def _log(self, name: str) -> Path:
        self._count += 1
        return self.home / f"{name}-{self._count}.log"

    async def _settle(self, target: Target, path: str, *, warm: bool) -> None:
        self._started.append(target.process)
        deadline = time.monotonic() + _PATIENCE_S
        while not await _answers(target.port, path):
            if target.process.poll() is not None or time.monotonic() > deadline:
                raise LabError(f"{target.name} did not start: {target.log.read_text()[-1500:]}")
            await asyncio.sleep(0.05)
        if warm:
            await ask_short(target, _WARM_UP)


async def ask_short(target: Target, count: int) -> None:
    """`count` short requests, one after the other, each checked."""
    callers = await open_callers(target.port, target.protocol, 1)
    body = short_body(target.protocol, Regime("few", 7))
    for _ in range(count):
        check(target.protocol, await asyncio.wait_for(callers[0].post(body), _PATIENCE_S), 7, deep=True)
    close_callers(callers)


async def _answers(port: int, path: str) -> bool:
    try:
        await asyncio.wait_for(get_json(port, path), 2)
    except (OSError, TimeoutError, ValueError, asyncio.IncompleteReadError):
        return False
    return True


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def _write_config(home: Path, upstream_port: int) -> None:
    config = {
        "provider": "custom",
        "custom_upstream": f"http://127.0.0.1:{upstream_port}/v1",
        "api_key": "k",
        "codex_config_auto": False,
    }
    (home / "config.json").write_text(json.dumps(config))


def _gateway_env(home: Path, source: Path) -> dict[str, str]:
    env = {name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")}
    env["PYTHONPATH"] = os.pathsep.join(filter(None, [str(source), env.get("PYTHONPATH")]))
    env["CODEX_NEXUS_HOME"] = str(home)
    env["CODEX_HOME"] = str(home / "codex")
    return env


def find_nginx() -> str | None:
    """The nginx of this machine."""
    return shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin:/usr/local/sbin")


def install_nginx() -> str:
    """Install nginx with apt-get where that is possible; says what was done, or why not."""
    if find_nginx():
        return ""
    if os.geteuid() != 0 or not shutil.which("apt-get"):
        return "nginx is absent and cannot be installed here (needs root and apt-get)"
    env = {**os.environ, "DEBIAN_FRONTEND": "noninteractive", "RUNLEVEL": "1"}  # run level 1: install, do not start
    install = ["apt-get", "install", "-y", "-q", "--no-install-recommends", "nginx-light"]
    for command in (install, ["apt-get", "update", "-q"], install):
        done = subprocess.run(command, env=env, capture_output=True, timeout=300, check=False)
        if find_nginx():
            return "nginx-light was installed with apt-get"
    return f"nginx-light could not be installed: {done.stderr.decode(errors='replace')[-300:]}"
