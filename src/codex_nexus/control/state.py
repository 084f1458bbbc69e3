"""What the handlers of the panel's port share."""

from __future__ import annotations

import asyncio

from aiohttp import web

from codex_nexus.control.feed import Feed
from codex_nexus.control.steering import Steering

STEERING: web.AppKey[Steering] = web.AppKey("steering", Steering)
FEED = web.AppKey("feed", Feed)
TOKEN = web.AppKey("token", str)
CHANGING = web.AppKey("changing", asyncio.Lock)
"""Held while the file or the world changes: one change after the other."""
