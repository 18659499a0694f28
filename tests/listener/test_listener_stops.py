"""Large transactions, listeners that stop in the middle, and WAL that holds nothing for us."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

import pytest
from psycopg.conninfo import make_conninfo

from cdc import Context, function
from cdc.errors import StreamLost
from cdc.events.accept import Accepted
from cdc.listener import accepting
from cdc.listener import listener as module
from cdc.lsn import parse
from tests.listener.listening import Listening, ids, open_listening, position, until_streaming
from tests.servers import Connect, Server
from tests.waiting import eventually

T = "create table t (id int primary key, body text)"


@function("note", on=["db/t.inserted", "db/t.updated", "db/t.deleted"])
async def note(ctx: Context) -> None: ...


def patient(database: Listening) -> Listening:
    """From a server that says nothing by itself for minutes: nothing is heard of because of its next word."""
    url = make_conninfo(database.url, options="-c wal_sender_timeout=10min")
    database.watched = replace(database.watched, url=url)
    return database


async def largest_accept(database: Listening) -> int:
    # accepted_at is when the transaction began.
    counted = "select count(*) from cdc_state.events group by accepted_at"
    return max(int(size) for (size,) in await database.rows(counted))


async def test_a_transaction_larger_than_one_accept_is_accepted_in_chunks(
    any_migrated_url: str, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(accepting, "MOST", 10)
    database = await open_listening(any_migrated_url, connect, T)
    await database.register(note)
    async with database.listening():
        await database.run("insert into t select n, 'x' from generate_series(1, 95) n")
        await database.read_everything()
    assert ids(await database.events()) == list(range(1, 96))
    assert await database.one("select count(distinct event_ids) from cdc_state.runs") == 95
    assert await largest_accept(database) == 10


async def test_a_transaction_of_many_bytes_is_accepted_in_chunks(
    migrated_url: str, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(accepting, "MOST_BYTES", 50_000)
    database = await open_listening(migrated_url, connect, T)
    async with database.listening():
        await database.run("insert into t select n, repeat('x', 20000) from generate_series(1, 9) n")
        await database.read_everything()
    assert ids(await database.events()) == list(range(1, 10))
    assert await largest_accept(database) == 3


async def test_a_listener_stopped_within_a_transaction_is_followed_without_loss_or_repeat(
    any_migrated_url: str, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(accepting, "MOST", 10)
    monkeypatch.setattr(module, "READ", 7)
    database = await open_listening(any_migrated_url, connect, T)
    await database.register(note)
    listener, streaming = await database.listener()
    accepts = 0

    async def accept(*arguments: Any) -> Accepted:
        nonlocal accepts
        accepts += 1
        if accepts == 3:
            listener.stop()
        return await unchanged(*arguments)

    unchanged = listener._door.accept
    monkeypatch.setattr(listener._door, "accept", accept)
    life = await until_streaming(listener, streaming)
    await database.run("insert into t select n, 'x' from generate_series(1, 95) n", "insert into t values (96, 'y')")
    await life

    stopped = await database.checkpoint()
    stored = await database.events()
    assert 0 < len(stored) < 95
    assert stopped.position == position(stored[-1])
    assert await database.confirmed() <= stopped.end_lsn < stopped.position.commit_lsn

    async with database.listening():
        await database.read_everything()
    assert ids(await database.events()) == list(range(1, 97))
    assert await database.one("select count(distinct event_ids) from cdc_state.runs") == 96


async def test_exactly_as_many_messages_as_are_read_at_once_are_not_held_back(
    any_migrated_url: str, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    database = patient(await open_listening(any_migrated_url, connect, T))
    async with database.listening():
        await database.run("insert into t values (0, 'tells what t is like')")
        await database.read_everything()
        monkeypatch.setattr(module, "READ", 3)  # begin, insert, commit
        for number in range(1, 6):
            await database.run(f"insert into t values ({number}, 'x')")
            query = "select count(*) from cdc_state.events where name = 'db/t.inserted'"

            async def is_there(query: str = query, expected: int = number + 1) -> bool:
                return bool(await database.one(query) == expected)

            await eventually(is_there)


async def test_stopping_takes_no_time_when_nothing_happens(migrated_url: str, connect: Connect) -> None:
    database = patient(await open_listening(migrated_url, connect, T))
    listener, streaming = await database.listener()
    life = await until_streaming(listener, streaming)
    await database.read_everything()
    listener.stop()
    async with asyncio.timeout(25):
        await life


async def test_a_listener_stopped_before_it_runs_returns_at_once(migrated_url: str, connect: Connect) -> None:
    database = await open_listening(migrated_url, connect, T)
    listener, _ = await database.listener()
    listener.stop()
    async with asyncio.timeout(60):
        await listener.run()
    await eventually(database.is_free)


async def test_a_lost_connection_ends_the_listener_and_the_next_one_goes_on(
    any_migrated_url: str, connect: Connect
) -> None:
    database = await open_listening(any_migrated_url, connect, T)
    listener, streaming = await database.listener()
    life = await until_streaming(listener, streaming)
    await database.run("insert into t values (1, 'a')")
    await database.read_everything()
    await database.cut()
    with pytest.raises(StreamLost):
        await life
    await database.run("insert into t values (2, 'b')")
    async with database.listening():
        await database.read_everything()
    assert ids(await database.events()) == [1, 2]


async def other_database(server: Server, database: Listening) -> None:
    url = await server.create_database()
    async with await database.connect(url) as elsewhere:
        await elsewhere.execute("create table big as select n, repeat('x', 100) from generate_series(1, 20000) n")
    await server.drop_database(url)


async def same_database(server: Server, database: Listening) -> None:
    await database.run("create table big as select n, repeat('x', 100) from generate_series(1, 20000) n")


@pytest.mark.parametrize("write", [other_database, same_database])
async def test_wal_without_changes_for_us_is_passed_and_not_retained(
    any_server: Server,
    any_migrated_url: str,
    connect: Connect,
    monkeypatch: pytest.MonkeyPatch,
    write: Callable[[Server, Listening], Awaitable[None]],
) -> None:
    monkeypatch.setattr(module, "IDLE_BYTES", 100_000)
    database = await open_listening(any_migrated_url, connect, T)
    async with database.listening():
        await database.run("insert into t values (1, 'a')")
        await database.read_everything()
        before = await database.checkpoint()
        await write(any_server, database)
        written = parse(await database.one("select pg_current_wal_lsn()::text"))

        async def is_passed() -> bool:
            return await database.confirmed() > written - 100_000

        await eventually(is_passed, what="the slot lets go of WAL that holds nothing for us")
        confirmed = await database.confirmed()  # before the checkpoint: both may move on
        after = await database.checkpoint()
        assert (after.position, after.epoch) == (before.position, before.epoch)
        assert after.end_lsn >= confirmed
        await database.run("insert into t values (2, 'b')")
        await database.read_everything()
    assert ids(await database.events()) == [1, 2]


async def test_a_little_wal_is_passed_after_a_while(
    migrated_url: str, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    database = await open_listening(migrated_url, connect, T)
    monkeypatch.setattr(module, "IDLE_SECONDS", 0.0)
    async with database.listening():
        await database.run("create table small (id int)")
        written = parse(await database.one("select pg_current_wal_lsn()::text"))

        async def is_passed() -> bool:
            return await database.confirmed() >= written

        await eventually(is_passed)


async def test_a_listener_with_nothing_to_accept_writes_nothing(
    any_migrated_url: str, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "IDLE_SECONDS", 3600.0)
    database = await open_listening(any_migrated_url, connect, T)
    listener, streaming = await database.listener()
    accept, sizes = listener._door.accept, []

    async def counted(*arguments: Any) -> Accepted:
        sizes.append(len(arguments[0]))
        return await accept(*arguments)

    monkeypatch.setattr(listener._door, "accept", counted)
    life = await until_streaming(listener, streaming)
    for _ in range(3):
        await database.run("create table unpublished (id int)", "drop table unpublished")
        await database.read_everything()
    listener.stop()
    await life
    # The end of a transaction may be read apart from its rows, and moves the checkpoint once more then.
    assert [size for size in sizes if size] == [1, 1, 1]
    assert sizes.count(0) <= 3, "our own accepts and transactions of others move nothing"
