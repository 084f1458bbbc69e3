"""A store that goes away: turns go on, say that they are not stored, and are stored again when it comes back."""

from __future__ import annotations

import asyncio
import logging
import time
from pathlib import Path

import pytest

from codex_nexus.errors import StoreError
from codex_nexus.gateway import state
from codex_nexus.gateway.state import Gateway
from codex_nexus.service import tending
from codex_nexus.sessions.opening import open_store
from codex_nexus.sessions.sqlite import SqliteStore
from codex_nexus.sessions.store import SessionStore, StoredTurn
from codex_nexus.sessions.usage import Usage
from tests.gateway.conftest import Serve
from tests.postgres_server import PostgresServer
from tests.sessions.turns import told, turn
from tests.upstream import Upstream, finish, sse, text
from tests.waiting import PATIENCE, until
from tests.worlds import world

HELLO = sse([text("Hello"), finish()])


async def test_postgresql_goes_and_comes_back(
    serve: Serve,
    upstream: Upstream,
    postgres: PostgresServer,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(state, "_REST_S", 0.2)
    upstream.script(HELLO)
    store = await asyncio.to_thread(open_store, postgres.new_database(), tmp_path)
    try:
        gateway = await serve(session_store=store)
        first = (await gateway.create()).json
        assert first["store"] is True
        await asyncio.to_thread(postgres.stop)
        reply = await gateway.create()
        assert (reply.status, reply.json["status"], reply.json["store"]) == (200, "completed", False)
        assert "cannot be written" in gateway.gateway.store_trouble
        assert (await gateway.gateway.store_state()).trouble
        replies = await asyncio.gather(*(gateway.create() for _ in range(10)))
        assert {reply.json["store"] for reply in replies} == {False}
        assert (await gateway.create(previous_response_id=first["id"])).status == 500
        assert "is not stored" in caplog.text
        assert "nexus@" not in caplog.text
        await asyncio.to_thread(postgres.start)
        async with asyncio.timeout(PATIENCE):
            while not (again := (await gateway.create()).json)["store"]:  # noqa: ASYNC110
                await asyncio.sleep(0.1)
        told = await gateway.gateway.store_state()
        assert (told.kind, told.trouble, told.sizes.turns > 1) == ("postgresql", "", True)
        async with asyncio.timeout(PATIENCE):
            while (await gateway.create(previous_response_id=first["id"])).status != 200:  # noqa: ASYNC110
                await asyncio.sleep(0.1)
        assert (await gateway.get(f"/v1/responses/{again['id']}")).status == 200
    finally:
        if postgres._process is None:
            postgres.start()
        await store.close()


async def test_a_postgresql_that_was_restarted_costs_no_turn(postgres: PostgresServer, tmp_path: Path) -> None:
    store = await asyncio.to_thread(open_store, postgres.new_database(), tmp_path)
    try:
        await asyncio.gather(*(store.put(turn(f"r{n}")) for n in range(30)))  # several connections
        await asyncio.to_thread(postgres.stop)
        await asyncio.to_thread(postgres.start)
        assert await told(store, "r7") == ["ask r7", "answer r7"]
        await asyncio.gather(*(store.put(turn(f"s{n}")) for n in range(30)))
    finally:
        await store.close()


async def test_a_store_that_was_not_there_at_the_start_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(tending, "LOOK_S", 0.05)
    gateway = Gateway(world({}), None)
    tries: list[int] = []

    def reopen() -> SessionStore | None:
        tries.append(1)
        if len(tries) == 2:
            raise RuntimeError("nobody has foreseen this")
        return SqliteStore(tmp_path / "nexus.db") if len(tries) == 3 else None

    with caplog.at_level(logging.INFO):
        task = asyncio.create_task(tending.tend(gateway, reopen))
        async with asyncio.timeout(PATIENCE):
            while gateway.store is None:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        await until(lambda: "responses are stored" in caplog.text)
        task.cancel()
    assert "nobody has foreseen this" in caplog.text
    await gateway.store.close()
    await gateway.close()


class SlowStore:
    """A store whose disk hangs."""

    kind = "sqlite"
    puts = 0

    async def put(self, turn: StoredTurn) -> None:
        self.puts += 1
        await asyncio.sleep(3600)

    async def add_usage(self, usage: Usage) -> None:
        """Nothing is kept."""

    async def close(self) -> None:
        """Nothing to close."""


async def test_a_store_that_hangs_holds_up_one_turn_for_a_while_and_then_none(
    serve: Serve, upstream: Upstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(state, "_KEEPING_S", 0.3)
    monkeypatch.setattr(state, "_REST_S", PATIENCE)
    upstream.script(HELLO)
    store = SlowStore()
    gateway = await serve(session_store=store)
    assert (await gateway.create()).json["store"] is False
    for _ in range(10):
        assert (await gateway.create()).json["store"] is False
    assert store.puts == 1  # the nine others did not wait for it
    assert "slow" in gateway.gateway.store_trouble


async def test_what_is_old_and_what_is_too_much_is_forgotten(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "nexus.db")
    gateway = Gateway(world({"retention_days": 10, "store_limit_mb": 1}), store)
    now = int(time.time())
    big = b'["' + b"x" * 300_000 + b'"]'
    for n in range(6):
        await store.put(StoredTurn(f"r{n}", None, "", now - n * 86_400 * 3, "completed", big, b"[]", b"{}"))
    await tending.prune(gateway)
    left = [n for n in range(6) if await store.resource(f"r{n}", "") is not None]
    assert left == [0, 1, 2]
    await store.close()
    with pytest.raises(StoreError):
        await tending.prune(gateway)
    await gateway.close()


async def test_a_fault_in_the_store_still_gives_the_stream_its_ending(
    serve: Serve,
    upstream: Upstream,
    store: SessionStore,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def put(_: StoredTurn) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(store, "put", put)
    upstream.script(HELLO)
    gateway = await serve()
    story = await gateway.stream()
    assert (story.status, story.text, story.response["store"]) == ("completed", "Hello", False)
    assert "ZeroDivisionError" in caplog.text
