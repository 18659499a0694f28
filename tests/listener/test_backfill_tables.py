"""Which tables can be backfilled, by which key, and how their rows look."""

from __future__ import annotations

import pytest

from cdc.store import chunks
from cdc.store.connect import Connection
from tests.listener.backfilling import ask, backfill, backfilled, backfilling, over, reading_then
from tests.listener.listening import open_listening
from tests.servers import Connect

KEYS = {
    "int": ("int", "n::int"),
    "text": ("text", "md5(n::text)"),
    "text in the order of a language": ('text collate "C"', "chr(64 + n % 60) || n"),
    "uuid": ("uuid", "md5(n::text)::uuid"),
    "time": ("timestamptz", "'2024-01-01 00:00+00'::timestamptz + n * '1.000001 seconds'::interval"),
    "bytes": ("bytea", "sha256(n::text::bytea)"),
    "numbers": ("numeric", "n / 7.0"),
    "floats": ("float8", "n / 7.0"),
    "fixed": ("char(8)", "n::text"),
    "json": ("jsonb", "to_jsonb(n)"),
    "addresses": ("inet", "'10.0.0.0'::inet + n"),
    "arrays": ("int[]", "array[n, -n]"),
}


@pytest.fixture(autouse=True)
def small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cdc.listener.backfill.MOST", 30)


@pytest.mark.parametrize("kind", KEYS)
async def test_keys_of_all_kinds(migrated_url: str, connect: Connect, kind: str) -> None:
    type_, value = KEYS[kind]
    database = await open_listening(
        migrated_url,
        connect,
        f"create table t (k {type_} primary key, n int)",
        f"insert into t select {value}, n from generate_series(1, 100) n",
    )
    done = await backfill(database)
    assert (done.status, done.rows_done) == ("done", 100), done.reason
    ordered = [n for (n,) in await database.rows("select n from t order by k")]
    assert [event.data["new"]["n"] for event in await backfilled(database)] == ordered


async def test_a_key_of_several_columns(any_migrated_url: str, connect: Connect) -> None:
    database = await open_listening(
        any_migrated_url,
        connect,
        'create table t (n int, "The Tenant" text collate "C", id int, primary key ("The Tenant", id))',
        "insert into t select n, chr(97 + n % 3), n from generate_series(1, 100) n",
    )
    assert (await backfill(database)).status == "done"
    ordered = [n for (n,) in await database.rows('select n from t order by "The Tenant", id')]
    assert [event.data["new"]["n"] for event in await backfilled(database)] == ordered


async def test_rows_look_as_they_do_from_the_stream(any_migrated_url: str, connect: Connect) -> None:
    columns = (
        "a bool, b float8, c numeric, d bytea, e timestamptz, f interval, g jsonb, h int[], i date, j uuid, k real"
    )
    values = (
        "true, 'NaN', 1.500, 'ab', '2024-05-06 07:08:09.1+02', '1 day 2 hours', '{\"a\": [1, null]}', '{1,null}',"
        " '0044-03-15 BC', '00000000-0000-0000-0000-000000000001', 0.1"
    )
    database = await open_listening(
        any_migrated_url,
        connect,
        f"create table t (id int primary key, {columns}, z text generated always as (a::text) stored)",
        f"insert into t values (1, {values})",
        "insert into t (id) values (2)",
        # What a role or a database may have set changes nothing.
        "do $$ begin execute format('alter database %I set datestyle to german', current_database()); end $$",
        "do $$ begin execute format('alter database %I set timezone to \"Asia/Tokyo\"', current_database()); end $$",
    )
    async with backfilling(database) as reader:
        id_ = await ask(database)
        reader.wake()
        await over(database, id_)
        await database.run("update t set id = id + 10", "update t set id = id - 10")
        await database.read_everything()
    events = await database.events()
    read = [event.data["new"] for event in events if event.name == "db/t.backfilled"]
    streamed = [event.data["new"] for event in events if event.name == "db/t.updated"][2:]
    assert read == streamed
    assert len(read) == 2


