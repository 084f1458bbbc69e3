"""Pictures of every area at three widths in both languages: `python -m tests.e2e.screenshots [folder]`.

With `--docs` in place of a folder: the pictures of the READMEs.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import sys
import tempfile
import threading
import time
import urllib.request
from pathlib import Path
from typing import Any

from playwright.sync_api import Page, ViewportSize

from tests.e2e.codex import ROOT, codex_binary
from tests.e2e.panel import LONG, PanelProcess, browser, open_panel
from tests.upstream import Answer, Recorded, finish, reasoning, running_upstream, sse, status, text, usage

AREAS = ("overview", "providers", "routing", "models", "playground", "preview", "settings")
WIDTHS = {"wide": 1440, "middle": 900, "narrow": 360}
LANGUAGES = ("en", "zh")
CONFIG = {
    "provider_api_keys": {"deepseek": "sk-0123456789abcdef0123", "kimi": ["env:KIMI_KEY", "sk-kimi-0123456789abcdef"]},
    "model_routes": {
        "gpt-5.5": {"provider": "custom", "model": "qwen3-coder-480b", "fallbacks": [{"provider": "deepseek"}]},
        "gpt-5.4-mini": {"provider": "custom", "model": "qwen3-coder-30b"},
        "o3": {"provider": "kimi", "model": "kimi-k3"},
    },
}
THOUGHT = "A question about the road; say it in two sentences."
MODELS = ("qwen3-coder-480b", "qwen3-coder-30b", "glm-5.3-air", "gpt-oss-120b", "deepseek-v4-flash", "devstral-2")


def answer(asked: Recorded) -> Answer:
    """Mostly a good answer; now and then a refusal."""
    said = str(asked.json["messages"])
    if "refuse" in said:
        return status(429, {"error": {"message": "Rate limit reached for requests", "type": "rate_limit_error"}})
    pieces = [f"{word} " for word in LONG.split()]
    thought = [reasoning(f"{word} ") for word in THOUGHT.split()]
    pause = 0.5 if "slow" in said else 0.02
    return sse([*thought, *map(text, pieces), finish(), usage(1840, 412, cached=1024, thought=96)], pause)


def ask(panel: PanelProcess, model: str, message: str) -> None:
    """One turn, whatever becomes of it."""
    body = f'{{"model": "{model}", "input": "{message}", "stream": true, "store": false}}'.encode()
    headers = {"Content-Type": "application/json"}
    request = urllib.request.Request(f"{panel.base_url}/responses", data=body, headers=headers)
    with contextlib.suppress(OSError, http.client.HTTPException):
        urllib.request.urlopen(request, timeout=120).read()


def traffic(panel: PanelProcess) -> None:
    """Some turns that have ended, and two that go on."""
    asked = ["gpt-5.5", "gpt-5.4-mini", "gpt-5.5", "gpt-5.5", "codex-auto-review", "gpt-5.5"]
    for n, model in enumerate(asked):
        ask(panel, model, "refuse" if n == 2 else "hello")
    for model in ("gpt-5.5", "gpt-5.4-mini"):
        threading.Thread(target=ask, args=(panel, model, "slow"), daemon=True).start()
    time.sleep(1.5)


def prepare(page: Page, area: str) -> None:
    """What makes an area worth a picture."""
    if area == "models":
        page.locator("[data-key=probe]").click()
        page.locator("table.list").wait_for()
    elif area == "playground":
        page.locator("[data-key=send]").click()
        page.locator(".answer[data-state=completed]").wait_for()
    elif area == "routing":
        page.locator("[data-key=route-0-more]").click()
        page.locator("[data-key=route-1-name]").fill("gpt-5.4-nano")
    page.evaluate("scrollTo(0, 0)")
    time.sleep(0.5)


def take(folder: Path) -> None:
    """All pictures."""
    folder.mkdir(parents=True, exist_ok=True)
    with (
        tempfile.TemporaryDirectory() as place,
        running_upstream(answer, models=MODELS) as upstream,
        browser() as running,
    ):
        with PanelProcess(Path(place), upstream.base_url, CONFIG) as panel:
            traffic(panel)
            for language in LANGUAGES:
                for name, width in WIDTHS.items():
                    context = running.new_context(viewport={"width": width, "height": 900})
                    for area in AREAS:
                        page = context.new_page()
                        open_panel(page, panel, area, language=language)
                        prepare(page, area)
                        page.screenshot(path=folder / f"{area}-{name}-{language}.png", full_page=area != "providers")
                        page.close(run_before_unload=False)
                    context.close()
        (Path(place) / "empty").mkdir()
        with PanelProcess(Path(place) / "empty", upstream.base_url) as panel:
            for language in LANGUAGES:
                for name, width in WIDTHS.items():
                    context = running.new_context(viewport={"width": width, "height": 900})
                    page = context.new_page()
                    open_panel(page, panel, language=language)
                    time.sleep(0.5)
                    page.screenshot(path=folder / f"guide-{name}-{language}.png", full_page=True)
                    context.close()


DOCS = ROOT / "docs" / "images"
SHOWN_PORT = 5800  # the real one; it must be free
SHOWN_SIZE: ViewportSize = {"width": 1280, "height": 860}
SHOWN_MODELS = ("deepseek-flash", "deepseek-v4-pro")
GREETING = "Hello! Everything is set up, and I am glad to work on your code with you."


def greet(asked: Recorded) -> Answer:
    """What the pictures of the documents show."""
    if "just set you up" in str(asked.json["messages"]):
        return sse([*[text(f"{word} ") for word in GREETING.split()], finish(), usage(38, 17)], 0.02)
    return answer(asked)


def shown_config(upstream: str) -> dict[str, Any]:
    """A user's configuration, with the scripted provider at the addresses of real ones."""
    return {
        "provider": "deepseek",
        "provider_api_keys": {"deepseek": "sk-0123456789abcdef0123", "kimi": "sk-kimi-0123456789abcdef"},
        "provider_addresses": {"deepseek": upstream, "kimi": upstream},
        "model_routes": {
            "gpt-5.5": {"provider": "deepseek", "model": "deepseek-v4-pro", "fallbacks": [{"provider": "kimi"}]},
            "gpt-5.4-mini": {"provider": "kimi", "model": "kimi-k3"},
        },
    }


