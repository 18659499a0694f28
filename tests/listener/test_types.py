"""Types of one's own: found out before rows of them are decoded, and again when they are altered."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import pytest

from cdc.listener import catalog
from tests.listener.mirror import Mirror
from tests.listener.source import publish
from tests.servers import Connect

PAIR = "create type pair as (a int, b text)"
PAIRS = "create table t (v pair)"

Open = Callable[..., AbstractAsyncContextManager[Mirror]]


@pytest.fixture(autouse=True)
def _fresh_for_long(monkeypatch: pytest.MonkeyPatch) -> None:
    """What was read of the catalog is not read again because a test takes its time."""
    monkeypatch.setattr(catalog, "FRESH", 3600.0)


@pytest.fixture
def opened(any_database_url: str, connect: Connect) -> Open:
    """Opens a stream of the table t after these statements."""

    @asynccontextmanager
    async def opened(*ddl: str) -> AsyncIterator[Mirror]:
        source = await publish(any_database_url, connect, *ddl)
        async with await source.open() as stream:
            yield Mirror(source, stream)

    return opened


async def values(mirror: Mirror, *statements: str, commits: int = 0) -> list[Any]:
    await mirror.source.run(*statements)
    return [row["v"] for row in await mirror.rows(commits=commits or len(statements))]


async def test_types_are_read_once_for_all_rows_of_a_table(opened: Open) -> None:
    async with opened(PAIR, PAIRS) as mirror:
        told = await values(mirror, *("insert into t values (row(1, 'x'))",) * 3)
        assert told == [{"a": 1, "b": "x"}] * 3
        assert mirror.reads == 1


async def test_tables_of_built_in_types_alone_cost_no_look_at_the_catalog(opened: Open) -> None:
    async with opened("create table t (v text[], n numrange, i int2vector, s pg_snapshot[])") as mirror:
        assert await values(mirror, "insert into t (v) values ('{a}')") == [["a"]]
        assert mirror.reads == 0


async def test_a_type_that_is_made_mid_stream_is_known_at_its_first_row(opened: Open) -> None:
    async with opened("create table t (id int)") as mirror:
        await mirror.source.run(
            "begin",
            "insert into t values (2)",
            PAIR,
            "alter table t drop column id, add column v pair[]",
            "insert into t values (array[row(1, 'x')]::pair[])",
            "commit",
        )
        assert await mirror.rows() == [{"id": 2}, {"v": [{"a": 1, "b": "x"}]}]


async def test_an_attribute_more_or_less_is_known_at_its_first_row(opened: Open) -> None:
    async with opened(PAIR, PAIRS) as mirror:
        assert await values(mirror, "insert into t values (row(1, 'x'))") == [{"a": 1, "b": "x"}]
        await mirror.source.run("alter type pair add attribute c jsonb")
        assert await values(mirror, "insert into t values (row(1, 'x', '[2]'))") == [{"a": 1, "b": "x", "c": [2]}]
        await mirror.source.run("alter type pair drop attribute a, drop attribute b")
        assert await values(mirror, "insert into t values (row('3'))") == [{"c": 3}]
        assert mirror.reads == 3


async def test_rows_of_a_shape_that_is_gone_stay_text_and_stop_nothing(opened: Open) -> None:
    async with opened(PAIR, PAIRS) as mirror:
        told = await values(
            mirror,
            "insert into t values (row(1, 'x')), (row(2, 'y')), (null)",
            "alter type pair add attribute c text",
            "insert into t values (row(3, 'z', 'new'))",
            commits=2,
        )
        assert told == ["(1,x)", "(2,y)", None, {"a": 3, "b": "z", "c": "new"}]
        assert mirror.reads == 2


async def test_a_renamed_attribute_goes_by_its_new_name_after_a_while(
    opened: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with opened(PAIR, PAIRS) as mirror:
        await values(mirror, "insert into t values (row(1, 'x'))")
        await mirror.source.run("alter type pair rename attribute a to renamed")
        assert await values(mirror, "insert into t values (row(2, 'y'))") == [{"a": 2, "b": "y"}]
        monkeypatch.setattr(catalog, "FRESH", -1)
        assert await values(mirror, "insert into t values (row(3, 'z'))") == [{"renamed": 3, "b": "z"}]


async def test_rows_of_a_type_that_is_gone_are_text(opened: Open) -> None:
    async with opened("create type mood as enum ('sad')", PAIR, "create table t (v pair, w mood)") as mirror:
        told = await values(
            mirror,
            "insert into t values (row(1, 'x'), 'sad')",
            "alter table t drop column v, drop column w, add column v int",
            "drop type pair, mood",
            "insert into t values (1)",
            commits=2,
        )
        assert told == ["(1,x)", 1]


async def test_a_new_value_of_an_enum_needs_no_look(opened: Open) -> None:
    async with opened("create type mood as enum ('sad')", "create table t (v mood[])") as mirror:
        assert await values(mirror, "insert into t values ('{sad}')") == [["sad"]]
        await mirror.source.run("alter type mood add value 'mad'")
        assert await values(mirror, "insert into t values ('{mad,sad}')") == [["mad", "sad"]]
        assert mirror.reads == 1


async def test_published_types_are_read_in_one_go(any_database_url: str, connect: Connect) -> None:
    source = await publish(
        any_database_url,
        connect,
        PAIR,
        PAIRS,
        "create domain d as int[]",
        "create table u (v d)",
    )
    await source.run("alter publication p add table u")
    async with await source.open() as stream:
        mirror = Mirror(source, stream)
        await mirror.catalog.read_published("p")
        told = await values(mirror, "insert into t values (row(1, 'x'))", "insert into u values ('{1}')")
        assert told == [{"a": 1, "b": "x"}, [1]]
        assert mirror.reads == 1


@pytest.mark.parametrize("any_server", ["18", "17", "15", "14"], indirect=True)  # the 16 that we have has no hstore
async def test_an_hstore_is_an_object(opened: Open) -> None:
    async with opened("create schema x", "create extension hstore schema x", "create table t (v x.hstore)") as mirror:
        told = await values(mirror, """insert into t values ('a=>1, "b \\" =>"=>NULL, "c\\\\"=>"x, y"'), ('')""")
        assert told == [{"a": "1", 'b " =>': None, "c\\": "x, y"}, {}]


async def test_vectors_are_arrays_of_numbers(database_url: str, connect: Connect) -> None:
    source = await publish(
        database_url,
        connect,
        "create extension vector",
        "create table t (v vector(3), h halfvec(2), s sparsevec(5), many vector[])",
    )
    async with await source.open() as stream:
        mirror = Mirror(source, stream)
        await source.run("insert into t values ('[1,-2.5,3e-8]', '[0,1]', '{1:1.5}/5', array['[1]', null]::vector[])")
        assert await mirror.rows() == [{"v": [1, -2.5, 3e-8], "h": [0, 1], "s": "{1:1.5}/5", "many": [[1], None]}]
        assert mirror.reads == 1
