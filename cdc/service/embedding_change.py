"""Another model for an embedding, and the end of one, as the command line handles them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from cdc.config import Settings
from cdc.embedding import models
from cdc.errors import ConfigurationError
from cdc.service.models import opened_embedder
from cdc.store import embeddings, lives, successors
from cdc.store.connect import Connection, checked, connect
from cdc.store.embeddings import Declaration
from cdc.store.lives import Life
from cdc.store.migrate import migrate
from cdc.store.names import table_of


async def change(
    settings: Settings,
    url: str,
    table: str,
    model: str,
    *,
    dimensions: int | None,
    vector_type: str | None,
    into: str | None,
    to: str | None,
) -> tuple[Declaration, Declaration]:
    """Declare a successor with another model; returns the old and the new one.

    Raises:
        ConfigurationError: there is nothing to change, or the model cannot be used here.
    """
    models.parse(model)
    async with _opened(url) as conn, opened_embedder(settings) as embeds:
        embeds.check(model)
        old, _ = await _chosen(conn, table, into, live=True)
        id_ = await successors.declare(
            conn, old, model=model, dimensions=dimensions, vector_type=vector_type, target=to
        )
        layouts = await embeddings.layouts(conn, (old.table_schema, old.table_name))
        (new,) = (each.declaration for each in layouts if each.declaration.id == id_)
        return old, new


async def doomed(url: str, table: str, into: str | None) -> tuple[Declaration, Life]:
    """What `drop` would drop, and whether searches read it.

    Raises:
        ConfigurationError: there is no such embedding, or there are several.
    """
    async with _opened(url) as conn:
        return await _chosen(conn, table, into, live=False)


async def drop(url: str, declaration: Declaration) -> None:
    """Forget a declaration and drop its vectors.

    Raises:
        DatabaseRefused: our role may not.
        CdcError: others hold the table.
    """
    async with _opened(url) as conn:
        await successors.drop(conn, declaration)


@asynccontextmanager
async def _opened(url: str) -> AsyncIterator[Connection]:
    await migrate(checked(url), "source")
    async with await connect(url, autocommit=True) as conn:
        yield conn


async def _chosen(conn: Connection, table: str, into: str | None, *, live: bool) -> tuple[Declaration, Life]:
    """The declaration of this target, or the only one; `live`: the only one that searches read."""
    now = await lives.lives(conn)
    found = [(each.declaration, now[each.declaration.id]) for each in await embeddings.layouts(conn, table_of(table))]
    if not found:
        raise ConfigurationError(f"{table} has no embedding.", hint="See 'cdc embed status'.")
    meant = [
        (each, life)
        for each, life in found
        if (f".{each.target}".endswith(f".{into}") if into else not live or life.state == "live")
    ]
    if len(meant) == 1:
        return meant[0]
    raise ConfigurationError(
        f"{table} has {f'no target {into}' if into else 'several targets'}.",
        hint=f"Name one with --into: {_listed([each for each, _ in found])}.",
    )


def _listed(declarations: Sequence[Declaration]) -> str:
    return ", ".join(each.target for each in declarations)
