"""Refusals in the wordings that were seen, several of each: the repair that each asks for, and the class it is of."""

from __future__ import annotations

import json

import pytest

from codex_nexus.translate.faults import classify
from codex_nexus.translate.heals import heal_of

REPAIRS: dict[str, list[str]] = {
    "replay_reasoning": [
        "The `reasoning_content` in the thinking mode must be passed back to the API.",
        "Missing `reasoning_content` field in the assistant message at message index 4",
        "thinking is enabled but reasoning_content is missing in assistant tool call message at index 3",
        "The `reasoning_text` in the thinking mode must be passed back to the API.",
        "messages[2].reasoning_content is required when thinking is enabled",
    ],
    "tool_choice_auto": [
        "Thinking mode does not support this tool_choice",
        "tool_choice 'required' is incompatible with thinking enabled",
        "The tool_choice parameter does not support being set to required or object in thinking mode",
        "Invalid tool_choice type: 'object'. Supported string values: none, auto, required",
        "tool_choice: only 'auto' is supported for this model",
        "Failed to deserialize the JSON body into the target type: tool_choice: expected one of `auto`, `none`",
        "tool_choice 'specified' is not supported",
    ],
    "system_head": [
        "Jinja Exception: System message must be at the beginning.",
        "invalid params, chat content has invalid message role: system (2013)",
        "System message must be first",
        "Only one system message is allowed, at the start",
        "Only user and assistant roles are supported, with the exception of an initial optional system message!",
    ],
    "no_system": [
        "System role not supported",
        'Jinja Exception: System role not supported at row 1, column 1: "{{ bos_token }}"',
        'Error rendering prompt with jinja template: "System role not supported".',
        "Only user and assistant roles are supported!",
        "Only user and model roles are supported!",
        "Only user, assistant and tool roles are supported!",
        "Developer instruction is not enabled for models/gemma-3-27b-it",
        "System instruction is not enabled for this model",
        "This model doesn't support system messages. Try again without a system message.",
        "Unsupported value: 'messages[0].role' does not support 'system' with this model.",
        "The model does not support system prompts.",
        "messages[0]: role 'system' is not allowed",
        "Unsupported role: system",
        'messages: Unexpected role "system". The Messages API accepts a top-level `system` parameter',
        "{'loc': ('body', 'messages', 0, 'role'), 'msg': \"Input should be 'user' or 'assistant'\", 'input': 'system'}",
        "messages[0].role must be one of user, assistant",
    ],
    "ids_of_nine": [
        "Tool call id was call_abc but must be a-z, A-Z, 0-9, with a length of 9.",
        "Tool call IDs should be alphanumeric strings with length 9!",
    ],
    "plain_ids": [
        "messages.1.content.0.tool_use.id: String should match pattern '^[a-zA-Z0-9_-]+$'",
        "messages.2.content.0.tool_result.tool_use_id: String should match pattern '^[a-zA-Z0-9_-]+$'",
        "Invalid 'messages[1].tool_calls[0].id': string too long. Expected a string with maximum length 40",
        "Invalid 'messages[2].tool_call_id': string too long. Expected a string with maximum length 64",
        "Value at 'toolUse.toolUseId' failed to satisfy constraint: Member must satisfy regular expression pattern: x",
    ],
    "add_json_word": [
        "'messages' must contain the word 'json' in some form, to use 'response_format' of type 'json_object'.",
        'Prompt must contain the word "json" to use json mode',
    ],
    "drop_field:parallel_tool_calls": [
        "This model only supports single tool-calls at once!",
        "'parallel_tool_calls' is not supported by this model.",
        "Unsupported parameter: 'parallel_tool_calls' is not supported with this model.",
        "property 'parallel_tool_calls' is unsupported",
        "Unknown parameter: 'parallel_tool_calls'.",
        'Invalid JSON payload received. Unknown name "parallel_tool_calls": Cannot find field.',
        "Extra inputs are not permitted, field: 'parallel_tool_calls', value: True",
        "[{'type': 'extra_forbidden', 'loc': ('body', 'parallel_tool_calls'), 'msg': 'Extra inputs are not permitted', 'input': True}]",
        "Unrecognized request argument supplied: parallel_tool_calls",
        "Unrecognized request arguments supplied: parallel_tool_calls, store",
        "unknown field `parallel_tool_calls`, expected one of `model`",
        "Additional properties are not allowed ('parallel_tool_calls' was unexpected)",
        "parallel_tool_calls: Extra inputs are not permitted",
        "The parameter 'parallel_tool_calls' is not supported",
        "This model does not support `parallel_tool_calls`",
        "Unexpected field: parallel_tool_calls",
        "body -> parallel_tool_calls: extra fields not permitted",
        "unexpected keyword argument 'parallel_tool_calls'",
        "parallel_tool_calls is not supported",
        "Unsupported value: 'parallel_tool_calls' does not support true with this model.",
    ],
    "dummy_signature": [
        "Function call is missing a thought_signature in functionCall parts. This is required",
    ],
    "one_max_tokens": [
        "max_tokens and max_completion_tokens cannot be set at the same time",
        "Only one of max_tokens and max_completion_tokens may be set",
        "Setting 'max_tokens' and 'max_completion_tokens' at the same time is not supported.",
    ],
    "use_field:max_completion_tokens": [
        "Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead.",
    ],
    "strip_images": [
        "Model only support text input",
        "image input is not supported - hint: if this is unexpected, you may need to provide the mmproj",
        "No endpoints found that support image input",
        "messages[1]: unknown variant `image_url`, expected `text`",
        "This model does not support images",
        "This model does not support image input.",
        "Invalid content type. image_url is only supported by certain models.",
        "The model is not a multimodal model",
        "image_url is not supported by this model",
        "unsupported content[].type: image_url",
        "At most 0 image(s) may be provided in one request.",
        "this model is missing data required for image input",
        "does not support vision",
    ],
    "effort:low,medium,high": [
        "`reasoning_effort` must be one of `low`, `medium` or `high`",
        "Unsupported value: 'reasoning_effort' does not support 'minimal' with this model. Supported values are: 'low', 'medium', and 'high'.",
        "Invalid value: 'xhigh'. Supported values are: 'low', 'medium', and 'high'. invalid_request_error reasoning_effort",
        "[{'type': 'literal_error', 'loc': ('body', 'reasoning_effort'), 'msg': \"Input should be 'low', 'medium' or 'high'\", 'input': 'xhigh'}]",
        "reasoning_effort: expected one of low, medium, high but got xhigh",
        "Invalid reasoning_effort 'xhigh'. Allowed values: low, medium, high",
        "reasoning effort 'xhigh' is not supported; use one of low, medium, high",
        "The value xhigh is not valid for reasoning.effort, allowed: low, medium, high",
        "Failed to deserialize the JSON body into the target type: reasoning_effort: unknown variant `xhigh`, expected one of `low`, `medium`, `high`",
    ],
    "effort": [
        "Invalid reasoning effort",
        '"llama3" does not support thinking',
    ],
    "drop_field:reasoning_content": [
        '[{"type": "extra_forbidden", "loc": ["body", "messages", 1, "assistant", "reasoning_content"], "msg": "Extra inputs are not permitted"}]',
        "Extra inputs are not permitted, field: 'messages[1].reasoning_content', value: 'x'",
        "property 'reasoning_content' is unsupported",
        "'messages.2' : for 'role:assistant' the following must be satisfied[('messages.2' : property 'reasoning_content' is unsupported)]",
    ],
    "schema_mfjs": [
        "Invalid request: tools.function.parameters is not a valid moonshot flavored json schema, details: <At path 'properties.x': references must start with #/$defs/>",
        'tools.function.parameters.type is required and must be "object"',
    ],
    "schema_mfjs:mcp__x__y": [
        "Invalid schema for function 'mcp__x__y': schema must be a JSON Schema of 'type: \"object\"', got 'type: \"None\"'.",
    ],
    "schema_gemini": [
        "Invalid JSON payload received. Unknown name \"$schema\" at 'tools[0].function_declarations[3].parameters': Cannot find field.",
    ],
    "weaker_format": [
        "This response_format type is unavailable now",
        "response_format.type: json_schema is not supported",
        "'json_schema' is not supported by this model",
    ],
    "no_format_with_tools": [
        "json mode cannot be combined with tool/function calling",
        "response_format cannot be used together with tools",
    ],
    "drop_field:stream_options": [
        "Unknown parameter: 'stream_options'",
        "stream_options: Extra inputs are not permitted",
    ],
    "drop_field:store": [
        '[{"type":"extra_forbidden","loc":["body","store"],"msg":"Extra inputs are not permitted"}]}',
    ],
    "drop_field:top_p": [
        "Model grok-4 does not support parameter top_p",
        "`top_p` is deprecated / unsupported parameter: top_p",
        "deepseek-reasoner does not support the parameter `top_p`",
    ],
    "thinking_on": [
        "Reasoning is mandatory for this endpoint and cannot be disabled",
        "thinking cannot be disabled for this model",
    ],
    "retry_once_then_text": [
        "Failed to call a function. tool_use_failed",
    ],
    "clamp_max_tokens:8192": [
        "max_tokens must be less than or equal to 8192",
        "Invalid max_tokens value, the valid range of max_tokens is [1, 8192]",
        "`max_tokens` must be between 1 and 8192",
        "max_tokens is greater than the model's maximum output tokens: 8192",
        "max_output_tokens: maximum value is 8192",
        "'max_tokens' exceeds the model limit of 8192, got 100000",
        "max_tokens exceeds the limit of 8192",
    ],
    "clamp_max_tokens:65536": [
        "<400> InternalError.Algo.InvalidParameter: Range of max_tokens should be [1, 65536]",
    ],
    "clamp_max_tokens:16384": [
        "max_tokens is too large: 100000. This model supports at most 16384 completion tokens, whereas you provided 100000.",
    ],
    "clamp_max_tokens:64000": [
        "max_tokens: 100000 > 64000, which is the maximum allowed number of output tokens for this model",
    ],
    "clamp_max_tokens:32768": [
        "The parameter `max_tokens` specified in the request is not valid: integer above maximum value, expected a value <= 32768, but got 50000 instead.",
        "max_completion_tokens (65536) exceeds the maximum of 32768",
    ],
    "clamp_max_tokens:4096": [
        "max_tokens cannot exceed 4096",
    ],
    "fit_max_tokens:6982": [
        "'max_tokens' or 'max_completion_tokens' is too large: 8192. This model's maximum context length is 8192 tokens and your request has 1210 input tokens (8192 > 8192 - 1210).",
    ],
    "fit_max_tokens:122880": [
        "This model's maximum context length is 131072 tokens. However, you requested 140210 tokens (8192 in the messages, 132018 in the completion). Please reduce the length of the messages or completion.",
    ],
    "fit_max_tokens:100000": [
        "input length and `max_tokens` exceed context limit: 100000 + 120000 > 200000, decrease input length or `max_tokens` and try again",
    ],
    "fit_max_tokens:120": [
        "This request requires fewer max_tokens. You can only afford 120",
    ],
    "clamp_max_tokens": [
        "max_tokens is too large",
        "The value of max_tokens is above what this model takes",
    ],
}
"""By repair: what servers say."""

