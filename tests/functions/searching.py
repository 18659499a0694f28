"""What the tests of search share: a table of several tenants whose vectors are written by hand, of each kind."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from cdc.embedding.search import Hit, Query, search
from tests.functions.embedding import MODEL, Vector
from tests.servers import Connection

KINDS = ("table", "column", "chunks")

DOCS = ("public", "docs")

EAST = "[1, 0, 0, 0]"


class Row(NamedTuple):
    """One row: where its text points, 0 (east) to 90 (north) degrees."""

    id: int
    tenant: str | None
    degrees: float
    text: str = ""


class Compass:
    """Knows the vectors of directions; of all other words it says east."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    async def __call__(self, model: str, texts: Sequence[str], /) -> Sequence[Vector | Exception]:
        assert model == MODEL
        self.asked.extend(texts)
        return [np.array([0, 1, 0, 0] if text == "north" else [1, 0, 0, 0], dtype=np.float32) for text in texts]


async def tenants(conn: Connection, kind: str, *rows: Row, vector: str = "vector", metric: str = "cosine") -> None:
    """Make `docs` and its target, declared and ready, with these rows and their vectors."""
    await conn.execute("create extension if not exists vector")
    await conn.execute("create table docs (id bigint primary key, tenant text, body text, meta jsonb, n varchar(3))")
    tables = {
        "column": f"alter table docs add embedding {vector}(4)",
        "table": f"create table docs_embeddings (id bigint primary key, embedding {vector}(4))",
        "chunks": f"create table docs_chunks (id bigint, ordinal integer, chunk text, embedding {vector}(4),"
        " primary key (id, ordinal))",
    }
    await conn.execute(tables[kind].encode())
    await declared(conn, kind, metric=metric)
    await add(conn, kind, *rows)


async def declared(conn: Connection, kind: str, *, metric: str = "cosine", **also: Any) -> None:
    """The row of cdc.embeddings that a target of `docs` has once it is ready."""
    values = {
        "table_schema": "public",
        "table_name": "docs",
        "columns": ["body"],
        "target_kind": kind,
        "chunk_tokens": 100 if kind == "chunks" else None,
        "target_schema": "public",
        "target_table": {"column": "docs", "table": "docs_embeddings"}.get(kind, "docs_chunks"),
        "target_column": "embedding",
        "model": MODEL,
        "dimensions": 4,
        "metric": metric,
        **also,
    }
    names, places = ", ".join(values), ", ".join(f"%({name})s" for name in values)
    insert = f"insert into cdc.embeddings ({names}, prepared_at) values ({places}, now())"
    await conn.execute(insert.encode(), values)


async def add(conn: Connection, kind: str, *rows: Row) -> None:
    """Rows with their vectors; of chunks each row has one."""
    async with conn.cursor() as cursor:
        for row in rows:
            values = (row.id, row.tenant, row.text or f"text {row.id}", f'{{"n": {row.id}}}', str(row.id)[:3])
            await cursor.execute("insert into docs values (%s, %s, %s, %s, %s)", values)
            await point(conn, kind, row.id, row.degrees, chunk=row.text or f"text {row.id}")


async def point(conn: Connection, kind: str, id_: int, degrees: float, ordinal: int = 0, chunk: str = "") -> None:
    """Store the vector of one row, or of one more chunk of it."""
    angle = np.radians(degrees)
    vector = f"[{np.cos(angle):.6f}, {np.sin(angle):.6f}, 0, 0]"
    if kind == "column":
        await conn.execute("update docs set embedding = %s where id = %s", (vector, id_))
    elif kind == "table":
        await conn.execute("insert into docs_embeddings values (%s, %s)", (id_, vector))
    else:
        await conn.execute(
            "insert into docs_chunks (id, ordinal, chunk, embedding) values (%s, %s, %s, %s)",
            (id_, ordinal, chunk, vector),
        )


async def found(conn: Connection, words: str = "east", **how: Any) -> list[Hit]:
    """What a search of `docs` finds."""
    return await search(conn, Compass(), Query(DOCS, words, **how))


async def ids(conn: Connection, words: str = "east", **how: Any) -> list[int]:
    """The keys of what it finds."""
    return [hit.key["id"] for hit in await found(conn, words, **how)]
