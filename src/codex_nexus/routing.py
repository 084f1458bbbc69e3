"""Which provider, model and key serve a request. Pure: a snapshot and a name in, a route out."""

from __future__ import annotations

import hashlib
import re

import msgspec
from msgspec import Struct

from codex_nexus.config.model import Target
from codex_nexus.errors import NoKey, NoRoute
from codex_nexus.providers.catalogue import ProviderRecord
from codex_nexus.snapshot import Snapshot
from codex_nexus.translate.dialect import Dialect

Listed = dict[str, tuple[str, ...]]
"""Provider id -> model ids that it told us itself."""

_CODEX_NAME = re.compile(r"(?:gpt|codex|chatgpt)[-.]?\w*|o\d", re.IGNORECASE)


class Caller(Struct, frozen=True):
    """Who asks.

    Attributes:
        owner: on loopback, or with the access token: may use the owner's keys.
        bearer: a key of the caller's own that may be forwarded, or empty.
        identity: tells stored responses of different callers apart; empty for the owner.
        agent: the program that asks, as its `User-Agent` says.
    """

    owner: bool
    bearer: str = ""
    identity: str = ""
    agent: str = ""


class Destination(Struct, frozen=True):
    """One provider and model that can serve the request."""

    provider: ProviderRecord
    model: str
    keys: tuple[str, ...]
    """In the order to try; one empty key when the provider needs none."""
    dialect: Dialect
    headers: dict[str, str] = {}
    """What the provider is told of the client (see `introduced`)."""

    @property
    def name(self) -> str:
        """How it is named to people: `provider/model`."""
        return f"{self.provider.id}/{self.model}"


class Route(Struct, frozen=True):
    """Where a request goes: the first destination, then the fallbacks in order."""

    asked: str
    destinations: tuple[Destination, ...]


def is_codex_name(model: str) -> bool:
    """Whether Codex may ask for this name by itself (sub-agents, titles, memories), whatever the user chose."""
    return _CODEX_NAME.match(model.rsplit("/", 1)[-1]) is not None


def target_of(snapshot: Snapshot, asked: str, listed: Listed) -> Target:
    """Provider and upstream model for a name.

    Raises:
        NoRoute: the provider has no default model and lists nothing.
    """
    config = snapshot.config
    route = config.model_routes.get(asked)
    if route is not None:
        return Target(provider=route.provider, model=route.model or _served(snapshot, route.provider, asked, listed))
    prefix, slash, rest = asked.partition("/")
    if slash and prefix in snapshot.catalogue.providers and not _belongs_to_default(snapshot, prefix, asked, listed):
        mapped = _mapped(snapshot, prefix, rest)
        return Target(provider=prefix, model=mapped or rest)
    return Target(provider=config.provider, model=_served(snapshot, config.provider, asked, listed))


def _belongs_to_default(snapshot: Snapshot, prefix: str, asked: str, listed: Listed) -> bool:
    """An id with a slash that the default provider lists itself, as resellers do (`maker/model`)."""
    return _may_belong_to_default(snapshot, prefix) and _lists(snapshot, snapshot.config.provider, asked, listed)


def _may_belong_to_default(snapshot: Snapshot, prefix: str) -> bool:
    usable = prefix in snapshot.keys or snapshot.catalogue.providers[prefix].local
    return prefix == snapshot.config.provider or not usable


def _lists(snapshot: Snapshot, provider: str, model: str, listed: Listed) -> bool:
    return snapshot.catalogue.providers[provider].model(model) is not None or model in listed.get(provider, ())


def _mapped(snapshot: Snapshot, provider: str, asked: str) -> str | None:
    own = snapshot.config.model_overrides.get(provider, {}).get(asked)
    return own or snapshot.catalogue.providers[provider].mapping.get(asked)


def _served(snapshot: Snapshot, provider: str, asked: str, listed: Listed) -> str:
    """The model of this provider for a name that may be anything."""
    record = snapshot.catalogue.providers[provider]
    mapped = _mapped(snapshot, provider, asked)
    if mapped:
        return mapped
    if _lists(snapshot, provider, asked, listed):
        return asked
    if record.default_model:
        return record.default_model
    ids = listed.get(provider, ())
    if ids and is_codex_name(asked):
        return ids[0]
    return asked


