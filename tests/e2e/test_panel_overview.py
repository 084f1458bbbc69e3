"""The panel's overview in a real Chromium: live traffic, usage, Codex's connection, a gateway that waits."""

from __future__ import annotations

import re
import threading
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.e2e.panel import GOOD, LANGUAGES, PanelProcess, key, open_panel, written
from tests.upstream import Upstream, paused, sse, status, text
from tests.waiting import eventually

pytestmark = pytest.mark.e2e


def test_live_traffic_is_seen_as_it_goes(page: Page, panel: PanelProcess, upstream: Upstream) -> None:
    gate = threading.Event()
    upstream.script(paused([text("Hello ")], gate, GOOD[2:]), status(429, {"error": {"message": "Slow down, please"}}))
    open_panel(page, panel, "playground")
    key(page, "send").click()
    page.locator("nav a[href='#/overview']").click()
    live = page.locator('tr[data-status="running"]')
    expect(live).to_have_count(1)
    expect(page.locator('[data-figure="live"]')).to_have_class(re.compile("lit"))
    expect(page.locator(".flow .dial")).to_have_class(re.compile("lit"))
    gate.set()
    done = page.locator('tr[data-status="completed"]')
    expect(done).to_contain_text("custom/scripted")
    expect(done).to_contain_text("12 → 7")
    page.locator("nav a[href='#/playground']").click()
    expect(page.get_by_test_id("answer")).to_contain_text("from upstream.")


def test_errors_are_told_in_sentences(page: Page, panel: PanelProcess, upstream: Upstream) -> None:
    upstream.script(status(402, {"error": {"message": "Insufficient balance"}}))
    open_panel(page, panel, "playground")
    key(page, "send").click()
    expect(page.locator(".answer-note")).to_contain_text("Insufficient balance")
    page.locator("nav a[href='#/overview']").click()
    expect(page.locator(".fault-list")).to_contain_text("Insufficient balance")


@LANGUAGES
def test_usage_and_budgets_stand_in_the_overview(
    page: Page, panel: PanelProcess, upstream: Upstream, language: str
) -> None:
    upstream.script(sse(GOOD))
    open_panel(page, panel, "settings", language=language)
    key(page, "budgets").fill("custom turns_per_day 1\ncustom tokens_per_day 23\n* cost_per_day 2.5")
    key(page, "save-restart").click()
    expect(page.locator("aside.bar")).to_be_hidden()
    budgets = {"custom": {"turns_per_day": 1, "tokens_per_day": 23}, "*": {"cost_per_day": 2.5}}
    assert written(panel)["budgets"] == budgets
    page.locator("nav a[href='#/playground']").click()
    key(page, "send").click()
    expect(page.get_by_test_id("answer")).to_contain_text("from upstream.")
    page.locator("nav a[href='#/overview']").click()
    expect(page.locator('.usage [data-span="today"]')).to_contain_text("19")
    expect(page.locator('.usage [data-span="today"]')).to_contain_text("33 %")
    expect(page.locator('.usage [data-state="reached"]')).to_have_count(1)
    expect(page.locator('.usage [data-state="nearly"]')).to_have_count(1)
    expect(page.locator('.usage [data-state="good"]')).to_contain_text("$2.50")
    page.locator("nav a[href='#/settings']").click()
    expect(key(page, "budgets")).to_have_value(re.compile("custom tokens_per_day 23"))


def test_codex_is_connected_and_disconnected(page: Page, panel: PanelProcess, tmp_path: Path) -> None:
    open_panel(page, panel)
    expect(page.locator(".injection")).to_have_attribute("data-state", "absent")
    key(page, "inject").click()
    expect(page.locator(".injection")).to_have_attribute("data-state", "present")
    assert "codex-nexus" in (tmp_path / "codex" / "config.toml").read_text()
    key(page, "eject").click()
    expect(page.locator(".injection")).to_have_attribute("data-state", "absent")
    expect(page.locator("aside.bar")).to_be_hidden()


def test_a_gateway_that_waits_is_started(page: Page, upstream: Upstream, tmp_path: Path) -> None:
    class Waiting(PanelProcess):
        def _wait_until_healthy(self) -> None:
            eventually(lambda: "Control panel" in self.log)

    with Waiting(tmp_path, upstream.base_url, {"autostart_nexus": False}) as panel:
        open_panel(page, panel)
        expect(page.locator(".pill")).to_have_attribute("data-state", "waiting")
        key(page, "start").click()
        expect(page.locator(".pill")).to_have_attribute("data-state", "live")
