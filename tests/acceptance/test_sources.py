"""CDC_SOURCES: several databases, watched by one service."""

from __future__ import annotations

import os
import signal
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.acceptance.conftest import OwnPostgres, Write
from tests.acceptance.service import Service, Settings, cdc, refused, running
from tests.acceptance.state import USERS, completed, drop_slots, runs
from tests.ports import CLOSED
from tests.servers import Connect, Connection, Server, Servers
from tests.waiting import eventually

WRITES = """
    from cdc import Context, function

    @function("writes", on="db/users.inserted")
    async def writes(ctx: Context) -> list[str]:
        async def write() -> str:
            async with ctx.db.connection() as conn:
                await conn.execute("insert into seen (name) values (%s)", [ctx.event.data["new"]["name"]])
                return (await (await conn.execute("select current_database()")).fetchone())[0]
        return [ctx.event.data["source"], await ctx.step.run("write", write)]
"""
"""Answers which source a row came from, and writes into the database that the run has."""

OF_CRM = """
    from cdc import Context, EventTrigger, function

    @function("of-crm", on=EventTrigger("db/users.inserted", if_exp="event.data.source == 'crm'"))
    async def of_crm(ctx: Context) -> str:
        return ctx.event.data["source"]
"""

TABLES = f"{USERS}; create table seen (name text)"

INSERT = "insert into users (name) values ('Ada')"

Databases = Callable[[], Coroutine[Any, Any, str]]


@pytest.fixture
async def another(server: Server) -> AsyncIterator[Databases]:
    """Makes another database on the same server."""
    async with AsyncExitStack() as made:

        async def another() -> str:
            url = await server.create_database()
            made.push_async_callback(server.drop_database, url)
            return url

        yield another


@pytest.fixture
async def crm_url(another: Databases) -> str:
    return await another()


def name_of(url: str) -> str:
    """Of the database."""
    return url.rpartition("/")[2].partition("?")[0]


async def prepared(connect: Connect, url: str) -> Connection:
    """A connection to a database with the tables of WRITES."""
    conn = await connect(url)
    await conn.execute(TABLES)
    return conn


async def published(conn: Connection, table: str = "users") -> None:
    async def is_published() -> bool:
        cursor = await conn.execute("select tablename from pg_publication_tables where pubname = 'cdc'")
        return (table,) in await cursor.fetchall()

    await eventually(is_published, what=f"{table} is published")


async def sources(service: Service) -> dict[str, dict[str, Any]]:
    """What the status says of each source."""
    found = (await service.get("/v1/status")).json()["sources"]
    return {source["name"]: source for source in found}


async def listens(service: Service, *names: str) -> None:
    """Wait until the service listens to all of these."""

    async def does() -> bool:
        known = await sources(service)
        return all(name in known and known[name]["listening"] for name in names)

    await eventually(does, within=60, what=f"it listens to {names}")


async def slot_is_free(conn: Connection, slot: str) -> None:
    """Wait until the server has noticed that nobody reads from it."""

    async def is_so() -> bool:
        query = "select from pg_replication_slots where slot_name = %s and not active"
        return bool((await conn.execute(query, [slot])).rowcount)

    await eventually(is_so, what=f"{slot} is free")


async def seen(conn: Connection) -> int:
    row = await (await conn.execute("select count(*) from seen")).fetchone()
    assert row is not None
    return int(row[0])


async def test_rows_of_two_databases_of_one_server_run_functions_on_their_own_database(
    connect: Connect, database_url: str, crm_url: str, functions: Path, write: Write
) -> None:
    write("writes.py", WRITES)
    write("of_crm.py", OF_CRM)
    home, crm = await prepared(connect, database_url), await prepared(connect, crm_url)

    async with running(
        DATABASE_URL=database_url, CDC_SOURCES=f"crm={crm_url}", CDC_FUNCTIONS=functions, CDC_LOG_LEVEL="debug"
    ) as service:
        await listens(service, "default", "crm")
        await home.execute(INSERT)
        await crm.execute(INSERT)
        done = await completed(home, 3)
        assert [run.output for run in done if run.function == "of-crm"] == ["crm"]
        assert sorted(run.output for run in done if run.function == "writes") == sorted(
            [["default", name_of(database_url)], ["crm", name_of(crm_url)]]
        )
        assert (await seen(home), await seen(crm)) == (1, 1)

        status = (await service.get("/v1/status")).json()
        assert (status["source"], status["slot"], status["listening"]) == ("default", name_of(database_url), True)
        slots = {source["name"]: source["slot"] for source in status["sources"]}
        assert slots == {"default": name_of(database_url), "crm": f"{name_of(database_url)}_crm"}
        assert "//" not in str(status)
        for secret in (crm_url, database_url):
            assert secret not in service.output


