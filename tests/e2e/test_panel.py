"""The control panel in a real Chromium: every area and action, in both languages."""

from __future__ import annotations

import json
import os
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.e2e.codex import CodexHome
from tests.e2e.panel import LONG, Complaints, PanelProcess, browser, chromium, open_panel
from tests.upstream import Upstream, finish, reasoning, sse, stall, status, text, usage

pytestmark = pytest.mark.e2e

GOOD = [
    reasoning("Let me think. "),
    text("Hello "),
    text("from upstream."),
    finish(),
    usage(12, 7, cached=4, thought=2),
]
SLOW = [text(f"{word} ") for word in LONG.split()] + GOOD
ROUTES = {"gpt-5.5": {"provider": "custom", "model": "scripted"}, "o3": {"provider": "custom", "model": "other"}}
LANGUAGES = pytest.mark.parametrize("language", ["en", "zh"])
AREAS = ("overview", "providers", "routing", "models", "playground", "preview", "settings")


@pytest.fixture(scope="module")
def chrome() -> Iterator[Browser]:
    """The browser; without one the tests are skipped, but never where they are the gate."""
    if chromium() is None:
        reason = "there is no chromium on this machine: apt-get install chromium"
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)
    with browser() as running:
        yield running


@pytest.fixture
def panel(upstream: Upstream, tmp_path: Path) -> Iterator[PanelProcess]:
    """A gateway before the scripted provider, with two routes."""
    upstream.models = ["scripted", "other", "vision-large"]
    with PanelProcess(tmp_path, upstream.base_url, {"model_routes": ROUTES}) as running:
        yield running
        print(running.log)


@pytest.fixture
def fresh_panel(upstream: Upstream, tmp_path: Path) -> Iterator[PanelProcess]:
    """A gateway with an empty home."""
    with PanelProcess(tmp_path, upstream.base_url) as running:
        yield running
        print(running.log)


@pytest.fixture
def page(chrome: Browser) -> Iterator[Page]:
    """A page that must complain of nothing."""
    context = chrome.new_context(viewport={"width": 1280, "height": 860}, locale="en-GB")
    context.grant_permissions(["clipboard-read", "clipboard-write"])
    opened = context.new_page()
    opened.set_default_timeout(8000)
    complaints = Complaints(opened, expected=("Failed to load resource",))
    yield opened
    assert not complaints.seen
    context.close()


def key(page: Page, name: str) -> Any:
    """The element that the page knows by this key."""
    return page.locator(f'[data-key="{name}"]')


def written(panel: PanelProcess) -> dict[str, Any]:
    """The configuration file."""
    return json.loads(panel.file.read_text())


# --- every area


@LANGUAGES
@pytest.mark.parametrize("area", AREAS)
def test_every_area_opens_in_both_languages(page: Page, panel: PanelProcess, area: str, language: str) -> None:
    open_panel(page, panel, area, language=language)
    expect(page.locator("html")).to_have_attribute("lang", "zh-CN" if language == "zh" else "en")
    expect(page.locator('nav [aria-current="page"]')).to_have_attribute("href", f"#/{area}")
    assert not re.search(r"\{(n|name|what|time|path|live)\}", page.locator("main").inner_text())
    keys = re.findall(
        r"\b(?:nav|figure|fact|traffic|play|set|key|help|models|route|guide)\.[a-z_.]+\b",
        page.locator("main").inner_text(),
    )
    assert not [found for found in keys if not found.endswith((".json", ".toml", ".ai"))]


@pytest.mark.parametrize("width", [360, 560, 900, 1280, 1920])
@pytest.mark.parametrize("area", AREAS)
def test_no_area_is_wider_than_its_window(page: Page, panel: PanelProcess, area: str, width: int) -> None:
    page.set_viewport_size({"width": width, "height": 800})
    open_panel(page, panel, area)
    # asked again from here, because waiting inside the page needs `eval`, which its policy forbids
    for _ in range(20):
        if page.evaluate("document.documentElement.scrollWidth <= innerWidth"):
            return
        page.wait_for_timeout(100)
    pytest.fail(page.evaluate("`${document.documentElement.scrollWidth} px in ${innerWidth}`"))


