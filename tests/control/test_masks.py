"""Keys on their way to the page and back."""

from __future__ import annotations

import json

import pytest

from codex_nexus.config.model import Config, read_config
from codex_nexus.control.masks import mask, mask_url, restored, shown

LONG = "sk-0123456789abcdef"
OTHER = "sk-fedcba9876543210"


def config(**raw: object) -> Config:
    read, _, problems = read_config(dict(raw))
    assert not problems
    return read


@pytest.mark.parametrize(
    ("key", "seen"),
    [
        ("", ""),
        ("short", "…"),
        ("123456789012", "…"),
        ("1234567890abc", "…0abc"),
        (LONG, "sk-…cdef"),
        ("env:NAME", "env:NAME"),
        ("keyring:name", "keyring:name"),
    ],
)
def test_a_key_is_shown_as_its_last_four_signs_at_most(key: str, seen: str) -> None:
    assert mask(key) == seen


def test_no_key_stands_in_what_is_shown() -> None:
    ours = config(
        api_key=LONG,
        access_token=OTHER,
        provider_api_keys={"kimi": [LONG, "tiny"]},
        model_routes={"a": {"provider": "kimi", "api_key": LONG}},
        outbound_proxy="http://me:secret@proxy:1",
        store="postgresql://me:secret@db/x",
        provider_proxies={"kimi": "socks5://me:secret@p:1"},
    )
    text = str(shown(ours))
    assert not any(secret in text for secret in (LONG, OTHER, "tiny", "secret"))


def test_masks_that_come_back_mean_unchanged() -> None:
    ours = config(
        api_key=LONG,
        provider_api_keys={"kimi": [OTHER, "env:X"]},
        model_routes={"a": {"provider": "kimi", "api_key": OTHER}},
        outbound_proxy="http://me:secret@proxy:1",
        provider_proxies={"kimi": "http://me:secret@proxy:2"},
    )
    raw, problems = restored(json.loads(json.dumps(shown(ours))), ours)
    assert not problems
    assert read_config(raw)[0] == ours


def test_a_mask_follows_its_key_to_another_place() -> None:
    ours = config(provider_api_keys={"kimi": [LONG, OTHER]}, model_routes={"a": {"provider": "kimi", "api_key": LONG}})
    sent = {
        "provider_api_keys": {"kimi": [mask(OTHER)]},
        "model_routes": {"b": {"provider": "kimi", "api_key": mask(LONG)}},
    }
    raw, problems = restored(sent, ours)
    assert not problems
    assert raw["provider_api_keys"]["kimi"] == [OTHER]
    assert raw["model_routes"]["b"]["api_key"] == LONG


def test_a_mask_of_nothing_is_a_problem() -> None:
    raw, problems = restored({"api_key": "sk-…zzzz", "outbound_proxy": "http://…@other:1"}, config(api_key=LONG))
    assert raw["api_key"] == ""
    assert [problem.partition(":")[0] for problem in problems] == ["api_key", "outbound_proxy"]


def test_masks_that_two_short_keys_share_are_a_problem() -> None:
    ours = config(provider_api_keys={"kimi": "one", "qwen": "two"})
    _, problems = restored({"provider_api_keys": {"groq": ["…"]}}, ours)
    assert problems == ["provider_api_keys.groq: this is a shortened key, not a key; enter it again."]


@pytest.mark.parametrize(
    "wrong", [{"api_key": 3}, {"provider_api_keys": 3}, {"model_routes": {"a": 3}}, {"store": None}]
)
def test_values_of_a_wrong_type_are_left_to_the_check(wrong: dict[str, object]) -> None:
    assert restored(wrong, Config()) == (wrong, [])


def test_only_credentials_are_hidden_in_an_address() -> None:
    assert mask_url("https://host/v1?x=a@b") == "https://host/v1?x=a@b"
    assert mask_url("https://u:p@host/v1") == "https://…@host/v1"
