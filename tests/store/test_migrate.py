from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

import psycopg
import pytest

from cdc.errors import MigrationError
from cdc.store import migrate as module
from cdc.store.migrate import SCHEMAS, Kind, Migration, available, migrate
from tests.servers import Connect, Connection

KINDS: tuple[Kind, ...] = ("source", "state")


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> Kind:
    chosen: Kind = request.param
    return chosen


@pytest.fixture
def released(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Makes these the migrations of the installed version."""

    def release(*migrations: Migration) -> None:
        monkeypatch.setattr(module, "available", lambda kind: list(migrations))

    return release


async def rows(connection: Connection, query: str) -> Sequence[tuple[Any, ...]]:
    return await (await connection.execute(query.encode())).fetchall()


async def applied(connection: Connection, kind: Kind) -> Sequence[tuple[Any, ...]]:
    return await rows(connection, f"select name, checksum, applied_at from {SCHEMAS[kind]}.migrations order by name")


async def test_every_migration_is_applied_once(every_database_url: str, connect: Connect, kind: Kind) -> None:
    connection = await connect(every_database_url)
    await migrate(every_database_url, kind)
    first = await applied(connection, kind)
    assert [(name, checksum) for name, checksum, _ in first] == [(m.name, m.checksum) for m in available(kind)]
    await migrate(every_database_url, kind)
    assert await applied(connection, kind) == first


async def test_migrators_at_the_same_time_take_turns(every_database_url: str, connect: Connect, kind: Kind) -> None:
    await asyncio.gather(*(migrate(every_database_url, kind) for _ in range(4)))
    assert len(await applied(await connect(every_database_url), kind)) == len(available(kind))


async def test_a_schema_that_is_up_to_date_asks_for_no_right_to_make_anything(
    migrated_url: str, connect: Connect, kind: Kind
) -> None:
    connection = await connect(migrated_url)
    role = migrated_url.rpartition("/")[2]
    await connection.execute(f"create role {role} login password 'open-sesame'".encode())
    await connection.execute(f"grant usage on schema {SCHEMAS[kind]} to {role}".encode())
    await connection.execute(f"grant select on {SCHEMAS[kind]}.migrations to {role}".encode())
    await migrate(f"postgresql://{role}:open-sesame@{migrated_url.rpartition('@')[2]}", kind)
    await connection.execute(f"drop owned by {role}; drop role {role}".encode())


async def test_an_edited_migration_is_refused(
    migrated_url: str, connect: Connect, kind: Kind, released: Callable[..., None]
) -> None:
    before = await applied(await connect(migrated_url), kind)
    first, *rest = available(kind)
    released(Migration(first.name, first.text + "-- edited\n"), *rest)
    with pytest.raises(MigrationError, match=f"{first.name} of schema {SCHEMAS[kind]} was changed after"):
        await migrate(migrated_url, kind)
    assert await applied(await connect(migrated_url), kind) == before


async def test_a_schema_of_a_newer_version_is_refused(
    migrated_url: str, connect: Connect, kind: Kind, released: Callable[..., None]
) -> None:
    present = available(kind)
    released(*present, Migration("9999_future", f"create table {SCHEMAS[kind]}.future ()"))
    await migrate(migrated_url, kind)
    released(*present)
    with pytest.raises(MigrationError, match=r"newer version of cdc \(migration 9999_future\)"):
        await migrate(migrated_url, kind)


async def test_a_failing_migration_leaves_nothing_and_those_before_it(
    migrated_url: str, connect: Connect, kind: Kind, released: Callable[..., None]
) -> None:
    connection, schema, present = await connect(migrated_url), SCHEMAS[kind], available(kind)
    good = Migration("9998_good", f"create table {schema}.good ()")
    released(*present, good, Migration("9999_bad", f"create table {schema}.bad (); select 1 / 0"))
    with pytest.raises(psycopg.errors.DivisionByZero):
        await migrate(migrated_url, kind)
    names = [name for name, *_ in await applied(connection, kind)]
    assert names == [*(m.name for m in present), "9998_good"]
    assert await rows(
        connection, f"select to_regclass('{schema}.good') is null, to_regclass('{schema}.bad') is null"
    ) == [(False, True)]

    released(*present, good, Migration("9999_bad", f"create table {schema}.bad ()"))
    await migrate(migrated_url, kind)
    assert len(await applied(connection, kind)) == len(present) + 2


@pytest.mark.parametrize("kind", KINDS)
def test_migrations_are_numbered_without_gaps(kind: Kind) -> None:
    numbers = [int(migration.name.partition("_")[0]) for migration in available(kind)]
    assert numbers == list(range(1, len(numbers) + 1))