def test_the_language_switches_at_once_and_is_remembered(page: Page, panel: PanelProcess) -> None:
    open_panel(page, panel)
    key(page, "language").click()
    expect(page.locator("nav")).to_contain_text("路由")
    page.reload()
    expect(page.locator("nav")).to_contain_text("路由")
    key(page, "language").click()
    expect(page.locator("nav")).to_contain_text("Routing")


def test_the_page_is_ready_in_a_second(page: Page, panel: PanelProcess) -> None:
    began = time.monotonic()
    page.goto(panel.url)
    page.locator(".figures").wait_for()
    assert time.monotonic() - began < 1.5


# --- the overview


def test_live_traffic_is_seen_as_it_goes(page: Page, panel: PanelProcess, upstream: Upstream) -> None:
    upstream.script(sse(SLOW, 0.06), status(429, {"error": {"message": "Slow down, please"}}))
    open_panel(page, panel, "playground")
    key(page, "send").click()
    page.locator("nav a[href='#/overview']").click()
    live = page.locator('tr[data-status="running"]')
    expect(live).to_have_count(1)
    expect(page.locator('[data-figure="live"]')).to_have_class(re.compile("lit"))
    expect(page.locator(".flow .dial")).to_have_class(re.compile("lit"))
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
            while "Control panel" not in self.log:
                time.sleep(0.05)

    with Waiting(tmp_path, upstream.base_url, {"autostart_nexus": False}) as panel:
        open_panel(page, panel)
        expect(page.locator(".pill")).to_have_attribute("data-state", "waiting")
        key(page, "start").click()
        expect(page.locator(".pill")).to_have_attribute("data-state", "live")


# --- providers and keys


@LANGUAGES
def test_a_key_is_entered_shown_tested_and_saved(
    page: Page, panel: PanelProcess, upstream: Upstream, language: str
) -> None:
    open_panel(page, panel, "providers", language=language)
    field = key(page, "key-custom-0")
    field.fill("sk-fresh-0123456789")
    expect(field).to_have_attribute("type", "password")
    card = page.locator('[data-provider="custom"]')
    card.locator("[aria-pressed]").first.click()
    expect(field).to_have_attribute("type", "text")
    key(page, "key-custom-0-test").click()
    expect(card.locator(".key-said")).to_contain_text("3")
    assert upstream.lookups[-1].headers["authorization"] == "Bearer sk-fresh-0123456789"
    key(page, "save-restart").click()
    expect(page.locator("aside.bar")).to_be_hidden()
    assert written(panel)["provider_api_keys"] == {"custom": "sk-fresh-0123456789"}
    expect(card.locator(".key-mask")).to_contain_text("6789")
    assert "sk-fresh" not in page.content()
    assert "sk-fresh" not in str(page.evaluate("JSON.stringify([localStorage, sessionStorage])"))


def test_a_key_is_pasted(page: Page, panel: PanelProcess) -> None:
    open_panel(page, panel, "providers")
    page.evaluate("navigator.clipboard.writeText('sk-from-the-clipboard')")
    page.locator('[data-provider="custom"]').get_by_role("button", name="Paste").click()
    expect(key(page, "key-custom-0")).to_have_value("sk-from-the-clipboard")


def test_a_wrong_key_is_told(page: Page, panel: PanelProcess, upstream: Upstream) -> None:
    open_panel(page, panel, "providers")
    key(page, "custom-upstream").fill("http://127.0.0.1:9/v1")
    key(page, "key-custom-0-test").click()
    expect(page.locator('[data-provider="custom"] .key-said.bad')).to_contain_text("cannot be reached")
    key(page, "discard").click()
    page.locator("dialog .danger").click()
    expect(key(page, "custom-upstream")).to_have_value(upstream.base_url)


