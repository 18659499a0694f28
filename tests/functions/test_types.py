"""Types, lengths and metrics of vectors: what is made, what is refused, what is found."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from psycopg import sql

from cdc.authoring.context import Counts, Database
from cdc.embedding.declared import Declared
from cdc.embedding.prepare import prepare
from cdc.store import embeddings
from cdc.store.embeddings import Declaration
from cdc.store.parts import parts
from cdc.store.search import search
from tests.functions.embedding import Embedder, Model, Vector, prepared
from tests.servers import Connection

SIZES = {"test/hashed": 4, "test/long": 2001, "test/huge": 4001, "test/hashed@3": 3, "test/fixed": 4, "test/fixed@3": 4}


@pytest.fixture
async def conn(conn: Connection) -> Connection:
    await conn.execute("create table docs (id bigint primary key, title text); create extension vector")
    return conn


async def dimensions(model: str) -> int:
    return SIZES[model]


async def declared(conn: Connection, arguments: str) -> Declaration:
    """What `cdc.embed('docs', array['title'], <arguments>)` comes to."""
    await conn.execute(f"select cdc.embed('docs', array['title'], {arguments})".encode())
    (declaration,) = await prepare(conn, default=Model, dimensions=dimensions)
    return declaration


async def type_of(conn: Connection, table: str, column: str) -> str:
    query = "select format_type(atttypid, atttypmod) from pg_attribute where attrelid = %s::regclass and attname = %s"
    ((name,),) = await (await conn.execute(query, [table, column])).fetchall()
    return str(name)


@pytest.mark.parametrize(
    ("arguments", "model", "type_"),
    [
        ("target => 'vec'", "test/hashed", "vector(4)"),
        ("target => 'vec', vector_type => 'halfvec'", "test/hashed", "halfvec(4)"),
        ("target => 'vec', dimensions => 3", "test/hashed@3", "vector(3)"),
        ("target => 'vec', dimensions => 4", "test/hashed", "vector(4)"),
        ("target => 'vec', model => 'test/hashed@3'", "test/hashed@3", "vector(3)"),
        ("target => 'vec', model => 'test/hashed@3', dimensions => 4", "test/hashed@4", "vector(4)"),
        ("target => 'vec', model => 'test/long'", "test/long", "vector(2001)"),
        ("target => 'vec', model => 'test/long', index => 'hnsw'", "test/long", "halfvec(2001)"),
        ("model => 'test/long'", "test/long", "halfvec(2001)"),
        ("model => 'test/long', index => 'none'", "test/long", "vector(2001)"),
        ("model => 'test/huge', index => 'none', vector_type => 'halfvec'", "test/huge", "halfvec(4001)"),
    ],
)
async def test_the_type_that_is_made(
    conn: Connection, monkeypatch: pytest.MonkeyPatch, arguments: str, model: str, type_: str
) -> None:
    monkeypatch.setitem(SIZES, "test/hashed@4", 4)
    made = await declared(conn, arguments)
    assert made.problem is None
    assert made.model == model
    assert f"{made.vector_type}({made.dimensions})" == type_
    assert await type_of(conn, f"{made.target_schema}.{made.target_table}", made.target_column) == type_
    assert await prepare(conn, default=Model, dimensions=dimensions) == [made]


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (
            "model => 'test/long', vector_type => 'vector'",
            "HNSW takes vector of up to 2,000 dimensions; test/long makes 2,001. Call cdc.unembed() and declare it "
            "with vector_type => 'halfvec', fewer dimensions or index => 'none'.",
        ),
        (
            "model => 'test/huge'",
            "HNSW takes halfvec of up to 4,000 dimensions; test/huge makes 4,001. Call cdc.unembed() and declare it "
            "with fewer dimensions or index => 'none'.",
        ),
        (
            "model => 'test/fixed', dimensions => 3",
            "test/fixed@3 makes vectors of 4 dimensions. Call cdc.unembed() and declare it without dimensions.",
        ),
        (
            "target => 'own', vector_type => 'halfvec'",
            "Column public.docs.own exists already and is of type vector(4), not halfvec. Call cdc.unembed()",
        ),
        (
            "target => 'any', index => 'hnsw'",
            "Column public.docs.any takes vectors of any length, which no index does.",
        ),
    ],
)
async def test_what_cannot_be_made(conn: Connection, arguments: str, problem: str) -> None:
    await conn.execute('alter table docs add own vector(4), add "any" vector')
    assert ((await declared(conn, arguments)).problem or "").startswith(problem)


@pytest.mark.parametrize("type_", ["vector", "halfvec"])
async def test_a_column_that_is_there_keeps_its_type(conn: Connection, type_: str) -> None:
    await conn.execute(f"alter table docs add own {type_}(4)".encode())
    made = await declared(conn, "target => 'own'")
    assert (made.vector_type, made.problem) == (type_, None)


class Given(Embedder):
    """Answers with these vectors, by text."""

    def __init__(self, given: dict[str, list[float]]) -> None:
        super().__init__()
        self.given = given

    async def __call__(self, model: str, texts: Any, /) -> list[Vector | Exception]:
        return [np.array(self.given[text], np.float32) for text in texts]


FOUR = {"near": [1.0, 0.0, 0.0, 0.0], "far": [9.0, 9.0, 0.0, 0.0], "off": [0.0, 0.0, 2.0, 1.0]}


@pytest.mark.parametrize("type_", ["vector", "halfvec"])
@pytest.mark.parametrize("target", ["docs_embeddings", "vec"])
@pytest.mark.parametrize(
    ("metric", "found"),
    [
        ("cosine", {1: 0.0, 2: 1 - 2**-0.5, 3: 1.0}),
        ("inner_product", {2: -9.0, 1: -1.0, 3: 0.0}),
        ("l2", {1: 0.0, 3: 6**0.5, 2: (64 + 81) ** 0.5}),
    ],
)
async def test_each_metric_has_its_order(
    conn: Connection, db: Database, type_: str, target: str, metric: str, found: dict[int, float]
) -> None:
    arguments = f"vector_type => '{type_}', target => '{target}', metric => '{metric}'"
    await conn.execute(f"select cdc.embed('docs', array['title'], {arguments})".encode())
    await conn.execute("insert into docs values (1, 'near'), (2, 'far'), (3, 'off')")
    await prepared(conn)
    (of,) = await Declared(db, Embedder()).targets(("public", "docs"))
    assert await of.reconcile(db, Given(FOUR), [("1",), ("2",), ("3",)]) == Counts(embedded=3)
    hits = await search(conn, of.layout.declaration, np.array(FOUR["near"], np.float32), limit=3)
    assert {int(hit.key["id"]): pytest.approx(hit.distance, abs=1e-6) for hit in hits} == found
    assert [int(hit.key["id"]) for hit in hits] == list(found)


async def test_an_index_of_the_metric_and_type_serves_the_search(conn: Connection) -> None:
    operators = {"cosine": sql.SQL("<=>"), "inner_product": sql.SQL("<#>"), "l2": sql.SQL("<->")}
    for type_ in ("vector", "halfvec"):
        for metric in operators:
            arguments = f"target => '{type_}_{metric}', vector_type => '{type_}', metric => '{metric}', index => 'hnsw'"
            await conn.execute(f"select cdc.embed('docs', array['title'], {arguments})".encode())
    await prepared(conn)
    await conn.execute("set enable_seqscan = off")
    for layout in await embeddings.layouts(conn):
        made = parts(layout)
        index = sql.SQL("create index on {source} using {access} ({column} {opclass})").format(**made)
        await conn.execute(index)
        search = sql.SQL("explain select from {source} s order by s.{column} {distance} '[1,2,3,4]' limit 1")
        distance = operators[layout.declaration.metric]
        plan = await (await conn.execute(search.format(**made, distance=distance))).fetchall()
        assert any("Index Scan" in line for (line,) in plan), layout.declaration.target


async def test_a_vector_too_large_for_half_precision_is_put_aside(conn: Connection, db: Database) -> None:
    await conn.execute("select cdc.embed('docs', array['title'], vector_type => 'halfvec')")
    await conn.execute("insert into docs values (1, 'near'), (2, 'huge')")
    await prepared(conn)
    (of,) = await Declared(db, Embedder()).targets(("public", "docs"))
    embedder = Given({**FOUR, "huge": [1e6, 0.0, 0.0, 0.0]})
    assert await of.reconcile(db, embedder, [("1",), ("2",)]) == Counts(embedded=1, refused=1)


@pytest.mark.parametrize(
    ("after", "problem"),
    [
        ("drop function shout", "Function public.shout(text) does not exist."),
        ("alter table docs drop title", "Table docs has no column title any more."),
        ("alter table docs alter title type integer using 0", "Function public.shout(integer) does not exist."),
    ],
)
async def test_an_expression_that_stops_working_is_a_problem(conn: Connection, after: str, problem: str) -> None:
    await conn.execute("create function shout(text) returns text return upper($1)")
    await conn.execute("select cdc.embed('docs', expression => 'public.shout(title)')")
    await prepared(conn)
    await conn.execute(after.encode())
    (declaration,) = await prepare(conn, default=Model, dimensions=dimensions)
    assert (declaration.problem or "").startswith(problem)
