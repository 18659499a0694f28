"""An HNSW index serves the search, of each kind of target, with a filter and without."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.functions.searching import EAST, KINDS, tenants
from tests.servers import Connection

ROWS = 4000


@pytest.fixture
async def plans(conn: Connection) -> list[dict[str, Any]]:
    """The plans of statements that run inside functions, as the server tells them."""
    told: list[dict[str, Any]] = []

    def hear(notice: Any) -> None:
        head, _, plan = (notice.message_primary or "").partition("plan:\n")
        if head.startswith("duration"):
            told.append(json.loads(plan))

    await conn.execute("""
        load 'auto_explain';
        set auto_explain.log_min_duration = 0;
        set auto_explain.log_nested_statements = on;
        set auto_explain.log_format = json;
        set client_min_messages = log;
    """)
    conn.add_notice_handler(hear)
    return told


def scans(plan: Any) -> set[str]:
    """The indexes that a plan reads."""
    if isinstance(plan, list):
        return set().union(*map(scans, plan))
    if not isinstance(plan, dict):
        return set()
    name = plan.get("Index Name")
    return ({name} if name else set()).union(*map(scans, plan.values()))


async def filled(conn: Connection, kind: str, vector: str) -> str:
    """Thousands of rows in a random cloud, in tenants of a hundred rows and one of half of all; the target's name."""
    await tenants(conn, kind, vector=vector)
    cloud = "select format('[%s,%s,%s,%s]', random(), random(), random(), n - n)"
    await conn.execute(
        f"insert into docs select n, case when n % 2 = 0 then 'large' else 'small' || n % 20 end, 'text of ' || n"
        f" from generate_series(1, {ROWS}) n".encode()
    )
    if kind == "column":
        await conn.execute(f"update docs set embedding = ({cloud} from (select id as n) i)::{vector}".encode())
    elif kind == "table":
        await conn.execute(
            f"insert into docs_embeddings select id, ({cloud} from (select id as n) i)::{vector} from docs".encode()
        )
    else:
        await conn.execute(
            f"insert into docs_chunks (id, ordinal, chunk, embedding) select id, 0, body,"
            f" ({cloud} from (select id as n) i)::{vector} from docs".encode()
        )
    target = {"column": "docs", "table": "docs_embeddings"}.get(kind, "docs_chunks")
    await conn.execute(f"create index nearest on {target} using hnsw (embedding {vector}_cosine_ops)".encode())
    await conn.execute("create index by_tenant on docs (tenant)")
    await conn.execute("vacuum analyze docs")
    if target != "docs":
        await conn.execute(f"vacuum analyze {target}".encode())
    return target


async def used(conn: Connection, plans: list[dict[str, Any]], call: str) -> set[str]:
    """The indexes that the statement inside cdc.search reads."""
    plans.clear()
    await conn.execute(call.encode())
    searches = [plan for plan in plans if "with found as" in plan["Query Text"]]
    assert len(searches) == 1, "the first answer was enough"
    return scans(searches[0])


@pytest.mark.parametrize("vector", ["vector", "halfvec"])
@pytest.mark.parametrize("kind", KINDS)
async def test_the_nearest_are_read_from_the_index(
    conn: Connection, plans: list[dict[str, Any]], kind: str, vector: str
) -> None:
    await filled(conn, kind, vector)
    assert "nearest" in await used(conn, plans, f"select from cdc.search('docs', '{EAST}')")
    assert "nearest" in await used(conn, plans, f"select from cdc.search('docs', '{EAST}', 50)")
    large = f"""select from cdc.search('docs', '{EAST}', filter => '{{"tenant": "large"}}')"""
    assert "nearest" in await used(conn, plans, large)
    # A selective filter is better served by its own index, and then exact.
    small = f"""select from cdc.search('docs', '{EAST}', filter => '{{"id": [1, 2, 3, 4, 5, 6, 7]}}')"""
    assert "nearest" not in await used(conn, plans, small)


async def test_the_index_of_the_docs_serves_the_words(conn: Connection, plans: list[dict[str, Any]]) -> None:
    await filled(conn, "table", "vector")
    await conn.execute(
        "create index words on docs using gin"
        " (to_tsvector('english'::regconfig, left(coalesce(body::text, ''), 250000)))"
    )
    await conn.execute("vacuum analyze docs")
    call = f"select from cdc.search('docs', '{EAST}', words => '1234', language => 'english')"
    assert {"words", "nearest"} <= await used(conn, plans, call)


async def test_an_index_on_chunks_serves_the_words(conn: Connection, plans: list[dict[str, Any]]) -> None:
    await filled(conn, "chunks", "vector")
    await conn.execute(
        "create index words on docs_chunks using gin (to_tsvector('simple'::regconfig, left(chunk, 250000)))"
    )
    await conn.execute("vacuum analyze docs_chunks")
    call = f"select from cdc.search('docs', '{EAST}', words => '1234')"
    assert {"words", "nearest"} <= await used(conn, plans, call)


@pytest.mark.parametrize("kind", KINDS)
async def test_an_index_is_used_where_reading_all_rows_looks_cheaper(
    conn: Connection, plans: list[dict[str, Any]], kind: str
) -> None:
    """As it does with long vectors, which lie outside their rows; here the server is told that its disk is slow."""
    await filled(conn, kind, "vector")
    await conn.execute("set random_page_cost = 400; set jit_above_cost = 0")
    assert "nearest" in await used(conn, plans, f"select from cdc.search('docs', '{EAST}')")
    small = f"""select from cdc.search('docs', '{EAST}', filter => '{{"tenant": "small7"}}')"""
    assert {"by_tenant", "nearest"} & await used(conn, plans, small)
