from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from psycopg.conninfo import make_conninfo

from cdc.embedded import Postgres
from cdc.errors import CheckpointMismatch, ServerNotReady, SlotInUse, StreamLost
from cdc.lsn import parse
from cdc.wal import frames
from cdc.wal.slot import drop_slot
from cdc.wal.stream import ReplicationStream
from cdc.wal.transactions import Committed
from tests.listener.source import Reader, Source, publish
from tests.places import server_folder
from tests.proxy import Proxy
from tests.servers import Connect, Connection, Server
from tests.waiting import eventually


@pytest.fixture
async def own_server() -> AsyncIterator[Postgres]:
    """A server that a test may stop as it likes."""
    with server_folder() as folder:
        postgres = Postgres(folder / "server", settings={"fsync": "off"})
        await postgres.start()
        yield postgres
        await postgres.stop(immediate=True)


@asynccontextmanager
async def valve_before(connection: Connection) -> AsyncIterator[tuple[int, asyncio.Event]]:
    """A port that leads to the server, and an event: while it is clear, nothing the client sends gets through."""
    opened = asyncio.Event()
    opened.set()
    served: list[asyncio.Task[Any]] = []

    async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, gate: asyncio.Event | None) -> None:
        while data := await reader.read(4096):
            if gate:
                await gate.wait()
            writer.write(data)
            await writer.drain()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task
        served.append(task)
        upstream, downstream = await asyncio.open_connection(connection.info.host, connection.info.port)
        try:
            await asyncio.gather(pump(reader, downstream, opened), pump(upstream, writer, None))
        except OSError:
            pass
        finally:
            for end in (writer, downstream):
                end.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0, limit=4096)
    try:
        yield server.sockets[0].getsockname()[1], opened
    finally:
        server.close()
        for task in served:
            task.cancel()
        await asyncio.gather(*served, return_exceptions=True)


async def test_a_consumer_that_takes_its_time_is_not_cut_off(any_database_url: str, connect: Connect) -> None:
    source = await publish(any_database_url, connect, "create table t (id int primary key)")
    async with await source.open(status_interval=0.1) as stream:
        await source.run("insert into t values (1)")
        reader = Reader(stream)
        (first,) = await reader.changes()
        # More than the socket's buffers hold: the server has to wait for us.
        await source.run("insert into t select generate_series(2, 100000)")
        await source.is_told()
        assert await source.is_read()
        assert len(await reader.changes()) == 99_999
    assert first.new == {"id": 1}


