"""Slot, checkpoint and server belong together or are refused; of two listeners one writes."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

import pytest

from cdc import Context, function
from cdc.errors import CheckpointMismatch, ListenerFenced, ServerNotReady, SlotInUse, SlotLost, StreamLost
from cdc.events.accept import Accepted
from cdc.listener.source import attach, belongs
from cdc.store import server as store
from cdc.store.checkpoints import Checkpoint
from cdc.wal.slot import create_slot, drop_slot
from tests.listener.listening import Listening, ids, open_listening, until_streaming
from tests.servers import Connect, Server

T = "create table t (id int primary key, body text)"


@function("note", on=["db/t.inserted", "db/t.updated", "db/t.deleted"])
async def note(ctx: Context) -> None: ...


async def moved_slot(database: Listening) -> None:
    await database.run("insert into t values (99, 'skipped')")
    slot = database.watched.slot
    await database.rows("select pg_replication_slot_advance(%s, pg_current_wal_lsn())", slot)


async def ahead_of_the_server(database: Listening) -> None:
    await database.run("update cdc_state.checkpoints set end_lsn = 'FFFFFFFF/0'")


async def another_server(database: Listening) -> None:
    await database.run("update cdc_state.sources set system_identifier = '1'")


async def another_timeline(database: Listening) -> None:
    await database.run("update cdc_state.sources set timeline = timeline + 1")


async def dropped_slot(database: Listening) -> None:
    await drop_slot(database.url, database.watched.slot)


async def slot_made_anew(database: Listening) -> None:
    await drop_slot(database.url, database.watched.slot)
    await database.run("insert into t values (99, 'skipped')")
    await create_slot(database.url, database.watched.slot)


async def renamed_slot(database: Listening) -> None:
    await database.run("update cdc_state.sources set slot = 'another'")


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (moved_slot, "was moved to .* by somebody else, beyond the checkpoint"),
        (ahead_of_the_server, r"\(FFFFFFFF/0\) is ahead of the server's WAL"),
        (another_server, "another server or timeline"),
        (another_timeline, "another server or timeline"),
        (dropped_slot, "is gone; changes since"),
        (slot_made_anew, "was moved to .* by somebody else, beyond the checkpoint"),
        (renamed_slot, "made with the replication slot 'another', and CDC_SLOT names"),
    ],
)
async def test_what_does_not_belong_together_is_refused(
    any_migrated_url: str, connect: Connect, spoil: Callable[[Listening], Awaitable[None]], says: str
) -> None:
    database = await open_listening(any_migrated_url, connect, T)
    async with database.listening():
        await database.run("insert into t values (1, 'a')")
        await database.read_everything()
    await spoil(database)
    before = await database.checkpoint()
    with pytest.raises(CheckpointMismatch, match=says) as refused:
        await database.attach()
    assert "cdc slot drop" in refused.value.hint
    assert await database.checkpoint() == before


async def test_an_invalidated_slot_is_refused(
    migrated_url: str, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    database = await open_listening(migrated_url, connect, T)
    await database.attach()
    look = store.slot

    async def lost(*arguments: Any) -> store.Slot | None:
        slot = await look(*arguments)
        assert slot is not None
        return store.Slot(slot.plugin, slot.database, None, slot.confirmed_lsn, None, "lost")

    monkeypatch.setattr(store, "slot", lost)
    with pytest.raises(SlotLost, match="was invalidated"):
        await database.attach()


async def test_a_slot_of_another_database_is_refused(server: Server, migrated_url: str, connect: Connect) -> None:
    database = await open_listening(migrated_url, connect, T)
    elsewhere = await server.create_database()
    await create_slot(elsewhere, database.watched.slot)
    with pytest.raises(ServerNotReady, match="exists on this server for database"):
        await database.attach()
    await server.drop_database(elsewhere)


async def test_a_slot_that_stands_already_is_read_from_where_it_stands(any_migrated_url: str, connect: Connect) -> None:
    database = await open_listening(any_migrated_url, connect, T)
    await create_slot(database.url, database.watched.slot)
    await database.run("insert into t values (1, 'before the first start')")
    async with database.listening():
        await database.read_everything()
    assert ids(await database.events()) == [1]


async def test_of_several_services_that_come_first_one_opens_the_source(
    any_migrated_url: str, connect: Connect
) -> None:
    database = await open_listening(any_migrated_url, connect, T)

    async def come() -> Checkpoint:
        return await attach(database.watched, await connect(database.url), await connect(database.url))

    found = await asyncio.gather(*(come() for _ in range(5)))
    assert len(set(found)) == 1
    assert await database.one("select count(*) from cdc_state.sources") == 1


async def test_who_only_works_finds_out_whether_the_source_is_this_database(
    any_migrated_url: str, connect: Connect
) -> None:
    database = await open_listening(any_migrated_url, connect, T)
    conn = database.connection
    assert not await belongs(database.watched, conn, conn)
    await database.attach()
    assert await belongs(database.watched, conn, conn)
    await another_timeline(database)
    with pytest.raises(CheckpointMismatch, match="another server or timeline"):
        await belongs(database.watched, conn, conn)


# --- two listeners ------------------------------------------------------------------------------------------------


def has_accepted_nothing_since(checkpoint: Checkpoint, now: Checkpoint) -> bool:
    """Whether a checkpoint is where it was, but for WAL without changes.

    The end of a transaction may be read after its rows were accepted, and moves the checkpoint once more then.
    """
    return now.end_lsn >= checkpoint.end_lsn and now == replace(checkpoint, end_lsn=now.end_lsn)


async def test_a_listener_frozen_while_another_took_over_cannot_write(any_migrated_url: str, connect: Connect) -> None:
    database = await open_listening(any_migrated_url, connect, T)
    await database.register(note)
    frozen, streaming = await database.listener()
    asked, thawed = asyncio.Event(), asyncio.Event()
    unchanged = frozen._door.accept

    async def accept(*arguments: Any) -> Accepted:
        asked.set()
        await thawed.wait()
        return await unchanged(*arguments)

    frozen._door.accept = accept  # type: ignore[method-assign, assignment]
    life = await until_streaming(frozen, streaming)
    await database.run("insert into t values (1, 'a')")
    await asked.wait()
    await database.cut()  # the server gives up a client that does not answer

    async with database.listening():
        await database.run("insert into t values (2, 'b')")
        await database.read_everything()
        stored, checkpoint = await database.events(), await database.checkpoint()
        thawed.set()
        with pytest.raises((StreamLost, ListenerFenced)):
            await life
        assert await database.events() == stored
        assert has_accepted_nothing_since(checkpoint, await database.checkpoint())
    assert ids(stored) == [1, 2]
    assert await database.one("select count(*) from cdc_state.runs") == 2


async def test_a_listener_that_waits_for_the_slot_leaves_the_present_one_alone(
    any_migrated_url: str, connect: Connect
) -> None:
    database = await open_listening(any_migrated_url, connect, T)
    async with database.listening():
        for number in range(20):
            waiting, _ = await database.listener()
            with pytest.raises(SlotInUse):
                await waiting.run()
            await database.run(f"insert into t values ({number}, 'x')")
        await database.read_everything()
    assert ids(await database.events()) == list(range(20))


async def test_looking_at_a_source_that_is_moving_never_finds_a_mismatch(
    any_migrated_url: str, connect: Connect
) -> None:
    database = await open_listening(any_migrated_url, connect, T)
    writer = await connect(any_migrated_url)

    async def write() -> None:
        for number in range(10_000):
            await writer.execute("insert into t values (%s, 'x')", [number])

    async with database.listening():
        writing = asyncio.create_task(write())
        for _ in range(30):
            await database.attach()
        writing.cancel()


async def test_what_was_accepted_after_a_listener_looked_is_not_accepted_again(
    any_migrated_url: str, connect: Connect
) -> None:
    database = await open_listening(any_migrated_url, connect, T)
    await database.attach()
    late, streaming = await database.listener()
    async with database.listening():
        await database.run("insert into t values (1, 'a')", "insert into t values (2, 'b')")
        await database.read_everything()
    moved = await database.checkpoint()

    life = await until_streaming(late, streaming)
    assert has_accepted_nothing_since(replace(moved, epoch=moved.epoch + 1), late.checkpoint)
    await database.run("insert into t values (3, 'c')")
    await database.read_everything()
    late.stop()
    await life
    assert ids(await database.events()) == [1, 2, 3]
