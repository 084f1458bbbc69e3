"""What the tests of the page share: Debian's Chromium, a gateway with its panel, and pages that fail on any complaint."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Locator, Page, expect, sync_playwright

from tests.e2e.gateway_process import GatewayProcess
from tests.upstream import finish, reasoning, text, usage
from tests.waiting import PATIENCE, eventually

expect.set_options(timeout=1000 * PATIENCE)

BINARIES = ("chromium", "chromium-browser", "google-chrome")
LONG = (
    "The gateway stands between a client that speaks Responses and a provider that speaks Chat Completions. "
    "It reads one stream and writes another, and it ends every turn exactly once."
)
GOOD = [
    reasoning("Let me think. "),
    text("Hello "),
    text("from upstream."),
    finish(),
    usage(12, 7, cached=4, thought=2),
]
"""An answer: thoughts, two pieces of text, the end."""
ROUTES = {"gpt-5.5": {"provider": "custom", "model": "scripted"}, "o3": {"provider": "custom", "model": "other"}}
LANGUAGES = pytest.mark.parametrize("language", ["en", "zh"])
AREAS = ("overview", "providers", "routing", "models", "playground", "preview", "settings")


def chromium() -> str | None:
    """The browser of this system."""
    return next((found for name in BINARIES if (found := shutil.which(name))), None)


def missing(reason: str) -> None:
    """Skips, but never where the tests are the gate."""
    if os.environ.get("CI"):
        pytest.fail(reason)
    pytest.skip(reason)


@contextlib.contextmanager
def browser() -> Generator[Browser]:
    """A headless browser."""
    with sync_playwright() as playwright:
        # Inside a container of root's there is no sandbox to be had.
        options = ["--no-sandbox"] if os.name == "posix" and os.geteuid() == 0 else []
        running = playwright.chromium.launch(executable_path=chromium(), args=options)
        try:
            yield running
        finally:
            running.close()


class PanelProcess(GatewayProcess):
    """A gateway with its panel. `config=None` leaves the home empty, as it is at the first visit."""

    def __init__(self, folder: Path, upstream: str, config: dict[str, Any] | None = None, **extra: Any) -> None:
        super().__init__(folder, upstream, **extra)
        self._empty = config is None
        self.codex_home: Path | None = None
        if config is not None:
            self.config = self.config | config
        (folder / "codex").mkdir(exist_ok=True)

    @property
    def url(self) -> str:
        """The panel's address."""
        return f"http://127.0.0.1:{self.port + 1}"

    @property
    def file(self) -> Path:
        """The configuration file."""
        return self.home / "config.json"

    def _environment(self) -> dict[str, str]:
        own = {"CODEX_HOME": str(self.codex_home)} if self.codex_home is not None else {}
        return super()._environment() | own

    def _wait_until_healthy(self) -> None:
        super()._wait_until_healthy()
        eventually(lambda: "[web] Control panel: http" in self.log)  # it opens after the gateway

    def _write_config(self) -> None:
        if not self._empty:
            super()._write_config()


class Complaints:
    """Everything that a page complained of: uncaught errors, console errors, requests to anybody else."""

    def __init__(self, page: Page, *, expected: tuple[str, ...] = ()) -> None:
        self.seen: list[str] = []
        self.expected = list(expected)
        page.on("pageerror", lambda error: self.seen.append(f"uncaught: {error}"))
        page.on("console", self._console)
        page.on("request", lambda request: self._request(request.url))

    def _console(self, message: ConsoleMessage) -> None:
        if message.type == "error" and not any(part in message.text for part in self.expected):
            self.seen.append(f"console: {message.text}")

    def _request(self, url: str) -> None:
        if not url.startswith(("http://127.0.0.1:", "http://localhost:", "blob:")):
            self.seen.append(f"a request to {url}")


def open_panel(page: Page, panel: PanelProcess, area: str = "overview", *, language: str = "en") -> None:
    """Opens an area in a language."""
    page.add_init_script(
        f"localStorage.getItem('nexus-language') ?? localStorage.setItem('nexus-language', '{language}')"
    )
    page.goto(f"{panel.url}/#/{area}")
    page.locator("main h1").first.wait_for(state="attached")


def key(page: Page, name: str) -> Locator:
    """The element that the page knows by this key."""
    return page.locator(f'[data-key="{name}"]')


def written(panel: PanelProcess) -> dict[str, Any]:
    """The configuration file."""
    return json.loads(panel.file.read_text())
