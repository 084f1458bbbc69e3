"""Request bodies in any packing, never larger than the limit."""

from __future__ import annotations

import asyncio
import gzip
import json
import os
import tracemalloc
import zlib
from collections.abc import AsyncIterator

import pytest
import zstandard

from codex_nexus.errors import RequestError, RequestTooLarge
from codex_nexus.gateway import body as uploads
from codex_nexus.gateway.body import unpacked
from tests.gateway.conftest import Serve
from tests.serving import Served
from tests.upstream import Upstream, finish, sse, text
from tests.waiting import PATIENCE

HELLO = sse([text("hi"), finish()])
BODY = json.dumps({"model": "gpt-5", "input": "héllo " * 100}).encode()
PACKED = {
    "gzip": gzip.compress(BODY),
    "x-gzip": gzip.compress(BODY),
    "GZIP": gzip.compress(BODY),
    "x-gzip, gzip": gzip.compress(gzip.compress(BODY[:100]) + gzip.compress(BODY[100:])),
    "deflate": zlib.compress(BODY),
    "Deflate": zlib.compress(BODY)[2:-4],
    "zstd": zstandard.compress(BODY),
    "identity": BODY,
    "": BODY,
    "gzip, zstd": zstandard.compress(gzip.compress(BODY)),
    "zstd , identity": zstandard.compress(BODY),
}
MIB = 1 << 20


@pytest.mark.parametrize("packing", PACKED)
async def test_a_packed_body_is_understood(gateway: Served, upstream: Upstream, packing: str) -> None:
    upstream.script(HELLO)
    for path in ("/v1/responses", "/responses"):
        reply = await gateway.ask("POST", path, PACKED[packing], {"Content-Encoding": packing})
        assert reply.status == 200, reply
    assert upstream.requests[0].json["messages"][0]["content"] == "héllo " * 100


async def test_a_packed_chat_completion_is_sent_on_unpacked(gateway: Served, upstream: Upstream) -> None:
    upstream.script(HELLO)
    body = zstandard.compress(b'{"model": "scripted", "messages": []}')
    assert (await gateway.ask("POST", "/v1/chat/completions", body, {"Content-Encoding": "zstd"})).status == 200
    assert upstream.requests[0].raw == b'{"model": "scripted", "messages": []}'


async def test_a_stream_of_zstd_frames_without_sizes_is_understood(gateway: Served, upstream: Upstream) -> None:
    upstream.script(HELLO)
    packer = zstandard.ZstdCompressor(write_content_size=False).compressobj()
    body = packer.compress(BODY[:100]) + packer.flush() + zstandard.compress(BODY[100:])
    assert (await gateway.ask("POST", "/v1/responses", body, {"Content-Encoding": "zstd"})).status == 200


async def test_a_body_in_chunks_is_understood(gateway: Served, upstream: Upstream) -> None:
    upstream.script(HELLO)

    async def pieces() -> AsyncIterator[bytes]:
        for n in range(0, len(BODY), 50):
            yield BODY[n : n + 50]
            await asyncio.sleep(0)

    async with gateway.client.post(gateway.url + "/v1/responses", data=pieces()) as response:
        assert response.status == 200


# --- damaged


@pytest.mark.parametrize(
    ("packing", "body"),
    [
        ("gzip", b"not gzip at all"),
        ("gzip", gzip.compress(BODY)[:-10]),
        ("gzip", gzip.compress(BODY)[:50] + b"\x00" * 20 + gzip.compress(BODY)[70:]),
        ("deflate", b"\xff\xff\xff"),
        ("zstd", b"not zstd at all"),
        ("zstd", zstandard.compress(BODY)[:-10]),
        ("gzip, zstd", gzip.compress(BODY)),
        ("gzip", b""),
        ("gzip", gzip.compress(BODY) + b"and more"),
        ("gzip", gzip.compress(b"") * 100),
        ("deflate", b""),
        ("zstd", b""),
    ],
    ids=lambda value: str(value)[:24],
)
async def test_a_damaged_body_is_refused(gateway: Served, packing: str, body: bytes) -> None:
    reply = await gateway.ask("POST", "/v1/responses", body, {"Content-Encoding": packing})
    assert reply.status == 400
    assert reply.error["type"] == "invalid_request_error"
    assert reply.error["code"] in ("invalid_encoding", "invalid_json")


CUTS = {
    "gzip": gzip.compress(BODY),
    "deflate": zlib.compress(BODY),
    "zstd": zstandard.compress(BODY),
    "zstd, of text": zstandard.ZstdCompressor(write_content_size=False).compress(BODY),
    "zstd, with a checksum": zstandard.ZstdCompressor(write_checksum=True).compress(BODY),
    "zstd, of noise": zstandard.compress(os.urandom(500)),
    "zstd, two frames": zstandard.compress(BODY) * 2,
}


