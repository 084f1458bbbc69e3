"""The panel's endpoints for recorded turns: which there are, one of them, and how many are kept."""

from __future__ import annotations

import re

from aiohttp import web

from codex_nexus.config.model import MOST_TRACES
from codex_nexus.control.replies import json_body, reply
from codex_nexus.control.state import STEERING
from codex_nexus.errors import InvalidRequest, NotFound

_NAME = re.compile(r"[\w-]{1,80}", re.ASCII)


async def listed(request: web.Request) -> web.Response:
    """`GET /nexus-ctrl/traces`: the recorded turns, oldest first."""
    records = request.app[STEERING].records
    return reply({"keep": records.keep, "most": MOST_TRACES, "traces": await records.listed()})


async def one(request: web.Request) -> web.Response:
    """`GET /nexus-ctrl/traces/{id}`: one of them as a JSON document; `?words=1` leaves the words in it."""
    name = request.match_info["id"]
    told = None
    if _NAME.fullmatch(name):
        told = await request.app[STEERING].records.told(name, words=request.query.get("words") == "1")
    if told is None:
        raise NotFound("This turn is not recorded, or newer ones have taken its place.", code="not_recorded")
    return web.Response(body=told, content_type="application/json")


async def switch(request: web.Request) -> web.Response:
    """`POST /nexus-ctrl/traces`: how many turns are kept from now on, in this process."""
    keep = (await json_body(request)).get("keep")
    if not isinstance(keep, int) or isinstance(keep, bool) or not 0 <= keep <= MOST_TRACES:
        raise InvalidRequest(f"'keep' must be a number from 0 to {MOST_TRACES}.", "keep")
    await request.app[STEERING].records.switch(keep)
    return await listed(request)