def test_another_provider_becomes_the_default(page: Page, panel: PanelProcess) -> None:
    open_panel(page, panel, "providers")
    page.get_by_role("searchbox").fill("kimi")
    key(page, "use-kimi").click()
    key(page, "key-kimi-0").fill("env:KIMI_KEY")
    key(page, "save").click()
    expect(page.locator("aside.bar")).to_contain_text("still runs with the configuration before")
    assert written(panel)["provider"] == "kimi"
    assert written(panel)["provider_api_keys"] == {"kimi": "env:KIMI_KEY"}
    key(page, "restart").click()
    expect(page.locator("aside.bar")).to_be_hidden()


# --- routing


@LANGUAGES
def test_mappings_are_added_edited_moved_and_deleted(page: Page, panel: PanelProcess, language: str) -> None:
    open_panel(page, panel, "routing", language=language)
    key(page, "add-route").click()
    key(page, "route-2-name").fill("gpt-5.4")
    key(page, "route-2-model").fill("vision-large")
    key(page, "route-2-up").click()
    expect(key(page, "route-1-name")).to_have_value("gpt-5.4")
    expect(key(page, "route-1-up")).to_be_focused()
    key(page, "route-0-delete").click()
    key(page, "route-0-more").click()
    key(page, "route-0-key").fill("sk-own-key-of-route")
    key(page, "route-0-fallback-add").click()
    key(page, "route-0-fallback-0").select_option("kimi")
    page.keyboard.press("Control+s")
    expect(page.locator("aside.bar")).to_contain_text(re.compile("still runs|仍在使用"))
    routes = written(panel)["model_routes"]
    assert list(routes) == ["gpt-5.4", "o3"]
    assert routes["gpt-5.4"]["model"] == "vision-large"
    assert routes["gpt-5.4"]["api_key"] == "sk-own-key-of-route"
    assert routes["gpt-5.4"]["fallbacks"] == [{"provider": "kimi", "model": ""}]
    page.reload()
    key(page, "route-0-name").fill("gpt-5.4-renamed")
    key(page, "save-restart").click()
    expect(page.locator("aside.bar")).to_be_hidden()
    assert written(panel)["model_routes"]["gpt-5.4-renamed"]["api_key"] == "sk-own-key-of-route"


def test_names_and_models_are_completed(page: Page, panel: PanelProcess) -> None:
    open_panel(page, panel, "routing")
    names = key(page, "route-0-name").get_attribute("list")
    expect(page.locator(f"datalist#{names} option[value='gpt-5.3-codex']")).to_have_count(1)
    key(page, "route-0-model").focus()
    models = key(page, "route-0-model").get_attribute("list")
    expect(page.locator(f"datalist#{models} option[value='vision-large']")).to_have_count(1)


def test_an_empty_or_doubled_name_is_not_sent(page: Page, panel: PanelProcess) -> None:
    open_panel(page, panel, "routing")
    before = panel.file.read_bytes()
    key(page, "route-1-name").fill("gpt-5.5")
    key(page, "save").click()
    expect(page.locator(".bar .problems")).to_contain_text("twice")
    expect(key(page, "route-1-name")).to_have_attribute("aria-invalid", "true")
    assert panel.file.read_bytes() == before


def test_a_mapping_of_the_default_provider_is_changed(page: Page, panel: PanelProcess) -> None:
    open_panel(page, panel, "routing")
    key(page, "mapping-provider").select_option("kimi")
    page.get_by_label("Model for gpt-5.5").fill("kimi-k2.6")
    key(page, "save").click()
    expect(page.locator("aside.bar")).to_contain_text("still runs")
    assert written(panel)["model_overrides"] == {"kimi": {"gpt-5.5": "kimi-k2.6"}}


