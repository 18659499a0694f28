"""Makes the targets of all declarations, and says of each that cannot be served why not."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Protocol

from cdc.embedding import fitness, splitting
from cdc.errors import CdcError, NonRetriableError, RetryAfter, ServerNotReady
from cdc.store import embeddings, targets
from cdc.store.embeddings import Declaration, Layout
from cdc.store.targets import SourceFacts

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
    model = layout.declaration.model or default().name
    splitting.check(layout.declaration, model)
    size = layout.declaration.dimensions or await dimensions(model)
    for _ in range(tries):
        async with conn.transaction():
            held = await embeddings.hold(conn, layout.declaration)
            if held is None:
                return None
            # Another service may have pinned it while we asked for the dimensions.
            model, size = held.model or model, held.dimensions or size
            if await _made(conn, layout, model, size):
                return await embeddings.pin(conn, held, model, size)
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


async def _made(conn: Connection, layout: Layout, model: str, size: int) -> bool:
    """Make the target, or check the one that stands there; False: its table was locked for too long."""
    to = layout.declaration
    existing = await targets.columns(conn, (to.target_schema, to.target_table))
    if to.target_kind == "column" and to.target_column in existing:
        fitness.check_vector(to, existing[to.target_column], model, size)
        return True
    if to.target_kind != "column" and existing:
        fitness.check_table(layout, existing, await targets.columns(conn, (to.table_schema, to.table_name)))
        fitness.check_vector(to, existing[to.target_column], model, size)
        return True
    return await targets.create_target(conn, layout, size, lock_timeout=_LOCK_TIMEOUT)
