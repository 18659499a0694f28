from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

import pytest
from psycopg import AsyncConnection

from cdc.embedded import Postgres
from cdc.errors import (
    CheckpointMismatch,
    ServerNotReady,
    SlotInUse,
)
from cdc.lsn import parse
from cdc.wal.slot import create_slot, drop_slot, identify
from cdc.wal.stream import ReplicationStream
from tests.listener.source import Reader, publish
from tests.places import server_folder
from tests.servers import Connect
from tests.waiting import eventually


@asynccontextmanager
async def server_with(settings: Mapping[str, str]) -> AsyncIterator[Postgres]:
    """A server of the test's own."""
    with server_folder() as folder:
        postgres = Postgres(folder / "server", settings={"fsync": "off", **settings})
        await postgres.start()
        try:
            yield postgres
        finally:
            await postgres.stop(immediate=True)


async def test_a_server_says_who_it_is_and_how_far_its_wal_reaches(any_database_url: str, connect: Connect) -> None:
    connection = await connect(any_database_url)
    query = "select system_identifier::text, pg_current_wal_flush_lsn()::text from pg_control_system()"
    before = await (await connection.execute(query)).fetchone()
    identity = await identify(any_database_url)
    after = await (await connection.execute(query)).fetchone()
    assert before
    assert after
    assert identity.system_identifier == before[0]
    assert identity.timeline == 1
    assert identity.database == any_database_url.rpartition("/")[2]
    assert parse(before[1]) <= identity.wal_lsn <= parse(after[1])


async def test_a_new_slot_starts_where_it_says_and_decodes_all_that_commits_later(
    any_database_url: str, connect: Connect
) -> None:
    connection = await connect(any_database_url)
    await connection.execute("create table t (id int primary key)")
    await connection.execute("create publication p for table t")
    await connection.execute("insert into t values (1)")
    start = await create_slot(any_database_url, "s")
    row = await (
        await connection.execute(
            "select plugin, temporary, confirmed_flush_lsn::text from pg_replication_slots where slot_name = 's'"
        )
    ).fetchone()
    assert row is not None
    assert (row[0], row[1], parse(row[2])) == ("pgoutput", False, start)

    await connection.execute("insert into t values (2)")
    async with await ReplicationStream.open(any_database_url, slot="s", publications=["p"], start=start) as stream:
        (change,) = await Reader(stream).changes()
    assert change.new == {"id": 2}


async def test_a_slot_waits_for_transactions_that_were_writing(any_database_url: str, connect: Connect) -> None:
    source = await publish(any_database_url, connect, "create table t (id int primary key)")
    await drop_slot(source.url, "s")
    await source.run("begin", "insert into t values (1)")
    creating = asyncio.create_task(create_slot(source.url, "s"))
    watching = await connect(source.url)
    waiting = "select count(*) from pg_stat_activity where backend_type = 'walsender' and wait_event_type = 'Lock'"

    async def is_waiting() -> bool:
        row = await (await watching.execute(waiting)).fetchone()
        return row is not None and row[0] > 0

    await eventually(is_waiting)
    assert not creating.done()
    await source.run("commit")
    assert await creating > 0


async def test_a_slot_that_exists_is_not_made_again(any_database_url: str) -> None:
    await create_slot(any_database_url, "s")
    with pytest.raises(CheckpointMismatch, match="exists already"):
        await create_slot(any_database_url, "s")


async def test_dropping_a_slot_twice_is_fine(any_database_url: str) -> None:
    await create_slot(any_database_url, "s")
    await drop_slot(any_database_url, "s")
    await drop_slot(any_database_url, "s")
    await create_slot(any_database_url, "s")


async def test_a_slot_that_is_read_is_not_dropped(any_database_url: str, connect: Connect) -> None:
    source = await publish(any_database_url, connect, "create table t (id int primary key)")
    async with await source.open():
        with pytest.raises(SlotInUse, match="active for PID"):
            await drop_slot(source.url, "s")
    await drop_slot(source.url, "s")


async def test_a_server_without_logical_wal_says_what_to_set() -> None:
    async with server_with({"wal_level": "replica"}) as server:
        with pytest.raises(ServerNotReady, match="wal_level") as error:
            await create_slot(server.url, "s")
        assert "ALTER SYSTEM SET wal_level = logical" in error.value.hint


async def test_a_server_without_a_free_slot_says_so() -> None:
    async with server_with({"max_replication_slots": "1"}) as server:
        await create_slot(server.url, "one")
        with pytest.raises(ServerNotReady, match="slots are in use") as full:
            await create_slot(server.url, "two")
        assert "max_replication_slots" in full.value.hint


async def test_an_invalidated_slot_is_a_checkpoint_mismatch() -> None:
    settings = {"max_slot_wal_keep_size": "16MB", "min_wal_size": "32MB", "max_wal_size": "32MB"}
    async with (
        server_with(settings) as server,
        await AsyncConnection.connect(server.url, autocommit=True) as connection,
    ):
        await connection.execute("create publication p")
        await create_slot(server.url, "s")

        async def is_lost() -> bool:
            await connection.execute(
                "select pg_logical_emit_message(false, 'x', repeat('x', 1000000)) from generate_series(1, 40)"
            )
            await connection.execute("checkpoint")
            row = await (await connection.execute("select wal_status from pg_replication_slots")).fetchone()
            return row is not None and row[0] == "lost"

        await eventually(is_lost, within=100)
        with pytest.raises(CheckpointMismatch, match="cannot be read any more") as lost:
            await ReplicationStream.open(server.url, slot="s", publications=["p"], start=0)
        assert "backfill" in lost.value.hint
