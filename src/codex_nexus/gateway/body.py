"""Request bodies as bytes, whatever their packing, never larger than the limit."""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import Callable

import zstandard
from aiohttp import web

from codex_nexus.errors import RequestError, RequestTooLarge

IDLE_S = 60.0
"""So long the next piece of an upload may take. One that is broken in its chunks never comes."""
_PIECE = 1 << 20
_MEMBERS = 64
"""Each costs a copy of all that follows it."""


async def read_body(request: web.Request, limit: int) -> bytes:
    """The body, unpacked.

    Raises:
        RequestTooLarge: it is larger than `limit` bytes, packed or unpacked.
        RequestError: its packing is unknown or damaged, or it does not come.
    """
    body = await _whole(request, limit)
    packing = request.headers.get("Content-Encoding", "identity").lower()
    return body if packing in ("identity", "") else unpacked(body, packing, limit)


async def _whole(request: web.Request, limit: int) -> bytes:
    if (request.content_length or 0) > limit:
        raise _too_large(limit)
    pieces: list[bytes] = []
    size = 0
    now = asyncio.get_running_loop().time
    try:
        async with asyncio.timeout(IDLE_S) as patience:
            while piece := await request.content.readany():
                size += len(piece)
                if size > limit:
                    raise _too_large(limit)
                pieces.append(piece)
                patience.reschedule(now() + IDLE_S)
    except TimeoutError:
        raise RequestError(
            f"The request body did not come: nothing of it arrived for {IDLE_S:g} s.",
            status=408,
            code="request_timeout",
            headers={"Connection": "close"},
        ) from None
    return pieces[0] if len(pieces) == 1 else b"".join(pieces)


def unpacked(body: bytes, packing: str, limit: int) -> bytes:
    """The body without its packing (`gzip`, `deflate`, `zstd`, or several, applied in order)."""
    for name in reversed([part.strip() for part in packing.split(",")]):
        unpack = _UNPACKERS.get(name)
        if unpack is None:
            raise RequestError(f"The content encoding '{name}' is not supported; send gzip, zstd or none.", status=415)
        try:
            body = unpack(body, limit)
        except (zlib.error, zstandard.ZstdError, EOFError) as error:
            raise RequestError(
                f"The compressed body is cut or broken: it is not valid {name} ({error}).", code="invalid_encoding"
            ) from None
    return body


def _too_large(limit: int) -> RequestTooLarge:
    return RequestTooLarge(
        f"The request body is larger than {limit >> 20} MiB, the limit of this gateway. "
        "Raise 'body_limit_mb' in config.json, or start a new thread.",
        code="request_too_large",
    )


def _gzip(body: bytes, limit: int) -> bytes:
    """One member after another, as the format allows."""
    pieces: list[bytes] = []
    left = limit
    while body or not pieces:
        if len(pieces) == _MEMBERS:
            raise EOFError(f"it has more than {_MEMBERS} members")
        piece, body = _inflated(body, 16 + zlib.MAX_WBITS, left)
        pieces.append(piece)
        left -= len(piece)
        if left < 0:
            raise _too_large(limit)
    return b"".join(pieces)


def _deflate(body: bytes, limit: int) -> bytes:
    """Many clients leave out the zlib header that the name stands for."""
    headed = len(body) > 1 and body[0] & 0x0F == zlib.DEFLATED and int.from_bytes(body[:2], "big") % 31 == 0
    data, _ = _inflated(body, zlib.MAX_WBITS if headed else -zlib.MAX_WBITS, limit)
    if len(data) > limit:
        raise _too_large(limit)
    return data


def _inflated(body: bytes, window: int, limit: int) -> tuple[bytes, bytes]:
    """What is packed, but not much more than `limit` bytes of it, and what follows it."""
    reader = zlib.decompressobj(window)
    data = reader.decompress(body, limit + 1)
    if len(data) <= limit and not reader.eof:
        raise EOFError("it ends too early")
    return data, reader.unused_data


_END = b"codex-nexus: end"
_END_FRAME = zstandard.ZstdCompressor(write_checksum=True).compress(_END)
"""The library does not tell whether the last frame is whole. This one behind it comes out only if it is."""


def _zstd(body: bytes, limit: int) -> bytes:
    unpacker = zstandard.ZstdDecompressor(max_window_size=1 << 27)
    reader = unpacker.stream_reader(body + _END_FRAME, read_across_frames=True)
    pieces: list[bytes] = []
    size = -len(_END)
    while piece := reader.read(_PIECE):
        size += len(piece)
        if size > limit:
            raise _too_large(limit)
        pieces.append(piece)
    data = b"".join(pieces)
    if not data.endswith(_END):
        raise EOFError("it ends too early")
    return data[: -len(_END)]


_UNPACKERS: dict[str, Callable[[bytes, int], bytes]] = {
    "gzip": _gzip,
    "x-gzip": _gzip,
    "deflate": _deflate,
    "zstd": _zstd,
    "identity": lambda body, _: body,
}
