"""What every session store promises, asked of each: one class, SQLite and a real PostgreSQL."""

from __future__ import annotations

import asyncio
import itertools
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from codex_nexus.errors import StoreError
from codex_nexus.sessions.opening import open_store
from codex_nexus.sessions.shared import SqlStore
from codex_nexus.sessions.store import (
    Batch,
    Page,
    Recorded,
    SessionStore,
    StoredConversation,
    StoredItem,
    StoredTurn,
)
from codex_nexus.sessions.usage import Place, Spent
from tests.sessions.turns import OWNER, told, turn
from tests.waiting import PATIENCE

Open = Callable[[], Awaitable[SessionStore]]


def queued(name: str) -> StoredTurn:
    """A turn that begins in the background."""
    return StoredTurn(name, None, OWNER, 1000, "queued", b'["ask"]', b"[]", b'{"status":"queued","output":[]}')


def talk(name: str, owner: str = OWNER) -> StoredConversation:
    """A conversation."""
    return StoredConversation(name, owner, 1000, b"{}")


def items(*names: str) -> list[StoredItem]:
    """Items that are their names."""
    return [StoredItem(name, json.dumps(name).encode()) for name in names]


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Where the store is: empty at first."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'home' / 'nexus.db'}".replace("sqlite:////", "sqlite:////")
    return request.getfixturevalue("postgres").new_database()


@pytest.fixture
async def another(url: str, tmp_path: Path) -> AsyncIterator[Open]:
    """Opens the store, as one more process would."""
    async with AsyncExitStack() as opened:

        async def open_one() -> SessionStore:
            store = await asyncio.to_thread(open_store, url, tmp_path)
            opened.push_async_callback(store.close)
            return store

        yield open_one


@pytest.fixture
async def store(another: Open) -> SessionStore:
    """The store."""
    return await another()