# --- the probe


@LANGUAGES
def test_a_probe_lists_filters_and_takes_a_model_over(page: Page, panel: PanelProcess, language: str) -> None:
    open_panel(page, panel, "models", language=language)
    key(page, "probe").click()
    expect(page.locator("table.list tbody tr")).to_have_count(3)
    key(page, "model-filter").fill("vision")
    expect(page.locator("table.list tbody tr")).to_have_count(1)
    expect(key(page, "model-filter")).to_be_focused()
    page.locator("table.list button").first.click()
    expect(key(page, "route-2-model")).to_have_value("vision-large")


def test_a_probe_that_fails_says_why(page: Page, panel: PanelProcess) -> None:
    open_panel(page, panel, "models")
    key(page, "probe-provider").select_option("kimi")
    key(page, "probe").click()
    expect(page.locator(".refused")).to_contain_text(re.compile("Kimi.*(cannot be reached|refused)|no API key"))


# --- playground and preview


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
    deadline = time.monotonic() + 5
    while upstream.requests[-1].aborted is None and time.monotonic() < deadline:
        time.sleep(0.05)
    assert upstream.requests[-1].aborted is not None


def test_the_preview_shows_what_would_be_written(page: Page, panel: PanelProcess) -> None:
    open_panel(page, panel, "settings")
    key(page, "retention_days").fill("5")
    page.locator("nav a[href='#/preview']").click()
    expect(page.locator(".diff .plus", has_text="retention_days")).to_have_count(1)
    expect(page.locator(".diff .plus", has_text="[model_providers.codex-nexus]")).to_have_count(1)
    assert "retention_days" not in written(panel)


# --- saving, and what may go wrong


def test_unsaved_changes_are_protected(page: Page, panel: PanelProcess) -> None:
    open_panel(page, panel, "settings")
    key(page, "body_limit_mb").fill("7")
    asked: list[str] = []
    page.on("dialog", lambda dialog: (asked.append(dialog.type), dialog.dismiss()))
    page.close(run_before_unload=True)
    page.wait_for_timeout(300)
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
    upstream.script(sse(SLOW, 0.08))
    open_panel(page, panel, "playground")
    key(page, "send").click()
    expect(page.get_by_test_id("answer")).to_contain_text("The gateway")
    page.locator("nav a[href='#/settings']").click()
    key(page, "retention_days").fill("3")
    key(page, "save-restart").click()
    expect(page.locator("aside.bar")).to_be_hidden()
    page.locator("nav a[href='#/playground']").click()
    expect(page.locator(".answer")).to_have_attribute("data-state", "running")
    expect(page.locator(".answer")).to_have_attribute("data-state", "completed")
    expect(page.get_by_test_id("answer")).to_have_text(LONG + " Hello from upstream.")


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
    assert panel._process.wait(10) == 0


# --- the first visit


@LANGUAGES
def test_the_guide_leads_from_nothing_to_a_streamed_answer(
    page: Page, fresh_panel: PanelProcess, upstream: Upstream, language: str
) -> None:
    upstream.script(sse(GOOD, 0.05))
    open_panel(page, fresh_panel, language=language)
    expect(page.locator(".guide h1")).to_be_visible()
    page.locator('.tile[data-provider="custom"]').click()
    key(page, "guide-base").fill("http://127.0.0.1:9/v1")
    key(page, "guide-key").fill("sk-guide-0123456789")
    key(page, "guide-on").click()
    expect(page.locator(".guide .refused")).to_contain_text("cannot be reached")
    key(page, "guide-base").fill(upstream.base_url)
    key(page, "guide-on").click()
    expect(key(page, "guide-model")).to_have_value("scripted")
    key(page, "guide-send").click()
    expect(page.get_by_test_id("answer")).to_have_text("Hello from upstream.")
    expect(page.locator(".ready")).to_contain_text("run -- codex")
    expect(key(page, "guide-model")).to_have_value("scripted")
    assert list(written(fresh_panel)["model_routes"]) == ["scripted"]
    assert upstream.requests[-1].headers["authorization"] == "Bearer sk-guide-0123456789"
    assert written(fresh_panel)["provider"] == "custom"
    key(page, "guide-done").click()
    expect(page.locator("tr[data-status=completed]")).to_have_count(1)


