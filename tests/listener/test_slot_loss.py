"""A slot that is lost: refused, or made anew where that is wanted; and what was lost by that is known."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace

import pytest

from cdc.errors import CheckpointMismatch, ListenerFenced, SlotLost, StreamLost
from cdc.listener.source import attach, belongs
from cdc.lsn import parse
from cdc.store import checkpoints, gaps
from cdc.store.migrate import migrate
from cdc.wal.slot import create_slot, drop_slot
from cdc.wal.stream import ReplicationStream
from tests.listener.listening import Listening, ids, open_listening, until_streaming
from tests.listener.test_listener_attach import (
    T,
    ahead_of_the_server,
    another_server,
    another_timeline,
    moved_slot,
    renamed_slot,
    slot_made_anew,
)
from tests.listener.test_slot import server_with
from tests.servers import Connect, Connection
from tests.waiting import eventually


async def open_recreating(url: str, connect: Connect) -> Listening:
    """A source that was listened to, and whose slot may be made anew when it is lost."""
    database = await open_listening(url, connect, T)
    database.watched = replace(database.watched, on_loss="recreate")
    async with database.listening():
        await database.run("insert into t values (1, 'before')")
        await database.read_everything()
    return database


async def lose(database: Listening) -> None:
    """Drop the slot, and change something that is lost by that."""
    await drop_slot(database.url, database.watched.slot)
    await database.run("insert into t values (2, 'lost')")


async def test_a_lost_slot_is_made_anew_and_what_was_lost_is_recorded(any_migrated_url: str, connect: Connect) -> None:
    database = await open_recreating(any_migrated_url, connect)
    before = await database.checkpoint()
    await lose(database)
    told: list[int] = []

    async def on_gap(state: Connection, source: Connection) -> None:
        told.append(len(await gaps.listed(state)))

    database.watched = replace(database.watched, on_gap=on_gap)
    start = (await database.attach()).end_lsn  # before a listener passes WAL that holds nothing for us
    async with database.listening():
        await database.run("insert into t values (3, 'after')")
        await database.read_everything()
    assert ids(await database.events()) == [1, 3]
    assert (await database.checkpoint()).source_id != before.source_id
    (gap,) = await gaps.listed(database.connection)
    assert gap.to_lsn is not None
    assert (parse(gap.from_lsn), parse(gap.to_lsn)) == (before.end_lsn, start)
    assert gap.to_at is not None
    assert gap.from_at < gap.to_at
    assert "is gone" in gap.reason
    assert told == [1]


async def test_a_lost_slot_that_is_not_to_be_made_anew_stays_lost(any_migrated_url: str, connect: Connect) -> None:
    database = await open_recreating(any_migrated_url, connect)
    database.watched = replace(database.watched, on_loss="stop")
    await lose(database)
    for _ in range(2):
        with pytest.raises(SlotLost, match="is gone"):
            await database.attach()
    assert await gaps.listed(database.connection) == []
    with pytest.raises(SlotLost, match="is gone"):
        await belongs(database.watched, database.connection, database.connection)


@pytest.mark.parametrize(
    "spoil", [moved_slot, ahead_of_the_server, another_server, another_timeline, slot_made_anew, renamed_slot]
)
@pytest.mark.parametrize("loses", [False, True])
async def test_nothing_but_a_lost_slot_is_mended_by_making_it_anew(
    migrated_url: str, connect: Connect, spoil: Callable[[Listening], Awaitable[None]], loses: bool
) -> None:
    database = await open_recreating(migrated_url, connect)
    await spoil(database)
    gone = loses and spoil not in (moved_slot, slot_made_anew)
    if gone:
        await drop_slot(database.url, database.watched.slot)
    before = await database.checkpoint()
    with pytest.raises(CheckpointMismatch) as refused:
        await database.attach()
    assert not isinstance(refused.value, SlotLost)
    assert await database.checkpoint() == before
    assert await gaps.listed(database.connection) == []
    slots = "select count(*) from pg_replication_slots where slot_name = %s"
    assert await database.one(slots, database.watched.slot) == (0 if gone else 1)


@pytest.mark.parametrize("slot_was_made", [False, True])
async def test_who_dies_while_making_the_slot_anew_is_followed_by_one_who_ends_it(
    any_migrated_url: str, connect: Connect, slot_was_made: bool
) -> None:
    database = await open_recreating(any_migrated_url, connect)
    await lose(database)
    await checkpoints.retire_source(database.connection, "default", "as a service does that then dies")
    if slot_was_made:
        await create_slot(database.url, database.watched.slot)
    await database.run("insert into t values (3, 'after')")
    told: list[str] = []

    async def on_gap(state: Connection, source: Connection) -> None:
        told.append("gap")

    database.watched = replace(database.watched, on_loss="stop", on_gap=on_gap)
    async with database.listening():
        await database.read_everything()
    assert ids(await database.events()) == ([1, 3] if slot_was_made else [1])
    (gap,) = await gaps.listed(database.connection)
    assert gap.to_lsn is not None
    assert told == ["gap"]


async def test_of_several_services_that_find_the_slot_lost_one_makes_it_anew(
    any_migrated_url: str, connect: Connect
) -> None:
    database = await open_recreating(any_migrated_url, connect)
    await lose(database)

    async def come() -> checkpoints.Checkpoint:
        return await attach(database.watched, await connect(database.url), await connect(database.url))

    found = await asyncio.gather(*(come() for _ in range(5)))
    assert len(set(found)) == 1
    assert len(await gaps.listed(database.connection)) == 1
    assert await database.one("select count(*) from cdc_state.sources") == 2


async def test_who_attached_before_the_slot_was_made_anew_cannot_listen(
    any_migrated_url: str, connect: Connect
) -> None:
    database = await open_recreating(any_migrated_url, connect)
    late, streaming = await database.listener()
    await lose(database)
    await database.attach()
    with pytest.raises(ListenerFenced, match="given up meanwhile"):
        await (await until_streaming(late, streaming))


async def test_a_slot_that_is_invalidated_while_it_is_read_is_found_out_and_made_anew(connect: Connect) -> None:
    settings = {"max_slot_wal_keep_size": "16MB", "min_wal_size": "32MB", "max_wal_size": "32MB"}
    async with server_with(settings) as server:
        for kind in ("source", "state"):
            await migrate(server.url, kind)
        database = await open_recreating(server.url, connect)
        await database.run("create table filler (body text)")
        slow, streaming = await database.listener()
        goes_on, receive = asyncio.Event(), slow._receive

        async def receive_late(stream: ReplicationStream) -> list[bytes]:
            await goes_on.wait()
            return await receive(stream)

        slow._receive = receive_late  # type: ignore[method-assign]
        life = await until_streaming(slow, streaming)

        async def is_lost() -> bool:
            # Nothing that is sent: a walsender that cannot write does not end, and the checkpoint waits for it.
            await database.run(
                "insert into filler select repeat(md5(n::text), 30) from generate_series(1, 40000) n", "checkpoint"
            )
            query = "select wal_status from pg_replication_slots where slot_name = %s"
            return bool(await database.one(query, database.watched.slot) == "lost")

        await eventually(is_lost, within=100, what="the slot is invalidated while somebody reads from it")
        goes_on.set()
        with pytest.raises(StreamLost):
            await life

        async with database.listening():
            await database.run("insert into t values (3, 'after')")
            await database.read_everything()
        assert ids(await database.events()) == [1, 3]
        (gap,) = await gaps.listed(database.connection)
        assert "was invalidated (wal_removed)" in gap.reason
        await database.close_doors()