async def test_servers_of_different_versions_are_watched_together(
    connect: Connect, servers: Servers, database_url: str, functions: Path, write: Write
) -> None:
    write("writes.py", WRITES)
    old = await servers.get("15")
    old_url = await old.create_database()
    try:
        home, other = await prepared(connect, database_url), await prepared(connect, old_url)
        async with running(DATABASE_URL=database_url, CDC_SOURCES=f"old={old_url}", CDC_FUNCTIONS=functions) as service:
            await listens(service, "default", "old")
            await home.execute(INSERT)
            await other.execute(INSERT)
            await completed(home, 2)
            assert (await seen(home), await seen(other)) == (1, 1)
    finally:
        await old.drop_database(old_url)


async def test_a_source_that_is_down_delays_no_other_and_joins_when_it_is_up(
    connect: Connect, own_postgres: OwnPostgres, database_url: str, functions: Path, write: Write
) -> None:
    write("writes.py", WRITES)
    home = await prepared(connect, database_url)
    late = own_postgres()
    await late.start()
    late_url = late.url
    await late.stop()

    async with running(DATABASE_URL=database_url, CDC_SOURCES=f"late={late_url}", CDC_FUNCTIONS=functions) as service:
        told, *_ = await service.logs("source cannot be watched")
        assert (told["source"], told["level"]) == ("late", "error")
        assert "CDC_SOURCES (late)" in told["hint"]
        assert (await service.get("/readyz")).status_code == 200
        problem = (await sources(service))["late"]["problem"]
        assert "No connection to" in problem
        await published(home)
        await home.execute(INSERT)
        await completed(home, 1)

        await late.start()
        conn = await prepared(connect, late_url)
        await listens(service, "late")
        assert (await sources(service))["late"]["problem"] is None
        await published(conn)
        await conn.execute(INSERT)
        assert ["late", name_of(late_url)] in [run.output for run in await completed(home, 2)]

        # And one that goes away later is told, and comes back.
        await late.stop(immediate=True)
        await service.logs("listener connects again")
        await home.execute(INSERT)
        await completed(home, 3)
        await late.start()
        await listens(service, "late")
        assert (await sources(service))["late"]["problem"] is None


async def test_a_source_whose_checkpoint_is_no_longer_right_is_told_and_the_others_go_on(
    connect: Connect, database_url: str, crm_url: str, functions: Path, write: Write
) -> None:
    write("writes.py", WRITES)
    home, crm = await prepared(connect, database_url), await prepared(connect, crm_url)
    slot = f"{name_of(database_url)}_crm"
    settings: Settings = {"DATABASE_URL": database_url, "CDC_SOURCES": f"crm={crm_url}", "CDC_FUNCTIONS": functions}
    async with running(**settings) as service:
        await listens(service, "default", "crm")
    await drop_slots(crm)

    async with running(**settings) as service:
        (told,) = await service.logs("source cannot be watched")
        assert "is gone" in told["reason"]
        assert "'cdc slot drop --source crm'" in told["hint"]
        await home.execute(INSERT)
        await completed(home, 1)

        dropped = await cdc("slot", "drop", "--yes", "--source", "crm", **settings)
        assert (dropped.code, dropped.err) == (0, "")
        await listens(service, "crm")
        status = await cdc("slot", "status", "--source", "crm", **settings)
        assert f"{slot}: reserved" in " ".join(status.out.split())


