"""The first visit to the panel, in a real Chromium: the guide leads from nothing to a turn of Codex."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.e2e.codex import CodexHome
from tests.e2e.panel import GOOD, LANGUAGES, PanelProcess, key, open_panel, written
from tests.upstream import Upstream, finish, sse, text, usage

pytestmark = pytest.mark.e2e


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


@contextmanager
def kimi_chosen(page: Page, upstream: Upstream, codex: CodexHome, folder: Path) -> Iterator[None]:
    """The guide of such a person, after the first click."""
    upstream.models = ["kimi-k3", "kimi-k2.6"]
    upstream.script(sse(GOOD))
    panel = PanelProcess(folder, upstream.base_url)
    beginner(panel, codex, upstream)
    with panel:
        open_panel(page, panel)
        page.locator('.tile[data-provider="kimi"]').click()
        yield


def test_one_click_and_two_keys_lead_from_nothing_to_a_turn_of_codex(
    page: Page, upstream: Upstream, codex: CodexHome, tmp_path: Path
) -> None:
    with kimi_chosen(page, upstream, codex, tmp_path):
        expect(key(page, "guide-key")).to_be_focused()
        page.evaluate("navigator.clipboard.writeText('  sk-pasted-\\n0123456789 \\n')")
        page.keyboard.press("Control+v")
        page.keyboard.press("Enter")
        expect(key(page, "guide-send")).to_be_focused()
        page.keyboard.press("Enter")
        expect(page.locator(".ready")).to_contain_text("codex -p nexus")
        run = codex._run("-p", "nexus", "exec", "--skip-git-repo-check", "hello")
        assert run.returncode == 0, run
        assert "model: kimi-k3" in run.output
        assert "metadata" not in run.output
    assert {asked.headers["authorization"] for asked in upstream.requests} == {"Bearer sk-pasted-0123456789"}
    assert {asked.json["model"] for asked in upstream.requests} == {"kimi-k3"}


def test_the_model_that_answered_in_the_guide_is_the_one_that_codex_begins_with(
    page: Page, upstream: Upstream, codex: CodexHome, tmp_path: Path
) -> None:
    with kimi_chosen(page, upstream, codex, tmp_path):
        key(page, "guide-key").fill("sk-guide-0123456789")
        key(page, "guide-on").click()
        key(page, "guide-model").fill("kimi-k2.6")
        key(page, "guide-send").click()
        expect(page.locator(".ready")).to_contain_text("kimi-k2.6 answers")
        run = codex._run("-p", "nexus", "exec", "--skip-git-repo-check", "hello")
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
