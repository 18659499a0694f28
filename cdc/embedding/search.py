"""Finds rows by meaning."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from cdc.authoring.context import Embed
from cdc.authoring.hit import Filter, Hit
from cdc.errors import ConfigurationError
from cdc.store import embeddings
from cdc.store import search as store
from cdc.store.embeddings import Declaration

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from psycopg import AsyncConnection

    Connection = AsyncConnection[tuple[Any, ...]]
    Vector = NDArray[np.float32]

__all__ = ["MOST", "Hit", "Query", "embedded", "nearest", "search", "searched"]

MOST = 1000
"""Hits of one search: as far as an HNSW index looks."""


@dataclass(frozen=True, slots=True)
class Query:
    """What is looked for: rows of (schema, table) that are near in meaning to some words, at most `limit`.

    `target` is needed when several are live: a target table's or column's name, with or without what it is in.
    `filter`: only rows with these values in columns of the table. `hybrid`: find those, too, that have the words, read
    in `language`, a text search configuration. `columns` of the row are given back, by default those that are
    embedded. `every_chunk`: a row may be found more than once, by several chunks of its text.

    Raises ConfigurationError when the limit is out of range.
    """

    table: tuple[str, str]
    words: str
    limit: int = 5
    target: str | None = None
    filter: Filter | None = None
    hybrid: bool = False
    language: str = "simple"
    columns: Sequence[str] | None = None
    every_chunk: bool = False

    def __post_init__(self) -> None:
        if not 1 <= self.limit <= MOST:
            raise ConfigurationError(
                f"A search has 1 to {MOST} hits, not {self.limit}.",
                hint="Choose another limit, or narrow it with a filter.",
            )


async def search(conn: Connection, embed: Embed, query: Query) -> list[Hit]:
    """What a query finds, the best first. Its words are embedded by the model that the target is pinned to.

    Raises:
        ConfigurationError: the table has no such target, several, or one that is not ready; or the query cannot be
            used.
        DatabaseRefused: our role may not read it.
        Exception: what `embed` raises, or has instead of a vector when the provider refuses the words.
    """
    declaration = await searched(conn, query.table, query.target)
    return await nearest(conn, declaration, await embedded(embed, declaration, query.words), query)


async def embedded(embed: Embed, declaration: Declaration, words: str) -> Vector:
    """The vector of some words, by the model that a declaration is pinned to.

    Raises:
        Exception: what `embed` raises, or has instead of a vector when the provider refuses the words.
    """
    assert declaration.model is not None, "pinned when the target was made"
    (answer,) = await embed(declaration.model, [words])
    if isinstance(answer, Exception):
        raise answer
    return answer


async def nearest(conn: Connection, declaration: Declaration, vector: Vector, query: Query) -> list[Hit]:
    """What a query finds whose words have this vector.

    Raises:
        ConfigurationError: the query cannot be used.
        DatabaseRefused: our role may not read it.
    """
    return await store.search(
        conn,
        declaration,
        vector,
        limit=query.limit,
        filter=query.filter,
        words=query.words if query.hybrid else None,
        language=query.language,
        columns=query.columns,
        every_chunk=query.every_chunk,
    )


async def searched(conn: Connection, table: tuple[str, str], target: str | None = None) -> Declaration:
    """The declaration that a search of (schema, table) reads, pinned to its model: the target named, or the live one.

    Raises:
        ConfigurationError: the table has no such target, several, or one that is not ready.
    """
    known = [layout.declaration for layout in await embeddings.layouts(conn, table)]
    declaration = _chosen(known, ".".join(table), target)
    if declaration.model is None or declaration.prepared_at is None:
        reason = declaration.problem or "It is still being made."
        raise ConfigurationError(f"{declaration.target} cannot be searched yet.", hint=reason)
    return declaration


def _chosen(known: list[Declaration], table: str, target: str | None) -> Declaration:
    matching = [each for each in known if (each.live_at is not None if target is None else _is_named(each, target))]
    if len(matching) == 1:
        return matching[0]
    if not known:
        raise ConfigurationError(
            f"{table} has no embedding.", hint=f"Declare one: SELECT cdc.embed('{table}', ARRAY['<column>']);"
        )
    wrong = "several targets" if matching else f"no target {target}" if target else "no target that is filled"
    names = ", ".join(declaration.target for declaration in known)
    raise ConfigurationError(f"{table} has {wrong}.", hint=f"Name one of: {names}.")


def _is_named(declaration: Declaration, target: str) -> bool:
    """Whether the target is called so: `a.b.c` is called `c`, `b.c` and `a.b.c`."""
    return f".{declaration.target}".endswith(f".{target}")
