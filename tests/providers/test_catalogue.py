"""The shipped catalogue says what product and providers' documents say, and user files lie over it."""

from __future__ import annotations

import ast
import json
import re
import tokenize
from importlib import resources
from pathlib import Path
from typing import Any, get_args, get_type_hints

import msgspec
import pytest

import codex_nexus
from codex_nexus.errors import ConfigError
from codex_nexus.providers.catalogue import Catalogue, merged, read, shipped
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
    "o4-mini": "openai",
    "anthropic/claude-opus-5": "claude",
    "doubao-seed-2-1-pro-260628": "seed",
    "step-3.7-flash": "step",
    "step-3.5-flash-2603": "step",
    "hy3": "hunyuan",
    "nvidia/nemotron-3-ultra-550b-a55b": "nemotron",
    "gemma3:27b": "gemma",
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


# --- resolved dialects


def _has(provider_id: str, model: str, **expected: Any) -> None:
    dialect = shipped().dialect(provider_id, model)
    assert {name: getattr(dialect, name) for name in expected} == expected


def test_deepseek_on_its_own_host() -> None:
    _has(
        "deepseek",
        "deepseek-v4-pro",
        family="deepseek",
        reasoning_param="thinking+effort",
        effort_map={"none": "off", "minimal": "low", "medium": "high", "xhigh": "max", "ultra": "max"},
        efforts=("low", "high", "max"),
        reasoning_replay="tool_turns",
        reasoning_field="reasoning_content",
        reasoning_missing="empty",
        tool_choice=("auto", "none", "required", "named"),
        tool_choice_thinking=("auto", "none"),
        response_format="object",
        max_tokens_field="max_tokens",
        max_output=384_000,
        default_output=65_536,
        context_window=1_048_576,
        images="none",
    )
    _has("deepseek", "deepseek-flash", images="data", max_output=384_000, known_params=())


def test_the_deepseek_family_on_openrouter() -> None:
    _has(
        "openrouter",
        "deepseek/deepseek-v4-pro",
        family="deepseek",
        reasoning_param="effort_obj",
        effort_map={"max": "xhigh", "ultra": "xhigh"},
        reasoning_replay="all",
        reasoning_field="reasoning_details",
        reasoning_missing="empty",
        tool_choice_thinking=("auto", "none"),
        default_output=None,
    )


def test_kimi() -> None:
    _has(
        "kimi",
        "kimi-k3",
        family="kimi",
        reasoning_param="effort",
        efforts=("low", "high", "max"),
        thinking_off="refused",
        reasoning_replay="all",
        reasoning_missing="empty",
        tool_choice_thinking=("auto", "none", "required"),
        json_schema="mfjs",
        max_tokens_field="max_completion_tokens",
        known_params=("prompt_cache_key",),
        images="data",
        context_window=1_048_576,
    )
    _has("kimi", "kimi-k2.6", reasoning_param="thinking", effort_map={"none": "off"}, thinking_off="allowed")
    always = shipped().dialect("kimi", "kimi-k2.7-code")
    assert always.reasoning_param == "none"
    assert msgspec.json.decode(always.extra_body["thinking"]) == {"type": "enabled", "keep": "all"}
    _has("custom", "moonshotai/Kimi-K3", family="kimi", json_schema="mfjs", max_tokens_field="max_completion_tokens")
    _has("siliconflow", "moonshotai/Kimi-K3", max_tokens_field="max_tokens")
    _has("fireworks", "accounts/fireworks/models/kimi-k2p6", reasoning_param="effort", max_tokens_field="max_tokens")


def test_glm() -> None:
    _has(
        "zai",
        "glm-5.3",
        family="glm",
        reasoning_param="thinking+effort",
        thinking_off="refused",
        reasoning_replay="all",
        tool_choice=("auto",),
        response_format="object",
        silent_overflow=True,
        stream_usage="implicit",
        overflow_codes=("1261",),
    )
    body = shipped().dialect("zai", "glm-5.3").extra_body
    assert {name: msgspec.json.decode(value) for name, value in body.items()} == {
        "tool_stream": True,
        "thinking": {"type": "enabled", "clear_thinking": False},
    }
    _has("zai", "glm-5.2", reasoning_param="thinking+effort", thinking_off="allowed")
    _has("volcengine", "glm-5.2", extra_body={}, assistant_content="text_part", default_output=32_768, images="none")
    _has("cerebras", "zai-glm-4.7", reasoning_param="effort", reasoning_field="reasoning", drop_params=_penalties())


