"""`cdc.search()`: what any client of the database can call."""

from __future__ import annotations

from typing import Any

import pytest
from psycopg import errors

from cdc.errors import ConfigurationError
from tests.functions.searching import EAST, KINDS, Row, declared, found, ids, tenants
from tests.servers import Connect, Connection

each_kind = pytest.mark.parametrize("kind", KINDS)


async def rows(conn: Connection, call: str, *values: Any) -> list[tuple[Any, ...]]:
    return await (await conn.execute(call.encode(), values or None)).fetchall()


@each_kind
async def test_it_is_called_with_a_vector_alone(conn: Connection, kind: str) -> None:
    await tenants(conn, kind, Row(1, "a", 0, "one"), Row(2, None, 90, "two"))
    found_rows = await rows(conn, f"select key, row, distance from cdc.search('docs', '{EAST}')")
    assert found_rows[0] == ({"id": 1}, {"id": 1, "tenant": "a", "body": "one", "meta": {"n": 1}, "n": "1"}, 0)
    assert [row[0]["id"] for row in found_rows] == [1, 2]
    assert found_rows[1][2] == pytest.approx(1, abs=1e-5)


async def test_an_array_of_numbers_is_a_vector_too(conn: Connection) -> None:
    await tenants(conn, "table", Row(1, "a", 0))
    found_rows = await rows(conn, "select distance from cdc.search('docs', (array[1, 0, 0, 0]::real[])::text)")
    assert found_rows == [(0,)]


@each_kind
@pytest.mark.parametrize("vector", ["vector", "halfvec"])
@pytest.mark.parametrize(
    ("metric", "near", "far", "similarity"),
    [("cosine", 0.0, 1.0, [1, 0]), ("inner_product", -1.0, 0.0, [1, 0]), ("l2", 0.0, 2**0.5, [None, None])],
)
async def test_the_distance_is_that_of_the_metric(
    conn: Connection, kind: str, vector: str, metric: str, near: float, far: float, similarity: list[float | None]
) -> None:
    await tenants(conn, kind, Row(1, "a", 90), Row(2, "a", 0), vector=vector, metric=metric)
    hits = await found(conn)
    assert [hit.key["id"] for hit in hits] == [2, 1]
    assert [hit.distance for hit in hits] == pytest.approx([near, far], abs=1e-3)
    assert [hit.similarity for hit in hits] == pytest.approx(similarity, abs=1e-3)


@each_kind
async def test_pgvector_may_be_in_any_schema(conn: Connection, kind: str) -> None:
    await conn.execute('create schema "Ext"; create extension vector schema "Ext"')
    await tenants(conn, kind, Row(1, "a", 10), Row(2, "a", 0), vector='"Ext".vector')
    assert await ids(conn, hybrid=True, filter={"tenant": "a"}) == [2, 1]


async def test_names_and_keys_may_be_odd(conn: Connection) -> None:
    await conn.execute("""
        create extension vector;
        create schema "S %I";
        create table "S %I"."T ""$1" ("K 1" text, "order" uuid, "te%xt" text, primary key ("order", "K 1"));
        create table "S %I"."E" ("K 1" text, "order" uuid, embedding vector(4), primary key ("order", "K 1"));
        insert into "S %I"."T ""$1" values ('it''s', '00000000-0000-7000-8000-000000000000', 'a zebra');
        insert into "S %I"."E" values ('it''s', '00000000-0000-7000-8000-000000000000', '[1,0,0,0]');
    """)
    names: dict[str, Any] = {"table_schema": "S %I", "table_name": 'T "$1', "columns": ["te%xt"]}
    await declared(conn, "table", **names, target_schema="S %I", target_table="E")
    call = """select key, row, text_rank from cdc.search('"S %%I"."T ""$1"', %s, words => 'zebra', filter => %s)"""
    key = {"K 1": "it's", "order": "00000000-0000-7000-8000-000000000000"}
    expected = [(key, {**key, "te%xt": "a zebra"}, 1)]
    assert await rows(conn, call, EAST, '{"te%xt": "a zebra", "K 1": "it\'s"}') == expected
    assert await rows(conn, call, EAST, '{"te%xt": "%I"}') == []


async def test_only_columns_that_the_caller_may_read_are_shown(migrated_url: str, connect: Connect) -> None:
    owner, other = await connect(migrated_url), await connect(migrated_url)
    await tenants(owner, "table", Row(1, "a", 0, "one"))
    role = migrated_url.rpartition("/")[2].partition("?")[0] + "_reader"
    await owner.execute(
        f"create role {role}; grant usage on schema cdc, public to {role}; grant select on cdc.embeddings to {role};"
        f"grant select (id, body) on docs to {role}; grant select (id, embedding) on docs_embeddings to {role}".encode()
    )
    try:
        await other.execute(f"set role {role}".encode())
        assert await rows(other, f"select row from cdc.search('docs', '{EAST}')") == [({"id": 1, "body": "one"},)]
        with pytest.raises(errors.InsufficientPrivilege):
            await rows(other, f"select row from cdc.search('docs', '{EAST}', columns => array['meta'])")
        with pytest.raises(errors.InsufficientPrivilege):
            await rows(other, f"""select row from cdc.search('docs', '{EAST}', filter => '{{"tenant": "a"}}')""")
    finally:
        await other.close()
        await owner.execute(f"drop owned by {role}; drop role {role}".encode())


