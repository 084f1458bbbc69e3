"""The page `docs/providers.md`, made from the catalogue: python -m codex_nexus.providers.document docs/providers.md."""

from __future__ import annotations

import sys
from pathlib import Path

from codex_nexus.errors import NexusError
from codex_nexus.providers.catalogue import Catalogue, ProviderRecord, shipped

_HEAD = """\
# Providers

Made from [providers.json](../src/codex_nexus/providers/providers.json) by
`python -m codex_nexus.providers.document docs/providers.md`; a test keeps it up to date. How to change a record or add
one: [configuration](configuration.md#your-own-providers).

| id | provider | address | default model | models known | key |
|---|---|---|---|---|---|
"""
_NOTE = """
"Models known" have a record with their context window; whatever else a provider lists can be asked for as well. A local
server says itself what it has. `{resource}` or `{workspace}` in an address is for you to fill in.

## Other addresses

Choose one in the panel, or write it into `config.json`: `"provider_addresses": {"kimi": "https://api.moonshot.cn/v1"}`.

| id | which | address |
|---|---|---|
"""
_MODELS = """
## Models

A dash: not known; the provider's own list, or a refusal, tells it at run time.

| provider | model | context window | largest output | images |
|---|---|---|---|---|
"""


def page(catalogue: Catalogue) -> str:
    """The whole page as Markdown."""
    records = list(catalogue.providers.values())
    lines = [_HEAD, *(_row(record) for record in records), _NOTE]
    lines += [
        f"| `{record.id}` | {which} | `{url}` |\n" for record in records for which, url in record.other_urls.items()
    ]
    return "".join([*lines, _MODELS, *(_models(record) for record in records)])


def _row(record: ProviderRecord) -> str:
    address = f"`{record.base_url}`" if record.base_url else "`custom_upstream`"
    default = f"`{record.default_model}`" if record.default_model else "the first it lists"
    none = "none needed" if record.base_url else "if it wants one"
    key = f"[get one]({record.key_url})" if record.key_url and not record.local else none
    return f"| `{record.id}` | {record.name} | {address} | {default} | {len(record.models) or '-'} | {key} |\n"


def _models(record: ProviderRecord) -> str:
    rows = (
        f"| `{record.id}` | `{model.id}` | {_count(model.context_window)} | {_count(model.max_output)} "
        f"| {'yes' if model.images else 'no'} |\n"
        for model in record.models
    )
    return "".join(rows)


def _count(number: int | None) -> str:
    return "-" if number is None else f"{number:,}"


def main(arguments: list[str]) -> str | None:
    """Writes the page; gives what went wrong."""
    if len(arguments) != 1:
        return "Which file? Usage: python -m codex_nexus.providers.document docs/providers.md"
    try:
        Path(arguments[0]).write_text(page(shipped()), "utf-8")
    except NexusError as error:
        return error.message
    except OSError as error:
        return f"{arguments[0]} cannot be written: {error.strerror or error}."
    return None


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
