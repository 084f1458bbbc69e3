"""The panel's playground and preview in a real Chromium."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, expect

from tests.e2e.panel import GOOD, LANGUAGES, PanelProcess, key, open_panel, written
from tests.upstream import Upstream, sse, stall, text
from tests.waiting import eventually

pytestmark = pytest.mark.e2e


@LANGUAGES
def test_the_playground_shows_text_reasoning_and_events(
    page: Page, panel: PanelProcess, upstream: Upstream, language: str
) -> None:
    upstream.script(sse(GOOD, 0.05))
    open_panel(page, panel, "playground", language=language)
    key(page, "play-model").fill("custom/scripted")
    key(page, "message").fill("hello")
    page.keyboard.press("Control+Enter")
    expect(page.get_by_test_id("answer")).to_have_text("Hello from upstream.")
    expect(page.locator(".thought-text")).to_contain_text("Let me think.")
    expect(page.locator(".events")).to_contain_text("response.completed")
    expect(page.locator(".answer-facts")).to_contain_text("custom/scripted")
    page.locator(".events summary").last.click()
    expect(page.locator(".events pre")).to_contain_text('"type": "response.completed"')
    assert upstream.requests[-1].json["messages"][-1]["content"] == "hello"


def test_a_running_answer_is_stopped(page: Page, panel: PanelProcess, upstream: Upstream) -> None:
    upstream.script(stall([text("I begin")], before_headers=False))
    open_panel(page, panel, "playground")
    key(page, "send").click()
    expect(page.get_by_test_id("answer")).to_contain_text("I begin")
    key(page, "send").click()
    expect(page.locator(".answer-note")).to_have_text("Stopped.")
    eventually(lambda: upstream.requests[-1].aborted)


def test_the_preview_shows_what_would_be_written(page: Page, panel: PanelProcess) -> None:
    open_panel(page, panel, "settings")
    key(page, "retention_days").fill("5")
    page.locator("nav a[href='#/preview']").click()
    expect(page.locator(".diff .plus", has_text="retention_days")).to_have_count(1)
    expect(page.locator(".diff .plus", has_text="[model_providers.codex-nexus]")).to_have_count(1)
    assert "retention_days" not in written(panel)
