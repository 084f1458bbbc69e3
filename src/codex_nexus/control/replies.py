"""JSON replies of the panel's port and the one error envelope."""

from __future__ import annotations

from typing import Any, cast

from aiohttp import web
from msgspec import Struct

from codex_nexus.errors import InvalidRequest, NexusError, RequestError
from codex_nexus.wire import codec


def reply(value: Any, status: int = 200, headers: dict[str, str] | None = None) -> web.Response:
    """A value as JSON."""
    return web.Response(
        status=status, body=codec.encode_any(value), content_type="application/json", headers=headers or {}
    )


def error_reply(error: NexusError, **beside: Struct) -> web.Response:
    """The reply to an error, in OpenAI's envelope, and what is told beside it."""
    body = {"error": {"message": error.message, "type": error.type, "param": error.param, "code": error.code}}
    return reply(body | beside, error.status, error.headers)


def problems_reply(problems: list[str]) -> web.Response:
    """The reply to a configuration with problems: each with its path."""
    told = [_problem(problem) for problem in problems]
    count = f"{len(problems)} value{'s are' if len(problems) > 1 else ' is'} not right. Nothing was saved."
    error = {"message": count, "type": "invalid_request_error", "param": told[0]["path"], "code": "invalid_config"}
    return reply({"error": error, "problems": told}, 422)


def _problem(problem: str) -> dict[str, str]:
    path, colon, message = problem.partition(": ")
    return {"path": path if colon else "", "message": message or problem}


async def json_body(request: web.Request) -> dict[str, Any]:
    """The body as a JSON object.

    Raises:
        RequestError: it is none.
    """
    data = await request.read()
    try:
        value = codec.decode_any(data or b"{}")
    except ValueError as error:
        raise RequestError(f"The body is no valid JSON: {error}.", code="invalid_json") from None
    fields = codec.as_object(value)
    if fields is None:
        raise RequestError("The body must be a JSON object.", code="invalid_json")
    return fields


def text_of(fields: dict[str, Any], name: str, *, required: bool = False) -> str:
    """A text of the body; empty when it is absent.

    Raises:
        InvalidRequest: it is no text, or required and absent.
    """
    value = fields.get(name)
    if value is None and not required:
        return ""
    if not isinstance(value, str) or (required and not value.strip()):
        raise InvalidRequest(f"'{name}' must be a text.", name)
    return value


def object_of(fields: dict[str, Any], name: str) -> dict[str, Any]:
    """An object of the body.

    Raises:
        InvalidRequest: it is none.
    """
    value = fields.get(name)
    if not isinstance(value, dict):
        raise InvalidRequest(f"'{name}' must be an object.", name)
    return cast("dict[str, Any]", value)
