"""The chunks of a row are those of its present text, and only those that are new are embedded."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cdc.authoring.context import Counts, Database
from cdc.embedding import chunks, reconcile, splitting
from cdc.embedding.declared import Declared
from cdc.embedding.prepare import prepare
from cdc.embedding.reconcile import NotYet
from cdc.errors import RetryAfter
from cdc.store import chunk_tables, rights
from cdc.store.chunk_tables import Plan
from cdc.store.embeddings import Layout
from cdc.store.vectors import put_aside_list
from tests.functions.embedding import (
    CHUNKED,
    DIMENSIONS,
    MODEL,
    Embedder,
    Followed,
    Model,
    change,
    dimensions,
    follow,
    vector_of,
)
from tests.servers import Connect, Connection

DOCS = "create table docs (id bigint primary key, title text, body text)"

NUMBERS = ["one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve"]
PARAGRAPHS = [f"Paragraph {number} says that {number} is followed by yet another one of them." for number in NUMBERS]
"""Of 16 tokens or so: each is a chunk of its own."""


def text_of(*paragraphs: int) -> str:
    return "\n\n".join(PARAGRAPHS[n] for n in paragraphs)


class Chunked(Followed):
    """Rows whose texts are split."""

    async def put(self, key: int, text: str | None) -> None:
        await self.execute(
            "insert into docs values (%s, null, %s) on conflict (id) do update set body = excluded.body", key, text
        )

    async def chunks(self, key: int = 1) -> list[str]:
        rows = await self.conn.execute("select chunk from docs_chunks where id = %s order by ordinal", [key])
        return [chunk for (chunk,) in await rows.fetchall()]

    async def check(self) -> None:
        """The table equals what splitting gives: in order, without a gap, each with its vector or put aside."""
        texts = await self.texts()
        split = await splitting.split(self.declaration, list(texts.values()))
        expected = {
            (key, ordinal): chunk
            for key, chunks in zip(texts, split, strict=True)
            for ordinal, chunk in enumerate(chunks)
        }
        rows = await self.conn.execute("select id, ordinal, chunk, embedding::real[] from docs_chunks")
        found = {(key, ordinal): (chunk, vector) for key, ordinal, chunk, vector in await rows.fetchall()}
        assert {place: chunk for place, (chunk, _) in found.items()} == expected
        for chunk, vector in found.values():
            if chunk in self.embedder.refuses:
                assert vector is None
            else:
                np.testing.assert_array_equal(np.array(vector, dtype=np.float32), vector_of(chunk))
        assert await self.put_aside() == {
            place: "too long" for place, chunk in expected.items() if chunk in self.embedder.refuses
        }
        kept = await self.conn.execute("select count(*) from cdc.hashes")
        assert await kept.fetchall() == [(len({key for key, _ in expected}),)]

    async def put_aside(self) -> dict[tuple[int, int], str]:
        rows = await self.conn.execute("select key::json ->> 0, ordinal, reason from cdc.embedding_errors")
        return {(int(key), ordinal): reason for key, ordinal, reason in await rows.fetchall()}


async def chunked(conn: Connection, db: Database, kind: str) -> Chunked:
    followed = await follow(conn, db, kind)
    return Chunked(followed.conn, followed.db, followed.target, followed.embedder)


@pytest.fixture(params=CHUNKED)
async def docs(request: pytest.FixtureRequest, conn: Connection, db: Database) -> Chunked:
    return await chunked(conn, db, request.param)


async def test_a_long_text_has_several_chunks(docs: Chunked) -> None:
    await docs.put(1, text_of(0, 1, 2))
    assert await docs.reconcile(1) == Counts(embedded=1)
    assert await docs.chunks() == PARAGRAPHS[:3]
    await docs.check()


async def test_a_text_that_did_not_change_costs_nothing(docs: Chunked, monkeypatch: pytest.MonkeyPatch) -> None:
    await docs.put(1, text_of(0, 1, 2))
    await docs.reconcile(1)
    before, docs.embedder.asked = await docs.versions(), []
    monkeypatch.setattr(splitting, "split", None)
    await docs.execute("update docs set title = ''")
    assert await docs.reconcile(1) == Counts(unchanged=1)
    assert docs.embedder.asked == []
    assert len(set(await docs.versions()) - set(before)) == 1, "the row alone"


@pytest.mark.parametrize(
    ("edited", "asked", "written"),
    [
        ([0, 1, 9, 3, 4], [9], 1),
        ([9, 0, 1, 2, 3, 4], [9], 6),
        ([0, 1, 2, 3, 4, 9], [9], 1),
        ([1, 2, 3, 4], [], 4),
        ([0, 1, 2, 3], [], 0),
        ([4, 3, 2, 1, 0], [], 4),
        ([0, 0, 1, 2, 3, 4], [], 5),
        ([9, 10, 11], [9, 10, 11], 3),
    ],
)
async def test_an_edit_embeds_the_chunks_that_are_new(
    docs: Chunked, edited: list[int], asked: list[int], written: int
) -> None:
    await docs.put(1, text_of(0, 1, 2, 3, 4))
    await docs.put(2, text_of(9))
    await docs.reconcile(1)
    before, docs.embedder.asked = await docs.versions(), []
    await docs.put(1, text_of(*edited))
    assert await docs.reconcile(1) == Counts(embedded=1)
    assert docs.embedder.asked == [PARAGRAPHS[n] for n in asked]
    assert len(set(await docs.versions()) - set(before)) == written + 1, "these chunks and the row"
    await docs.reconcile(2)
    await docs.check()


async def test_the_edit_of_one_sentence_leaves_the_other_chunks(docs: Chunked) -> None:
    await docs.put(1, text_of(*range(12)))
    await docs.reconcile(1)
    docs.embedder.asked.clear()
    await docs.put(1, text_of(*range(12)).replace("five is followed", "five is preceded"))
    await docs.reconcile(1)
    assert docs.embedder.asked == ["Paragraph five says that five is preceded by yet another one of them."]
    await docs.check()


async def test_chunks_overlap(docs: Chunked) -> None:
    await docs.put(1, " ".join(NUMBERS * 6))
    await docs.reconcile(1)
    first, second, *_ = await docs.chunks()
    assert first.split()[-1] in second.split()[:4]
    await docs.check()


@pytest.mark.parametrize("gone", ["delete from docs", "update docs set body = null", "update docs set body = e' \\n '"])
async def test_what_has_no_text_any_more_has_no_chunks(docs: Chunked, gone: str) -> None:
    await docs.put(1, text_of(0, 1, 2))
    await docs.reconcile(1)
    await docs.execute(gone)
    await docs.reconcile(1)
    assert await docs.chunks() == []
    assert await docs.reconcile(1) == Counts(unchanged=1)
    kept = await docs.conn.execute("select count(*) from cdc.hashes")
    assert await kept.fetchall() == [(0,)]


async def test_a_text_of_white_space_is_none(docs: Chunked) -> None:
    await docs.put(1, " \n\t ")
    assert await docs.reconcile(1) == Counts(unchanged=1)
    assert docs.embedder.asked == []


@pytest.mark.parametrize("at_once", [5, 5000])
async def test_many_rows_at_once(docs: Chunked, monkeypatch: pytest.MonkeyPatch, at_once: int) -> None:
    monkeypatch.setattr(chunks, "_AT_ONCE", at_once)
    await docs.execute("insert into docs select n, 'Title ' || n, %s from generate_series(1, 700) n", text_of(0, 1, 2))
    assert await docs.reconcile(*range(1, 701)) == Counts(embedded=700)
    await docs.check()


async def test_vectors_of_half_precision(conn: Connection, db: Database) -> None:
    await conn.execute(DOCS.encode())
    await conn.execute(CHUNKED["chunks"].replace("24", "24, vector_type => 'halfvec'").encode())
    await prepare(conn, default=Model, dimensions=dimensions)
    embedder = Embedder()
    (target,) = await Declared(db, embedder).targets(("public", "docs"))
    docs = Chunked(conn, db, target, embedder)
    embedder.refuses = {PARAGRAPHS[1]}
    await docs.put(1, text_of(0, 1, 2))
    assert await docs.reconcile(1) == Counts(refused=1)
    await docs.put(1, text_of(3, 0, 1))
    assert await docs.reconcile(1) == Counts(refused=1)
    rows = await conn.execute("select embedding::real[] from docs_chunks where embedding is not null order by ordinal")
    for (found,), paragraph in zip(await rows.fetchall(), (3, 0), strict=True):
        np.testing.assert_array_equal(np.array(found, np.float16), vector_of(PARAGRAPHS[paragraph]).astype(np.float16))


async def test_two_forms_of_one_key_are_one_row(conn: Connection, db: Database) -> None:
    docs = await chunked(conn, db, "chunks")
    await docs.execute("drop table docs_chunks; alter table docs alter id type numeric")
    await docs.execute("update cdc.embeddings set prepared_at = null")
    await prepare(conn, default=Model, dimensions=dimensions)
    (target,) = await Declared(db, docs.embedder).targets(("public", "docs"))
    await docs.put(1, text_of(0, 1))
    assert await target.follow(db, docs.embedder, [change("updated", {"id": "1.0"}, {"id": "1"})]) == Counts(embedded=1)
    assert await docs.chunks() == PARAGRAPHS[:2]


async def test_chunks_that_somebody_removes_are_made_again(docs: Chunked) -> None:
    await docs.put(1, text_of(0, 1))
    await docs.reconcile(1)
    await docs.execute("update docs_chunks set embedding = null where ordinal = 1")
    docs.embedder.asked.clear()
    assert await docs.reconcile(1) == Counts(embedded=1)
    assert docs.embedder.asked == [PARAGRAPHS[1]]
    await docs.execute("truncate docs_chunks")
    assert await docs.reconcile(1) == Counts(embedded=1)
    await docs.check()


async def test_split_otherwise_what_is_the_same_keeps_its_vector(docs: Chunked) -> None:
    await docs.put(1, text_of(0, 1, 2))
    await docs.reconcile(1)
    await docs.execute("select cdc.unembed('docs')")
    await docs.execute(CHUNKED["chunks with fk" if docs.declaration.fk else "chunks"].replace("24", "27"))
    await prepare(docs.conn, default=Model, dimensions=dimensions)
    (docs.target,) = await Declared(docs.db, docs.embedder).targets(("public", "docs"))
    docs.embedder.asked.clear()
    assert await docs.reconcile(1) == Counts(embedded=1)
    await docs.check()
    assert not set(docs.embedder.asked) & set(PARAGRAPHS[:3])


# --- the table ----------------------------------------------------------------------------------------------------


async def test_what_is_made(conn: Connection, db: Database) -> None:
    await chunked(conn, db, "chunks with fk")
    made = await conn.execute(
        "select attname, format_type(atttypid, atttypmod), attnotnull from pg_attribute "
        "where attrelid = 'docs_chunks'::regclass and attnum > 0 order by attnum"
    )
    assert await made.fetchall() == [
        ("id", "bigint", True),
        ("ordinal", "integer", True),
        ("chunk", "text", True),
        ("embedding", f"vector({DIMENSIONS})", False),
        ("hash", "bytea", True),
        ("updated_at", "timestamp with time zone", True),
    ]
    constraints = await conn.execute(
        "select pg_get_constraintdef(oid) from pg_constraint "
        "where conrelid = 'docs_chunks'::regclass and contype <> 'n' order by contype"
    )
    assert await constraints.fetchall() == [
        ("FOREIGN KEY (id) REFERENCES docs(id) ON DELETE CASCADE",),
        ("PRIMARY KEY (id, ordinal)",),
    ]


OWN = "id bigint, ordinal int, chunk text, embedding vector(4), hash bytea, updated_at timestamptz"


@pytest.mark.parametrize(
    ("definition", "difference"),
    [
        (f"{OWN}, primary key (id, ordinal)", None),
        (f"{OWN}, primary key (id)", "its primary key is not (id, ordinal)"),
        ("id bigint primary key, embedding vector(4), hash bytea, updated_at timestamptz", "no column ordinal, chunk"),
        (f"{OWN}, primary key (id, ordinal)".replace("vector(4)", "vector(5)"), "vectors of 5 dimensions"),
        (f"{OWN}, primary key (id, ordinal)".replace("chunk text", "chunk bytea"), "column chunk is bytea, not text"),
    ],
)
async def test_a_table_that_is_there(conn: Connection, definition: str, difference: str | None) -> None:
    await conn.execute(f"create extension vector; create table docs_chunks ({definition})".encode())
    assert (difference or "None") in await problem(
        conn, "create table docs (id bigint primary key, title text, body text)"
    )


@pytest.mark.parametrize("column", ["ordinal", "chunk"])
async def test_a_key_column_that_is_called_like_one_of_ours(conn: Connection, column: str) -> None:
    made = f"create table docs ({column} bigint primary key, title text, body text)"
    assert f"Key column {column} of docs has the name" in await problem(conn, made)


async def test_chunks_that_are_longer_than_the_model_looks(conn: Connection) -> None:
    said = await problem(conn, DOCS, model="local/minilm", tokens=400)
    assert said.startswith("local/minilm takes texts of 254 tokens, the chunks of public.docs_chunks were to have 400.")


async def problem(conn: Connection, table: str, model: str = MODEL, tokens: int = 24) -> str:
    """What is wrong with a declaration of chunks of this table."""
    await conn.execute(table.encode())
    await conn.execute(CHUNKED["chunks"].replace("24", str(tokens)).encode())
    (declared,) = await prepare(conn, default=lambda: Model(model), dimensions=dimensions)
    return str(declared.problem)


async def test_what_the_role_of_the_service_needs(conn: Connection, db: Database) -> None:
    await chunked(conn, db, "chunks")
    await conn.execute("create role cdc_chunks_writer")
    try:
        (before,) = await rights.embeddings(conn, "cdc_chunks_writer")
        await conn.execute("grant insert on docs_chunks to cdc_chunks_writer")
        (after,) = await rights.embeddings(conn, "cdc_chunks_writer")
    finally:
        await conn.execute("drop owned by cdc_chunks_writer; drop role cdc_chunks_writer")
    assert (before.has_table, before.may_write, after.may_write) == (True, False, True)


# --- chunks that are refused --------------------------------------------------------------------------------------


async def test_a_refused_chunk_costs_only_itself(docs: Chunked) -> None:
    docs.embedder.refuses = {PARAGRAPHS[1]}
    await docs.put(1, text_of(0, 1, 2))
    await docs.put(2, text_of(3))
    assert await docs.reconcile(1, 2) == Counts(refused=1, embedded=1)
    assert await docs.put_aside() == {(1, 1): "too long"}
    assert [failure.key for failure in await put_aside_list(docs.conn, docs.target.layout, 9)] == [("1",)]
    await docs.check()
    docs.embedder.asked.clear()
    assert await docs.reconcile(1, 2) == Counts(unchanged=2)
    assert docs.embedder.asked == []


async def test_a_refused_chunk_that_moves_is_not_asked_for_again(docs: Chunked) -> None:
    docs.embedder.refuses = {PARAGRAPHS[1]}
    await docs.put(1, text_of(0, 1, 2))
    await docs.reconcile(1)
    docs.embedder.asked.clear()
    await docs.put(1, text_of(5, 0, 1, 2))
    assert await docs.reconcile(1) == Counts(refused=1)
    assert docs.embedder.asked == [PARAGRAPHS[5]]
    await docs.check()
    await docs.put(1, text_of(5, 0, 2))
    assert await docs.reconcile(1) == Counts(embedded=1)
    assert await docs.put_aside() == {}
    await docs.check()


async def test_a_refused_chunk_is_tried_again_when_somebody_says_so(docs: Chunked) -> None:
    docs.embedder.refuses = {PARAGRAPHS[0], PARAGRAPHS[2]}
    await docs.put(1, text_of(0, 1, 2))
    await docs.reconcile(1)
    docs.embedder.asked.clear()
    docs.embedder.refuses = {PARAGRAPHS[2]}
    await docs.execute("delete from cdc.embedding_errors where ordinal = 0")
    assert await docs.reconcile(1) == Counts(refused=1)
    assert docs.embedder.asked == [PARAGRAPHS[0]]
    await docs.check()


async def test_a_row_whose_text_cannot_be_made_costs_no_other(conn: Connection, db: Database) -> None:
    await conn.execute(DOCS.encode())
    told = "expression => 'body || (1 / length(title))', chunk_tokens => 24, chunk_overlap => 4"
    await conn.execute(f"select cdc.embed('docs', {told})".encode())
    await prepare(conn, default=Model, dimensions=dimensions)
    embedder = Embedder()
    (target,) = await Declared(db, embedder).targets(("public", "docs"))
    docs = Chunked(conn, db, target, embedder)
    await docs.execute("insert into docs values (1, 't', %s), (2, '', 'bad')", text_of(0, 1))
    assert await docs.reconcile(1, 2) == Counts(embedded=1, refused=1)
    assert await docs.put_aside() == {(2, 0): "Division by zero."}
    embedder.refuses = {"bad1"}
    await docs.execute("update docs set title = 't' where id = 2")
    assert await docs.reconcile(2) == Counts(refused=1)
    assert await docs.put_aside() == {(2, 0): "too long"}
    await docs.execute("update docs set body = 'good' where id = 2")
    assert await docs.reconcile(1, 2) == Counts(embedded=1, unchanged=1)
    assert (await docs.chunks(2), await docs.put_aside()) == (["good1"], {})


# --- interleaved with others --------------------------------------------------------------------------------------


async def test_of_two_writers_of_different_texts_the_chunks_are_never_mixed(docs: Chunked) -> None:
    async def other() -> None:
        await docs.put(1, text_of(6, 7, 8, 9, 10))
        await docs.reconcile(1)
        await docs.check()

    await docs.put(1, text_of(0, 1, 2))
    docs.embedder.meanwhile = other
    await docs.reconcile(1)
    await docs.check()


async def test_a_vector_that_was_to_be_kept_and_went_meanwhile_is_asked_for(docs: Chunked) -> None:
    async def away_and_back() -> None:
        await docs.put(1, text_of(5))
        await docs.reconcile(1)
        await docs.put(1, text_of(0, 1, 2, 3))

    await docs.put(1, text_of(0, 1, 2))
    await docs.reconcile(1)
    await docs.put(1, text_of(0, 1, 2, 3))
    docs.embedder.meanwhile = away_and_back
    await docs.reconcile(1)
    await docs.check()


async def test_a_row_whose_chunks_another_writes_is_not_waited_for(
    docs: Chunked, migrated_url: str, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reconcile, "_PAUSE", 0.0)
    await docs.put(1, text_of(0, 1))
    await docs.put(2, text_of(2))
    await docs.reconcile(1, 2)
    other = await connect(migrated_url)
    await docs.put(1, text_of(1))
    await docs.put(2, text_of(3))
    async with other.transaction():
        assert await chunk_tables.guard(other, docs.target.layout, [("1",)]) == {("1",)}
        assert await chunk_tables.guard(docs.conn, docs.target.layout, [("1",), ("2",)]) == {("2",)}
        with pytest.raises(NotYet, match="are held by other transactions"):
            await docs.reconcile(1, 2)
        assert await docs.chunks(2) == [PARAGRAPHS[3]]
    await docs.reconcile(1, 2)
    await docs.check()


async def test_a_delete_that_commits_while_chunks_are_written(
    conn: Connection, db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The write sees the row; it is gone when the write commits, and was looked at before that."""
    docs, write = await chunked(conn, db, "chunks"), chunk_tables.write

    async def overtaken(conn: Connection, layout: Layout, plans: Sequence[Plan]) -> int:
        written = await write(conn, layout, plans)
        if any(plan.count for plan in plans):
            await docs.execute("delete from docs")
            assert [found.settled for found in await chunk_tables.read(docs.conn, layout, [("1",)])] == [True]
        return written

    monkeypatch.setattr(chunk_tables, "write", overtaken)
    await docs.put(1, text_of(0, 1))
    await docs.reconcile(1)
    assert await docs.chunks() == []
    await docs.check()


