"""The panel's endpoints that read and change the configuration and the services."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from aiohttp import web
from msgspec import Struct

from codex_nexus.config import file as config_file
from codex_nexus.config.model import Config, described
from codex_nexus.control.masks import shown
from codex_nexus.control.replies import json_body, object_of, problems_reply, reply, text_of
from codex_nexus.control.settings import (
    Stored,
    as_file,
    check_tag,
    difference,
    read_stored,
    set_back,
    wanted,
)
from codex_nexus.control.state import CHANGING, FEED, STEERING, TOKEN
from codex_nexus.control.steering import Steering
from codex_nexus.errors import ConfigError, NexusError
from codex_nexus.providers.catalogue import ProviderRecord
from codex_nexus.snapshot import Snapshot


async def session(request: web.Request) -> web.Response:
    """`GET /nexus-ctrl/session`: the token without which nothing can be changed."""
    return reply({"token": request.app[TOKEN]})


async def get_config(request: web.Request) -> web.Response:
    """`GET /nexus-ctrl/config`: the file with masked keys, and all providers."""
    steering = request.app[STEERING]
    stored = read_stored(steering.home)
    return _config_reply(steering, stored)


def _config_reply(steering: Steering, stored: Stored, **more: Any) -> web.Response:
    world = steering.snapshot
    body: dict[str, Any] = {
        "config": shown(stored.config),
        "etag": stored.tag,
        "path": str(steering.home / "config.json"),
        "fresh": stored.fresh,
        "unknown": list(stored.unknown),
        "problems": ([stored.broken] if stored.broken else []) + stored.problems,
        "overridden": dict(steering.overridden),
        "defaults": shown(Config()),
        "descriptions": described(),
        "providers": [_provider(record, world) for record in world.catalogue.providers.values()],
        "address": steering.address,
        "panel": steering.panel_address,
        "command": steering.command,
        "codex_found": steering.codex_found,
    }
    return reply(body | more, headers={"ETag": stored.tag})


class _Model(Struct):
    id: str
    name: str
    context_window: int | None
    images: bool
    price: tuple[float, float, float] | None


def _provider(record: ProviderRecord, world: Snapshot) -> dict[str, Any]:
    return {
        "id": record.id,
        "name": record.name,
        "address": record.base_url,
        "other_addresses": record.other_urls,
        "local": record.local,
        "key_url": record.key_url,
        "has_key": bool(world.keys.get(record.id)),
        "shared_key": bool(world.shared_key),
        "default_model": record.default_model,
        "mapping": record.mapping,
        "models": [_Model(m.id, m.name, m.context_window, m.images, m.price) for m in record.models],
    }


async def post_config(request: web.Request) -> web.Response:
    """`POST /nexus-ctrl/config`: checks, saves and, with `restart`, applies at once.

    The page sends a whole configuration as `config`; keys beside `restart` change only themselves.
    """
    steering, fields = request.app[STEERING], await json_body(request)
    async with request.app[CHANGING]:
        stored = read_stored(steering.home)
        check_tag(request.headers.get("If-Match"), stored)
        whole = "config" in fields or not fields
        sent = object_of(fields, "config") if whole else stored.raw | _but(fields, "restart")
        try:
            config = wanted(sent, stored, steering.snapshot.catalogue)
            _check_port(config, steering)
            if fields.get("restart") is True:
                await steering.apply(config, stored.unknown)
            else:
                config_file.save(steering.home, config, stored.unknown)
        except ConfigError as error:
            return problems_reply(error.problems)
        except NexusError as error:
            raise _not_applied(error) from None
        return _config_reply(steering, read_stored(steering.home))


def _but(fields: dict[str, Any], name: str) -> dict[str, Any]:
    return {key: value for key, value in fields.items() if key != name}


def _check_port(config: Config, steering: Steering) -> None:
    if config.port and steering.panel_address.endswith(f":{config.port}"):
        raise ConfigError("config.json", [f"port: {config.port} is the control panel's own port; choose another."])


def _not_applied(error: NexusError) -> NexusError:
    return NexusError(
        f"{error.message} Nothing was changed; the gateway runs on as before.",
        status=409,
        type="invalid_request_error",
        code=error.code or "not_applied",
    )


async def reset(request: web.Request) -> web.Response:
    """`POST /nexus-ctrl/config/reset`: the defaults, applied at once; the file before is kept as a backup."""
    steering = request.app[STEERING]
    async with request.app[CHANGING]:
        backup = set_back(steering.home)
        try:
            await steering.apply(Config(), {})
        except NexusError as error:
            raise _not_applied(error) from None
        return _config_reply(steering, read_stored(steering.home), backup=backup)


async def reload(request: web.Request) -> web.Response:
    """`POST /nexus-ctrl/reload`: takes over what stands in the files; `path` is the `config.json` that is meant."""
    steering, fields = request.app[STEERING], await json_body(request)
    path, own = text_of(fields, "path"), steering.home / "config.json"
    if path and not _is_same(path, own):
        said = f"The gateway at {steering.address or steering.panel_address} reads another file: {own}."
        raise NexusError(said, status=409, type="invalid_request_error", code="another_file")
    async with request.app[CHANGING]:
        try:
            changed = await steering.reload()
        except NexusError as error:
            raise _not_applied(error) from None
    return reply({"changed": changed, "address": steering.address, "overridden": list(steering.overridden)})


def _is_same(path: str, own: Path) -> bool:
    return Path(path).resolve() == own.resolve()


async def status(request: web.Request) -> web.Response:
    """`GET /nexus-ctrl/status`."""
    feed = request.app[FEED]
    store = await request.app[STEERING].store()
    return reply(feed.status() | {"recent": feed.turns(), "store": store})


async def events(request: web.Request) -> web.StreamResponse:
    """`GET /nexus-ctrl/events`."""
    return await request.app[FEED].serve(request)


async def preview(request: web.Request) -> web.Response:
    """`POST /nexus-ctrl/preview`: what a save and an injection would write."""
    steering, fields = request.app[STEERING], await json_body(request)
    stored = read_stored(steering.home)
    try:
        config = wanted(object_of(fields, "config"), stored, steering.snapshot.catalogue)
    except ConfigError as error:
        return problems_reply(error.problems)
    after = as_file(config, stored.unknown)
    before = "" if stored.tag == '"none"' else as_file(stored.config, stored.unknown)
    file = {"path": str(steering.home / "config.json"), "text": after, "diff": difference(before, after)}
    return reply({"config_json": file, "config_toml": steering.planned(config), "injection": steering.injection()})


async def inject(request: web.Request) -> web.Response:
    """`POST /nexus-ctrl/inject`."""
    steering = request.app[STEERING]
    async with request.app[CHANGING]:
        said = await steering.inject()
    return reply({"said": said, "injection": steering.injection()})


async def eject(request: web.Request) -> web.Response:
    """`POST /nexus-ctrl/eject`."""
    steering = request.app[STEERING]
    async with request.app[CHANGING]:
        said = await steering.eject()
    return reply({"said": said, "injection": steering.injection()})


async def start(request: web.Request) -> web.Response:
    """`POST /nexus-ctrl/start`: starts a gateway that did not start by itself."""
    steering = request.app[STEERING]
    async with request.app[CHANGING]:
        await steering.open_gateway()
    return reply({"address": steering.address})


async def shutdown(request: web.Request) -> web.Response:
    """`POST /nexus-ctrl/shutdown`: running answers may finish, then the program ends."""
    request.app[STEERING].shut_down()
    return reply({"stopping": True, "at": time.time()})
