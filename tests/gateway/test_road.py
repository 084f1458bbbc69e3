"""Which way a provider is asked, what decides it, and how it is shown."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from codex_nexus.gateway import road
from codex_nexus.gateway.road import Road, road_to
from tests.worlds import providers, world

REMOTE = providers(
    away={"base_url": "https://away.example/v1"},
    near={"base_url": "http://127.0.0.1:8000/v1"},
)


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """No proxy but those that a test sets."""
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    road._of_environment.cache_clear()
    yield
    road._of_environment.cache_clear()


@pytest.mark.parametrize(
    ("config", "variables", "provider", "expected"),
    [
        ({}, {}, "away", Road("none")),
        ({"provider_proxies": {"away": "direct"}}, {}, "away", Road("provider", "provider_proxies.away")),
        (
            {"provider_proxies": {"away": "socks5://p:1"}, "outbound_proxy": "http://q:2"},
            {"HTTPS_PROXY": "http://r:3"},
            "away",
            Road("provider", "provider_proxies.away", "socks5://p:1"),
        ),
        ({"outbound_proxy": "http://q:2"}, {}, "away", Road("all", "outbound_proxy", "http://q:2")),
        ({"outbound_proxy": "http://q:2"}, {}, "near", Road("this_machine")),
        ({"outbound_proxy": "http://[::1]:2"}, {}, "near", Road("all", "outbound_proxy", "http://[::1]:2")),
        ({}, {"HTTPS_PROXY": "http://r:3"}, "away", Road("environment", "HTTPS_PROXY", "http://r:3")),
        ({}, {"https_proxy": "r:3"}, "away", Road("environment", "https_proxy", "http://r:3")),
        ({}, {"ALL_PROXY": "socks5h://r:3"}, "away", Road("environment", "ALL_PROXY", "socks5h://r:3")),
        ({}, {"HTTPS_PROXY": "http://r:3", "NO_PROXY": ".example"}, "away", Road("exempt", "NO_PROXY")),
        ({}, {"HTTP_PROXY": "http://r:3"}, "near", Road("this_machine")),
        ({}, {"NO_PROXY": "*"}, "away", Road("none")),
    ],
)  # fmt: skip
def test_who_decides(
    monkeypatch: pytest.MonkeyPatch, config: dict[str, object], variables: dict[str, str], provider: str, expected: Road
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert road_to(provider, world(config, REMOTE)) == expected


def test_the_settings_of_the_system_are_named_as_such(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(road.urllib.request, "getproxies", lambda: {"https": "http://r:3"})
    assert road_to("away", world({}, REMOTE)) == Road("system", "", "http://r:3")


@pytest.mark.parametrize("secret", ["me:word", "me:w@rd", "me:w/rd", "token"])
def test_a_password_is_not_shown(secret: str) -> None:
    assert Road("all", "outbound_proxy", f"http://{secret}@proxy.example:3128").shown == "http://…@proxy.example:3128"
