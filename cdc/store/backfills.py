"""Backfills: the rows of cdc_state.backfills."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, NamedTuple

from psycopg.rows import class_row

from cdc.store.connect import Connection
from cdc.store.json import document
from cdc.store.queries import text

Status = Literal["requested", "running", "done", "cancelled", "failed"]
Table = tuple[str, str]
Key = tuple[str, ...]
"""The columns of a row's key, each as Postgres writes it."""


@dataclass(frozen=True, slots=True)
class Backfill:
    """The reading of a table's existing rows, and how far it is.

    `last_key` is that of the last row merged into the stream; of rows up to there, those in `again` were not. It ends
    at `until_key`: rows that came later have events of their own.
    """

    id: int
    source: str
    table_schema: str
    table_name: str
    only_function: str | None
    status: Status
    reason: str | None
    last_key: list[str] | None
    until_key: list[str] | None
    again: list[list[str]]
    rows_done: int
    rows_expected: int | None
    rate: int | None

    @property
    def table(self) -> Table:
        """Schema and name."""
        return self.table_schema, self.table_name

    @property
    def is_over(self) -> bool:
        """Whether no more of it will come."""
        return self.status not in ("requested", "running")

    def __str__(self) -> str:
        return f"{self.table_schema}.{self.table_name}"


class Declared(NamedTuple):
    """How far the reading of a table's existing rows for one declared embedding is."""

    declaration: int
    id: int
    status: Status
    reason: str | None
    rows_done: int
    rows_expected: int | None
    started_at: datetime | None
    ended_at: datetime | None

    @property
    def is_over(self) -> bool:
        """Whether no more of it will come."""
        return self.status not in ("requested", "running")


async def request(conn: Connection, source: str, table: Table, *, rate: int | None, expected: int | None) -> bool:
    """Ask for a backfill; False: one of this table is asked for or under way already."""
    parameters = {"source": source, "rate": rate, "expected": expected, **_named(table)}
    return await (await conn.execute(text("backfills/request"), parameters)).fetchone() is not None


async def request_declared(
    conn: Connection, source: str, only_function: str, declarations: Sequence[tuple[int, Table]]
) -> int:
    """Ask for the backfills of these declared embeddings, each once until it is released; returns how many are new."""
    parameters = {
        "source": source,
        "only_function": only_function,
        "declarations": [id_ for id_, _ in declarations],
        "schemas": [schema for _, (schema, _) in declarations],
        "tables": [name for _, (_, name) in declarations],
    }
    return (await conn.execute(text("backfills/request_declared"), parameters)).rowcount


async def release(conn: Connection, source: str, declarations: Sequence[int]) -> None:
    """Let the backfills of these declared embeddings be asked for again; those under way are cancelled."""
    await conn.execute(text("backfills/release"), {"source": source, "declarations": list(declarations)})


async def request_again(conn: Connection, source: str, declarations: Sequence[int]) -> int:
    """Begin the backfills of these declared embeddings anew; how many those are."""
    parameters = {"source": source, "declarations": list(declarations)}
    return (await conn.execute(text("backfills/again"), parameters)).rowcount


async def of_declared(conn: Connection, source: str) -> dict[int, Declared]:
    """The backfills that declared embeddings of a source have had, by declaration."""
    rows = await conn.execute(text("backfills/of_declared"), {"source": source})
    return {row[0]: Declared(*row) for row in await rows.fetchall()}


async def active(conn: Connection, source: str) -> list[Backfill]:
    """Those asked for or under way, oldest first."""
    return await _all(conn, "backfills/active", {"source": source})


async def latest(conn: Connection, source: str, limit: int) -> list[Backfill]:
    """The latest, newest first."""
    return await _all(conn, "backfills/latest", {"source": source, "limit": limit})


async def load(conn: Connection, id: int) -> Backfill:
    """One of them as it is now."""
    (found,) = await _all(conn, "backfills/by_id", {"id": id})
    return found


async def begin(conn: Connection, id: int, *, expected: int | None) -> None:
    """Note that it is under way."""
    await conn.execute(text("backfills/begin"), {"id": id, "expected": expected})


async def bound(conn: Connection, id: int, until: Key) -> None:
    """Note where it ends."""
    await conn.execute(text("backfills/bound"), {"id": id, "until_key": document(until)})


async def tell(conn: Connection, id: int, reason: str) -> None:
    """Note what it waits for."""
    await conn.execute(text("backfills/tell"), {"id": id, "reason": reason})


async def advance(
    conn: Connection,
    id: int,
    *,
    last_key: Key | None,
    again: Sequence[Key],
    merged: int,
    done: bool,
    anew: bool = False,
) -> None:
    """Note, within the caller's transaction, how far it is; `anew`: it begins again."""
    parameters = {
        "id": id,
        "last_key": None if last_key is None else document(last_key),
        "again": document(again),
        "merged": merged,
        "done": done,
        "anew": anew,
    }
    await conn.execute(text("backfills/advance"), parameters)


async def fail(conn: Connection, id: int, reason: str) -> None:
    """Note that it cannot go on, and why."""
    await conn.execute(text("backfills/fail"), {"id": id, "reason": reason})


async def cancel(conn: Connection, source: str, table: Table) -> int:
    """End the unfinished ones of a table; returns how many there were."""
    return (await conn.execute(text("backfills/cancel"), {"source": source, **_named(table)})).rowcount


def _named(table: Table) -> dict[str, str]:
    return {"schema": table[0], "table": table[1]}


async def _all(conn: Connection, name: str, parameters: dict[str, Any]) -> list[Backfill]:
    async with conn.cursor(row_factory=class_row(Backfill)) as cursor:
        await cursor.execute(text(name), parameters)
        return await cursor.fetchall()
