"""Chunks: existing rows of a watched table, read in the order of their key, in the text form that the stream has."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import psycopg
from psycopg import sql
from psycopg.rows import dict_row

from cdc.errors import ConfigurationError
from cdc.store import spans
from cdc.store.connect import Connection
from cdc.store.queries import compose, text
from cdc.store.spans import Key, KeyColumn, Span, TableLayout

Table = tuple[str, str]
RawRow = tuple[bytes | None, ...]
"""The columns of a row as Postgres writes them, in the order of the layout's columns."""

_FEW = 10_000
"""Rows that are counted rather than guessed."""

_FIRST = 50
"""Rows fetched before their size is known."""


class Chunk(NamedTuple):
    """Rows beyond a key, with those that were to be read `again` first, all as of one `snapshot`.

    `is_last`: there were no more.
    """

    snapshot: str
    layout: TableLayout
    again: list[RawRow]
    rows: list[RawRow]
    is_last: bool


async def pin(conn: Connection) -> None:
    """Give values the text forms of the stream; rows hidden by a policy become an error."""
    await conn.execute(text("chunks/pin"))


async def layout(conn: Connection, publication: str, table: Table) -> TableLayout:
    """How the table is read.

    Raises:
        ConfigurationError: it cannot be; says why, and what to do.
    """
    async with conn.cursor(row_factory=dict_row) as cursor:
        parameters = {"publication": publication, "schema": table[0], "table": table[1]}
        facts = await (await cursor.execute(text("chunks/facts"), parameters)).fetchone()
    name = ".".join(table)
    if facts is None:
        raise ConfigurationError(f"There is no table {name}.", hint="Check the spelling; names are case-sensitive.")
    if facts["is_partition"] and not facts["published"]:
        raise ConfigurationError(f"{name} is a partition.", hint="Name the table that it is a partition of.")
    if not facts["may_read"]:
        raise _unreadable(conn, table, facts["role"])
    found = TableLayout(
        facts["oid"],
        *table,
        facts["replica_identity"],
        tuple((name, oid, modifier) for name, oid, modifier in facts["columns"] or ()),
        tuple(KeyColumn(*column) for column in facts["key"] or ()),
        facts["filter"],
        facts["published"],
    )
    if not found.key:
        raise ConfigurationError(
            f"{name} has neither a primary key nor a unique index without NULLs: its rows cannot be read in an order.",
            hint="Add a primary key.",
        )
    hidden = {*found.key_names} - {name for name, *_ in found.columns}
    if hidden:
        raise ConfigurationError(
            f"The publication leaves out {', '.join(sorted(hidden))} of {name}, which its rows are told apart by.",
            hint="Publish the columns of the key, too.",
        )
    return found


def _unreadable(conn: Connection, table: Table, role: str) -> ConfigurationError:
    grant = sql.SQL("GRANT SELECT ON {} TO {};").format(sql.Identifier(*table), sql.Identifier(role)).as_string(conn)
    return ConfigurationError(f"This role may not read {'.'.join(table)}.", hint=f"As its owner: {grant}")


def _refused(table: Table, error: psycopg.Error) -> ConfigurationError:
    said = (error.diag.message_primary or str(error)).rstrip(".")
    return ConfigurationError(f"Reading {'.'.join(table)}: {said}.", hint="Let a role read it that may.")


async def estimate(conn: Connection, table: Table, *, counted: int = _FEW) -> int:
    """About how many rows a table has; fewer than `counted` are counted: of a table that was never analyzed, the
    planner has no idea whether it is empty.

    Raises:
        ConfigurationError: it cannot be read.
    """
    named = sql.Identifier(*table)
    try:
        few = await (await conn.execute(compose("chunks/few", table=named, most=sql.Literal(counted)))).fetchone()
        assert few is not None, "a count is one row"
        if few[0] < counted:
            return int(few[0])
        row = await (await conn.execute(compose("chunks/estimate", table=named))).fetchone()
    except psycopg.errors.InsufficientPrivilege as error:
        raise _refused(table, error) from None
    assert row is not None, "a plan has one row"
    return max(counted, int(row[0][0]["Plan"]["Plan Rows"]))


async def writers(conn: Connection, oid: int) -> dict[str, int | None]:
    """The transactions that may have changed the table and have not ended, with their process if they have one."""
    return dict(await (await conn.execute(text("chunks/writers"), {"oid": oid})).fetchall())


async def announce(conn: Connection, content: str) -> None:
    """Mark a place in the WAL for the listener."""
    await conn.execute(text("chunks/announce"), {"content": content})


async def last_key(conn: Connection, layout: TableLayout) -> Key | None:
    """The greatest key; None: there are no rows."""
    return await (await conn.execute(spans.greatest(layout), {})).fetchone()


async def read(
    conn: Connection,
    publication: str,
    table: Table,
    span: Span,
    again: Sequence[Key],
    *,
    most: int,
    most_bytes: int,
) -> Chunk:
    """Read the first rows of the span, at most so many, and those of `again` that are outside of it.

    Raises:
        ConfigurationError: the table cannot be read.
    """
    try:
        async with conn.transaction():
            await conn.execute(text("chunks/begin"))
            snapshot = await (await conn.execute(text("chunks/snapshot"))).fetchone()
            assert snapshot is not None, "it is always one row"
            to_read = await layout(conn, publication, table)
            once_more: list[RawRow] = []
            if again:
                query = spans.once_more(to_read, span)
                once_more += _raw(await conn.execute(query, spans.values(span, again)))
            rows, is_last = await _next_rows(conn, to_read, span, most, most_bytes)
    except psycopg.errors.InsufficientPrivilege as error:
        raise _refused(table, error) from None
    return Chunk(snapshot[0], to_read, once_more, rows, is_last)


async def _next_rows(
    conn: Connection, layout: TableLayout, span: Span, most: int, most_bytes: int
) -> tuple[list[RawRow], bool]:
    """Fetched in portions: how large rows are is known only when they are there."""
    await conn.execute(spans.next_rows(layout, span), {"most": most, **spans.values(span)})
    rows: list[RawRow] = []
    size, portion = 0, min(_FIRST, most)
    while len(rows) < most and size < most_bytes:
        cursor = await conn.execute(compose("chunks/fetch", count=sql.Literal(portion)))
        fetched = list(_raw(cursor))
        rows += fetched
        if len(fetched) < portion:
            return rows, True
        size += sum(len(value) for row in fetched for value in row if value is not None)
        portion = max(1, min(most - len(rows), int((most_bytes - size) / (size / len(rows) + 1))))
    return rows, False


def _raw(cursor: psycopg.AsyncCursor[Any]) -> Iterator[RawRow]:
    """The rows as they came: read as Python values, some would fail, and all would cost more."""
    result = cursor.pgresult
    assert result is not None, "the statement returns rows"
    columns = range(result.nfields)
    for row in range(result.ntuples):
        yield tuple([result.get_value(row, column) for column in columns])
