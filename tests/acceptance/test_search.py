"""Search, everywhere the same: command, HTTP, SQL, a handler; with the model that comes along."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.acceptance.conftest import Write
from tests.acceptance.service import Service, Settings, cdc, refused, running
from tests.servers import Connect, Connection
from tests.waiting import eventually

TABLE = """
create table documents (id bigint primary key, tenant text, body text);
insert into documents values
    (1, 'a', 'The cat sleeps on the warm sofa'), (2, 'b', 'A kitten naps in a basket by the fire'),
    (3, 'a', 'Quarterly revenue grew by nine percent'), (4, 'b', 'Invoice INV-2041 is overdue');
"""

ASKS = """
    from cdc import Context, Hit, function


    @function("asks", on="app/asked")
    async def asks(ctx: Context) -> list[int]:
        hits = await ctx.step.run("search", ctx.embeddings.search, "documents", "pets at rest", filter={"tenant": "a"})
        assert all(isinstance(hit, Hit) for hit in hits)
        return [hit.key["id"] for hit in hits]
"""

PETS = "where do pets sleep?"


async def embedded(conn: Connection) -> bool:
    made = await conn.execute("select to_regclass('documents_embeddings') is not null")
    if await made.fetchone() != (True,):
        return False
    counted = await conn.execute("select count(*) from documents_embeddings")
    return await counted.fetchone() == (4,)


async def post(service: Service, path: str, **body: Any) -> tuple[int, Any]:
    response = await service.post(path, body)
    return response.status_code, response.json()


@pytest.fixture
def settings(database_url: str, functions: Any) -> Settings:
    return {
        "DATABASE_URL": database_url,
        "CDC_EMBED": "documents(body)",
        "CDC_EMBED_MODEL": "local-fast/wordllama",
        "CDC_FUNCTIONS": f"{functions}::",
    }


async def test_search_is_the_same_everywhere(connect: Connect, settings: Settings, write: Write) -> None:
    write("asks.py", ASKS)
    conn = await connect(str(settings["DATABASE_URL"]))
    await conn.execute(TABLE)
    async with running(**settings) as service:
        await eventually(lambda: embedded(conn), within=60, what="all rows are embedded")

        code, answer = await post(service, "/v1/search", table="documents", query=PETS, limit=2)
        assert code == 200, answer
        over_http = answer["data"]
        assert {hit["key"]["id"] for hit in over_http} == {1, 2}

        by_command = await cdc("search", "documents", PETS, "--limit", "2", "--json", **settings)
        assert [json.loads(line) for line in by_command.out.splitlines()] == over_http

        code, answer = await post(service, "/v1/embed", table="documents", texts=[PETS], queries=True)
        assert code == 200, answer
        assert (answer["data"]["model"], answer["data"]["dimensions"]) == ("local-fast/wordllama", 256)
        vector = str(answer["data"]["vectors"][0])
        in_sql = await conn.execute("select key, distance from cdc.search('documents', %s, 2)", [vector])
        for (key, distance), hit in zip(await in_sql.fetchall(), over_http, strict=True):
            assert key == hit["key"]
            assert distance == pytest.approx(hit["distance"], abs=1e-6)

        for tenant, own in (("a", {1, 3}), ("b", {2, 4})):
            asked = {"table": "documents", "query": PETS, "filter": {"tenant": tenant}}
            for hybrid in (False, True):
                _, answer = await post(service, "/v1/search", **asked, hybrid=hybrid)
                assert {hit["key"]["id"] for hit in answer["data"]} == own
        _, answer = await post(service, "/v1/search", table="documents", query="INV-2041", hybrid=True)
        assert {hit["key"]["id"]: hit["text_rank"] for hit in answer["data"]}[4] == 1

        sent = await cdc("send", "app/asked", **settings)
        assert sent.code == 0, sent.err

        async def output() -> Any:
            rows = await conn.execute(
                "select output from cdc_state.runs where function_id = 'asks' and status = 'completed'"
            )
            return await rows.fetchone()

        assert await eventually(output, within=60, what="the handler has searched") == ([1, 3],)

        assert (await post(service, "/v1/search", table="documents", query=PETS, source="crm"))[0] == 404

        async with running("--only", "web", **settings) as web:
            _, answer = await post(web, "/v1/search", table="documents", query=PETS, limit=2)
            assert answer["data"] == over_http


async def test_the_command_shows_what_it_is_asked_for(connect: Connect, settings: Settings) -> None:
    conn = await connect(str(settings["DATABASE_URL"]))
    await conn.execute(TABLE)
    async with running(**settings):
        await eventually(lambda: embedded(conn), within=60, what="all rows are embedded")
    search = ("search", "documents", PETS)

    plain = await cdc(*search, "--limit", "1", **settings)
    assert "similarity" in plain.out
    assert "score" not in plain.out

    hybrid = await cdc(*search, "--hybrid", "--language", "english", "--columns", "tenant,id", **settings)
    assert "score" in hybrid.out
    assert "tenant" in hybrid.out
    assert "sofa" not in hybrid.out

    one = await cdc(*search, "--filter", "tenant=b", "--into", "documents_embeddings", "--json", **settings)
    assert {json.loads(line)["key"]["id"] for line in one.out.splitlines()} == {2, 4}
    several = await cdc(*search, "--filter", "id=1", "--filter", "id=4", "--filter", '{"tenant": "b"}', **settings)
    assert "Invoice" in several.out
    assert "sofa" not in several.out
    nothing = await cdc(*search, "--filter", "tenant=c", **settings)
    assert (nothing.code, nothing.out) == (0, "Nothing was found.\n")

    await refused(
        *search, "--filter", "tenant", code=78, says="cannot be read", hint="--filter tenant_id=7", **settings
    )
    await refused(*search, "--filter", "{x", code=78, says="is not JSON", hint="--filter tenant_id=7", **settings)
    await refused(*search, "--filter", "x=1", code=78, says="no column x", hint="spelling", **settings)
    await refused(*search, "--limit", "0", code=78, says="1 to 1000", hint="filter", **settings)
