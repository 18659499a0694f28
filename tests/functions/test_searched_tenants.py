"""A filter is part of the search: a row of another tenant is never found, however much nearer it is."""

from __future__ import annotations

from typing import Any

import pytest

from cdc.errors import ConfigurationError
from tests.functions.searching import EAST, KINDS, Row, add, found, ids, tenants
from tests.servers import Connect, Connection

ODD = 'o\'brien\\ "x"; drop table docs; --'

each_kind = pytest.mark.parametrize("kind", KINDS)


@each_kind
@pytest.mark.parametrize("hybrid", [False, True])
async def test_another_tenant_is_never_found_however_near(conn: Connection, kind: str, hybrid: bool) -> None:
    theirs = [Row(n, "b", n / 100, "east wind") for n in range(1, 200)]
    ours = [Row(1000 + n, "a", 40 + n, "some east") for n in range(3)]
    await tenants(conn, kind, *theirs, *ours)

    for limit in (1, 3, 5, 1000):
        assert await ids(conn, limit=limit, hybrid=hybrid, filter={"tenant": "a"}) == [1000, 1001, 1002][:limit]
    assert set(await ids(conn, limit=1000, hybrid=hybrid, filter={"tenant": "b"})) == {row.id for row in theirs}


@each_kind
@pytest.mark.parametrize("opclass", ["vector_cosine_ops", None])
async def test_few_rows_among_many_are_all_found(conn: Connection, kind: str, opclass: str | None) -> None:
    """An HNSW index looks at 40 candidates, all of which are others'."""
    await tenants(conn, kind, *(Row(n, "b", n / 100) for n in range(1, 500)), *(Row(n, "a", 60) for n in (501, 502)))
    if opclass:
        target = {"column": "docs", "table": "docs_embeddings"}.get(kind, "docs_chunks")
        await conn.execute(f"create index on {target} using hnsw (embedding {opclass})".encode())
        await conn.execute("set enable_seqscan = off; set enable_sort = off; set hnsw.max_scan_tuples = 1")
    assert set(await ids(conn, limit=5, filter={"tenant": "a"})) == {501, 502}


@each_kind
@pytest.mark.parametrize(
    ("filter_", "expected"),
    [
        ({"tenant": ODD}, [1]),
        ({"tenant": None}, [2]),
        ({"tenant": "NULL"}, [3]),
        ({"tenant": ""}, [4]),
        ({"tenant": [ODD, None]}, [1, 2]),
        ({"tenant": []}, []),
        ({"tenant": "%"}, []),
        ({"id": 3}, [3]),
        ({"id": "3"}, [3]),
        ({"id": [1, 4, 99]}, [1, 4]),
        ({"id": [1, 4], "tenant": ""}, [4]),
        ({"meta": {"n": 2}}, [2]),
        ({"n": "12"}, []),
        ({"n": "1234"}, []),
        ({}, [1, 2, 3, 4, 123]),
    ],
    ids=str,
)
async def test_values_are_values(conn: Connection, kind: str, filter_: dict[str, Any], expected: list[int]) -> None:
    rows = [Row(1, ODD, 0), Row(2, None, 10), Row(3, "NULL", 20), Row(4, "", 30), Row(123, "x", 40)]
    await tenants(conn, kind, *rows)
    assert await ids(conn, limit=10, filter=filter_) == expected
    assert await ids(conn, limit=10, filter=filter_, hybrid=True) == expected


@pytest.mark.parametrize(
    ("filter_", "said"),
    [
        ({"tenat": 1}, "cdc.search: table docs has no column tenat."),
        ({'x" = 1 or true --': 1}, "has no column"),
        ({"ctid": "(0,1)"}, "has no column ctid"),
        ({"id": "seven"}, "invalid input syntax for type bigint"),
        ({"id": 1.5}, "invalid input syntax for type bigint"),
        ({"tenant": "a\0b"}, "unsupported Unicode"),
    ],
    ids=str,
)
async def test_a_filter_that_cannot_be_used_is_told(conn: Connection, filter_: dict[str, Any], said: str) -> None:
    await tenants(conn, "table", Row(1, "a", 0))
    with pytest.raises(ConfigurationError) as raised:
        await found(conn, filter=filter_)
    assert said.lower() in str(raised.value).lower()
    assert raised.value.hint


@each_kind
@pytest.mark.parametrize("words", [None, "text"])
async def test_row_level_security_of_the_caller_applies(
    migrated_url: str, connect: Connect, kind: str, words: str | None
) -> None:
    owner, tenant = await connect(migrated_url), await connect(migrated_url)
    await tenants(owner, kind, *(Row(n, "b", n / 10) for n in range(1, 100)), Row(500, "a", 45), Row(501, "a", 50))
    role = migrated_url.rpartition("/")[2].partition("?")[0] + "_tenant"
    await owner.execute(
        f"""
        create role {role};
        grant usage on schema cdc, public to {role};
        grant select on all tables in schema public to {role};
        grant select on cdc.embeddings to {role};
        alter table docs enable row level security;
        create policy own on docs using (tenant = current_setting('app.tenant', true));
        """.encode()
    )
    try:
        await tenant.execute(f"set role {role}".encode())
        search = "select (key ->> 'id')::int from cdc.search('docs', %s, 5, words => %s)"
        assert await (await tenant.execute(search, (EAST, words))).fetchall() == []
        await tenant.execute("set app.tenant = 'a'")
        assert await (await tenant.execute(search, (EAST, words))).fetchall() == [(500,), (501,)]
        filtered = "select (key ->> 'id')::int from cdc.search('docs', %s, 5, filter => '{\"tenant\": \"b\"}')"
        assert await (await tenant.execute(filtered, (EAST,))).fetchall() == []
    finally:
        await tenant.close()
        await owner.execute(f"drop owned by {role}; drop role {role}".encode())


async def test_rows_that_come_later_are_filtered_too(conn: Connection) -> None:
    await tenants(conn, "chunks", Row(1, "a", 0))
    assert await ids(conn, filter={"tenant": "b"}) == []
    await add(conn, "chunks", Row(2, "b", 80))
    assert await ids(conn, filter={"tenant": "b"}) == [2]
