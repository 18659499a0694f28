"""Declarations that take the place of others, and the end of those that are not needed any more."""

from __future__ import annotations

from psycopg import errors, sql

from cdc.errors import CdcError, DatabaseRefused
from cdc.store.embeddings import Connection, Declaration, called, forget, said
from cdc.store.names import quoted
from cdc.store.queries import compose, text

_LOCK_TIMEOUT = "5s"
"""While we wait for a lock on their table, its users wait behind us."""


async def declare(
    conn: Connection,
    old: Declaration,
    *,
    model: str,
    dimensions: int | None = None,
    vector_type: str | None = None,
    target: str | None = None,
) -> int:
    """Call `cdc.embed()` for a successor with another model; returns its id. Text and filter are those of the old one.

    Raises:
        ConfigurationError: the target is taken.
        DatabaseRefused: our role has no right to.
    """
    parameters = {
        "source": quoted(old.table_schema, old.table_name),
        "target": target,
        "model": model,
        "dimensions": dimensions,
        "vector_type": vector_type,
        "replaces": _named(old),
    }
    return await called(conn, "embedding/change", parameters)


async def drop(conn: Connection, old: Declaration) -> None:
    """Forget a declaration, and drop the table or column with its vectors; all or nothing.

    Raises:
        DatabaseRefused: our role may not.
        CdcError: others hold the table.
    """
    target = sql.Identifier(old.target_schema, old.target_table)
    if old.target_kind == "column":
        statement = compose("embedding/drop_column", target=target, column=sql.Identifier(old.target_column))
    else:
        statement = compose("embedding/drop_table", target=target)
    try:
        async with conn.transaction():
            await conn.execute(text("embedding/lock_timeout"), {"timeout": _LOCK_TIMEOUT})
            await forget(conn, quoted(old.table_schema, old.table_name), _named(old))
            await conn.execute(statement)
    except errors.InsufficientPrivilege as error:
        hint = f"Let its owner run: {' '.join(statement.as_string(conn).split())}; and then: cdc unembed"
        raise DatabaseRefused(said(error), hint=hint) from None
    except errors.LockNotAvailable:
        raise CdcError(
            f"{old.target} is in use by others.", hint="End their transactions (see pg_stat_activity), or try again."
        ) from None


def _named(declaration: Declaration) -> str:
    """Its target, as cdc.embed and cdc.unembed know it."""
    if declaration.target_kind == "column":
        return declaration.target_column
    return f"{declaration.target_schema}.{declaration.target_table}"
