"""The tables and columns that vectors go to: what is there, and making it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

from psycopg import DataError, NotSupportedError, ProgrammingError, errors, sql
from psycopg.rows import class_row

from cdc.errors import ConfigurationError, DatabaseRefused
from cdc.store.embeddings import Connection, Declaration, Layout, VectorType, one, said
from cdc.store.parts import statement, vector_type
from cdc.store.queries import compose, text

_MADE_BY = {
    "table": ("embedding/create_table", "embedding/finish_table"),
    "chunks": ("embedding/create_chunks", "embedding/finish_chunks"),
}


@dataclass(frozen=True, slots=True)
class SourceFacts:
    """What following a table asks of it and of our role. `name` is written as SQL wants it."""

    name: str
    role: str
    rows_hidden: bool
    may_read: bool
    may_update: bool
    identity_has_key: bool
    is_partitioned: bool


@dataclass(frozen=True, slots=True)
class Column:
    """A column as it is. Dimensions and type of vectors are None for other types; -1 stands for any length."""

    name: str
    type: str
    dimensions: int | None
    vector_type: VectorType | None
    key_place: int | None


async def source_facts(conn: Connection, declaration: Declaration) -> SourceFacts | None:
    """What is true of the source table; None when there is none."""
    async with conn.cursor(row_factory=class_row(SourceFacts)) as cursor:
        await cursor.execute(
            text("embedding/source_facts"), {"schema": declaration.table_schema, "name": declaration.table_name}
        )
        return await cursor.fetchone()


async def columns(conn: Connection, table: tuple[str, str]) -> dict[str, Column]:
    """The columns of one (schema, table), by name; empty when there is no such table."""
    async with conn.cursor(row_factory=class_row(Column)) as cursor:
        await cursor.execute(text("embedding/columns"), {"schema": table[0], "name": table[1]})
        return {column.name: column for column in await cursor.fetchall()}


async def try_text(conn: Connection, layout: Layout) -> None:
    """Have the server say whether our role can make the text of a row.

    Raises:
        DatabaseRefused: it lacks a right.
        ConfigurationError: expression or filter cannot be run any more, or not by our role.
    """
    with _told("Grant it to the role of the service."):
        await conn.execute(statement("try_text", layout), {})


async def pgvector(conn: Connection) -> tuple[str | None, bool]:
    """The schema that pgvector is installed in, and whether the server has it to install."""
    schema, available = await one(conn, text("embedding/pgvector"), {})
    return schema, available


async def create_extension(conn: Connection) -> None:
    """Install pgvector.

    Raises:
        DatabaseRefused: our role may not.
    """
    with _told("Let an administrator run: CREATE EXTENSION vector;"), suppress(errors.UniqueViolation):
        # Two services at once: `if not exists` does not wait, and the later one finds the name taken.
        await conn.execute(text("embedding/create_extension"))


async def create_target(conn: Connection, layout: Layout, *, lock_timeout: str) -> bool:
    """Make the table or column that the vectors go to; False: the source was locked for longer than `lock_timeout`.

    Changes nothing when it returns False or raises.

    Raises:
        DatabaseRefused: our role may not; the hint has the statement for somebody who may.
        ConfigurationError: the server takes no such table or column.
    """
    make = _column if layout.declaration.target_kind == "column" else _table
    statements = make(layout)
    hint = " ".join(f"{' '.join(statement.as_string(conn).split())};" for statement in statements)
    try:
        with _told(f"Grant it, or let the owner run: {hint}"):
            async with conn.transaction():
                await conn.execute(text("embedding/lock_timeout"), {"timeout": lock_timeout})
                for statement in statements:
                    await conn.execute(statement)
    except errors.LockNotAvailable:
        return False
    return True


def _table(layout: Layout) -> list[sql.Composed]:
    to = layout.declaration
    source, target = sql.Identifier(to.table_schema, to.table_name), sql.Identifier(to.target_schema, to.target_table)
    key = sql.SQL(", ").join(sql.Identifier(column.name) for column in layout.key)
    reference = sql.SQL(", add foreign key ({0}) references {1} ({0}) on delete cascade").format(key, source)
    size = {"vector": vector_type(layout), "dimensions": sql.Literal(to.dimensions)}
    create, finish = _MADE_BY[to.target_kind]
    return [
        compose(create, target=target, key=key, source=source, **size),
        compose(finish, target=target, key=key, fk=reference if to.fk else sql.SQL("")),
    ]


def _column(layout: Layout) -> list[sql.Composed]:
    to = layout.declaration
    return [
        compose(
            "embedding/add_column",
            source=sql.Identifier(to.table_schema, to.table_name),
            column=sql.Identifier(to.target_column),
            vector=vector_type(layout),
            dimensions=sql.Literal(to.dimensions),
        )
    ]


@contextmanager
def _told(hint: str) -> Iterator[None]:
    """What the server refuses, in its words and with what to do about missing rights."""
    try:
        yield
    except errors.InsufficientPrivilege as error:
        raise DatabaseRefused(said(error), hint=hint) from None
    except (ProgrammingError, DataError, NotSupportedError) as error:
        raise ConfigurationError(said(error), hint=error.diag.message_hint or "") from None
