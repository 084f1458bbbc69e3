"""Runs llama.cpp's own HTTP server, out of the xllamacpp wheel, as a process of its own.

    with LlamaServer(model_file) as server:
        ... a Chat Completions client at server.base_url ...

As a program: python tests/e2e/llama_server.py MODEL.gguf PORT
"""

import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from types import TracebackType
from typing import Self

CONTEXT = 40960  # tokens; one byte is about one token of the scripted model, and Codex's first turn has some 50 kB
ALIAS = "reciter"
START_TIMEOUT = 120.0


class LlamaServer:
    """The server process; its log goes to a file beside the model."""

    def __init__(self, model: Path) -> None:
        self.model = model
        self.log_file = model.with_suffix(".log")
        self.port = _free_port()
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def base_url(self) -> str:
        """What a client is given as its base URL."""
        return f"http://127.0.0.1:{self.port}/v1"

    def __enter__(self) -> Self:
        command = [sys.executable, __file__, str(self.model), str(self.port)]
        with self.log_file.open("wb") as log:
            # idle worker threads must sleep, not spin: the machine has other work
            env = {**os.environ, "OMP_WAIT_POLICY": "passive"}
            self._process = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=log, stderr=subprocess.STDOUT, env=env
            )
        try:
            self._wait_until_healthy()
        except BaseException:
            self._stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop()

    def _wait_until_healthy(self) -> None:
        deadline = time.monotonic() + START_TIMEOUT
        while time.monotonic() < deadline and self._process is not None and self._process.poll() is None:
            if is_well(f"http://127.0.0.1:{self.port}/health"):
                return
            time.sleep(0.1)
        raise RuntimeError(f"llama.cpp's server did not start:\n{self.log_file.read_text(errors='replace')[-4000:]}")

    def _stop(self) -> None:
        if self._process is None:
            return
        self._process.terminate()
        try:
            self._process.communicate(timeout=5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.communicate()
        self._process = None


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def is_well(url: str) -> bool:
    """Whether this address answers with 200."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(url, timeout=2) as response:
            return response.status == 200
    except (urllib.error.URLError, OSError):
        return False


def serve(model: str, port: int) -> None:
    """Serve the model until standard input ends: it ends with the process that started this one, however that dies."""
    import xllamacpp  # noqa: PLC0415 - only this process needs it

    params = xllamacpp.CommonParams()
    params.model.path = model
    params.model_alias = {ALIAS}
    params.hostnames = ["127.0.0.1"]
    params.port = port
    params.n_ctx = CONTEXT
    params.n_parallel = 1
    params.n_gpu_layers = 0
    params.cpuparams.n_threads = 1
    params.cpuparams_batch.n_threads = 1
    params.use_jinja = True
    server = xllamacpp.Server(params)
    print("listening", server.listening_address, flush=True)
    sys.stdin.read()
    os._exit(0)  # a running generation must not delay the end


if __name__ == "__main__":
    serve(sys.argv[1], int(sys.argv[2]))
