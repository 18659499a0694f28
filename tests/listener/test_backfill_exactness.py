"""Backfills while others write: no row is missed, and none that is newer is followed by an older one."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from cdc.listener import backfill as reading
from tests.listener.backfilling import ask, backfilled, backfilling, over, present, reading_then
from tests.listener.listening import Listening, Stored, ids, open_listening
from tests.servers import Connect, Connection
from tests.waiting import eventually

T = "create table t (id bigint primary key, version bigint not null, body text)"
ROWS = "insert into t select n, 0, repeat('x', 100) from generate_series(1, 2000) n"


@pytest.fixture(autouse=True)
def small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "MOST", 100)


class Writer:
    """Writes until told to end, every now and then in a transaction that stays open across chunks."""

    def __init__(self, connection: Connection, seed: int, *, moves: bool) -> None:
        self._connection = connection
        self._random = random.Random(seed)
        self._moves = moves

    async def write(self, ending: asyncio.Event) -> None:
        while not ending.is_set():
            async with self._connection.transaction(force_rollback=self._random.random() < 0.1):
                for _ in range(self._random.choice((1, 1, 2, 20))):
                    await self._once()
                if self._random.random() < 0.2:  # open across chunks
                    await asyncio.sleep(self._random.random() * 0.1)

    async def _once(self) -> None:
        row, kind = self._random.randint(1, 2200), self._random.random()
        if not await self._mine(row):
            return
        if kind < 0.7:
            await self._run("update t set version = nextval('versions') where id = %s", row)
        elif kind < 0.8:
            await self._run("delete from t where id = %s", row)
        elif kind < 0.9 or not self._moves:
            await self._run("insert into t values (%s, nextval('versions'), 'new') on conflict do nothing", row)
        else:
            to = self._random.choice((-row, 5000 + row))
            if await self._mine(to):
                await self._run(
                    "update t set id = %s, version = nextval('versions') where id = %s"
                    " and not exists (select from t where id = %s)",
                    *(to, row, to),
                )

    async def _mine(self, row: int) -> bool:
        """Whether nobody else has changed the row in an open transaction: nobody waits in a circle."""
        locked = await self._connection.execute(b"select pg_try_advisory_xact_lock(%s)", [row])
        return bool((await locked.fetchall())[0][0])

    async def _run(self, statement: str, *values: int) -> None:
        await self._connection.execute(statement.encode(), values)


@asynccontextmanager
async def writers(database: Listening, count: int, *, moves: bool) -> AsyncIterator[None]:
    ending = asyncio.Event()
    await database.run("create sequence versions")
    async with asyncio.TaskGroup() as group:
        for seed in range(count):
            connection = await database.connect(database.url)
            group.create_task(Writer(connection, seed, moves=moves).write(ending))
        try:
            yield
        finally:
            ending.set()


class Follower:
    """Applies events in their order, as one who keeps a copy of the table does."""

    def __init__(self) -> None:
        self.copy: dict[int, Any] = {}
        self.gone: set[int] = set()
        self.times: dict[int, int] = {}
        self._root: dict[int, int] = {}
        self._seen: set[int] = set()

    def apply(self, event: Stored) -> None:
        new, old = event.data["new"], event.data["old"]
        if event.name == "db/t.backfilled":
            self._backfilled(new)
        elif event.name == "db/t.truncated":
            self.gone |= self.copy.keys()
            self.copy.clear()
        else:
            if old is not None:
                self.copy.pop(old["id"], None)
                self.gone.add(old["id"])
            if new is not None:
                if old is not None:
                    self._root[new["id"]] = self.root(old["id"])
                elif event.name == "db/t.inserted":
                    self._root.pop(new["id"], None)
                self.copy[new["id"]] = new
                self.gone.discard(new["id"])

    def _backfilled(self, row: dict[str, Any]) -> None:
        """What the stream has told of a row already, at this place, is how it is."""
        id_ = row["id"]
        assert id_ not in self.gone
        if id_ in self.copy:
            assert row == self.copy[id_], "an older row came after a newer one"
        else:
            assert row["version"] == 0
        self.copy[id_] = row
        self.times[id_] = self.times.get(id_, 0) + 1
        self._seen.add(self.root(id_))

    def root(self, id_: int) -> int:
        """The key that the row had when it was first told of."""
        return self._root.get(id_, id_)

    def has_seen(self, id_: int) -> bool:
        """Whether the row was backfilled, under this key or one that it had before."""
        return self.root(id_) in self._seen


async def followed(database: Listening) -> Follower:
    """All events applied: the copy is the table, and each row that was there from the start was backfilled."""
    follower = Follower()
    for event in await database.events():
        follower.apply(event)
    table = {row[0]: row for row in await database.rows("select id, version, body from t")}
    assert {id_: (row["id"], row["version"], row["body"]) for id_, row in follower.copy.items()} == table
    assert [id_ for id_, (_, _, body) in table.items() if body != "new" and not follower.has_seen(id_)] == []
    return follower


@pytest.mark.parametrize("moves", [False, True], ids=["rows stay", "rows change their keys"])
async def test_the_stream_and_the_backfill_together_tell_of_each_row_in_order(
    any_migrated_url: str, connect: Connect, moves: bool
) -> None:
    database = await open_listening(any_migrated_url, connect, T, ROWS)
    async with backfilling(database) as reader:
        async with writers(database, 4, moves=moves):
            id_ = await ask(database)
            reader.wake()
            done = await over(database, id_, within=60)
        await database.read_everything()
    assert done.status == "done"
    follower = await followed(database)
    assert len(await database.events()) > len(follower.times), "there were writers"
    if not moves:
        assert set(follower.times.values()) == {1}


async def test_a_row_that_changes_all_the_time_stands_as_the_stream_last_told_of_it(
    migrated_url: str, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    database = await open_listening(
        migrated_url, connect, T, "insert into t select n, 0, 'x' from generate_series(1, 9) n"
    )
    changes = ("update t set version = version + 1 where id = 5", "delete from t where id = 6")
    monkeypatch.setattr("cdc.store.chunks.read", reading_then(database.run, *changes, times=1000))
    id_ = await ask(database)
    async with backfilling(database):
        done = await over(database, id_)
        await database.read_everything()
    follower = await followed(database)
    assert follower.times == dict.fromkeys((1, 2, 3, 4, 5, 7, 8, 9), 1)
    assert done.rows_done == 8


async def test_a_row_inserted_again_and_one_given_a_key_behind_are_not_missed(
    migrated_url: str, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "MOST", 10)
    database = await open_listening(
        migrated_url, connect, T, "insert into t select n, 0, 'x' from generate_series(1, 30) n"
    )
    moves = ("update t set id = -25 where id = 25", "update t set id = 1000 where id = 26")
    monkeypatch.setattr("cdc.store.chunks.read", reading_then(database.run, *moves))
    id_ = await ask(database)
    async with backfilling(database):
        await over(database, id_)
        await database.read_everything()
    follower = await followed(database)
    assert {-25, 1000} <= follower.times.keys()
    assert set(follower.times.values()) == {1}


async def test_after_a_truncate_no_row_of_before_comes(
    migrated_url: str, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "MOST", 10)
    database = await open_listening(migrated_url, connect, T, ROWS)
    emptied = ("truncate t", "insert into t values (7, 1, 'new')")
    monkeypatch.setattr("cdc.store.chunks.read", reading_then(database.run, *emptied))
    id_ = await ask(database)
    async with backfilling(database):
        await over(database, id_)
        await database.read_everything()
    await followed(database)
    assert ids(await backfilled(database)) == [7]


async def test_more_changes_than_can_be_remembered_make_it_read_again(
    migrated_url: str, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cdc.listener.tracker.Tracker.__init__.__defaults__", (50,))
    database = await open_listening(migrated_url, connect, T, ROWS)
    monkeypatch.setattr(
        "cdc.store.chunks.read", reading_then(database.run, "update t set version = version + 1", times=2)
    )
    id_ = await ask(database)
    async with backfilling(database):
        await over(database, id_)
        await database.read_everything()
    follower = await followed(database)
    assert follower.times == dict.fromkeys(range(1, 2001), 1)


async def test_a_key_that_cannot_be_looked_up_again_makes_it_begin_again(
    migrated_url: str, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "MOST", 10)
    database = await open_listening(
        migrated_url,
        connect,
        "create table t (id bytea primary key, n int)",
        "insert into t select int4send(n), n from generate_series(1, 30) n",
    )
    read = reading_then(database.run, "update t set id = int4send(-n) where n = 25")
    monkeypatch.setattr("cdc.store.chunks.read", read)
    id_ = await ask(database)
    async with backfilling(database):
        await over(database, id_)
    assert {event.data["new"]["n"] for event in await backfilled(database)} == {*range(1, 31)}


async def test_a_row_written_before_the_table_was_published_and_committed_later_is_not_missed(
    any_migrated_url: str, connect: Connect
) -> None:
    database = await open_listening(any_migrated_url, connect, T, publish=[])
    await database.attach()  # a slot is made only when the transactions of before have ended
    writer = await connect(any_migrated_url)
    await writer.execute("begin")
    await writer.execute("insert into t values (1, 0, 'written before')")
    await database.publish("t")
    await writer.execute("insert into t values (2, 0, 'written after')")
    id_ = await ask(database)
    async with backfilling(database):

        async def waits() -> bool:
            return "must end first" in ((await present(database, id_)).reason or "")

        await eventually(waits)
        await writer.execute("commit")
        await over(database, id_)
    assert ids(await backfilled(database)) == [1, 2]
