"""The shipped catalogue says what product and providers' documents say."""

from __future__ import annotations

import json
from importlib import resources

import msgspec
import pytest

from codex_nexus.providers.catalogue import shipped
from codex_nexus.translate.dialect import DEFAULT, EFFORTS, Dialect

IDS = (
    "deepseek", "kimi", "qwen", "mistral", "groq", "xai", "openrouter", "ollama", "lmstudio", "custom", "zai",
    "minimax", "siliconflow", "volcengine", "gemini", "together", "fireworks", "cerebras", "nvidia", "azure", "vllm",
    "sglang", "llamacpp", "mimo", "stepfun", "hunyuan", "github",
)  # fmt: skip
LOCAL = {"ollama", "lmstudio", "vllm", "sglang", "llamacpp"}
HISTORIC = {
    "deepseek": "deepseek-chat",
    "kimi": "kimi-k2.6",
    "qwen": "qwen-plus",
    "mistral": "mistral-large-latest",
    "groq": "llama-3.3-70b-versatile",
    "xai": "grok-3",
    "openrouter": "deepseek/deepseek-chat",
}
"""What `gpt-4.1` has meant since the first version; some of these have since ended at their provider."""

FAMILIES = {
    "deepseek-v4-pro": "deepseek",
    "deepseek/deepseek-chat": "deepseek",
    "deepseek-ai/DeepSeek-R1": "deepseek",
    "deepseek-coder-v2:16b": "deepseek",
    "moonshotai/Kimi-K2.7-Code": "kimi",
    "accounts/fireworks/models/kimi-k2p6": "kimi",
    "kimi-k2.6": "kimi",
    "kimi-k3": "kimi",
    "k3-256k": "kimi",
    "kimi-for-coding": "kimi",
    "zai-org/GLM-5.3": "glm",
    "glm-5.2": "glm",
    "zai-glm-4.7": "glm",
    "qwen3.8-max": "qwen",
    "qwen3-coder-plus": "qwen",
    "Qwen/QwQ-32B": "qwen",
    "qwen3:8b": "qwen",
    "MiniMax-M3": "minimax",
    "MiniMax-M3.1-Flash-Preview": "minimax",
    "MiniMax-M2.7": "minimax",
    "mimo-v2.5-pro": "mimo",
    "openai/gpt-oss-120b": "gpt-oss",
    "gpt-oss:20b": "gpt-oss",
    "x-ai/grok-4.5": "grok",
    "grok-4.20-non-reasoning": "grok",
    "grok-4.3": "grok",
    "google/gemini-3.1-pro-preview": "gemini",
    "mistral-medium-3.5": "mistral",
    "magistral-medium-latest": "mistral",
    "openai/gpt-5.5": "openai",
    "openai/gpt-4.1": "openai",
    "o4-mini": "openai",
    "anthropic/claude-opus-5": "claude",
    "doubao-seed-2-1-pro-260628": "seed",
    "step-3.7-flash": "step",
    "step-3.5-flash-2603": "step",
    "hy3": "hunyuan",
    "nvidia/nemotron-3-ultra-550b-a55b": "nemotron",
    "gemma3:27b": "gemma",
    "google/gemma-2-9b-it": "gemma",
    "llama-3.3-70b-versatile": "llama",
}

SWITCHES = {"thinking", "thinking+effort", "enable_thinking", "template_kwargs", "minimax", "effort_obj"}
"""The forms of the request that can say "do not think"."""


# --- the shipped data


def test_every_provider_is_there_in_the_order_of_the_docs() -> None:
    assert tuple(shipped().providers) == IDS


def test_no_id_stands_twice() -> None:
    file = json.loads(_text())
    ids = [provider["id"] for provider in file["providers"]]
    assert len(ids) == len(set(ids))
    for provider in shipped().providers.values():
        models = [model.id for model in provider.models]
        assert len(models) == len(set(models)), provider.id


def test_the_file_is_pleasant_to_read() -> None:
    lines = _text().splitlines()
    assert _text().endswith("}\n")
    for number, line in enumerate(lines, 1):
        indent = len(line) - len(line.lstrip(" "))
        assert "\t" not in line, number
        assert indent % 2 == 0, number
        assert line == line.rstrip(), number
        is_model = line.lstrip().startswith('{"id": ')
        assert is_model or len(line) <= 120, number
    models = sum(len(provider.models) for provider in shipped().providers.values())
    assert sum(line.lstrip().startswith('{"id": ') for line in lines) == models


@pytest.mark.parametrize("provider_id", IDS)
def test_a_record_is_whole(provider_id: str) -> None:
    record = shipped().providers[provider_id]
    assert record.name
    assert record.source
    assert all(rule.source for rule in record.rules)
    for url in (record.base_url, *record.other_urls.values()):
        assert not url.endswith("/")
        assert not url.endswith(record.chat_path)
    if provider_id == "custom":
        assert (record.base_url, record.default_model, record.mapping, record.models) == ("", "", {}, ())
    elif provider_id in LOCAL:
        assert record.local
        assert record.base_url.startswith("http://localhost:")
        assert (record.default_model, record.mapping, record.models) == ("", {}, ())
    else:
        assert not record.local
        assert record.base_url.startswith("https://")
        assert record.key_url.startswith("https://")
        assert record.default_model


