"""From the URL in the configuration to a store."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import unquote, urlsplit

from codex_nexus.errors import StoreError
from codex_nexus.sessions.sqlite import SqliteStore
from codex_nexus.sessions.store import SessionStore


def open_store(url: str, home: Path) -> SessionStore:
    """The store; may block for a few seconds.

    Raises:
        StoreError: it cannot be opened; the message says why.
    """
    parts = urlsplit(url)
    if not parts.scheme.startswith("postgres"):
        return SqliteStore(_file(url, home))
    try:
        from codex_nexus.sessions.postgres import PostgresStore  # noqa: PLC0415 - an extra
    except ImportError:
        raise StoreError("PostgreSQL needs one more package: pip install 'codex-nexus[postgres]'.") from None
    return PostgresStore(url)


def _file(url: str, home: Path) -> Path:
    parts = urlsplit(url)
    if parts.scheme == "sqlite" and parts.path.strip("/"):
        path = unquote(parts.path.removeprefix("/"))
        return Path(path if not parts.path.startswith("//") else unquote(parts.path[1:]))
    return home / "nexus.db"
