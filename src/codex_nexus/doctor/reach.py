"""The first knock at a provider's door: its model list, which costs nothing."""

from __future__ import annotations

import asyncio
import contextlib
import time
from email.utils import parsedate_to_datetime
from typing import Any

import aiohttp
from msgspec import Struct

from codex_nexus.doctor.finding import Finding, fault, ok, warning
from codex_nexus.doctor.keys import another_key
from codex_nexus.doctor.laboratory import Laboratory
from codex_nexus.doctor.scene import Scene
from codex_nexus.gateway.connections import proxy_of
from codex_nexus.gateway.exchange import headers_for
from codex_nexus.gateway.replies import UpstreamError
from codex_nexus.providers.catalogue import ProviderRecord

_PATIENCE_S = 10.0
_LARGEST = 32 << 20


class Reply(Struct, frozen=True):
    """What came back.

    Attributes:
        status: 0 when nobody answered; then `failure` says why and `cure` what to do.
        skew: seconds by which the other clock is ahead of ours.
    """

    record: ProviderRecord
    status: int = 0
    body: bytes = b""
    skew: float | None = None
    failure: str = ""
    cure: str = ""

    def findings(self, scene: Scene) -> list[Finding]:
        """What it says of the address and the key."""
        check, name, url = f"provider.{self.record.id}.reach", self.record.name, self.record.base_url
        key = "custom_upstream" if self.record.id == "custom" else f"provider_addresses.{self.record.id}"
        place = f"Check the address: '{key}' in {scene.file}, or 'base_url' in providers.json."
        if self.failure:
            return [fault(check, f"{name} cannot be reached at {url}: {self.failure}.", self.cure)]
        if self.status in (401, 403):
            sentence = f"{name} does not accept the key ({self.status})."
            key = fault(f"provider.{self.record.id}.key", sentence, another_key(scene, self.record))
            return [ok(check, f"{name} answers."), key]
        if self.body.lstrip()[:1] == b"<" and self.status < 500:
            return [fault(check, f"A web page answers at {url}, not an API ({self.status}).", place)]
        if 300 <= self.status < 400:
            return [fault(check, f"{url} leads elsewhere ({self.status}).", place)]
        if self.status >= 500:
            cure = "Wait a while; look at the provider's status page."
            return [warning(check, f"{name} answers, but is in trouble ({self.status}).", cure)]
        return [ok(check, f"{name} answers.")]


async def knock(laboratory: Laboratory, record: ProviderRecord, key: str) -> Reply:
    """Asks for the model list, on the road and with the headers of every other request."""
    used = proxy_of(record.id, laboratory.snapshot)
    options: dict[str, Any] = {"proxy": used} if used.startswith("http") else {}
    try:
        session = laboratory.upstream.session(record.id, laboratory.snapshot)
        async with (
            asyncio.timeout(_PATIENCE_S),
            session.get(
                record.models_url,
                headers=headers_for(record, key),
                params=record.query or None,
                allow_redirects=False,
                **options,
            ) as response,
        ):
            skew = _skew(response.headers.get("Date", ""))
            return Reply(record, response.status, await response.content.read(_LARGEST), skew)
    except (aiohttp.ClientError, OSError, TimeoutError, ValueError) as error:
        failure, cure = _why(error, record, used)
        return Reply(record, failure=failure, cure=cure)
    except UpstreamError as error:
        return Reply(record, failure=error.fault.message.rstrip("."), cure="pip install 'codex-nexus[socks]'")


def _skew(date: str) -> float | None:
    with contextlib.suppress(ValueError, TypeError):
        return parsedate_to_datetime(date).timestamp() - time.time()
    return None


def _why(error: BaseException, record: ProviderRecord, used: str) -> tuple[str, str]:
    """The reason and the cure."""
    if isinstance(error, (aiohttp.ClientProxyConnectionError, aiohttp.ClientHttpProxyError)):
        return "the proxy does not let it through", "Check 'outbound_proxy', 'provider_proxies' and HTTPS_PROXY."
    if isinstance(error, aiohttp.ClientConnectorDNSError):
        return "its name is unknown", "Check the address, the network and whether a proxy is needed (outbound_proxy)."
    if isinstance(error, (aiohttp.ClientConnectorCertificateError, aiohttp.ClientConnectorSSLError)):
        return "its certificate is not trusted", "Point SSL_CERT_FILE to your company's certificates; check the clock."
    if isinstance(error, TimeoutError):
        return f"no answer came within {_PATIENCE_S:g} s", _network(used)
    if record.local:
        return "nothing answers there", f"Start {record.name}, then run codex-nexus doctor again."
    return f"the connection failed ({type(error).__name__})", _network(used)


def _network(used: str) -> str:
    return f"Check the network{' and the proxy' if used else ', or set outbound_proxy if you need one'}."