LOCAL: dict[str, Any] = {
    "providers": [],
    "others": [
        {"id": name, "name": name, "address": "http://127.0.0.1:1/v1", "models": [], "refusal": "", "hint": "hint"}
        | more
        for name, more in {
            "vllm": {"usual": True, "refusal": "no (401)", "wants_key": True},
            "sglang": {"usual": True, "refusal": "Loading model (503)", "wants_key": False},
            "ollama": {"usual": True, "wants_key": False},
            "llamacpp": {"usual": False, "models": ["a"], "wants_key": False},
        }.items()
    ],
}


@LANGUAGES
def test_the_guide_shows_local_servers_that_need_something_first(
    page: Page, fresh_panel: PanelProcess, language: str
) -> None:
    page.route("**/nexus-ctrl/local", lambda route: route.fulfill(json=LOCAL))
    open_panel(page, fresh_panel, language=language)
    said = {
        "en": ["wants its key", "loading its model", "no model yet", "runs at http://127.0.0.1:1/v1"],
        "zh": ["需要它的密钥", "正在加载模型", "还没有模型", "运行在 http://127.0.0.1:1/v1"],
    }[language]
    for name, words in zip(["vllm", "sglang", "ollama", "llamacpp"], said, strict=True):
        expect(page.locator(f'.tile[data-provider="{name}"]')).to_contain_text(words)
    assert page.locator("div.tile.still").count() == 3
    page.locator('button.tile[data-provider="vllm"]').click()
    expect(page.locator(".guide-body h2")).to_contain_text({"en": "A key for", "zh": "的密钥"}[language])
    expect(key(page, "guide-key")).to_be_visible()


def beginner(panel: PanelProcess, codex: CodexHome, upstream: Upstream) -> None:
    """A person with a Codex and a key, whose provider is scripted."""
    quiet = "[features]\nplugins = false\napps = false\nremote_plugin = false\n[analytics]\nenabled = false\n"
    codex.config_file.write_text(quiet)
    panel.codex_home, panel.injects = codex.codex_home, True
    panel.home.mkdir(parents=True)
    kimi = {"id": "kimi", "base_url": upstream.base_url}
    (panel.home / "providers.json").write_text(json.dumps({"providers": [kimi]}))


def test_one_click_and_two_keys_lead_from_nothing_to_a_turn_of_codex(
    page: Page, upstream: Upstream, codex: CodexHome, tmp_path: Path
) -> None:
    upstream.models = ["kimi-k3", "kimi-k2.6"]
    upstream.script(sse(GOOD))
    panel = PanelProcess(tmp_path, upstream.base_url)
    beginner(panel, codex, upstream)
    with panel:
        open_panel(page, panel)
        page.locator('.tile[data-provider="kimi"]').click()
        expect(key(page, "guide-key")).to_be_focused()
        page.evaluate("navigator.clipboard.writeText('  sk-pasted-\\n0123456789 \\n')")
        page.keyboard.press("Control+v")
        page.keyboard.press("Enter")
        expect(key(page, "guide-send")).to_be_focused()
        page.keyboard.press("Enter")
        expect(page.locator(".ready")).to_contain_text("codex -p nexus")
        run = codex._run("-p", "nexus", "exec", "--skip-git-repo-check", "hello", timeout=60)
        assert run.returncode == 0, run
        assert "model: kimi-k3" in run.output
        assert "metadata" not in run.output
    assert {asked.headers["authorization"] for asked in upstream.requests} == {"Bearer sk-pasted-0123456789"}
    assert {asked.json["model"] for asked in upstream.requests} == {"kimi-k3"}


