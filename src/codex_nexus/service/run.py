"""`codex-nexus run -- codex ...`: a Codex on the gateway for one process, with nothing written into its home."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import shutil
import signal
import time
from pathlib import Path
from typing import Any, cast

import msgspec
from aiohttp import ClientError, ClientSession, ClientTimeout

from codex_nexus.codex_home.overrides import TOKEN_VARIABLE, command_with
from codex_nexus.codex_home.wish import Wish
from codex_nexus.config import file as config_file
from codex_nexus.config.secrets import Secret
from codex_nexus.errors import ConfigError, NexusError
from codex_nexus.service import logs
from codex_nexus.service.codex import alive, local_address
from codex_nexus.service.files import Overrides
from codex_nexus.service.supervisor import Supervisor

log = logging.getLogger("codex_nexus.service")

_LOG_LIMIT = 4_000_000
_LEFT_S = 7 * 86_400
_PATIENCE = ClientTimeout(total=10)


def run(command: list[str], home: Path) -> int:
    """Runs the command to its end and gives its exit code.

    Raises:
        NexusError: it cannot be started; the message says why.
    """
    command = command or ["codex"]
    command_with(command, Wish(address="", token=""), "")  # refuses early
    program = shutil.which(command[0])
    if program is None:
        raise NexusError(f"There is no program '{command[0]}' on the PATH. Codex: npm install -g @openai/codex@latest")
    _log_into(home)
    address, token = _running(home)
    signal.signal(signal.SIGINT, lambda _number, _frame: None)  # Ctrl+C is for Codex, which gets it as well
    return asyncio.run(_run([program, *command[1:]], home, address, token))


def _log_into(home: Path) -> None:
    """The terminal belongs to Codex: the gateway's log goes into a file."""
    handler: logging.Handler = logging.NullHandler()
    path = home / "run.log"
    with contextlib.suppress(OSError):
        home.mkdir(mode=0o700, parents=True, exist_ok=True)
        big = path.exists() and path.stat().st_size > _LOG_LIMIT
        path.touch(mode=0o600)
        handler = logging.FileHandler(path, "w" if big else "a", "utf-8")
    handler.setFormatter(logs.Lines(colour=False, day=True))
    logging.basicConfig(handlers=[handler], force=True, level=logging.getLogger().level)


def _running(home: Path) -> tuple[str, str]:
    """Address and token of this home's running gateway; without one the address is empty."""
    loaded = config_file.load(home)
    if loaded.problems:
        raise ConfigError(str(home / "config.json"), loaded.problems)
    config = loaded.config
    if not config.access_token:
        config = msgspec.structs.replace(config, access_token=Secret(config_file.new_access_token()))
        with contextlib.suppress(ConfigError):  # loopback callers are served without a token
            config_file.save(home, config, loaded.unknown)
    address = local_address(config.host, config.port)
    token = config.access_token.reveal() or config_file.new_access_token()
    return (address if config.port and alive(address) else ""), token


async def _run(command: list[str], home: Path, address: str, token: str) -> int:
    supervisor: Supervisor | None = None
    if not address:
        supervisor = Supervisor(home, Overrides("127.0.0.1", 0, panel=False), log.info)
        await supervisor.start()
        address = supervisor.address
    try:
        with _catalogue_file(home, await _catalogue(address, token)) as (path, first):
            wish = Wish(address=address, token=token, model=first)
            return await _child(command_with(command, wish, path), token)
    finally:
        if supervisor is not None:
            await supervisor.stop()


async def _catalogue(address: str, token: str) -> dict[str, Any]:
    headers, url = {"Authorization": f"Bearer {token}"}, f"{address}/v1/models"
    try:
        async with ClientSession(timeout=_PATIENCE, headers=headers) as session, session.get(url) as response:
            body: Any = await response.json()
    except (ClientError, TimeoutError, ValueError) as error:
        log.warning("the catalogue cannot be had: %r", error)
        return {}
    found = cast("dict[str, Any]", body) if isinstance(body, dict) else {}
    return found if found.get("models") else {}


@contextlib.contextmanager
def _catalogue_file(home: Path, body: dict[str, Any]):  # noqa: ANN202 - yields path and first model
    """A file with the models, so that Codex need not keep our answer in its own cache."""
    _clear_away(home)
    path = home.absolute() / f"run-{os.getpid()}.json"
    if not body:
        yield "", ""
        return
    try:
        config_file.write_private(path, msgspec.json.encode({"models": body["models"]}))
    except OSError:
        yield "", str(body["models"][0]["slug"])
        return
    try:
        yield str(path), str(body["models"][0]["slug"])
    finally:
        path.unlink(missing_ok=True)


def _clear_away(home: Path) -> None:
    """Takes away what runs that were killed have left: Codex reads its list at its start alone."""
    for path in home.glob("run-*.json"):
        with contextlib.suppress(OSError):
            if time.time() - path.stat().st_mtime > _LEFT_S:
                path.unlink()


async def _child(command: list[str], token: str) -> int:
    environ = dict(os.environ) | {TOKEN_VARIABLE: token}
    for name in ("NO_PROXY", "no_proxy"):
        environ[name] = ",".join(filter(None, [os.environ.get(name), "127.0.0.1,localhost"]))
    try:
        child = await asyncio.create_subprocess_exec(*command, env=environ)
    except OSError as error:
        raise NexusError(f"'{command[0]}' cannot be started: {error.strerror or error}.") from None
    _pass_on_signals(child)
    status = await child.wait()
    return 128 - status if status < 0 else status


def _pass_on_signals(child: asyncio.subprocess.Process) -> None:
    loop = asyncio.get_running_loop()
    for name in ("SIGTERM", "SIGHUP"):
        number = getattr(signal, name, None)
        with contextlib.suppress(NotImplementedError, RuntimeError):
            if number is not None:
                loop.add_signal_handler(number, _send, child, number)


def _send(child: asyncio.subprocess.Process, number: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        child.send_signal(number)
