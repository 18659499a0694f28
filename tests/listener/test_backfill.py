"""Existing rows become events: once each, at a pace, until it is cancelled, and for whom they are."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from cdc import Batch, Context, embedded_tables, function
from cdc.listener import backfill as reading
from cdc.store import backfills, chunks
from tests.listener.backfilling import SOURCE, ask, backfill, backfilled, backfilling, over, present
from tests.listener.listening import Listening, ids, open_listening, position
from tests.servers import Connect
from tests.waiting import eventually

T = "create table t (id int primary key, body text)"
ROWS = "insert into t select n, 'row ' || n from generate_series(1, 5000) n"
FEW = "insert into t select n, 'row ' || n from generate_series(1, 100) n"


async def test_each_existing_row_is_one_event(any_migrated_url: str, connect: Connect) -> None:
    database = await open_listening(any_migrated_url, connect, T, ROWS)
    done = await backfill(database)
    assert (done.status, done.rows_done, done.reason) == ("done", 5000, None)
    events = await backfilled(database)
    assert ids(events) == [*range(1, 5001)]
    event = events[0]
    assert event.name == "db/t.backfilled"
    assert event.data["new"] == {"id": 1, "body": "row 1"}
    assert (event.data["old"], event.data["unchanged"], event.data["backfill"]) == (None, [], done.id)
    assert (event.data["schema"], event.data["table"], event.data["source"]) == ("public", "t", "default")
    assert len({position(event).commit_lsn for event in events}) == -(-5000 // reading.MOST)


async def test_an_empty_table_is_done_at_once(migrated_url: str, connect: Connect) -> None:
    database = await open_listening(migrated_url, connect, T)
    done = await backfill(database)
    assert (done.status, done.rows_done) == ("done", 0)
    assert await backfilled(database) == []


async def test_rows_that_come_after_it_began_have_events_of_their_own_only(
    migrated_url: str, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "MOST", 10)
    database = await open_listening(migrated_url, connect, T, FEW)
    async with backfilling(database) as reader:
        id_ = await ask(database, rate=200)
        reader.wake()

        async def is_under_way() -> bool:
            return (await present(database, id_)).rows_done > 0

        await eventually(is_under_way)
        await database.run("insert into t select n, 'new' from generate_series(101, 200) n")
        await over(database, id_)
    assert ids(await backfilled(database)) == [*range(1, 101)]


async def test_large_rows_come_in_small_chunks(
    migrated_url: str, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "MOST_BYTES", 100_000)
    rows = (
        "insert into t select n, repeat('x', case when n <= 100 then 10 else 20000 end) from generate_series(1, 150) n"
    )
    database = await open_listening(migrated_url, connect, T, rows)
    await backfill(database)
    events = await backfilled(database)
    assert ids(events) == [*range(1, 151)]
    sizes: dict[int, int] = {}
    for event in events:
        lsn = position(event).commit_lsn
        sizes[lsn] = sizes.get(lsn, 0) + len(event.data["new"]["body"])
    assert max(sizes.values()) <= 60 * 20_000, "a portion that was fetched before the rows grew"


# --- going on, ending, pace ---------------------------------------------------------------------------------------


async def test_it_goes_on_where_it_was_with_the_next_listener(
    migrated_url: str, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "MOST", 100)
    database = await open_listening(migrated_url, connect, T, ROWS)
    id_ = await ask(database)
    read, left = chunks.read, 0

    async def read_some(*arguments: Any, **options: Any) -> chunks.Chunk:
        nonlocal left
        if not left:
            await asyncio.Event().wait()
        left -= 1
        return await read(*arguments, **options)

    monkeypatch.setattr(chunks, "read", read_some)
    for part in (500, 1000, 2000):
        left = (part - (await present(database, id_)).rows_done) // 100
        async with backfilling(database):

            async def is_so_far(part: int = part) -> bool:
                return (await present(database, id_)).rows_done >= part

            await eventually(is_so_far, within=60)
    assert (await present(database, id_)).status == "running"
    left = 1000
    async with backfilling(database):
        assert (await over(database, id_)).rows_done == 5000
    assert ids(await backfilled(database)) == [*range(1, 5001)]


async def test_a_cancelled_one_ends_and_what_it_read_stays(
    migrated_url: str, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "MOST", 100)
    database = await open_listening(migrated_url, connect, T, ROWS)
    async with backfilling(database) as reader:
        first = await ask(database, rate=250)
        reader.wake()
        await eventually(lambda: backfilled(database))
        assert await backfills.cancel(database.connection, SOURCE, ("public", "t")) == 1
        assert (await over(database, first)).status == "cancelled"
        second = await ask(database)  # there is room for another one
        reader.wake()
        assert (await over(database, second)).rows_done == 5000
    counted = [event.data["backfill"] for event in await backfilled(database)]
    assert 0 < counted.count(first) == (await present(database, first)).rows_done < 5000
    assert counted.count(second) == 5000


async def test_there_is_one_of_a_table_at_a_time(migrated_url: str, connect: Connect) -> None:
    database = await open_listening(migrated_url, connect, T)
    await ask(database)
    assert not await backfills.request(database.connection, SOURCE, ("public", "t"), rate=None, expected=None)


async def test_it_keeps_to_its_rate(migrated_url: str, connect: Connect) -> None:
    database = await open_listening(migrated_url, connect, T, FEW)
    async with backfilling(database) as reader:
        began = await database.one("select clock_timestamp()")
        id_ = await ask(database, rate=50)
        reader.wake()
        await over(database, id_)
    took = await database.one(
        "select extract(epoch from max(ts) - %s)::float8 from cdc_state.events where name = 'db/t.backfilled'", began
    )
    assert took >= 0.99, "100 rows at 50 a second: the second half comes a second after the first was begun"


# --- for whom -----------------------------------------------------------------------------------------------------


@function("named", on="db/t.backfilled", batch_events=Batch(max_size=100))
async def named(ctx: Context) -> None: ...


@function("all-of-table", on="db/t.*")
async def all_of_table(ctx: Context) -> None: ...


@function("everything", on="db/*")
async def everything(ctx: Context) -> None: ...


@function("embeds", on=embedded_tables(), batch_events=Batch(max_size=100))
async def embeds(ctx: Context) -> None: ...


async def runs(database: Listening) -> list[tuple[str, int]]:
    query = "select function_id, cardinality(event_ids) from cdc_state.runs order by id"
    return [(function_id, events) for function_id, events in await database.rows(query)]


async def test_only_functions_that_name_them_are_started(migrated_url: str, connect: Connect) -> None:
    database = await open_listening(migrated_url, connect, T, FEW)
    await database.register(named, all_of_table, everything)
    await backfill(database)
    assert await runs(database) == [("named", 100)]


async def test_the_one_for_a_new_embedding_starts_one_function_alone(migrated_url: str, connect: Connect) -> None:
    database = await open_listening(
        migrated_url, connect, T, "insert into t select n, 'row' from generate_series(1, 250) n"
    )
    await database.register(named, embeds)
    for _ in range(2):  # asked for once for ever
        await backfills.request_declared(database.connection, SOURCE, "embeds", [(7, ("public", "t"))])
    async with backfilling(database):

        async def is_done() -> bool:
            return [each.status for each in await backfills.latest(database.connection, SOURCE, 9)] == ["done"]

        await eventually(is_done)
    assert await runs(database) == [("embeds", 100), ("embeds", 100), ("embeds", 50)]


async def test_it_waits_for_the_function_it_is_for(migrated_url: str, connect: Connect) -> None:
    database = await open_listening(migrated_url, connect, T, FEW)
    await backfills.request_declared(database.connection, SOURCE, "embeds", [(7, ("public", "t"))])
    async with backfilling(database) as reader:

        async def waits() -> bool:
            (asked,) = await backfills.latest(database.connection, SOURCE, 1)
            return asked.reason == "the function 'embeds' is not there"

        await eventually(waits)
        await database.register(embeds)
        await database.run("select pg_logical_emit_message(true, 'cdc', '{}')")

        async def is_done() -> bool:
            reader.wake()
            await asyncio.sleep(0)
            return [each.status for each in await backfills.latest(database.connection, SOURCE, 9)] == ["done"]

        await eventually(is_done)
    assert await runs(database) == [("embeds", 100)]


async def test_it_waits_until_the_table_is_published(migrated_url: str, connect: Connect) -> None:
    database = await open_listening(migrated_url, connect, T, FEW, publish=[])
    async with backfilling(database) as reader:
        id_ = await ask(database)
        reader.wake()

        async def waits() -> bool:
            return "not published" in ((await present(database, id_)).reason or "")

        await eventually(waits)
        await database.publish("t")
        reader.wake()
        assert (await over(database, id_)).rows_done == 100


async def test_that_of_an_embedding_is_asked_for_again_once_it_was_not_kept_for_a_while(
    migrated_url: str, connect: Connect
) -> None:
    database = await open_listening(migrated_url, connect, T)
    conn = database.connection

    async def asked() -> int:
        return await backfills.request_declared(conn, SOURCE, "embeds", [(7, ("public", "t")), (8, ("public", "t"))])

    assert [await asked(), await asked()] == [2, 0]
    await backfills.release(conn, SOURCE, [7])
    assert [await asked(), await asked()] == [1, 0]
    statuses = [(each.id, each.status) for each in await backfills.latest(conn, SOURCE, 9)]
    assert sorted(statuses)[:2] == [(1, "cancelled"), (2, "requested")]
    assert statuses[0][1] == "requested"
