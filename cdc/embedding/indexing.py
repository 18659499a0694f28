"""Makes the index of a target once it is filled: before, each vector would cost fifty times as much to write."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from cdc.store import indexes
from cdc.store.embeddings import Layout
from cdc.store.indexes import Index, OutOfMemory
from cdc.store.parts import METRICS

if TYPE_CHECKING:
    from psycopg import AsyncConnection

    Connection = AsyncConnection[tuple[Any, ...]]

LEAST = 5_000
"""Vectors; of fewer, reading all is as fast as an index, and exact."""

_GRAPH = 750
"""Bytes of a vector's place in the graph while it is built, beside the vector itself (pgvector, m = 16)."""

_BYTES = {"vector": 4, "halfvec": 2}


async def needed(conn: Connection, layout: Layout) -> bool:
    """Whether there are as many vectors as make an index worth its upkeep."""
    return await indexes.count(conn, layout, LEAST) >= LEAST


async def has_usable(conn: Connection, layout: Layout) -> bool:
    """Whether searches have an index already, whoever made it; what is left of an attempt of ours goes."""
    found = await indexes.found(conn, layout)
    if any(not index.valid and index.name == indexes.name_of(layout) for index in found):
        await indexes.drop(conn, layout)
    return any(is_usable(index, layout) for index in found)


async def clear(conn: Connection, layout: Layout) -> None:
    """Remove the index that we made, whole or not; one of the same name on another table stays."""
    if any(index.name == indexes.name_of(layout) for index in await indexes.found(conn, layout)):
        await indexes.drop(conn, layout)


def is_usable(index: Index, layout: Layout) -> bool:
    """Whether the searches of a declaration can use an index: it is whole, and of the distance that they ask for."""
    of_metric = METRICS[layout.declaration.metric]
    return index.valid and index.access in ("hnsw", "ivfflat") and index.opclass.endswith(f"_{of_metric}_ops")


async def build(conn: Connection, layout: Layout, *, rows: int, memory: str) -> None:
    """Make the index, on a connection of its own that has no limit on answers; `memory`: such as 256MB, at most.

    Raises:
        psycopg.Error: the server cannot, or not now; what was begun of it may be left, and goes with `has_usable`.
    """
    to = layout.declaration
    size = (to.dimensions or 0) * _BYTES[to.vector_type] + _GRAPH
    await indexes.ready_session(conn, needed=int(rows * size * 1.1), most=memory)
    try:
        await indexes.create(conn, layout)
    except OutOfMemory:
        await clear(conn, layout)
        await indexes.without_workers(conn)
        await indexes.create(conn, layout)
