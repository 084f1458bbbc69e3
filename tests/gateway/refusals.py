"""Refusals of every kind with how they are told, and configurations with several keys or a fallback."""

from __future__ import annotations

import socket
from collections.abc import Callable
from typing import Any

from tests.serving import Reply
from tests.upstream import Answer, Recorded, Upstream, finish, sse, status, text, usage
from tests.worlds import providers

HELLO = sse([text("hi"), finish(), usage()])
QUOTA = "You exceeded your current quota, please check your plan and billing details."
OVERFLOW = "This model's maximum context length is 8192 tokens. However, your messages resulted in 9000 tokens."


def error(message: str, **fields: Any) -> dict[str, Any]:
    """OpenAI's envelope."""
    return {"error": {"message": message, **fields}}


# --- (the answer, what a plain client is told, what Codex is told)

Told = tuple[int, str, str | None]
SERVER_TO_CODEX: Told = (503, "service_unavailable_error", "server_error")
FINAL_TO_CODEX: Told = (400, "invalid_request_error", "invalid_prompt")
OVERFLOWN: Told = (400, "invalid_request_error", "context_length_exceeded")
NO_QUOTA: Told = (429, "insufficient_quota", "insufficient_quota")
NO_QUOTA_TO_CODEX: Told = (400, "insufficient_quota", "invalid_prompt")
TOO_FAST: Told = (429, "rate_limit_error", "rate_limit_exceeded")

REFUSALS: dict[str, tuple[Answer, str, Told, Told]] = {
    "400": (
        status(400, error("no such role", code="invalid_value")),
        "no such role (400)",
        (400, "invalid_request_error", "invalid_value"),
        FINAL_TO_CODEX,
    ),
    "400 without a code": (
        status(400, error("no such role")),
        "no such role (400)",
        (400, "invalid_request_error", None),
        FINAL_TO_CODEX,
    ),
    "400 too long": (status(400, error(OVERFLOW)), OVERFLOW, OVERFLOWN, OVERFLOWN),
    "401": (
        status(401, error("no such key", code="invalid_api_key")),
        "no such key (401). Check the key: 'api_key' in config.json.",
        (401, "authentication_error", "invalid_api_key"),
        FINAL_TO_CODEX,
    ),
    "402": (
        status(402, {"detail": "Insufficient Balance"}),
        "Insufficient Balance (402)",
        (402, "insufficient_quota", "insufficient_quota"),
        NO_QUOTA_TO_CODEX,
    ),
    "403": (
        status(403, {"message": "not for you"}),
        "not for you (403)",
        (403, "permission_error", "invalid_api_key"),
        FINAL_TO_CODEX,
    ),
    "404": (
        status(404, error("The model `x` does not exist", code="model_not_found")),
        "The model `x` does not exist (404)",
        (404, "invalid_request_error", "model_not_found"),
        FINAL_TO_CODEX,
    ),
    "404 of no API": (
        status(404, {"status": 404, "error": "Not Found", "path": "/v4/v1/chat/completions"}),
        "Not Found (404). Nothing is served at http://127.0.0.1:",
        (404, "invalid_request_error", None),
        FINAL_TO_CODEX,
    ),
    "400 with its status as a code": (
        status(400, error("no such role", code=400)),
        "no such role (400)",
        (400, "invalid_request_error", None),
        FINAL_TO_CODEX,
    ),
    "413": (
        status(413, error("body of 70000000 bytes")),
        "body of 70000000 bytes (413)",
        (413, "invalid_request_error", None),
        FINAL_TO_CODEX,
    ),
    "422": (
        status(422, {"detail": [{"loc": ["body", "n"], "msg": "too much"}]}),
        "too much",
        (422, "invalid_request_error", None),
        FINAL_TO_CODEX,
    ),
    "429": (status(429, error("slow down")), "slow down (429)", TOO_FAST, TOO_FAST),
    "429 no quota": (status(429, error(QUOTA)), QUOTA, NO_QUOTA, NO_QUOTA_TO_CODEX),
    "500": (status(500, error("boom")), "boom (500)", (500, "server_error", "server_error"), SERVER_TO_CODEX),
    "500 too long": (status(500, error(OVERFLOW)), OVERFLOW, OVERFLOWN, OVERFLOWN),
    "502 in HTML": (
        status(502, "<html><body><h1>502 Bad Gateway</h1></body></html>", {"Content-Type": "text/html"}),
        "Bad Gateway (502)",
        (502, "server_error", "server_error"),
        SERVER_TO_CODEX,
    ),
    "503": (
        status(503, {"error": "no capacity"}),
        "no capacity (503)",
        (503, "server_error", "server_error"),
        SERVER_TO_CODEX,
    ),
    "504": (status(504, ""), "Gateway Timeout (504)", (504, "server_error", "timeout"), SERVER_TO_CODEX),
    "529": (
        status(529, error("overloaded")),
        "overloaded (529)",
        (529, "server_error", "server_error"),
        SERVER_TO_CODEX,
    ),
    "200 with an error": (
        status(200, error("internal trouble")),
        "internal trouble (200)",
        (502, "server_error", "server_error"),
        SERVER_TO_CODEX,
    ),
}


def told(reply: Reply) -> Told:
    """How a refusal reached the client."""
    return reply.status, reply.error["type"], reply.error["code"]


# --- providers with several keys, or with another one behind them


def by_key(answers: dict[str, Answer]) -> Callable[[Recorded], Answer]:
    """Answers by the key that was shown."""
    return lambda request: answers[request.headers["authorization"].removeprefix("Bearer ")]


def shown(upstream: Upstream) -> list[str]:
    """The keys that were shown, in order."""
    return [request.headers["authorization"].removeprefix("Bearer ") for request in upstream.requests]


def pool(upstream: Upstream, *keys: str) -> dict[str, Any]:
    """A configuration whose provider has these keys."""
    known = providers(house={"base_url": upstream.base_url, "default_model": "m"})
    return {"known": known, "provider": "house", "provider_api_keys": {"house": list(keys)}, "api_key": ""}


def fallback(first: Upstream, second: Upstream) -> dict[str, Any]:
    """A route with a second provider behind the first."""
    return {
        "known": providers(first={"base_url": first.base_url}, second={"base_url": second.base_url}),
        "provider": "first",
        "api_key": "",
        "provider_api_keys": {"first": "key-of-first", "second": "key-of-second"},
        "model_routes": {
            "gpt-5": {"provider": "first", "model": "a", "fallbacks": [{"provider": "second", "model": "b"}]}
        },
    }


def unused_port() -> int:
    """A port on which nobody listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
