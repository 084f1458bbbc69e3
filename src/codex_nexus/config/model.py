"""All keys of `config.json`, their types, defaults and meaning, and the check of a file's values."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, Literal, get_args, get_type_hints
from urllib.parse import urlsplit

import msgspec
from msgspec import Meta

from codex_nexus.config.secrets import Secret
from codex_nexus.shapes import Shapes

Keys = tuple[Secret, ...]
"""One key or a pool of them; in the file a string or a list."""


class Target(msgspec.Struct, frozen=True, kw_only=True):
    """A provider and one of its models."""

    provider: str
    model: str = ""


class ModelRoute(msgspec.Struct, frozen=True, kw_only=True):
    """Where one Codex model name goes."""

    provider: str
    model: str = ""
    api_key: Secret = Secret()
    fallbacks: tuple[Target, ...] = ()


class Retry(msgspec.Struct, frozen=True, kw_only=True):
    """How often a provider is asked again before the first byte of its answer."""

    attempts: Annotated[int, Meta(ge=1, le=10)] = 2
    base_delay_s: Annotated[float, Meta(ge=0, le=60)] = 0.5


class Timeouts(msgspec.Struct, frozen=True, kw_only=True):
    """Seconds; null: what the provider's record says."""

    connect_s: Annotated[float, Meta(gt=0, le=600)] = 10.0
    first_byte_s: Annotated[float, Meta(gt=0, le=7200)] | None = None
    idle_s: Annotated[float, Meta(gt=0, le=7200)] | None = None


