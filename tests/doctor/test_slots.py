"""Slot, checkpoint and WAL with a fault each."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from cdc.store.migrate import migrate
from cdc.wal.slot import create_slot, drop_slot
from tests.doctor.examining import bad, examined, own_server
from tests.listener.listening import Listening, open_listening
from tests.servers import Connect, Server, Version

T = "create table t (id int primary key, body text)"


async def test_a_source_that_is_listened_to_is_well(every_migrated_url: str, connect: Connect) -> None:
    database = await open_listening(every_migrated_url, connect, T)
    async with database.listening():
        await database.run("insert into t values (1, 'a')")
        await database.read_everything()
        found = await examined(database.url)
    assert bad(found) == set()
    assert found["slot"].state == found["lag"].state == found["checkpoint"].state == "ok"
    assert "is read" in found["slot"].says


async def test_a_slot_that_nobody_reads_is_told(migrated_url: str, connect: Connect) -> None:
    database = await open_listening(migrated_url, connect, T)
    await database.attach()
    found = await examined(database.url)
    assert bad(found) == set()
    assert "nobody has read it" in found["slot"].says
    assert "cdc run" in found["slot"].next
    now_and_then = await examined(database.url, listen="every 10m")
    assert "every 10 minutes" in now_and_then["slot"].says


async def dropped(database: Listening) -> None:
    await drop_slot(database.url, database.watched.slot)


async def moved(database: Listening) -> None:
    await database.run("insert into t values (99, 'skipped')")
    await database.rows("select pg_replication_slot_advance(%s, pg_current_wal_lsn())", database.watched.slot)


async def set_back(database: Listening) -> None:
    await database.run("update cdc_state.checkpoints set end_lsn = 'FFFFFFFF/0'")


async def copied(database: Listening) -> None:
    await database.run("update cdc_state.sources set system_identifier = '1'")


async def renamed(database: Listening) -> None:
    await database.run("update cdc_state.sources set slot = 'another'")


@pytest.mark.parametrize(
    ("spoil", "check", "says"),
    [
        (dropped, "slot", "is gone"),
        (moved, "checkpoint", "moved beyond it"),
        (set_back, "checkpoint", "ahead of the server"),
        (copied, "checkpoint", "another server or timeline"),
        (renamed, "checkpoint", "made with the slot another"),
    ],
)
async def test_what_does_not_belong_together(
    any_migrated_url: str, connect: Connect, spoil: Callable[[Listening], Awaitable[None]], check: str, says: str
) -> None:
    database = await open_listening(any_migrated_url, connect, T)
    await database.attach()
    await spoil(database)
    found = await examined(database.url)
    assert bad(found) == {check}
    assert says in found[check].says


async def test_a_slot_of_another_database(server: Server, migrated_url: str, connect: Connect) -> None:
    database = await open_listening(migrated_url, connect, T)
    elsewhere = await server.create_database()
    await create_slot(elsewhere, database.watched.slot)
    found = await examined(database.url)
    assert bad(found) == {"slot"}
    assert "CDC_SLOT" in found["slot"].next
    await server.drop_database(elsewhere)


@pytest.mark.parametrize("version", ["18", "17", "16", "15", "14"])
async def test_a_slot_that_the_server_gave_up(version: Version, directory: Path, connect: Connect) -> None:
    async with own_server(directory, version, max_slot_wal_keep_size="1MB") as postgres:
        for kind in ("source", "state"):
            await migrate(postgres.url, kind)
        database = await open_listening(postgres.url, connect, T)
        await database.attach()
        kept = await examined(postgres.url)
        for _ in range(3):
            await database.run("insert into t values (1, 'x') on conflict do nothing")
            await database.rows("select pg_switch_wal()")
        unreserved = await examined(postgres.url)
        await database.run("checkpoint")
        lost = await examined(postgres.url)
    assert kept["max_slot_wal_keep_size"].state == "ok"
    assert bad(kept) == set()
    assert "next checkpoint" in unreserved["slot"].says
    assert bad(lost) == {"slot"}
    assert "invalidated" in lost["slot"].says
    assert "cdc slot drop" in lost["slot"].next


async def test_a_schema_of_a_newer_version(migrated_url: str, connect: Connect) -> None:
    conn = await connect(migrated_url)
    await conn.execute("insert into cdc_state.migrations (name, checksum) values ('9999_future', 'x')")
    found = await examined(migrated_url)
    assert bad(found) == {"schema cdc_state"}
    assert "Upgrade this service" in found["schema cdc_state"].next


async def test_a_state_database_that_does_not_answer(database_url: str) -> None:
    found = await examined(database_url, state_database_url="postgresql://u:open-sesame@127.0.0.1:1/db")
    assert bad(found) == {"database"}
    assert "CDC_STATE_DATABASE_URL" in found["database"].next
    assert "open-sesame" not in str(found)
