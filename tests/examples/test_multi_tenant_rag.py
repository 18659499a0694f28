"""docs/examples/multi_tenant_rag: a database for each tenant, and none that another tenant's question reaches."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from cdc import Client, Event
from tests.acceptance.service import Service, Settings, running
from tests.acceptance.state import runs
from tests.ai_server import AIServer
from tests.examples.conftest import printed
from tests.servers import Connect, Connection, Server
from tests.waiting import eventually

TENANTS = ("acme", "globex")
PEOPLE = {
    "acme": ["Ada,Lovelace,Mathematician,Analytical Engines", "Grace,Hopper,Rear Admiral,Compilers United"],
    "globex": ["Alan,Turing,Mathematician,Bletchley", "Katherine,Johnson,Physicist,Orbits and Co"],
}


@pytest.fixture
async def databases(server: Server, connect: Connect) -> AsyncIterator[dict[str, str]]:
    """The URL of each tenant's database."""
    async with AsyncExitStack() as made:
        urls = {}
        for tenant in TENANTS:
            urls[tenant] = await server.create_database()
            made.push_async_callback(server.drop_database, urls[tenant])
        yield urls


@pytest.fixture
async def tenants(databases: dict[str, str], connect: Connect) -> dict[str, Connection]:
    return {tenant: await connect(url) for tenant, url in databases.items()}


@pytest.fixture
async def service(
    examples: Path,
    tmp_path: Path,
    database_url: str,
    databases: dict[str, str],
    tenants: dict[str, Connection],
    provider: AIServer,
    keys: Settings,
) -> AsyncIterator[Service]:
    provider.app.routes.append(Route("/search.json", _knowledge))
    shutil.copy(examples / "multi_tenant_rag" / "enrich_contact.py", tmp_path)
    settings: Settings = {
        "DATABASE_URL": database_url,
        "CDC_SOURCES": ", ".join(f"{tenant}={url}" for tenant, url in databases.items()),
        "CDC_EMBED_MODEL": "local-fast/wordllama",
        "CDC_FUNCTIONS": f"{tmp_path}::",
        "SERPAPI_URL": provider.root,
        "SERPAPI_API_KEY": "any",
    }
    async with running(**{**keys, **settings}) as service:
        for conn in tenants.values():
            await eventually(partial(_has_schema, conn), within=60, what="the tenant is watched")
            await conn.execute((examples / "multi_tenant_rag" / "schema.sql").read_bytes())
        yield service


async def _knowledge(request: Request) -> JSONResponse:
    """What the search engine knows about a company."""
    return JSONResponse({"knowledge_graph": {"description": f"{request.query_params['q']} is well known."}})


async def _has_schema(conn: Connection) -> bool:
    return await (await conn.execute("select to_regproc('cdc.unembed') is not null")).fetchone() == (True,)


async def imported(service: Service, examples: Path, folder: Path, tenant: str) -> None:
    file = folder / f"{tenant}.csv"
    file.write_text("\n".join(["firstName,lastName,position,company", *PEOPLE[tenant]]))
    script = examples / "multi_tenant_rag" / "import_contacts.py"
    said = await printed(script, str(file), "--tenant", tenant, "--url", service.url)
    assert said == f"2 contacts are on their way to {tenant}\n"


async def embedded(conn: Connection) -> bool:
    made = await conn.execute("select to_regclass('contacts_embeddings') is not null")
    if await made.fetchone() != (True,):
        return False
    return await (await conn.execute("select count(*) from contacts_embeddings")).fetchone() == (2,)


async def names(conn: Connection) -> list[str]:
    return [name for (name,) in await (await conn.execute("select name from contacts order by name")).fetchall()]


async def test_each_tenants_contacts_are_in_its_database_and_no_question_of_another_finds_them(
    examples: Path, tmp_path: Path, service: Service, tenants: dict[str, Connection], provider: AIServer
) -> None:
    for tenant in TENANTS:
        await imported(service, examples, tmp_path, tenant)
    for conn in tenants.values():
        await eventually(partial(embedded, conn), within=60, what="all contacts are embedded")

    assert await names(tenants["acme"]) == ["Ada Lovelace", "Grace Hopper"]
    assert await names(tenants["globex"]) == ["Alan Turing", "Katherine Johnson"]
    prompts = [question.body["messages"][-1]["content"] for question in provider.questions]
    assert any("Bletchley is well known." in prompt for prompt in prompts)

    # Globex's mathematician is the nearest to these words of all contacts, but not one of acme's.
    provider.reset()
    provider.say_next("Ada Lovelace.")
    script = examples / "multi_tenant_rag" / "ask.py"
    words = "Alan Turing, mathematician at Bletchley"
    said = await printed(script, words, "--tenant", "acme", "--url", service.url)
    answer, sources = said.splitlines()
    assert answer == "Ada Lovelace."
    assert set(sources.removeprefix("from ").split(", ")) == {"Ada Lovelace", "Grace Hopper"}
    (asked,) = provider.questions
    assert "Johnson" not in str(asked.body)

    for tenant in TENANTS:
        found = await _search(service, tenant, words)
        assert sorted(hit["columns"]["name"] for hit in found) == await names(tenants[tenant])


async def test_an_unknown_tenant_ends_the_run_before_anything_is_asked(
    connect: Connect, database_url: str, service: Service, provider: AIServer
) -> None:
    contact = {"firstName": "Ada", "lastName": "Lovelace", "position": "Mathematician", "company": "Engines"}
    await Client(service.url).send(Event("contacts/enrich", {"tenant": "nobody", "contact": contact}))
    conn = await connect(database_url)

    async def failed() -> bool:
        return [run.status for run in await runs(conn)] == ["failed"]

    await eventually(failed, what="the run failed")
    row = await (await conn.execute("select error ->> 'message' from cdc_state.runs")).fetchone()
    assert row is not None
    assert row[0].startswith("there is no source 'nobody'")
    assert not provider.questions


async def _search(service: Service, tenant: str, words: str) -> list[dict[str, Any]]:
    """What the API finds in a tenant's database."""
    async with httpx.AsyncClient(base_url=service.url, trust_env=False, timeout=60) as client:
        asked = {"table": "contacts", "query": words, "source": tenant, "limit": 10}
        answer = await client.post("/v1/search", json=asked)
    assert answer.status_code == 200, answer.text
    found: list[dict[str, Any]] = answer.json()["data"]
    return found