OVERFLOWS = [
    "This model's maximum context length is 8192 tokens. However, your messages resulted in 9000 tokens.",
    "This model's maximum context length is 131072 tokens. However, you requested 140210 tokens (132018 in the messages, 8192 in the completion). Please reduce the length of the messages or completion.",
    "This endpoint's maximum context length is 262000 tokens. However, you requested about 263390 tokens (200000 of text input, 30000 of tool input, 33390 in the output). Please reduce the length of either one, or use the context-compression plugin",
    "Invalid request: Your request exceeded model token limit: 262144 (requested: 269030)",
    "<400> InternalError.Algo.InvalidParameter: Range of input length should be [1, 983616]",
    "invalid params, context window exceeds limit (2013)",
    "tokens in request more than max tokens allowed",
    "Prompt exceeds max length",
    "This model's maximum prompt length is 500000 but the request contains 907154 tokens.",
    "[input_too_large] Current message (600000 tokens) exceeds budget (500000 tokens)",
    "request (25837 tokens) exceeds the available context size (25088 tokens), try increasing it",
    "the request exceeds the available context size. try increasing the context size or enable context shift",
    "Context size has been exceeded.",
    "Trying to keep the first 9120 tokens when context the overflows. However, the model is loaded with context length of only 4096 tokens, which is not enough.",
    "The number of tokens to keep from the initial prompt is greater than the context length.",
    "the prompt is longer than the context length currently available to the model (9000 > 4096)",
    "Prompt contains 300000 tokens and 0 draft tokens, too large for model with 262144 maximum context length",
    "The input token count (1200000) exceeds the maximum number of tokens allowed (1048576).",
    "prompt is too long: 213462 tokens > 200000 maximum",
    "Input is too long for requested model.",
    "Your input exceeds the context window of this model. Please adjust your input and try again.",
    "prompt token count of 139712 exceeds the limit of 128000",
    "too many tokens: size limit exceeded",
    "token limit exceeded",
    "input length and `max_tokens` exceed context limit: 195000 + 20000 > 200000, decrease input length or `max_tokens` and try again",
    "Input validation error: `inputs` tokens + `max_new_tokens` must be <= 32769. Given: 32000 `inputs` tokens and 2000 `max_new_tokens`",
    "Please reduce the length of the messages or completion. Current length is 9000 while limit is 8192",
    "Requested token count exceeds the model's maximum context length of 131072 tokens. You requested a total of 140000 tokens",
    "The prompt length exceeds the model's context window",
    "ContextWindowExceededError: litellm",
    "输入过长，超过模型上下文长度限制",
    "Conversation is too long",
    "prompt_too_long",
    "The total length of input and max_tokens exceeds the context window of the model (131072)",
    "Input tokens exceed the configured limit of 272000 tokens. Your messages resulted in 300000 tokens.",
    "Request too long: context length 300000 is larger than the maximum of 262144",
    "Your conversation exceeds the model's context limit",
]

