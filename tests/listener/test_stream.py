from __future__ import annotations

import asyncio
import os
import time
from pathlib import Path
from typing import Any

import orjson
import pytest

from cdc.lsn import Position, parse
from cdc.wal.slot import create_slot, drop_slot
from cdc.wal.transactions import Change, Committed, Item, Message, Transactions
from tests.listener.source import START, Reader, publish
from tests.servers import Connect
from tests.waiting import eventually


def told(items: list[Change]) -> list[tuple[Any, ...]]:
    return [(change.verb, change.new, change.old, change.unchanged) for change in items]


async def test_committed_rows_arrive_in_order_and_rolled_back_ones_never(
    any_database_url: str, connect: Connect
) -> None:
    source = await publish(any_database_url, connect, "create table t (id int primary key, body text)")
    async with await source.open() as stream:
        await source.run(
            "begin",
            "insert into t values (1, 'a'), (2, null)",
            "savepoint s",
            "insert into t values (3, 'never')",
            "rollback to s",
            "update t set body = 'b' where id = 1",
            "update t set id = 4 where id = 2",
            "delete from t where id = 1",
            "commit",
            "truncate t",
        )
        items = await Reader(stream).changes(commits=2)
    assert told(items) == [
        ("inserted", {"id": 1, "body": "a"}, None, ()),
        ("inserted", {"id": 2, "body": None}, None, ()),
        ("updated", {"id": 1, "body": "b"}, None, ()),
        ("updated", {"id": 4, "body": None}, {"id": 2}, ()),
        ("deleted", None, {"id": 1}, ()),
        ("truncated", None, None, ()),
    ]
    assert [change.position.ordinal for change in items] == [0, 1, 2, 3, 4, 0]


async def test_a_transaction_knows_its_commit_time_and_xid(any_database_url: str, connect: Connect) -> None:
    source = await publish(any_database_url, connect, "create table t (id int primary key)")
    async with await source.open() as stream:
        before = time.time_ns() // 1000
        await source.run("begin", "insert into t values (1)")
        xid = await source.ask("select pg_current_xact_id()::text::bigint % 4294967296")
        await source.run("commit")
        (change,) = await Reader(stream).changes()
    assert change.header.xid == xid
    assert before - 1_000_000 < change.header.commit_time < time.time_ns() // 1000 + 1_000_000


TYPES = {
    "a_bool": ("bool", "true", True),
    "an_int2": ("int2", "-32768", -32768),
    "an_int4": ("int4", "7", 7),
    "an_int8": ("int8", "9223372036854775807", 9223372036854775807),
    "an_oid": ("oid", "4294967295", 4294967295),
    "a_float4": ("float4", "0.1", 0.1),
    "a_float8": ("float8", "0.1234567890123456789", 0.12345678901234568),
    "not_a_number": ("float8", "'NaN'", "NaN"),
    "infinite": ("float8", "'-Infinity'", "-Infinity"),
    "a_numeric": ("numeric(12,4)", "1234500", "1234500.0000"),
    "a_text": ("text", "'snö ☃ \"'''", "snö ☃ \"'"),
    "a_varchar": ("varchar(9)", "'v'", "v"),
    "a_char": ("char(3)", "'c'", "c  "),
    "a_json": ("json", '\'{"a": 1, "a": [2]}\'', {"a": [2]}),
    "a_jsonb": ("jsonb", "'{\"b\": null}'", {"b": None}),
    "a_timestamptz": ("timestamptz", "'2026-01-01 21:34:05.123456+02'", "2026-01-01T19:34:05.123456+00:00"),
    "a_timestamp": ("timestamp", "'2026-01-01 21:34:05'", "2026-01-01T21:34:05"),
    "for_ever": ("timestamptz", "'infinity'", "infinity"),
    "long_ago": ("timestamp", "'0044-03-15 12:00:00 BC'", "0044-03-15 12:00:00 BC"),
    "a_date": ("date", "'2026-12-31'", "2026-12-31"),
    "a_time": ("time", "'24:00:00'", "24:00:00"),
    "an_interval": ("interval", "'1 year 2 days 03:04:05'", "P1Y2DT3H4M5S"),
    "a_uuid": ("uuid", "'6d1bd3c7-7ea5-4c3c-b25c-8f5d0e2f1a5e'", "6d1bd3c7-7ea5-4c3c-b25c-8f5d0e2f1a5e"),
    "a_bytea": ("bytea", "'\\x00ff10'", "AP8Q"),
    "an_enum": ("mood", "'happy'", "happy"),
    "an_array": ("int[]", "'{1,NULL,3}'", [1, None, 3]),
    "nothing": ("int", "null", None),
}