def for_docs() -> None:
    """The pictures of the READMEs: the overview under way, and the guide at its end."""
    program, _ = codex_binary()
    folders = [Path(sys.executable).parent, *([program.parent] if program else [])]  # as where both are installed
    os.environ["PATH"] = os.pathsep.join([*map(str, folders), os.environ["PATH"]])
    with (
        tempfile.TemporaryDirectory(prefix="home-") as place,
        running_upstream(greet, models=SHOWN_MODELS) as upstream,
        browser() as running,
    ):
        page = running.new_context(viewport=SHOWN_SIZE).new_page()
        panel = PanelProcess(Path(place), upstream.base_url, shown_config(upstream.base_url))
        panel.port = SHOWN_PORT
        panel.injects = True
        with panel:
            traffic(panel)
            open_panel(page, panel)
            time.sleep(0.5)
            page.screenshot(path=DOCS / "panel-overview.png", full_page=True)
        home = Path(place) / "new"
        home.mkdir()
        panel = PanelProcess(home, upstream.base_url)
        panel.port = SHOWN_PORT
        panel.injects = True
        panel.home.mkdir()
        at = {"providers": [{"id": "deepseek", "base_url": upstream.base_url}]}
        (panel.home / "providers.json").write_text(json.dumps(at))
        page = running.new_context(viewport=SHOWN_SIZE).new_page()
        with panel:
            open_panel(page, panel)
            page.locator('.tile[data-provider="deepseek"]').click()
            page.locator("[data-key=guide-key]").fill("sk-0123456789abcdef0123")
            page.locator("[data-key=guide-on]").click()
            page.locator("[data-key=guide-send]").click()
            page.locator(".ready h3").wait_for()
            time.sleep(0.5)
            page.screenshot(path=DOCS / "panel-guide.png", full_page=True)


if __name__ == "__main__":
    if sys.argv[1:] == ["--docs"]:
        for_docs()
        raise SystemExit
    take(Path(sys.argv[1] if len(sys.argv) > 1 else "build/screenshots"))