async def test_with_a_foreign_key_a_delete_and_a_row_of_the_same_text_are_not_taken_for_no_change(
    conn: Connection, db: Database
) -> None:
    docs = await chunked(conn, db, "chunks with fk")
    await docs.put(1, text_of(0, 1))
    await docs.reconcile(1)
    await docs.execute("delete from docs")
    await docs.put(1, text_of(0, 1))
    assert await docs.reconcile(1) == Counts(embedded=1)
    await docs.check()


TEXTS = st.one_of(st.none(), st.lists(st.integers(0, 7), max_size=8).map(lambda places: text_of(*places)))
STEPS = st.lists(
    st.tuples(
        st.integers(1, 2),
        TEXTS | st.just("delete"),
        st.sets(st.sampled_from(PARAGRAPHS[:8]), max_size=2),
        st.booleans(),
    ),
    min_size=1,
    max_size=8,
)


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(steps=STEPS)
async def test_after_any_edits_the_table_is_what_splitting_gives(
    docs: Chunked, steps: list[tuple[int, str | None, set[str], bool]]
) -> None:
    """Whatever the provider refused at first, once the refusals are lifted."""
    await docs.execute("delete from docs")
    await docs.reconcile(1, 2)
    for key, text, refuses, looked_at in steps:
        docs.embedder.refuses = refuses
        if text == "delete":
            await docs.execute("delete from docs where id = %s", key)
        else:
            await docs.put(key, text)
        if looked_at:
            await docs.reconcile(1, 2)
    docs.embedder.refuses = set()
    await docs.execute("delete from cdc.embedding_errors")
    await docs.reconcile(1, 2)
    await docs.check()
    before = await docs.versions()
    assert await docs.reconcile(1, 2) == Counts(unchanged=2)
    assert await docs.versions() == before