async def test_the_callers_settings_are_as_before(conn: Connection) -> None:
    await tenants(conn, "table", Row(1, "a", 0))
    await conn.execute("create index on docs_embeddings using hnsw (embedding vector_cosine_ops)")
    ((jit,),) = await rows(conn, "select current_setting('jit')")
    named = ("hnsw.ef_search", "hnsw.iterative_scan", "enable_seqscan", "jit")
    settings = "select " + ", ".join(f"current_setting('{name}')" for name in named)
    search = f"select from cdc.search('docs', '{EAST}', 500)"
    async with conn.transaction():
        await conn.execute(search.encode())
        assert await rows(conn, settings) == [("40", "off", "on", jit)]
        await conn.execute("set local hnsw.ef_search = 77; set local hnsw.iterative_scan = relaxed_order")
        await conn.execute("set local enable_seqscan = off")
        await conn.execute(search.encode())
        assert await rows(conn, settings) == [("77", "relaxed_order", "off", jit)]


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ("'docs', '[1]'", errors.DataException),
        ("'docs', '[1,0,0,0]', 0", errors.InvalidParameterValue),
        ("'docs', '[1,0,0,0]', 1001", errors.InvalidParameterValue),
        ("'docs', '[1,0,0,0]', null", errors.InvalidParameterValue),
        ("'docs', '[1,0,0,0]', filter => '[1]'", errors.InvalidParameterValue),
        ("'docs', '[1,0,0,0]', filter => 'null'", errors.InvalidParameterValue),
        ("'docs', '[1,0,0,0]', target => 'x'", errors.UndefinedObject),
        ("'docs', '[1,0,0,0]', target => 'ocs_embeddings'", errors.UndefinedObject),
        ("'docs', '[1,0,0,0]', columns => array['id', 'x']", errors.UndefinedColumn),
        ("'cdc.service', '[1,0,0,0]'", errors.UndefinedObject),
    ],
)
async def test_what_cannot_be_searched_is_told(conn: Connection, arguments: str, error: type[Exception]) -> None:
    await tenants(conn, "table", Row(1, "a", 0))
    with pytest.raises(error):
        await conn.execute(f"select from cdc.search({arguments})".encode())


async def test_the_live_target_is_searched_unless_one_is_named(conn: Connection) -> None:
    await tenants(conn, "table", Row(1, "a", 0))
    await conn.execute("alter table docs add embedding vector(4); alter table docs add third vector(4)")
    await declared(conn, "column", live_at=None)
    assert await ids(conn) == [1]
    assert await ids(conn, target="docs.embedding") == []

    await conn.execute("update cdc.embeddings set live_at = case when live_at is null then now() end")
    assert await ids(conn) == []
    assert await ids(conn, target="docs_embeddings") == [1]

    await conn.execute("update cdc.embeddings set live_at = null")
    with pytest.raises(ConfigurationError, match="no target that is filled"):
        await ids(conn)
    with pytest.raises(errors.UndefinedObject, match="no target that is filled"):
        await conn.execute(f"select from cdc.search('docs', '{EAST}')".encode())

    await conn.execute("update cdc.embeddings set live_at = now()")
    with pytest.raises(ConfigurationError, match="several targets"):
        await ids(conn)
    with pytest.raises(errors.UndefinedObject, match="several targets"):
        await conn.execute(f"select from cdc.search('docs', '{EAST}')".encode())


async def test_a_json_value_that_jsonb_refuses_is_shown(conn: Connection) -> None:
    await tenants(conn, "table", Row(1, "a", 0))
    await conn.execute("alter table docs add odd json")
    await conn.execute("""update docs set odd = '{"a": "\\u0000"}'""")
    assert (await found(conn, columns=["odd"]))[0].columns == {"odd": {"a": "\0"}}


async def test_one_session_searches_targets_of_all_kinds(conn: Connection) -> None:
    await tenants(conn, "chunks", Row(1, "a", 0))
    await conn.execute("alter table docs_chunks alter chunk type varchar, alter ordinal type smallint")
    await conn.execute("alter table docs add embedding vector(4); update docs set embedding = '[1,0,0,0]'")
    await declared(conn, "column")
    for _ in range(3):
        for target in ("docs_chunks", "docs.embedding"):
            assert await ids(conn, target=target, hybrid=True) == [1]
            assert await ids(conn, target=target) == [1]


STAND_IN = """
    create schema ext;
    create domain ext.vector as text;
    create function ext.distance(text, text) returns float8 language sql immutable as
        $$ select sum(abs(a - b)) from unnest(translate($1, '[]', '{}')::float8[], translate($2, '[]', '{}')::float8[])
               as o (a, b) $$;
    create operator ext.<=> (leftarg = text, rightarg = text, function = ext.distance);
    create table docs (id bigint primary key, tenant text, body text);
    create table docs_chunks (id bigint, ordinal integer, chunk text, embedding ext.vector, primary key (id, ordinal));
    insert into docs values (1, 'a', 'one'), (2, 'a', 'a zebra'), (3, 'b', 'three');
    insert into docs_chunks values (1, 0, 'one', '[1,0]'), (1, 1, 'more', '[2,0]'), (2, 0, 'a zebra', '[0,9]'),
        (3, 0, 'three', '[1,1]');
"""
"""Enough of pgvector for servers that have none."""


async def test_it_runs_on_every_version(every_migrated_url: str, connect: Connect) -> None:
    conn = await connect(every_migrated_url)
    await conn.execute(STAND_IN.encode())
    await declared(conn, "chunks")
    own = """filter => '{"tenant": "a"}'"""
    call = f"select key, ordinal, text_rank from cdc.search('docs', '[1,0]', 2, words => 'zebra', {own})"
    assert await rows(conn, call) == [({"id": 2}, 0, 1), ({"id": 1}, 0, None)]
