"""Triggers that narrow on columns, through the real stream: which updates start the function."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from cdc import Context, EventTrigger, faults, function
from tests.listener.backfilling import backfill
from tests.listener.listening import Listening, open_listening, until_streaming
from tests.servers import Connect

T = "create table t (id int primary key, title text, body text)"


@function("retitle", on="db/t.updated", columns=["title"])
async def retitle(ctx: Context) -> None: ...


@function("rewrite", on=EventTrigger("db/t.*", columns=["body"]))
async def rewrite(ctx: Context) -> None: ...


async def started(database: Listening, function_id: str = "retitle") -> list[Any]:
    """What became of the titles in the events that started the function, in their order."""
    query = (
        "select e.data -> 'new' ->> 'title' from cdc_state.runs r join cdc_state.events e on e.id = r.event_ids[1]"
        " where r.function_id = %s order by e.id"
    )
    return [title for (title,) in await database.rows(query, function_id)]


async def hashes(database: Listening) -> int:
    """How many rows are remembered."""
    query = "select count(*) from cdc_state.row_hashes r join cdc_state.narrowed_tables t on t.id = r.table_id"
    found: int = await database.one(query)
    return found


async def test_an_update_starts_the_function_only_if_it_changed_a_column(
    any_migrated_url: str, connect: Connect
) -> None:
    database = await open_listening(any_migrated_url, connect, T)
    await database.register(retitle, rewrite)
    async with database.listening():
        await database.run(
            "insert into t values (1, 'a', 'x')",
            "update t set body = 'y'",
            "update t set title = 'b'",
            "update t set title = 'b', body = 'y'",
            "begin",
            "update t set title = 'c'",
            "update t set title = 'b'",
            "commit",
            "delete from t",
            "insert into t values (1, 'b', 'y')",
            "update t set title = null",
            "update t set title = null, body = 'z'",
        )
        await database.read_everything()
    assert await started(database) == ["b", "c", "b", None]
    assert await started(database, "rewrite") == ["a", "a", None, "b", None]
    assert len(await database.events()) == 10
    assert await hashes(database) == 1


async def test_the_first_update_of_a_row_that_was_there_before_starts_the_function(
    any_migrated_url: str, connect: Connect
) -> None:
    database = await open_listening(any_migrated_url, connect, T, "insert into t values (1, 'a', 'x'), (2, 'b', 'x')")
    await database.register(retitle)
    async with database.listening():
        await database.run(
            "update t set body = 'y'", "update t set body = 'z'", "update t set title = 'c' where id = 2"
        )
        await database.read_everything()
    assert await started(database) == ["a", "b", "c"]


async def test_the_old_row_is_compared_where_there_is_one_and_nothing_is_remembered(
    any_migrated_url: str, connect: Connect
) -> None:
    database = await open_listening(
        any_migrated_url, connect, T, "alter table t replica identity full", "insert into t values (1, 'a', 'x')"
    )
    await database.register(retitle)
    async with database.listening():
        await database.run("update t set body = 'y'", "update t set title = 'b'", "update t set title = 'b'")
        await database.read_everything()
    assert await started(database) == ["b"]
    assert await hashes(database) == 0


async def test_rows_are_told_apart_by_their_replica_identity(any_migrated_url: str, connect: Connect) -> None:
    database = await open_listening(
        any_migrated_url,
        connect,
        "create table t (id int, title text, body text, a text not null, b int not null, unique (a, b))",
        "alter table t replica identity using index t_a_b_key",
    )
    await database.register(retitle)
    async with database.listening():
        await database.run(
            "insert into t values (1, 'a', 'x', 'k', 1), (1, 'b', 'x', 'k', 2)",
            "update t set body = 'y'",
            "update t set title = 'c' where b = 2",
            "update t set b = 3 where b = 2",
            "update t set body = 'z'",
            "update t set title = 'd' where b = 3",
        )
        await database.read_everything()
    assert await started(database) == ["c", "d"]
    assert await hashes(database) == 2


async def test_a_row_is_remembered_under_its_new_key(any_migrated_url: str, connect: Connect) -> None:
    database = await open_listening(any_migrated_url, connect, T)
    await database.register(retitle, function("rekey", on="db/t.updated", columns=["id"])(retitle.handler))
    async with database.listening():
        await database.run(
            "insert into t values (1, 'a', 'x'), (2, 'b', 'x')",
            "update t set id = 3 where id = 1",
            "update t set id = 1, title = 'c' where id = 2",
            "update t set id = id + 10, body = 'y'",
            "update t set body = 'z'",
        )
        await database.read_everything()
    assert await started(database) == ["c"]
    assert await started(database, "rekey") == ["a", "c", "a", "c"]
    assert await hashes(database) == 2


async def test_a_large_value_that_was_not_sent_did_not_change(any_migrated_url: str, connect: Connect) -> None:
    database = await open_listening(
        any_migrated_url,
        connect,
        T,
        "alter table t alter title set storage external",
        f"insert into t values (1, '{'a' * 9000}', 'x')",
    )
    await database.register(retitle)
    async with database.listening():
        await database.run(
            "update t set body = 'y'",
            f"insert into t values (2, '{'a' * 9000}', 'x')",
            "update t set body = 'y'",
            f"update t set title = '{'a' * 9000}' where id = 2",
            f"update t set title = '{'b' * 9000}'",
            "update t set body = 'z'",
        )
        await database.read_everything()
    assert await started(database) == ["b" * 9000, "b" * 9000]


async def test_nothing_is_known_of_rows_after_a_truncate(any_migrated_url: str, connect: Connect) -> None:
    database = await open_listening(any_migrated_url, connect, T)
    await database.register(retitle)
    async with database.listening():
        await database.run("insert into t values (1, 'a', 'x'), (2, 'a', 'x')")
        await database.read_everything()
        assert await hashes(database) == 2
        await database.run("begin", "insert into t values (3, 'a', 'x')", "truncate t", "commit")
        await database.read_everything()
        assert await hashes(database) == 0
        await database.run("begin", "truncate t", "insert into t values (1, 'b', 'x')", "commit")
        await database.run("update t set body = 'y'")
        await database.read_everything()
    assert (await started(database), await hashes(database)) == ([], 1)


async def test_what_was_known_under_another_replica_identity_is_not_known(
    any_migrated_url: str, connect: Connect
) -> None:
    database = await open_listening(any_migrated_url, connect, T)
    await database.register(retitle)
    async with database.listening():
        await database.run(
            "insert into t values (1, 'a', 'x')",
            "alter table t replica identity full",
            "update t set title = 'b'",
            "alter table t replica identity default",
            "update t set title = 'a'",
            "update t set body = 'y'",
        )
        await database.read_everything()
    assert await started(database) == ["b", "a"]


async def test_of_a_table_that_was_made_anew_nothing_is_known(any_migrated_url: str, connect: Connect) -> None:
    database = await open_listening(any_migrated_url, connect, T)
    await database.register(retitle)
    async with database.listening():
        await database.run(
            "insert into t values (1, 'a', 'x')", "drop table t", T, "insert into t values (1, 'b', 'x')"
        )
        await database.publish("t")
        await database.run("update t set title = 'a'", "update t set body = 'y'")
        await database.read_everything()
    assert await started(database) == ["a"]


async def test_what_was_seen_is_known_after_a_restart_and_to_the_listener_that_takes_over(
    any_migrated_url: str, connect: Connect
) -> None:
    database = await open_listening(any_migrated_url, connect, T)
    await database.register(retitle)
    async with database.listening():
        await database.run("insert into t values (1, 'a', 'x')")
        await database.read_everything()
    async with database.listening():
        await database.run("update t set body = 'y'", "update t set title = 'b'")
        await database.read_everything()
    await database.run("update t set title = 'b', body = 'z'")
    async with database.listening():
        await database.read_everything()
    assert await started(database) == ["b"]


async def test_an_accept_that_is_undone_and_repeated_judges_the_same(
    migrated_url: str, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    database = await open_listening(migrated_url, connect, T)
    await database.register(retitle)
    async with database.listening():
        await database.run("insert into t values (1, 'a', 'x')")
        await database.read_everything()
    before = await database.rows("select * from cdc_state.row_hashes")
    await database.run("begin", "update t set title = 'b'", "insert into t values (2, 'a', 'x')", "commit")

    def fail(point: str) -> None:
        if point == "accept.before_commit":
            raise RuntimeError(point)

    with monkeypatch.context() as failing:
        failing.setattr(faults, "point", fail)
        life = await until_streaming(*await database.listener())
        with pytest.raises(RuntimeError, match=r"accept\.before_commit"):
            await asyncio.wait_for(life, 60)
    assert await database.rows("select * from cdc_state.row_hashes") == before
    await database.close_doors()
    async with database.listening():
        await database.run("update t set body = 'y'")
        await database.read_everything()
    assert await started(database) == ["b"]


async def test_a_function_that_narrows_from_now_on_knows_nothing_of_before(migrated_url: str, connect: Connect) -> None:
    database = await open_listening(migrated_url, connect, T)
    await database.register(retitle)
    async with database.listening():
        await database.run("insert into t values (1, 'a', 'x')", "update t set body = 'y'")
        await database.read_everything()
        assert (await started(database), await hashes(database)) == ([], 1)
        await database.run("delete from cdc_state.workers")
        await database.register(function("other", on="db/t.updated")(retitle.handler))
        await database.run("update t set title = 'b'")
        await database.read_everything()
        assert await hashes(database) == 0
        await database.register(retitle)
        await database.run("update t set title = 'a'")
        await database.read_everything()
        assert "a" in await started(database)
        await database.run("update t set body = 'z'")
        await database.read_everything()
        assert await hashes(database) == 1
        before = await started(database)
        await database.run("update t set body = 'w'", "update t set title = 'c'")
        await database.read_everything()
    assert await started(database) == [*before, "c"]


async def test_other_tables_are_not_remembered(migrated_url: str, connect: Connect) -> None:
    database = await open_listening(migrated_url, connect, T, "create table u (id int primary key)", publish=("t", "u"))
    await database.register(retitle, function("other", on="db/u.*")(retitle.handler))
    async with database.listening():
        await database.run("insert into u values (1)", "update u set id = 2")
        await database.read_everything()
    assert await hashes(database) == 0
    assert len(await started(database, "other")) == 2


async def test_rows_that_were_backfilled_are_known(any_migrated_url: str, connect: Connect) -> None:
    database = await open_listening(
        any_migrated_url,
        connect,
        "create table t (body text, part text, id bigint, title numeric, seen timestamptz, primary key (id, part))",
        "insert into t select 'x', 'p', n, n / 7.0, now() from generate_series(1, 100) n",
    )
    await database.register(function("both", on="db/t.updated", columns=["title", "seen"])(retitle.handler))
    async with database.listening():
        await database.run("update t set seen = 'infinity' where id = 1")
        await database.read_everything()
    await backfill(database)
    assert await hashes(database) == 100
    async with database.listening():
        await database.run("update t set body = 'y'", "update t set seen = '2020-01-01' where id = 7")
        await database.read_everything()
    assert len(await started(database, "both")) == 2
