"""From the URL in the configuration to a store."""

from __future__ import annotations

import asyncio
from pathlib import Path
from urllib.parse import unquote, urlsplit

from codex_nexus.errors import StoreError
from codex_nexus.sessions.sqlite import SqliteStore, look
from codex_nexus.sessions.store import SessionStore
from codex_nexus.sessions.usage import Usage


def open_store(url: str, home: Path) -> SessionStore:
    """The store; may block for a few seconds.

    Raises:
        StoreError: it cannot be opened; the message says why.
    """
    if not _is_postgres(url):
        return SqliteStore(_file(url, home))
    try:
        from codex_nexus.sessions.postgres import PostgresStore  # noqa: PLC0415 - an extra
    except ImportError:
        raise StoreError("PostgreSQL needs one more package: pip install 'codex-nexus[postgres]'.") from None
    return PostgresStore(url)


async def look_at(url: str, home: Path) -> None:
    """Looks at a store in a file without changing it; a server is not asked.

    Raises:
        StoreError: it cannot be used; the message says why.
    """
    path = _file(url, home)
    if not _is_postgres(url) and await asyncio.to_thread(path.exists):
        await asyncio.to_thread(look, path)


async def kept_usage(url: str, home: Path, since: str) -> Usage:
    """What a store holds of usage since a day, read beside the gateways that use it; nothing where there is no file.

    Raises:
        StoreError: it cannot be read; the message says why.
    """
    if not _is_postgres(url) and not await asyncio.to_thread(_file(url, home).exists):
        return {}
    store = await asyncio.to_thread(open_store, url, home)
    try:
        return await store.usage(since)
    finally:
        await store.close()


def _is_postgres(url: str) -> bool:
    return urlsplit(url).scheme.startswith("postgres")


def _file(url: str, home: Path) -> Path:
    parts = urlsplit(url)
    if parts.scheme == "sqlite" and parts.path.strip("/"):
        path = unquote(parts.path.removeprefix("/"))
        return Path(path if not parts.path.startswith("//") else unquote(parts.path[1:]))
    return home / "nexus.db"
