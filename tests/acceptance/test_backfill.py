"""`cdc backfill`, and the rows that a table has when its embedding is declared."""

from __future__ import annotations

import asyncio
import signal
import sys
import tempfile
from pathlib import Path

from tests.acceptance.conftest import Write
from tests.acceptance.service import Settings, cdc, environment, refused, running
from tests.acceptance.state import USERS
from tests.servers import Connect, Connection
from tests.waiting import eventually

GREET = """
    from cdc import Batch, Context, function

    @function("greet", on="db/users.backfilled", batch_events=Batch(max_size=100))
    async def greet(ctx: Context) -> int:
        return len(ctx.events)

    @function("welcome", on="db/users.inserted")
    async def welcome(ctx: Context) -> None: ...
"""


async def test_rows_that_a_table_had_when_its_embedding_was_declared_get_their_vectors(
    connect: Connect, database_url: str
) -> None:
    conn = await connect(database_url)
    await conn.execute("create table notes (id bigint primary key, body text)")
    await conn.execute("insert into notes select n, 'note number ' || n from generate_series(1, 500) n")
    settings: Settings = {"DATABASE_URL": database_url, "CDC_EMBED_MODEL": "local-fast/wordllama"}

    async def count(table: str) -> int:
        row = await (await conn.execute(f"select count(*) from {table}".encode())).fetchone()
        return int(row[0]) if row else 0

    async def all_have_vectors() -> bool:
        return await count("notes_embeddings where embedding is not null") == 500

    async with running(**settings) as service:
        told = await cdc("embed", "notes", "--columns", "body", **settings)
        assert "rows that are there" in told.out
        await eventually(all_have_vectors, within=60)
        (events,) = [await count("cdc_state.events where name = 'db/notes.backfilled'")]
        assert events == 500
        assert await count("cdc_state.runs") < 50, "many rows share a run"
        await service.stop()
    async with running(**settings):
        await conn.execute("insert into notes values (501, 'one more')")

        async def is_embedded() -> bool:
            return await count("notes_embeddings where id = 501") == 1

        await eventually(is_embedded, within=60)
        assert await count("cdc_state.events where name = 'db/notes.backfilled'") == 500, "once, not at each start"


async def users(conn: Connection, count: int) -> None:
    await conn.execute(USERS)
    await conn.execute("insert into users (name) select 'user ' || n from generate_series(1, %s) n", [count])


async def test_the_command_shows_how_far_it_is_and_ends_with_it(
    connect: Connect, database_url: str, functions: Path, write: Write
) -> None:
    write("greet.py", GREET)
    conn = await connect(database_url)
    await users(conn, 3000)
    settings: Settings = {"DATABASE_URL": database_url, "CDC_FUNCTIONS": functions}
    async with running(**settings):
        done = await cdc("backfill", "users", **settings)
        assert (done.code, done.err) == (0, "")
        assert "3,000 rows of public.users are backfilled" in done.out
        listed = await cdc("backfill", "--list", **settings)
        assert "public.users" in listed.out
        assert "done" in listed.out

        async def greeted() -> int:
            query = "select sum(output::text::int) from cdc_state.runs where function_id = 'greet'"
            row = await (await conn.execute(query)).fetchone()
            return row[0] == 3000 if row else False

        await eventually(greeted)
        query = "select count(*) from cdc_state.runs where function_id = 'welcome'"
        assert await (await conn.execute(query)).fetchall() == [(0,)]


async def test_without_a_service_it_waits_and_left_alone_it_goes_on(
    connect: Connect, database_url: str, functions: Path, write: Write
) -> None:
    write("greet.py", GREET)
    conn = await connect(database_url)
    await users(conn, 100)
    settings: Settings = {"DATABASE_URL": database_url, "CDC_FUNCTIONS": functions}
    async with running(**settings) as service:  # makes the schemas
        await service.stop()
    command = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "cdc", "backfill", "users"),
        cwd=tempfile.gettempdir(),
        env=environment({**settings, "COLUMNS": "200"}),
        stdout=asyncio.subprocess.PIPE,
        # A shell starts what runs in the background with SIGINT ignored, and children inherit that.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    assert command.stdout is not None

    async def is_asked_for() -> bool:
        return bool(await (await conn.execute("select from cdc_state.backfills")).fetchall())

    await eventually(is_asked_for)
    command.send_signal(signal.SIGINT)
    out = (await command.communicate())[0].decode()
    assert command.returncode == 130
    assert "It goes on in the service" in out
    async with running(**settings):

        async def is_done() -> bool:
            rows = await (await conn.execute("select status, rows_done from cdc_state.backfills")).fetchall()
            return rows == [("done", 100)]

        await eventually(is_done)


async def test_what_cannot_be_backfilled_is_said(connect: Connect, database_url: str) -> None:
    conn = await connect(database_url)
    await conn.execute("create table loose (id int)")
    settings: Settings = {"DATABASE_URL": database_url}
    await refused("backfill", "loose", code=78, says="neither a primary key", hint="Add a primary key", **settings)
    await refused("backfill", "none", code=78, says="no table public.none", hint="spelling", **settings)
    await refused("backfill", code=78, says="Name the table", hint="--list", **settings)
    await refused("backfill", "loose", "--cancel", code=78, says="No backfill", hint="--list", **settings)


async def test_one_that_nobody_waits_for_can_be_cancelled(connect: Connect, database_url: str) -> None:
    conn = await connect(database_url)
    await users(conn, 10)
    settings: Settings = {"DATABASE_URL": database_url}
    begun = await cdc("backfill", "users", "--detach", "--rate", "5", **settings)
    assert begun.code == 0
    assert "No function is on 'db/users.backfilled'" in begun.out
    cancelled = await cdc("backfill", "users", "--cancel", **settings)
    assert "is cancelled" in cancelled.out
    assert await (await conn.execute("select status, rate from cdc_state.backfills")).fetchall() == [("cancelled", 5)]


async def test_rows_written_while_an_embedding_could_not_be_served_get_their_vectors_afterwards(
    connect: Connect, database_url: str
) -> None:
    conn = await connect(database_url)
    await conn.execute("create table notes (id bigint primary key, body text)")
    settings: Settings = {"DATABASE_URL": database_url, "CDC_EMBED_MODEL": "local-fast/wordllama"}

    async def vectors() -> int:
        row = await (await conn.execute("select count(*) from notes_embeddings where embedding is not null")).fetchone()
        return int(row[0]) if row else 0

    async with running(**settings) as service:
        assert (await cdc("embed", "notes", "--columns", "body", **settings)).code == 0
        await conn.execute("insert into notes values (1, 'before')")
        await eventually(lambda: vectors(), within=60)
        await conn.execute("alter table notes rename column body to text")
        await conn.execute("select pg_logical_emit_message(true, 'cdc', '{}')")
        await service.logs("cannot follow")
        await conn.execute("insert into notes values (2, 'meanwhile')")
        await conn.execute("alter table notes rename column text to body")
        await service.logs("follows again")

        async def all_have_vectors() -> bool:
            return await vectors() == 2

        await eventually(all_have_vectors, within=60)
