"""The primary is lost and its standby promoted, at the same address: every row that survives is one event."""

from __future__ import annotations

import asyncio
from pathlib import Path

import psycopg
import pytest

from tests.acceptance.authored import WELCOME
from tests.acceptance.conftest import OwnPostgres, Write
from tests.acceptance.service import Settings, refused, running
from tests.acceptance.state import USERS, follows
from tests.proxy import Proxy
from tests.servers import Connect, Connection
from tests.standby import streaming
from tests.waiting import eventually

ROWS = "select id from users order by id"
EVENTS = """
    select (data -> 'new' ->> 'id')::bigint from cdc_state.events where name = 'db/users.inserted' order by 1
"""
DONE = "select count(*) from cdc_state.runs where status = 'completed'"


async def column(conn: Connection, query: str) -> list[int]:
    return [value for (value,) in await (await conn.execute(query.encode())).fetchall()]


async def insert_forever(conn: Connection) -> None:
    while True:
        await conn.execute("insert into users (name) values ('Ada')")
        await asyncio.sleep(0.005)  # to work off what is written must not take long, however long this goes on


async def test_a_promoted_standby_is_followed_without_a_gap(connect: Connect, functions: Path, write: Write) -> None:
    write("welcome.py", WELCOME)
    async with streaming() as pair, Proxy(pair.primary.url) as address:
        conn = await connect(pair.primary.url)
        await conn.execute(USERS)
        settings: Settings = {"DATABASE_URL": address.url, "CDC_FUNCTIONS": functions, "CDC_FAILOVER": "true"}
        async with running(**settings) as service:
            await follows(conn, "users")
            writing = asyncio.create_task(insert_forever(conn))
            await pair.has_synced("postgres")

            async def are_under_way() -> bool:
                return len(await column(watching, EVENTS)) > 200

            watching = await connect(pair.primary.url)
            await eventually(are_under_way, within=60, what="events are under way")
            await pair.primary.stop(immediate=True)
            with pytest.raises(psycopg.OperationalError):
                await writing
            await pair.promote()
            address.lead_to(pair.standby.url)
            await service.logs("promotion followed", within=60)
            await service.logs("listening", times=2)

            conn = await connect(pair.standby.url)
            await conn.execute("insert into users (name) values ('after')")
            rows = await column(conn, ROWS)

            async def is_each_an_event() -> bool:
                return await column(conn, EVENTS) == rows

            await eventually(is_each_an_event, within=60, what="every row is one event")

            async def are_done() -> bool:
                return await column(conn, DONE) == [len(rows)]

            await eventually(are_done, within=60, what="each started one run")
            assert not service.logged("changes were lost")
            await service.stop()


async def test_a_standby_that_was_promoted_without_the_slot_is_refused_and_says_what_is_lost(
    connect: Connect,
) -> None:
    async with streaming() as pair:
        async with running(DATABASE_URL=pair.primary.url):
            pass
        async with await connect(pair.primary.url) as conn:
            await conn.execute("create table later (id int)")
        await pair.has_everything()
        await pair.primary.stop(immediate=True)
        await pair.promote()
        for loss in ("stop", "recreate"):
            await refused(
                "run",
                code=65,
                says="promoted without the replication slot",
                hint="CDC_FAILOVER=true",
                DATABASE_URL=pair.standby.url,
                CDC_ON_SLOT_LOSS=loss,
            )


async def test_a_primary_that_restarts_or_moves_to_another_address_is_followed(
    connect: Connect, functions: Path, write: Write, own_postgres: OwnPostgres
) -> None:
    write("welcome.py", WELCOME)
    postgres = own_postgres()
    await postgres.start()
    conn = await connect(postgres.url)
    await conn.execute(USERS)
    async with Proxy(postgres.url) as address, Proxy(postgres.url) as other:
        await address.cut()
        hosts = f"127.0.0.1:{address.port},127.0.0.1:{other.port}"
        url = postgres.url.replace(postgres.url.rpartition("@")[2].partition("/")[0], hosts)
        url += "?target_session_attrs=read-write"
        async with running(DATABASE_URL=url, CDC_SLOT="moving", CDC_FUNCTIONS=functions) as service:
            await follows(conn, "users")
            await conn.execute("insert into users (name) values ('first')")
            await address.restore()
            await other.cut()
            await conn.execute("insert into users (name) values ('second')")
            await postgres.stop(immediate=True)
            await postgres.start()
            conn = await connect(postgres.url)
            await conn.execute("insert into users (name) values ('third')")

            async def are_done() -> bool:
                return await column(conn, DONE) == [3]

            await eventually(are_done, within=60, what="each row started one run")
            assert await column(conn, EVENTS) == await column(conn, ROWS)
            assert await column(conn, "select count(*) from cdc_state.sources") == [1]
            await service.stop()