def _penalties() -> tuple[str, ...]:
    return shipped().dialect("cerebras", "gpt-oss-120b").drop_params


def test_mistral() -> None:
    _has(
        "mistral",
        "mistral-medium-3.5",
        family="mistral",
        tool_id="alnum9",
        tool_to_user_bridge=True,
        reasoning_param="effort",
        efforts=("high",),
        reasoning_replay="never",
        stream_usage="implicit",
        max_tokens_field="max_tokens",
        known_params=("prompt_cache_key",),
    )
    assert "stream_options" not in shipped().dialect("mistral", "mistral-medium-3.5").only_params
    _has("mistral", "mistral-large-latest", reasoning_param="none", efforts=())
    _has("mistral", "glm-5.2", family="glm", reasoning_param="none", tool_id="alnum9", extra_body={})
    _has("llamacpp", "ministral-3:8b", tool_id="alnum9", tool_to_user_bridge=True)


def test_gpt_oss_on_groq() -> None:
    _has(
        "groq",
        "openai/gpt-oss-120b",
        family="gpt-oss",
        reasoning_param="effort",
        effort_map={"none": "low", "minimal": "low", "xhigh": "high", "max": "high", "ultra": "high"},
        efforts=("low", "medium", "high"),
        thinking_off="refused",
        reasoning_field="reasoning",
        tools_exclude_response_format=True,
        max_tokens_field="max_completion_tokens",
        drop_params=("logprobs", "top_logprobs"),
        max_output=65_536,
    )
    _has("groq", "llama-3.3-70b-versatile", reasoning_param="none", tools_exclude_response_format=True)
    _has("groq", "qwen/qwen3-32b", efforts=("none", "default"))


def test_ollama() -> None:
    _has(
        "ollama",
        "qwen3:8b",
        family="qwen",
        reasoning_param="effort",
        efforts=("none",),
        reasoning_field="reasoning",
        tool_choice=("auto",),
        tool_choice_thinking=None,
        silent_overflow=True,
        images="data",
        max_tokens_field="max_tokens",
    )
    _has("ollama", "gpt-oss:20b", efforts=("low", "medium", "high"), reasoning_field="reasoning", silent_overflow=True)
    _has("ollama", "deepseek-v3.2:cloud", reasoning_param="effort", reasoning_missing="omit", drop_params=())


def test_local_servers_switch_thinking_in_the_template() -> None:
    for server in ("vllm", "sglang", "llamacpp"):
        _has(server, "Qwen/Qwen3.8-27B", reasoning_param="template_kwargs", effort_map={"none": "off"}, efforts=())
        _has(server, "deepseek-ai/DeepSeek-V4-Pro", reasoning_param="template_kwargs", response_format="schema")
    _has("vllm", "any", reasoning_field="reasoning")
    _has("lmstudio", "any", tool_choice=("auto", "none", "required"), silent_overflow=True, reasoning_param="none")
    _has("lmstudio", "openai/gpt-oss-20b", reasoning_param="effort", reasoning_replay="never")


def test_what_refines_thinking_stands_in_the_extra_body() -> None:
    def thinking(provider: str, model: str) -> Any:
        given = shipped().dialect(provider, model).extra_body.get("thinking")
        return None if given is None else msgspec.json.decode(given)

    assert thinking("kimi", "kimi-k2.6") == {"type": "enabled", "keep": "all"}
    assert thinking("kimi", "kimi-k2.5") is None
    for model in ("glm-5.3", "glm-5.2", "glm-4.7"):
        assert thinking("zai", model) == {"type": "enabled", "clear_thinking": False}
    assert thinking("zai", "glm-4.6") is None


