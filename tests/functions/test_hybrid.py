"""Hybrid search: the nearest rows and those that have the words, fused by their ranks."""

from __future__ import annotations

import pytest

from tests.functions.searching import KINDS, Row, found, ids, point, tenants
from tests.servers import Connection

each_kind = pytest.mark.parametrize("kind", KINDS)

ROWS = (
    Row(1, "a", 5, "nothing of it"),
    Row(2, "a", 10, "invoice INV-2041 of May"),
    Row(3, "a", 80, "about invoice inv-2041, and INV-2041 again"),
    Row(4, "a", 20, "more of nothing"),
)


@each_kind
async def test_scores_are_those_of_reciprocal_rank_fusion(conn: Connection, kind: str) -> None:
    await tenants(conn, kind, *ROWS)
    hits = await found(conn, "INV-2041", hybrid=True)

    ranks = {hit.key["id"]: (hit.vector_rank, hit.text_rank) for hit in hits}
    assert ranks == {1: (1, None), 2: (2, 2), 3: (4, 1), 4: (3, None)}
    for hit in hits:
        assert hit.score == pytest.approx(sum(1 / (60 + rank) for rank in ranks[hit.key["id"]] if rank))
    assert [hit.key["id"] for hit in hits] == [2, 3, 1, 4]


@each_kind
async def test_words_alone_are_found_beyond_the_nearest(conn: Connection, kind: str) -> None:
    await tenants(conn, kind, *(Row(n, "a", n / 100) for n in range(1, 200)), Row(500, "a", 90, "quite a zebra"))
    assert 500 not in await ids(conn, "zebra", limit=100)
    nearest, zebra, *_ = await found(conn, "zebra", limit=3, hybrid=True)
    assert (nearest.key["id"], nearest.vector_rank, nearest.text_rank) == (1, 1, None)
    assert (zebra.key["id"], zebra.vector_rank, zebra.text_rank) == (500, None, 1)
    assert zebra.distance == pytest.approx(1, abs=1e-5)
    assert nearest.score == zebra.score == pytest.approx(1 / 61)


async def test_it_is_not_the_default(conn: Connection) -> None:
    await tenants(conn, "table", *ROWS)
    hits = await found(conn, "INV-2041")
    assert [hit.key["id"] for hit in hits] == [1, 2, 4, 3]
    assert [(hit.score, hit.text_rank) for hit in hits] == [(None, None)] * 4


@each_kind
async def test_a_language_stems_its_words(conn: Connection, kind: str) -> None:
    await tenants(conn, kind, Row(1, "a", 0, "cats"), Row(2, "a", 50, "the cat was sleeping"))
    assert {hit.text_rank for hit in await found(conn, "sleep", hybrid=True)} == {None}
    first, second = await found(conn, "sleeps", hybrid=True, language="english")
    assert (first.key["id"], first.text_rank, second.text_rank) == (2, 1, None)


@each_kind
@pytest.mark.parametrize("words", ["", "the", "'", "\\", '"', "!!! & | <->", "a or b", "-zebra"])
async def test_odd_words_find_the_nearest_at_least(conn: Connection, kind: str, words: str) -> None:
    await tenants(conn, kind, Row(1, "a", 0), Row(2, "a", 10))
    assert set(await ids(conn, words, hybrid=True, language="english")) == {1, 2}


async def test_a_long_text_does_not_fail_the_others(conn: Connection) -> None:
    """A tsvector is at most 1 MB."""
    await tenants(conn, "table", Row(1, "a", 0, " ".join(f"word{n}" for n in range(200_000))), Row(2, "a", 5, "zebra"))
    assert await ids(conn, "zebra", hybrid=True) == [2, 1]


async def test_chunks_have_ranks_of_their_own(conn: Connection) -> None:
    await tenants(conn, "chunks", Row(1, "a", 0, "first"), Row(2, "a", 30, "second"))
    await point(conn, "chunks", 1, 80, ordinal=1, chunk="here is the zebra")
    (hit, other) = await found(conn, "zebra", hybrid=True)
    assert (hit.key["id"], hit.ordinal, hit.chunk, hit.text_rank) == (1, 1, "here is the zebra", 1)
    assert other.key == {"id": 2}
    every = await found(conn, "zebra", hybrid=True, every_chunk=True)
    assert [(each.key["id"], each.ordinal) for each in every] == [(1, 1), (1, 0), (2, 0)]


@pytest.mark.parametrize("columns", [["body", "meta.title"], ["body", "gone", "meta.title"]])
async def test_the_words_may_be_in_a_path_of_a_json_column(conn: Connection, columns: list[str]) -> None:
    await tenants(conn, "table", Row(1, "a", 0), Row(2, "a", 80))
    await conn.execute("update cdc.embeddings set columns = %s", (columns,))
    await conn.execute("""update docs set meta = '{"title": "A Zebra"}' where id = 2""")
    (first, _) = await found(conn, "zebra", hybrid=True, columns=["meta.title", "id"])
    assert (first.key["id"], first.text_rank, first.columns) == (2, 1, {"meta.title": "A Zebra", "id": 2})
