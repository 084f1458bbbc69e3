"""Every repair end to end: a provider on a socket refuses in the words that were seen until the request is as it wants.

The second request must come through at once, because what helped is remembered.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest

from tests import vectors
from tests.gateway.conftest import Serve
from tests.upstream import Answer, Recorded, Upstream, finish, raw, sse, status, text
from tests.vectors import ErrorVector
from tests.worlds import providers

HELLO = sse([text("hi"), finish()])
VECTORS = {vector.name: vector for vector in vectors.errors()}
SENT = dict[str, Any]

USER = {"type": "message", "role": "user", "content": "Look."}
CALLED = [
    USER,
    {"type": "function_call", "call_id": "c1", "name": "look", "arguments": "{}"},
    {"type": "function_call_output", "call_id": "c1", "output": "ok"},
]
PICTURE = {"type": "input_image", "image_url": "data:image/png;base64,AAAA"}
TYPELESS = {"type": "object", "properties": {"x": {"description": "anything"}}}
LOOK = {"type": "function", "name": "look", "parameters": TYPELESS}


def calls(sent: SENT) -> list[SENT]:
    return [message for message in sent["messages"] if message.get("tool_calls")]


def lacks_reasoning(sent: SENT) -> bool:
    return any("reasoning_content" not in message for message in calls(sent))


def forces_a_tool(sent: SENT) -> bool:
    return sent.get("tool_choice", "auto") != "auto"


def has_a_late_system(sent: SENT) -> bool:
    return any(message["role"] == "system" for message in sent["messages"][1:])


def has_system(sent: SENT) -> bool:
    return any(message["role"] == "system" for message in sent["messages"])


def breaks_alternation(sent: SENT) -> bool:
    """As the templates of models without a role system say it: the user has every second turn, from the first on."""
    return any((message["role"] == "user") != (n % 2 == 0) for n, message in enumerate(sent["messages"]))


def has_typeless_properties(sent: SENT) -> bool:
    return any(
        "type" not in tool["function"]["parameters"]["properties"].get("x", {"type": 1}) for tool in sent["tools"]
    )


def says_no_json(sent: SENT) -> bool:
    return "response_format" in sent and "json" not in json.dumps(sent["messages"]).lower()


def has(name: str) -> Callable[[SENT], bool]:
    return lambda sent: name in sent


def asks_for_more_than(most: int) -> Callable[[SENT], bool]:
    return lambda sent: sent.get("max_tokens", 1 << 30) > most


def has_both_limits(sent: SENT) -> bool:
    return "max_tokens" in sent and "max_completion_tokens" in sent


def lacks_a_signature(sent: SENT) -> bool:
    return any("extra_content" not in message["tool_calls"][0] for message in calls(sent))


def shows_an_image(sent: SENT) -> bool:
    return "image_url" in json.dumps(sent)


def user_follows_tool(sent: SENT) -> bool:
    roles = [message["role"] for message in sent["messages"]]
    return ("tool", "user") in itertools.pairwise(roles)


def users_follow_each_other(sent: SENT) -> bool:
    roles = [message["role"] for message in sent["messages"]]
    return ("user", "user") in itertools.pairwise(roles)


@dataclass(frozen=True)
class Case:
    """A provider that refuses what `refuses` says with the reply of a vector (or a message of its own)."""

    said: str
    refuses: Callable[[SENT], bool]
    request: dict[str, Any]
    dialect: dict[str, Any] = field(default_factory=dict[str, Any])
    lasting: bool = True

    def refusal(self) -> Answer:
        vector = VECTORS.get(self.said)
        if vector is None:
            return status(400, {"error": {"message": self.said, "type": "invalid_request_error"}})
        return as_answer(vector)


def as_answer(vector: ErrorVector) -> Answer:
    return raw(vector.body, vector.headers.get("content-type", "application/json"), vector.status)


FORCED = {"input": [USER], "tools": [LOOK], "tool_choice": {"type": "function", "name": "look"}}
TOOLS = {"input": [USER], "tools": [LOOK]}
OLD_CALL = {"input": CALLED, "tools": [LOOK]}
LATE = {"input": [USER, {"type": "message", "role": "developer", "content": "Be brief."}, USER]}
TOLD = {"input": [USER], "instructions": "Be kind."}
SCHEMA = {"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"], "additionalProperties": False}
FORM = {"input": [USER], "text": {"format": {"type": "json_schema", "name": "n", "schema": SCHEMA}}}
LONG = {"input": [USER], "max_output_tokens": 50000}
SEEN = {"input": [{"type": "message", "role": "user", "content": [{"type": "input_text", "text": "?"}, PICTURE]}]}
EFFORT = {"input": [USER], "reasoning": {"effort": "xhigh"}}

CASES = {
    "reasoning, DeepSeek": Case("deepseek-reasoning-must-be-passed-back", lacks_reasoning, OLD_CALL),
    "reasoning, DeepSeek at an index": Case("deepseek-reasoning-missing-at-index", lacks_reasoning, OLD_CALL),
    "reasoning, Kimi": Case("kimi-reasoning-missing-in-call-message", lacks_reasoning, OLD_CALL),
    "reasoning, MiMo": Case("mimo-cause-in-param-behind-data-prefix", lacks_reasoning, OLD_CALL),
    "tool choice, DeepSeek": Case("deepseek-thinking-refuses-tool-choice", forces_a_tool, FORCED),
    "tool choice, Kimi": Case("kimi-required-incompatible-with-thinking", forces_a_tool, FORCED),
    "tool choice, DashScope": Case("dashscope-thinking-refuses-tool-choice", forces_a_tool, FORCED),
    "tool choice, LM Studio": Case("lmstudio-tool-choice-object", forces_a_tool, FORCED),
    "schema, Kimi": Case("kimi-schema-not-moonshot-flavored", has_typeless_properties, TOOLS),
    "schema, GLM": Case("glm-invalid-parameter-1210", has_typeless_properties, TOOLS),
    "word json": Case("dashscope-word-json-is-missing", says_no_json, FORM),
    "system, MiniMax": Case("minimax-refuses-role-system", has_a_late_system, LATE, {"system": "inline"}),
    "system, llama.cpp as 500": Case(
        "llamacpp-template-refuses-system-as-500", has_a_late_system, LATE, {"system": "inline"}
    ),
    "no system, Gemma": Case("System role not supported", has_system, LATE | TOLD),
    "no system, Mistral 7B": Case("Only user and assistant roles are supported!", has_system, TOLD),
    "no system, Google": Case(
        "Developer instruction is not enabled for models/gemma-3-27b-it", has_system, TOLD | {"input": "Look."}
    ),
    "no system, MiniMax": Case("minimax-refuses-role-system", has_system, LATE | TOLD),
    "no system, said as alternation": Case(
        "Conversation roles must alternate user/assistant/user/assistant/...", breaks_alternation, LATE | TOLD
    ),
    "ids, Mistral": Case(
        "mistral-tool-call-id-length", lambda sent: any(len(call["tool_calls"][0]["id"]) != 9 for call in calls(sent)),
        OLD_CALL,
    ),
    "ids, Claude": Case(
        "messages.1.content.0.tool_use.id: String should match pattern '^[a-zA-Z0-9_-]+$'",
        lambda sent: any("." in call["tool_calls"][0]["id"] for call in calls(sent)),
        {"input": json.loads(json.dumps(CALLED).replace("c1", "functions.look:1")), "tools": [LOOK]},
    ),
    "limit, Ark": Case("ark-max-tokens-above-maximum", asks_for_more_than(32768), LONG),
    "limit beside the prompt, vLLM": Case(
        "vllm-max-tokens-too-large-quotes-the-window", asks_for_more_than(6982), LONG, lasting=False
    ),
    "limit of credits, OpenRouter": Case(
        "openrouter-more-credits-or-fewer-tokens", asks_for_more_than(12000), {"input": [USER]}, lasting=False
    ),
    "two limits, Ark": Case(
        "ark-two-token-limits", has_both_limits, LONG,
        {"max_tokens_field": "max_completion_tokens", "extra_body": {"max_tokens": 9}},
    ),
    "another field for the limit": Case(
        "Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead.",
        has("max_tokens"), LONG,
    ),
    "extra field, Mistral": Case("mistral-extra-field", has("store"), TOOLS, {"extra_body": {"store": False}}),
    "unknown name, Gemini": Case("gemini-unknown-name", has("store"), TOOLS, {"extra_body": {"store": False}}),
    "Python repr, NIM": Case(
        "nim-extra-field-in-python-repr", has("prompt_cache_key"), TOOLS | {"prompt_cache_key": "k"},
        {"known_params": ["prompt_cache_key"]},
    ),
    "single calls, NIM": Case(
        "nim-single-tool-calls-only", has("parallel_tool_calls"), TOOLS | {"parallel_tool_calls": True},
        {"parallel_tool_calls": "send"},
    ),
    "stream options": Case("stream_options: Extra inputs are not permitted", has("stream_options"), TOOLS),
    "signature, Gemini": Case("gemini-thought-signature-missing", lacks_a_signature, OLD_CALL),
    "effort with levels": Case(
        "Unsupported value: 'reasoning_effort' does not support 'xhigh' with this model. Supported values are: 'low', "
        "'medium', and 'high'.",
        lambda sent: sent.get("reasoning_effort") not in ("low", "medium", "high"), EFFORT,
        {"reasoning_param": "effort"},
    ),
    "effort without levels": Case(
        "Invalid reasoning effort", has("reasoning_effort"), EFFORT, {"reasoning_param": "effort"}
    ),
    "images": Case("Model only support text input", shows_an_image, SEEN),
    "format beside tools": Case(
        "json mode cannot be combined with tool/function calling",
        lambda sent: "response_format" in sent and "tools" in sent, TOOLS | FORM,
    ),
    "weaker format": Case(
        "This response_format type is unavailable now",
        lambda sent: sent.get("response_format", {}).get("type") == "json_schema", FORM,
    ),
    "bridge, Mistral": Case(
        "Unexpected role 'user' after role 'tool'", user_follows_tool, {"input": [*CALLED, USER], "tools": [LOOK]}
    ),
    "alternation": Case("Conversation roles must alternate user/assistant/user/...", users_follow_each_other, LATE),
}  # fmt: skip


def house(upstream: Upstream, dialect: dict[str, Any]) -> Any:
    record = {"base_url": upstream.base_url, "local": True, "default_model": "big", "dialect": dialect}
    return providers(house=record)


def until_repaired(case: Case) -> Callable[[Recorded], Answer]:
    return lambda recorded: case.refusal() if case.refuses(recorded.json) else HELLO


@pytest.mark.parametrize("name", CASES)
async def test_a_refused_request_is_repaired_once_and_for_all(serve: Serve, upstream: Upstream, name: str) -> None:
    case = CASES[name]
    upstream.script(until_repaired(case))
    gateway = await serve(house(upstream, case.dialect), provider="house")
    story = await gateway.stream(**case.request)
    assert (story.status, story.text) == ("completed", "hi")
    assert [case.refuses(request.json) for request in upstream.requests] == [True, False]
    assert (await gateway.create(**case.request)).status == 200
    assert len(upstream.requests) == (3 if case.lasting else 4)
    assert bool(gateway.gateway.learned.repairs()) == case.lasting


@pytest.mark.parametrize("name", CASES)
async def test_a_refusal_that_stays_is_told_and_teaches_nothing(serve: Serve, upstream: Upstream, name: str) -> None:
    case = CASES[name]
    upstream.script(case.refusal())
    gateway = await serve(house(upstream, case.dialect), provider="house")
    assert (await gateway.create(**case.request)).status >= 400
    assert 2 <= len(upstream.requests) <= 3
    assert gateway.gateway.learned.repairs() == {}


# --- one refusal after another


async def test_a_repair_may_need_a_second_step(serve: Serve, upstream: Upstream) -> None:
    vector = VECTORS["deepseek-reasoning-must-be-passed-back"]

    def wants_some(recorded: Recorded) -> Answer:
        said = [message.get("reasoning_content") for message in calls(recorded.json)]
        return HELLO if all(said) else as_answer(vector)

    upstream.script(wants_some)
    gateway = await serve(house(upstream, {}), provider="house")
    assert (await gateway.create(**OLD_CALL)).status == 200
    assert len(upstream.requests) == 3
    assert (await gateway.create(**OLD_CALL)).status == 200
    assert len(upstream.requests) == 4


async def test_a_schema_that_is_refused_in_every_form_is_told_in_words(serve: Serve, upstream: Upstream) -> None:
    def refuses_look(recorded: Recorded) -> Answer:
        [look] = [tool for tool in recorded.json["tools"] if tool["function"]["name"] == "look"]
        if not look["function"]["parameters"]["properties"]:
            return HELLO
        return status(400, {"error": {"message": "Invalid schema for function 'look': 'x' is odd."}})

    upstream.script(refuses_look)
    gateway = await serve(house(upstream, {}), provider="house")
    other = {"type": "function", "name": "touch", "parameters": {"properties": {"y": {"type": "string"}}}}
    assert (await gateway.create(input=[USER], tools=[LOOK, other])).status == 200
    tools = {tool["function"]["name"]: tool["function"] for tool in upstream.requests[-1].json["tools"]}
    assert '"anything"' in tools["look"]["description"]
    assert tools["touch"]["parameters"]["properties"]
    assert len(upstream.requests) == 3


# --- a call that the server itself could not read

LOST = VECTORS["groq-tool-use-failed"]


async def test_a_call_that_the_server_could_not_read_is_asked_for_once_more(serve: Serve, upstream: Upstream) -> None:
    upstream.script(as_answer(LOST), HELLO)
    gateway = await serve(house(upstream, {}), provider="house")
    assert (await gateway.stream(**TOOLS)).text == "hi"
    assert upstream.requests[0].raw == upstream.requests[1].raw
    assert gateway.gateway.learned.repairs() == {}


@pytest.mark.parametrize("streamed", [True, False])
async def test_what_it_could_not_read_twice_is_told_as_text(serve: Serve, upstream: Upstream, streamed: bool) -> None:
    upstream.script(as_answer(LOST))
    gateway = await serve(house(upstream, {}), provider="house")
    said = json.loads(LOST.body)["error"]["failed_generation"]
    reply = await gateway.create(**TOOLS, stream=streamed)
    found = reply.story.text if streamed else reply.json["output"][0]["content"][0]["text"]
    assert found == said
    assert len(upstream.requests) == 2


async def test_a_text_that_is_a_call_becomes_one_where_that_is_asked_for(serve: Serve, upstream: Upstream) -> None:
    said = '<tool_call>{"name": "look", "arguments": {"x": 1}}</tool_call>'
    upstream.script(status(400, {"error": {"message": "m", "code": "tool_use_failed", "failed_generation": said}}))
    gateway = await serve(house(upstream, {"tool_text": "on"}), provider="house")
    assert [call.arguments for call in (await gateway.stream(**TOOLS)).calls] == ['{"x":1}']


async def test_chat_is_passed_through_with_its_own_refusal(serve: Serve, upstream: Upstream) -> None:
    upstream.script(as_answer(LOST))
    gateway = await serve(house(upstream, {}), provider="house")
    reply = await gateway.ask("POST", "/v1/chat/completions", {"model": "big", "messages": []})
    assert reply.status == 400


# --- lengths


async def test_a_silent_refusal_of_a_full_prompt_is_an_overflow(serve: Serve, upstream: Upstream) -> None:
    upstream.script(status(400, ""))
    gateway = await serve(house(upstream, {"context_window": 2000}), provider="house")
    assert (await gateway.create(input="word " * 1500)).error["code"] == "context_length_exceeded"
    assert (await gateway.create(input="word")).error["code"] is None


async def test_a_prompt_that_would_be_cut_in_silence_is_not_sent(serve: Serve, upstream: Upstream) -> None:
    upstream.script(HELLO)
    gateway = await serve(house(upstream, {"context_window": 2000, "silent_overflow": True}), provider="house")
    reply = await gateway.create(input="word " * 3000)
    assert (reply.status, reply.error["code"]) == (400, "context_length_exceeded")
    assert "2000" in reply.error["message"]
    assert upstream.requests == []
    assert (await gateway.create(input="word " * 1000)).status == 200


async def test_a_window_that_was_learned_keeps_no_prompt_from_its_server(serve: Serve, upstream: Upstream) -> None:
    refusal = "The model is loaded with context length of only 4096 tokens, trying to keep the first 9120 tokens"
    upstream.script(status(400, {"error": refusal}), HELLO)
    gateway = await serve(house(upstream, {"silent_overflow": True}), provider="house")
    long = "word " * 9000
    assert (await gateway.create(input=long)).error["code"] == "context_length_exceeded"
    assert gateway.gateway.learned.window("house/big") == 4096
    assert (await gateway.create(input=long)).status == 200


async def test_a_window_is_learned_of_the_provider_that_told_it(
    serve: Serve, upstream: Upstream, other_upstream: Upstream
) -> None:
    upstream.script(status(429, {"error": {"message": "slow down"}}))
    told = "This model's maximum context length is 8192 tokens. However, your messages resulted in 9000 tokens."
    other_upstream.script(status(400, {"error": {"message": told}}))
    known = providers(
        first={"base_url": upstream.base_url, "local": True, "default_model": "a"},
        second={"base_url": other_upstream.base_url, "local": True, "default_model": "b"},
    )
    fallbacks = [{"provider": "second", "model": "b"}]
    gateway = await serve(known, model_routes={"gpt-5": {"provider": "first", "model": "a", "fallbacks": fallbacks}})
    assert (await gateway.create()).error["code"] == "context_length_exceeded"
    learned = gateway.gateway.learned
    assert (learned.window("first/a"), learned.window("second/b")) == (None, 8192)
