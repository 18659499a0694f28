"""A server or a role that cannot do it: told before anything is made, with the statement that mends it."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from psycopg import sql

from tests.acceptance.conftest import OwnPostgres
from tests.acceptance.service import refused, running, started
from tests.acceptance.state import drop_slots
from tests.servers import Connect, Connection, Server

PASSWORD = "open-sesame"


@pytest.fixture
async def admin(server: Server, connect: Connect) -> Connection:
    return await connect(server.postgres.url)


@pytest.fixture
async def role(admin: Connection, database_url: str) -> AsyncIterator[str]:
    """A role that may replicate and create, named like the database, which it can reach."""
    name = sql.Identifier(database_url.rpartition("/")[2])
    await admin.execute(sql.SQL("create role {} login replication password {}").format(name, PASSWORD))
    await admin.execute(sql.SQL("grant create on database {0} to {0}").format(name))
    yield name.as_string()
    await admin.execute(sql.SQL("revoke all on database {0} from {0}").format(name))
    await admin.execute(sql.SQL("drop role {}").format(name))


def as_role(database_url: str) -> str:
    """The URL for `role`."""
    place = database_url.rpartition("@")[2]
    return f"postgresql://{place.rpartition('/')[2]}:{PASSWORD}@{place}"


async def test_wal_level_replica_is_refused_with_how_to_change_it(own_postgres: OwnPostgres) -> None:
    async with own_postgres({"wal_level": "replica"}) as postgres:
        await refused("run", code=78, says="wal_level = replica", hint="wal_level = logical", DATABASE_URL=postgres.url)


async def test_a_server_that_comes_up_late_is_waited_for(own_postgres: OwnPostgres) -> None:
    postgres = own_postgres()
    await postgres.start()
    await postgres.stop()
    async with started(DATABASE_URL=postgres.url) as service:
        (waiting, *_) = await service.logs("waiting for the database", times=2)
        assert "127.0.0.1" in waiting["reason"]
        await postgres.start()
        await service.logs("listening")
        await service.stop()


async def test_a_role_that_may_not_replicate_is_refused(admin: Connection, role: str, database_url: str) -> None:
    await admin.execute(f"alter role {role} noreplication".encode())
    done = await refused(
        "run",
        code=77,
        says="may not replicate",
        hint=f"ALTER ROLE {role} REPLICATION",
        DATABASE_URL=as_role(database_url),
    )
    assert PASSWORD not in done.err


async def test_a_role_that_may_not_create_schemas_is_refused(admin: Connection, role: str, database_url: str) -> None:
    await admin.execute(f"revoke create on database {role} from {role}".encode())
    done = await refused(
        "run",
        code=77,
        says="may not create schemas",
        hint="GRANT CREATE ON DATABASE",
        DATABASE_URL=as_role(database_url),
    )
    assert PASSWORD not in done.err


async def test_schemas_that_another_role_made_are_refused_in_plain_words(role: str, database_url: str) -> None:
    async with running(DATABASE_URL=database_url):
        pass
    await refused(
        "run", code=77, says="permission denied for schema cdc", hint="Grant it", DATABASE_URL=as_role(database_url)
    )


async def test_a_database_that_is_not_utf8_is_refused(server: Server, admin: Connection) -> None:
    await admin.execute("create database ascii encoding 'SQL_ASCII' locale 'C' template template0")
    url = server.postgres.url_for("ascii")
    try:
        await refused("run", code=78, says="encoding SQL_ASCII", hint="ENCODING 'UTF8'", DATABASE_URL=url)
    finally:
        await server.drop_database(url)


async def test_a_publication_for_all_tables_is_refused(connect: Connect, database_url: str) -> None:
    conn = await connect(database_url)
    await conn.execute("create publication cdc for all tables")
    await refused("run", code=78, says="FOR ALL TABLES", hint="CDC_PUBLICATION", DATABASE_URL=database_url)
    assert not (
        await (await conn.execute("select from pg_replication_slots where database = current_database()")).fetchall()
    )


async def test_a_role_without_superuser_can_run_the_service(connect: Connect, role: str, database_url: str) -> None:
    async with running(DATABASE_URL=as_role(database_url)):
        conn = await connect(as_role(database_url))
        row = await (
            await conn.execute("select active from pg_replication_slots where slot_name = current_user")
        ).fetchone()
        assert row == (True,)
    await drop_slots(conn)
    await conn.execute("drop owned by current_user")