FINAL = [
    "registry.ollama.ai/library/gemma2:2b does not support tools",
    '"auto" tool choice requires --enable-auto-tool-choice and --tool-call-parser to be set',
    'No endpoints found that support tool use. Try disabling "shell".',
    "The model `x` does not exist",
    "Invalid request Error",
    "An assistant message with 'tool_calls' must be followed by tool messages responding to each 'tool_call_id'.",
    'The "function.arguments" parameter of the code model must be in JSON format.',
    "Unknown parameter: 'tools'",
    "image size exceeds the limit of 5 MB",
    "number of tools exceeds the limit of 128 tools",
    "Invalid image: could not decode",
    "Messages with role 'tool' must be a response to a preceding message with 'tool_calls'",
    "Unsupported model: x",
    "role must be one of: 'user', 'assistant', 'system'",
    "messages[1].role should be user or assistant, or system",
    "Invalid 'tools[0].function.name': string does not match pattern",
]
"""No repair helps, and no other class is meant."""

FORBIDDEN = {
    "context_length_exceeded": [
        "prompt + max_tokens exceeds the model's context",
        "The request's input tokens are too many for this model",
        "context length error",
    ],
    "auth": [
        "Your access tokens have no permission",
        "Kimi For Coding is currently only available for Coding Agents such as Kimi CLI",
        "Access denied",
        "token expired",
    ],
    "insufficient_quota": [
        "You've reached your usage limit for this billing cycle",
        "Sorry, your account balance is insufficient",
    ],
    "content_filter": [
        "Your input was flagged by moderation",
    ],
}
"""By class: what comes with 403."""


