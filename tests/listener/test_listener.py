"""From committed changes to stored events."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from cdc import Context, embedded_tables, function
from cdc.lsn import parse
from tests.listener.listening import ids, open_listening, position
from tests.servers import Connect
from tests.waiting import eventually

T = "create table t (id int primary key, body text)"


@function("note", on=["db/t.inserted", "db/t.updated", "db/t.deleted"])
async def note(ctx: Context) -> None: ...


async def test_each_committed_change_becomes_one_event(any_migrated_url: str, connect: Connect) -> None:
    database = await open_listening(any_migrated_url, connect, T)
    await database.register(note)
    async with database.listening():
        began = datetime.now(UTC) - timedelta(seconds=1)
        await database.run(
            "begin",
            "insert into t values (1, 'a'), (2, 'b')",
            "savepoint s",
            "insert into t values (3, 'never')",
            "rollback to s",
            "update t set body = 'c' where id = 1",
        )
        xid = await database.one("select pg_current_xact_id()::text")
        await database.run("commit", "begin", "insert into t values (4, 'never')", "rollback")
        await database.run("delete from t where id = 2")
        await database.read_everything()
    events = await database.events()

    told = [(event.name, event.data["new"], event.data["old"]) for event in events]
    assert told == [
        ("db/t.inserted", {"id": 1, "body": "a"}, None),
        ("db/t.inserted", {"id": 2, "body": "b"}, None),
        ("db/t.updated", {"id": 1, "body": "c"}, None),
        ("db/t.deleted", None, {"id": 2}),
    ]
    for event in events:
        assert event.data.keys() == {
            *("new", "old", "unchanged", "schema", "table", "source", "txn_id", "txn_commit_time", "lsn")
        }
        assert (event.data["schema"], event.data["table"], event.data["unchanged"]) == ("public", "t", [])
        committed = datetime.fromisoformat(event.data["txn_commit_time"])
        assert event.ts == round(committed.timestamp() * 1_000_000)
        assert began < committed < datetime.now(UTC)
        assert parse(event.data["lsn"]) == position(event).commit_lsn
    assert {event.data["txn_id"] for event in events[:3]} == {int(xid) & 0xFFFFFFFF}
    assert [position(event).ordinal for event in events] == [0, 1, 2, 0]
    runs = "select event_ids[1]::text from cdc_state.runs where function_id = 'note' order by event_ids"
    assert [run for (run,) in await database.rows(runs)] == [event.id for event in events]
    assert database.woken > 0


async def test_events_say_which_values_were_not_sent_and_what_was_before(
    any_migrated_url: str, connect: Connect
) -> None:
    database = await open_listening(
        any_migrated_url,
        connect,
        "create table t (id int primary key, n int, body text)",
        "alter table t alter body set storage external",
        f"insert into t values (1, 1, '{'x' * 9000}')",
    )
    async with database.listening():
        await database.run(
            "update t set n = 2", "alter table t replica identity full", "update t set n = 3, body = 'y'"
        )
        await database.read_everything()
    first, second = [event.data for event in await database.events()]
    assert (first["new"], first["old"], first["unchanged"]) == ({"id": 1, "n": 2}, None, ["body"])
    assert (second["new"], second["unchanged"]) == ({"id": 1, "n": 3, "body": "y"}, [])
    assert second["old"] == {"id": 1, "n": 2, "body": "x" * 9000}


async def test_tables_of_other_schemas_are_told_with_their_schema(any_migrated_url: str, connect: Connect) -> None:
    database = await open_listening(
        any_migrated_url, connect, T, "create schema crm", "create table crm.t (id int primary key)", publish=["crm.t"]
    )
    await database.publish("t")
    async with database.listening():
        await database.run("insert into crm.t values (1)", "insert into t values (1)")
        await database.read_everything()
    told = [(event.name, event.data["schema"], event.data["table"]) for event in await database.events()]
    assert told == [("db/crm.t.inserted", "crm", "t"), ("db/t.inserted", "public", "t")]


async def test_a_truncate_is_one_event_for_each_table(any_migrated_url: str, connect: Connect) -> None:
    database = await open_listening(
        any_migrated_url, connect, T, "create table u (id int primary key)", publish=["t", "u"]
    )
    async with database.listening():
        await database.run("insert into t values (1, 'a')", "truncate t, u")
        await database.read_everything()
    told = [(event.name, event.data["new"], event.data["old"]) for event in await database.events()]
    assert told[0][0] == "db/t.inserted"
    assert sorted(told[1:]) == [("db/t.truncated", None, None), ("db/u.truncated", None, None)]


async def test_what_the_service_itself_writes_is_never_an_event(any_migrated_url: str, connect: Connect) -> None:
    database = await open_listening(any_migrated_url, connect, T, "create table unpublished (id int primary key)")
    await database.register(note)
    async with database.listening():
        await database.run("insert into unpublished values (1)", "insert into t values (1, 'a')")
        for _ in range(3):
            await database.read_everything()
    assert [event.name for event in await database.events()] == ["db/t.inserted"]


async def test_changes_come_in_the_order_of_their_commits(any_migrated_url: str, connect: Connect) -> None:
    database = await open_listening(any_migrated_url, connect, T)
    other = await connect(any_migrated_url)
    async with database.listening():
        await database.run("begin", "insert into t values (1, 'began first')")
        await other.execute("insert into t values (2, 'committed first')")
        await database.run("insert into t values (3, 'began first')", "commit")
        await database.read_everything()
    assert ids(await database.events()) == [2, 1, 3]


# --- declarations in the stream -----------------------------------------------------------------------------------


@function("embed", on=embedded_tables())
async def embed(ctx: Context) -> None: ...


async def test_rows_after_a_declaration_match_and_those_before_it_do_not(
    any_migrated_url: str, connect: Connect
) -> None:
    database = await open_listening(any_migrated_url, connect, T, publish=[])
    await database.register(embed)
    async with database.listening():
        await database.run(
            "insert into t values (1, 'not published')",
            "select cdc.embed('t', array['body'])",
            "insert into t values (2, 'embedded')",
        )
        await database.read_everything()
    (event,) = await database.events()
    assert (event.name, event.data["new"]["id"]) == ("db/t.inserted", 2)
    assert await database.rows("select function_id, event_ids[1]::text from cdc_state.runs") == [("embed", event.id)]
    assert database.followed[-1] == {("public", "t")}


async def test_a_declaration_counts_within_its_transaction_and_not_before_its_commit(
    any_migrated_url: str, connect: Connect
) -> None:
    database = await open_listening(any_migrated_url, connect, T)
    await database.register(embed)
    other = await connect(any_migrated_url)
    async with database.listening():
        await database.run(
            "begin",
            "insert into t values (1, 'before')",
            "select cdc.embed('t', array['body'])",
            "insert into t values (2, 'after')",
        )
        await other.execute("insert into t values (3, 'committed before')")
        await database.run("commit")
        await database.read_everything()
    assert ids(await database.events()) == [3, 1, 2]
    matched = await database.rows(
        "select e.data -> 'new' ->> 'id' from cdc_state.runs r join cdc_state.events e on e.id = r.event_ids[1]"
    )
    assert matched == [("2",)]


async def test_a_function_registered_by_somebody_else_is_followed(any_migrated_url: str, connect: Connect) -> None:
    database = await open_listening(any_migrated_url, connect, T, publish=[])
    async with database.listening():
        await database.register(note)
        await database.read_everything()  # an accept, which tells of the new function

        async def is_published() -> bool:
            return bool(await database.rows("select from pg_publication_tables where tablename = 't'"))

        await eventually(is_published)
        await database.run("insert into t values (1, 'a')")
        await database.read_everything()
    assert ids(await database.events()) == [1]
    assert await database.one("select count(*) from cdc_state.runs") == 1
