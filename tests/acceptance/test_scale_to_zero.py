"""Databases that sleep when nobody is connected: read now and then, and left alone in between."""

from __future__ import annotations

import time
from datetime import datetime
from pathlib import Path

import pytest

from tests.acceptance.authored import WELCOME
from tests.acceptance.conftest import OwnPostgres, Write
from tests.acceptance.service import Service, Settings, cdc, refused, running
from tests.acceptance.state import USERS, completed, follows, runs, slots_are_free
from tests.servers import Connect, Connection, Servers
from tests.waiting import eventually

COUNTS = """
    from cdc import Context, function

    @function("counts", on="db/users.inserted")
    async def counts(ctx: Context) -> int:
        async with ctx.db.connection() as conn:
            return (await (await conn.execute("select count(*) from users")).fetchone())[0]
"""

OTHERS = """
    select count(*) from pg_stat_activity
     where datname = current_database() and pid <> pg_backend_pid()
       and backend_type in ('client backend', 'walsender')
"""
"""Connections to this database besides the one that asks, those for replication included; autovacuum, which comes by
itself, has none.
"""


async def others(conn: Connection) -> int:
    row = await (await conn.execute(OTHERS.encode())).fetchone()
    assert row is not None
    return int(row[0])


async def nobody(conn: Connection) -> bool:
    return await others(conn) == 0


PAUSE = 12


async def looks_in_a_pause(service: Service, conn: Connection) -> list[int]:
    """How many were connected, look by look, from when all had gone until the pause between two drains was over."""
    *_, drained = await service.logs("drained")
    over = datetime.fromisoformat(drained["timestamp"]).timestamp() + PAUSE
    await eventually(lambda: nobody(conn), what="all have gone")
    looks: list[int] = []

    async def is_over() -> bool:
        connected = await others(conn)
        if time.time() < over:
            looks.append(connected)
        return time.time() >= over

    await eventually(is_over)
    return looks


async def test_draining_takes_what_is_there_and_leaves_nothing_connected(
    connect: Connect, database_url: str, functions: Path, write: Write
) -> None:
    write("welcome.py", WELCOME)
    conn = await connect(database_url)
    await conn.execute(USERS)
    async with running(DATABASE_URL=database_url, CDC_FUNCTIONS=functions):
        await follows(conn, "users")
        await refused("drain", code=69, says="in use", hint="stop the other one", DATABASE_URL=database_url)
    await slots_are_free(conn)
    await conn.execute("insert into users (name) select 'user ' || n from generate_series(1, 3) n")
    for expected in ("3 events were accepted.", "0 events were accepted."):
        drained = await cdc("drain", DATABASE_URL=database_url)
        assert (drained.code, drained.out.strip()) == (0, expected), drained.err
        await eventually(lambda: nobody(conn), what="the server's ends of its connections are gone too")
    assert [run.status for run in await runs(conn)] == ["queued"] * 3
    async with running(DATABASE_URL=database_url, CDC_FUNCTIONS=functions):
        await completed(conn, 3)


async def test_draining_a_new_database_begins_there(connect: Connect, database_url: str) -> None:
    drained = await cdc("drain", DATABASE_URL=database_url)
    assert (drained.code, drained.out.strip()) == (0, "0 events were accepted."), drained.err
    conn = await connect(database_url)
    cursor = await conn.execute("select from cdc_state.sources where retired_at is null")
    assert cursor.rowcount == 1


@pytest.mark.timeout(300)
async def test_between_two_drains_nothing_is_connected_to_the_watched_database(
    connect: Connect, servers: Servers, database_url: str, functions: Path, write: Write
) -> None:
    write("counts.py", COUNTS)
    other = await servers.get("15")
    state_url = await other.create_database()
    watched, state = await connect(database_url), await connect(state_url)
    await watched.execute(USERS)
    settings: Settings = {"DATABASE_URL": database_url, "CDC_STATE_DATABASE_URL": state_url}
    async with running(**settings, CDC_FUNCTIONS=functions, CDC_LISTEN=f"every {PAUSE}s") as service:
        await follows(watched, "users")
        await watched.execute("insert into users (name) values ('Ada')")
        await completed(state)
        looks: list[int] = []
        while len(looks) < 40:  # on a slow machine those who go may leave little of a pause
            looks = await looks_in_a_pause(service, watched)
            assert not any(looks), looks
        assert not service.logged("the watched database is kept awake: it holds the state, which workers poll")
        await service.stop()
    await other.drop_database(state_url)


async def test_a_database_that_holds_the_state_is_kept_awake_and_that_is_told(database_url: str) -> None:
    async with running(DATABASE_URL=database_url, CDC_LISTEN="every 1h") as service:
        (told,) = await service.logs("the watched database is kept awake: it holds the state, which workers poll")
        assert "CDC_STATE_DATABASE_URL" in told["hint"]
        await service.logs("drained")
        assert (await service.get("/readyz")).json() == {"ready": True, "listening": False}
        await service.stop()


async def test_a_slot_that_would_be_given_up_between_two_drains_is_refused(own_postgres: OwnPostgres) -> None:
    postgres = own_postgres({"idle_replication_slot_timeout": "60s"})
    await postgres.start()
    await refused(
        "run",
        code=78,
        says="gives up a slot that nobody reads for 60",
        hint="Read more often",
        DATABASE_URL=postgres.url,
        CDC_LISTEN="every 2m",
    )
