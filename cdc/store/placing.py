"""One table of the publication: put there with these columns and rows, or taken out; in one transaction each."""

from __future__ import annotations

from contextlib import suppress
from typing import NamedTuple

import psycopg
from psycopg import sql

from cdc.errors import DatabaseRefused
from cdc.store.candidates import Place
from cdc.store.connect import Connection
from cdc.store.queries import compose, text
from cdc.store.selection import UNRESTRICTED, Table

_OURS_TO_SAY = (
    psycopg.ProgrammingError,
    psycopg.DataError,
    psycopg.NotSupportedError,
    psycopg.errors.ObjectNotInPrerequisiteState,
)
"""How the server refuses a table, a column list or a condition."""


class Refused(NamedTuple):
    """Why a table is not published; `by_right`: its owner could do it."""

    reason: str
    by_right: bool


async def hide(conn: Connection, publication: str, table: Table) -> None:
    """Publish a table no more because it must not be.

    Raises:
        DatabaseRefused: only the owner can do that.
    """
    statement = compose(
        "publications/drop_table", publication=sql.Identifier(publication), table=sql.Identifier(*table)
    )
    try:
        async with conn.transaction():
            await conn.execute(statement)
    except psycopg.errors.UndefinedObject as error:
        raise DatabaseRefused(
            f"{'.'.join(table)} must not be published as it is (CDC_EXCLUDE, CDC_FILTER), and is by its schema: "
            f"{error.diag.message_primary}.",
            hint=f"Publish tables, not schemas: ALTER PUBLICATION {publication} DROP TABLES IN SCHEMA {table[0]};",
        ) from None
    except psycopg.errors.InsufficientPrivilege:
        raise DatabaseRefused(
            f"{'.'.join(table)} must not be published as it is (CDC_EXCLUDE, CDC_FILTER), and the publication "
            f"{publication!r} is not this role's.",
            hint=f"As its owner: {statement.as_string(conn)};",
        ) from None


async def drop(conn: Connection, publication: str, table: Table) -> None:
    """Publish a table no more."""
    parts = {"publication": sql.Identifier(publication), "table": sql.Identifier(*table)}
    await conn.execute(compose("publications/drop_table", **parts))


async def put(conn: Connection, publication: str, place: Place) -> Refused | None:
    """Publish a table as it should be, in one transaction, so that no row escapes; why it could not be."""
    try:
        async with conn.transaction():
            for statement in _statements(publication, place):
                await conn.execute(statement)
            await _note(conn, publication, place)
            if place.columns or place.filter:
                await _try(conn, place)
    except psycopg.errors.DuplicateObject:
        return None
    except psycopg.errors.InsufficientPrivilege:
        return Refused(f"this role does not own it; as its owner: {_as_owner(conn, publication, place)}", by_right=True)
    except _OURS_TO_SAY as error:
        said = ": ".join(filter(None, (error.diag.message_primary, error.diag.message_detail)))
        return Refused(said, by_right=False)
    return None


def _as_owner(conn: Connection, publication: str, place: Place) -> str:
    """What the owner of a table would run."""
    statements = [statement.as_string(conn) for statement in _statements(publication, place)]
    if len(statements) > 1:
        statements = ["BEGIN", *statements, "COMMIT"]
    return " ".join(f"{statement};" for statement in statements)


def _statements(publication: str, place: Place) -> list[sql.Composed]:
    parts: dict[str, sql.Composable] = {
        "publication": sql.Identifier(publication),
        "table": sql.Identifier(*place.table),
    }
    columns = sql.SQL(" ({})").format(sql.SQL(", ").join(map(sql.Identifier, place.columns or ())))
    # On lines of its own: it may end in a comment.
    condition = sql.SQL(" where (\n{}\n)").format(sql.SQL(place.filter or ""))
    put = compose(
        "publications/add_table",
        columns=columns if place.columns else sql.SQL(""),
        filter=condition if place.filter else sql.SQL(""),
        **parts,
    )
    return [compose("publications/drop_table", **parts), put] if place.replaces else [put]


async def _note(conn: Connection, publication: str, place: Place) -> None:
    schema, table = place.table
    if place.restriction == UNRESTRICTED:
        await conn.execute(text("publications/unrestrict"), {"schema": schema, "table": table})
        return
    parameters = {
        "publication": publication,
        "schema": schema,
        "table": table,
        "columns": sorted(place.restriction.columns),
        "hidden": sorted(place.hidden),
        "filter": place.restriction.filter,
    }
    await conn.execute(text("publications/restrict"), parameters)


async def _try(conn: Connection, place: Place) -> None:
    """Have the server say whether the application's own UPDATE and DELETE would still work; where we may ask it."""
    table = sql.Identifier(*place.table)
    statements = [
        compose("publications/try_update", table=table, column=sql.Identifier(place.any_column)),
        compose("publications/try_delete", table=table),
    ]
    for statement in statements:
        with suppress(psycopg.errors.InsufficientPrivilege):
            async with conn.transaction():
                await conn.execute(statement)
