"""The Responses request and the response resource."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Annotated, Any, Literal

import msgspec
from msgspec import UNSET, Meta, Raw, Struct, UnsetType

from codex_nexus.errors import InvalidRequest, RequestError
from codex_nexus.wire import codec
from codex_nexus.wire.items import OutputItem

ResponseStatus = Literal["queued", "in_progress", "completed", "incomplete", "failed", "cancelled"]


class Reasoning(Struct):
    """How hard to think. Any effort passes: Codex sends whatever its user wrote."""

    effort: str | None = None
    summary: str | None = None
    generate_summary: str | None = None


class TextFormat(Struct):
    """The form of the answer's text."""

    type: Literal["text", "json_object", "json_schema"] = "text"
    name: str | None = None
    schema: Any = None
    description: str | None = None
    strict: bool | None = None


class TextOptions(Struct):
    """Form and verbosity of the answer's text."""

    format: TextFormat | None = None
    verbosity: str | None = None


class ConversationRef(Struct):
    """Names a conversation."""

    id: str


class CreateResponse(Struct, kw_only=True):
    """The body of `POST /responses`; null always equals absent, unknown fields are ignored."""

    model: str | None = None
    input: Raw = Raw()
    instructions: str | None = None
    previous_response_id: str | None = None
    conversation: str | ConversationRef | None = None
    store: bool | None = None
    background: bool | None = None
    stream: bool | None = None
    include: list[str] | None = None
    tools: list[Raw] | None = None
    tool_choice: Any = None
    parallel_tool_calls: bool | None = None
    max_tool_calls: int | None = None
    temperature: Annotated[float, Meta(ge=0, le=2)] | None = None
    top_p: Annotated[float, Meta(ge=0, le=1)] | None = None
    presence_penalty: float | None = None
    frequency_penalty: float | None = None
    max_output_tokens: Annotated[int, Meta(ge=1)] | None = None
    top_logprobs: Annotated[int, Meta(ge=0, le=20)] | None = None
    text: TextOptions | None = None
    reasoning: Reasoning | None = None
    truncation: Literal["auto", "disabled"] | None = None
    metadata: dict[str, str] | None = None
    safety_identifier: str | None = None
    prompt_cache_key: str | None = None
    user: str | None = None
    prompt: Any = None
    moderation: Any = None

    @property
    def conversation_id(self) -> str | None:
        """The conversation that this goes on with, or None."""
        named = self.conversation
        return named.id if isinstance(named, ConversationRef) else named


_decoder = msgspec.json.Decoder(CreateResponse)
_AT = re.compile(r" - at `(?:key )?(?P<path>[^`]*)`")


def decode_create(body: bytes, *, chained: bool = False, needs_model: bool = True) -> CreateResponse:
    """The request, checked field by field.

    Args:
        body: JSON.
        chained: the request may come without input: it only makes an id to build on.
        needs_model: it must name a model.

    Raises:
        InvalidRequest: not JSON, or a field has a wrong value; `param` names it.
    """
    try:
        body.decode()
        request = _decoded(body)
    except msgspec.ValidationError as error:
        raise invalid_field(error) from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise RequestError(f"The body is not valid JSON: {error}.", code="invalid_json") from None
    if needs_model and not request.model:
        raise InvalidRequest("Missing required parameter: 'model'.", "model", "missing_required_parameter")
    _check(request, chained=chained)
    return request


def _decoded(body: bytes) -> CreateResponse:
    try:
        return _decoder.decode(body)
    except msgspec.ValidationError:
        raise
    except msgspec.DecodeError:
        mended = codec.mend_escapes(body)
        if mended is body:
            raise
        return _decoder.decode(mended)


def invalid_field(error: msgspec.ValidationError, prefix: str = "") -> InvalidRequest:
    """The decoder's complaint as our error, with the field's path as `param`."""
    text = str(error)
    found = _AT.search(text)
    path = (found.group("path") if found else "").removeprefix("$").lstrip(".")
    path = f"{prefix}{path if not prefix or path.startswith('[') or not path else '.' + path}"
    told = _AT.sub("", text)
    code = "invalid_type" if " got " in told else "integer_below_min_value" if "`int` >=" in told else "invalid_value"
    where = f" for '{path}'" if path else ""
    return InvalidRequest(f"Invalid value{where}: {told[0].lower()}{told[1:]}.", path or None, code)


def _check(request: CreateResponse, *, chained: bool) -> None:
    follows = chained or request.previous_response_id is not None or request.conversation is not None
    if codec.is_null(request.input) and not follows:
        raise InvalidRequest("Missing required parameter: 'input'.", "input", "missing_required_parameter")
    if not codec.is_null(request.input) and bytes(memoryview(request.input)[:1]) not in b'"[':
        raise InvalidRequest("'input' must be a string or a list of items.", "input", "invalid_type")
    _check_state(request)
    for name, why in _UNSUPPORTED.items():
        if getattr(request, name):
            raise InvalidRequest(f"'{name}' is not supported: {why}", name, "unsupported_parameter")
    _check_format(request.text.format if request.text else None)
    checked_metadata(request.metadata)


def _check_state(request: CreateResponse) -> None:
    if request.conversation_id is not None and request.previous_response_id is not None:
        raise InvalidRequest("Give 'conversation' or 'previous_response_id', not both.", "conversation")
    if request.background and request.store is False:
        raise InvalidRequest("A background response must be stored: leave 'store' out.", "store")


_UNSUPPORTED = {
    "prompt": "stored prompts live at OpenAI; send 'instructions' and 'input'.",
    "moderation": "the provider offers no moderation here.",
}


def _check_format(form: TextFormat | None) -> None:
    if form is None or form.type != "json_schema":
        return
    if not form.name:
        raise InvalidRequest(
            "Missing required parameter: 'text.format.name'.", "text.format.name", "missing_required_parameter"
        )
    if not isinstance(form.schema, dict):
        raise InvalidRequest("'text.format.schema' must be a JSON Schema object.", "text.format.schema", "invalid_type")


_METADATA_KEYS, _METADATA_KEY, _METADATA_VALUE = 16, 64, 512


def checked_metadata(given: dict[str, str] | None) -> dict[str, str]:
    """The metadata of a request, or none.

    Raises:
        InvalidRequest: it is too much.
    """
    metadata = given or {}
    if len(metadata) > _METADATA_KEYS:
        raise InvalidRequest(f"'metadata' may have at most {_METADATA_KEYS} keys.", "metadata")
    for key, value in metadata.items():
        if len(key) > _METADATA_KEY or len(value) > _METADATA_VALUE:
            raise InvalidRequest(
                f"'metadata' keys have at most {_METADATA_KEY} characters, values {_METADATA_VALUE}.", f"metadata.{key}"
            )
    return metadata


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
