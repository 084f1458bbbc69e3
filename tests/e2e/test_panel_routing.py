"""Keys, providers, mappings and the probe of models in the panel, in a real Chromium."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Page, expect

from tests.e2e.panel import LANGUAGES, PanelProcess, key, open_panel, written
from tests.upstream import Upstream

pytestmark = pytest.mark.e2e


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
    expect(card.locator(".key-said")).to_contain_text({"en": "Asked directly", "zh": "直接访问"}[language])
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
    expect(page.locator('[data-provider="custom"] .key-said.bad')).to_contain_text("Asked directly")
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