def kind_of(status: int, message: str) -> str:
    return classify(status, json.dumps({"error": {"message": message}}).encode()).kind


def several(said: dict[str, list[str]]) -> list[tuple[str, str]]:
    return [(key, words) for key, wordings in said.items() for words in wordings]


@pytest.mark.parametrize(("heal", "words"), several(REPAIRS))
def test_a_wording_names_its_repair(heal: str, words: str) -> None:
    assert heal_of(words) == heal
    assert kind_of(400, words) == "bad_request"


@pytest.mark.parametrize("words", OVERFLOWS)
@pytest.mark.parametrize("status", [400, 413, 500])
def test_a_prompt_that_is_too_long_is_known_and_not_healed(words: str, status: int) -> None:
    assert heal_of(words) is None
    assert kind_of(status, words) == "context_length_exceeded"


@pytest.mark.parametrize("words", FINAL)
def test_what_is_final_stays_final(words: str) -> None:
    assert (heal_of(words), kind_of(400, words)) == (None, "bad_request")


@pytest.mark.parametrize(("kind", "words"), several(FORBIDDEN))
def test_a_403_may_mean_many_things(kind: str, words: str) -> None:
    assert kind_of(403, words) == kind


@pytest.mark.parametrize("status", [401, 403, 429])
def test_who_may_not_enter_is_not_asked_in_other_words(status: int) -> None:
    fault = classify(status, b'{"error": "Unknown parameter: \'top_p\'"}')
    assert fault.heal is None
