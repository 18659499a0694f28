from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from traceback import format_exception
from typing import Any

import numpy as np
import orjson
import pytest
import pytest_asyncio

from cdc.ai.access import Access
from cdc.ai.errors import InputRefused, ProviderRejected, ProviderUnavailable
from cdc.ai.patience import retry_after
from cdc.embedding.gather import Embedder
from cdc.embedding.models import parse
from cdc.embedding.providers import opener
from cdc.embedding.providers.answers import openai_form
from cdc.embedding.providers.remote import Remote
from cdc.embedding.providers.vendors import VENDORS
from tests.openai_server import OpenAIServer, unit_vectors

MODEL = "openai/text-embedding-3-small"
SECRET = "sk-of-the-test"
TEXT = "a text that must not be quoted"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shared() -> AsyncIterator[OpenAIServer]:
    async with OpenAIServer() as server:
        yield server


@pytest.fixture
def server(shared: OpenAIServer) -> OpenAIServer:
    shared.reset()
    return shared


@asynccontextmanager
async def asking(server: OpenAIServer) -> AsyncIterator[Remote]:
    provider = Remote(parse(MODEL), VENDORS["openai"], Access(SECRET, server.url))
    try:
        yield provider
    finally:
        await provider.close()


@asynccontextmanager
async def gathering(server: OpenAIServer) -> AsyncIterator[Embedder]:
    embedder = Embedder(opener({"openai": Access(SECRET, server.url)}))
    try:
        yield embedder
    finally:
        await embedder.close()


@pytest.mark.parametrize("base64", [True, False], ids=["base64", "lists of numbers"])
async def test_vectors_come_back_in_order(base64: bool) -> None:
    texts = ["one", "two", "drei — vier", "one"]
    async with OpenAIServer(base64=base64) as server, asking(server) as provider:
        vectors = (await provider.embed(texts)).vectors
    assert all(vector.dtype == np.float32 for vector in vectors)
    np.testing.assert_allclose(np.array(vectors), unit_vectors(texts), atol=1e-7)
    assert server.seen == texts


def test_an_answer_is_ordered_by_index() -> None:
    data = [{"index": place, "embedding": [float(place)]} for place in (2, 0, 1)]
    assert [vector.tolist() for vector in openai_form(orjson.dumps({"data": data})).vectors] == [[0.0], [1.0], [2.0]]


@pytest.mark.parametrize(
    ("headers", "wait"),
    [({}, None), ({"retry-after": "7"}, 7.0), ({"retry-after": "7", "retry-after-ms": "250"}, 0.25)],
)
async def test_a_rate_limit_says_when_to_come_back(
    server: OpenAIServer, headers: dict[str, str], wait: float | None
) -> None:
    async with asking(server) as provider:
        server.fail_next(status=429, headers=headers, message="Rate limit reached", code="rate_limit_exceeded")
        with pytest.raises(ProviderUnavailable, match="429") as caught:
            await provider.embed([TEXT])
        assert caught.value.retry_after == wait
        assert len((await provider.embed([TEXT])).vectors) == 1
        assert server.requests == 2


@pytest.mark.parametrize("status", [408, 409, 500, 502, 503, 529])
async def test_trouble_at_the_provider_is_worth_another_try(server: OpenAIServer, status: int) -> None:
    async with asking(server) as provider:
        server.fail_next(status=status)
        with pytest.raises(ProviderUnavailable, match=str(status)):
            await provider.embed([TEXT])
        assert server.requests == 1


async def test_a_cut_connection_is_worth_another_try(server: OpenAIServer) -> None:
    async with asking(server) as provider:
        server.cut_next()
        with pytest.raises(ProviderUnavailable, match="cannot be reached"):
            await provider.embed([TEXT])
        assert len((await provider.embed([TEXT])).vectors) == 1


async def test_nobody_listening_is_worth_another_try() -> None:
    async with OpenAIServer() as server:
        provider = Remote(parse(MODEL), VENDORS["openai"], Access(SECRET, server.url))
    with pytest.raises(ProviderUnavailable, match="cannot be reached"):
        await provider.embed([TEXT])
    await provider.close()


