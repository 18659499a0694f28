"""The publication: an explicit list of tables, grown one by one."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass

import psycopg
from psycopg import sql

from cdc.errors import DatabaseRefused, ServerNotReady
from cdc.store.connect import Connection
from cdc.store.queries import compose, text

Table = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Unpublished:
    """Tables that could not be published: those that do not exist, and why the others were refused."""

    absent: frozenset[Table]
    refused: dict[Table, str]


async def take_turns(conn: Connection) -> None:
    """Wait until no other service brings targets and publication in line; until this connection ends it is our turn.

    One that is frozen in its turn holds nobody up: each statement is right at any time, they only get in each other's
    way.
    """
    with suppress(psycopg.errors.LockNotAvailable):
        await conn.execute(text("publications/lock"))


async def announce(conn: Connection) -> None:
    """Have the listener bring publication and matching in line with the functions that are registered."""
    await conn.execute(text("publications/announce"))


async def ensure(conn: Connection, publication: str) -> None:
    """Make the publication if there is none, and tell cdc.embed its name.

    Raises:
        DatabaseRefused: the role may not create publications.
        ServerNotReady: it is FOR ALL TABLES, which would make the application's own UPDATEs fail.
    """
    row = await (await conn.execute(text("publications/state"), {"publication": publication})).fetchone()
    if row is None:
        try:
            await conn.execute(compose("publications/create", publication=sql.Identifier(publication)))
        except psycopg.errors.InsufficientPrivilege as error:
            raise DatabaseRefused(
                f"This role may not create the publication {publication!r}: {error.diag.message_primary}.",
                hint=f"As the database's owner: CREATE PUBLICATION {publication};",
            ) from None
        except psycopg.errors.DuplicateObject:
            pass
    elif row[0]:
        raise ServerNotReady(
            f"The publication {publication!r} is FOR ALL TABLES; it would publish the service's own tables, too.",
            hint="Drop it and let the service make its own, or choose another name with CDC_PUBLICATION.",
        )
    await conn.execute(text("publications/note"), {"publication": publication})


async def tables(conn: Connection, publication: str) -> frozenset[Table]:
    """The tables published now."""
    rows = await (await conn.execute(text("publications/tables"), {"publication": publication})).fetchall()
    return frozenset((schema, table) for schema, table in rows)


async def publish(conn: Connection, publication: str, wanted: Iterable[Table]) -> Unpublished:
    """Publish these tables, too; says which could not be, and why."""
    missing = sorted(frozenset(wanted) - await tables(conn, publication))
    if not missing:
        return Unpublished(frozenset(), {})
    parameters = {"schemas": [schema for schema, _ in missing], "tables": [table for _, table in missing]}
    rows = await (await conn.execute(text("publications/table_facts"), parameters)).fetchall()
    identity = {(schema, table): has_identity for schema, table, has_identity in rows}
    refused: dict[Table, str] = {}
    for table in missing:
        if table in identity:
            reason = await _add(conn, publication, table) if identity[table] else _no_identity(table)
            if reason:
                refused[table] = reason
    return Unpublished(frozenset(missing) - identity.keys(), refused)


async def _add(conn: Connection, publication: str, table: Table) -> str | None:
    parts = {"publication": sql.Identifier(publication), "table": sql.Identifier(*table)}
    try:
        await conn.execute(compose("publications/add_table", **parts))
    except psycopg.errors.DuplicateObject:
        return None
    except psycopg.errors.InsufficientPrivilege:
        statement = compose("publications/add_table", **parts).as_string(conn)
        return f"this role does not own it; as its owner: {statement};"
    except (psycopg.errors.InvalidParameterValue, psycopg.errors.UndefinedTable) as error:
        return ": ".join(filter(None, (error.diag.message_primary, error.diag.message_detail)))
    return None


def _no_identity(table: Table) -> str:
    """Publishing it would make the application's own UPDATE and DELETE fail (Postgres docs, ALTER PUBLICATION)."""
    name = ".".join(table)
    return f"it has no primary key; add one, or: ALTER TABLE {name} REPLICA IDENTITY FULL;"
