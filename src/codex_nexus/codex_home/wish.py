"""What the gateway wants from Codex's configuration, and the names that never change."""

from __future__ import annotations

import json
import re

from msgspec import Struct

from codex_nexus.errors import NexusError

PROVIDER = "codex-nexus"
"""Codex groups a user's threads by this id: another one would make them vanish from the history."""
NAME = "Codex Nexus"
PROFILE = "nexus"
_TOKENS = re.compile(r'(experimental_bearer_token["\']?\s*=\s*|"OPENAI_API_KEY":\s*)("[^"]*"|\'[^\']*\')')


class Wish(Struct, frozen=True, kw_only=True):
    """The content of our part.

    Attributes:
        address: of the gateway, such as `http://127.0.0.1:5800`.
        token: the local access token; never a provider's key.
        model: what a default or a profile asks for; empty: what Codex chooses from our catalogue.
        switch_default: the gateway becomes Codex's default provider.
        insist: switch even when the user switched back by hand.
        auth_json: write auth.json when there is none.
    """

    address: str
    token: str
    model: str = ""
    switch_default: bool = False
    insist: bool = False
    auth_json: bool = False
    request_max_retries: int = 1
    stream_max_retries: int = 5
    stream_idle_timeout_ms: int = 300_000

    def fixed(self) -> dict[str, str]:
        """Keys of the provider that must have these values."""
        return {
            "name": NAME,
            "base_url": f"{self.address}/v1",
            "model_catalog_url": f"{self.address}/v1/models",
            "experimental_bearer_token": self.token,
            "wire_api": "responses",
        }

    def tunable(self) -> dict[str, int]:
        """Keys of the provider that the user may set otherwise."""
        return {
            "request_max_retries": self.request_max_retries,
            "stream_max_retries": self.stream_max_retries,
            "stream_idle_timeout_ms": self.stream_idle_timeout_ms,
        }


class Refused(NexusError):
    """A text that is not touched, and why. The message begins where a file's name would end."""

    status = 400


def quoted(value: str | int) -> str:
    """A text or number as TOML writes it; JSON's way is TOML's way, but for DEL."""
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")


def masked(text: str) -> str:
    """A text to be shown, without tokens."""
    return _TOKENS.sub(r'\1"***"', text)
