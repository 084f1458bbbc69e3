"""One frozen picture of configuration and catalogue. A request keeps the picture that it began with."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path

import msgspec

from codex_nexus.config.model import Config, unknown_providers, written
from codex_nexus.config.secrets import Secret
from codex_nexus.errors import ConfigError
from codex_nexus.providers import catalogue
from codex_nexus.providers.catalogue import Catalogue, ProviderRecord


class Snapshot(msgspec.Struct, frozen=True):
    """Everything that a request needs to know.

    Attributes:
        keys: provider id -> its own keys, revealed.
        shared_key: the key for providers without one of their own.
        route_keys: Codex model name -> the key of its route.
        access_token: what callers beyond loopback present; empty when none was made.
        etag: changes whenever the list of models may have changed.
    """

    config: Config
    catalogue: Catalogue
    keys: dict[str, tuple[str, ...]]
    shared_key: str
    route_keys: dict[str, str]
    access_token: str
    etag: str

    def secrets(self) -> tuple[str, ...]:
        """All keys, for masking texts that come from outside."""
        own = [key for keys in self.keys.values() for key in keys]
        return tuple(key for key in (*own, self.shared_key, *self.route_keys.values(), self.access_token) if key)


def build(config: Config, known: Catalogue, environ: Mapping[str, str] | None = None) -> Snapshot:
    """The picture of this configuration.

    Raises:
        ConfigError: it names providers that do not exist.
    """
    problems = unknown_providers(config, known.providers.__contains__)
    if problems:
        raise ConfigError("config.json", problems)
    known = _placed(known, config)

    def revealed(secret: Secret) -> str:
        return secret.reveal(environ)

    own: dict[str, tuple[str, ...]] = {}
    for name, keys in config.provider_api_keys.items():
        own[name] = tuple(key for key in map(revealed, keys) if key)
    return Snapshot(
        config,
        known,
        {name: keys for name, keys in own.items() if keys},
        revealed(config.api_key),
        {name: revealed(route.api_key) for name, route in config.model_routes.items() if route.api_key},
        revealed(config.access_token),
        _etag(config, known),
    )


def _placed(known: Catalogue, config: Config) -> Catalogue:
    """The catalogue with the addresses that the user has chosen."""
    urls = {**config.provider_addresses}
    if config.custom_upstream:
        urls["custom"] = config.custom_upstream
    placed = {
        name: _at(known.providers[name], url.rstrip("/")) for name, url in urls.items() if name in known.providers
    }
    return Catalogue({**known.providers, **placed}, known.families, known.own) if placed else known


def _at(record: ProviderRecord, url: str) -> ProviderRecord:
    """The provider at another address; its usual one is one of its others then."""
    others = {"usual": record.base_url, **record.other_urls} if record.base_url else record.other_urls
    return msgspec.structs.replace(record, base_url=url, other_urls=others)


def _etag(config: Config, known: Catalogue) -> str:
    named = {key: value for key, value in written(config, {}).items() if "key" not in key and "token" not in key}
    shown = [named, sorted(config.provider_api_keys), list(known.providers.values())]
    return hashlib.sha256(msgspec.json.encode(shown)).hexdigest()[:16]


def load_catalogue(home: Path) -> Catalogue:
    """The shipped providers with the user's `providers.json` over them.

    Raises:
        ConfigError: the user's file is wrong; the message holds every problem and path.
    """
    path = home / "providers.json"
    try:
        text = path.read_bytes()
    except FileNotFoundError:
        return catalogue.shipped()
    except OSError as error:
        raise ConfigError(str(path), [f"it cannot be read: {error.strerror}."]) from None
    return catalogue.merged(catalogue.shipped(), catalogue.read(text, str(path)))
