"""How a provider speaks for a model, once everything that is known was put together."""

from __future__ import annotations

import re
from typing import Any

import msgspec

from codex_nexus.providers.catalogue import shipped
from codex_nexus.translate.dialect import EFFORTS


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
    for model in ("MiniMax-M2.7", "grok-4.20-non-reasoning", "gpt-4.1"):
        _has("custom", model, reasoning_param="none")
    _has("gemini", "gemini-2.5-flash", efforts=("none", "low", "medium", "high"), thinking_off="allowed")
    _has("gemini", "gemini-2.5-pro", efforts=("low", "medium", "high"), thinking_off="refused")
    _has("custom", "gpt-5.5", efforts=("none", "low", "medium", "high", "xhigh"), reasoning_replay="never")
    _has("nvidia", "moonshotai/kimi-k2.6", reasoning_replay="never", parallel_tool_calls="omit", reasoning_param="none")
    _has("together", "Qwen/Qwen3.7-Max", reasoning_param="template_kwargs", reasoning_field="reasoning")