def needs_listing(snapshot: Snapshot, asked: str) -> str | None:
    """The provider whose own list decides what this name means, or None when the data decide it."""
    config = snapshot.config
    route = config.model_routes.get(asked)
    if route is not None and route.model:
        return None
    provider = route.provider if route is not None else config.provider
    record = snapshot.catalogue.providers[provider]
    prefix, slash, rest = asked.partition("/")
    if route is None and slash and prefix in snapshot.catalogue.providers:
        own = prefix == provider and (_mapped(snapshot, provider, rest) or record.model(rest) is not None)
        if own or not _may_belong_to_default(snapshot, prefix):
            return None
    if _mapped(snapshot, provider, asked) or record.model(asked) is not None:
        return None
    if record.default_model and record.models and not slash and is_codex_name(asked):
        return None
    return provider


def resolve(snapshot: Snapshot, asked: str, caller: Caller, listed: Listed) -> Route:
    """The route for a model name.

    Raises:
        NoRoute: nothing can serve this name.
        NoKey: the provider needs a key and there is none that this caller may use.
    """
    route = snapshot.config.model_routes.get(asked)
    first = _destination(snapshot, target_of(snapshot, asked, listed), caller, snapshot.route_keys.get(asked, ""))
    found = [first]
    for target in route.fallbacks if route is not None else ():
        model = target.model or _served(snapshot, target.provider, asked, listed)
        try:
            found.append(_destination(snapshot, Target(provider=target.provider, model=model), caller))
        except (NoKey, NoRoute):
            continue
    return Route(asked, tuple(found))


def _destination(snapshot: Snapshot, target: Target, caller: Caller, route_key: str = "") -> Destination:
    record = snapshot.catalogue.providers[target.provider]
    if not record.base_url:
        raise NoRoute(f"The provider '{record.id}' has no address: set 'custom_upstream' in config.json.")
    if not target.model:
        raise NoRoute(f"No model of '{record.id}' is named for this request: set one in 'model_routes'.")
    keys = usable_keys(snapshot, record, caller, route_key)
    return Destination(record, target.model, keys, snapshot.catalogue.dialect(record.id, target.model))


def introduced(route: Route, agent: str, conversation: str | None) -> Route:
    """The route with what its providers want to be told of the client, each in its own header."""
    told = {"user_agent": agent, "conversation": _header_safe(conversation or "")}

    def introduced_to(destination: Destination) -> Destination:
        wanted = destination.provider.forward
        headers = {header: told[what] for header, what in wanted.items() if told[what]}
        return msgspec.structs.replace(destination, headers=headers) if headers else destination

    return Route(route.asked, tuple(introduced_to(destination) for destination in route.destinations))


def _header_safe(text: str) -> str:
    """The text itself as long as a header may hold it, else a name of the same text."""
    return text if _HEADER.fullmatch(text) else hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()


_HEADER = re.compile(r"[\x21-\x7e]{0,200}")


def usable_keys(snapshot: Snapshot, record: ProviderRecord, caller: Caller, route_key: str = "") -> tuple[str, ...]:
    """The keys to try for this caller: the provider's own, the shared one, the caller's.

    Raises:
        NoKey: there is none and the provider needs one.
    """
    if caller.owner:
        own = (route_key,) if route_key else snapshot.keys.get(record.id, ())
        keys = own or ((snapshot.shared_key,) if snapshot.shared_key else ())
        if keys:
            return keys
        if record.local or record.auth == "none":
            return (caller.bearer,) if caller.bearer else ("",)
    elif record.local or record.auth == "none":
        raise NoKey(f"{record.name} is the owner's own: callers from elsewhere need this gateway's access token.")
    if caller.bearer:
        return (caller.bearer,)
    dangling = [key.reference for key in snapshot.config.provider_api_keys.get(record.id, ()) if key.reference]
    why = f" ({', '.join(dangling)} in config.json leads nowhere)" if dangling and caller.owner else ""
    raise NoKey(
        f"There is no API key for {record.name}{why}: set 'provider_api_keys.{record.id}' in config.json "
        "(or send your own key as a Bearer token)."
    )


def vision_doubt(snapshot: Snapshot) -> str:
    """Why `vision_model` may not be able to describe images, for its owner; empty when nothing speaks against it."""
    named = snapshot.config.vision_model
    if not named:
        return ""
    provider, _, model = named.partition("/")
    record = snapshot.catalogue.providers[provider]
    if snapshot.catalogue.dialect(provider, model).images == "none":
        return f"vision_model: '{named}' takes no images itself; name a model that does."
    if record.models and record.model(model) is None and model != record.default_model:
        return f"vision_model: '{model}' is none of the models known of {record.name}; whether it sees is not known."
    if not record.base_url:
        return f"vision_model: {record.name} has no address; set 'custom_upstream'."
    try:
        usable_keys(snapshot, record, Caller(owner=True))
    except NoKey as error:
        return f"vision_model: {error.message}"
    return ""
