"""Events of one's own: sent in SQL, with the transaction they belong to."""

from __future__ import annotations

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


@pytest.mark.parametrize("name", ["", "db/t.inserted", "inngest/function.finished", "Inngest/x", "two words", "a\nb"])
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
