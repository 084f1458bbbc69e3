"""The page for everybody: axe-core finds no serious fault; the types of the scripts hold."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest
from playwright.sync_api import Browser

from tests.e2e.panel import PanelProcess, missing, open_panel
from tests.upstream import Upstream, finish, sse, text, usage

pytestmark = pytest.mark.e2e

CACHE = Path(__file__).parents[2] / ".cache" / "panel"
AXE, TYPESCRIPT = "axe-core@4.14.1", "typescript@5.9.3"
STATIC = Path(__file__).parents[2] / "src" / "codex_nexus" / "control" / "static"
AREAS = ("overview", "providers", "routing", "models", "playground", "preview", "settings", "guide")
TYPES = {
    "compilerOptions": {
        "allowJs": True,
        "checkJs": True,
        "noEmit": True,
        "strict": True,
        "target": "es2022",
        "module": "es2022",
        "moduleResolution": "bundler",
        "lib": ["es2023", "dom", "dom.iterable"],
        "types": [],
    },
    "include": [f"{STATIC}/*.js"],
}


def from_npm(package: str, file: str) -> Path:
    """A file of an npm package, fetched once; tools of the tests only, nothing of it is shipped."""
    found = CACHE / "node_modules" / file
    if found.exists():
        return found
    npm = shutil.which("npm")
    if npm is None:
        missing(f"there is no npm to fetch {package} with")
    CACHE.mkdir(parents=True, exist_ok=True)
    done = subprocess.run([str(npm), "install", "--silent", "--no-save", "--prefix", str(CACHE), package], check=False)
    if done.returncode or not found.exists():
        missing(f"{package} cannot be fetched from npm")
    return found


@pytest.mark.parametrize("width", [1280, 360])
def test_axe_finds_no_serious_fault(chrome: Browser, upstream: Upstream, tmp_path: Path, width: int) -> None:
    source = from_npm(AXE, "axe-core/axe.min.js").read_text("utf-8")
    upstream.script(sse([text("Hello"), finish(), usage(3, 4)]))
    routes = {"gpt-5.5": {"provider": "custom", "model": "scripted", "fallbacks": [{"provider": "kimi"}]}}
    (tmp_path / "first").mkdir()
    (tmp_path / "second").mkdir()
    found: list[str] = []
    with (
        PanelProcess(tmp_path / "first", upstream.base_url, {"model_routes": routes}) as panel,
        PanelProcess(tmp_path / "second", upstream.base_url) as fresh,
    ):
        context = chrome.new_context(viewport={"width": width, "height": 900}, reduced_motion="reduce")
        for area in AREAS:
            page = context.new_page()
            open_panel(page, fresh if area == "guide" else panel, "overview" if area == "guide" else area)
            if area == "routing":
                page.locator('[data-key="route-0-more"]').click()
            if area == "playground":
                page.locator('[data-key="send"]').click()
                page.locator('.answer[data-state="completed"]').wait_for()
            if area == "settings":
                page.locator('[data-key="body_limit_mb"]').fill("0")
                page.locator('[data-key="save"]').click()
                page.locator(".fault-note").wait_for()
            page.wait_for_timeout(1200 if area == "overview" else 300)
            page.evaluate(source)
            result = page.evaluate(
                "axe.run(document, {runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'best-practice']})"
            )
            found += [
                f"{area}: {fault['impact']} {fault['id']}: {fault['nodes'][0]['html'][:120]} {fault['nodes'][0]['failureSummary'][:200]}"
                for fault in result["violations"]
                if fault["impact"] in ("serious", "critical", "moderate")
            ]
            page.close(run_before_unload=False)
        context.close()
    assert not found, "\n".join(found)


def test_the_types_of_the_scripts_hold(tmp_path: Path) -> None:
    compiler = from_npm(TYPESCRIPT, "typescript/bin/tsc")
    project = tmp_path / "tsconfig.json"
    project.write_text(json.dumps(TYPES))
    done = subprocess.run([str(compiler), "-p", str(project)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
