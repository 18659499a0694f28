"""Whatever is committed, and wherever listeners stop or die: every change is one event, in the order of the WAL."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from itertools import count
from typing import Literal, NamedTuple

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cdc import Context, faults, function
from cdc.listener import accepting
from cdc.listener import listener as module
from cdc.listener.listener import Listener
from tests.listener.listening import LAST, Listening, open_listening, until_streaming
from tests.servers import Connect
from tests.waiting import eventually


@function("note", on=["db/t.inserted", "db/t.updated", "db/t.deleted", "db/t.truncated", "app/sent"])
async def note(ctx: Context) -> None: ...


class Died(Exception):
    """In the place of SIGKILL."""


class End(NamedTuple):
    """How a listener's life ends: at which of its accepts, and where."""

    accept: int
    how: Literal["stopped", "dies before the commit", "dies after the commit"]


Act = Literal["insert", "insert some", "update", "delete", "truncate", "send", "undo", "message"]
Transaction = tuple[list[Act], bool]
Told = tuple[str, int | None]

acts: st.SearchStrategy[list[Act]] = st.lists(
    st.sampled_from(
        ["insert", "insert some", "insert some", "update", "delete", "truncate", "send", "undo", "message"]
    ),
    min_size=1,
    max_size=4,
)
transactions = st.lists(st.tuples(acts, st.booleans() | st.just(True)), min_size=1, max_size=6)
ends = st.lists(
    st.builds(End, st.integers(1, 4), st.sampled_from(["stopped", "dies before the commit", "dies after the commit"])),
    max_size=3,
)


class Writer:
    """Makes transactions of the table t, and says which changes they should be told as."""

    def __init__(self, database: Listening) -> None:
        self.database = database
        self._next = count(1).__next__
        self._rows: list[int] = []

    async def commit(self, acts: Sequence[Act]) -> list[Told]:
        await self.database.run("begin")
        told = [change for act in acts for change in await self._make(act)]
        await self.database.run("commit")
        return told

    async def roll_back(self, acts: Sequence[Act]) -> list[Told]:
        rows = list(self._rows)
        await self.database.run("begin")
        for act in acts:
            await self._make(act)
        await self.database.run("rollback")
        self._rows = rows
        return []

    async def _make(self, act: Act) -> list[Told]:
        run = self.database.run
        match act:
            case "insert" | "insert some":
                new = [self._next() for _ in range(1 if act == "insert" else 7)]
                await run(f"insert into t select unnest(array{new}::int[])")
                self._rows += new
                return [("inserted", id_) for id_ in new]
            case "send":
                sent = self._next()
                await run(f"""select cdc.send('app/sent', '{{"new": {{"id": {sent}}}}}')""")
                return [("app/sent", sent)]
            case "undo":
                await run("savepoint s", f"insert into t values ({self._next()})", "rollback to s")
            case "message":
                await run("select pg_logical_emit_message(true, 'of somebody else', '')")
            case "truncate":
                await run("truncate t")
                self._rows = []
                return [("truncated", None)]
            case "update" if self._rows:
                await run(f"update t set body = 'new' where id = {self._rows[0]}")
                return [("updated", self._rows[0])]
            case "delete" if self._rows:
                await run(f"delete from t where id = {self._rows[0]}")
                return [("deleted", self._rows.pop(0))]
        return []


async def live(database: Listening, listener: Listener, streaming: asyncio.Event, end: End) -> None:
    """Run a listener until it has ended as it should, or has read everything."""
    left = end.accept

    def point(name: str) -> None:
        nonlocal left
        left -= name == "accept.before_commit"
        if left > 0:
            return
        if end.how == "stopped":
            listener.stop()
        elif name == ("accept.committed" if end.how == "dies after the commit" else "accept.before_commit"):
            raise Died

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(faults, "point", point)
        life = await until_streaming(listener, streaming)

        async def is_over() -> bool:
            return life.done() or await is_read(database)

        await eventually(is_over, what="everything is read, or the listener has ended")
        listener.stop()
        with suppress(Died):
            await life
        await database.close_doors()


async def is_read(database: Listening) -> bool:
    """Whether everything is."""
    stored = await database.one(f"select count(*) from cdc_state.events where name = 'db/{LAST}.inserted'")
    return bool(stored == await database.one(f"select count(*) from {LAST}"))


@pytest.fixture
async def writer(any_migrated_url: str, connect: Connect) -> Writer:
    database = await open_listening(any_migrated_url, connect, "create table t (id int primary key, body text)")
    await database.register(note)
    await database.attach()
    return Writer(database)


@settings(
    max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(transactions=transactions, ends=ends, most=st.integers(1, 8), read=st.integers(1, 9))
async def test_every_change_is_one_event_wherever_listeners_end(
    writer: Writer, transactions: list[Transaction], ends: list[End], most: int, read: int
) -> None:
    database = writer.database
    before = len(await database.events())
    expected = [
        change
        for acts, committed in transactions
        for change in await (writer.commit(acts) if committed else writer.roll_back(acts))
    ]
    await database.run(f"insert into {LAST} default values")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(accepting, "MOST", most)
        patch.setattr(module, "READ", read)
        for end in [*ends, End(1 << 32, "stopped")]:
            await live(database, *await database.listener(), end)

    events = (await database.events())[before:]
    rows = [event.data["new"] or event.data["old"] or {} for event in events]
    told = [(event.name.removeprefix("db/t."), row.get("id")) for event, row in zip(events, rows, strict=True)]
    assert told == expected
    runs = await database.rows("select event_ids[1]::text from cdc_state.runs order by event_ids")
    assert [id_ for (id_,) in runs][before:] == [event.id for event in events]