async def test_only_what_is_published_is_read(migrated_url: str, connect: Connect) -> None:
    database = await open_listening(
        migrated_url,
        connect,
        "create table t (id int primary key, shown text, secret text, state int)",
        "insert into t select n, 'shown', 'secret', n % 2 from generate_series(1, 100) n",
        "alter table t replica identity full",
        publish=[],
    )
    name = database.watched.publication
    await database.run(f"alter publication {name} add table t (id, shown) where (id % 2 = 0 and shown like '%o%')")
    assert (await backfill(database)).status == "done"
    rows = [event.data["new"] for event in await backfilled(database)]
    assert rows == [{"id": n, "shown": "shown"} for n in range(2, 101, 2)]


async def test_a_partitioned_table_is_read_as_a_whole(any_migrated_url: str, connect: Connect) -> None:
    database = await open_listening(
        any_migrated_url,
        connect,
        "create table t (id int, kind int, primary key (id, kind)) partition by list (kind)",
        "create table t_0 partition of t for values in (0)",
        "create table t_1 partition of t for values in (1) partition by range (id)",
        "create table t_1_all partition of t_1 default",
        "insert into t select n, n % 2 from generate_series(1, 100) n",
    )
    assert (await backfill(database)).rows_done == 100
    events = await backfilled(database)
    assert [event.data["new"]["id"] for event in events] == [*range(1, 101)]
    assert {event.name for event in events} == {"db/t.backfilled"}


IDENTITIES = {
    "full": "alter table t replica identity full",
    "an index": "alter table t replica identity using index t_code_key",
}


@pytest.mark.parametrize("identity", IDENTITIES)
async def test_changes_meanwhile_are_told_by_whatever_the_stream_identifies_rows_with(
    migrated_url: str, connect: Connect, identity: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    database = await open_listening(
        migrated_url,
        connect,
        "create table t (id int primary key, code int not null unique, note text)",
        "insert into t select n, -n, 'old' from generate_series(1, 20) n",
        IDENTITIES[identity],
    )
    read = reading_then(database.run, "update t set id = id + 100, note = 'new' where id = 5")
    monkeypatch.setattr("cdc.store.chunks.read", read)
    assert (await backfill(database)).status == "done"
    (row,) = [event.data["new"] for event in await backfilled(database) if event.data["new"]["code"] == -5]
    assert row == {"id": 105, "code": -5, "note": "new"}
    assert len(await backfilled(database)) == 20


async def test_without_a_primary_key_a_unique_index_will_do(migrated_url: str, connect: Connect) -> None:
    database = await open_listening(
        migrated_url,
        connect,
        "create table t (n int, code text not null, maybe int unique)",
        "create unique index on t (code) include (n)",
        "alter table t replica identity full",
        "insert into t select n, md5(n::text) from generate_series(1, 100) n",
    )
    assert (await backfill(database)).rows_done == 100
    ordered = [n for (n,) in await database.rows("select n from t order by code")]
    assert [event.data["new"]["n"] for event in await backfilled(database)] == ordered


REFUSED = {
    "no key": (
        ["create table t (id int)", "alter table t replica identity full", "grant select on t to public"],
        "neither a primary key nor a unique index",
    ),
    "no right": (
        ["create table t (id int primary key)", "insert into t values (1)"],
        'GRANT SELECT ON "public"."t" TO "reader_',
    ),
    "hidden rows": (
        [
            "create table t (id int primary key)",
            "insert into t values (1)",
            "grant select on t to public",
            "alter table t enable row level security",
        ],
        "row-level security",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
async def test_a_table_that_cannot_be_read_is_refused_and_the_others_go_on(
    migrated_url: str, connect: Connect, case: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    ddl, reason = REFUSED[case]
    database = await open_listening(
        migrated_url,
        connect,
        *ddl,
        "create table u (id int primary key)",
        "insert into u values (1)",
        "grant select on u to public",
        publish=["t", "u"],
    )
    role = f"reader_{migrated_url.rpartition('_')[2]}"
    await database.run(f"create role {role}")

    pin = chunks.pin

    async def as_reader(conn: Connection) -> None:
        await pin(conn)
        await conn.execute(f"set role {role}".encode())

    monkeypatch.setattr(chunks, "pin", as_reader)
    refused, other = await ask(database), await ask(database, "u")
    async with backfilling(database):
        failed = await over(database, refused)
        assert (await over(database, other)).rows_done == 1
    assert failed.status == "failed"
    assert reason in (failed.reason or "")
    await database.run(f"drop owned by {role}", f"drop role {role}")