async def test_values_have_one_form_whatever_the_defaults_of_database_and_role_are(
    any_database_url: str, connect: Connect
) -> None:
    columns = ", ".join(f"{name} {type_}" for name, (type_, _, _) in TYPES.items())
    source = await publish(
        any_database_url,
        connect,
        "create type mood as enum ('sad', 'happy')",
        f"create table t (id int primary key, {columns})",
        *(
            f"do $$ begin execute format($x$alter database %I set {setting}$x$, current_database()); end $$"
            for setting in (
                "DateStyle = 'German'",
                "IntervalStyle = 'sql_standard'",
                "TimeZone = 'Asia/Tokyo'",
                "extra_float_digits = 0",
                "bytea_output = 'escape'",
                "client_encoding = 'LATIN1'",
            )
        ),
    )
    values = ", ".join(literal for _, literal, _ in TYPES.values())
    async with await source.open() as stream:
        await source.run(f"insert into t values (1, {values})")
        (change,) = await Reader(stream).changes()
    assert orjson.loads(orjson.dumps(change.new)) == {"id": 1, **{name: value for name, (_, _, value) in TYPES.items()}}


async def test_an_unchanged_toast_value_is_not_null_and_a_null_is_not_unchanged(
    any_database_url: str, connect: Connect
) -> None:
    source = await publish(
        any_database_url,
        connect,
        "create table t (id int primary key, n int, body text)",
        "alter table t alter body set storage external",
        f"insert into t values (1, 1, '{'x' * 9000}')",
    )
    async with await source.open() as stream:
        await source.run("update t set n = null", "update t set body = null")
        items = await Reader(stream).changes(commits=2)
    assert told(items) == [
        ("updated", {"id": 1, "n": None}, None, ("body",)),
        ("updated", {"id": 1, "n": None, "body": None}, None, ()),
    ]


async def test_full_identity_gives_the_old_row_and_the_unchanged_values(
    any_database_url: str, connect: Connect
) -> None:
    body = "x" * 9000
    source = await publish(
        any_database_url,
        connect,
        "create table t (id int primary key, n int, body text)",
        "alter table t replica identity full",
        "alter table t alter body set storage external",
        f"insert into t values (1, 1, '{body}')",
    )
    async with await source.open() as stream:
        await source.run("update t set n = 2", "delete from t")
        items = await Reader(stream).changes(commits=2)
    first, second = {"id": 1, "n": 1, "body": body}, {"id": 1, "n": 2, "body": body}
    assert told(items) == [("updated", second, first, ()), ("deleted", None, second, ())]


async def test_logical_messages_come_within_and_outside_transactions(any_database_url: str, connect: Connect) -> None:
    source = await publish(any_database_url, connect, "create table t (id int primary key)")
    async with await source.open() as stream:
        await source.run(
            "select pg_logical_emit_message(false, 'cdc', 'outside')",
            "begin",
            "select pg_logical_emit_message(true, 'cdc', 'within')",
            "insert into t values (1)",
            "commit",
        )
        items = await Reader(stream).items()
    outside, within, change, committed = items
    assert isinstance(outside, Message)
    assert isinstance(within, Message)
    assert isinstance(change, Change)
    assert isinstance(committed, Committed)
    assert (outside.content, outside.header, outside.position.ordinal) == (b"outside", None, 0)
    assert (within.content, within.position) == (b"within", Position(committed.commit_lsn, 0))
    assert change.position == Position(committed.commit_lsn, 1)


