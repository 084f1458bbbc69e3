"""Texts without keys: the last net for everything that a person may read or pass on, under the care taken elsewhere."""

from __future__ import annotations

import re

from codex_nexus.translate import faults

_OURS = re.compile(r"\bnexus-[\w-]{16,}|\beyJ[\w-]{8,2048}\.[\w-]{8,}\.[\w-]*")
"""Our own access tokens, and what a login hands out."""
_NAMED = re.compile(
    r"""((?:\b(?:x-)?(?:goog-)?api[-_]?key|\bauthorization|\b(?:set-)?cookie|\bpassword"""
    r"""|[?&](?:key|token|access_token|sig))\\*['"]?\s*[:=]\s*\\*['"]?(?:Basic\s+)?)[^\s'"&,;)}\]\\]{6,}""",
    re.IGNORECASE,
)
"""What stands behind the name of a secret, in a header, a URL or a body."""


def without_keys(text: str, *secrets: str) -> str:
    """The text without these secrets (longest first) and without anything that looks like a key, token or password."""
    return _OURS.sub("***", _NAMED.sub(r"\1***", faults.masked(text, *secrets)))
