"""What a person can do about a refusal where the provider's own words do not say it: whose key it was, which address.

The provider's words stay as they are; this is the sentence behind them.
"""

from __future__ import annotations

import re

from yarl import URL

from codex_nexus.routing import Destination
from codex_nexus.snapshot import Snapshot
from codex_nexus.translate.faults import Fault

_NO_SUCH_PATH = (404, 405)
_ELSEWHERE = (301, 302, 303, 307, 308)
_FORBIDDEN = 403
_NAMES_ITS_CAUSE = re.compile(r"model|endpoint|deployment|function|模型", re.IGNORECASE)


def advice(fault: Fault, destination: Destination, snapshot: Snapshot, url: URL, *, location: str = "") -> str:
    """The sentence, or empty.

    Args:
        fault: the refusal; its message is still the provider's.
        destination: who refused.
        snapshot: tells where the key came from.
        url: what was asked.
        location: where it sends who asks, if anywhere.
    """
    if fault.kind == "auth" and fault.status != _FORBIDDEN:  # 403 is of plans and regions; the key itself is good
        return f"Check the key: {_origin(destination, snapshot)}."
    if fault.status in _ELSEWHERE and location:
        return f"It points to {_shown(url, location)}, and is not followed there: check the address of the provider."
    if fault.status in _NO_SUCH_PATH and not _NAMES_ITS_CAUSE.search(fault.message):
        return f"Nothing is served at {shown_address(url)}: check the address of the provider."
    return ""


def shown_address(url: URL) -> URL:
    """The address as it may be shown: its query or user may be a key."""
    return url.with_query(None).with_fragment(None).with_user(None)


def _shown(url: URL, location: str) -> str:
    try:
        return str(shown_address(url.join(URL(location))))
    except ValueError:
        return "an address that is none"


def _origin(destination: Destination, snapshot: Snapshot) -> str:
    provider, keys = destination.provider.id, destination.keys
    if not any(keys):
        return f"none is set in 'provider_api_keys.{provider}'"
    if keys == snapshot.keys.get(provider):
        references = [key.reference for key in snapshot.config.provider_api_keys.get(provider, ()) if key.reference]
        return " ".join([f"'provider_api_keys.{provider}' in config.json", *(f"({name})" for name in references)])
    if keys == (snapshot.shared_key,):
        return "'api_key' in config.json"
    for name, key in snapshot.route_keys.items():
        if keys == (key,):
            return f"'model_routes.{name}.api_key' in config.json"
    return "the one that came with the request"
