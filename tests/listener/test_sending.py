"""Events of one's own: sent in SQL, with the transaction they belong to."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import psycopg
import pytest

from cdc import Context, function
from cdc.errors import ConfigurationError
from cdc.store import events
from tests.listener.listening import open_listening
from tests.servers import Connect

T = "create table t (id int primary key, body text)"


@function("paid", on="app/order.paid")
async def paid(ctx: Context) -> None: ...


async def test_an_event_exists_if_and_only_if_its_transaction_commits(any_migrated_url: str, connect: Connect) -> None:
    database = await open_listening(any_migrated_url, connect, T)
    await database.register(paid)
    async with database.listening():
        await database.run(
            "begin",
            "insert into t values (1, 'a')",
            'select cdc.send(\'app/order.paid\', \'{"id": 1, "odd": "\\ud800"}\')',
            "insert into t values (2, 'b')",
            "commit",
            "begin",
            "select cdc.send('app/order.paid', '{\"id\": 2}')",
            "rollback",
        )
        await database.read_everything()
    told = [(event.name, event.data) for event in await database.events()]

    assert [name for name, _ in told] == ["db/t.inserted", "app/order.paid", "db/t.inserted"]
    assert told[1][1] == {"id": 1, "odd": "\ud800"}
    assert await database.one("select count(*) from cdc_state.runs where function_id = 'paid'") == 1


async def test_an_event_sent_twice_over_the_wire_is_stored_once(migrated_url: str, connect: Connect) -> None:
    database = await open_listening(migrated_url, connect, T)
    async with database.listening():
        await database.run("select cdc.send('app/a')", "select cdc.send('app/b')")
        await database.read_everything()
    # As after a crash of the server: the slot is where it was, and everything comes again.
    checkpoint = await database.checkpoint()
    await database.run("update cdc_state.checkpoints set commit_lsn = '0/0', ordinal = -1")
    assert checkpoint.end_lsn
    async with database.listening():
        await database.read_everything()

    assert [event.name for event in await database.events()] == ["app/a", "app/b"]


@pytest.mark.parametrize(
    "name", ["", "db/t.inserted", "cdc/signal.x", "inngest/function.finished", "Inngest/x", "two words", "a\nb"]
)
async def test_a_name_that_is_taken_or_unusable_is_refused(name: str, migrated_url: str, connect: Connect) -> None:
    connection = await connect(migrated_url)

    with pytest.raises(ConfigurationError, match="not a name for an event of your own"):
        await events.send(connection, name, "{}")


@pytest.mark.parametrize("data", ["[]", "1", "null", "{"])
async def test_data_that_is_no_object_is_refused(data: str, migrated_url: str, connect: Connect) -> None:
    connection = await connect(migrated_url)

    with pytest.raises(ConfigurationError):
        await events.send(connection, "app/x", data)


async def test_a_foreign_message_under_our_prefix_harms_nobody(migrated_url: str, connect: Connect) -> None:
    database = await open_listening(migrated_url, connect, T)
    async with database.listening():
        for content in ("", "app/x", "app/x\n[1]", "app/x\n{", "\n{}", "db/t.inserted\n{}"):
            await database.rows("select pg_logical_emit_message(true, 'cdc.send', %s)", content)
        await database.rows("select pg_logical_emit_message(false, 'cdc.send', %s)", "app/x\n{}")
        await database.run("insert into t values (1, 'a')")
        await database.read_everything()

    assert [event.name for event in await database.events()] == ["db/t.inserted"]


async def test_a_message_that_is_no_text_harms_nobody(migrated_url: str, connect: Connect) -> None:
    database = await open_listening(migrated_url, connect, T)
    async with database.listening():
        await database.rows("select pg_logical_emit_message(true, 'cdc.send', %s::bytea)", psycopg.Binary(b"\xff\n{}"))
        await database.run("insert into t values (1, 'a')")
        await database.read_everything()

    assert [event.name for event in await database.events()] == ["db/t.inserted"]


async def test_what_the_sender_gives_comes_with_the_event(any_migrated_url: str, connect: Connect) -> None:
    database = await open_listening(any_migrated_url, connect, T)
    await database.register(paid)
    later = datetime(2090, 1, 2, 3, 4, 5, 678000, tzinfo=UTC)
    user = '{"name":\r\n "A\\u0000da \\ud800"}'
    async with database.listening():
        name, own = "app/order.paid", 'own "id"\\'
        await events.send(database.connection, name, '{"id":\n1}', id=own, ts=later, user=user, v="2")
        await events.send(database.connection, name, "{}", id=own)
        await events.send(database.connection, name, "{}", v="")
        await database.read_everything()
    ids = [
        row[0] for row in await database.rows("select id::text from cdc_state.events where name = %s order by id", name)
    ]
    loaded = await events.load(database.connection, ids)
    first, second, third = (loaded[id_] for id_ in ids)

    assert (first.data, first.id, first.v) == ({"id": 1}, own, "2")
    assert (first.user, first.ts) == ({"name": "A\0da \ud800"}, int(later.timestamp() * 1000))
    assert (second.id, second.data) == (own, {})
    assert third.v is None
    started = await database.rows("select due_at > now() from cdc_state.runs order by due_at")
    assert started == [(False,), (True,)], "the second event has the id of the first, and starts nothing"


@pytest.mark.parametrize(
    "given",
    [
        {"id": "tab\tand\nbreak \u200b\U0001f600"},
        {"id": "\U0001f600" * 255, "v": "\u00a0" * 255},
        {"ts": datetime(1980, 1, 1, tzinfo=UTC)},
        {"ts": datetime(2099, 12, 31, 23, 59, 59, 999999, tzinfo=UTC)},
        {"user": "{}"},
    ],
    ids=lambda given: next(iter(given)),
)
async def test_whatever_sql_accepts_is_accepted(given: dict[str, Any], migrated_url: str, connect: Connect) -> None:
    database = await open_listening(migrated_url, connect, T)
    async with database.listening():
        await events.send(database.connection, "app/x", "{}", **given)
        await database.read_everything()

    assert [event.name for event in await database.events()] == ["app/x"]


async def test_a_signal_is_an_event_of_its_own_kind(migrated_url: str, connect: Connect) -> None:
    database = await open_listening(migrated_url, connect, T)
    async with database.listening():
        await database.run("select cdc.signal('approved', '{\"by\": \"Ada\"}')")
        await database.read_everything()
    assert [(event.name, event.data) for event in await database.events()] == [("cdc/signal.approved", {"by": "Ada"})]


@pytest.mark.parametrize(
    "given",
    [
        {"id": "x" * 256},
        {"id": ""},
        {"v": "x" * 256},
        {"ts": datetime(1979, 12, 31, tzinfo=UTC)},
        {"ts": datetime(2100, 1, 1, tzinfo=UTC)},
        {"user": "[]"},
        {"user": "{"},
    ],
    ids=str,
)
async def test_what_cannot_be_used_of_it_is_refused(given: dict[str, Any], migrated_url: str, connect: Connect) -> None:
    connection = await connect(migrated_url)

    with pytest.raises(ConfigurationError):
        await events.send(connection, "app/x", "{}", **given)


@pytest.mark.parametrize(
    "more",
    [
        "{",
        "[]",
        "{}",
        '{"given": [], "user": null}',
        '{"given": {"id": 1}, "user": null}',
        '{"given": {"id": "\\u0000"}, "user": null}',
        '{"given": {"id": "\\ud800"}, "user": null}',
        '{"given": {"ts": 1e300}, "user": null}',
        '{"given": {"v": {}}, "user": null}',
        '{"given": {}, "user": 1}',
        "[" * 100_000,
    ],
    ids=lambda more: more[:40],
)
async def test_a_foreign_message_with_more_harms_nobody(more: str, migrated_url: str, connect: Connect) -> None:
    database = await open_listening(migrated_url, connect, T)
    async with database.listening():
        await database.rows("select pg_logical_emit_message(true, 'cdc.send', %s)", f"app/x {more}\n{{}}")
        await database.rows("select pg_logical_emit_message(true, 'cdc.send', %s)", f"app/x\n{'[' * 100_000}")
        await database.run("insert into t values (1, 'a')")
        await database.read_everything()

    assert [event.name for event in await database.events()] == ["db/t.inserted"]


@pytest.mark.parametrize("content", ["", "[]", '{"schema": "public", "table": "t", "key": 1}', "{", "\\xff"])
async def test_what_others_emit_under_the_prefix_of_retries_is_passed_over(
    content: str, migrated_url: str, connect: Connect
) -> None:
    database = await open_listening(migrated_url, connect, T)
    async with database.listening():
        await database.rows("select pg_logical_emit_message(true, 'cdc.retry', %s)", content)
        await database.rows("select pg_logical_emit_message(false, 'cdc.retry', '{}')")
        await database.read_everything()

    assert await database.events() == []