@pytest.mark.parametrize("provider_id", IDS)
def test_every_target_is_a_known_model_or_deliberately_historic(provider_id: str) -> None:
    record = shipped().providers[provider_id]
    known = {model.id for model in record.models}
    if record.default_model:
        assert record.default_model in known
    for asked, target in record.mapping.items():
        assert target in known or (asked == "gpt-4.1" and target == HISTORIC[provider_id]), asked


def test_the_historic_mappings_are_kept() -> None:
    assert {provider: shipped().providers[provider].mapping["gpt-4.1"] for provider in HISTORIC} == HISTORIC


def test_a_model_that_has_ended_is_not_offered() -> None:
    record = shipped().providers["deepseek"]
    assert record.model("deepseek-chat") is None
    assert record.model(record.default_model) is not None


@pytest.mark.parametrize("provider_id", IDS)
def test_numbers_of_models_are_plausible(provider_id: str) -> None:
    for model in shipped().providers[provider_id].models:
        assert model.context_window is None or 4_000 <= model.context_window <= 2_000_000, model.id
        if model.max_output is not None:
            assert model.context_window is not None
            assert 4_000 <= model.max_output <= model.context_window, model.id
        if model.price is not None:
            cached, fresh, output = model.price
            assert 0 < cached <= fresh <= output, model.id


def test_globs_are_lower_case() -> None:
    rules = [*shipped().families, *(rule for provider in shipped().providers.values() for rule in provider.rules)]
    for rule in rules:
        assert rule.match
        assert all(glob == glob.lower() for glob in rule.match), rule.match
        assert rule.source


def test_every_family_rule_is_used() -> None:
    for rule in shipped().families:
        assert any(rule.covers(model) for model in FAMILIES), rule.match


@pytest.mark.parametrize(("model", "family"), FAMILIES.items())
@pytest.mark.parametrize("provider_id", ["custom", "openrouter", "vllm"])
def test_a_model_keeps_its_family_on_every_host(provider_id: str, model: str, family: str) -> None:
    assert shipped().dialect(provider_id, model).family == family


def test_a_model_of_no_family_belongs_to_its_provider() -> None:
    assert shipped().dialect("custom", "solar-pro").family == "custom"
    assert (
        msgspec.structs.replace(shipped().dialect("llamacpp", "solar-pro"), family="").json_schema
        == DEFAULT.json_schema
    )


@pytest.mark.parametrize("provider_id", IDS)
def test_no_dialect_contradicts_itself(provider_id: str) -> None:
    catalogue = shipped()
    models = [*FAMILIES, *(model.id for model in catalogue.providers[provider_id].models), "solar-pro"]
    for model in models:
        _check(catalogue.dialect(provider_id, model), f"{provider_id}: {model}")


def _check(dialect: Dialect, where: str) -> None:
    asked, sent = set(dialect.effort_map), set(dialect.effort_map.values())
    assert asked <= set(EFFORTS), where
    if dialect.efforts:
        assert sent <= {*dialect.efforts, "drop", "off"}, where
    if dialect.reasoning_param == "none":
        assert not dialect.effort_map, where
        assert not dialect.efforts, where
    if "off" in sent:
        assert dialect.reasoning_param in SWITCHES, where
        assert dialect.thinking_off == "allowed", where
    if dialect.thinking_off == "refused":
        assert dialect.effort_map.get("none", "low") not in ("none", "off"), where
    forms = {"auto", "none", "required", "named", "any"}
    assert "auto" in dialect.tool_choice, where
    assert set(dialect.tool_choice) <= forms, where
    assert set(dialect.tool_choice_thinking or ()) <= forms, where
    if dialect.only_params:
        assert dialect.max_tokens_field in dialect.only_params, where
        assert {"tools", "tool_choice", "stream"} <= set(dialect.only_params), where
        assert dialect.reasoning_param in ("none", "effort"), where
        assert dialect.reasoning_param == "none" or "reasoning_effort" in dialect.only_params, where
        assert dialect.stream_usage == "implicit" or "stream_options" in dialect.only_params, where
        assert set(dialect.known_params) <= set(dialect.only_params), where
    assert set(dialect.known_params) <= {"prompt_cache_key", "user", "verbosity"}, where
    assert not set(dialect.known_params) & set(dialect.drop_params), where
    assert dialect.max_tokens_field not in dialect.drop_params, where
    if dialect.default_output and dialect.max_output:
        assert dialect.default_output <= dialect.max_output, where


def _text() -> str:
    return resources.files("codex_nexus.providers").joinpath("providers.json").read_text("utf-8")