async def test_data_that_nobody_reads_costs_no_cpu(
    database_url: str, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = await publish(database_url, connect, "create table t (id int primary key, body text)")
    told, tell = 0, ReplicationStream._on_readable

    def counted(stream: ReplicationStream) -> None:
        nonlocal told
        told += 1
        tell(stream)

    monkeypatch.setattr(ReplicationStream, "_on_readable", counted)
    async with await source.open() as stream:
        await source.run("insert into t values (0)")
        await Reader(stream).changes()
        before = told
        await source.run("insert into t select g, repeat('x', 500) from generate_series(1, 5000) g")
        await source.run("select pg_sleep(0.5)")
        assert told - before <= 2, "once that there is something, and once that nobody has taken it"


async def test_a_server_that_says_nothing_any_more_is_given_up(database_url: str, connect: Connect) -> None:
    source = await publish(database_url, connect, "create table t (id int primary key)")
    async with Proxy(source.url) as proxy, await source.open(url=proxy.url, answers_within=1) as stream:
        proxy.stall()
        with pytest.raises(StreamLost, match="has not answered for 1 seconds"):
            await asyncio.wait_for(Reader(stream).changes(), 60)


@pytest.mark.parametrize("any_server", ["18", "14"], indirect=True)
async def test_a_server_that_has_nothing_to_say_is_kept(
    any_database_url: str, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = await publish(any_database_url, connect, "create table t (id int primary key)")
    asked: set[bool] = set()
    status = frames.status

    def noted(*figures: int, ask: bool) -> bytes:
        asked.add(ask)
        return status(*figures, ask=ask)

    monkeypatch.setattr(frames, "status", noted)
    async with await source.open(status_interval=0.1) as stream:
        reading = asyncio.create_task(Reader(stream).changes())

        def has_answered() -> bool:
            if True not in asked:
                stream._heard_at = time.monotonic() - 3600  # silent for an hour
            return True in asked and stream._asked_at is None

        for _ in range(3):
            asked.clear()
            await eventually(has_answered, what="the server was asked for a word, and has said it")
        # As autovacuum does now and then: on Postgres 14 the reader is told of a transaction without rows.
        await source.run("analyze pg_class", "insert into t values (1)")
        assert [change.new for change in await reading] == [{"id": 1}]


async def test_a_slot_in_use_is_refused_and_free_once_its_reader_has_closed(
    any_database_url: str, connect: Connect
) -> None:
    source = await publish(any_database_url, connect, "create table t (id int primary key)")
    async with await source.open():
        with pytest.raises(SlotInUse, match="active for PID") as refused:
            await source.open()
        assert refused.value.transient
    for number in range(20):
        async with await source.open() as stream:
            await source.run(f"insert into t values ({number})")
            assert len(await Reader(stream).changes(commits=number + 1)) == number + 1


async def test_closing_in_the_middle_of_a_large_transaction_takes_little_time_and_frees_the_slot(
    database_url: str, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cdc.wal.stream._CLOSE_WITHIN", 2.0)
    source = await publish(database_url, connect, "create table t (id int primary key, body text)")
    await source.run("insert into t select g, repeat('x', 500) from generate_series(1, 100000) g")
    stream = await source.open()
    while not await stream.receive():
        pass
    before = time.monotonic()
    await stream.close()
    assert time.monotonic() - before < 20
    await eventually(lambda: is_free(source))
    await stream.close()


async def is_free(source: Source) -> bool:
    return not await source.is_read()


async def test_a_closed_stream_says_so_to_whoever_still_waits(database_url: str, connect: Connect) -> None:
    source = await publish(database_url, connect, "create table t (id int primary key)")
    stream = await source.open()

    async def receive_for_ever() -> None:
        while True:
            await stream.receive()

    waiting = asyncio.create_task(receive_for_ever())
    await asyncio.wait([waiting], timeout=0.05)
    await stream.close()
    with pytest.raises(StreamLost):
        await waiting
    with pytest.raises(StreamLost, match="closed"):
        await stream.receive()


async def test_a_missing_slot_is_a_checkpoint_mismatch(any_database_url: str, connect: Connect) -> None:
    source = await publish(any_database_url, connect, "create table t (id int primary key)")
    await drop_slot(source.url, "s")
    with pytest.raises(CheckpointMismatch, match='"s" does not exist') as refused:
        await source.open()
    assert "backfill" in refused.value.hint


async def test_a_slot_of_another_database_is_a_checkpoint_mismatch(
    any_database_url: str, any_server: Server, connect: Connect
) -> None:
    source = await publish(any_database_url, connect, "create table t (id int primary key)")
    elsewhere = await any_server.create_database()
    with pytest.raises(CheckpointMismatch, match="not created in this database"):
        await source.open(url=elsewhere)
    await any_server.drop_database(elsewhere)


async def test_a_checkpoint_ahead_of_the_server_is_refused(any_database_url: str, connect: Connect) -> None:
    source = await publish(any_database_url, connect, "create table t (id int primary key)")
    with pytest.raises(CheckpointMismatch, match="ahead of the server"):
        await source.open(start=parse("FF/0"))


async def test_a_publication_younger_than_its_slot_is_refused_and_nothing_is_skipped(
    any_database_url: str, connect: Connect
) -> None:
    source = await publish(any_database_url, connect, "create table t (id int primary key)")
    await source.run("insert into t values (1)", "create publication late for table t", "insert into t values (2)")
    async with await source.open(publications=["late"]) as stream:
        # All of it is at hand at once, so that what follows the server's complaint could be taken by mistake.
        await eventually(source.has_sent_everything)
        taken: list[bytes] = []
        with pytest.raises(ServerNotReady, match="late"):
            await receive_until_lost(stream, into=taken)
    assert {payload[:1] for payload in taken} <= {b"B", b"C"}, "what Postgres 14 tells of every transaction"


async def test_a_stream_that_the_server_ends_is_lost_with_the_reason_it_gave(
    any_database_url: str, connect: Connect
) -> None:
    source = await publish(any_database_url, connect, "create table t (id int primary key)")
    async with await source.open() as stream:
        await source.run("select pg_terminate_backend(active_pid) from pg_replication_slots where slot_name = 's'")
        with pytest.raises(StreamLost, match="administrator command") as lost:
            await receive_until_lost(stream)
        assert lost.value.transient
        with pytest.raises(StreamLost, match="administrator command"):
            await stream.receive()


async def receive_until_lost(stream: ReplicationStream, into: list[bytes] | None = None) -> None:
    taken = [] if into is None else into
    async with asyncio.timeout(60):
        while True:
            taken += await stream.receive()


async def test_a_killed_server_is_a_lost_stream_and_closing_it_is_quiet(own_server: Postgres, connect: Connect) -> None:
    source = await publish(own_server.url, connect, "create table t (id int primary key)")
    stream = await source.open()
    waiting = asyncio.create_task(receive_until_lost(stream))
    await own_server.stop(immediate=True)
    with pytest.raises(StreamLost):
        await waiting
    stream.confirm(stream.received)
    await stream.close()


async def test_confirming_on_a_dead_connection_raises_nothing(own_server: Postgres, connect: Connect) -> None:
    source = await publish(own_server.url, connect, "create table t (id int primary key)")
    stream = await source.open(status_interval=0.01)
    await source.run("insert into t values (1)")
    items = await Reader(stream).items()
    await own_server.stop(immediate=True)
    for item in items:
        if isinstance(item, Committed):
            stream.confirm(item.end_lsn)
    before = time.monotonic()
    await eventually(lambda: time.monotonic() > before + 0.1)
    with pytest.raises(StreamLost):
        await receive_until_lost(stream)
    await stream.close()


async def test_a_server_that_shuts_down_is_not_held_up_by_a_reader_that_confirms(
    own_server: Postgres, connect: Connect
) -> None:
    source = await publish(own_server.url, connect, "create table t (id int primary key)")

    async def follow() -> None:
        while True:
            await stream.receive()
            stream.confirm(stream.received)

    # Else it would give up one that does not confirm, after a while.
    async with await source.open(url=make_conninfo(source.url, options="-c wal_sender_timeout=10min")) as stream:
        following = asyncio.create_task(follow())
        async with asyncio.timeout(60):
            await own_server.stop()
        with pytest.raises(StreamLost):
            await following


async def test_confirmations_made_while_the_network_is_clogged_arrive_when_it_moves_again(
    database_url: str, connect: Connect
) -> None:
    source = await publish(database_url, connect, "create table t (id int primary key, body text)")
    async with (
        valve_before(source.connection) as (port, opened),
        await source.open(url=make_conninfo(source.url, port=port), status_interval=3600) as stream,
    ):
        first = stream.received or await source.confirmed()
        await source.run("insert into t select g, repeat('x', 1000) from generate_series(1, 2000) g")
        reader = Reader(stream)
        await reader.changes()
        opened.clear()
        last = stream.received
        before = await source.confirmed()
        for lsn in range(first, last, 7):  # more bytes than the sockets on the way can hold
            stream.confirm(lsn)
        stream.confirm(last)
        assert await source.confirmed() < last
        opened.set()
        await eventually(lambda: source.has_confirmed(last))
        assert before < last
        await source.run("delete from t where id = 1")
        assert len(await reader.changes()) == 1
