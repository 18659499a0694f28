"""What an HNSW index costs: the vectors' writer, and the writers of a table that has its vectors in a column.

Plain SQL on 1,536 dimensions; nothing of the service takes part. These figures are why it makes an index after the
backfill, and why the documentation advises a table for the vectors.
"""

from __future__ import annotations

import time
from random import Random

import numpy as np

from tests.benchmarks import cpu
from tests.benchmarks.figures import Figure
from tests.benchmarks.ground import Database, Ground

_DIMENSIONS = 1536
_DIRECTIONS = 24
"""That the vectors differ in: those of texts are not spread over all dimensions either, which is harder to index."""

_VECTORS = f"create table vectors (id bigint primary key, embedding vector({_DIMENSIONS}))"
_FILL = "insert into {table} select id, embedding from vectors"
_INDEX = "create index on {table} using hnsw (embedding vector_cosine_ops)"

_NOTES = "create table {table} as select id, 0 as views, repeat('body ', 200) as body{embedding} from vectors"
_KEYED = "alter table {table} add primary key (id)"
_SINGLE = "update {table} set views = views + 1 where id = {number}"
_MANY = "update {table} set views = views + 1 where id % 4 = 0"
_PLACES = {
    "vectors in a table of their own": "",
    "in a column": ", embedding",
    "in a column with an HNSW index": ", embedding",
}
"""What a table of notes holds of the vectors."""
_TABLES = ("apart", "together", "indexed")


async def measure(ground: Ground) -> list[Figure]:
    """2,000 vectors, with the index in place and before it is made; then updates of another column."""
    count = ground.size(2_000, 100)
    async with ground.database() as db:
        await _prepare(db, count)
        return [*await _filled(db, count), *await _updated(db, count)]


async def _prepare(db: Database, count: int) -> None:
    await db.run("create extension if not exists vector", _VECTORS)
    random = np.random.default_rng(0)
    vectors = random.standard_normal((count, _DIRECTIONS)) @ random.standard_normal((_DIRECTIONS, _DIMENSIONS))
    async with db.conn.cursor() as cursor, cursor.copy("copy vectors from stdin") as copy:
        for number, vector in enumerate(vectors.round(4).tolist()):
            await copy.write_row((number, str(vector)))


async def _filled(db: Database, count: int) -> list[Figure]:
    """Both ways."""
    for table in ("before", "after"):
        await db.run(f"create table {table} (like vectors including indexes)")
    await db.run(_INDEX.format(table="before"))
    in_place, maintained = await _took(db, _FILL.format(table="before"))
    filled, stored = await _took(db, _FILL.format(table="after"))
    made, _ = await _took(db, _INDEX.format(table="after"))
    return [
        Figure("stored without an index", count / filled, "rows/s"),
        Figure("stored with the HNSW index in place", count / in_place, "rows/s"),
        Figure("stored, and the index made then", count / (filled + made), "rows/s"),
        Figure("in place to made then, time", in_place / (filled + made), "times"),
        Figure("CPU without an index", stored * 1000 / count, "ms/row"),
        Figure("CPU with it in place", maintained * 1000 / count, "ms/row"),
    ]


async def _updated(db: Database, count: int) -> list[Figure]:
    """Updates of a column that has nothing to do with the vectors: a quarter of the rows, one by one and at once."""
    chosen = Random(0).sample(range(count), count // 4)
    figures = []
    for table, (place, embedding) in zip(_TABLES, _PLACES.items(), strict=True):
        await db.run(_NOTES.format(table=table, embedding=embedding), _KEYED.format(table=table))
        if "index" in place:
            await db.run(_INDEX.format(table=table))
        for how, statements in {
            "one by one": [_SINGLE.format(table=table, number=number) for number in chosen],
            "at once": [_MANY.format(table=table)],
        }.items():
            await db.run(f"vacuum full {table}", f"analyze {table}", "checkpoint")
            _, used = await _took(db, *statements)
            figures.append(
                Figure(f"CPU of an update of another column, {how}, {place}", used * 1000 / len(chosen), "ms/row")
            )
    return figures


async def _took(db: Database, *statements: str) -> tuple[float, float]:
    """Seconds, and CPU seconds of the backend that did it."""
    began = time.perf_counter()
    with cpu.spent(backend=db.conn.info.backend_pid) as used:
        await db.run(*statements)
    return time.perf_counter() - began, used["backend"]
