"""Recorded turns in the panel: switched on, opened with the keyboard, four views, saved without words."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.e2e.panel import Complaints, PanelProcess, open_panel
from tests.e2e.test_panel_access import AXE, from_npm
from tests.upstream import Upstream, finish, sse, status, text, usage
from tests.waiting import PATIENCE

pytestmark = pytest.mark.e2e

HELLO = sse([text("a private answer"), finish(), usage(12, 7)])
REFUSAL = status(400, {"error": {"message": "Unsupported parameter: 'stream_options'"}})


@pytest.fixture
def panel(upstream: Upstream, tmp_path: Path) -> Iterator[PanelProcess]:
    """A gateway before the scripted provider."""
    with PanelProcess(tmp_path, upstream.base_url, {}) as running:
        yield running
        print(running.log)


def play(page: Page, panel: PanelProcess) -> None:
    """A turn from the playground, and back to the overview."""
    page.goto(f"{panel.url}/#/playground")
    page.locator('[data-key="message"]').fill("a private question")
    page.locator('[data-key="send"]').click()
    page.locator('.answer[data-state="completed"]').wait_for()
    page.goto(f"{panel.url}/#/overview")


@pytest.mark.parametrize(("language", "width"), [("en", 1280), ("zh", 360)])
def test_a_recorded_turn_is_opened_and_saved(
    chrome: Browser, panel: PanelProcess, upstream: Upstream, language: str, width: int
) -> None:
    upstream.script(REFUSAL, HELLO)
    context = chrome.new_context(
        viewport={"width": width, "height": 860}, accept_downloads=True, reduced_motion="reduce"
    )
    page = context.new_page()
    page.set_default_timeout(1000 * PATIENCE)
    complaints = Complaints(page)
    open_panel(page, panel, language=language)
    switch = page.get_by_role("switch")
    expect(switch).not_to_be_checked()
    switch.press("Space")
    expect(switch).to_be_checked()
    play(page, panel)

    opener = page.locator("tr[data-recorded] .icon-button")
    opener.focus()
    opener.press("Enter")
    dialog = page.locator("dialog.trace")
    view, tabs = dialog.get_by_role("tabpanel"), dialog.get_by_role("tab")
    expect(tabs).to_have_count(4)
    expect(view).to_contain_text("a private question")
    tabs.nth(0).press("ArrowRight")
    expect(tabs.nth(1)).to_be_focused()
    expect(view.locator(".trace-block")).to_have_count(2)
    expect(view.locator(".trace-block").first).to_contain_text("stream_options")
    tabs.nth(1).press("ArrowRight")
    expect(view).to_contain_text("Unsupported parameter")
    expect(view).to_contain_text("[DONE]")
    tabs.nth(2).press("ArrowRight")
    expect(view).to_contain_text("response.completed")
    assert "local-key" not in dialog.inner_text()

    page.evaluate(from_npm(AXE, "axe-core/axe.min.js").read_text("utf-8"))
    found = page.evaluate("axe.run(document, {runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'best-practice']})")
    grave = [fault for fault in found["violations"] if fault["impact"] in ("serious", "critical", "moderate")]
    assert not [(fault["id"], fault["nodes"][0]["html"][:200]) for fault in grave]
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")

    with page.expect_download() as saved:
        dialog.locator('[data-key="trace-save"]').click()
    told = Path(saved.value.path()).read_text("utf-8")
    assert json.loads(told)["words"] is False
    assert "private" not in told
    page.keyboard.press("Escape")
    expect(dialog).to_have_count(0)
    expect(opener).to_be_focused()

    switch.press("Space")
    expect(page.locator("tr[data-recorded]")).to_have_count(0)
    assert not complaints.seen
    context.close()
