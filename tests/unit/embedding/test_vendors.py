"""Each vendor is asked in its own form, through the openai package, on its own path."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from traceback import format_exception
from typing import Any

import numpy as np
import orjson
import pytest

from cdc.ai.access import Access
from cdc.ai.errors import InputRefused, ProviderRejected, ProviderUnavailable
from cdc.embedding.gather import Embedder
from cdc.embedding.models import parse
from cdc.embedding.providers import Provider, opener
from cdc.embedding.providers.answers import cohere_form, openai_form
from tests.openai_server import OpenAIServer, unit_vectors

KEY = "key-of-the-test"
TEXTS = ["one", "two", "one more"]

MODELS: dict[str, tuple[str, dict[str, Any]]] = {
    "openai/text-embedding-3-small@512": ("/v1/embeddings", {"dimensions": 512, "encoding_format": "base64"}),
    "azure/mine@512": ("/openai/deployments/mine/embeddings", {"dimensions": 512}),
    "gemini/gemini-embedding-001@512": ("/v1beta/openai/embeddings", {"dimensions": 512}),
    "voyage/voyage-3.5@512": (
        "/v1/embeddings",
        {"output_dimension": 512, "input_type": "document", "truncation": False, "encoding_format": "base64"},
    ),
    "cohere/embed-v4.0@512": (
        "/v2/embed",
        {"output_dimension": 512, "input_type": "search_document", "truncate": "NONE", "embedding_types": ["base64"]},
    ),
}
names = pytest.mark.parametrize("name", MODELS)


def access(server: OpenAIServer) -> dict[str, Access]:
    root = server.url.removesuffix("/v1")
    roots = {"openai": server.url, "voyage": server.url}
    return {name: Access(KEY, roots.get(name, root)) for name in ("openai", "azure", "gemini", "voyage", "cohere")}


@asynccontextmanager
async def provided(name: str) -> AsyncIterator[tuple[OpenAIServer, Provider]]:
    async with OpenAIServer() as server:
        provider = opener(access(server))(parse(name))
        try:
            yield server, provider
        finally:
            await provider.close()


@names
async def test_vectors_come_back_in_order_and_of_the_length_asked_for(name: str) -> None:
    async with provided(name) as (server, provider):
        answer = await provider.embed(TEXTS)
    np.testing.assert_allclose(np.array(answer.vectors), unit_vectors(TEXTS, 512), atol=1e-6)
    path, settings = MODELS[name]
    (asked,) = server.bodies
    assert asked["path"] == path
    assert {setting: asked[setting] for setting in settings} == settings
    assert asked["model"] == parse(name).id
    assert KEY in (asked["headers"].get("api-key"), asked["headers"].get("authorization", "").removeprefix("Bearer "))
    assert answer.tokens == 5


@names
async def test_no_dimensions_are_asked_for_when_none_are_wanted(name: str) -> None:
    async with provided(name.partition("@")[0]) as (server, provider):
        await provider.embed(TEXTS)
    assert not {"dimensions", "output_dimension"} & server.bodies[0].keys()


@pytest.mark.parametrize(
    ("name", "kinds"),
    [
        ("voyage/voyage-3.5", ["document", "query"]),
        ("cohere/embed-v4.0", ["search_document", "search_query"]),
    ],
)
async def test_words_to_search_with_are_told_from_texts_to_be_found(name: str, kinds: list[str]) -> None:
    async with OpenAIServer() as server:
        embedder = Embedder(opener(access(server)))
        await embedder.embed(name, TEXTS)
        await embedder.embed(name, TEXTS, query=True)
        await embedder.close()
    assert [asked["input_type"] for asked in server.bodies] == kinds


@names
async def test_each_keeps_to_its_own_limit_on_inputs(name: str) -> None:
    most = {"openai": 2048, "azure": 2048, "gemini": 100, "voyage": 1000, "cohere": 96}[parse(name).provider]
    async with OpenAIServer(most=most) as server:
        embedder = Embedder(opener(access(server)))
        results = await embedder.embed(name, [str(number) for number in range(2500)])
        await embedder.close()
    assert not any(isinstance(result, Exception) for result in results)
    assert server.inputs == 2500, "none was refused and asked again"


@names
async def test_a_refused_text_is_told_from_a_refused_key(name: str) -> None:
    async with provided(name) as (server, provider):
        with pytest.raises(InputRefused, match="a text of 8 characters"):
            await provider.embed(["[refuse]"])
        server.fail_next(status=401, message=f"no: {KEY}")
        with pytest.raises(ProviderRejected, match=r"Set \w+_API_KEY to a key") as caught:
            await provider.embed(TEXTS)
        assert KEY not in "".join(format_exception(caught.value))
        server.fail_next(status=429, headers={"retry-after": "3"})
        with pytest.raises(ProviderUnavailable) as busy:
            await provider.embed(TEXTS)
        assert (busy.value.limited, busy.value.retry_after) == (True, 3.0)


GOOGLE_KEY = [{"error": {"code": 400, "message": "API key not valid. Please pass one.", "status": "INVALID_ARGUMENT"}}]
GOOGLE_LIMIT = [
    {
        "error": {
            "code": 429,
            "status": "RESOURCE_EXHAUSTED",
            "details": [{"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "34.5s"}],
        }
    }
]


async def test_googles_own_ways_to_refuse_are_understood() -> None:
    async with provided("gemini/gemini-embedding-001") as (server, provider):
        server.answer_next(orjson.dumps(GOOGLE_KEY), status=400)
        with pytest.raises(ProviderRejected, match="GEMINI_API_KEY"):
            await provider.embed(TEXTS)
        server.answer_next(orjson.dumps(GOOGLE_LIMIT), status=429)
        with pytest.raises(ProviderUnavailable) as busy:
            await provider.embed(TEXTS)
        assert busy.value.retry_after == 34.5


@pytest.mark.parametrize(
    ("name", "body"),
    [
        ("voyage/voyage-3.5", {"detail": "Text is too long."}),
        ("cohere/embed-v4.0", {"message": "too many tokens"}),
        ("openai/bge-m3", {"object": "error", "message": "This model's maximum context length is 8192 tokens."}),
        ("openai/bge-m3", "not even an object"),
    ],
)
async def test_a_refusal_of_another_form_is_one_all_the_same(name: str, body: Any) -> None:
    async with provided(name) as (server, provider):
        server.answer_next(orjson.dumps(body), status=400)
        with pytest.raises(InputRefused):
            await provider.embed(["a text"])


@pytest.mark.parametrize("status", [400, 422])
async def test_dimensions_that_a_model_cannot_have_put_no_text_aside(status: int) -> None:
    async with provided("openai/bge-m3@100") as (server, provider):
        server.fail_next(status=status, message="Model does not support changing output dimensions.")
        with pytest.raises(ProviderRejected, match="bge-m3@100"):
            await provider.embed(TEXTS)


async def test_a_server_that_overlooks_the_dimensions_is_not_believed() -> None:
    async with provided("openai/bge-m3@2") as (server, provider):
        server.answer_next(b'{"data": [{"index": 0, "embedding": [1.0, 0.0, 0.0]}]}')
        with pytest.raises(ProviderRejected, match="3 dimensions, and 2 were asked for"):
            await provider.embed(["a text"])


async def test_vectors_that_were_cut_have_length_one_again() -> None:
    async with provided("gemini/gemini-embedding-001@128") as (server, provider):
        server.answer_next(orjson.dumps({"data": [{"embedding": [3.0] * 128, "index": 0}]}))
        (vector,) = (await provider.embed(["a text"])).vectors
    assert vector.dtype == np.float32
    assert np.linalg.norm(vector) == pytest.approx(1)


def test_an_index_that_is_left_out_is_zero_as_google_means_it() -> None:
    data = [{"index": 1, "embedding": [1.0]}, {"embedding": [0.0]}]
    assert [vector.tolist() for vector in openai_form(orjson.dumps({"data": data})).vectors] == [[0.0], [1.0]]


def test_coheres_numbers_are_read_as_well_as_base64() -> None:
    read = cohere_form(b'{"embeddings": {"float": [[1.0, 2.0]]}, "meta": {"billed_units": {"input_tokens": 7.0}}}')
    assert [vector.tolist() for vector in read.vectors] == [[1.0, 2.0]]
    assert read.tokens == 7


@pytest.mark.parametrize("body", [b"[]", b"{}", b'{"embeddings": []}', b'{"embeddings": {"float": null}}'])
async def test_an_answer_of_another_form_points_at_the_address(body: bytes) -> None:
    async with provided("cohere/embed-v4.0") as (server, provider):
        server.answer_next(body)
        with pytest.raises(ProviderRejected, match="COHERE_BASE_URL"):
            await provider.embed(["a text"])
