"""All providers and the rules of the model families, read from data. Knows files and types, no network."""

from __future__ import annotations

import re
from fnmatch import fnmatchcase
from functools import lru_cache
from importlib import resources
from typing import Any, Literal

import msgspec

from codex_nexus.errors import ConfigError
from codex_nexus.shapes import Shapes
from codex_nexus.translate.dialect import DEFAULT, Dialect, patched
from codex_nexus.wire import codec

Patch = dict[str, msgspec.Raw]
"""Fields of `Dialect` that a record sets; checked when the catalogue is read."""


class ModelRecord(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One model that a provider serves."""

    id: str
    name: str = ""
    """What a person calls it; empty: the id."""
    context_window: int | None = None
    max_output: int | None = None
    images: bool = False
    reasoning: bool = True
    price: tuple[float, float, float] | None = None
    """US dollars per million tokens: input from cache, input, output."""
    source: str = ""


class Rule(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Dialect fields for models whose id matches one of the globs (lower case; the part after the last slash, too)."""

    match: tuple[str, ...]
    dialect: Patch
    source: str = ""

    def covers(self, model: str) -> bool:
        """Whether the rule speaks of this upstream model id."""
        whole = model.lower()
        last = whole.rsplit("/", 1)[-1]
        return any(fnmatchcase(whole, glob) or fnmatchcase(last, glob) for glob in self.match)


class FactSource(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An endpoint of the server's own that knows more of its models than the list does; paths as in gateway/facts."""

    path: str
    """From the root of the server: the base URL without a last `/v1`."""
    ask: dict[str, str] = {}
    """A body to POST, once for each model (`{model}` stands for its id); empty: one GET."""
    models: str = ""
    """Where the list of models stands; empty: the answer is about the model asked for, or about all."""
    id: tuple[str, ...] = ()
    """Where an entry of that list has its ids."""
    window: tuple[str, ...] = ()
    """The window that the server works with."""
    limit: tuple[str, ...] = ()
    """What the model can hold at most; used when no source knows the window."""
    images: tuple[str, ...] = ()


class ProviderRecord(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One provider: where it is, what it serves and how it speaks."""

    id: str
    name: str = ""
    """What a person calls it; in the user's file needed only for a new provider."""
    base_url: str = ""
    """Without the path of an endpoint; empty for `custom`."""
    other_urls: dict[str, str] = {}
    """Other addresses of the same provider (region or plan -> URL)."""
    local: bool = False
    """Runs on the user's own machine or network: needs no key."""
    key_url: str = ""
    """The page where a person gets a key."""
    chat_path: str = "/chat/completions"
    responses_path: str = "/responses"
    models_path: str = "/models"
    """Where its models are listed: behind `base_url`, or a whole URL of its own."""
    owned_by: str = ""
    """How the server signs the entries of its model list; tells servers apart that share a port."""
    fact_sources: tuple[FactSource, ...] = ()
    """Asked in this order; the first that knows something wins over the model list."""
    auth: str = "bearer"
    """`bearer`, `header:NAME` or `none`."""
    headers: dict[str, str] = {}
    forward: dict[str, Literal["user_agent", "conversation"]] = {}
    """Header -> what it tells of the client: the program that asks, or the key of its conversation
    (`prompt_cache_key`), by which some providers find the machine that has its beginning in the cache."""
    query: dict[str, str] = {}
    default_model: str = ""
    mapping: dict[str, str] = {}
    """Codex model name -> the model of this provider that serves it."""
    models: tuple[ModelRecord, ...] = ()
    dialect: Patch = {}
    rules: tuple[Rule, ...] = ()
    """Rules for this host alone; they win over the families'."""
    source: str = ""

    @property
    def models_url(self) -> str:
        """Where its models are listed."""
        if self.models_path.startswith(("http://", "https://")):
            return self.models_path
        return self.base_url.rstrip("/") + self.models_path

    def model(self, model_id: str) -> ModelRecord | None:
        """The record of a model, or None."""
        return next((model for model in self.models if model.id == model_id), None)


class CatalogueFile(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The shape of `providers.json`, shipped or the user's."""

    families: tuple[Rule, ...] = ()
    providers: tuple[ProviderRecord, ...] = ()


_MOST_RESOLVED = 1024


class Catalogue(msgspec.Struct, frozen=True):
    """All providers by id, and the family rules in order."""

    providers: dict[str, ProviderRecord]
    families: tuple[Rule, ...]
    own: dict[str, tuple[Rule, ...]] = {}
    """What the user's file says of a provider's dialect, in order; it wins over everything that is shipped."""
    resolved: dict[tuple[str, str], Dialect] = {}
    """Dialects that were worked out before; the same question comes with every request."""

    def dialect(self, provider_id: str, model: str) -> Dialect:
        """How this provider speaks for this model.

        Defaults, the host, the model's families, the host's own rules, facts of the model's record, the user; later
        wins field by field.
        """
        known = self.resolved.get((provider_id, model))
        if known is None:
            if len(self.resolved) >= _MOST_RESOLVED:
                self.resolved.clear()
            known = self.resolved[provider_id, model] = self._resolve(provider_id, model)
        return known

    def _resolve(self, provider_id: str, model: str) -> Dialect:
        provider = self.providers[provider_id]
        patches = [provider.dialect]
        patches += [rule.dialect for rule in self.families if rule.covers(model)]
        patches += [rule.dialect for rule in provider.rules if rule.covers(model)]
        own = [rule.dialect for rule in self.own.get(provider_id, ()) if rule.covers(model)]
        shipped_dialect = dialect = patched(DEFAULT, *patches)
        record = provider.model(model)
        if record is not None:
            dialect = msgspec.structs.replace(dialect, **_record_facts(record, dialect))
        dialect = patched(dialect, *own)
        found: dict[str, object] = {} if dialect.family else {"family": provider_id}
        if dialect.wire == "responses" and not any("reasoning_param" in patch for patch in (*patches, *own)):
            # Every server of that API takes an effort, in one and the same field; no record has to say so.
            found["reasoning_param"] = "effort"
        if dialect.wire != shipped_dialect.wire and not any("extra_body" in patch for patch in own):
            # These are words of the wire for which they were written.
            found["extra_body"] = {}
        return msgspec.structs.replace(dialect, **found) if found else dialect


def _record_facts(record: ModelRecord, dialect: Dialect) -> dict[str, object]:
    facts: dict[str, object] = {}
    if record.context_window is not None:
        facts["context_window"] = record.context_window
    if record.max_output is not None and dialect.max_output is None:
        facts["max_output"] = record.max_output
    if not record.images:
        facts["images"] = "none"
    return facts


@lru_cache(maxsize=1)
def shipped() -> Catalogue:
    """The catalogue that comes with the package.

    Raises:
        ConfigError: the shipped data is broken (a fault of ours; a test reads it).
    """
    text = resources.files("codex_nexus.providers").joinpath("providers.json").read_bytes()
    return read(text, "providers.json")


def read(text: bytes, source: str) -> Catalogue:
    """A catalogue from JSON; `source` names the file in messages.

    Raises:
        ConfigError: with every problem and its path.
    """
    try:
        raw = msgspec.json.decode(text)
    except msgspec.DecodeError as error:
        raise ConfigError(source, [f"it is not JSON: {str(error).removeprefix('JSON is malformed: ')}."]) from None
    shapes = Shapes()
    file: CatalogueFile | None = shapes.checked(raw, CatalogueFile, "")
    problems = [_named(problem, raw) for problem in shapes.problems]
    problems += [] if file is None else _faults(file)
    if problems or file is None:
        raise ConfigError(source, problems)
    return Catalogue({provider.id: provider for provider in file.providers}, file.families)


def _named(problem: str, raw: dict[str, list[Any]]) -> str:
    """The problem with the id of its provider beside the number, which nobody wants to count."""
    found = _PROVIDER.match(problem)
    if found is None:
        return problem
    name = (codec.as_object(raw["providers"][int(found["n"])]) or {}).get("id")
    return f"{found['at']} ({name}){problem[found.end() :]}" if isinstance(name, str) else problem


_PROVIDER = re.compile(r"(?P<at>providers\[(?P<n>\d+)\])")


def _faults(file: CatalogueFile) -> list[str]:
    faults = [f"families[{n}].{fault}" for n, rule in enumerate(file.families) for fault in _wrong(rule.dialect)]
    for n, provider in enumerate(file.providers):
        at = f"providers[{n}] ({provider.id})"
        faults += [f"{at}.{fault}" for fault in (*_wrong_address(provider), *_wrong(provider.dialect))]
        for m, rule in enumerate(provider.rules):
            faults += [f"{at}.rules[{m}].{fault}" for fault in _wrong(rule.dialect)]
    return faults


def _wrong(patch: Patch) -> list[str]:
    shapes = Shapes()
    shapes.fields({name: msgspec.json.decode(value) for name, value in patch.items()}, Dialect, "dialect")
    return shapes.problems


def _wrong_address(provider: ProviderRecord) -> list[str]:
    faults: list[str] = []
    if provider.base_url and not provider.base_url.startswith(("http://", "https://")):
        faults.append(f"base_url: '{provider.base_url}' does not begin with http:// or https://.")
    if provider.auth not in ("bearer", "none") and not provider.auth.removeprefix("header:").strip():
        faults.append("auth: behind 'header:' the name of the header is missing.")
    elif provider.auth not in ("bearer", "none") and not provider.auth.startswith("header:"):
        faults.append(f"auth: '{provider.auth}' is none of bearer, none, header:NAME.")
    return faults


def merged(base: Catalogue, user: Catalogue) -> Catalogue:
    """`user`'s providers over `base`: a known id keeps what the user's record does not set, dialects field by field."""
    providers, own = dict(base.providers), dict[str, tuple[Rule, ...]]()
    for provider_id, record in user.providers.items():
        known = providers.get(provider_id)
        providers[provider_id] = record if known is None else _overlaid(known, record)
    for provider_id in providers:
        record = user.providers.get(provider_id)
        said = () if record is None else (Rule(match=("*",), dialect=record.dialect), *record.rules)
        own[provider_id] = (*user.families, *said)
    return Catalogue(providers, base.families, own)


_DEFAULT_RECORD = ProviderRecord(id="")
_OWN = ("dialect", "rules")


def _overlaid(known: ProviderRecord, record: ProviderRecord) -> ProviderRecord:
    changes: dict[str, object] = {}
    for name in ProviderRecord.__struct_fields__:
        value = getattr(record, name)
        if name not in _OWN and value != getattr(_DEFAULT_RECORD, name):
            changes[name] = value
    changes["mapping"] = {**known.mapping, **record.mapping}
    told = {model.id for model in record.models}
    changes["models"] = record.models + tuple(model for model in known.models if model.id not in told)
    return msgspec.structs.replace(known, **changes)
