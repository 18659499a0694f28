"""Rows are found by the meaning of words."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from cdc.ai.errors import InputRefused
from cdc.authoring.context import Database
from cdc.embedding.declared import Declared
from cdc.embedding.search import Hit, Query, search
from cdc.errors import ConfigurationError
from tests.functions.embedding import KINDS, Embedder, Followed, Vector, follow, prepared
from tests.servers import Connection

DIRECTIONS = {"cat": [1, 0, 0, 0], "kitten": [0.9, 0.1, 0, 0], "car": [0, 1, 0, 0], "truck": [0, 0.9, 0.3, 0]}


class Compass(Embedder):
    """Knows which way four words point."""

    async def __call__(self, model: str, texts: Sequence[str], /) -> Sequence[Vector | Exception]:
        await super().__call__(model, texts)
        return [np.array(DIRECTIONS[text], dtype=np.float32) for text in texts]


@pytest.fixture(params=KINDS)
async def docs(request: pytest.FixtureRequest, conn: Connection, db: Database) -> Followed:
    return await follow(conn, db, request.param)


@pytest.fixture
async def words(docs: Followed) -> Followed:
    """Three words, embedded."""
    docs.embedder = Compass()
    await docs.execute("insert into docs values (1, 'cat', null), (2, null, 'car'), (3, 'truck', ''), (4, null, null)")
    await docs.reconcile(1, 2, 3, 4)
    return docs


async def test_the_nearest_come_first(words: Followed) -> None:
    hits = await search(words.conn, Compass(), Query(("public", "docs"), "kitten", 2))
    assert [hit.key for hit in hits] == [{"id": 1}, {"id": 2}]
    distance = hits[0].distance
    assert distance is not None
    assert distance == pytest.approx(1 - 0.9 / np.hypot(0.9, 0.1), abs=1e-6)
    assert hits[0] == Hit({"id": 1}, {"title": "cat", "body": None}, distance, 1 - distance, vector_rank=1)
    assert hits[1].columns == {"title": None, "body": "car"}


async def test_all_that_have_a_vector(words: Followed) -> None:
    hits = await search(words.conn, Compass(), Query(("public", "docs"), "car", 10))
    assert [hit.key["id"] for hit in hits] == [2, 3, 1]
    assert hits[0].distance == pytest.approx(0, abs=1e-6)


async def test_a_vector_whose_row_is_gone_is_not_found(table: Followed) -> None:
    table.embedder = Compass()
    await table.execute("insert into docs values (1, 'cat', null), (2, 'car', null)")
    await table.reconcile(1, 2)
    await table.execute("delete from docs where id = 1")
    assert [hit.key["id"] for hit in await search(table.conn, Compass(), Query(("public", "docs"), "cat", 2))] == [2]


@pytest.mark.parametrize("limit", [5, 100])
async def test_an_index_serves_it(docs: Followed, limit: int) -> None:
    await docs.execute("insert into docs select n, 'text ' || n, null from generate_series(1, 300) n")
    await docs.reconcile(*range(1, 301))
    to = docs.declaration
    await docs.execute(f"create index nearest on {to.target_table} using hnsw ({to.target_column} vector_cosine_ops)")
    await docs.execute("set enable_seqscan = off; set enable_sort = off; set plan_cache_mode = force_generic_plan")
    hits = await search(docs.conn, docs.embedder, Query(("public", "docs"), "text 7", limit))
    assert len(hits) == limit
    assert hits[0].columns["title"] == "text 7"
    await docs.execute("select pg_stat_force_next_flush()")
    scans = await docs.conn.execute("select idx_scan from pg_stat_user_indexes where indexrelname = 'nearest'")
    assert await scans.fetchone() == (1,)


async def test_halfvec_columns_are_searched_too(conn: Connection, column: Followed) -> None:
    await conn.execute("alter table docs alter embedding type halfvec(4)")
    await prepared(conn)
    column.embedder = Compass()
    await column.execute("insert into docs values (1, 'cat', null), (2, 'car', null)")
    await column.reconcile(1, 2)
    await column.execute("create index on docs using hnsw (embedding halfvec_cosine_ops)")
    assert [hit.key["id"] for hit in await search(conn, Compass(), Query(("public", "docs"), "cat", 2))] == [1, 2]


async def test_one_of_several_targets(table: Followed) -> None:
    await table.execute("select cdc.embed('docs', array['body'], target => 'vec')")
    await prepared(table.conn)
    with pytest.raises(ConfigurationError, match="has several targets") as raised:
        await search(table.conn, Compass(), Query(("public", "docs"), "cat", 2))
    assert raised.value.hint == "Name one of: public.docs_embeddings, public.docs.vec."
    for target in ("vec", "docs.vec", "public.docs.vec", "docs_embeddings"):
        assert await search(table.conn, Compass(), Query(("public", "docs"), "cat", 2, target)) == []


@pytest.mark.parametrize(
    ("schema", "name", "target", "said"),
    [
        (
            "public",
            "other",
            None,
            "public.other has no embedding. Declare one: SELECT cdc.embed('public.other', ARRAY[",
        ),
        ("Public", "docs", None, "Public.docs has no embedding."),
        ("public", "docs", "vec", "public.docs has no target vec. Name one of: public.docs_embeddings."),
        ("public", "docs", "embeddings", "public.docs has no target embeddings."),
    ],
)
async def test_what_cannot_be_searched(table: Followed, schema: str, name: str, target: str | None, said: str) -> None:
    with pytest.raises(ConfigurationError) as raised:
        await search(table.conn, Compass(), Query((schema, name), "cat", 2, target))
    assert str(raised.value).startswith(said)


async def test_a_target_that_is_not_ready(conn: Connection) -> None:
    await conn.execute("create table docs (id int primary key, title text)")
    await conn.execute("select cdc.embed('docs', array['title'])")
    with pytest.raises(ConfigurationError, match=r"docs_embeddings cannot be searched yet\. It is still being made"):
        await search(conn, Compass(), Query(("public", "docs"), "cat", 2))


async def test_words_that_the_provider_refuses(table: Followed) -> None:
    class Picky(Embedder):
        async def __call__(self, *args: Any) -> Any:
            return [InputRefused("too rude")]

    with pytest.raises(InputRefused, match="too rude"):
        await search(table.conn, Picky(), Query(("public", "docs"), "damn", 2))


@pytest.mark.parametrize(
    ("what", "columns"),
    [
        ("array['title', 'meta.kind']", {"title": "cat", "meta.kind": "pet"}),
        ("template => 'A {meta.kind}: {title}'", {"meta.kind": "pet", "title": "cat"}),
        ("expression => 'upper(title) -- loudly'", {"title": "cat"}),
    ],
)
async def test_what_is_embedded_is_shown_and_its_words_are_found(
    conn: Connection, db: Database, what: str, columns: dict[str, str]
) -> None:
    await conn.execute("create table docs (id bigint primary key, title text, meta jsonb)")
    await conn.execute("""insert into docs values (1, 'cat', '{"kind": "pet"}'), (2, 'car', null)""")
    await conn.execute(f"select cdc.embed('docs', {what})".encode())
    await prepared(conn)
    embedder = Embedder()
    (target,) = await Declared(db, embedder).targets(("public", "docs"))
    await target.reconcile(db, embedder, [("1",), ("2",)])
    hits = await Declared(db, embedder).search("docs", "cat", hybrid=True, filter={"id": [1, 2, 3]})
    found = {hit.key["id"]: hit for hit in hits}
    assert found.keys() == {1, 2}
    assert found[1].columns == columns
    assert (found[1].text_rank, found[2].text_rank) == (1, None)
