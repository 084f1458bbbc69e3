"""The response resource, and what of the request it repeats."""

from __future__ import annotations

from functools import lru_cache
from typing import Any, Literal

from msgspec import UNSET, Raw, Struct, UnsetType

from codex_nexus.wire import codec
from codex_nexus.wire.create import ConversationRef, CreateResponse, Reasoning, TextFormat, TextOptions
from codex_nexus.wire.items import OutputItem

ResponseStatus = Literal["queued", "in_progress", "completed", "incomplete", "failed", "cancelled"]


class InputTokensDetails(Struct):
    """Both counts are required by clients once details are sent at all."""

    cached_tokens: int = 0
    cache_write_tokens: int = 0


class OutputTokensDetails(Struct):
    """Required by clients once details are sent at all."""

    reasoning_tokens: int = 0


class ResponseUsage(Struct):
    """Tokens of one response; cached is a part of input, reasoning a part of output."""

    input_tokens: int
    input_tokens_details: InputTokensDetails
    output_tokens: int
    output_tokens_details: OutputTokensDetails
    total_tokens: int


class ResponseFault(Struct):
    """Why a response failed."""

    code: str
    message: str


class IncompleteDetails(Struct):
    """Why a response is incomplete."""

    reason: Literal["max_output_tokens", "content_filter"]


class EchoedReasoning(Struct):
    """What was asked."""

    effort: str | None = None
    summary: str | None = None


class Response(Struct, kw_only=True):
    """The response resource, with every field that the OpenAI SDK or the Open Responses schema requires."""

    id: str
    object: Literal["response"] = "response"
    created_at: int
    completed_at: int | None = None
    status: ResponseStatus
    background: bool = False
    conversation: ConversationRef | UnsetType = UNSET
    error: ResponseFault | None = None
    incomplete_details: IncompleteDetails | None = None
    instructions: str | None = None
    max_output_tokens: int | None = None
    max_tool_calls: int | None = None
    model: str
    output: list[OutputItem] = []
    parallel_tool_calls: bool = True
    previous_response_id: str | None = None
    prompt_cache_key: str | None = None
    reasoning: EchoedReasoning
    safety_identifier: str | None = None
    service_tier: str = "default"
    store: bool
    temperature: float = 1.0
    top_p: float = 1.0
    presence_penalty: float = 0.0
    frequency_penalty: float = 0.0
    top_logprobs: int = 0
    text: Any
    tool_choice: Any = "auto"
    tools: list[Raw] = []
    truncation: str = "disabled"
    usage: ResponseUsage | None = None
    metadata: dict[str, str] = {}


def echoed(request: CreateResponse, response_id: str, now: int) -> Response:
    """The resource as it stands when the work begins: everything that was asked, nothing answered."""
    text = request.text or TextOptions()
    reasoning = request.reasoning or Reasoning()
    return Response(
        id=response_id,
        created_at=now,
        status="in_progress",
        background=request.background is True,
        conversation=UNSET if request.conversation_id is None else ConversationRef(request.conversation_id),
        instructions=request.instructions,
        max_output_tokens=request.max_output_tokens,
        max_tool_calls=request.max_tool_calls,
        model=request.model or "",
        parallel_tool_calls=request.parallel_tool_calls is not False,
        previous_response_id=request.previous_response_id,
        prompt_cache_key=request.prompt_cache_key,
        reasoning=EchoedReasoning(reasoning.effort, reasoning.summary or reasoning.generate_summary),
        safety_identifier=request.safety_identifier,
        store=request.store is not False,
        temperature=1.0 if request.temperature is None else request.temperature,
        top_p=1.0 if request.top_p is None else request.top_p,
        presence_penalty=request.presence_penalty or 0.0,
        frequency_penalty=request.frequency_penalty or 0.0,
        top_logprobs=request.top_logprobs or 0,
        text=_echoed_text(text),
        tool_choice="auto" if request.tool_choice is None else request.tool_choice,
        tools=[_echoed_tool(bytes(tool)) for tool in request.tools or []],
        truncation=request.truncation or "disabled",
        metadata=request.metadata or {},
    )


def _echoed_text(text: TextOptions) -> dict[str, Any]:
    form = text.format or TextFormat()
    echo: dict[str, Any] = {"format": {"type": form.type}}
    if form.type == "json_schema":
        echo["format"] |= {
            "name": form.name,
            "schema": form.schema,
            "description": form.description,
            "strict": bool(form.strict),
        }
    return echo | ({"verbosity": text.verbosity} if text.verbosity else {})


@lru_cache(maxsize=512)
def _echoed_tool(tool: bytes) -> Raw:
    """A tool as it was sent; for functions, with the keys that schemas require of an echo."""
    fields = codec.as_object(codec.decode_any(tool))
    if fields is None or fields.get("type") != "function":
        return Raw(tool)
    return Raw(codec.encode({"description": None, "parameters": None, "strict": None} | fields))
