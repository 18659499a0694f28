"""The settings of the publication, as a running service follows them."""

from __future__ import annotations

from tests.acceptance.conftest import Write
from tests.acceptance.service import Settings, cdc, refused, running
from tests.acceptance.state import completed, follows, published
from tests.servers import Connect
from tests.waiting import eventually

SEES_ALL = """
    from cdc import Context, function

    @function("sees", on="db/*")
    async def sees(ctx: Context) -> object:
        return [ctx.event.name, ctx.event.data["new"]]
"""
LOOK = "select pg_logical_emit_message(true, 'cdc', '{}')"
"""Has the service look now rather than within 16 seconds."""

USERS = "create table users (id int primary key, name text, secret text)"


async def test_tables_that_nobody_names_are_seen_by_patterns_and_what_is_excluded_by_nobody(
    connect: Connect, database_url: str, write: Write
) -> None:
    folder = write("sees.py", SEES_ALL).parent
    conn = await connect(database_url)
    await conn.execute(USERS)
    await conn.execute("create table secrets (id int primary key)")
    settings: Settings = {
        "DATABASE_URL": database_url,
        "CDC_FUNCTIONS": folder,
        "CDC_TABLES": "*",
        "CDC_EXCLUDE": "users(secret); secrets",
    }
    async with running(**settings):
        await follows(conn, "users")
        await conn.execute("insert into secrets values (1); insert into users values (1, 'a', 'b')")
        (run,) = await completed(conn)
        assert run.output == ["db/users.inserted", {"id": 1, "name": "a"}]
        await conn.execute("create table later (id int primary key); alter table users add column email text")
        await conn.execute(LOOK)
        await follows(conn, "later")

        async def has_email() -> bool:
            cursor = await conn.execute(
                "select from pg_publication_tables where tablename = 'users' and 'email' = any (attnames)"
            )
            return bool(cursor.rowcount)

        await eventually(has_email, what="the new column is published")
        await conn.execute("insert into users values (2, 'c', 'd', 'e')")
        *_, run = await completed(conn, 2)
        assert run.output == ["db/users.inserted", {"id": 2, "name": "c", "email": "e"}]
    events = await (await conn.execute("select data::text from cdc_state.events")).fetchall()
    assert not [data for (data,) in events if '"b"' in data or '"d"' in data or "secret" in data]


async def test_a_setting_that_changes_takes_effect_at_the_next_start(connect: Connect, database_url: str) -> None:
    conn = await connect(database_url)
    await conn.execute(USERS)
    async with running(DATABASE_URL=database_url, CDC_TABLES="*"):
        assert await published(conn) == ["users"]
    async with running(DATABASE_URL=database_url, CDC_TABLES="*", CDC_EXCLUDE="users"):
        assert await published(conn) == []


async def test_settings_that_cannot_be_met_end_the_start(connect: Connect, database_url: str) -> None:
    conn = await connect(database_url)
    await conn.execute(USERS)
    for setting, value, says in [
        ("CDC_EXCLUDE", "users(id)", "of its replica identity"),
        ("CDC_FILTER", "users: name = 'a'", "not part of the replica identity"),
        ("CDC_TABLES", "users users", "CDC_TABLES cannot be read at character 7"),
        ("CDC_FILTER", "users", "CDC_FILTER cannot be read"),
    ]:
        settings = {"CDC_TABLES": "users", "DATABASE_URL": database_url, setting: value}
        await refused("run", code=78, says=says, hint="", **settings)
    assert await published(conn) == []


async def test_partitions_have_events_under_their_own_names_when_asked_for(
    connect: Connect, database_url: str, write: Write
) -> None:
    folder = write("sees.py", SEES_ALL).parent
    conn = await connect(database_url)
    await conn.execute("create table parted (id int primary key) partition by range (id)")
    await conn.execute("create table parted_1 partition of parted for values from (0) to (10)")
    settings: Settings = {"DATABASE_URL": database_url, "CDC_FUNCTIONS": folder, "CDC_TABLES": "*"}
    async with running(**settings, CDC_PARTITIONS="leaf"):
        await conn.execute("insert into parted values (1)")
        (run,) = await completed(conn)
        assert run.output == ["db/parted_1.inserted", {"id": 1}]
    async with running(**settings):
        await conn.execute("insert into parted values (2)")
        *_, run = await completed(conn, 2)
        assert run.output == ["db/parted.inserted", {"id": 2}]


async def test_an_embedding_of_what_is_excluded_is_refused(connect: Connect, database_url: str) -> None:
    conn = await connect(database_url)
    await conn.execute("create table notes (id int primary key, body text)")
    done = await cdc("embed", "notes", "--columns", "body", DATABASE_URL=database_url, CDC_EXCLUDE="notes(body)")
    assert done.code == 78
    assert "CDC_EXCLUDE leaves out body of public.notes" in done.err
    assert await (await conn.execute("select problem from cdc.embeddings")).fetchone() is not None
    assert await published(conn) == []