async def test_a_late_answer_is_worth_another_try(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cdc.embedding.providers.vendors.TIMEOUT", 0.05)
    async with OpenAIServer() as server, asking(server) as provider:
        server.waits_for = lambda: False
        with pytest.raises(ProviderUnavailable, match="in time"):
            await provider.embed([TEXT])


@pytest.mark.parametrize("status", [400, 413, 422])
async def test_a_refused_text_is_not_tried_again_and_not_quoted(server: OpenAIServer, status: int) -> None:
    async with asking(server) as provider:
        server.fail_next(status=status, message=f"no: {TEXT}")
        with pytest.raises(InputRefused, match=f"a text of {len(TEXT)} characters") as caught:
            await provider.embed([TEXT])
        assert TEXT not in "".join(format_exception(caught.value))
        assert TEXT in caught.value.detail


@pytest.mark.parametrize(
    ("status", "error", "says"),
    [
        (401, {"message": f"Incorrect API key provided: {SECRET}"}, "OPENAI_API_KEY"),
        (403, {}, "OPENAI_API_KEY"),
        (404, {"code": "model_not_found"}, "model's name"),
        (400, {"code": "model_not_found"}, "model's name"),
        (400, {"param": "model"}, "model's name"),
        (429, {"code": "insufficient_quota"}, "billing"),
        (405, {}, "OPENAI_BASE_URL"),
    ],
)
async def test_what_an_operator_can_mend_waits_for_him(
    server: OpenAIServer, status: int, error: dict[str, Any], says: str
) -> None:
    async with asking(server) as provider:
        server.fail_next(status=status, **error)
        with pytest.raises(ProviderRejected, match=says) as caught:
            await provider.embed([TEXT, TEXT])
    assert caught.value.delay == 60
    assert SECRET not in "".join(format_exception(caught.value))


async def test_a_wrong_key_is_told_from_a_right_one() -> None:
    async with OpenAIServer(key="another") as server, asking(server) as provider:
        with pytest.raises(ProviderRejected, match="OPENAI_API_KEY"):
            await provider.embed([TEXT])
    async with OpenAIServer(key=SECRET) as server, asking(server) as provider:
        assert len((await provider.embed([TEXT])).vectors) == 1


async def test_a_server_without_keys_needs_none(server: OpenAIServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    provider = Remote(parse(MODEL), VENDORS["openai"], Access(base_url=server.url))
    assert len((await provider.embed([TEXT])).vectors) == 1
    await provider.close()


@pytest.mark.parametrize(
    "body",
    [
        b"<html>",
        b"{}",
        b'{"data": []}',
        b'{"data": [{"index": 0, "embedding": null}]}',
        b'{"data": [{"index": 0, "embedding": "?"}]}',
        b'{"data": [{"index": 0, "embedding": 1.0}]}',
        b'{"data": [{"index": 0, "embedding": [1.0]}, {"index": 1, "embedding": [1.0, 2.0]}]}',
        b'{"data": [{"index": 0, "embedding": [1.0]}, {"index": 1, "embedding": [1.0]}]}',
    ],
)
async def test_an_answer_of_another_form_points_at_the_base_url(server: OpenAIServer, body: bytes) -> None:
    async with asking(server) as provider:
        server.answer_next(body)
        with pytest.raises(ProviderRejected, match="OPENAI_BASE_URL"):
            await provider.embed([TEXT])


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"retry-after": "soon"}, None),
        ({"retry-after": "nan"}, None),
        ({"retry-after": "-3"}, 0.0),
        ({"retry-after": "1.5"}, 1.5),
        ({"retry-after": "Wed, 21 Oct 2015 07:28:00 GMT"}, 0.0),
        ({"retry-after-ms": "x", "retry-after": "2"}, 2.0),
    ],
)
def test_retry_after_is_read(headers: dict[str, str], seconds: float | None) -> None:
    assert retry_after(headers) == seconds


def test_retry_after_may_be_a_date() -> None:
    wait = retry_after({"retry-after": format_datetime(datetime.now(UTC) + timedelta(minutes=1), usegmt=True)})
    assert wait == pytest.approx(60, abs=30)


async def test_a_backfill_takes_full_requests_eight_at_a_time() -> None:
    texts = [f"row {number}" for number in range(3000)]
    async with OpenAIServer(latency=0.1) as server, gathering(server) as embedder:
        calls = await asyncio.gather(*(embedder.embed(MODEL, [text]) for text in texts))
    np.testing.assert_allclose(np.array([call[0] for call in calls]), unit_vectors(texts), atol=1e-7)
    assert 1 < server.peak <= 8
    assert server.requests == 8
    assert server.inputs == 3000


async def test_through_the_whole_way_only_the_refused_text_fails(server: OpenAIServer) -> None:
    texts = [f"row {number}" for number in range(99)] + ["row [refuse]"]
    async with gathering(server) as embedder:
        *vectors, refused = await embedder.embed(MODEL, texts)
        assert await embedder.dimensions("openai/unheard-of") == 1536
    np.testing.assert_allclose(np.array(vectors), unit_vectors(texts[:-1]), atol=1e-7)
    assert isinstance(refused, InputRefused)
    assert "a text of 12 characters" in str(refused)


async def test_a_request_with_too_much_text_is_asked_in_halves(server: OpenAIServer) -> None:
    dense = [f"{number} " + "x" * 30_000 for number in range(60)]
    async with asking(server) as provider:
        provider.max_tokens = 10_000_000
        embedder = Embedder(lambda _: provider)
        results = await embedder.embed(MODEL, dense)
    assert not any(isinstance(result, Exception) for result in results)
    assert server.requests == 3
