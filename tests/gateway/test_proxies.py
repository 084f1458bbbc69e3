"""Proxies on the road to providers: whose word counts, and that they are used."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest

from codex_nexus.gateway import road
from codex_nexus.gateway.connections import proxy_of
from tests.gateway.conftest import Serve
from tests.gateway.refusals import HELLO, told, unused_port
from tests.upstream import Upstream
from tests.worlds import providers, world


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., None]]:
    """Sets the proxies of the environment; without a call there are none."""
    names = ("http_proxy", "https_proxy", "all_proxy", "no_proxy")
    for name in names:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)

    def put(**variables: str) -> None:
        for name, value in variables.items():
            monkeypatch.setenv(name, value)

    road._of_environment.cache_clear()
    yield put
    road._of_environment.cache_clear()


REMOTE = providers(
    away={"base_url": "https://away.example/v1"},
    plain={"base_url": "http://plain.example:8080/v1"},
    near={"base_url": "http://127.0.0.1:8000/v1"},
    name={"base_url": "http://localhost:8000/v1"},
    six={"base_url": "http://[::1]:8000/v1"},
)


def proxy(provider: str, **config: Any) -> str:
    """The proxy towards a provider."""
    return proxy_of(provider, world(config, REMOTE))


def test_without_any_word_there_is_no_proxy(environment: Callable[..., None]) -> None:
    assert not proxy("away")


def test_the_providers_own_proxy_comes_first(environment: Callable[..., None]) -> None:
    environment(HTTPS_PROXY="http://env:1")
    config = {"outbound_proxy": "http://all:2", "provider_proxies": {"away": "socks5://own:3", "plain": "direct"}}
    assert proxy("away", **config) == "socks5://own:3"
    assert not proxy("plain", **config)
    assert not proxy("near", **config), "a proxy elsewhere cannot lead back to this machine"
    assert proxy("near", outbound_proxy="http://127.0.0.1:2") == "http://127.0.0.1:2"


def test_the_environments_proxy_comes_last(environment: Callable[..., None]) -> None:
    environment(HTTPS_PROXY="http://env:1", http_proxy="http://env:2", NO_PROXY="plain.example")
    assert proxy("away") == "http://env:1"
    assert not proxy("plain")


def test_all_proxy_is_read(environment: Callable[..., None]) -> None:
    environment(ALL_PROXY="socks5h://env:1")
    assert proxy("away") == "socks5h://env:1"


@pytest.mark.parametrize("provider", ["near", "name", "six"])
def test_the_environments_proxy_is_not_for_this_machine(environment: Callable[..., None], provider: str) -> None:
    environment(HTTP_PROXY="http://env:1", ALL_PROXY="http://env:2")
    assert not proxy(provider)


async def test_an_http_proxy_is_used(serve: Serve, other_upstream: Upstream) -> None:
    other_upstream.script(HELLO)  # plays the proxy
    gateway = await serve(
        providers(away={"base_url": "http://away.invalid/v1", "default_model": "m"}),
        provider="away",
        outbound_proxy=f"http://127.0.0.1:{other_upstream.port}",
    )
    assert (await gateway.stream()).text == "hi"
    assert other_upstream.requests[0].headers["host"] == "away.invalid"


@pytest.fixture
async def socks(upstream: Upstream) -> AsyncIterator[tuple[int, list[str]]]:
    """A SOCKS5 proxy that leads everything to the scripted provider, and the names that it was asked for."""
    asked: list[str] = []

    async def serve_one(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        _, count = await reader.readexactly(2)
        await reader.readexactly(count)
        writer.write(b"\x05\x00")
        _, _, _, kind = await reader.readexactly(4)
        assert kind == 3, "the name must be resolved by the proxy"
        [length] = await reader.readexactly(1)
        asked.append((await reader.readexactly(length)).decode())
        await reader.readexactly(2)
        writer.write(b"\x05\x00\x00\x01" + bytes(4) + struct.pack("!H", 0))
        there, back = await asyncio.open_connection("127.0.0.1", upstream.port)
        await asyncio.gather(_pour(reader, back), _pour(there, writer))

    async with await asyncio.start_server(serve_one, "127.0.0.1", 0) as server:
        yield server.sockets[0].getsockname()[1], asked


async def _pour(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
    while piece := await source.read(65536):
        sink.write(piece)
        await sink.drain()
    sink.close()


@pytest.mark.parametrize("scheme", ["socks5", "socks5h"])
async def test_a_socks_proxy_is_used(
    serve: Serve, upstream: Upstream, socks: tuple[int, list[str]], scheme: str
) -> None:
    pytest.importorskip("aiohttp_socks")
    upstream.script(HELLO)
    port, asked = socks
    gateway = await serve(
        providers(away={"base_url": "http://away.invalid/v1", "default_model": "m"}),
        provider="away",
        provider_proxies={"away": f"{scheme}://127.0.0.1:{port}"},
    )
    assert (await gateway.stream()).text == "hi"
    assert asked == ["away.invalid"]


async def test_a_proxy_that_cannot_be_reached_is_told(serve: Serve) -> None:
    gateway = await serve(outbound_proxy=f"http://user:proxy-password@127.0.0.1:{unused_port()}")
    reply = await gateway.create()
    assert told(reply) == (502, "server_error", "upstream_unreachable")
    assert "proxy-password" not in reply.error["message"]
