"""Which events a row change makes: the table of docs/functions.md."""

from __future__ import annotations

from typing import Any

import pytest

from tests.listener.listening import Listening, open_listening
from tests.servers import Connect

T = "create table t (id int primary key, title text)"
CHILD = "create table child (id int primary key, t int references t on delete cascade on update cascade)"


async def made(database: Listening, *statements: str) -> list[tuple[str, Any]]:
    """Verb and id of each event that the last of these statements, or a transaction, makes."""
    async with database.listening():
        for statement in statements[:-1]:
            await database.run(statement)
        await database.read_everything()
        before = len(await database.events())
        await database.run(statements[-1])
        await database.read_everything()
    told = [
        (event.name.removeprefix("db/"), event.data["new"] or event.data["old"]) for event in await database.events()
    ]
    return [(name, row and row["id"]) for name, row in told[before:]]


@pytest.mark.parametrize(
    ("statement", "expected"),
    [
        ("insert into t values (3, 'c'), (4, 'd')", [("t.inserted", 3), ("t.inserted", 4)]),
        (
            "insert into t values (1, 'c'), (3, 'c') on conflict (id) do update set title = excluded.title",
            [("t.updated", 1), ("t.inserted", 3)],
        ),
        ("insert into t values (1, 'c') on conflict do nothing", []),
        ("update t set title = title", [("t.updated", 1), ("t.updated", 2)]),
        ("update t set id = 7 where id = 2", [("t.updated", 7)]),
        ("update t set id = 7 where id = 1", [("t.updated", 7), ("child.updated", 1)]),
        ("delete from t where id = 1", [("t.deleted", 1), ("child.deleted", 1)]),
        ("truncate t cascade", [("t.truncated", None), ("child.truncated", None)]),
        ("alter table t alter id type bigint", []),
        (
            "do $$ begin update t set title = 'c' where id = 2; update t set title = 'd' where id = 2; begin"
            " update t set title = 'e' where id = 2; raise 'undone'; exception when others then null; end; end $$",
            [("t.updated", 2), ("t.updated", 2)],
        ),
    ],
)
async def test_a_statement_makes_the_events_that_the_docs_say(
    any_migrated_url: str, connect: Connect, statement: str, expected: list[tuple[str, Any]]
) -> None:
    database = await open_listening(any_migrated_url, connect, T, CHILD, publish=("t", "child"))
    rows = "insert into t values (1, 'a'), (2, 'b')", "insert into child values (1, 1)"
    assert sorted(await made(database, *rows, statement)) == sorted(expected)


async def test_a_row_that_moves_to_another_partition_is_deleted_and_inserted(
    any_migrated_url: str, connect: Connect
) -> None:
    database = await open_listening(
        any_migrated_url,
        connect,
        "create table t (id int, place text, primary key (id, place)) partition by list (place)",
        "create table t_a partition of t for values in ('a')",
        "create table t_b partition of t for values in ('b')",
    )
    told = await made(database, "insert into t values (1, 'a')", "update t set place = 'b'")
    assert told == [("t.deleted", 1), ("t.inserted", 1)]


@pytest.mark.parametrize(
    ("statement", "expected"),
    [
        ("update t set title = 'hidden' where id = 1", [("t.deleted", 1)]),
        ("update t set title = 'shown' where id = 2", [("t.inserted", 2)]),
        ("update t set title = 'hidden' where id = 2", []),
        ("update t set title = 'shown' where id = 1", [("t.updated", 1)]),
        ("delete from t", [("t.deleted", 1)]),
    ],
)
async def test_a_row_comes_and_goes_with_the_row_filter(
    migrated_url: str, connect: Connect, statement: str, expected: list[tuple[str, Any]]
) -> None:
    database = await open_listening(
        migrated_url, connect, "create table t (id int, title text, primary key (id, title))"
    )
    await database.run(f"alter publication {database.watched.publication} drop table t")
    await database.run(f"alter publication {database.watched.publication} add table t where (title = 'shown')")
    assert await made(database, "insert into t values (1, 'shown'), (2, 'hidden')", statement) == expected
