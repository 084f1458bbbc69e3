"""Saving in the panel, in a real Chromium: two tabs, wrong values, restarts, reset and stop."""

from __future__ import annotations

import threading

import pytest
from playwright.sync_api import Page, expect

from tests.e2e.panel import GOOD, LANGUAGES, PanelProcess, key, open_panel, written
from tests.upstream import Upstream, paused, sse, text
from tests.waiting import PATIENCE

pytestmark = pytest.mark.e2e


def test_unsaved_changes_are_protected(page: Page, panel: PanelProcess) -> None:
    open_panel(page, panel, "settings")
    key(page, "body_limit_mb").fill("7")
    asked: list[str] = []
    page.on("dialog", lambda dialog: (asked.append(dialog.type), dialog.dismiss()))
    page.close(run_before_unload=True)
    for _ in range(600):
        if asked:
            break
        page.wait_for_timeout(100)
    assert asked == ["beforeunload"]
    key(page, "discard").click()
    page.get_by_role("dialog").get_by_role("button", name="Cancel").click()
    expect(key(page, "body_limit_mb")).to_have_value("7")
    key(page, "discard").click()
    page.locator("dialog .danger").click()
    expect(key(page, "body_limit_mb")).to_have_value("64")


def test_two_tabs_cannot_overwrite_each_other(page: Page, panel: PanelProcess) -> None:
    other = page.context.new_page()
    for tab in (page, other):
        open_panel(tab, panel, "settings")
    key(page, "retention_days").fill("5")
    key(page, "save-restart").click()
    expect(page.locator("aside.bar")).to_be_hidden()
    key(other, "body_limit_mb").fill("9")
    key(other, "save-restart").click()
    expect(other.locator(".conflict")).to_contain_text("changed elsewhere")
    assert "body_limit_mb" not in written(panel)
    key(other, "reload").click()
    expect(key(other, "retention_days")).to_have_value("5")
    expect(key(other, "body_limit_mb")).to_have_value("9")
    key(other, "save-restart").click()
    expect(other.locator("aside.bar")).to_be_hidden()
    assert {name: written(panel)[name] for name in ("retention_days", "body_limit_mb")} == {
        "retention_days": 5,
        "body_limit_mb": 9,
    }


@LANGUAGES
def test_a_failing_save_says_why_and_marks_the_field(page: Page, panel: PanelProcess, language: str) -> None:
    before = panel.file.read_bytes()
    open_panel(page, panel, "settings", language=language)
    key(page, "outbound_proxy").fill("nonsense")
    key(page, "body_limit_mb").fill("0")
    key(page, "save-restart").click()
    expect(page.locator(".bar .problems li")).to_have_count(2)
    expect(key(page, "outbound_proxy")).to_have_attribute("aria-invalid", "true")
    expect(page.locator(".fault-note")).to_have_count(2)
    assert panel.file.read_bytes() == before
    key(page, "outbound_proxy").fill("")
    key(page, "body_limit_mb").fill("8")
    key(page, "save-restart").click()
    expect(page.locator("aside.bar")).to_be_hidden()
    assert written(panel)["body_limit_mb"] == 8


def test_a_failing_restart_leaves_the_old_world(page: Page, panel: PanelProcess, upstream: Upstream) -> None:
    upstream.script(sse(GOOD))
    open_panel(page, panel, "settings")
    key(page, "host").fill("203.0.113.7")
    expect(page.get_by_text("Other machines will reach the gateway")).to_be_visible()
    key(page, "save-restart").click()
    expect(page.locator(".toast.bad")).to_contain_text("Nothing was changed")
    expect(page.locator("aside.bar")).to_be_visible()
    expect(page.locator(".pill")).to_have_attribute("data-state", "live")


def test_a_hot_restart_lets_a_running_stream_finish(page: Page, panel: PanelProcess, upstream: Upstream) -> None:
    gate = threading.Event()
    upstream.script(paused([text("The gateway ")], gate, GOOD[1:]))
    open_panel(page, panel, "playground")
    key(page, "send").click()
    expect(page.get_by_test_id("answer")).to_contain_text("The gateway")
    page.locator("nav a[href='#/settings']").click()
    key(page, "retention_days").fill("3")
    key(page, "save-restart").click()
    expect(page.locator("aside.bar")).to_be_hidden()
    page.locator("nav a[href='#/playground']").click()
    expect(page.locator(".answer")).to_have_attribute("data-state", "running")
    gate.set()
    expect(page.locator(".answer")).to_have_attribute("data-state", "completed")
    expect(page.get_by_test_id("answer")).to_have_text("The gateway Hello from upstream.")


def test_reset_asks_first_and_keeps_a_backup(page: Page, panel: PanelProcess) -> None:
    before = panel.file.read_text()
    open_panel(page, panel, "settings")
    key(page, "reset").click()
    page.get_by_role("dialog").get_by_role("button", name="Cancel").click()
    assert panel.file.read_text() == before
    key(page, "reset").click()
    page.locator("dialog .danger").click()
    expect(page.locator(".guide h1")).to_be_visible()
    backup = next(panel.home.glob("config.backup-*.json"))
    assert backup.read_text() == before


def test_stop_asks_first_and_ends_the_program(page: Page, panel: PanelProcess) -> None:
    open_panel(page, panel, "settings")
    key(page, "stop").click()
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_have_count(0)
    key(page, "stop").click()
    page.locator("dialog .danger").click()
    expect(page.locator(".pill")).to_have_attribute("data-state", "stopped")
    assert panel._process is not None
    assert panel._process.wait(PATIENCE) == 0