@pytest.mark.parametrize("by", ["watching", "signal"])
async def test_sources_come_and_go_with_the_lines_of_their_file(
    connect: Connect,
    another: Databases,
    database_url: str,
    crm_url: str,
    functions: Path,
    write: Write,
    tmp_path: Path,
    by: str,
) -> None:
    write("writes.py", WRITES)
    home, crm = await prepared(connect, database_url), await prepared(connect, crm_url)
    shop_url = await another()
    shop = await prepared(connect, shop_url)
    file = tmp_path / "sources"
    file.write_text("# none yet\n")

    def say(text: str) -> None:
        """As an editor does: another file takes its place."""
        aside = file.with_suffix(".new")
        aside.write_text(text)
        os.replace(aside, file)
        if by == "signal":
            service.send(signal.SIGHUP)

    async with running(DATABASE_URL=database_url, CDC_SOURCES=f"@{file}", CDC_FUNCTIONS=functions) as service:
        assert list(await sources(service)) == ["default"]
        say(f"crm={crm_url}\n")
        await service.logs("source added")
        await listens(service, "crm")
        await crm.execute(INSERT)
        assert [run.output[0] for run in await completed(home, 1)] == ["crm"]
        assert await seen(crm) == 1

        say(f"crm={crm_url}\nshop\n")
        (told,) = await service.logs("sources stay as they are")
        assert "Line 2" in told["reason"]
        assert list(await sources(service)) == ["default", "crm"]

        say(f"shop={shop_url}\n")
        (removed,) = await service.logs("source removed")
        assert (removed["source"], removed["level"]) == ("crm", "warning")
        await listens(service, "shop")
        assert list(await sources(service)) == ["default", "shop"]
        await crm.execute(INSERT)
        await shop.execute(INSERT)
        assert [run.output[0] for run in await completed(home, 2)] == ["crm", "shop"]

        # What was written meanwhile is read when it comes back.
        say(f"shop={shop_url}\ncrm={crm_url}\n")
        assert [run.output[0] for run in await completed(home, 3)] == ["crm", "shop", "crm"]
        assert await seen(crm) == 2

        say("")
        await service.logs(removed["event"], times=3)
        await slot_is_free(crm, removed["slot"])
        await crm.execute(removed["hint"].partition(": ")[2])


async def test_a_run_whose_source_is_gone_fails_and_no_other(
    connect: Connect, database_url: str, crm_url: str, functions: Path, write: Write
) -> None:
    write("writes.py", WRITES.replace('inserted"', 'inserted", retries=0'))
    home, crm = await prepared(connect, database_url), await prepared(connect, crm_url)
    settings: Settings = {"DATABASE_URL": database_url, "CDC_FUNCTIONS": functions}
    async with running(**settings):
        pass  # the functions are registered
    async with running("--only", "listener", **settings, CDC_SOURCES=f"crm={crm_url}") as listener:
        await listener.logs("listening", times=2)
        await crm.execute(INSERT)
        await home.execute(INSERT)
        await eventually(lambda: runs_are(home, 2), what="both have runs")
    async with running(**settings):
        await eventually(lambda: has_ended(home), what="both have ended")
    by_status = {run.status: run for run in await runs(home)}
    assert by_status["completed"].output[0] == "default"
    failed = await home.execute("select error ->> 'message' from cdc_state.runs where status = 'failed'")
    assert "There is no source 'crm'" in str(await failed.fetchone())


async def test_two_services_share_the_sources_as_they_fall(
    connect: Connect, database_url: str, crm_url: str, functions: Path, write: Write
) -> None:
    write("writes.py", WRITES)
    home, crm = await prepared(connect, database_url), await prepared(connect, crm_url)
    settings: Settings = {"DATABASE_URL": database_url, "CDC_SOURCES": f"crm={crm_url}", "CDC_FUNCTIONS": functions}
    async with running(**settings) as first, running(**settings) as second:
        await listens(first, "default", "crm")
        await second.logs("standing by", times=2)
        assert all(source["problem"] is None for source in (await sources(second)).values())
        await first.stop()
        await listens(second, "default", "crm")
        await home.execute(INSERT)
        await crm.execute(INSERT)
        await completed(home, 2)
        assert (await seen(home), await seen(crm)) == (1, 1)


async def test_a_table_that_is_in_one_source_is_missed_in_none(
    connect: Connect, database_url: str, crm_url: str, functions: Path, write: Write
) -> None:
    write("writes.py", WRITES)
    write("of_orders.py", WRITES.replace("users", "orders").replace("writes", "ships"))
    home, crm = await prepared(connect, database_url), await connect(crm_url)
    async with running(DATABASE_URL=database_url, CDC_SOURCES=f"crm={crm_url}", CDC_FUNCTIONS=functions) as service:
        await listens(service, "default", "crm")
        told = await service.logs("cannot follow", times=2)
        assert {line["table"] for line in told} == {"public.orders"}
        await crm.execute("create table orders (name text primary key)")
        await service.logs("follows again", times=2)
        assert [source["unpublished"] for source in (await sources(service)).values()] == [{}, {}]
        await published(crm, "orders")
        await published(home)