def test_budgets_stand_where_efforts_are_not_heard() -> None:
    for provider, model in (
        ("qwen", "qwen3.7-plus"), ("siliconflow", "Qwen/Qwen3.5-35B"), ("openrouter", "qwen/qwen3.8-max"),
    ):  # fmt: skip
        budgets = shipped().dialect(provider, model).thinking_budgets
        assert sorted(budgets.values()) == [budgets[effort] for effort in EFFORTS if effort in budgets], provider
        assert all(128 <= budget <= 32_768 for budget in budgets.values())
    _has("openrouter", "deepseek/deepseek-v4-pro", thinking_budgets={})


def test_signatures() -> None:
    _has("gemini", "gemini-3.8-flash", dummy_signature=True)
    _has("gemini", "gemini-2.5-flash", dummy_signature=False)
    _has("openrouter", "anthropic/claude-opus-5", unsigned_reasoning=False)
    _has("openrouter", "openai/gpt-5.5", unsigned_reasoning=False)


def test_azure_gets_its_reasoning_back_and_of_others_none() -> None:
    _has("azure", "gpt-5.5", reasoning_replay="all", unsigned_reasoning=False, tool_images="in_tool")
    assert list(shipped().dialect("azure", "gpt-5.5").extra_body) == ["include"]
    _has("azure", "gpt-4.1", reasoning_param="none", extra_body={}, drop_params=("reasoning",))


def test_who_is_told_of_the_client() -> None:
    told = {name: record.forward for name, record in shipped().providers.items() if record.forward}
    assert told == {"kimi": {"User-Agent": "user_agent"}, "xai": {"x-grok-conv-id": "conversation"}}


def test_facts_are_dated() -> None:
    records = [record for record in shipped().providers.values() if record.id != "custom"]
    for fact in (*shipped().families, *records, *(rule for record in records for rule in record.rules)):
        assert re.search(r"20\d\d", fact.source), fact.source


def test_others() -> None:
    _has("minimax", "MiniMax-M3", reasoning_param="minimax", reasoning_field="reasoning_details", tool_choice=("auto",))
    _has("minimax", "MiniMax-M3.1-Flash-Preview", reasoning_param="none", reasoning_field="reasoning_content")
    _has("custom", "MiniMax-M3", reasoning_field="think_tags", extra_body={})
    _has("gemini", "gemini-3.8-flash", json_schema="gemini", reasoning_field="extra_content", images="data")
    _has(
        "xai",
        "grok-4.7",
        efforts=("low", "medium", "high"),
        drop_params=("presence_penalty", "frequency_penalty", "stop"),
    )
    _has("xai", "grok-4.20-non-reasoning", reasoning_param="none")
    _has(
        "mimo", "mimo-v2.5-pro", assistant_content="empty", reasoning_missing="empty", reasoning_param="thinking+effort"
    )
    _has("qwen", "qwen3.8-max", reasoning_param="effort", efforts=("low", "medium", "xhigh"), reasoning_replay="never")
    _has("qwen", "glm-5.2", reasoning_param="enable_thinking", tool_choice=("auto",), extra_body={})
    _has("qwen", "qwen3.7-max", reasoning_param="enable_thinking", tool_choice_thinking=("auto", "none"))
    _has("azure", "gpt-5.5", max_tokens_field="max_completion_tokens", strict="keep", images="data+url")
    _has("custom", "gpt-5.5", efforts=("none", "low", "medium", "high", "xhigh"), reasoning_replay="never")
    _has("nvidia", "moonshotai/kimi-k2.6", reasoning_replay="never", parallel_tool_calls="omit", reasoning_param="none")
    _has("together", "Qwen/Qwen3.7-Max", reasoning_param="template_kwargs", reasoning_field="reasoning")


# --- the user's file


