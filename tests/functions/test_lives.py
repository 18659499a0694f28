"""When a target is filled, which index serves it, and which declaration searches read."""

from __future__ import annotations

import pytest

from cdc.embedding import indexing
from cdc.store import indexes, lives
from cdc.store.indexes import Index
from tests.functions.embedding import Followed
from tests.servers import Connection


async def lacking(docs: Followed) -> set[str]:
    return {key for (key,) in await indexes.lacking(docs.conn, docs.target.layout, 100)}


async def test_rows_with_a_text_lack_a_vector_until_they_have_it(docs: Followed) -> None:
    await docs.execute("insert into docs values (1, 'one', null), (2, null, ''), (3, null, 'three')")
    assert await lacking(docs) == {"1", "3"}
    await docs.reconcile(1, 2, 3)
    assert await lacking(docs) == set()
    await docs.execute("insert into docs values (4, 'four', null)")
    assert await lacking(docs) == {"4"}


async def test_a_text_put_aside_lacks_nothing_until_it_is_to_be_tried_again(docs: Followed) -> None:
    docs.embedder.refuses = {"bad"}
    await docs.execute("insert into docs values (1, 'bad', null), (2, 'good', null)")
    await docs.reconcile(1, 2)
    assert await lacking(docs) == set()
    await docs.execute("select cdc.retry_embeddings('docs', key => '1')")
    assert await lacking(docs) == {"1"}


async def test_rows_and_vectors_are_counted(docs: Followed) -> None:
    assert await indexes.held(docs.conn, docs.target.layout) == (0, 0)
    await docs.execute("insert into docs select n, 'text ' || n, null from generate_series(1, 5) n")
    await docs.reconcile(*range(1, 6))
    assert await indexes.held(docs.conn, docs.target.layout) == (5, 5)
    assert await indexes.count(docs.conn, docs.target.layout, 3) == 3


@pytest.mark.parametrize(
    ("index", "usable"),
    [
        (Index("a", True, "hnsw", "vector_cosine_ops"), True),
        (Index("a", True, "ivfflat", "halfvec_cosine_ops"), True),
        (Index("a", False, "hnsw", "vector_cosine_ops"), False),
        (Index("a", True, "hnsw", "vector_l2_ops"), False),
        (Index("a", True, "btree", "vector_ops"), False),
    ],
)
async def test_an_index_must_be_whole_and_of_the_distance_that_is_asked_for(
    table: Followed, index: Index, usable: bool
) -> None:
    assert indexing.is_usable(index, table.target.layout) is usable


async def test_an_index_is_made_with_the_memory_that_it_needs(table: Followed) -> None:
    await table.execute("insert into docs select n, 'text ' || n, null from generate_series(1, 20) n")
    await table.reconcile(*range(1, 21))
    assert not await indexing.has_usable(table.conn, table.target.layout)
    await indexing.build(table.conn, table.target.layout, rows=1_000_000, memory="70MB")
    assert await indexing.has_usable(table.conn, table.target.layout)
    memory = await (await table.conn.execute("show maintenance_work_mem")).fetchone()
    assert memory == ("70MB",)
    await indexes.drop(table.conn, table.target.layout)
    assert not await indexing.has_usable(table.conn, table.target.layout)


async def declared(conn: Connection, target: str, replaces: str | None = None) -> int:
    query = "select cdc.embed('docs', array['title'], target => %s, replaces => %s)"
    row = await (await conn.execute(query, [target, replaces])).fetchone()
    assert row is not None
    return int(row[0])


async def test_one_declaration_takes_the_place_of_all_before_it_at_once(conn: Connection) -> None:
    await conn.execute("create table docs (id bigint primary key, title text)")
    first = await declared(conn, "docs_a")
    second = await declared(conn, "docs_b", "docs_a")
    third = await declared(conn, "docs_c", "docs_b")
    other = await declared(conn, "docs_other")

    async def states() -> list[str]:
        now = await lives.lives(conn)
        return [now[each].state for each in (first, second, third, other)]

    assert await states() == ["live", "filling", "filling", "live"]
    assert await lives.switch(conn, second) == 1
    assert await states() == ["retired", "live", "filling", "live"]
    assert await lives.switch(conn, second) is None
    assert await lives.switch(conn, third) == 1
    assert await states() == ["retired", "retired", "live", "live"]


async def test_a_successor_outlives_what_it_was_to_replace(conn: Connection) -> None:
    await conn.execute("create table docs (id bigint primary key, title text)")
    await declared(conn, "docs_a")
    second = await declared(conn, "docs_b", "docs_a")
    await conn.execute("select cdc.unembed('docs', 'docs_a')")
    assert await lives.switch(conn, second) == 0
    assert (await lives.lives(conn))[second].state == "live"