@pytest.mark.parametrize("name", CUTS)
def test_a_body_that_was_cut_is_told_as_such_wherever_it_was_cut(name: str) -> None:
    whole, packing = CUTS[name], name.partition(",")[0]
    assert unpacked(whole, packing, MIB)
    ends: set[int] = {len(whole) // 2} if "two" in name else set()
    for size in set(range(1, len(whole))) - ends:
        with pytest.raises(RequestError, match="compressed body is cut or broken") as raised:
            unpacked(whole[:size], packing, MIB)
        assert raised.value.code == "invalid_encoding"


@pytest.mark.parametrize("packing", ["br", "compress", "gzip, br", "snappy", "gzip;q=1"])
async def test_an_unknown_packing_is_refused(gateway: Served, packing: str) -> None:
    reply = await gateway.ask("POST", "/v1/responses", b"x", {"Content-Encoding": packing})
    assert reply.status == 415
    assert "not supported" in reply.error["message"]


# --- too large


def question(size: int) -> bytes:
    """A request of so many bytes."""
    start = b'{"model": "gpt-5", "input": "'
    return start + b"x" * (size - len(start) - 2) + b'"}'


@pytest.mark.parametrize("path", ["/v1/responses", "/v1/chat/completions"])
async def test_a_body_above_the_limit_is_refused(serve: Serve, upstream: Upstream, path: str) -> None:
    gateway = await serve(body_limit_mb=1)
    reply = await gateway.ask("POST", path, question(MIB + 1))
    assert reply.status == 413
    assert reply.error["code"] == "request_too_large"
    assert "1 MiB" in reply.error["message"]
    assert "body_limit_mb" in reply.error["message"]
    assert upstream.requests == []


async def test_a_body_at_the_limit_is_taken(serve: Serve, upstream: Upstream) -> None:
    upstream.script(HELLO)
    gateway = await serve(body_limit_mb=1)
    assert (await gateway.ask("POST", "/v1/responses", question(MIB))).status == 200
    packed = zstandard.compress(question(MIB))
    assert (await gateway.ask("POST", "/v1/responses", packed, {"Content-Encoding": "zstd"})).status == 200


async def test_a_body_without_a_length_is_limited_too(serve: Serve) -> None:
    gateway = await serve(body_limit_mb=1)

    async def pieces() -> AsyncIterator[bytes]:
        for _ in range(40):
            yield b"x" * 65536

    async with gateway.client.post(gateway.url + "/v1/responses", data=pieces()) as response:
        assert response.status == 413


BOMBS = {
    "gzip": gzip.compress(bytes(200 * MIB), compresslevel=1),
    "deflate": zlib.compress(bytes(200 * MIB), level=1),
    "zstd": zstandard.compress(bytes(200 * MIB)),
    "zstd, gzip": gzip.compress(zstandard.compress(bytes(200 * MIB))),
    "gzip, gzip": gzip.compress(gzip.compress(bytes(200 * MIB), compresslevel=1)),
}


@pytest.mark.parametrize("packing", BOMBS)
async def test_a_bomb_is_refused(serve: Serve, packing: str) -> None:
    gateway = await serve(body_limit_mb=2)
    reply = await gateway.ask("POST", "/v1/responses", BOMBS[packing], {"Content-Encoding": packing})
    assert (reply.status, reply.error["code"]) == (413, "request_too_large")


@pytest.mark.parametrize("packing", BOMBS)
def test_a_bomb_does_not_fill_the_memory(packing: str) -> None:
    tracemalloc.start()
    try:
        with pytest.raises(RequestTooLarge):
            unpacked(BOMBS[packing], packing, 2 * MIB)
        assert tracemalloc.get_traced_memory()[1] < 20 * MIB
    finally:
        tracemalloc.stop()


def test_a_window_that_is_too_wide_is_refused() -> None:
    parameters = zstandard.ZstdCompressionParameters(window_log=30, write_content_size=False)
    packer = zstandard.ZstdCompressor(compression_params=parameters).compressobj()
    with pytest.raises(RequestError):
        unpacked(packer.compress(b"x" * 100) + packer.flush(), "zstd", 2 * MIB)


async def test_the_gateway_is_well_after_bad_bodies(serve: Serve, upstream: Upstream) -> None:
    gateway = await serve(body_limit_mb=1)
    upstream.script(HELLO)
    for body, packing in ((question(3 * MIB), ""), (BOMBS["zstd"], "zstd"), (b"x", "br"), (b"x", "gzip")):
        await gateway.ask("POST", "/v1/responses", body, {"Content-Encoding": packing})
    assert (await gateway.stream()).text == "hi"


# --- uploads that stop

HEAD = b"POST %b HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nExpect: 100-continue\r\n%b\r\n\r\n"
STOPPED = {
    "in the middle": (b"Content-Length: 100", b'{"mod'),
    "before its first byte": (b"Content-Length: 100", b""),
    "in a chunk that is broken": (b"Transfer-Encoding: chunked", b'5\r\n{"mod\r\nZZ\r\nxx\r\n'),
}


@pytest.mark.parametrize("path", [b"/v1/responses", b"/v1/chat/completions", b"/v1/conversations"])
@pytest.mark.parametrize("case", STOPPED)
async def test_an_upload_that_stops_is_ended(
    gateway: Served, path: bytes, case: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(uploads, "IDLE_S", 0.3)
    header, sent = STOPPED[case]
    reader, writer = await asyncio.open_connection("127.0.0.1", gateway.listener.port)
    try:
        writer.write(HEAD % (path, header))
        async with asyncio.timeout(PATIENCE):
            assert await reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
            writer.write(sent)
            head = await reader.readuntil(b"\r\n\r\n")
            said = await reader.readuntil(b"}}")
    finally:
        writer.close()
    assert head.startswith(b"HTTP/1.1 408 ")
    assert b"connection: close" in head.lower()
    assert json.loads(said)["error"]["code"] == "request_timeout"


async def test_an_upload_that_is_slow_is_waited_for(
    gateway: Served, upstream: Upstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(uploads, "IDLE_S", 2.0)
    upstream.script(HELLO)

    async def pieces() -> AsyncIterator[bytes]:
        for start in range(0, len(BODY), len(BODY) // 12):
            yield BODY[start : start + len(BODY) // 12]
            await asyncio.sleep(0.2)

    async with gateway.client.post(gateway.url + "/v1/responses", data=pieces()) as response:
        assert response.status == 200