def test_the_model_that_answered_in_the_guide_is_the_one_that_codex_begins_with(
    page: Page, upstream: Upstream, codex: CodexHome, tmp_path: Path
) -> None:
    upstream.models = ["kimi-k3", "kimi-k2.6"]
    upstream.script(sse(GOOD))
    panel = PanelProcess(tmp_path, upstream.base_url)
    beginner(panel, codex, upstream)
    with panel:
        open_panel(page, panel)
        page.locator('.tile[data-provider="kimi"]').click()
        key(page, "guide-key").fill("sk-guide-0123456789")
        key(page, "guide-on").click()
        key(page, "guide-model").fill("kimi-k2.6")
        key(page, "guide-send").click()
        expect(page.locator(".ready")).to_contain_text("kimi-k2.6 answers")
        run = codex._run("-p", "nexus", "exec", "--skip-git-repo-check", "hello", timeout=60)
        assert "model: kimi-k2.6" in run.output, run
    assert {asked.json["model"] for asked in upstream.requests} == {"kimi-k2.6"}


def test_the_guide_connects_a_codex_that_was_never_used(
    page: Page, fresh_panel: PanelProcess, upstream: Upstream, tmp_path: Path
) -> None:
    upstream.script(sse(GOOD))
    open_panel(page, fresh_panel)
    page.locator('.tile[data-provider="custom"]').click()
    key(page, "guide-base").fill(upstream.base_url)
    page.keyboard.press("Enter")
    key(page, "guide-send").click()
    key(page, "inject").click()
    expect(page.locator(".ready")).to_contain_text("codex -p nexus")
    expect(page.get_by_test_id("answer")).to_have_text("Hello from upstream.")
    assert 'model = "scripted"' in (tmp_path / "codex" / "nexus.config.toml").read_text()


@pytest.mark.parametrize(
    ("status_", "said", "may_go_on"),
    [(401, "Perhaps this key belongs to another of its addresses", False), (404, "could not be checked", True)],
)
def test_a_key_that_is_refused_stops_the_guide_and_a_list_that_is_missing_does_not(
    page: Page, upstream: Upstream, tmp_path: Path, status_: int, said: str, may_go_on: bool
) -> None:
    upstream.script(sse(GOOD))
    upstream.no_models = (status_, {"error": {"message": "Look at this"}})
    panel = PanelProcess(tmp_path, upstream.base_url)
    panel.home.mkdir(parents=True)
    record = {"id": "qwen", "base_url": upstream.base_url}
    (panel.home / "providers.json").write_text(json.dumps({"providers": [record]}))
    with panel:
        open_panel(page, panel)
        page.locator('.tile[data-provider="qwen"]').click()
        key(page, "guide-key").fill("sk-guide-0123456789")
        key(page, "guide-on").click()
        expect(page.locator(".refused")).to_contain_text("Look at this")
        expect(page.locator(".refused")).to_contain_text(said)
        expect(key(page, "guide-anyway")).to_be_visible(visible=may_go_on)
        if may_go_on:
            key(page, "guide-anyway").click()
            key(page, "guide-send").click()
            expect(page.locator(".ready h3")).to_be_visible()


def test_the_guide_takes_the_address_of_a_region(page: Page, fresh_panel: PanelProcess, upstream: Upstream) -> None:
    open_panel(page, fresh_panel)
    page.locator('.tile[data-provider="kimi"]').click()
    key(page, "guide-base").select_option("https://api.moonshot.cn/v1")
    key(page, "guide-key").fill("密钥")
    key(page, "guide-on").click()
    expect(page.locator(".refused")).to_contain_text("Latin letters")
    key(page, "leave").click()
    key(page, "save-restart").click()
    expect(page.locator("aside.bar")).to_be_hidden()
    assert written(fresh_panel)["provider_addresses"] == {"kimi": "https://api.moonshot.cn/v1"}


