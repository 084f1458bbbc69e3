"""Every key of config.json: its default, its type, its check; every problem is told at once, with its path."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from codex_nexus.config.model import (
    Budget,
    Config,
    ModelRoute,
    Retry,
    Target,
    Timeouts,
    described,
    read_config,
    unknown_providers,
    written,
)
from codex_nexus.config.secrets import Secret

DEFAULTS: dict[str, Any] = {
    "provider": "deepseek",
    "api_key": Secret(),
    "custom_upstream": "",
    "port": 5800,
    "host": "127.0.0.1",
    "autostart_nexus": True,
    "codex_config_auto": True,
    "codex_config_switch_default": False,
    "codex_auth_json": False,
    "model_overrides": {},
    "model_routes": {},
    "vision_model": "",
    "provider_api_keys": {},
    "provider_addresses": {},
    "budgets": {},
    "access_token": Secret(),
    "allowed_origins": (),
    "body_limit_mb": 64,
    "retention_days": 30,
    "store_limit_mb": 0,
    "traces": 0,
    "store": "",
    "outbound_proxy": "",
    "provider_proxies": {},
    "retry": Retry(),
    "timeouts": Timeouts(),
    "language": "auto",
}

READ: dict[str, tuple[Any, Any]] = {
    "provider": ("kimi", "kimi"),
    "api_key": ("sk-1", Secret("sk-1")),
    "custom_upstream": ("http://10.0.0.7:8000/v1", "http://10.0.0.7:8000/v1"),
    "port": (6000, 6000),
    "host": ("0.0.0.0", "0.0.0.0"),
    "autostart_nexus": (False, False),
    "codex_config_auto": (False, False),
    "codex_config_switch_default": (True, True),
    "codex_auth_json": (True, True),
    "model_overrides": ({"kimi": {"gpt-5": "kimi-k3"}}, {"kimi": {"gpt-5": "kimi-k3"}}),
    "model_routes": (
        {"gpt-5": {"provider": "kimi", "model": "kimi-k3", "fallbacks": [{"provider": "zai", "model": "glm-5.3"}]}},
        {"gpt-5": ModelRoute(provider="kimi", model="kimi-k3", fallbacks=(Target(provider="zai", model="glm-5.3"),))},
    ),
    "vision_model": ("kimi/kimi-k3", "kimi/kimi-k3"),
    "provider_api_keys": (
        {"kimi": "sk-1", "zai": ["sk-2", "env:ZAI"]},
        {"kimi": (Secret("sk-1"),), "zai": (Secret("sk-2"), Secret("env:ZAI"))},
    ),
    "provider_addresses": ({"kimi": "https://api.moonshot.cn/v1"}, {"kimi": "https://api.moonshot.cn/v1"}),
    "budgets": ({"*": {"turns_per_day": 9}}, {"*": Budget(turns_per_day=9)}),
    "access_token": ("nexus-1", Secret("nexus-1")),
    "allowed_origins": (["https://example.org", "*"], ("https://example.org", "*")),
    "body_limit_mb": (1, 1),
    "retention_days": (0, 0),
    "store_limit_mb": (100, 100),
    "traces": (100, 100),
    "store": ("postgresql://db/nexus", "postgresql://db/nexus"),
    "outbound_proxy": ("socks5://127.0.0.1:1080", "socks5://127.0.0.1:1080"),
    "provider_proxies": (
        {"kimi": "direct", "zai": "http://127.0.0.1:3128"},
        {"kimi": "direct", "zai": "http://127.0.0.1:3128"},
    ),
    "retry": ({"attempts": 3, "base_delay_s": 0}, Retry(attempts=3, base_delay_s=0)),
    "timeouts": (
        {"connect_s": 5, "first_byte_s": 60, "idle_s": None},
        Timeouts(connect_s=5, first_byte_s=60, idle_s=None),
    ),
    "language": ("zh", "zh"),
}

WRONG: list[tuple[str, Any, str]] = [
    ("provider", 3, "provider: expected a text"),
    ("api_key", 3, "api_key: expected a text"),
    ("api_key", ["sk-1"], "api_key: expected a text"),
    ("custom_upstream", "api.example.org/v1", "custom_upstream: 'api.example.org/v1' is not a URL"),
    ("custom_upstream", "ftp://example.org", "custom_upstream: 'ftp://example.org' is not a URL"),
    ("custom_upstream", "http://", "custom_upstream: 'http://' is not a URL"),
    ("custom_upstream", "http://[::1", "custom_upstream: 'http://[::1' is not a URL"),
    ("port", "5800", "port: expected a whole number"),
    ("port", 5800.5, "port: expected a whole number"),
    ("port", True, "port: expected a whole number"),
    ("port", -1, "port: expected a whole number >= 0 (it is -1)"),
    ("port", 65535, "port: expected a whole number <= 65534 (it is 65535)"),
    ("host", "", "host: '' is not an address"),
    ("host", "http://localhost", "host: 'http://localhost' is not an address"),
    ("autostart_nexus", "yes", "autostart_nexus: expected true or false"),
    ("codex_config_auto", 1, "codex_config_auto: expected true or false"),
    ("codex_config_switch_default", "", "codex_config_switch_default: expected true or false"),
    ("codex_auth_json", {}, "codex_auth_json: expected true or false"),
    ("model_overrides", [], "model_overrides: expected an object"),
    ("model_overrides", {"kimi": "kimi-k3"}, "model_overrides.kimi: expected an object"),
    ("model_overrides", {"kimi": {"gpt-5": 1}}, "model_overrides.kimi.gpt-5: expected a text"),
    ("model_routes", {"gpt-5": "kimi"}, "model_routes.gpt-5: expected an object"),
    ("model_routes", {"gpt-5": None}, "model_routes.gpt-5: expected an object"),
    ("model_routes", {"gpt-5": {"model": "x"}}, "model_routes.gpt-5.provider: this key is required"),
    ("model_routes", {"gpt-5": {"provider": "kimi", "modle": "x"}}, "model_routes.gpt-5.modle: there is no such key"),
    (
        "model_routes",
        {"gpt-5": {"provider": "kimi", "fallbacks": [{"provider": "zai"}, {"model": "x"}]}},
        "model_routes.gpt-5.fallbacks[1].provider: this key is required",
    ),
    ("model_routes", {"gpt-5": {"provider": "kimi", "fallbacks": {}}}, "model_routes.gpt-5.fallbacks: expected a list"),
    ("vision_model", 5, "vision_model: expected a text"),
    ("vision_model", "kimi", "vision_model: 'kimi' must be written as provider/model."),
    ("vision_model", "kimi/", "vision_model: 'kimi/' must be written as provider/model."),
    ("budgets", {"kimi": []}, "budgets.kimi: expected an object"),
    ("provider_api_keys", {"kimi": 5}, "provider_api_keys.kimi: expected a list"),
    ("provider_api_keys", {"kimi": ["sk-1", 5]}, "provider_api_keys.kimi[1]: expected a text"),
    ("provider_addresses", {"kimi": "china"}, "provider_addresses.kimi: 'china' is not a URL"),
    ("access_token", False, "access_token: expected a text"),
    ("allowed_origins", "https://example.org", "allowed_origins: expected a list"),
    ("allowed_origins", ["https://a.org", "b.org"], "allowed_origins[1]: 'b.org' is not an origin"),
    ("allowed_origins", ["https://a.org/"], "allowed_origins[0]: 'https://a.org/' is not an origin"),
    ("body_limit_mb", 0, "body_limit_mb: expected a whole number >= 1"),
    ("store_limit_mb", -1, "store_limit_mb: expected a whole number >= 0"),
    ("traces", 101, "traces: expected a whole number <= 100"),
    ("retention_days", -1, "retention_days: expected a whole number >= 0"),
    ("store", "mysql://db/nexus", "store: 'mysql://db/nexus' is not a URL"),
    ("outbound_proxy", "127.0.0.1:3128", "outbound_proxy: '127.0.0.1:3128' is not a URL"),
    ("outbound_proxy", "http://127.0.0.1:99999", "outbound_proxy: 'http://127.0.0.1:99999' is not a URL"),
    ("provider_proxies", {"kimi": "none"}, "provider_proxies.kimi: 'none' is not a URL"),
    ("retry", {"attempts": 0}, "retry.attempts: expected a whole number >= 1"),
    ("retry", {"times": 2}, "retry.times: there is no such key; known are attempts, base_delay_s"),
    ("timeouts", {"idle_s": 0}, "timeouts.idle_s: expected a number > 0"),
    ("timeouts", {"idle_s": "60"}, "timeouts.idle_s: expected a number"),
    ("language", "de", "language: invalid enum value 'de'"),
]


def read(raw: dict[str, Any]) -> Config:
    """A configuration without problems."""
    config, unknown, problems = read_config(raw)
    assert (problems, unknown) == ([], {})
    return config


def test_the_tables_speak_of_every_key() -> None:
    assert list(DEFAULTS) == list(Config.__struct_fields__)
    assert DEFAULTS.keys() == READ.keys()
    assert DEFAULTS.keys() == {key for key, _, _ in WRONG}


def test_an_empty_file_means_the_defaults() -> None:
    config = read({})
    assert {name: getattr(config, name) for name in DEFAULTS} == DEFAULTS


@pytest.mark.parametrize("key", READ)
def test_a_key_is_read(key: str) -> None:
    raw, value = READ[key]
    assert getattr(read({key: raw}), key) == value
    assert value != DEFAULTS[key]


@pytest.mark.parametrize("key", READ)
def test_null_means_the_default(key: str) -> None:
    assert read({key: None}) == Config()


@pytest.mark.parametrize(("key", "value", "sentence"), WRONG, ids=lambda value: str(value)[:40])
def test_a_wrong_value_is_told_with_its_path(key: str, value: Any, sentence: str) -> None:
    config, _, problems = read_config({key: value})
    assert len(problems) == 1, problems
    assert problems[0].startswith(sentence)
    assert problems[0].endswith(".")
    assert isinstance(config, Config)


def test_every_problem_is_told_at_once() -> None:
    wrong = {
        "port": "x",
        "host": "a/b",
        "custom_upstream": "nowhere",
        "model_routes": {"a": {"model": 1, "no": 1}, "b": {"provider": 2}},
        "provider_api_keys": {"kimi": [1, 2]},
        "retry": {"attempts": 0, "base_delay_s": -1},
        "language": "tlh",
    }
    _, _, problems = read_config(wrong)
    paths = [problem.partition(":")[0] for problem in problems]
    assert sorted(paths) == [
        "custom_upstream",
        "host",
        "language",
        "model_routes.a.model",
        "model_routes.a.no",
        "model_routes.a.provider",
        "model_routes.b.provider",
        "port",
        "provider_api_keys.kimi[0]",
        "provider_api_keys.kimi[1]",
        "retry.attempts",
        "retry.base_delay_s",
    ]


def test_a_key_with_a_problem_does_not_spoil_the_others() -> None:
    config, _, _ = read_config({"port": "x", "host": "localhost"})
    assert (config.port, config.host) == (5800, "localhost")


def test_a_problem_never_holds_a_key() -> None:
    _, _, problems = read_config(
        {"provider_api_keys": {"kimi": {"key": "sk-secret-key"}}, "api_key": ["sk-secret-key"]}
    )
    assert len(problems) == 2
    assert "sk-secret-key" not in str(problems)
    _, _, problems = read_config({"api_key": 1234567890, "provider_api_keys": {"kimi": [1234567890]}})
    assert len(problems) == 2
    assert "1234567890" not in str(problems)


def test_a_problem_is_told_in_words() -> None:
    _, _, problems = read_config({"provider_api_keys": {"kimi": [None, {}, []]}, "retry": [], "timeouts": "now"})
    assert not [problem for problem in problems if "`" in problem], problems


def test_the_provider_custom_needs_its_address() -> None:
    _, _, problems = read_config({"provider": "custom"})
    assert [problem.partition(":")[0] for problem in problems] == ["custom_upstream"]
    read({"provider": "custom", "custom_upstream": "http://127.0.0.1:8000/v1"})


@pytest.mark.parametrize("url", ["", "sqlite:///nexus.db", "sqlite:////var/lib/nexus.db", "postgres://u:p@db:5432/x"])
def test_a_store_has_one_of_these_addresses(url: str) -> None:
    _, _, problems = read_config({"store": url})
    assert problems == []


@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0", "::", "::1", "localhost", "my-host.local"])
def test_a_host_is_a_name_or_an_address(host: str) -> None:
    assert read({"host": host}).host == host


def test_foreign_keys_are_kept_apart() -> None:
    config, unknown, problems = read_config({"port": 1, "theme": "dark", "nested": {"a": [1]}})
    assert (config.port, problems) == (1, [])
    assert unknown == {"theme": "dark", "nested": {"a": [1]}}


def test_only_what_differs_from_the_defaults_is_written() -> None:
    assert written(Config(), {}) == {}
    assert written(read({"port": 5800, "language": "en"}), {}) == {"language": "en"}


def test_foreign_keys_are_written_back() -> None:
    assert written(read({"port": 1}), {"theme": "dark"}) == {"port": 1, "theme": "dark"}


def test_keys_and_references_are_written_as_they_stood() -> None:
    raw = {"api_key": "env:KEY", "provider_api_keys": {"kimi": "sk-1", "zai": ["sk-2", "keyring:zai"]}}
    again = json.loads(json.dumps(written(read(raw), {})))
    assert again["api_key"] == "env:KEY"
    assert again["provider_api_keys"] == {"kimi": "sk-1", "zai": ["sk-2", "keyring:zai"]}


@given(st.fixed_dictionaries({}, optional={key: st.just(raw) for key, (raw, _) in READ.items()}))
def test_what_is_written_is_read_again(raw: dict[str, Any]) -> None:
    config, _, problems = read_config(raw)
    assert not problems
    assert read(json.loads(json.dumps(written(config, {})))) == config


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text() | st.sampled_from(list(READ)), inner, max_size=3)
    ),
    max_leaves=8,
)


@given(st.dictionaries(st.sampled_from([*READ, "theme"]), _JSON))
def test_no_file_breaks_the_reader(raw: dict[str, Any]) -> None:
    config, unknown, problems = read_config(raw)
    assert isinstance(config, Config)
    assert unknown.keys() <= {"theme"}
    assert all(problem.partition(":")[0] for problem in problems)


def test_every_provider_that_is_named_must_exist() -> None:
    config = read(
        {
            "provider": "p1",
            "provider_api_keys": {"p2": "k", "kimi": "k"},
            "model_overrides": {"p3": {}},
            "provider_proxies": {"p4": "direct"},
            "budgets": {"*": {"turns_per_day": 1}, "p5": {"turns_per_day": 1}},
            "model_routes": {"gpt-5": {"provider": "p6", "fallbacks": [{"provider": "kimi"}, {"provider": "p7"}]}},
        }
    )
    problems = unknown_providers(config, {"kimi"}.__contains__)
    assert [problem.partition(":")[0] for problem in problems] == [
        "provider",
        "provider_api_keys.p2",
        "model_overrides.p3",
        "provider_proxies.p4",
        "budgets.p5",
        "model_routes.gpt-5.provider",
        "model_routes.gpt-5.fallbacks[1].provider",
    ]
    assert all(f"'p{n + 1}'" in problem for n, problem in enumerate(problems))


@pytest.mark.parametrize(
    ("budgets", "path", "word"),
    [
        ({"kimi": {"tokens_per_day": 0}}, "budgets.kimi.tokens_per_day", "it is 0"),
        ({"kimi": {"tokens_per_day": 1.5}}, "budgets.kimi.tokens_per_day", "whole number"),
        ({"kimi": {"turns_per_day": "many"}}, "budgets.kimi.turns_per_day", "whole number"),
        ({"*": {"cost_per_day": -1}}, "budgets.*.cost_per_day", "it is -1"),
        ({"kimi": {"tokens": 5}}, "budgets.kimi.tokens", "tokens_per_day, turns_per_day, cost_per_day"),
        ({"kimi": {}}, "budgets.kimi", "nothing is limited"),
        ({"kimi": 5}, "budgets.kimi", "an object"),
        ([], "budgets", "an object"),
    ],
)
def test_a_budget_that_is_wrong_is_told(budgets: Any, path: str, word: str) -> None:
    [problem] = read_config({"budgets": budgets})[2]
    assert problem.startswith(f"{path}: ")
    assert word in problem


def test_a_budget_is_written_as_it_stood() -> None:
    raw = {"budgets": {"*": {"cost_per_day": 2.5}, "kimi": {"tokens_per_day": 5_000_000, "turns_per_day": 100}}}
    assert json.loads(json.dumps(written(read(raw), {}))) == raw


def test_every_key_is_described() -> None:
    texts = described()
    assert list(texts) == list(Config.__struct_fields__)
    assert all(text.endswith((".", "?")) for text in texts.values())
