"""Declared embeddings: the rows of cdc.embeddings."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from typing import Any, Literal

from psycopg import AsyncConnection, DataError, Error, ProgrammingError, errors
from psycopg.abc import QueryNoTemplate
from psycopg.rows import dict_row

from cdc.errors import ConfigurationError, DatabaseRefused
from cdc.store.queries import text

Connection = AsyncConnection[tuple[Any, ...]]

VectorType = Literal["vector", "halfvec"]
Metric = Literal["cosine", "inner_product", "l2"]
Index = Literal["hnsw", "none"]


@dataclass(frozen=True, slots=True)
class Declaration:
    """One row of cdc.embeddings: what `cdc.embed()` was told, and what came of it.

    `columns` may hold paths into json columns, `data.title`; `reads` are columns of the table, all that text and
    filter need. With `any_type` the type of vector is still to be chosen.
    """

    id: int
    table_schema: str
    table_name: str
    columns: tuple[str, ...]
    target_kind: Literal["table", "column", "chunks"]
    target_schema: str
    target_table: str
    target_column: str
    fk: bool
    model: str | None
    dimensions: int | None
    problem: str | None
    prepared_at: datetime | None
    template: str | None = None
    expression: str | None = None
    filter: str | None = None
    chunk_tokens: int | None = None
    chunk_overlap: int | None = None
    vector_type: VectorType = "vector"
    metric: Metric = "cosine"
    index_type: Index = "none"
    replaces: int | None = None
    live_at: datetime | None = None
    reads: tuple[str, ...] = ()
    any_type: bool = False

    @property
    def source(self) -> str:
        """`schema.table`, for people."""
        return f"{self.table_schema}.{self.table_name}"

    @property
    def target(self) -> str:
        """`schema.table` of a target table, `schema.table.column` of a target column: unique, for people."""
        table = f"{self.target_schema}.{self.target_table}"
        return f"{table}.{self.target_column}" if self.target_kind == "column" else table


@dataclass(frozen=True, slots=True)
class Options:
    """What `cdc.embed()` may be told beside columns and target; None leaves it to that function."""

    template: str | None = None
    expression: str | None = None
    filter: str | None = None
    chunk_tokens: int | None = None
    chunk_overlap: int | None = None
    dimensions: int | None = None
    vector_type: VectorType | None = None
    metric: Metric | None = None
    index: Index | None = None
    model: str | None = None
    fk: bool = False
    replaces: str | None = None

    @property
    def given(self) -> dict[str, str | int | bool]:
        """Those that say something, by name."""
        return {name: value for name, value in asdict(self).items() if value is not None and value is not False}


@dataclass(frozen=True, slots=True)
class KeyColumn:
    """One column of a primary key, and its type."""

    name: str
    type_schema: str
    type_name: str


@dataclass(frozen=True, slots=True)
class Layout:
    """A declaration and what its statements need of the catalog; without pgvector `vector_schema` is None."""

    declaration: Declaration
    key: tuple[KeyColumn, ...]
    vector_schema: str | None


async def layouts(conn: Connection, table: tuple[str, str] | None = None) -> list[Layout]:
    """All declarations, or those of one (schema, table), in the order they were made."""
    schema, name = table or (None, None)
    async with conn.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(text("embedding/layouts"), {"schema": schema, "name": name})
        return [_layout(row) for row in await cursor.fetchall()]


def _layout(row: dict[str, Any]) -> Layout:
    key = tuple(KeyColumn(*column) for column in row.pop("key"))
    vector_schema = row.pop("vector_schema")
    lists = {name: tuple(row[name]) for name in ("columns", "reads")}
    return Layout(Declaration(**{**row, **lists}), key, vector_schema)


async def declare(
    conn: Connection, source: str, columns: Sequence[str], target: str | None, options: Options | None = None
) -> int:
    """Call `cdc.embed()`; `source` is written as SQL writes a name. Returns the declaration's id.

    Raises:
        ConfigurationError: a name is wrong, or the target is taken.
        DatabaseRefused: our role has no right to.
    """
    told = asdict(options or Options())
    parameters = {"source": source, "columns": list(columns) or None, "target": target, **told}
    return await called(conn, "embedding/declare", parameters)


async def forget(conn: Connection, source: str, target: str | None) -> int:
    """Call `cdc.unembed()`; `source` is written as SQL writes a name. Returns how many declarations there were.

    Raises:
        ConfigurationError: there is no such table.
        DatabaseRefused: our role has no right to.
    """
    return await called(conn, "embedding/forget", {"source": source, "target": target})


async def called(conn: Connection, name: str, parameters: dict[str, Any]) -> int:
    """What one of the functions of schema cdc returns.

    Raises:
        ConfigurationError, DatabaseRefused: what it refuses, in its own words.
    """
    try:
        async with conn.transaction():
            row = await one(conn, text(name), parameters)
    except errors.InsufficientPrivilege as error:
        raise DatabaseRefused(said(error), hint="Grant it, or let the owner do it in SQL.") from None
    except (ProgrammingError, DataError) as error:
        hint = error.diag.message_hint or "Write schema.table, and put names with capital letters in double quotes."
        raise ConfigurationError(said(error), hint=hint) from None
    return int(row[0])


async def hold(conn: Connection, declaration: Declaration) -> Declaration | None:
    """Keep other services from preparing this declaration until the transaction ends; None: it was forgotten.

    Returns the declaration with the model, dimensions and type that it is pinned to by now.
    """
    async with conn.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(text("embedding/hold"), {"id": declaration.id})
        row = await cursor.fetchone()
    return None if row is None else replace(declaration, **row)


async def pin(conn: Connection, declaration: Declaration) -> Declaration:
    """Record that the target is ready, and belongs to this model and type; returns the declaration as it is now."""
    parameters = {name: getattr(declaration, name) for name in ("id", "model", "dimensions", "vector_type")}
    row = await one(conn, text("embedding/pin"), parameters)
    return replace(declaration, any_type=False, problem=None, prepared_at=row[0])


async def set_problem(conn: Connection, declaration: Declaration, problem: str) -> Declaration:
    """Record why the declaration cannot be served; returns it as it is now."""
    await conn.execute(text("embedding/set_problem"), {"id": declaration.id, "problem": problem})
    return replace(declaration, problem=problem)


def said(error: Error) -> str:
    """The server's own sentence; those of cdc.embed begin with its name."""
    sentence = (error.diag.message_primary or str(error)).rstrip(".")
    return f"{sentence}." if sentence.startswith("cdc.") else f"{sentence[:1].upper()}{sentence[1:]}."


async def one(conn: Connection, statement: QueryNoTemplate, parameters: dict[str, Any]) -> tuple[Any, ...]:
    """The only row of a statement that always gives one."""
    row = await (await conn.execute(statement, parameters)).fetchone()
    assert row is not None, "the statement gives one row"
    return row