async def test_embeddings_are_kept_in_each_source(connect: Connect, database_url: str, crm_url: str) -> None:
    documents = "create table documents (id bigint primary key, body text)"
    home, crm = await connect(database_url), await connect(crm_url)
    for conn in (home, crm):
        await conn.execute(documents)
    settings: Settings = {
        "DATABASE_URL": database_url,
        "CDC_SOURCES": f"crm={crm_url}",
        "CDC_EMBED_MODEL": "local-fast/wordllama",
    }
    async with running(**settings) as service:
        await listens(service, "default", "crm")
        for name in ("default", "crm"):
            made = await cdc("embed", "documents", "--columns", "body", "--source", name, **settings)
            assert made.code == 0, made.err
        for conn in (home, crm):
            await published(conn, "documents")
        await home.execute("insert into documents values (1, 'a dog naps')")
        await crm.execute("insert into documents values (2, 'a cat sleeps')")

        async def vectors(conn: Connection) -> list[int]:
            return [id_ for (id_,) in await (await conn.execute("select id from documents_embeddings")).fetchall()]

        await eventually(lambda: has(vectors, home, [1]), what="the vector is in the one")
        await eventually(lambda: has(vectors, crm, [2]), what="the vector is in the other")
        found = await cdc("search", "documents", "where do pets rest?", "--source", "crm", **settings)
        assert "a cat sleeps" in found.out
        assert "a dog naps" not in found.out
        asked = {"table": "documents", "query": "where do pets rest?"}
        for named, own in ({"source": "crm"}, 2), ({"source": "default"}, 1), ({}, 1):
            hits = (await service.post("/v1/search", {**asked, **named})).json()["data"]
            assert [hit["key"]["id"] for hit in hits] == [own]


async def test_without_database_url_all_sources_are_alike(
    connect: Connect, another: Databases, database_url: str, crm_url: str, functions: Path, write: Write
) -> None:
    write("writes.py", WRITES)
    state = await connect(database_url)
    crm, shop_url = await prepared(connect, crm_url), await another()
    shop = await prepared(connect, shop_url)
    async with running(
        CDC_STATE_DATABASE_URL=database_url,
        CDC_SLOT=name_of(database_url),
        CDC_SOURCES=f"crm={crm_url}, shop={shop_url}, down=postgresql://127.0.0.1:{CLOSED}/down",
        CDC_FUNCTIONS=functions,
    ) as service:
        await listens(service, "crm", "shop")
        await crm.execute(INSERT)
        await shop.execute(INSERT)
        await completed(state, 2)
        assert (await seen(crm), await seen(shop)) == (1, 1)


async def test_a_password_is_in_neither_logs_nor_status(connect: Connect, database_url: str) -> None:
    await connect(database_url)
    down = f"postgresql://me:hush@127.0.0.1:{CLOSED}/down"
    async with running(DATABASE_URL=database_url, CDC_SOURCES=f"crm={down}", CDC_LOG_LEVEL="debug") as service:
        (told,) = await service.logs("source cannot be watched")
        assert told["source"] == "crm"
        assert "hush" not in (await service.get("/v1/status")).text
        assert "hush" not in service.output


async def test_sources_without_a_place_for_the_state_are_refused() -> None:
    await refused(
        "run",
        code=78,
        says="Without DATABASE_URL",
        hint="Set CDC_STATE_DATABASE_URL",
        CDC_SOURCES="crm=postgresql://127.0.0.1:1/crm",
    )


async def test_a_source_that_is_not_there_is_refused_with_those_that_are(database_url: str) -> None:
    await refused(
        *("slot", "status", "--source", "shop"),
        code=78,
        says="There is no source 'shop'",
        hint="default, crm",
        DATABASE_URL=database_url,
        CDC_SOURCES="crm=postgresql://127.0.0.1:1/crm",
    )


async def runs_are(conn: Connection, count: int) -> bool:
    return len(await runs(conn)) == count


async def has_ended(conn: Connection) -> bool:
    return {run.status for run in await runs(conn)} == {"completed", "failed"}


async def has(
    vectors: Callable[[Connection], Coroutine[Any, Any, list[int]]], conn: Connection, expected: list[int]
) -> bool:
    return await vectors(conn) == expected