class Budget(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a provider may be used for in a day (UTC); null: no limit. Tokens are input and output, cost is dollars."""

    tokens_per_day: Annotated[int, Meta(ge=1, le=1 << 60)] | None = None
    turns_per_day: Annotated[int, Meta(ge=1, le=1 << 60)] | None = None
    cost_per_day: Annotated[float, Meta(gt=0, le=1e9)] | None = None


EVERY = "*"
"""Stands in `budgets` for all providers together."""


MOST_TRACES = 100


def _meant(text: str) -> Meta:
    return Meta(description=text)


class Config(msgspec.Struct, frozen=True, kw_only=True):
    """The user's will. Every key has a default; the descriptions feed the docs and the panel."""

    provider: Annotated[str, _meant("Default provider id.")] = "deepseek"
    api_key: Annotated[Secret, _meant("Key for a provider that has none of its own.")] = Secret()
    custom_upstream: Annotated[str, _meant("Base URL of the provider `custom`, without /chat/completions.")] = ""
    port: Annotated[int, Meta(ge=0, le=65534, description="Gateway port; the panel takes the next one. 0: any.")] = 5800
    host: Annotated[str, _meant("Gateway address. Beyond loopback, callers must show the access token.")] = "127.0.0.1"
    autostart_nexus: Annotated[bool, _meant("Start the gateway together with the panel.")] = True
    codex_config_auto: Annotated[bool, _meant("Write our part of Codex's configuration at start.")] = True
    codex_config_switch_default: Annotated[bool, _meant("Also make the gateway Codex's default provider.")] = False
    codex_auth_json: Annotated[bool, _meant("Write Codex's auth.json when there is none.")] = False
    model_overrides: Annotated[
        dict[str, dict[str, str]], _meant("Per provider: Codex model name -> upstream model.")
    ] = {}
    model_routes: Annotated[dict[str, ModelRoute], _meant("Codex model name -> provider, model and fallbacks.")] = {}
    vision_model: Annotated[
        str, _meant("`provider/model` that describes images once for models that see none; empty: a note stands there.")
    ] = ""
    provider_api_keys: Annotated[dict[str, Keys], _meant("Per provider: a key, or a list of keys as a pool.")] = {}
    provider_addresses: Annotated[
        dict[str, str], _meant("Per provider: the base URL to use in place of its usual one (region, plan).")
    ] = {}
    budgets: Annotated[
        dict[str, Budget], _meant("Provider id, or `*` for all together -> what a day (UTC) may take of it.")
    ] = {}
    access_token: Annotated[Secret, _meant("What a caller beyond loopback must present; made at first need.")] = (
        Secret()
    )
    allowed_origins: Annotated[tuple[str, ...], _meant("Web origins that may call the gateway.")] = ()
    body_limit_mb: Annotated[int, Meta(ge=1, le=4096, description="Largest request body, unpacked, in MiB.")] = 64
    retention_days: Annotated[
        int, Meta(ge=0, le=36500, description="Days a chain is kept after its last turn; 0: for ever.")
    ] = 30
    store_limit_mb: Annotated[
        int, Meta(ge=0, le=1 << 40, description="Most that stored responses may hold, in MiB; 0: no limit.")
    ] = 0
    traces: Annotated[
        int, Meta(ge=0, le=MOST_TRACES, description="Last turns to keep on record, in memory only; 0: none.")
    ] = 0
    store: Annotated[str, _meant("URL of the session store; empty: SQLite in the home folder.")] = ""
    outbound_proxy: Annotated[
        str, _meant("Proxy for all providers (http://, socks5://); empty: the environment's.")
    ] = ""
    provider_proxies: Annotated[dict[str, str], _meant("Per provider: a proxy, or `direct`.")] = {}
    retry: Annotated[Retry, _meant("Retries before the first byte.")] = Retry()
    timeouts: Annotated[Timeouts, _meant("Time limits towards providers.")] = Timeouts()
    language: Annotated[Literal["auto", "en", "zh"], _meant("Language of the panel.")] = "auto"


def described() -> dict[str, str]:
    """Key -> its meaning, in the order of the type."""
    hints = get_type_hints(Config, include_extras=True)
    return {name: _description(hints[name]) for name in Config.__struct_fields__}


def _description(hint: Any) -> str:
    texts = [meta.description for meta in get_args(hint)[1:] if isinstance(meta, Meta) and meta.description]
    return texts[0] if texts else ""


Problems = list[str]


def read_config(raw: dict[str, Any]) -> tuple[Config, dict[str, Any], Problems]:
    """A configuration, the keys that are not ours, and every problem with its path.

    A key with a problem keeps its default in the result, so that the rest can be checked as well.
    """
    known = get_type_hints(Config)
    shapes = Shapes(_secret, alone=Keys)
    given = {key: value for key, value in raw.items() if key in known and value is not None}
    config = Config(**shapes.fields({key: given[key] for key in known if key in given}, Config, ""))
    unknown = {key: value for key, value in raw.items() if key not in known}
    return config, unknown, shapes.problems + _disagreements(config)


def _secret(kind: type, value: object) -> Secret:
    if kind is Secret and isinstance(value, str):
        return Secret(value)
    got = _NAMES.get(type(value), "null")
    raise msgspec.ValidationError(f"Expected `str`, got `{got}`")


_NAMES: dict[type, str] = {int: "int", float: "float", bool: "bool", dict: "object", list: "array"}


def _disagreements(config: Config) -> Problems:
    """What is wrong between values that are each of the right type."""
    problems: Problems = []
    urls: list[tuple[str, str, tuple[str, ...]]] = [
        ("custom_upstream", config.custom_upstream, ("http", "https")),
        ("outbound_proxy", config.outbound_proxy, _PROXIES),
        ("store", config.store, ("sqlite", "postgresql", "postgres")),
    ]
    urls += [(f"provider_addresses.{name}", url, ("http", "https")) for name, url in config.provider_addresses.items()]
    urls += [
        (f"provider_proxies.{name}", url, _PROXIES) for name, url in config.provider_proxies.items() if url != "direct"
    ]
    for path, url, schemes in urls:
        if url and not _is_url(url, schemes):
            problems.append(f"{path}: '{url}' is not a URL with {' or '.join(f'{name}://' for name in schemes)}.")
    for n, origin in enumerate(config.allowed_origins):
        if origin != "*" and not _is_origin(origin):
            problems.append(f"allowed_origins[{n}]: '{origin}' is not an origin such as https://example.org.")
    if not config.host.strip() or any(sign in config.host for sign in "/ ?#"):
        problems.append(f"host: '{config.host}' is not an address; write a name or an IP address alone.")
    if config.vision_model and not all(config.vision_model.partition("/")):
        problems.append(f"vision_model: '{config.vision_model}' must be written as provider/model.")
    problems += [
        f"budgets.{name}: nothing is limited; set {', '.join(Budget.__struct_fields__)}, or several."
        for name, budget in config.budgets.items()
        if budget == Budget()
    ]
    if config.provider == "custom" and not config.custom_upstream:
        problems.append("custom_upstream: the provider is 'custom', so its base URL must stand here.")
    return problems


_PROXIES = ("http", "https", "socks4", "socks5", "socks5h")


def _is_url(url: str, schemes: tuple[str, ...]) -> bool:
    try:
        parts = urlsplit(url)
        return parts.scheme in schemes and (bool(parts.hostname) or parts.scheme == "sqlite") and (parts.port or 1) > 0
    except ValueError:
        return False


def _is_origin(origin: str) -> bool:
    try:
        parts = urlsplit(origin)
        return bool(parts.scheme and parts.netloc) and not (parts.path or parts.query or parts.fragment)
    except ValueError:
        return False


def unknown_providers(config: Config, known: Callable[[str], bool]) -> Problems:
    """Problems with provider ids that the catalogue does not have."""
    named = [("provider", config.provider)]
    named += [("vision_model", config.vision_model.partition("/")[0])] if config.vision_model else []
    named += [(f"provider_api_keys.{name}", name) for name in config.provider_api_keys]
    named += [(f"model_overrides.{name}", name) for name in config.model_overrides]
    named += [(f"provider_addresses.{name}", name) for name in config.provider_addresses]
    named += [(f"provider_proxies.{name}", name) for name in config.provider_proxies]
    named += [(f"budgets.{name}", name) for name in config.budgets if name != EVERY]
    for name, route in config.model_routes.items():
        named.append((f"model_routes.{name}.provider", route.provider))
        named += [
            (f"model_routes.{name}.fallbacks[{n}].provider", target.provider)
            for n, target in enumerate(route.fallbacks)
        ]
    return [f"{path}: there is no provider '{name}'; see providers.json." for path, name in named if not known(name)]


def plain(config: Config) -> dict[str, Any]:
    """Every key with its value, as a file may have it; keys stand in it as they are."""
    return msgspec.to_builtins(config, enc_hook=_written_secret)


def written(config: Config, unknown: dict[str, Any]) -> dict[str, Any]:
    """The configuration as it goes into the file: what differs from the defaults, and the foreign keys as they were."""
    values: dict[str, Any] = {}
    for name in Config.__struct_fields__:
        value = getattr(config, name)
        if value != getattr(_DEFAULTS, name):
            values[name] = msgspec.to_builtins(value, enc_hook=_written_secret)
    pools: dict[str, list[str]] = values.get("provider_api_keys", {})
    if pools:
        values["provider_api_keys"] = {name: keys[0] if len(keys) == 1 else keys for name, keys in pools.items()}
    return values | unknown


_DEFAULTS = Config()


def _written_secret(value: Any) -> Any:
    if isinstance(value, Secret):
        return value.written
    raise NotImplementedError