def test_merged_keeps_what_is_shipped_and_lays_the_users_over() -> None:
    user = read(
        json.dumps(
            {
                "families": [{"match": ["deepseek-*"], "dialect": {"reasoning_missing": "space"}}],
                "providers": [
                    {
                        "id": "deepseek",
                        "name": "DeepSeek behind our proxy",
                        "base_url": "https://proxy.example/v1",
                        "mapping": {"gpt-5.5": "deepseek-next"},
                        "models": [
                            {"id": "deepseek-next", "context_window": 2_000_000},
                            {"id": "deepseek-v4-pro", "context_window": 65_536},
                        ],
                        "dialect": {"idle_timeout_s": 60},
                        "rules": [{"match": ["deepseek-next"], "dialect": {"response_format": "schema"}}],
                    },
                    {"id": "house", "name": "House model", "base_url": "http://10.0.0.5/v1", "local": True},
                ],
            }
        ).encode(),
        "user.json",
    )
    base = shipped()
    both = merged(base, user)

    record, known = both.providers["deepseek"], base.providers["deepseek"]
    assert record.name == "DeepSeek behind our proxy"
    assert record.base_url == "https://proxy.example/v1"
    assert record.key_url == known.key_url
    assert record.default_model == known.default_model
    assert record.other_urls == known.other_urls
    assert record.mapping == {**known.mapping, "gpt-5.5": "deepseek-next"}
    assert [model.id for model in record.models] == ["deepseek-next", "deepseek-v4-pro", "deepseek-flash"]

    old = both.dialect("deepseek", "deepseek-v4-pro")
    assert (old.context_window, old.idle_timeout_s, old.default_output) == (65_536, 60, 65_536)
    assert (old.reasoning_missing, old.response_format) == ("space", "object")
    assert both.dialect("deepseek", "deepseek-next").response_format == "schema"

    assert both.providers["house"].local
    assert both.dialect("house", "anything").family == "house"
    assert both.dialect("house", "deepseek-v4").reasoning_missing == "space"
    assert tuple(both.providers) == (*IDS, "house")
    assert both.families[: len(base.families)] == base.families


def user_says(record: dict[str, Any], **more: Any) -> Catalogue:
    """The shipped catalogue with a record of the user's over it."""
    return merged(shipped(), read(json.dumps({"providers": [record], **more}).encode(), "user.json"))


def test_the_user_wins_over_families_hosts_and_models() -> None:
    mine = {"reasoning_missing": "space", "images": "data", "context_window": 9_000, "max_tokens_field": "max_tokens"}
    dialect = user_says({"id": "kimi", "dialect": mine}).dialect("kimi", "kimi-k3")
    assert {name: getattr(dialect, name) for name in mine} == mine
    assert dialect.json_schema == "mfjs"
    blind = user_says({"id": "zai", "dialect": {"images": "data"}}).dialect("zai", "glm-5.3")
    assert (blind.images, shipped().dialect("zai", "glm-5.3").images) == ("data", "none")
    of_family = {"families": [{"match": ["kimi-*"], "dialect": {"json_schema": "plain", "reasoning_missing": "omit"}}]}
    both = user_says({"id": "kimi", "dialect": {"reasoning_missing": "space"}}, **of_family)
    dialect = both.dialect("kimi", "kimi-k3")
    assert (dialect.json_schema, dialect.reasoning_missing) == ("plain", "space")
    assert both.dialect("together", "moonshotai/Kimi-K3").json_schema == "plain"


def test_a_rule_of_the_users_is_for_its_models_alone() -> None:
    both = user_says(
        {
            "id": "house",
            "base_url": "http://h/v1",
            "dialect": {"reasoning_param": "effort", "max_tools": 9},
            "rules": [{"match": ["deepseek-*"], "dialect": {"max_tools": 5}}],
        }
    )
    assert [both.dialect("house", model).max_tools for model in ("deepseek-v4", "other")] == [5, 9]
    assert both.dialect("house", "deepseek-v4").reasoning_param == "effort"


def test_on_the_other_wire_an_effort_is_said_and_no_field_of_a_chat() -> None:
    other = user_says({"id": "zai", "dialect": {"wire": "responses"}}).dialect("zai", "glm-5.2")
    assert (other.extra_body, other.reasoning_param) == ({}, "thinking+effort")
    plain = user_says({"id": "house", "base_url": "http://h/v1", "dialect": {"wire": "responses"}})
    assert plain.dialect("house", "m").reasoning_param == "effort"
    own = {"wire": "responses", "extra_body": {"a": 1}, "reasoning_param": "none"}
    mine = user_says({"id": "zai", "dialect": own}).dialect("zai", "glm-5.2")
    assert (list(mine.extra_body), mine.reasoning_param) == (["a"], "none")


