"""Request bodies as bytes, whatever their packing, never larger than the limit."""

from __future__ import annotations

import zlib
from collections.abc import Callable

import zstandard
from aiohttp import web

from codex_nexus.errors import RequestError, RequestTooLarge

_PIECE = 1 << 20


async def read_body(request: web.Request, limit: int) -> bytes:
    """The body, unpacked.

    Raises:
        RequestTooLarge: it is larger than `limit` bytes, packed or unpacked.
        RequestError: its packing is unknown or damaged.
    """
    if (request.content_length or 0) > limit:
        raise _too_large(limit)
    pieces: list[bytes] = []
    size = 0
    while piece := await request.content.readany():
        size += len(piece)
        if size > limit:
            raise _too_large(limit)
        pieces.append(piece)
    body = pieces[0] if len(pieces) == 1 else b"".join(pieces)
    packing = request.headers.get("Content-Encoding", "identity").lower()
    return body if packing in ("identity", "") else unpacked(body, packing, limit)


def unpacked(body: bytes, packing: str, limit: int) -> bytes:
    """The body without its packing (`gzip`, `deflate`, `zstd`, or several, applied in order)."""
    for name in reversed([part.strip() for part in packing.split(",")]):
        unpack = _UNPACKERS.get(name)
        if unpack is None:
            raise RequestError(f"The content encoding '{name}' is not supported; send gzip, zstd or none.", status=415)
        try:
            body = unpack(body, limit)
        except (zlib.error, zstandard.ZstdError, EOFError) as error:
            raise RequestError(f"The body is not valid {name}: {error}.", code="invalid_encoding") from None
    return body


def _too_large(limit: int) -> RequestTooLarge:
    return RequestTooLarge(
        f"The request body is larger than {limit >> 20} MiB, the limit of this gateway. "
        "Raise 'body_limit_mb' in config.json, or start a new thread.",
        code="request_too_large",
    )


def _zlib(window: int) -> Callable[[bytes, int], bytes]:
    def unpack(body: bytes, limit: int) -> bytes:
        reader = zlib.decompressobj(window)
        data = reader.decompress(body, limit + 1)
        if len(data) > limit:
            raise _too_large(limit)
        if not reader.eof:
            raise EOFError("it ends too early")
        return data

    return unpack


def _zstd(body: bytes, limit: int) -> bytes:
    reader = zstandard.ZstdDecompressor(max_window_size=1 << 27).stream_reader(body, read_across_frames=True)
    pieces: list[bytes] = []
    size = 0
    while piece := reader.read(_PIECE):
        size += len(piece)
        if size > limit:
            raise _too_large(limit)
        pieces.append(piece)
    return b"".join(pieces)


_GZIP = _zlib(16 + zlib.MAX_WBITS)
_UNPACKERS: dict[str, Callable[[bytes, int], bytes]] = {
    "gzip": _GZIP,
    "x-gzip": _GZIP,
    "deflate": _zlib(zlib.MAX_WBITS),
    "zstd": _zstd,
    "identity": lambda body, _: body,
}
