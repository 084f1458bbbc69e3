"""A Codex command line that uses the gateway for one process and writes nothing into the Codex home."""

from __future__ import annotations

import re
import tomllib
from itertools import pairwise

from codex_nexus.codex_home.wish import PROVIDER, Wish, quoted
from codex_nexus.errors import InvalidRequest

TOKEN_VARIABLE = "CODEX_NEXUS_TOKEN"  # noqa: S105 - the name of a variable
_CODEX = re.compile(r"codex(-(?!nexus)[\w-]+)?(@[\w.-]+)?(\.(exe|cmd|bat|ps1|js))?", re.IGNORECASE)
_MODEL_FLAG = re.compile(r"(-m|--model)(=|$)|-m\S|(-c|--config)=?\s*model\s*=", re.DOTALL)
_MODEL_VALUE = re.compile(r"\s*model\s*=")


def command_with(command: list[str], wish: Wish, catalogue: str) -> list[str]:
    """The command with our overrides right behind the name of the program.

    Args:
        command: what the user typed; the program may have others before it, such as `npx`.
        wish: where the gateway is; its token is not written, it goes through `CODEX_NEXUS_TOKEN`.
        catalogue: a file with the models; empty: Codex asks the gateway, and keeps what it hears in its home.

    Raises:
        InvalidRequest: there is no Codex in the command.
    """
    at = next((n for n, word in enumerate(command) if _CODEX.fullmatch(re.split(r"[\\/]", word)[-1])), None)
    if at is None:
        raise InvalidRequest("There is no codex in this command; write: codex-nexus run -- codex ...")
    named = _names_model(command[at + 1 :])
    flags = [part for pair in _values(wish, catalogue, named=named) for part in ("-c", pair)]
    return [*command[: at + 1], *flags, *command[at + 1 :]]


def _values(wish: Wish, catalogue: str, *, named: bool) -> list[str]:
    provider: dict[str, str | int] = {**wish.fixed(), **wish.tunable(), "env_key": TOKEN_VARIABLE}
    del provider["experimental_bearer_token"]
    values: dict[str, str | int] = {"model_provider": PROVIDER}
    values |= {f"model_providers.{PROVIDER}.{key}": value for key, value in provider.items()}
    values |= {"model_catalog_json": catalogue} if catalogue else {}
    values |= {"model": wish.model} if wish.model and not named else {}
    return [f"{key}={_bare(value)}" for key, value in values.items()]


def _bare(value: str | int) -> str:
    """The value without quotes where Codex takes it as a text all the same: shells of Windows spoil quotes."""
    try:
        tomllib.loads(f"value = {value}")
    except tomllib.TOMLDecodeError:
        return str(value)
    return quoted(value)


def _names_model(words: list[str]) -> bool:
    """Whether the user asks for a model."""
    for word, following in pairwise([*words, ""]):
        if word == "--":
            return False
        if _MODEL_FLAG.match(word) or (word in ("-c", "--config") and _MODEL_VALUE.match(following)):
            return True
    return False
