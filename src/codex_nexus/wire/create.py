"""The body of `POST /responses`: its fields, and what they may hold."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal, TypeVar, cast

import msgspec
from msgspec import Meta, Raw, Struct

from codex_nexus.errors import InvalidRequest, RequestError
from codex_nexus.wire import codec


class Reasoning(Struct):
    """How hard to think. Any effort passes: Codex sends whatever its user wrote."""

    effort: str | None = None
    summary: str | None = None
    generate_summary: str | None = None


class TextFormat(Struct):
    """The form of the answer's text."""

    type: Literal["text", "json_object", "json_schema"] = "text"
    name: Annotated[str, Meta(max_length=64)] | None = None
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
    max_tool_calls: Annotated[int, Meta(ge=1)] | None = None
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
    safety_identifier: Annotated[str, Meta(max_length=128)] | None = None
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
_MISSING = re.compile(r"missing required field `(?P<name>[^`]*)`")
_BOM = b"\xef\xbb\xbf"
T = TypeVar("T")


def decode_create(body: bytes, *, chained: bool = False, needs_model: bool = True) -> CreateResponse:
    """The request, checked field by field.

    Args:
        body: JSON.
        chained: the request may come without input: it only makes an id to build on.
        needs_model: it must name a model.

    Raises:
        RequestError: not JSON.
        InvalidRequest: a field has a wrong value; `param` names it.
    """
    request = decode_fields(body, _decoder)
    if needs_model and not request.model:
        raise missing("model")
    _check(request, chained=chained)
    return request


def decode_fields(body: bytes, decoder: msgspec.json.Decoder[T]) -> T:
    """The fields of any request body. A byte order mark and halves of emojis are no reason to refuse one.

    Raises:
        RequestError: not JSON.
        InvalidRequest: a field has a wrong type; `param` names it.
    """
    if not body:
        raise RequestError("The body is empty; it must be a JSON object.", code="invalid_json")
    body = body.removeprefix(_BOM)
    try:
        body.decode()
        return _decoded(body, decoder)
    except msgspec.ValidationError as error:
        raise invalid_field(error) from None
    except RecursionError:
        raise RequestError("The body is nested too deeply.", code="invalid_json") from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise RequestError(f"The body is not valid JSON: {error}.", code="invalid_json") from None


def _decoded(body: bytes, decoder: msgspec.json.Decoder[T]) -> T:
    try:
        return decoder.decode(body)
    except msgspec.ValidationError:
        raise
    except msgspec.DecodeError:
        mended = codec.mend_escapes(body)
        if mended is body:
            raise
        return decoder.decode(mended)


def invalid_field(error: msgspec.ValidationError, prefix: str = "") -> InvalidRequest:
    """The decoder's complaint as our error, with the field's path as `param`."""
    text = str(error)
    found = _AT.search(text)
    path = (found.group("path") if found else "").removeprefix("$").replace("[...]", "").lstrip(".")
    path = f"{prefix}{path if not prefix or path.startswith('[') or not path else '.' + path}"
    told = _AT.sub("", text)
    absent = _MISSING.search(told)
    if absent:
        return missing(f"{path}.{absent.group('name')}".lstrip("."))
    where = f" for '{path}'" if path else ""
    return InvalidRequest(f"Invalid value{where}: {told[0].lower()}{told[1:]}.", path or None, _code(told))


def _code(told: str) -> str:
    if " got " in told:
        return "invalid_type"
    if "of length <=" in told:
        return "string_above_max_length"
    if "`int` >=" in told:
        return "integer_below_min_value"
    return "integer_above_max_value" if "`int` <=" in told else "invalid_value"


def missing(param: str) -> InvalidRequest:
    """A field that must be there is not."""
    return InvalidRequest(f"Missing required parameter: '{param}'.", param, "missing_required_parameter")


def _check(request: CreateResponse, *, chained: bool) -> None:
    follows = chained or request.previous_response_id is not None or request.conversation is not None
    if not follows and (codec.is_null(request.input) or (_is_empty(request.input) and not request.instructions)):
        raise missing("input")
    if not codec.is_null(request.input) and bytes(memoryview(request.input)[:1]) not in b'"[':
        raise InvalidRequest("'input' must be a string or a list of items.", "input", "invalid_type")
    _check_state(request)
    _check_depth(request.tool_choice, "tool_choice")
    for name, why in _UNSUPPORTED.items():
        if getattr(request, name):
            raise InvalidRequest(f"'{name}' is not supported: {why}", name, "unsupported_parameter")
    _check_format(request.text.format if request.text else None)
    checked_metadata(request.metadata)


def _is_empty(given: Raw) -> bool:
    """Whether the input is a list without items."""
    return bytes(memoryview(given)[:64]).translate(None, b" \t\r\n") == b"[]"


def _check_state(request: CreateResponse) -> None:
    if request.conversation_id is not None and request.previous_response_id is not None:
        raise InvalidRequest("Give 'conversation' or 'previous_response_id', not both.", "conversation")
    if request.background and request.store is False:
        raise InvalidRequest("A background response must be stored: leave 'store' out.", "store")


_UNSUPPORTED = {
    "prompt": "stored prompts live at OpenAI; send 'instructions' and 'input'.",
    "moderation": "the provider offers no moderation here.",
}


def _check_depth(value: Any, where: str) -> None:
    if codec.is_deep(value):
        raise InvalidRequest(f"'{where}' is nested more than {codec.DEEPEST} levels deep.", where)


def _check_format(form: TextFormat | None) -> None:
    if form is None or form.type != "json_schema":
        return
    if not form.name:
        raise missing("text.format.name")
    if form.schema is None:
        raise missing("text.format.schema")
    if not isinstance(form.schema, dict):
        raise InvalidRequest("'text.format.schema' must be a JSON Schema object.", "text.format.schema", "invalid_type")
    _check_depth(cast("Any", form).schema, "text.format.schema")


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
        if len(key) > _METADATA_KEY:
            raise InvalidRequest(
                f"Keys of 'metadata' have at most {_METADATA_KEY} characters.", "metadata", "string_above_max_length"
            )
        if len(value) > _METADATA_VALUE:
            where = f"metadata.{key}"
            raise InvalidRequest(
                f"'{where}' may have at most {_METADATA_VALUE} characters.", where, "string_above_max_length"
            )
    return metadata
