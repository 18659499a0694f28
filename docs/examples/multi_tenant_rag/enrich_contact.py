"""Contacts of many tenants, each tenant with a database of its own: imported, described by a model, and searched."""

import os

import httpx

from cdc import Concurrency, Context, Database, Hit, Throttle, function

MODEL = os.environ.get("RAG_MODEL", "openai/gpt-4o-mini")
SERPAPI = os.environ.get("SERPAPI_URL", "https://serpapi.com")
INSERT = """
INSERT INTO contacts (name, company, role, profile, imported_by) VALUES (%s, %s, %s, %s, %s)
    ON CONFLICT (imported_by) DO UPDATE SET profile = excluded.profile
RETURNING id
"""


async def company_info(company: str) -> str:
    """What a search engine says about a company; nothing when it has no key."""
    key = os.environ.get("SERPAPI_API_KEY")
    if not key:
        return ""
    async with httpx.AsyncClient(base_url=SERPAPI) as client:
        answer = await client.get("/search.json", params={"engine": "google", "q": company, "api_key": key})
    return str(answer.raise_for_status().json().get("knowledge_graph", {}).get("description", ""))


async def insert(db: Database, *values: str) -> int:
    async with db.connection() as conn:
        row = await (await conn.execute(INSERT, values)).fetchone()
    assert row is not None
    return int(row[0])


@function(
    "enrich-contact",
    on="contacts/enrich",
    throttle=Throttle(10, "10s", key="event.data.tenant"),
    concurrency=Concurrency(5, key="event.data.tenant"),
)
async def enrich_contact(ctx: Context) -> dict[str, object]:
    """One row of the file. The vector is made by what schema.sql declares, in the tenant's database."""
    tenant, contact = ctx.event.data["tenant"], ctx.event.data["contact"]
    db = ctx.source(tenant).db  # a tenant that is not known ends the run here, before anything is paid for
    name, company, role = f"{contact['firstName']} {contact['lastName']}", contact["company"], contact["position"]

    about = await ctx.step.run("fetch-company-info", company_info, company)
    prompt = (
        f"Describe {name}, {role} at {company}, in two sentences. What is known of the company: {about or 'nothing'}"
    )
    profile = await ctx.step.ai.infer("generate-profile", model=MODEL, prompt=prompt)
    number = await ctx.step.run("insert-contact", insert, db, name, company, role, profile, ctx.run_id)
    return {"tenant": tenant, "id": number}


def question(words: str, contacts: list[Hit]) -> str:
    known = [f"{hit.columns['name']}, {hit.columns['role']} at {hit.columns['company']}" for hit in contacts]
    return "\n".join(["Contacts:", *known, "", f"Question: {words}"])


@function("ask-contacts", on="contacts/asked", concurrency=Concurrency(5, key="event.data.tenant"))
async def ask_contacts(ctx: Context) -> dict[str, object]:
    """An answer from one tenant's contacts: no other database is asked."""
    words = ctx.event.data["question"]
    search = ctx.source(ctx.event.data["tenant"]).embeddings.search
    found = await ctx.step.run("vector-search", search, "contacts", words, 3)
    answer = await ctx.step.ai.infer("answer", model=MODEL, prompt=question(words, found))
    return {"answer": answer, "contacts": [hit.columns["name"] for hit in found]}
