"""All providers and the rules of the model families, read from data. Knows files and types, no network."""

from __future__ import annotations

from fnmatch import fnmatchcase
from functools import lru_cache
from importlib import resources

import msgspec

from codex_nexus.errors import ConfigError
from codex_nexus.translate.dialect import DEFAULT, Dialect, patched

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
    owned_by: str = ""
    """How the server signs the entries of its model list; tells servers apart that share a port."""
    fact_sources: tuple[FactSource, ...] = ()
    """Asked in this order; the first that knows something wins over the model list."""
    auth: str = "bearer"
    """`bearer`, `header:NAME` or `none`."""
    headers: dict[str, str] = {}
    query: dict[str, str] = {}
    default_model: str = ""
    mapping: dict[str, str] = {}
    """Codex model name -> the model of this provider that serves it."""
    models: tuple[ModelRecord, ...] = ()
    dialect: Patch = {}
    rules: tuple[Rule, ...] = ()
    """Rules for this host alone; they win over the families'."""
    source: str = ""

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
    resolved: dict[tuple[str, str], Dialect] = {}
    """Dialects that were worked out before; the same question comes with every request."""

    def dialect(self, provider_id: str, model: str) -> Dialect:
        """How this provider speaks for this model: defaults, provider, families, the provider's own rules."""
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
        dialect = patched(DEFAULT, *patches)
        record = provider.model(model)
        found: dict[str, object] = {} if dialect.family else {"family": provider_id}
        if record is not None:
            found |= _record_facts(record, dialect)
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
        file = msgspec.json.decode(text, type=CatalogueFile)
    except msgspec.DecodeError as error:
        raise ConfigError(source, [str(error)]) from None
    problems = [f"families[{n}].{fault}" for n, rule in enumerate(file.families) for fault in _faults(rule.dialect)]
    for n, provider in enumerate(file.providers):
        problems += [f"providers[{n}] ({provider.id}).{fault}" for fault in _faults(provider.dialect)]
        for m, rule in enumerate(provider.rules):
            problems += [f"providers[{n}] ({provider.id}).rules[{m}].{fault}" for fault in _faults(rule.dialect)]
    if problems:
        raise ConfigError(source, problems)
    return Catalogue({provider.id: provider for provider in file.providers}, file.families)


def _faults(patch: Patch) -> list[str]:
    faults: list[str] = []
    for name, value in patch.items():
        try:
            patched(DEFAULT, {name: value})
        except msgspec.DecodeError as error:
            faults.append(f"dialect.{name}: {error}")
    return faults


def merged(base: Catalogue, user: Catalogue) -> Catalogue:
    """`user`'s providers over `base`: a known id keeps what the user's record does not set; families are added last."""
    providers = dict(base.providers)
    for provider_id, record in user.providers.items():
        known = providers.get(provider_id)
        providers[provider_id] = record if known is None else _overlaid(known, record)
    return Catalogue(providers, base.families + user.families)


_DEFAULT_RECORD = ProviderRecord(id="")


def _overlaid(known: ProviderRecord, record: ProviderRecord) -> ProviderRecord:
    changes: dict[str, object] = {}
    for name in ProviderRecord.__struct_fields__:
        value = getattr(record, name)
        if value != getattr(_DEFAULT_RECORD, name):
            changes[name] = value
    changes["dialect"] = {**known.dialect, **record.dialect}
    changes["mapping"] = {**known.mapping, **record.mapping}
    own = {model.id for model in record.models}
    changes["models"] = record.models + tuple(model for model in known.models if model.id not in own)
    changes["rules"] = known.rules + record.rules
    return msgspec.structs.replace(known, **changes)
