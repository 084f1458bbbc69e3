"""Which way requests to a provider leave this machine, and what decides it. Opens no connection."""

from __future__ import annotations

import os
import re
import urllib.request
from functools import lru_cache
from typing import Literal

from msgspec import Struct

from codex_nexus.snapshot import Snapshot

Why = Literal["provider", "all", "environment", "system", "exempt", "this_machine", "none"]

_CREDENTIALS = re.compile(r"(?<=://)\S*@")


class Road(Struct, frozen=True):
    """The way to one provider.

    Attributes:
        why: its own entry in `provider_proxies`, `outbound_proxy`, a variable, the system's settings; or why there is
            no proxy: it is exempt from one, it runs on this machine, nobody names one.
        place: the key or variable that says so; empty when none does.
        proxy: URL, perhaps with a password; empty: directly.
    """

    why: Why
    place: str = ""
    proxy: str = ""

    @property
    def shown(self) -> str:
        """The proxy's URL as it may be shown."""
        return _CREDENTIALS.sub("…@", self.proxy)


def road_to(provider_id: str, snapshot: Snapshot) -> Road:
    """The provider's own way, else ours for all, else the environment's.

    This machine is asked directly, unless its own entry says otherwise or our proxy for all runs here, too: one that
    runs elsewhere cannot lead back to it. `NO_PROXY` speaks of the environment's proxies alone.
    """
    config = snapshot.config
    own = config.provider_proxies.get(provider_id)
    if own is not None:
        return Road("provider", f"provider_proxies.{provider_id}", "" if own == "direct" else own)
    url = snapshot.catalogue.providers[provider_id].base_url
    if not config.outbound_proxy:
        return _of_environment(url)
    if _is_here(url) and not _is_here(config.outbound_proxy):
        return Road("this_machine")
    return Road("all", "outbound_proxy", config.outbound_proxy)


@lru_cache(maxsize=256)
def _of_environment(url: str) -> Road:
    proxies = urllib.request.getproxies()
    name = next((name for name in (url.partition("://")[0], "all") if proxies.get(name)), "")
    if not name:
        return Road("none")
    if _is_here(url):
        return Road("this_machine")
    if urllib.request.proxy_bypass(_host(url)):
        return Road("exempt", _variable("no_proxy"))
    proxy, place = proxies[name], _variable(f"{name}_proxy")
    return Road("environment" if place else "system", place, proxy if "://" in proxy else f"http://{proxy}")


def _variable(name: str) -> str:
    """The variable as it is spelt in the environment; empty: the system's settings say it."""
    return next((spelt for spelt in (name, name.upper()) if os.environ.get(spelt)), "")


def _host(url: str) -> str:
    return url.partition("://")[2].partition("/")[0].rpartition("@")[2]


def _is_here(url: str) -> bool:
    name = _host(url).rsplit(":", 1)[0].strip("[]")
    return name in ("localhost", "::1") or name.startswith("127.")
