"""Tables of every kind, from SQL to stored events."""

from __future__ import annotations

from typing import Any

import pytest

from cdc import Context, function
from cdc.authoring.triggers import event_name
from cdc.store.selection import Selection
from tests.listener.listening import Listening, open_listening
from tests.servers import Connect


async def told(database: Listening) -> list[tuple[str, Any, Any]]:
    return [(event.name, event.data["new"], event.data["old"]) for event in await database.events()]


ODD_TABLES = [
    ("public", "Mixed Case"),
    ("public", "a.b"),
    ("public", 'q"u"o.te'),
    ("public", "*"),
    ("public", "message"),
    ("public", "select"),
    ("Crm.Eu", "users"),
    ("crm", "us*ers"),
    ("a", "b"),
    ("message", "t"),
    ("tänk", "\n'%(x)s {} \\"),
]


@pytest.mark.parametrize(("schema", "table"), ODD_TABLES)
async def test_a_function_gets_the_rows_of_a_table_of_any_name(
    migrated_url: str, connect: Connect, schema: str, table: str
) -> None:
    name = event_name(schema, table, "inserted")

    @function("rows", on=name)
    async def rows(ctx: Context) -> None: ...

    database = await open_listening(migrated_url, connect, publish=())
    path = ".".join('"' + part.replace('"', '""') + '"' for part in (schema, table))
    await database.run(f"create schema if not exists {path[: path.index(chr(34) + '.') + 1]}")
    await database.run(f"create table {path} (id int primary key)")
    await database.register(rows)
    async with database.listening():  # which publishes what functions name
        await database.run(f"insert into {path} values (1)")
        await database.read_everything()
    (event,) = await database.events()
    assert (event.name, event.data["schema"], event.data["table"]) == (name, schema, table)
    assert await database.one("select count(*) from cdc_state.runs where function_id = 'rows'") == 1


async def test_tables_whose_names_run_together_are_told_apart(any_migrated_url: str, connect: Connect) -> None:
    database = await open_listening(
        any_migrated_url,
        connect,
        "create schema a",
        "create table a.b (id int primary key)",
        'create table "a.b" (id int primary key)',
        publish=("a.b",),
    )
    await database.run(f'alter publication "{database.watched.publication}" add table "a.b"')
    async with database.listening():
        await database.run("insert into a.b values (1)", 'insert into "a.b" values (2)')
        await database.read_everything()
    assert await told(database) == [("db/a.b.inserted", {"id": 1}, None), ('db/"a.b".inserted', {"id": 2}, None)]


async def test_the_old_row_is_what_the_replica_identity_holds(any_migrated_url: str, connect: Connect) -> None:
    database = await open_listening(
        any_migrated_url,
        connect,
        "create table keyless (a int, b text)",
        "alter table keyless replica identity full",
        "create table indexed (a int, b text not null unique)",
        "alter table indexed replica identity using index indexed_b_key",
        publish=(),
    )
    await database.run(f'alter publication "{database.watched.publication}" add table keyless, indexed')
    async with database.listening():
        for table in ("keyless", "indexed"):
            await database.run(
                f"insert into {table} values (1, 'x'), (1, 'y')",
                f"update {table} set a = 2 where b = 'x'",
                f"update {table} set b = 'z' where b = 'x'",
                f"delete from {table} where b = 'z'",
            )
        await database.read_everything()
    assert await told(database) == [
        ("db/keyless.inserted", {"a": 1, "b": "x"}, None),
        ("db/keyless.inserted", {"a": 1, "b": "y"}, None),
        ("db/keyless.updated", {"a": 2, "b": "x"}, {"a": 1, "b": "x"}),
        ("db/keyless.updated", {"a": 2, "b": "z"}, {"a": 2, "b": "x"}),
        ("db/keyless.deleted", None, {"a": 2, "b": "z"}),
        ("db/indexed.inserted", {"a": 1, "b": "x"}, None),
        ("db/indexed.inserted", {"a": 1, "b": "y"}, None),
        ("db/indexed.updated", {"a": 2, "b": "x"}, None),
        ("db/indexed.updated", {"a": 2, "b": "z"}, {"b": "x"}),
        ("db/indexed.deleted", None, {"b": "z"}),
    ]


async def test_a_table_without_identity_tells_of_its_inserts_and_truncates(
    any_migrated_url: str, connect: Connect
) -> None:
    database = await open_listening(
        any_migrated_url,
        connect,
        "create table log (a int)",
        "alter table log replica identity nothing",
        publish=(),
    )
    await database.run(f'alter publication "{database.watched.publication}" add table log')
    async with database.listening():
        await database.run("insert into log values (1)", "truncate log")
        await database.read_everything()
    assert await told(database) == [("db/log.inserted", {"a": 1}, None), ("db/log.truncated", None, None)]


PARTED = (
    "create table t (id int, r text, v text, primary key (id, r)) partition by list (r)",
    "create table t_a partition of t for values in ('a')",
    # Other columns, in another order.
    "create table t_b (v text, gone int, r text not null, id int not null, primary key (id, r))",
    "alter table t_b drop column gone",
    "alter table t attach partition t_b for values in ('b')",
)


