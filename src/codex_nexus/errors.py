"""Everything that can go wrong, as types that say who is wrong; how each is shown to a client stands elsewhere."""

from __future__ import annotations


class NexusError(Exception):
    """Base of all errors with a sentence for a person.

    Attributes:
        status: HTTP status of the reply.
        type: the `error.type` of OpenAI's envelope.
        code: the `error.code`, or None.
        param: the request field that is wrong, such as `input[0].content`, or None.
        message: one or two sentences: what happened, where, what to do. Never holds a secret.
        headers: extra reply headers, such as `retry-after`.
    """

    status = 500
    type = "server_error"

    def __init__(
        self,
        message: str,
        *,
        status: int | None = None,
        type: str | None = None,  # noqa: A002 - the field's name in OpenAI's envelope
        code: str | None = None,
        param: str | None = None,
        headers: dict[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.status = self.status if status is None else status
        self.type = self.type if type is None else type
        self.code = code
        self.param = param
        self.headers = headers or {}


class RequestError(NexusError):
    """The client is wrong."""

    status = 400
    type = "invalid_request_error"


class InvalidRequest(RequestError):
    """A field of the request has a wrong value; `param` names it."""

    def __init__(self, message: str, param: str | None = None, code: str | None = "invalid_value") -> None:
        super().__init__(message, param=param, code=code)


class RequestTooLarge(RequestError):
    """The body is larger than the configured limit."""

    status = 413


class NotFound(RequestError):
    """There is no such path, response or model."""

    status = 404


class ResponseNotFound(RequestError):
    """`previous_response_id` names a response that is not stored, or not for this caller."""

    def __init__(self, response_id: str) -> None:
        super().__init__(
            f"Previous response with id '{response_id}' not found.",
            code="previous_response_not_found",
            param="previous_response_id",
        )


class Forbidden(RequestError):
    """The caller may not do this."""

    status = 403
    type = "permission_error"


class Unauthorized(RequestError):
    """The caller must say who they are."""

    status = 401
    type = "authentication_error"


class RouteError(NexusError):
    """The configuration cannot serve this request; the user can mend it."""

    status = 400
    type = "invalid_request_error"


class NoRoute(RouteError):
    """No provider serves this model."""

    status = 404

    def __init__(self, message: str) -> None:
        super().__init__(message, code="model_not_found", param="model")


class NoKey(RouteError):
    """The provider needs a key and there is none that may be used."""

    status = 401
    type = "authentication_error"

    def __init__(self, message: str) -> None:
        super().__init__(message, code="invalid_api_key")


class ConfigError(NexusError):
    """Files of the user that cannot be used. Holds every problem, not the first.

    Attributes:
        problems: sentences, each beginning with the path of the field.
    """

    def __init__(self, source: str, problems: list[str]) -> None:
        self.source = source
        self.problems = problems
        lines = "".join(f"\n  - {problem}" for problem in problems)
        super().__init__(f"{source} has {len(problems)} problem{'s' if len(problems) != 1 else ''}:{lines}")


class Misuse(NexusError):
    """The command line asks for what cannot be; nothing was done."""


class StoreError(NexusError):
    """The session store cannot read or write. A turn goes on without it."""