@pytest.mark.parametrize("seed", range(4))
async def test_any_interleaving_ends_well(docs: Chunked, seed: int) -> None:
    """Several look after the same rows at once, late, while these change."""
    chance = random.Random(seed)
    following: set[asyncio.Task[None]] = set()

    class Dawdler(Embedder):
        async def __call__(self, *args: Any) -> Any:
            await asyncio.sleep(chance.choice([0, 0.001, 0.01]))
            answers = await super().__call__(*args)
            await asyncio.sleep(chance.choice([0, 0.001, 0.01]))
            return answers

    docs.embedder = Dawdler()

    async def look(key: int) -> None:
        while True:
            try:
                await docs.follow(change("updated", {"id": key}))
            except RetryAfter:
                await asyncio.sleep(0)
            else:
                return

    for _ in range(60):
        key = chance.randint(1, 2)
        if chance.random() < 0.2:
            await docs.execute("delete from docs where id = %s", key)
        else:
            await docs.put(key, text_of(*(chance.randrange(8) for _ in range(chance.randrange(7)))))
        following |= {asyncio.create_task(look(key)) for _ in range(chance.choice([1, 1, 2]))}
        if chance.random() < 0.4:
            await asyncio.sleep(0.002)
    await asyncio.gather(*following)
    await docs.check()
