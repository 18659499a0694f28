"""The indexes of vectors: what is there, and making it."""

from __future__ import annotations

from typing import NamedTuple

from psycopg import errors, sql

from cdc.store.embeddings import Connection, Layout, one
from cdc.store.parts import parts, statement
from cdc.store.queries import compose, text
from cdc.store.vectors import Key

OutOfMemory = (errors.DiskFull, errors.OutOfMemory, errors.InsufficientResources)
"""Parallel workers share memory; a container often has little of that kind, which Linux calls a full disk."""


class Index(NamedTuple):
    """An index on a vector's column alone; `valid`: searches can use it."""

    name: str
    valid: bool
    access: str
    opclass: str


class Progress(NamedTuple):
    """An index being made: rows and blocks done and in all; 0 in all: that is not known."""

    schema: str
    table: str
    phase: str
    rows_done: int
    rows: int
    blocks_done: int
    blocks: int

    @property
    def share(self) -> float | None:
        """How much of the present phase is done, 0 to 1."""
        done, all_ = (self.blocks_done, self.blocks) if self.blocks else (self.rows_done, self.rows)
        return done / all_ if all_ else None


def name_of(layout: Layout) -> str:
    """What the index of a declaration is called when we make it; no other declaration's is called so."""
    return f"cdc_embedding_{layout.declaration.id}_hnsw"


async def found(conn: Connection, layout: Layout) -> list[Index]:
    """Those on the column of a target."""
    to = layout.declaration
    parameters = {"schema": to.target_schema, "name": to.target_table, "column": to.target_column}
    return [Index(*row) for row in await (await conn.execute(text("embedding/indexes"), parameters)).fetchall()]


async def take_turns(conn: Connection) -> bool:
    """Be the only session that makes indexes of this database, until it ends; False: another one is."""
    return bool((await one(conn, text("embedding/take_turns"), {}))[0])


async def ready_session(conn: Connection, *, needed: int, most: str) -> None:
    """No limits on time, and as many bytes of memory as are needed, at most such as `256MB`."""
    await conn.execute(text("embedding/index_session"), {"needed": needed, "most": most})


async def without_workers(conn: Connection) -> None:
    """Make indexes in this session with its own memory alone."""
    await conn.execute(text("embedding/index_alone"))


async def create(conn: Connection, layout: Layout) -> None:
    """Make the index of a target; nobody who reads or writes waits."""
    await conn.execute(compose("embedding/create_index", index=sql.Identifier(name_of(layout)), **parts(layout)))


async def drop(conn: Connection, layout: Layout) -> None:
    """Remove the index that we made, if it is there, whole or not."""
    index = sql.Identifier(layout.declaration.target_schema, name_of(layout))
    await conn.execute(compose("embedding/drop_index", index=index))


async def progress(conn: Connection) -> list[Progress]:
    """The indexes that are being made in this database, by whomever."""
    return [Progress(*row) for row in await (await conn.execute(text("embedding/index_progress"))).fetchall()]


async def count(conn: Connection, layout: Layout, limit: int) -> int:
    """How many vectors a target has, counted up to a limit."""
    rows = await conn.execute(statement("few", layout), {"limit": limit})
    found = await rows.fetchone()
    return int(found[0]) if found else 0


async def held(conn: Connection, layout: Layout) -> tuple[int, int]:
    """How many rows have vectors, and how many vectors there are: of chunks, there are more."""
    found = await (await conn.execute(statement("held", layout))).fetchone()
    return (int(found[0]), int(found[1])) if found else (0, 0)


async def lacking(conn: Connection, layout: Layout, limit: int) -> frozenset[Key]:
    """Keys of rows that should have a vector and have none; so many at most."""
    rows = await conn.execute(statement("lacking", layout), {"id": layout.declaration.id, "limit": limit})
    return frozenset(tuple(key) for (key,) in await rows.fetchall())