class TestStore:
    # --- keeping and giving back

    async def test_a_turn_comes_back(self, store: SessionStore) -> None:
        await store.put(turn("r1"))
        assert await told(store, "r1") == ["ask r1", "answer r1"]
        assert json.loads(await store.resource("r1", OWNER) or b"") == {
            "id": "r1", "status": "completed", "output": ["answer r1"],
        }  # fmt: skip
        assert await store.input("r1", OWNER) == b'["ask r1"]'

    @pytest.mark.parametrize(
        "name", ["r1", "", "x" * 5000, "\x00", "a\x00b", "\ud83d", "ä 世界", "'; DROP TABLE responses"]
    )
    async def test_what_is_not_there_is_not_there(self, store: SessionStore, name: str) -> None:
        assert await store.history(name, OWNER) is None
        assert await store.resource(name, OWNER) is None
        assert await store.input(name, OWNER) is None
        assert await store.events(name, OWNER, -1) is None
        assert await store.conversation(name, OWNER) is None
        assert await store.context(name, OWNER) is None
        assert await store.items(name, OWNER, Page()) is None
        assert not await store.delete(name, OWNER)
        assert not await store.cancel(name)
        assert not await store.delete_conversation(name, OWNER)

    async def test_items_come_back_byte_for_byte(self, store: SessionStore) -> None:
        odd = b'[ {"type":"future_item","x":1e400,"s":"\\ud83d\\u0000"} ]'
        await store.put(StoredTurn("r1", None, OWNER, 1, "completed", odd, b"[]", b'{"output":[]}'))
        assert [bytes(part) for part in await store.history("r1", OWNER) or []] == [odd, b"[]"]

    async def test_a_turn_that_is_put_again_replaces_itself(self, store: SessionStore) -> None:
        await store.put(turn("r1", status="in_progress"))
        await store.put(turn("r1"))
        assert json.loads(await store.resource("r1", OWNER) or b"")["status"] == "completed"

    async def test_what_was_kept_is_there_for_the_next_process(self, store: SessionStore, another: Open) -> None:
        await store.put(turn("r1", owner="alice"))
        other = await another()
        await other.put(turn("r2", "r1", owner="alice"))
        assert await told(store, "r2", "alice") == ["ask r1", "answer r1", "ask r2", "answer r2"]

    # --- chains

    async def test_a_chain_is_told_from_its_beginning(self, store: SessionStore) -> None:
        for name, prev in (("r1", None), ("r2", "r1"), ("r3", "r2")):
            await store.put(turn(name, prev))
        assert await told(store, "r3") == ["ask r1", "answer r1", "ask r2", "answer r2", "ask r3", "answer r3"]
        assert await told(store, "r2") == ["ask r1", "answer r1", "ask r2", "answer r2"]

    async def test_a_long_chain_is_whole_and_quick(self, store: SessionStore) -> None:
        names = [f"r{n}" for n in range(500)]
        await asyncio.gather(*(store.put(turn(name, prev)) for name, prev in zip(names, [None, *names], strict=False)))
        texts = await asyncio.wait_for(told(store, names[-1]), PATIENCE / 4)
        assert texts == [text for name in names for text in (f"ask {name}", f"answer {name}")]

    async def test_a_chain_may_fork(self, store: SessionStore) -> None:
        await store.put(turn("r1"))
        for fork in ("a", "b", "c"):
            await store.put(turn(fork, "r1"))
        assert await told(store, "b") == ["ask r1", "answer r1", "ask b", "answer b"]

    @pytest.mark.parametrize("status", ["failed", "cancelled", "queued", "in_progress"])
    async def test_only_what_ended_well_can_be_continued(self, store: SessionStore, status: str) -> None:
        await store.put(turn("r1", status=status))
        assert await store.history("r1", OWNER) is None
        assert json.loads(await store.resource("r1", OWNER) or b"")["status"] == status
        await store.put(turn("r2", status="incomplete"))
        assert await told(store, "r2") == ["ask r2", "answer r2"]

    async def test_a_deleted_turn_is_gone_and_its_chain_broken(self, store: SessionStore) -> None:
        for name, prev in (("r1", None), ("r2", "r1"), ("r3", "r2")):
            await store.put(turn(name, prev))
        assert await store.delete("r2", OWNER)
        assert not await store.delete("r2", OWNER)
        assert await store.resource("r2", OWNER) is None
        assert await store.history("r3", OWNER) is None
        assert await told(store, "r1") == ["ask r1", "answer r1"]

    # --- whose turns

    async def test_a_caller_sees_only_what_it_made(self, store: SessionStore) -> None:
        await store.put(turn("mine", owner="alice"))
        await store.put(turn("owners"))
        await store.create_conversation(talk("conv", "alice"), items("i1"))
        for other in ("bob", "Alice", "alice "):
            assert await store.history("mine", other) is None
            assert await store.resource("mine", other) is None
            assert not await store.delete("mine", other)
            assert await store.context("conv", other) is None
            assert not await store.add_items("conv", other, items("i2"))
            assert await store.item("conv", other, "i1") is None
            assert not await store.delete_conversation("conv", other)
        assert await store.resource("owners", "alice") is None
        for who in ("alice", OWNER):
            assert await told(store, "mine", who) == ["ask mine", "answer mine"]
            assert await store.item("conv", who, "i1") == b'"i1"'

    # --- background work

    async def test_work_begins_tells_and_ends(self, store: SessionStore, another: Open) -> None:
        reader = await another()
        await store.begin(queued("r1"), "me")
        assert json.loads(await reader.resource("r1", OWNER) or b"")["status"] == "queued"
        assert await reader.events("r1", OWNER, -1) == Recorded([], running=True)
        assert await store.append("r1", Batch(0, (b"0", b"1", b"2")))
        assert json.loads(await reader.resource("r1", OWNER) or b"")["status"] == "in_progress"
        assert await reader.events("r1", OWNER, 0) == Recorded([b"1", b"2"], running=True)
        assert await store.append("r1", Batch(3, (b"3",)))
        assert await store.finish(turn("r1"), Batch(4, (b"4",)))
        assert await reader.events("r1", OWNER, 2) == Recorded([b"3", b"4"], running=False)
        assert await reader.events("r1", OWNER, 4) == Recorded([], running=False)
        assert await told(reader, "r1") == ["ask r1", "answer r1"]
        assert not await store.append("r1", Batch(5, (b"5",)))
        assert not await store.finish(turn("r1", status="failed"), Batch(5, (b"5",)))
        assert json.loads(await reader.resource("r1", OWNER) or b"")["status"] == "completed"

    async def test_what_was_deleted_does_not_come_back(self, store: SessionStore) -> None:
        await store.begin(queued("r1"), "me")
        assert await store.delete("r1", OWNER)
        assert await store.beat("me", ["r1"]) == ["r1"]
        assert not await store.append("r1", Batch(0, (b"0",)))
        assert not await store.finish(turn("r1"), Batch(0, (b"0",)))
        assert await store.resource("r1", OWNER) is None

    async def test_cancelling_reaches_who_runs_it(self, store: SessionStore, another: Open) -> None:
        other = await another()
        await store.begin(queued("r1"), "me")
        await store.begin(queued("r2"), "me")
        assert await store.beat("me", ["r1", "r2"]) == []
        assert await other.cancel("r2")
        assert await store.beat("me", ["r1", "r2"]) == ["r2"]
        assert await other.beat("other", []) == []
        assert not await other.cancel("r3")

    async def test_news_come_soon(self, store: SessionStore, another: Open) -> None:
        other, numbers = await another(), itertools.count()
        await other.sizes()
        await store.begin(queued("r1"), "me")
        for waiting in (store, other):
            told_at_once = waiting is store or waiting.kind == "postgresql"
            news = asyncio.create_task(waiting.changed("r1", PATIENCE if told_at_once else waiting.poll_s))
            async with asyncio.timeout(PATIENCE / 2):
                while not news.done():  # a listener that is still connecting misses the first
                    await store.append("r1", Batch(next(numbers), (b"x",)))
                    await asyncio.wait([news], timeout=0.1)

    async def test_who_is_silent_loses_its_work(self, store: SessionStore) -> None:
        await store.begin(queued("r1"), "elsewhere/1/x")
        await store.append("r1", Batch(0, (b"0", b"1")))
        assert await store.orphans(PATIENCE) == []
        assert isinstance(store, SqlStore)
        await store._write(lambda db: db.run("UPDATE running SET beat = beat - ?", 2 * PATIENCE))
        await store.begin(queued("r2"), "elsewhere/2/x")
        [orphan] = await store.orphans(PATIENCE)
        assert (orphan.turn.response_id, orphan.next_number) == ("r1", 2)
        assert orphan.turn.input == b'["ask"]'
        await store.beat("elsewhere/1/x", ["r1"])
        assert await store.orphans(PATIENCE) == []

    # --- conversations

    async def test_a_conversation_comes_changes_and_goes(self, store: SessionStore) -> None:
        await store.create_conversation(talk("conv"), items("a", "b"))
        assert await store.conversation("conv", OWNER) == talk("conv")
        assert await store.update_conversation("conv", OWNER, b'{"x":1}')
        assert await store.conversation("conv", OWNER) == StoredConversation("conv", OWNER, 1000, b'{"x":1}')
        assert await store.add_items("conv", OWNER, items("c", "a"))
        context = await store.context("conv", OWNER)
        assert [json.loads(bytes(part)) for part in context or []] == [["a", "b", "c"]]
        assert await store.delete_item("conv", OWNER, "b")
        assert not await store.delete_item("conv", OWNER, "b")
        assert await store.item("conv", OWNER, "c") == b'"c"'
        assert await store.delete_conversation("conv", OWNER)
        assert await store.context("conv", OWNER) is None

    async def test_its_items_are_read_in_pages(self, store: SessionStore) -> None:
        await store.create_conversation(talk("conv"), items(*"abcde"))
        for page, expected in (
            (Page(2, newest_first=False), "ab"),
            (Page(2, newest_first=False, after="b"), "cd"),
            (Page(9, newest_first=False, after="d"), "e"),
            (Page(2), "ed"),
            (Page(9, after="c"), "ba"),
        ):
            assert await store.items("conv", OWNER, page) == items(*expected)
        for absent in ("x", "\x00"):
            assert await store.items("conv", OWNER, Page(after=absent)) is None

    async def test_turns_add_to_it_and_build_on_it(self, store: SessionStore) -> None:
        await store.create_conversation(talk("conv"), items("before"))
        await store.put(turn("r1", conversation="conv", items=tuple(items("one", "first"))))
        await store.put(turn("r2", conversation="conv", items=tuple(items("two", "second"))))
        await store.put(turn("r3", "r1"))
        assert await told(store, "r1") == ["before", "ask r1", "answer r1"]
        assert await told(store, "r2") == ["before", "one", "first", "ask r2", "answer r2"]
        assert await told(store, "r3") == ["before", "ask r1", "answer r1", "ask r3", "answer r3"]
        await store.delete_conversation("conv", OWNER)
        assert await store.history("r2", OWNER) is None
        assert await store.resource("r2", OWNER) is not None

    # --- forgetting

    async def test_a_chain_is_forgotten_as_a_whole_by_its_last_turn(self, store: SessionStore) -> None:
        for name, prev, created in (
            ("old1", None, 10),
            ("old2", "old1", 20),
            ("new1", None, 10),
            ("new2", "new1", 900),
        ):
            await store.put(turn(name, prev, created=created))
        assert await store.prune(500) == 2
        assert await store.resource("old1", OWNER) is None
        assert await told(store, "new2") == ["ask new1", "answer new1", "ask new2", "answer new2"]
        assert await store.prune(500) == 0

    async def test_many_are_forgotten_while_others_write(self, store: SessionStore) -> None:
        await asyncio.gather(
            *(store.put(turn(f"old{n}", f"old{n - 300}" if n > 300 else None, created=10)) for n in range(400))
        )
        pruning = asyncio.create_task(store.prune(500))
        await store.put(turn("r0"))
        assert not pruning.done()
        for n in range(1, 50):
            await store.put(turn(f"r{n}"))
        assert await pruning == 400
        assert (await store.sizes()).turns == 50

    async def test_conversations_are_forgotten_with_their_turns(self, store: SessionStore) -> None:
        await store.create_conversation(talk("conv"), items(*(f"i{n}" for n in range(200))))
        await store.put(turn("r1", conversation="conv"))
        assert await store.prune(int(time.time()) + 10) == 1
        assert await store.conversation("conv", OWNER) is None
        assert (await store.sizes()).content == 0

    async def test_what_was_deleted_or_replaced_does_not_count(self, store: SessionStore) -> None:
        await store.create_conversation(talk("conv"), items("a", "b"))
        await store.put(turn("r1", conversation="conv", items=tuple(items("c", "b"))))
        await store.update_conversation("conv", OWNER, b'{"long":"metadata"}')
        await store.delete_item("conv", OWNER, "a")
        await store.delete("r1", OWNER)
        assert (await store.sizes()).content == len(b'{"long":"metadata"}"b""c"')
        await store.put(turn("r2", conversation="conv"))
        await store.delete_conversation("conv", OWNER)
        await store.delete("r2", OWNER)
        assert (await store.sizes()).content == 0
        ended = turn("r3")
        await store.begin(queued("r3"), "me")
        await store.finish(ended, Batch(0, (b"0",)))
        assert (await store.sizes()).content == len(ended.input + ended.output + ended.resource)

    async def test_what_is_too_much_goes_longest_unused_first(self, store: SessionStore) -> None:
        for n in range(100):
            await store.put(
                StoredTurn(f"r{n}", None, OWNER, n, "completed", b'["' + b"x" * 10_000 + b'"]', b"[]", b"{}")
            )
        assert (await store.sizes()).content > 1_000_000
        assert 45 <= await store.shrink(520_000) <= 55
        sizes = await store.sizes()
        assert sizes.content <= 520_000
        assert await store.resource("r0", OWNER) is None
        assert await store.resource("r99", OWNER) is not None
        assert await store.shrink(520_000) == 0

    async def test_sizes_are_told(self, store: SessionStore) -> None:
        assert (await store.sizes()).turns == 0
        await store.put(turn("r1"))
        await store.begin(queued("r2"), "me")
        await store.create_conversation(talk("conv"), [])
        sizes = await store.sizes()
        assert (sizes.turns, sizes.conversations, sizes.running) == (2, 1, 1)
        assert sizes.content > 50
        assert sizes.disk > 10_000

    # --- usage

    async def test_usage_adds_up(self, store: SessionStore, another: Open) -> None:
        a, b = Place("2026-01-02", "kimi", "k3"), Place("2026-01-02", "kimi", "k3", "somebody")
        await store.add_usage({a: Spent(1, 0, 100, 80, 20, 5, 7, 1), b: Spent(1, 1)})
        other = await another()
        await other.add_usage({a: Spent(2, 1, 10, 8, 2, 1, 1 << 60, 1), Place("2026-01-01", "zai", "glm"): Spent(1)})
        assert await store.usage("2026-01-02") == {a: Spent(3, 1, 110, 88, 22, 6, (1 << 60) + 7, 2), b: Spent(1, 1)}
        assert set(await store.usage("2026-01-01")) == {a, b, Place("2026-01-01", "zai", "glm")}
        assert await store.usage("2026-01-03") == {}

    async def test_usage_of_a_day_and_a_caller_by_provider(self, store: SessionStore) -> None:
        day = "2026-01-02"
        await store.add_usage(
            {
                Place(day, "kimi", "a"): Spent(1, input_tokens=3),
                Place(day, "kimi", "b"): Spent(2, input_tokens=4),
                Place(day, "zai", "a"): Spent(5),
                Place(day, "kimi", "a", "somebody"): Spent(9),
                Place("2026-01-01", "kimi", "a"): Spent(9),
            }
        )
        assert await store.used(day, OWNER) == {"kimi": Spent(3, input_tokens=7), "zai": Spent(5)}
        assert await store.used(day, "somebody") == {"kimi": Spent(9)}
        assert await store.used("2026-01-03", OWNER) == {}

    async def test_processes_that_add_at_once_lose_nothing(self, another: Open) -> None:
        stores = [await another() for _ in range(3)]
        places = [Place("2026-01-02", "kimi", f"m{n}") for n in range(20)]
        orders = [places, places[::-1], places[7:] + places[:7]]
        await asyncio.gather(
            *(
                store.add_usage({place: Spent(1, input_tokens=2) for place in order})
                for store, order in zip(stores, orders, strict=True)
                for _ in range(10)
            )
        )
        assert await stores[0].usage("2026-01-02") == {place: Spent(30, input_tokens=60) for place in places}

    async def test_usage_outlives_responses_and_is_forgotten_by_its_own_age(self, store: SessionStore) -> None:
        old, new = Place("2025-01-01", "kimi", "a"), Place("2026-01-02", "kimi", "a")
        await store.add_usage({old: Spent(1), new: Spent(1)})
        await store.prune(int(time.time()))
        await store.shrink(0)
        assert set(await store.usage("")) == {old, new}
        assert await store.forget_usage("2026-01-02") == 1
        assert set(await store.usage("")) == {new}

    # --- what goes wrong

    async def test_after_closing_there_are_only_errors(self, another: Open) -> None:
        store = await another()
        await store.put(turn("r1"))
        await store.close()
        with pytest.raises(StoreError):
            await asyncio.wait_for(store.put(turn("r2")), PATIENCE)
        with pytest.raises(StoreError):
            await asyncio.wait_for(store.resource("r1", OWNER), PATIENCE)
        await store.close()

    async def test_a_fault_of_one_harms_nobody_else(self, store: SessionStore) -> None:
        await store.begin(queued("r1"), "me")
        results = await asyncio.gather(
            *(store.put(turn(f"a{n}")) for n in range(20)),
            store.begin(queued("r1"), "me"),
            *(store.put(turn(f"b{n}")) for n in range(20)),
            return_exceptions=True,
        )
        assert [type(result) for result in results if result is not None] == [StoreError]
        assert (await store.sizes()).turns == 41


async def test_a_postgresql_schema_of_the_version_before_is_brought_up_to_date(
    request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    url: str = request.getfixturevalue("postgres").new_database()
    psycopg = pytest.importorskip("psycopg")
    store = await asyncio.to_thread(open_store, url, tmp_path)
    await store.put(turn("r1"))
    await store.close()
    with psycopg.connect(url, autocommit=True) as db:
        db.execute("DROP TABLE codex_nexus.usage")
        db.execute("UPDATE codex_nexus.version SET version = 2")
    store = await asyncio.to_thread(open_store, url, tmp_path)
    await store.add_usage({Place("2026-01-02", "kimi", "k3"): Spent(1)})
    assert await store.used("2026-01-02", OWNER) == {"kimi": Spent(1)}
    assert await told(store, "r1") == ["ask r1", "answer r1"]
    await store.close()
