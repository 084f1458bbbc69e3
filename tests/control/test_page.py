"""The files of the page: small, ours alone, with the same words in both languages."""

from __future__ import annotations

import codecs
import gzip
import re
from importlib import resources
from typing import get_args, get_type_hints

import msgspec
import pytest

from codex_nexus.config import secrets
from codex_nexus.config.model import Config
from codex_nexus.control.steering import Injection

FILES = {
    entry.name: entry.read_text("utf-8")
    for entry in resources.files("codex_nexus.control").joinpath("static").iterdir()
}
SCRIPTS = sorted(name for name in FILES if name.endswith(".js"))
WORD = re.compile(r'^  (?:"([^"]+)"|(\w+)):\s*"((?:[^"\\]|\\.)*)",$', re.MULTILINE)
KEPT_IN_ENGLISH = {"fact.codex", "set.codex", "preview.json"}


def words(name: str) -> dict[str, str]:
    """Key -> text of a language."""
    found = {quoted or bare: text for quoted, bare, text in WORD.findall(FILES[name])}
    lines = [line for line in FILES[name].splitlines() if line.startswith("  ")]
    assert len(found) == len(lines), "a line of words that this test cannot read"
    return found


def test_both_languages_have_the_same_keys_in_the_same_order() -> None:
    assert list(words("words-en.js")) == list(words("words-zh.js"))


def test_both_languages_have_the_same_places_for_values() -> None:
    places = re.compile(r"\{\w+\}")
    chinese = words("words-zh.js")
    for key, text in words("words-en.js").items():
        assert sorted(places.findall(text)) == sorted(places.findall(chinese[key])), key


def test_chinese_is_chinese() -> None:
    for key, text in words("words-zh.js").items():
        assert key in KEPT_IN_ENGLISH or re.search("[\u4e00-\u9fff]", text), key


def test_every_word_that_the_page_asks_for_is_there_and_the_other_way_round() -> None:
    known = words("words-en.js")
    code = "".join(FILES[name] for name in SCRIPTS if not name.startswith("words-"))
    asked = set(re.findall(r'\bt\("([^"]+)"', code))
    assert not asked - known.keys()
    spelt = {key for key in known if f'"{key}"' in code}
    built = {
        "nav",
        "state",
        "figure",
        "traffic",
        "outcome",
        "injection",
        "problem",
        "key",
        "help",
        "models",
        "guide",
        "way",
    }
    built |= {"usage"}
    assert not {key for key in known.keys() - spelt if key.split(".")[0] not in built}


def test_every_key_of_the_configuration_has_its_words() -> None:
    known = words("words-en.js")
    assert not [name for name in Config.__struct_fields__ if f"key.{name}" not in known]
    inner = [(name, kind) for name in ("retry", "timeouts") for kind in (type(getattr(Config(), name)),)]
    for name, kind in inner:
        assert issubclass(kind, msgspec.Struct)
        assert not [field for field in kind.__struct_fields__ if f"key.{name}.{field}" not in known]


def test_every_state_has_its_words() -> None:
    states = get_args(get_type_hints(Injection)["state"])
    assert not [state for state in states if f"injection.{state}" not in words("words-en.js")]


def test_the_page_tidies_a_key_as_the_command_line_does() -> None:
    script = FILES["keys.js"]
    quotes = codecs.decode(secrets._QUOTES.pattern, "unicode_escape")
    assert f"text.trim().replace(/{quotes}/g" in script
    assert f"/{secrets._BEARER.pattern}/i" in script
    assert f"/{secrets._FOREIGN.pattern}/.test(key)" in script


@pytest.mark.parametrize("name", SCRIPTS)
def test_scripts_are_short_and_cannot_run_a_string(name: str) -> None:
    text = FILES[name]
    longest = 200 if not name.startswith("words-") else 400
    assert len([line for line in text.splitlines() if line.strip()]) <= longest
    assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|\beval\b|new Function|document\.write", text)


def test_the_page_asks_nobody_else() -> None:
    for name, text in FILES.items():
        urls = {
            url
            for url in re.findall(r"https?://[\w.]+", text)
            if not url.endswith((".org", "127.0.0.1", "example.org"))
        }
        assert not urls - {"http://www.w3.org", "http://127.0.0.1"}, name
    assert not re.search(r"<script(?![^>]*src)|<style|\sstyle=|\son\w+=", FILES["index.html"])


def test_the_page_is_light() -> None:
    assert sum(len(gzip.compress(text.encode())) for text in FILES.values()) < 70_000
