"""What the demo shows, step by step, in the terminal."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import tempfile
from collections.abc import AsyncIterator, Generator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import aiohttp
from rich.console import Console
from rich.text import Text

from codex_nexus.demo.provider import MODEL, DemoProvider
from codex_nexus.service.files import Overrides
from codex_nexus.service.supervisor import Supervisor
from codex_nexus.wire.sse import SseDecoder

_WEATHER = {
    "type": "function",
    "name": "get_weather",
    "description": "The weather in a city.",
    "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
}
_PROMPT = "Please run the nexus-demo command."
_CODEX_TIMEOUT_S = 90.0

Event = dict[str, Any]


async def run(*, with_codex: bool = True) -> int:
    """The whole tour. Gives the exit code: 1 when something that was tried did not work."""
    console = Console(highlight=False)
    with _folder() as folder:
        async with DemoProvider() as provider:
            supervisor = Supervisor(_home(folder, provider.base_url), Overrides(panel=False), lambda _: None)
            await supervisor.start()
            try:
                return await _tour(console, supervisor.address, folder, with_codex=with_codex)
            finally:
                await supervisor.stop()


async def _tour(console: Console, address: str, folder: Path, *, with_codex: bool) -> int:
    console.print(f"[bold]Codex Nexus[/] runs at {address}, in front of a scripted provider in this process.\n")
    async with aiohttp.ClientSession() as session:
        good = await _conversation(console, session, f"{address}/v1/responses")
    if with_codex:
        good = await _codex(console, address, folder) and good
    console.print("\n[bold green]The demo is complete.[/]" if good else "\n[bold red]The demo failed.[/]")
    if good:
        console.print("Next: start [bold]codex-nexus[/] and open its control panel; the guide there takes a minute.")
    return 0 if good else 1


def _home(folder: Path, base_url: str) -> Path:
    home = folder / "nexus"
    home.mkdir()
    config = {"provider": "custom", "custom_upstream": base_url, "port": 0, "codex_config_auto": False}
    (home / "config.json").write_text(json.dumps(config))
    return home


@contextmanager
def _folder() -> Generator[Path]:
    """A throw-away folder. Codex refuses some of its helpers under the system's temporary folder, so not there."""
    caches = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    made = not caches.exists()
    try:
        caches.mkdir(parents=True, exist_ok=True)
        place: Path | None = caches
    except OSError:
        place = None
    folder = Path(tempfile.mkdtemp(prefix="codex-nexus-demo-", dir=place))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        if made:
            with suppress(OSError):
                caches.rmdir()


# --- the gateway, as any Responses client sees it


async def _conversation(console: Console, session: aiohttp.ClientSession, url: str) -> bool:
    console.rule("[bold]1. A streamed answer[/]", align="left")
    first = await _turn(console, session, url, {"model": MODEL, "input": "Say hello."})
    console.rule("[bold]2. Two tool calls at once, and the answer after their results[/]", align="left")
    asked: Event = {"model": MODEL, "tools": [_WEATHER]}
    second = await _turn(console, session, url, {**asked, "input": "How is the weather in Paris and Beijing?"})
    outputs = [
        {"type": "function_call_output", "call_id": item["call_id"], "output": '{"celsius": 21}'}
        for item in second.get("output", [])
        if item["type"] == "function_call"
    ]
    goes_on = {"previous_response_id": second.get("id"), "input": outputs}
    third = await _turn(console, session, url, {**asked, **goes_on})
    return len(outputs) == 2 and all(turn.get("status") == "completed" for turn in (first, second, third))


async def _turn(console: Console, session: aiohttp.ClientSession, url: str, body: Event) -> Event:
    """One turn, shown as it streams; gives the final response."""
    final: Event = {}
    body = {**body, "stream": True, "reasoning": {"summary": "auto"}}
    async with session.post(url, json=body) as response:
        async for event in _events(response):
            _show(console, event)
            if event["type"] in ("response.completed", "response.failed", "response.incomplete"):
                final = event["response"]
    usage: Event = final.get("usage") or {}
    status, tokens = final.get("status", "no ending"), usage.get("total_tokens", "no")
    console.print(Text(f"[{status}, {tokens} tokens, {final.get('id')}]", style="dim"))
    return final


async def _events(response: aiohttp.ClientResponse) -> AsyncIterator[Event]:
    decoder = SseDecoder()
    async for data in response.content.iter_any():
        for _, payload in decoder.receive_data(data):
            if payload != b"[DONE]":
                yield json.loads(payload)


def _show(console: Console, event: Event) -> None:
    match event["type"]:
        case "response.reasoning_text.delta":
            console.print(Text(event["delta"], style="italic dim"), end="")
        case "response.output_text.delta":
            console.print(Text(event["delta"]), end="")
        case "response.output_item.done" if event["item"]["type"] == "function_call":
            item = event["item"]
            console.print(Text(f"→ {item['name']}({item['arguments']})", style="cyan"))
        case "response.output_item.done":
            console.print()
        case _:
            pass


# --- the real Codex


async def _codex(console: Console, address: str, folder: Path) -> bool:
    console.rule("[bold]3. A real Codex turn[/]", align="left")
    binary = codex_binary()
    if binary is None:
        console.print("Skipped: no `codex` on the PATH. Install it (npm install -g @openai/codex) to see this step.")
        return True
    work = folder / "work"
    work.mkdir()
    console.print(Text(f'$ codex exec "{_PROMPT}"', style="dim"))
    with console.status("Codex is at work", spinner="line"):
        output, status = await _exec(binary, address, folder, work)
    made = work / "nexus-demo.txt"
    console.print(Text(output.strip()))
    if status == 0 and made.exists():
        console.print(Text(f"✓ The command ran: {made.name} holds {made.read_text().strip()!r}", style="green"))
        return True
    console.print(Text(f"✗ The command did not run (Codex ended with status {status}).", style="red"))
    return False


def codex_binary() -> str | None:
    """The absolute path of the user's Codex: `CODEX_BIN`, or `codex` on the PATH."""
    found = shutil.which(os.environ.get("CODEX_BIN") or "codex")
    return None if found is None else str(Path(found).absolute())


async def _exec(binary: str, address: str, folder: Path, work: Path) -> tuple[str, int]:
    home = folder / "codex"
    home.mkdir()
    (home / "config.toml").write_text(_codex_config(address))
    environ = {**os.environ, "CODEX_HOME": str(home)}
    flags = ["exec", "--skip-git-repo-check", "--dangerously-bypass-approvals-and-sandbox", _PROMPT]
    process = await asyncio.create_subprocess_exec(
        binary, *flags, cwd=work, env=environ, start_new_session=True,
        stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    try:
        output, _ = await asyncio.wait_for(process.communicate(), _CODEX_TIMEOUT_S)
    except TimeoutError:
        return f"Codex did not end within {_CODEX_TIMEOUT_S:g} s.", 1
    finally:
        if process.returncode is None:
            _kill(process)
            await process.wait()
    return output.decode("utf-8", "replace"), process.returncode or 0


def _kill(process: asyncio.subprocess.Process) -> None:
    if hasattr(os, "killpg"):
        os.killpg(process.pid, signal.SIGTERM)
    else:
        process.kill()


def _codex_config(address: str) -> str:
    return f"""model = "{MODEL}"
model_provider = "codex-nexus"

[model_providers.codex-nexus]
name = "Codex Nexus"
base_url = "{address}/v1"
model_catalog_url = "{address}/v1/models"
experimental_bearer_token = "demo"
wire_api = "responses"
request_max_retries = 1
stream_max_retries = 1

[analytics]
enabled = false

[features]
plugins = false
apps = false
"""