async def test_a_table_that_changes_shape_is_read_in_its_new_shape(any_database_url: str, connect: Connect) -> None:
    source = await publish(any_database_url, connect, "create table t (id int primary key)")
    async with await source.open() as stream:
        await source.run(
            "begin",
            "insert into t values (1)",
            "alter table t add column note text",
            "insert into t values (2, 'x')",
            "alter table t rename column note to remark",
            "alter table t rename to u",
            "insert into u values (3, 'y')",
            "commit",
        )
        items = await Reader(stream).changes()
    assert [(change.relation.name, change.new) for change in items] == [
        ("t", {"id": 1}),
        ("t", {"id": 2, "note": "x"}),
        ("u", {"id": 3, "remark": "y"}),
    ]


async def test_partitions_are_told_by_their_root(any_database_url: str, connect: Connect) -> None:
    source = await publish(
        any_database_url,
        connect,
        "create table t (id int, r text, primary key (id, r)) partition by list (r)",
        "create table t_a partition of t for values in ('a')",
        "create table t_b partition of t for values in ('b')",
        options="with (publish_via_partition_root)",
    )
    async with await source.open() as stream:
        await source.run("insert into t values (1, 'a'), (2, 'b'), (3, 'a'), (4, 'b')")
        items = await Reader(stream).changes()
    assert [(change.relation.name, change.new and change.new["id"]) for change in items] == [
        ("t", 1),
        ("t", 2),
        ("t", 3),
        ("t", 4),
    ]


async def test_names_that_need_quoting_are_quoted(any_database_url: str, connect: Connect) -> None:
    source = await publish(any_database_url, connect, 'create table t (id int primary key, "a ""b"" \'c\' {d}\n" int)')
    name = """we"ird, 'p' \\ Ü"""
    quoted = name.replace('"', '""')
    await source.run(f'create publication "{quoted}" for table t')
    await drop_slot(source.url, "s")
    await create_slot(source.url, "s")
    async with await source.open(publications=[name, "p"]) as stream:
        await source.run("insert into t values (1, 2)")
        (change,) = await Reader(stream).changes()
    assert change.new == {"id": 1, "a \"b\" 'c' {d}\n": 2}


async def test_after_a_confirmed_commit_the_stream_resumes_at_the_next_transaction(
    any_database_url: str, connect: Connect
) -> None:
    source = await publish(any_database_url, connect, "create table t (id int primary key)")
    async with await source.open() as stream:
        await source.run("insert into t values (1)", "insert into t values (2)", "insert into t values (3)")
        items = await Reader(stream).items(commits=3)
        second = [item for item in items if isinstance(item, Committed)][1]
        stream.confirm(second.end_lsn)
    await eventually(lambda: source.has_confirmed(second.end_lsn))

    for start in (0, second.end_lsn):  # from the slot's own memory, and from ours
        async with await source.open(start=start) as stream:
            (change,) = await Reader(stream).changes()
        assert change.new == {"id": 3}


async def test_what_was_not_confirmed_comes_again_at_the_same_positions(
    any_database_url: str, connect: Connect
) -> None:
    source = await publish(any_database_url, connect, "create table t (id int primary key)")
    await source.run("insert into t select generate_series(1, 20)", "insert into t values (21)")
    async with await source.open() as stream:
        everything = await Reader(stream).changes(commits=2)
    async with await source.open() as stream:
        resumed = await Reader(stream, everything[6].position).items(commits=2)
    assert [item for item in resumed if isinstance(item, Change)] == everything[7:]


async def test_a_confirmation_leaves_at_once(any_database_url: str, connect: Connect) -> None:
    source = await publish(any_database_url, connect, "create table t (id int primary key)")
    async with await source.open(status_interval=3600) as stream:
        await source.run("insert into t values (1)")
        (*_, committed) = await Reader(stream).items()
        assert isinstance(committed, Committed)
        stream.confirm(committed.end_lsn)
        stream.confirm(committed.commit_lsn)  # an older one takes nothing back
        await eventually(lambda: source.has_confirmed(committed.end_lsn))
    assert await source.has_confirmed(committed.end_lsn)


