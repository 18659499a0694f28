"""Searching targets that keep chunks: a row is found once, by its best chunk."""

from __future__ import annotations

import pytest

from tests.functions.searching import Row, found, ids, point, tenants
from tests.servers import Connection


async def test_the_best_chunk_of_each_row_is_found(conn: Connection) -> None:
    await tenants(conn, "chunks", Row(1, "a", 50, "1 first"), Row(2, "a", 30, "2 first"))
    await point(conn, "chunks", 1, 10, ordinal=1, chunk="1 second")
    await point(conn, "chunks", 1, 20, ordinal=2, chunk="1 third")
    hits = await found(conn)
    assert [(hit.key["id"], hit.ordinal, hit.chunk) for hit in hits] == [(1, 1, "1 second"), (2, 0, "2 first")]
    assert hits[0].columns == {"body": "1 first"}


async def test_all_chunks_are_shown_when_asked_for(conn: Connection) -> None:
    await tenants(conn, "chunks", Row(1, "a", 50), Row(2, "a", 30))
    await point(conn, "chunks", 1, 10, ordinal=1)
    hits = await found(conn, every_chunk=True)
    assert [(hit.key["id"], hit.ordinal) for hit in hits] == [(1, 1), (2, 0), (1, 0)]
    assert len(await found(conn, every_chunk=True, limit=2)) == 2


@pytest.mark.parametrize("indexed", [True, False])
async def test_a_row_of_many_near_chunks_hides_no_other(conn: Connection, indexed: bool) -> None:
    await tenants(conn, "chunks", Row(1, "a", 0), Row(2, "a", 60), Row(3, "a", 70))
    for n in range(1, 700):
        await point(conn, "chunks", 1, n / 100, ordinal=n)
    if indexed:
        await conn.execute("create index on docs_chunks using hnsw (embedding vector_cosine_ops)")
        await conn.execute("set enable_seqscan = off")
    assert await ids(conn, limit=3) == [1, 2, 3]


async def test_rows_without_chunks_of_other_kinds_have_none(conn: Connection) -> None:
    await tenants(conn, "table", Row(1, "a", 0))
    (hit,) = await found(conn, every_chunk=True)
    assert (hit.ordinal, hit.chunk) == (None, None)