def test_models_may_be_listed_at_another_address() -> None:
    records = shipped().providers
    assert records["github"].models_url == "https://models.github.ai/catalog/models"
    assert records["kimi"].models_url == "https://api.moonshot.ai/v1/models"
    here = user_says({"id": "mine", "base_url": "http://h/v1/", "models_path": "/list"}).providers["mine"]
    assert here.models_url == "http://h/v1/list"


def test_merging_changes_neither_side() -> None:
    before = dict(shipped().providers)
    user = Catalogue({"kimi": msgspec.structs.replace(before["kimi"], name="Mine")}, ())
    assert merged(shipped(), user).providers["kimi"].name == "Mine"
    assert shipped().providers == before


def test_every_wrong_dialect_field_is_named_with_its_path() -> None:
    text = json.dumps(
        {
            "families": [{"match": ["x-*"], "dialect": {"system": "tail", "famly": "x"}}],
            "providers": [
                {"id": "fine", "name": "Fine", "dialect": {"tool_id": "keep"}},
                {
                    "id": "mine",
                    "name": "Mine",
                    "dialect": {"max_output": "many"},
                    "rules": [
                        {"match": ["*"], "dialect": {}},
                        {"match": ["*"], "dialect": {"reasoning_replay": "sometimes"}},
                    ],
                },
            ],
        }
    )
    with pytest.raises(ConfigError) as caught:
        read(text.encode(), "~/.codex-nexus/providers.json")
    problems = caught.value.problems
    assert [problem.split(":")[0] for problem in problems] == [
        "families[0].dialect.system",
        "families[0].dialect.famly",
        "providers[1] (mine).dialect.max_output",
        "providers[1] (mine).rules[1].dialect.reasoning_replay",
    ]
    assert "tail" in problems[0]
    assert "famly" in problems[1]
    assert "~/.codex-nexus/providers.json has 4 problems" in str(caught.value)
    assert all(problem in str(caught.value) for problem in problems)


def test_every_wrong_shape_is_named_with_its_path() -> None:
    text = {
        "provider": [],
        "families": [{"match": "x-*", "dialect": {}}, 5],
        "providers": [
            {"name": "A", "base": ""},
            {
                "id": "mine",
                "local": "soap",
                "models": [{"id": 7, "price": [1]}, {}],
                "forward": {"X-Id": "secret"},
                "rules": [{"dialect": {"system": "tail"}}],
            },
            7,
        ],
    }
    with pytest.raises(ConfigError) as caught:
        read(json.dumps(text).encode(), "providers.json")
    assert [problem.split(":")[0] for problem in caught.value.problems] == [
        "provider",
        "families[0].match",
        "families[1]",
        "providers[0].base",
        "providers[0].id",
        "providers[1] (mine).local",
        "providers[1] (mine).models[0].id",
        "providers[1] (mine).models[0].price",
        "providers[1] (mine).models[1].id",
        "providers[1] (mine).forward.X-Id",
        "providers[1] (mine).rules[0].match",
        "providers[2]",
    ]
    assert "providers.json has 12 problems" in str(caught.value)
    assert "'secret' is none of user_agent, conversation." in str(caught.value)
    assert not [problem for problem in caught.value.problems if "`" in problem]


