"""`POST /v1/search` and `POST /v1/embed`."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import pytest

from cdc.ai.errors import InputRefused, ProviderRejected, ProviderUnavailable
from cdc.embedding.declared import Declared
from cdc.store.connect import Connection, pool
from cdc.store.connect import connect as connect_to
from cdc.web.app import app
from cdc.web.server import Web
from cdc.web.site import Site
from cdc.web.status import Status, Statuses
from tests.functions.embedding import MODEL
from tests.functions.searching import Compass, Row, tenants
from tests.servers import Connect
from tests.store.state import State
from tests.web.conftest import Served


class Providers(Compass):
    """Answers like a compass, until it is told to fail."""

    fails: Exception | None = None
    refuses: Exception | None = None

    async def __call__(self, model: str, texts: Sequence[str], /) -> Any:
        if self.fails:
            raise self.fails
        return [self.refuses] * len(texts) if self.refuses else await super().__call__(model, texts)


@pytest.fixture
def providers() -> Providers:
    return Providers()


@pytest.fixture
async def searched(migrated_url: str, connect: Connect, providers: Providers) -> AsyncIterator[Served]:
    """The API over docs of two tenants, which are those of the sources `default` and `crm`."""
    conn = await connect(migrated_url)
    await tenants(conn, "chunks", Row(1, "a", 0, "one"), Row(2, "b", 30, "two zebras"), Row(3, "b", 60, "three"))
    async with AsyncExitStack() as stack:
        connections = await stack.enter_async_context(pool(migrated_url, size=4, name="web"))
        declared = Declared(connections, providers)
        web = Web(
            app(
                Site(
                    Statuses(Status("default", "cdc", "cdc")),
                    connections.connection,
                    embeddings=lambda source: declared if source in (None, "default", "crm") else None,
                )
            ),
            0,
        )
        web.start()
        stack.push_async_callback(web.stop)
        yield Served(web.url, State(migrated_url, conn, connect))


async def test_hits_are_told_best_first(searched: Served) -> None:
    code, answer = await searched.post("/v1/search", {"table": "docs", "query": "east", "limit": 2})
    assert code == 200
    first, second = answer["data"]
    assert first == {
        "key": {"id": 1},
        "columns": {"body": "one"},
        "distance": 0,
        "similarity": 1,
        "ordinal": 0,
        "chunk": "one",
        "score": None,
        "vector_rank": 1,
        "text_rank": None,
    }
    assert second["key"] == {"id": 2}


async def test_all_that_a_search_can_be_told(searched: Served) -> None:
    asked = {
        "table": "public.docs",
        "query": "zebra",
        "limit": 5,
        "target": "docs_chunks",
        "filter": {"tenant": "b", "id": [1, 2, 3]},
        "hybrid": True,
        "language": "english",
        "columns": ["tenant"],
        "every_chunk": True,
        "source": "crm",
    }
    code, answer = await searched.post("/v1/search", asked)
    assert code == 200, answer
    assert [(hit["key"]["id"], hit["text_rank"], hit["columns"]) for hit in answer["data"]] == [
        (2, 1, {"tenant": "b"}),
        (3, None, {"tenant": "b"}),
    ]


async def test_texts_are_embedded_by_the_model_of_a_table(searched: Served, providers: Providers) -> None:
    for how in ({"table": "docs"}, {"table": "public.docs", "target": "docs_chunks"}, {"model": MODEL}):
        code, answer = await searched.post("/v1/embed", {**how, "texts": ["east", "north"], "queries": True})
        vectors = [[1, 0, 0, 0], [0, 1, 0, 0]]
        assert (code, answer) == (200, {"data": {"model": MODEL, "dimensions": 4, "vectors": vectors}})
    assert providers.asked == ["east", "north"] * 3


async def test_a_vector_of_the_api_finds_rows_in_plain_sql(searched: Served) -> None:
    _, answer = await searched.post("/v1/embed", {"table": "docs", "texts": ["east"]})
    (vector,) = answer["data"]["vectors"]
    found = await searched.state.rows("select key from cdc.search('docs', %s::real[]::text, 1)", vector)
    assert found == [({"id": 1},)]


SEARCH = {"table": "docs", "query": "east"}
ASKED = {"/v1/search": SEARCH, "/v1/embed": {"table": "docs", "texts": ["east"]}}


@pytest.mark.parametrize(
    ("path", "body", "status", "says"),
    [
        ("search", {"query": "east"}, 400, "table is missing"),
        ("search", {"table": "docs"}, 400, "query is missing"),
        ("search", {**SEARCH, "query": 7}, 400, "query is not a text"),
        ("search", {**SEARCH, "limit": 0}, 400, "limit must be"),
        ("search", {**SEARCH, "limit": True}, 400, "limit is not a whole number"),
        ("search", {**SEARCH, "limit": 1001}, 400, "limit must be"),
        ("search", {**SEARCH, "filter": ["a"]}, 400, "filter is not an object"),
        ("search", {**SEARCH, "filter": {"x": 1}}, 400, "has no column x"),
        ("search", {**SEARCH, "columns": "body"}, 400, "columns is not a list"),
        ("search", {**SEARCH, "columns": [1]}, 400, "columns, at 0, is not a text"),
        ("search", {**SEARCH, "columns": ["x"]}, 400, "has no column x"),
        ("search", {**SEARCH, "target": "x"}, 400, "has no target x. Name one of: public.docs_chunks."),
        ("search", {**SEARCH, "hybrid": True, "language": "klingon"}, 400, "klingon"),
        ("search", {**SEARCH, "table": "x"}, 400, "public.x has no embedding"),
        ("search", {**SEARCH, "source": "x"}, 404, "There is no source 'x'."),
        ("search", {**SEARCH, "limits": 5}, 400, "no field 'limits'"),
        ("search", b"[]", 400, "The body is not an object"),
        ("embed", {"texts": ["a"]}, 400, "table is missing"),
        ("embed", {"table": "docs"}, 400, "texts is missing"),
        ("embed", {"table": "docs", "texts": []}, 400, "texts must have at least 1"),
        ("embed", {"table": "docs", "texts": ["a"] * 257}, 400, "texts must have at most 256"),
        ("embed", {"table": "docs", "texts": [None]}, 400, "texts, at 0, is not a text"),
        ("embed", {"table": "docs", "texts": ["a"], "source": "x"}, 404, "There is no source 'x'."),
    ],
)
async def test_what_cannot_be_used_is_told(searched: Served, path: str, body: object, status: int, says: str) -> None:
    code, answer = await searched.post(f"/v1/{path}", body)
    assert code == status
    assert says in answer["error"]


@pytest.mark.parametrize(
    ("failure", "status", "later"),
    [
        (ProviderUnavailable("It limits the rate.", retry_after=2.5), 503, "3"),
        (ProviderUnavailable("It does not answer."), 503, None),
        (ProviderRejected("The key is wrong.", hint="Set another."), 502, None),
    ],
)
@pytest.mark.parametrize("path", ["/v1/search", "/v1/embed"])
async def test_a_provider_that_fails_is_told(
    searched: Served, providers: Providers, path: str, failure: Exception, status: int, later: str | None
) -> None:
    providers.fails = failure
    response = await searched.ask("POST", path, ASKED[path])
    assert (response.status_code, response.headers.get("retry-after")) == (status, later)
    assert str(failure) in response.json()["error"]


@pytest.mark.parametrize("path", ["/v1/search", "/v1/embed"])
async def test_words_that_are_refused_are_told(searched: Served, providers: Providers, path: str) -> None:
    providers.refuses = InputRefused("The text is too long.", detail="quotes the text")
    code, answer = await searched.post(path, ASKED[path])
    assert (code, answer) == (422, {"error": "The text is too long.", "status": 422})


async def test_a_database_that_does_not_answer_is_told(
    migrated_url: str, connect: Connect, providers: Providers
) -> None:
    class Away:
        @asynccontextmanager
        async def connection(self) -> AsyncIterator[Connection]:
            async with await connect_to("postgresql://127.0.0.1:1/nothing") as conn:
                yield conn

    async with pool(migrated_url, size=1, name="web") as connections:
        away = Declared(Away(), providers)
        site = Site(Statuses(Status("default", "cdc", "cdc")), connections.connection, embeddings=lambda _: away)
        web = Web(app(site), 0)
        web.start()
        try:
            state = State(migrated_url, await connect(migrated_url), connect)
            code, answer = await Served(web.url, state).post("/v1/search", SEARCH)
        finally:
            await web.stop()
    assert code == 503
    assert "No connection to 127.0.0.1:1/nothing" in answer["error"]


async def test_without_a_database_there_is_nothing_to_search(served: Served) -> None:
    assert await served.post("/v1/search", SEARCH) == (404, {"error": "There is no database.", "status": 404})


async def test_a_page_elsewhere_cannot_ask(searched: Served) -> None:
    response = await searched.ask("POST", "/v1/search", SEARCH, content_type="text/plain")
    assert response.status_code == 415