@pytest.mark.parametrize("root", [True, False])
async def test_rows_of_partitions_come_under_one_name_or_the_other_and_a_move_is_two_changes(
    any_migrated_url: str, connect: Connect, root: bool
) -> None:
    database = await open_listening(any_migrated_url, connect, *PARTED)
    database.selection = Selection(by_root=root)
    async with database.listening():
        await database.run(
            "insert into t values (1, 'a', 'x'), (2, 'b', 'y'), (3, 'a', 'z')",
            "update t set r = 'b' where id = 1",
            "update t set v = 'w' where id = 2",
            "truncate t",
        )
        await database.read_everything()
    a, b = ("t", "t") if root else ("t_a", "t_b")
    truncated = [("db/t.truncated", None, None)] if root else [(f"db/{t}.truncated", None, None) for t in (a, b)]
    assert await told(database) == [
        (f"db/{a}.inserted", {"id": 1, "r": "a", "v": "x"}, None),
        (f"db/{b}.inserted", {"id": 2, "r": "b", "v": "y"}, None),
        (f"db/{a}.inserted", {"id": 3, "r": "a", "v": "z"}, None),
        (f"db/{a}.deleted", None, {"id": 1, "r": "a"}),
        (f"db/{b}.inserted", {"id": 1, "r": "b", "v": "x"}, None),
        (f"db/{b}.updated", {"id": 2, "r": "b", "v": "w"}, None),
        *truncated,
    ]


async def test_a_table_changes_its_shape_between_rows_and_within_a_transaction(
    any_migrated_url: str, connect: Connect
) -> None:
    database = await open_listening(any_migrated_url, connect, "create table t (id int primary key, n int)")
    steps = (
        "insert into t values (1, 1)",
        "alter table t add column note text[] default '{new}'",
        "insert into t values (2, 2, '{x}')",
        "alter table t rename column note to remark",
        "update t set remark = '{y}' where id = 2",
        "alter table t alter column n type text using 'n' || n",
        "insert into t values (3, 'n3')",
        "alter table t drop column remark",
        "alter table t rename to u",
        "alter table u set schema s",
        "insert into s.u values (4, 'n4')",
        "alter table s.u set schema public",
        "alter table u rename to t",
        "alter table t alter column n type int using substr(n, 2)::int",
        "delete from t",
    )
    changes = [
        ("db/t.inserted", {"id": 1, "n": 1}, None),
        ("db/t.inserted", {"id": 2, "n": 2, "note": ["x"]}, None),
        ("db/t.updated", {"id": 2, "n": 2, "remark": ["y"]}, None),
        ("db/t.inserted", {"id": 3, "n": "n3", "remark": ["new"]}, None),
        ("db/s.u.inserted", {"id": 4, "n": "n4"}, None),
        *(("db/t.deleted", None, {"id": id_}) for id_ in (1, 2, 3, 4)),
    ]
    await database.run("create schema s")
    async with database.listening():
        await database.run(*steps)
        await database.run("begin", *steps, "commit")
        await database.read_everything()
    found = await told(database)
    # A rewritten table may give its rows in another order.
    assert [sorted(found[start : start + 9], key=repr) for start in (0, 9)] == [sorted(changes, key=repr)] * 2


async def test_rows_of_a_table_that_was_dropped_before_they_were_read_are_events(
    any_migrated_url: str, connect: Connect
) -> None:
    database = await open_listening(
        any_migrated_url,
        connect,
        "create type mood as enum ('sad', 'happy')",
        "create type pair as (a int, b mood)",
        "create table t (id int primary key, body text[], feeling mood, p pair)",
    )
    await database.attach()
    await database.run(
        "insert into t values (1, '{x}', 'sad', row(1, 'happy'))",
        "drop table t",
        "drop type pair, mood",
        "create table t (id int primary key)",
        "insert into t values (2)",
    )
    async with database.listening():
        await database.read_everything()
    # The types are gone as well; the table that was made anew is not published.
    row = {"id": 1, "body": ["x"], "feeling": "sad", "p": "(1,happy)"}
    assert await told(database) == [("db/t.inserted", row, None)]


async def test_a_truncate_of_several_tables_is_an_event_of_each(any_migrated_url: str, connect: Connect) -> None:
    database = await open_listening(
        any_migrated_url,
        connect,
        "create table t (id int primary key)",
        "create table child (id int primary key references t)",
        "create table unseen (id int primary key references t)",
        publish=("t", "child"),
    )
    async with database.listening():
        await database.run("insert into t values (1)", "truncate t cascade")
        await database.read_everything()
    names = [name for name, _, _ in await told(database)]
    assert names[0] == "db/t.inserted"
    assert sorted(names[1:]) == ["db/child.truncated", "db/t.truncated"]


async def test_stored_generated_columns_arrive_like_any_other(migrated_url: str, connect: Connect) -> None:
    database = await open_listening(
        migrated_url,
        connect,
        "create table t (id int primary key, n int, twice int generated always as (n * 2) stored)",
    )
    async with database.listening():
        await database.run("insert into t values (1, 1)")
        await database.run("insert into t values (2, 2)", "update t set n = 3 where id = 2")
        await database.read_everything()
    assert [new for _, new, _ in await told(database)] == [
        {"id": 1, "n": 1, "twice": 2},
        {"id": 2, "n": 2, "twice": 4},
        {"id": 2, "n": 3, "twice": 6},
    ]
