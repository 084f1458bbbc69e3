"""`codex-nexus key`: the keys of providers, entered without the panel. A key is never shown, and never an argument."""

from __future__ import annotations

import difflib

from codex_nexus.config.model import Config
from codex_nexus.config.places import Place, get, place_of, put, without
from codex_nexus.config.secrets import Secret, has_foreign_signs, tidied
from codex_nexus.control.masks import mask
from codex_nexus.control.settings import Stored
from codex_nexus.errors import Misuse
from codex_nexus.providers.catalogue import ProviderRecord
from codex_nexus.service.settings import Desk, Say
from codex_nexus.snapshot import load_catalogue
from codex_nexus.translate.masks import without_keys


def listed(desk: Desk, say: Say) -> int:
    """Says which providers have keys."""
    config = desk.read().config
    for name, pool in config.provider_api_keys.items():
        default = "  (default provider)" if name == config.provider else ""
        say(f"{name:<12} {', '.join(map(_told, pool))}{default}")
    if config.api_key:
        say(f"{'all others':<12} {_told(config.api_key)}  (api_key)")
    if not config.provider_api_keys and not config.api_key:
        say("No key is stored. To enter one: codex-nexus key PROVIDER")
    return 0


def _told(key: Secret) -> str:
    return mask(key.written) if key.reveal() else f"{mask(key.written)} (leads to nothing here)"


def provider_of(desk: Desk, name: str) -> ProviderRecord:
    """The provider of this id.

    Raises:
        Misuse: there is none.
    """
    known = load_catalogue(desk.home).providers
    if name in known:
        return known[name]
    near = difflib.get_close_matches(name.lower(), known, n=3, cutoff=0.5)
    told = f"near are {', '.join(near)}" if near else f"known are {', '.join(known)}"
    raise Misuse(f"There is no provider '{without_keys(name)}'; {told}.")


def enter(desk: Desk, record: ProviderRecord, given: list[str], say: Say, *, add: bool) -> int:
    """Stores keys of a provider. Gives the exit code.

    Args:
        desk: the file.
        record: the provider.
        given: keys or references, as they were typed or pasted; several make a pool.
        say: tells the person something.
        add: they join those that are there, in place of taking their place.

    Raises:
        Misuse: there is no key among them, or one that cannot be a key.
        ConfigError: something else in the file is wrong; nothing was saved.
    """
    new = [key for key in map(tidied, given) if key]
    if not new:
        raise Misuse("No key was given; nothing was changed.")
    if any(map(has_foreign_signs, new)):
        raise Misuse(
            "A key has only Latin letters, digits and plain signs; something else stands in this one. "
            "Copy it again; nothing was changed."
        )
    stored, place = desk.read(), _place(record)
    pool = list(dict.fromkeys(_stored(stored, record) + new if add else new))
    number = f"{len(pool)} keys, used in turn:" if len(pool) > 1 else "the key"
    done = f"{record.name}: {number} {', '.join(map(mask, pool))}."
    code = desk.save(put(stored.raw, place, pool), stored, done, say)
    for sentence in _doubts(stored.config, record, pool):
        say(sentence)
    return code


def remove(desk: Desk, record: ProviderRecord, say: Say) -> int:
    """Takes all keys of a provider out of the file. Gives the exit code.

    Raises:
        ConfigError: something else in the file is wrong; nothing was saved.
    """
    stored, place = desk.read(), _place(record)
    if get(stored.raw, place.steps) is None:
        say(f"Nothing to do: no key of {record.name} is stored.")
        return 0
    done = f"{record.name}: no key is stored any more. The version before still has it, until the next change."
    return desk.save(without(stored.raw, place.steps), stored, done, say)


def _place(record: ProviderRecord) -> Place:
    return place_of(f'provider_api_keys."{record.id}"')


def _stored(stored: Stored, record: ProviderRecord) -> list[str]:
    return [key.written for key in stored.config.provider_api_keys.get(record.id, ())]


def _doubts(config: Config, record: ProviderRecord, pool: list[str]) -> list[str]:
    """What may keep these keys from being used."""
    lost = [key for key in pool if Secret(key).reference and not Secret(key).reveal()]
    said = [f"{key} leads to nothing here; it must be there where the gateway is started." for key in lost]
    if config.provider != record.id:
        said.append(
            f"The default provider is {config.provider}; for {record.id}: codex-nexus config set provider {record.id}"
        )
    return [*said, f"To try it: codex-nexus models {record.id}"]


def question(record: ProviderRecord) -> str:
    """What a person is asked."""
    where = f" (made at {record.key_url})" if record.key_url else ""
    return f"Key of {record.name}{where}, not shown: "