def test_the_guide_can_be_left(page: Page, fresh_panel: PanelProcess) -> None:
    open_panel(page, fresh_panel)
    key(page, "leave").click()
    expect(page.locator(".figures")).to_be_visible()


def test_a_real_codex_answers_after_saving_in_the_page(
    page: Page, upstream: Upstream, codex: CodexHome, tmp_path: Path
) -> None:
    quiet = "[features]\nplugins = false\napps = false\nremote_plugin = false\n[analytics]\nenabled = false\n"
    codex.config_file.write_text(f"# mine\n{quiet}")
    upstream.script(sse([text("Codex was here."), finish(), usage(12, 7)]))
    panel = PanelProcess(tmp_path, upstream.base_url, {"model_routes": {"gpt-5.5": {"provider": "custom"}}})
    panel.codex_home = codex.codex_home
    with panel:
        open_panel(page, panel, "settings")
        key(page, "codex_config_switch_default").check()
        page.locator("nav a[href='#/routing']").click()
        key(page, "route-0-model").fill("scripted")
        key(page, "save-restart").click()
        expect(page.locator("aside.bar")).to_be_hidden()
        page.locator("nav a[href='#/overview']").click()
        key(page, "inject").click()
        expect(page.locator(".injection")).to_have_attribute("data-state", "default")
        run = codex.exec("say something")
        assert run.returncode == 0, run
        assert "Codex was here." in run.output
        expect(page.locator("tr[data-status=completed]").first).to_contain_text("custom/scripted")
        key(page, "eject").click()
        expect(page.locator(".injection")).to_have_attribute("data-state", "absent")
    assert codex.config_file.read_text().startswith("# mine\n[features]")


# --- for everybody


def test_everything_is_reached_with_the_keyboard(page: Page, panel: PanelProcess) -> None:
    open_panel(page, panel, "settings")
    page.keyboard.press("Tab")
    expect(page.locator(".skip")).to_be_focused()
    reached: set[str] = set()
    for _ in range(70):
        page.keyboard.press("Tab")
        reached.add(
            page.evaluate("document.activeElement.dataset.key ?? document.activeElement.getAttribute('href') ?? ''")
        )
    assert {
        "language",
        "#/routing",
        "port",
        "host",
        "autostart_nexus",
        "outbound_proxy",
        "language-select",
        "reset",
        "stop",
    } <= reached


def test_motion_is_reduced_when_asked(page: Page, panel: PanelProcess) -> None:
    page.emulate_media(reduced_motion="reduce")
    open_panel(page, panel)
    assert page.evaluate("getComputedStyle(document.querySelector('.area')).animationName") == "none"


def test_fifty_turns_a_second_stay_smooth(page: Page, panel: PanelProcess) -> None:
    open_panel(page, panel)
    page.evaluate(
        """async () => {
          const { state, emit } = await import("/store.js");
          const frames = [];
          let last = performance.now(), going = true;
          const frame = (now) => { frames.push(now - last); last = now; if (going) requestAnimationFrame(frame); };
          requestAnimationFrame(frame);
          for (let n = 0; n < 150; n += 1) {
            const id = `resp_${n}`;
            state.turns.set(id, { id, at: Date.now() / 1000, asked: "gpt-5.5", upstream: "custom/m", client: "codex",
              status: n % 3 ? "completed" : "running", seconds: 1, input_tokens: 10, cached_tokens: 0, output_tokens: 5,
              reasoning_tokens: 0, fault: "" });
            emit("turns");
            await new Promise((go) => setTimeout(go, 20));
          }
          going = false;
          window.frames_ = frames.sort((a, b) => a - b);
        }"""
    )
    frames = page.evaluate("window.frames_")
    assert frames[int(len(frames) * 0.9)] < 60
