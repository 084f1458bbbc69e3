"""What a user can set, call or type stands in the docs, and what the docs link to is there."""

from __future__ import annotations

import argparse
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import msgspec
import pytest
from aiohttp import web

from codex_nexus import cli
from codex_nexus.config.model import Budget, Config, ModelRoute, Retry, Timeouts, described
from codex_nexus.control import app as panel
from codex_nexus.control.steering import Steering
from codex_nexus.errors import ConfigError
from codex_nexus.gateway import app as gateway
from codex_nexus.gateway.state import Gateway
from codex_nexus.providers import document
from codex_nexus.providers.catalogue import Catalogue, shipped
from codex_nexus.providers.document import page

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"


def read(path: Path) -> str:
    return path.read_text("utf-8")


CONFIGURATION = read(DOCS / "configuration.md")


def pages() -> list[Path]:
    """Every Markdown file that is ours."""
    skipped = {".venv", ".git", ".cache", "node_modules", ".pytest_cache", "build", "dist"}
    found = (path for path in ROOT.rglob("*.md") if not skipped.intersection(path.relative_to(ROOT).parts))
    return sorted(found)


# --- the configuration


@pytest.mark.parametrize("key", Config.__struct_fields__)
def test_every_key_is_documented(key: str) -> None:
    assert re.search(rf"^\| `{key}` \|", CONFIGURATION, re.MULTILINE)
    assert described()[key], "a key without a meaning"


@pytest.mark.parametrize(
    "key",
    [*ModelRoute.__struct_fields__, *Budget.__struct_fields__, *Retry.__struct_fields__, *Timeouts.__struct_fields__],
)
def test_every_key_inside_a_key_is_documented(key: str) -> None:
    assert key in CONFIGURATION


def test_no_key_is_documented_that_does_not_exist() -> None:
    table = CONFIGURATION.partition("| key |")[2].partition("\n\n")[0]
    assert set(re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE)) == set(Config.__struct_fields__)


def test_the_documented_defaults_are_true() -> None:
    table = CONFIGURATION.partition("| key |")[2].partition("\n\n")[0]
    for key, told in re.findall(r"^\| `(\w+)` \| `([^`]*)` \|", table, re.MULTILINE):
        default = getattr(Config(), key)
        if isinstance(default, (bool, int, str)):
            assert msgspec.json.encode(default).decode() == told, key


# --- the command line


def verbs() -> dict[str, argparse.ArgumentParser]:
    subs = [action for action in cli.parser()._actions if isinstance(action, argparse._SubParsersAction)]
    return subs[0].choices


def actions() -> dict[str, argparse.ArgumentParser]:
    """What some verbs have in place of flags: `config set`."""
    return {
        f"{verb} {name}": inner
        for verb, parser in verbs().items()
        for action in parser._actions
        if isinstance(action, argparse._SubParsersAction)
        for name, inner in action.choices.items()
    }


def flags() -> Iterator[tuple[str, str]]:
    for verb, parser in {"": cli.parser(), **verbs(), **actions()}.items():
        for action in parser._actions:
            yield from ((verb, flag) for flag in action.option_strings if flag.startswith("--"))


def command_table() -> str:
    return CONFIGURATION.partition("## Command line")[2].partition("\n## ")[0]


@pytest.mark.parametrize("verb", sorted(verbs()))
def test_every_verb_is_documented(verb: str) -> None:
    assert re.search(rf"^\|[^|]*`{verb}\b", command_table(), re.MULTILINE)


@pytest.mark.parametrize("action", sorted(actions()))
def test_every_action_of_a_verb_is_documented(action: str) -> None:
    assert re.search(rf"^\|.*`{action}\b", command_table(), re.MULTILINE)


@pytest.mark.parametrize("verb", sorted({**verbs(), **actions()}))
def test_every_verb_has_a_help_that_says_what_its_arguments_are(verb: str) -> None:
    parser = {**verbs(), **actions()}[verb]
    assert f"codex-nexus {verb}" in parser.format_help()
    assert [action.dest for action in parser._actions if not action.help and action.dest != "action"] == []


@pytest.mark.parametrize("verb", sorted(verbs()))
def test_the_help_of_every_verb_says_what_it_does(verb: str) -> None:
    assert (verbs()[verb].description or "").endswith(".")


def test_every_verb_that_can_be_typed_does_something() -> None:
    assert set(verbs()) == set(cli.VERBS)


@pytest.mark.parametrize(("verb", "flag"), sorted(set(flags())))
def test_every_flag_is_documented(verb: str, flag: str) -> None:
    assert f"`{flag}" in command_table(), f"{verb} {flag}"


def test_no_flag_is_documented_that_does_not_exist() -> None:
    known = {flag for _, flag in flags()}
    assert set(re.findall(r"`(--[a-z-]+)", command_table())) <= known


# --- the environment


def variables() -> set[str]:
    """Names in capitals that our code asks the environment for."""
    names: set[str] = set()
    for path in (ROOT / "src").rglob("*.py"):
        text = read(path)
        if "environ" in text or "getenv" in text or "CODEX_NEXUS_" in text:
            names |= set(re.findall(r'"((?:CODEX|XDG|NO)_[A-Z_]+|[A-Z]+_PROXY)"', text))
    return names


