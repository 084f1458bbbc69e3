"""Keys on their way to the page and back: shown as masks, and a mask that comes back means "unchanged"."""

from __future__ import annotations

import re
from typing import Any, cast

import msgspec

from codex_nexus.config.model import Config
from codex_nexus.config.secrets import Secret

SIGN = "…"
_SHORT = 12
_PREFIX = re.compile(r"[A-Za-z]{2,3}[-_]")
_CREDENTIALS = re.compile(r"(?<=://)[^/@\s]+(?=@)")
_URLS = ("custom_upstream", "outbound_proxy", "store")

Raw = dict[str, Any]


def mask(written: str) -> str:
    """What the page may see of a key; a reference is no secret."""
    if not written or Secret(written).reference is not None:
        return written
    if len(written) <= _SHORT:
        return SIGN
    prefix = _PREFIX.match(written)
    return f"{prefix.group() if prefix else ''}{SIGN}{written[-4:]}"


def mask_url(url: str) -> str:
    """A URL without the name and password in it."""
    return _CREDENTIALS.sub(SIGN, url)


def shown(config: Config) -> Raw:
    """The whole configuration, fit for the page."""
    raw: Raw = msgspec.to_builtins(config, enc_hook=_masked)
    return raw | masked_urls(raw)


def masked_urls(raw: Raw) -> Raw:
    """The URLs of a configuration without their credentials."""
    urls: Raw = {name: mask_url(raw[name]) for name in _URLS if name in raw}
    proxies: dict[str, str] = raw.get("provider_proxies", {})
    return urls | {"provider_proxies": {name: mask_url(url) for name, url in proxies.items()}}


def _masked(value: Any) -> Any:
    if isinstance(value, Secret):
        return mask(value.written)
    raise NotImplementedError


def restored(sent: Raw, config: Config) -> tuple[Raw, list[str]]:
    """What the page sent, with every mask replaced by the key that it stands for; and masks that stand for none."""
    known = _Known(config)
    raw: Raw = dict(sent)
    for name in ("api_key", "access_token"):
        if name in raw:
            raw[name] = known.key(raw[name], name)
    pools = raw.get("provider_api_keys")
    if isinstance(pools, dict):
        raw["provider_api_keys"] = {
            name: known.pool(keys, f"provider_api_keys.{name}") for name, keys in cast("Raw", pools).items()
        }
    routes = raw.get("model_routes")
    if isinstance(routes, dict):
        raw["model_routes"] = {name: known.route(route, name) for name, route in cast("Raw", routes).items()}
    return raw | known.urls(raw), known.problems


class _Known:
    """The keys of the stored configuration by path."""

    def __init__(self, config: Config) -> None:
        self.problems: list[str] = []
        self._config = config
        self._keys: dict[str, list[str]] = {
            "api_key": [config.api_key.written],
            "access_token": [config.access_token.written],
        }
        for name, pool in config.provider_api_keys.items():
            self._keys[f"provider_api_keys.{name}"] = [key.written for key in pool]
        for name, route in config.model_routes.items():
            self._keys[f"model_routes.{name}.api_key"] = [route.api_key.written]

    def key(self, sent: Any, path: str, at: int = 0) -> Any:
        """The key behind a mask; everything else as it is."""
        if not isinstance(sent, str) or SIGN not in sent:
            return sent
        own = self._keys.get(path, [])
        if at < len(own) and mask(own[at]) == sent:
            return own[at]
        everywhere = [key for keys in self._keys.values() for key in keys]
        for keys in (own, everywhere):
            found = {key for key in keys if mask(key) == sent}
            if len(found) == 1:
                return found.pop()
        self.problems.append(f"{path}: this is a shortened key, not a key; enter it again.")
        return ""

    def pool(self, sent: Any, path: str) -> Any:
        """A key or a list of keys."""
        if not isinstance(sent, list):
            return self.key(sent, path)
        return [self.key(key, path, at) for at, key in enumerate(cast("list[Any]", sent))]

    def route(self, sent: Any, name: str) -> Any:
        """A route with its own key."""
        if not isinstance(sent, dict) or "api_key" not in sent:
            return cast("Any", sent)
        route = cast("Raw", sent)
        return route | {"api_key": self.key(route["api_key"], f"model_routes.{name}.api_key")}

    def urls(self, sent: Raw) -> Raw:
        """URLs with their credentials."""
        urls: Raw = {name: self._url(sent[name], getattr(self._config, name), name) for name in _URLS if name in sent}
        proxies = sent.get("provider_proxies")
        if isinstance(proxies, dict):
            known = self._config.provider_proxies
            urls["provider_proxies"] = {
                name: self._url(url, known.get(name, ""), f"provider_proxies.{name}")
                for name, url in cast("Raw", proxies).items()
            }
        return urls

    def _url(self, sent: Any, known: str, path: str) -> Any:
        if not isinstance(sent, str) or SIGN not in sent:
            return sent
        if mask_url(known) == sent:
            return known
        self.problems.append(f"{path}: the name and password in this address are shortened; enter them again.")
        return ""
