"""Makes the targets of all declarations, and says of each that cannot be served why not."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Protocol

from cdc.embedding import fitness, splitting
from cdc.errors import CdcError, ConfigurationError, NonRetriableError, RetryAfter, ServerNotReady
from cdc.store import embeddings, targets
from cdc.store.embeddings import Declaration, Layout, VectorType
from cdc.store.targets import Column, SourceFacts

if TYPE_CHECKING:
    from psycopg import AsyncConnection

    Connection = AsyncConnection[tuple[Any, ...]]

_LOCK_TIMEOUT = "500ms"
"""While we wait for a lock on their table, its users wait behind us: briefly and often, rather than long and once."""

_TRIES = 10
_PAUSE = 1.0


class Named(Protocol):
    """A model, as far as it matters here."""

    @property
    def name(self) -> str:
        """Such as `openai/text-embedding-3-small`."""
        ...


Check = Callable[[Layout, SourceFacts], None]


async def prepare(
    conn: Connection,
    *,
    default: Callable[[], Named],
    dimensions: Callable[[str], Awaitable[int]],
    check: Check = lambda layout, facts: None,
    tries: int = _TRIES,
) -> list[Declaration]:
    """Make every declaration ready to be served, on an autocommit connection; does nothing for those that are.

    `default` gives the model of declarations that name none, `dimensions` the length of a model's vectors. One that
    cannot be served has its `problem` set, in the database and in what is returned; the others go on. The problem is
    cleared by the next call that finds it mended. `check` raises what else speaks against
    a declaration; `tries` says how often a locked table is tried.
    """
    assert conn.autocommit, "each declaration is prepared in a transaction of its own"
    prepared = []
    for layout in await embeddings.layouts(conn):
        try:
            declaration = await _prepared(conn, layout, default, dimensions, check, tries)
        except (CdcError, RetryAfter, NonRetriableError) as error:
            declaration = await embeddings.set_problem(conn, layout.declaration, str(error))
        if declaration is not None:
            prepared.append(declaration)
    return prepared


async def _prepared(
    conn: Connection,
    layout: Layout,
    default: Callable[[], Named],
    dimensions: Callable[[str], Awaitable[int]],
    check: Check,
    tries: int,
) -> Declaration | None:
    """The declaration, ready; None when it was forgotten meanwhile."""
    await _check_source(conn, layout, check)
    layout = replace(layout, vector_schema=layout.vector_schema or await _pgvector(conn))
    if layout.declaration.expression or layout.declaration.filter:
        await targets.try_text(conn, layout)
    model, size = await _model(layout.declaration, default, dimensions)
    splitting.check(layout.declaration, model.partition("@")[0])
    for _ in range(tries):
        async with conn.transaction():
            held = await embeddings.hold(conn, layout.declaration)
            if held is None:
                return None
            # Another service may have pinned it while we asked for the dimensions.
            if held.prepared_at is None:
                held = replace(held, model=model, dimensions=size)
            made = await _made(conn, replace(layout, declaration=held))
            if made is not None:
                return await embeddings.pin(conn, made)
        await asyncio.sleep(_PAUSE)
    raise CdcError(
        f"{layout.declaration.source} was locked by others each of the {tries} times that its target was to be made.",
        hint="End the transaction that holds it (see pg_stat_activity); it is tried again.",
    )


async def _check_source(conn: Connection, layout: Layout, check: Check) -> None:
    declaration = layout.declaration
    facts = await targets.source_facts(conn, declaration)
    columns = await targets.columns(conn, (declaration.table_schema, declaration.table_name))
    check(layout, fitness.check_source(layout, facts, columns))


async def _model(
    declaration: Declaration, default: Callable[[], Named], dimensions: Callable[[str], Awaitable[int]]
) -> tuple[str, int]:
    """The model, and the length of its vectors; the name has both where another length than its own was asked for."""
    name, wanted = declaration.model or default().name, declaration.dimensions
    if declaration.prepared_at is not None and wanted is not None:
        return name, wanted
    size = await dimensions(name)
    if wanted in (None, size):
        return name, size
    name = f"{name.partition('@')[0]}@{wanted}"
    size = await dimensions(name)
    if size != wanted:
        raise ConfigurationError(
            f"{name} makes vectors of {size} dimensions.", hint="Call cdc.unembed() and declare it without dimensions."
        )
    return name, size


async def _pgvector(conn: Connection) -> str:
    """The schema pgvector is in, installed if need be."""
    schema, available = await targets.pgvector(conn)
    if schema is None:
        if not available:
            raise ServerNotReady(
                "This Postgres server has no pgvector.",
                hint="Install it there (package postgresql-<version>-pgvector), or use a server that has it.",
            )
        await targets.create_extension(conn)
        schema, _ = await targets.pgvector(conn)
    assert schema is not None, "create extension has just made it"
    return schema


async def _made(conn: Connection, layout: Layout) -> Declaration | None:
    """Make the target, or check the one that stands there; None: its table was locked for too long.

    Returns the declaration with its type of vectors.
    """
    to = layout.declaration
    existing = await targets.columns(conn, (to.target_schema, to.target_table))
    column = existing.get(to.target_column)
    to = replace(to, vector_type=_type(to, column))
    if to.target_kind != "column" and existing:
        fitness.check_table(layout, existing, await targets.columns(conn, (to.table_schema, to.table_name)))
    fitness.check_index(to)
    if column is not None:
        fitness.check_vector(to, column)
        return to
    layout = replace(layout, declaration=to)
    return to if await targets.create_target(conn, layout, lock_timeout=_LOCK_TIMEOUT) else None


def _type(to: Declaration, column: Column | None) -> VectorType:
    """The type that was asked for, that is there, or that an index can be made on.

    A type that the owner altered once all was made is as good.
    """
    if column is not None and column.vector_type is not None and (to.any_type or to.prepared_at):
        return column.vector_type
    if not to.any_type:
        return to.vector_type
    too_long = (to.dimensions or 0) > fitness.INDEXED["vector"]
    return "halfvec" if to.index_type == "hnsw" and too_long else "vector"
