"""What servers tell of their models at endpoints of their own, read as the provider's record says.

A path leads into a JSON answer: keys (globs) or `*` for every element, divided by `/`. After it, `=text` asks whether a
value is this text, `#regex` takes a number out of one.
"""

from __future__ import annotations

import asyncio
import json
import logging
import re
from fnmatch import fnmatchcase
from typing import Any

import aiohttp
from msgspec import Struct

from codex_nexus.providers.catalogue import FactSource, ProviderRecord
from codex_nexus.wire import codec

log = logging.getLogger("codex_nexus.models")

_MOST_MODELS = 64
_AT_ONCE = 8
_LARGEST = 4 << 20


class Facts(Struct):
    """What is known of one model.

    Attributes:
        context_window: tokens, as the server was started.
        limit: tokens that the model could hold.
        images: whether it takes images.
    """

    context_window: int | None = None
    limit: int | None = None
    images: bool | None = None


class Asking(Struct, frozen=True):
    """How a provider's endpoints are asked."""

    session: aiohttp.ClientSession
    record: ProviderRecord
    headers: dict[str, str]
    options: dict[str, Any]
    timeout_s: float


async def facts_of(asking: Asking, ids: tuple[str, ...]) -> dict[str, Facts]:
    """The facts by model id, the first source that knows one wins; what cannot be asked is not known."""
    gate = asyncio.Semaphore(_AT_ONCE)
    jobs: list[tuple[FactSource, str]] = []
    for source in asking.record.fact_sources:
        jobs += [(source, model) for model in ids[:_MOST_MODELS]] if source.ask else [(source, "")]
    found: dict[str, Facts] = {}
    for (source, model), answer in zip(
        jobs, await asyncio.gather(*(_ask(asking, gate, *job) for job in jobs)), strict=True
    ):
        for name, fields in _about(source, answer, (model,) if model else ids):
            _add(found.setdefault(name, Facts()), source, fields)
    return found


async def _ask(asking: Asking, gate: asyncio.Semaphore, source: FactSource, model: str) -> Any:
    """The answer, or None."""
    url = asking.record.base_url.rstrip("/").removesuffix("/v1") + source.path
    body = json.dumps({name: value.replace("{model}", model) for name, value in source.ask.items()})
    request = {"method": "POST", "data": body} if source.ask else {"method": "GET"}
    try:
        async with (
            asyncio.timeout(asking.timeout_s),
            gate,
            asking.session.request(
                url=url, headers=asking.headers, allow_redirects=False, **request, **asking.options
            ) as reply,
        ):
            return codec.decode_lenient(await _whole(reply)) if reply.status == 200 else None
    except (TimeoutError, aiohttp.ClientError, OSError, ValueError) as error:
        log.debug("%s tells nothing at %s: %r", asking.record.name, source.path, error)
        return None


async def _whole(reply: aiohttp.ClientResponse) -> bytes:
    body = b""
    while len(body) < _LARGEST and (piece := await reply.content.readany()):
        body += piece
    return body


def _about(source: FactSource, answer: Any, ids: tuple[str, ...]) -> list[tuple[str, Any]]:
    """The parts of an answer by the model that they are about."""
    if answer is None:
        return []
    if not source.models:
        return [(name, answer) for name in ids]
    told: list[tuple[str, Any]] = []
    for entries in found_at(answer, source.models):
        for entry in codec.as_list(entries) or []:
            names = {name for path in source.id for name in found_at(entry, path)}
            told += [(name, entry) for name in ids if name in names]
    return told


def _add(facts: Facts, source: FactSource, fields: Any) -> None:
    facts.context_window = facts.context_window or number_at(fields, source.window)
    facts.limit = facts.limit or number_at(fields, source.limit)
    facts.images = truth_at(fields, source.images) if facts.images is None else facts.images


def found_at(value: Any, path: str) -> list[Any]:
    """Every value to which the path leads."""
    here = [value]
    for step in path.split("/"):
        here = [child for parent in here for child in _children(parent, step)]
    return here


def _children(value: Any, step: str) -> list[Any]:
    fields = codec.as_object(value)
    if fields is None:
        return list(codec.as_list(value) or []) if step == "*" else []
    return [child for name, child in fields.items() if fnmatchcase(name, step)]


def number_at(value: Any, paths: tuple[str, ...]) -> int | None:
    """The first number that one of the paths leads to."""
    for path in paths:
        plain, _, pattern = path.partition("#")
        for found in found_at(value, plain):
            if pattern and isinstance(found, str):
                match = re.search(pattern, found)
                found = int(match.group(1)) if match else None  # noqa: PLW2901 - the number in the text
            if isinstance(found, int) and not isinstance(found, bool) and found > 0:
                return found
    return None


def truth_at(value: Any, paths: tuple[str, ...]) -> bool | None:
    """Whether one of the paths leads to something true; None: none leads anywhere."""
    known = False
    for path in paths:
        plain, equals, wanted = path.partition("=")
        found = found_at(value, plain)
        known = known or bool(found)
        if any(one == wanted if equals else one is True for one in found):
            return True
    return False if known else None