async def test_what_was_never_received_cannot_be_confirmed(any_database_url: str, connect: Connect) -> None:
    source = await publish(any_database_url, connect, "create table t (id int primary key)")
    async with await source.open() as stream:
        before = await source.confirmed()
        with pytest.raises(ValueError, match="was received"):
            stream.confirm(stream.received + (1 << 30))
    assert await source.confirmed() == before


async def test_wal_of_unpublished_tables_is_passed_by_keepalives(any_database_url: str, connect: Connect) -> None:
    source = await publish(
        any_database_url, connect, "create table t (id int primary key)", "create table other (id int)"
    )
    async with await source.open() as stream:
        await source.run("insert into other select generate_series(1, 1000)")
        written = parse(await source.ask("select pg_current_wal_lsn()::text"))
        transactions = Transactions(START)
        async with asyncio.timeout(60):
            while stream.received < written:
                items = transactions.feed(await stream.receive())
                assert all(isinstance(item, Committed) for item in items), "Postgres 14 tells of every transaction"
        assert not transactions.in_flight
        stream.confirm(stream.received)
    assert await source.confirmed() >= written


async def test_a_cancelled_receive_loses_nothing(database_url: str, connect: Connect) -> None:
    source = await publish(database_url, connect, "create table t (id int primary key)")
    async with await source.open() as stream:
        transactions = Transactions(START)
        items: list[Item] = []
        writing = asyncio.create_task(source.run(*(f"insert into t values ({number})" for number in range(200))))
        async with asyncio.timeout(60):
            while sum(isinstance(item, Committed) for item in items) < 200:
                receiving = asyncio.create_task(stream.receive(limit=7))
                await asyncio.wait([receiving], timeout=0.001)
                receiving.cancel()
                await asyncio.wait([receiving])
                if not receiving.cancelled():
                    items += transactions.feed(receiving.result())
        await writing
    assert [item.new for item in items if isinstance(item, Change)] == [{"id": number} for number in range(200)]


async def test_receive_keeps_to_its_limit(database_url: str, connect: Connect) -> None:
    source = await publish(database_url, connect, "create table t (id int primary key)")
    await source.run("insert into t select generate_series(1, 5000)")
    async with await source.open() as stream:
        transactions = Transactions(START)
        sizes: list[int] = []
        async with asyncio.timeout(60):
            while not sizes or transactions.in_flight or max(sizes) == 0:
                payloads = await stream.receive(limit=100)
                sizes.append(len(payloads))
                transactions.feed(payloads)
    assert max(sizes) <= 100
    assert sum(sizes) == 5003


async def test_receive_stops_collecting_when_rows_are_large(database_url: str, connect: Connect) -> None:
    source = await publish(database_url, connect, "create table t (id int primary key, body text)")
    await source.run("insert into t select g, repeat('x', 1000000) from generate_series(1, 60) g")
    sizes: list[int] = []
    async with await source.open() as stream:
        async with asyncio.timeout(60):
            while sum(sizes) < 60_000_000:
                sizes.append(sum(len(payload) for payload in await stream.receive()))
    assert max(sizes) < 18 << 20


async def test_a_transaction_of_100_000_rows_passes_in_bounded_memory(database_url: str, connect: Connect) -> None:
    source = await publish(database_url, connect, "create table t (id int primary key, body text)")
    await source.run("insert into t select g, repeat('x', 1000) from generate_series(1, 100000) g")
    transactions = Transactions(START)
    rows, before, peak = 0, resident_bytes(), 0
    async with asyncio.timeout(60), await source.open() as stream:
        while rows < 100_000 or transactions.in_flight:
            rows += sum(isinstance(item, Change) for item in transactions.feed(await stream.receive()))
            peak = max(peak, resident_bytes() - before)
    assert rows == 100_000
    assert peak < 32 << 20  # the rows are 100 MB


def resident_bytes() -> int:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")