@pytest.mark.parametrize(
    ("record", "said"),
    [
        ({"base_url": "ftp://x"}, "base_url: 'ftp://x' does not begin with http:// or https://."),
        ({"auth": "basic"}, "auth: 'basic' is none of bearer, none, header:NAME."),
        ({"auth": "header:"}, "auth: behind 'header:' the name of the header is missing."),
    ],
)
def test_an_address_or_way_of_showing_the_key_that_cannot_work_is_told(record: dict[str, str], said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        read(json.dumps({"providers": [{"id": "a"} | record]}).encode(), "providers.json")
    assert caught.value.problems == [f"providers[0] (a).{said}"]


@pytest.mark.parametrize("text", ['{"providers": [', "", "x", "\xff"])
def test_a_file_that_is_no_json_is_said_to_be_none(text: str) -> None:
    with pytest.raises(ConfigError) as caught:
        read(text.encode("latin-1"), "providers.json")
    assert [problem.split(":")[0] for problem in caught.value.problems] == ["it is not JSON"]


@pytest.mark.parametrize("text", ["[]", "5", "null"])
def test_a_file_that_is_no_object_is_said_to_be_none(text: str) -> None:
    with pytest.raises(ConfigError) as caught:
        read(text.encode(), "providers.json")
    assert caught.value.problems[0].startswith("the file: expected an object, got ")


def test_an_empty_file_adds_nothing() -> None:
    nothing = read(b"{}", "user.json")
    both = merged(shipped(), nothing)
    assert both.providers == shipped().providers
    assert both.families == shipped().families


# --- no provider stands in code

PACKAGE = Path(codex_nexus.__file__).parent
NAMES = r"""
    deepseek kimi moonshot qwen dashscope alibaba aliyun bailian glm zhipu bigmodel zai minimax openrouter mistral groq
    x\.ai grok ollama lmstudio siliconflow volcengine bytedance doubao gemini fireworks cerebras nvidia azure vllm sglang
    llamacpp mimo xiaomi stepfun hunyuan tencent
"""
"""Not `xai`: keys begin with it, and what hides keys must know their shapes."""
BANNED = re.compile(rf"(?<![a-z])({'|'.join(NAMES.split())})(?![a-z])", re.IGNORECASE)
VOCABULARY = {word for hint in get_type_hints(Dialect).values() for word in get_args(hint) if isinstance(word, str)}
"""The forms of a dialect: two of them are called after the house that invented them."""
REPAIRS = {"schema_gemini"}
"""Names of repairs that bear such a word."""
WIRE_FIELDS = {"x_groq"}
"""Names of fields as they stand on the wire."""


def _sources() -> list[Path]:
    return sorted(
        path
        for path in PACKAGE.rglob("*.py")
        if path.relative_to(PACKAGE).parts[0] not in {"providers", "demo.py"}
    )  # fmt: skip


@pytest.mark.parametrize("path", _sources(), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_no_provider_is_named_in_code(path: Path) -> None:
    allowed = {"deepseek"} if path == PACKAGE / "config" / "model.py" else set()
    assert _named(path.read_text("utf-8"), allowed) == []


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("if host == 'api.moonshot.ai':\n    pass\n", [(1, "'api.moonshot.ai'")]),
        ("def for_qwen(): pass\n", [(1, "for_qwen")]),
        ("x = f'see {y} at ollama'\n", [(1, "ollama")]),
        ("'''Not DeepSeek.'''\nclass A:\n    '''Kimi.'''\n    b: int\n    '''GLM.'''\n# Groq\n", []),
        ("subset == 'gemini' and _GEMINI_REFUSES and chunk.x_groq\n", []),
        ("provider == 'gemini-3'\n", [(1, "'gemini-3'")]),
        ("glmnet = 'examine'\n", []),
    ],
)
def test_the_search_finds_names_but_no_comments_and_docstrings(source: str, found: list[tuple[int, str]]) -> None:
    hits = _named(source, set())
    assert [line for line, _ in hits] == [line for line, _ in found]
    assert all(word in text for (_, text), (_, word) in zip(hits, found, strict=True))


def _named(source: str, allowed: set[str]) -> list[tuple[int, str]]:
    """Line and text of every name and string literal of the source that names a provider."""
    documented = {
        line
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
        for line in range(node.lineno, (node.end_lineno or node.lineno) + 1)
    }
    texts = {tokenize.STRING, getattr(tokenize, "FSTRING_MIDDLE", -1)}
    hits: list[tuple[int, str]] = []
    for token in tokenize.generate_tokens(iter(source.splitlines(keepends=True)).__next__):
        words = {word.lower() for word in BANNED.findall(token.string)}
        if not words:
            continue
        if token.type == tokenize.NAME:
            wrong = token.string not in WIRE_FIELDS and bool(words - VOCABULARY)
        elif token.type in texts and token.start[0] not in documented:
            wrong = token.string.strip("rbuRBU'\"") not in VOCABULARY | REPAIRS | WIRE_FIELDS | allowed
        else:
            wrong = False
        if wrong:
            hits.append((token.start[0], token.string))
    return hits


def _text() -> str:
    return resources.files("codex_nexus.providers").joinpath("providers.json").read_text("utf-8")