@pytest.mark.parametrize("name", sorted(variables()))
def test_every_variable_is_documented(name: str) -> None:
    assert f"`{name}`" in CONFIGURATION


# --- the endpoints


def routes(app: web.Application) -> Iterator[tuple[str, str]]:
    """Methods and paths, without the prefix and slashes too many; a HEAD that only goes with a GET is left out."""
    found = {(route.method, route.resource.canonical) for route in app.router.routes() if route.resource is not None}
    for method, path in found:
        if method != "*" and (method != "HEAD" or ("GET", path) not in found or path.endswith("/responses")):
            yield method, "/" + path.removeprefix("/v1").strip("/")


def told(text: str) -> set[tuple[str, str]]:
    """The methods and paths of a page's tables; a method stands before its path, or before another method."""
    found: set[tuple[str, str]] = set()
    for row in re.findall(r"^\| (`(?:GET|HEAD|POST|DELETE)[^|]*)\|", text, re.MULTILINE):
        waiting: list[str] = []
        for cell in re.findall(r"`([^`]*)`", row):
            method, _, path = cell.partition(" ")
            if method.isupper():
                waiting.append(method)
            if path:
                found |= {(one, path.partition("?")[0]) for one in waiting}
                waiting = []
    return found


def test_the_gateways_endpoints_are_documented() -> None:
    app = gateway.make_app(cast("Gateway", None))
    documented = {(method, path.removeprefix("/v1")) for method, path in told(read(DOCS / "protocol.md"))}
    assert set(routes(app)) == documented


def test_the_panels_endpoints_are_documented() -> None:
    app = panel.make_app(cast("Steering", SimpleNamespace(book=SimpleNamespace(listen=lambda _: None))))
    ours = {(method, path) for method, path in routes(app) if path.startswith("/nexus-ctrl")}
    assert ours == told(read(DOCS / "panel.md"))


# --- the pages


def test_the_page_of_providers_is_up_to_date() -> None:
    assert read(DOCS / "providers.md") == page(shipped()), "python -m codex_nexus.providers.document docs/providers.md"


def test_the_page_of_providers_is_written_or_told_why_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert document.main([str(tmp_path / "page.md")]) is None
    assert read(tmp_path / "page.md") == read(DOCS / "providers.md")
    assert "Usage: " in str(document.main([]))
    assert "cannot be written" in str(document.main([str(tmp_path)]))

    def broken() -> Catalogue:
        raise ConfigError("providers.json", ["providers[0].colour: there is no such key."])

    monkeypatch.setattr(document, "shipped", broken)
    assert "there is no such key" in str(document.main([str(tmp_path / "page.md")]))


@pytest.mark.parametrize("readme", ["README.md", "README.zh.md"])
def test_the_readmes_name_every_provider(readme: str) -> None:
    section = re.findall(r"(?s)\| `deepseek`.*?\n\n", read(ROOT / readme).replace("云端", "hosted"))
    text = section[0] if section else read(ROOT / readme)
    assert [name for name in shipped().providers if f"`{name}`" not in text] == []


def test_both_readmes_have_the_same_parts() -> None:
    english, chinese = (read(ROOT / name) for name in ("README.md", "README.zh.md"))
    for pattern in (r"^## ", r"^```(\w*)", r"^\|", r"\]\(([^)#]+)\)", r"^- "):
        first, second = (re.findall(pattern, text, re.MULTILINE) for text in (english, chinese))
        first, second = ([one for one in found if not one.startswith("README")] for found in (first, second))
        assert first == second, pattern


def slug(heading: str) -> str:
    """The anchor that a heading gets."""
    kept = re.sub(r"[^\w\- ]", "", heading.replace("`", "").strip().lower())
    return kept.replace(" ", "-")


@pytest.mark.parametrize("path", pages(), ids=lambda path: str(path.relative_to(ROOT)))
def test_no_link_is_dead(path: Path) -> None:
    text = re.sub(r"(?s)```.*?```", "", read(path))
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if re.match(r"[a-z]+:", target):
            continue
        name, _, anchor = target.partition("#")
        file = (path.parent / name) if name else path
        assert file.exists(), f"{path.name} links to {target}"
        if anchor:
            headings = re.findall(r"^#+ (.+)$", read(file), re.MULTILINE)
            assert anchor in {slug(heading) for heading in headings}, f"{path.name} links to {target}"


def test_every_page_can_be_reached_from_the_readme() -> None:
    reached: set[Path] = set()
    waiting = [ROOT / "README.md"]
    while waiting:
        path = waiting.pop()
        if path in reached:
            continue
        reached.add(path)
        links = re.findall(r"\]\(([^)\s#]+\.md)[^)]*\)", read(path))
        waiting += [found for link in links if (found := (path.parent / link).resolve()).exists()]
    assert {path for path in DOCS.rglob("*.md") if path.parent == DOCS} <= reached


def test_the_pictures_are_small() -> None:
    listed = subprocess.run(["git", "ls-files", "docs/images"], check=False, cwd=ROOT, capture_output=True, text=True)
    for name in listed.stdout.split():
        assert (ROOT / name).stat().st_size < 300_000
