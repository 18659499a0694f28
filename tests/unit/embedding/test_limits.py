"""A provider that limits the rate: all texts get their vectors, and it is seldom asked in vain."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import numpy as np
import pytest

from cdc.ai.access import Access
from cdc.ai.call import Call
from cdc.ai.errors import InputRefused, ProviderRejected, ProviderUnavailable
from cdc.embedding.gather import Embedder
from cdc.embedding.lane import Lane
from cdc.embedding.models import parse
from cdc.embedding.providers import Answer, opener
from tests.openai_server import OpenAIServer, RateLimit, unit_vectors
from tests.unit.embedding.leaping import leaping
from tests.unit.embedding.test_gather import Scripted, same, ticks

MODEL = "openai/text-embedding-3-small"


@asynccontextmanager
async def gathering(server: OpenAIServer, calls: list[Call] | None = None) -> AsyncIterator[Embedder]:
    told = calls if calls is not None else []
    embedder = Embedder(opener({"openai": Access("any", server.url)}), on_call=told.append)
    try:
        yield embedder
    finally:
        await embedder.close()


async def burst(embedder: Embedder, callers: int, each: int) -> None:
    """Callers come one after the other, as runs do, and each gets the vectors of its own texts."""

    async def ask(caller: int) -> None:
        await asyncio.sleep(caller * 0.02)
        texts = [f"text {number} of {caller}" for number in range(each)]
        vectors = await embedder.embed(MODEL, texts)
        np.testing.assert_allclose(np.array(vectors), unit_vectors(texts), atol=1e-6)

    await asyncio.gather(*map(ask, range(callers)))


async def test_a_burst_against_a_strict_limit_is_embedded_with_few_refusals() -> None:
    async with OpenAIServer(limit=RateLimit(requests=10, burst=5)) as server, gathering(server) as embedder:
        await burst(embedder, callers=80, each=40)
        taken = server.requests - server.limited
    assert len(set(server.seen)) == 3200
    assert server.limited <= 8 + taken // 4, (server.limited, taken)


async def test_a_limit_that_is_told_is_hardly_ever_run_into() -> None:
    limit = RateLimit(requests=10, burst=12, tells=True)
    async with OpenAIServer(limit=limit) as server, gathering(server) as embedder:
        await burst(embedder, callers=1, each=10)  # from now on it is known
        await burst(embedder, callers=80, each=40)
    assert len(set(server.seen)) == 3200
    assert server.limited <= 2


async def test_a_limit_on_tokens_is_kept_to_as_well() -> None:
    limit = RateLimit(requests=1000, burst=1000, tokens=20_000, burst_tokens=10_000, tells=True)
    async with OpenAIServer(limit=limit) as server, gathering(server) as embedder:
        await embedder.embed(MODEL, ["x" * 4000] * 5)
        texts = [f"{number} " + "x" * 4000 for number in range(20)]
        results = await asyncio.gather(*(embedder.embed(MODEL, [text]) for text in texts))
    assert not any(isinstance(vector, Exception) for (vector,) in results)
    assert server.limited <= 8


async def test_a_server_that_takes_fewer_inputs_is_soon_given_no_more() -> None:
    async with OpenAIServer(most=32) as server, gathering(server) as embedder:
        for round_ in range(4):
            texts = [f"{round_} {number}" for number in range(256)]
            vectors = await embedder.embed(MODEL, texts)
            np.testing.assert_allclose(np.array(vectors), unit_vectors(texts), atol=1e-6)
            if round_ == 0:
                server.reset()
    assert server.requests == 3 * 256 / 32


class Limited(Scripted):
    """Refuses for the rate as often as it is told, and says when to come back."""

    def __init__(self, refusals: Sequence[float | None], **limits: Any) -> None:
        super().__init__(**limits)
        self._refusals = list(refusals)

    async def embed(self, texts: Sequence[str], *, query: bool = False) -> Answer:
        answer = await super().embed(texts, query=query)
        if self._refusals:
            raise ProviderUnavailable("slower", retry_after=self._refusals.pop(0), limited=True)
        return answer


async def test_texts_that_were_refused_for_the_rate_come_first_again() -> None:
    provider = Limited([0.0], max_inputs=2, concurrency=1)
    embedder = Embedder(lambda _: provider)
    results = await asyncio.gather(*(embedder.embed(MODEL, [text]) for text in "abcd"))
    assert all(same(result, [text]) for result, text in zip(results, "abcd", strict=True))
    assert provider.requests == [["a", "b"], ["a", "b"], ["c", "d"]]


async def test_a_wait_beyond_patience_is_left_to_the_runs() -> None:
    provider = Limited([3600.0], max_inputs=2, concurrency=1)
    lane = Lane(parse(MODEL), provider)
    asked = [asyncio.create_task(lane.join([text])) for text in "abcd"]
    for call in asked:
        with pytest.raises(ProviderUnavailable) as caught:
            await call
        assert (caught.value.retry_after or 0) >= 3600
        assert not caught.value.counts_as_attempt
    with pytest.raises(ProviderUnavailable):
        await lane.join(["e"])
    assert provider.requests == [["a", "b"]], "nobody asks before the time that was named"
    await lane.close()


def test_refusals_without_end_are_left_to_the_runs_after_a_while() -> None:
    async def scenario() -> None:
        provider = Limited([0.02] * 1000, concurrency=1)
        lane = Lane(parse(MODEL), provider, patience=0.3)
        with pytest.raises(ProviderUnavailable):
            await lane.join(["a"])
        assert len(provider.requests) > 2
        await lane.close()

    leaping(scenario())


async def test_closing_answers_those_who_wait_for_a_provider_that_limits_us() -> None:
    provider = Limited([20.0], concurrency=1)
    lane = Lane(parse(MODEL), provider)
    call = asyncio.create_task(lane.join(["a"]))
    await ticks(10)
    await lane.close()
    with pytest.raises(ProviderUnavailable, match="stopping"):
        await call


async def test_many_texts_are_spread_over_the_free_places_and_fill_requests_when_these_are_few() -> None:
    texts = [str(number) for number in range(4000)]
    provider = Scripted(max_inputs=2048, max_tokens=10**9, concurrency=8)
    await Embedder(lambda _: provider).embed(MODEL, texts)
    assert [len(request) for request in provider.requests] == [500] * 8
    provider = Limited([0.0], max_inputs=2048, max_tokens=10**9, concurrency=8)
    await Embedder(lambda _: provider).embed(MODEL, texts)
    assert max(map(len, provider.requests[8:])) <= 500
    provider = Limited([0.01] * 4, max_inputs=2048, max_tokens=10**9, concurrency=1)
    await Embedder(lambda _: provider).embed(MODEL, texts)
    assert [len(request) for request in provider.requests] == [2048] * 5 + [1952]


async def test_what_the_provider_counts_decides_how_much_fits_a_request() -> None:
    provider = Scripted(max_inputs=2048, max_tokens=1000, concurrency=1)
    provider.tokens_each = 2
    embedder = Embedder(lambda _: provider)
    for _ in range(3):
        await embedder.embed(MODEL, [f"{number:010}" for number in range(1000)])
    assert len(provider.requests[0]) == 100, "a character is taken for a token"
    assert len(provider.requests[-2]) > 350, "it counts two a text"


async def test_every_request_is_told_with_what_it_used() -> None:
    calls: list[Call] = []
    async with OpenAIServer() as server, gathering(server, calls) as embedder:
        await embedder.embed(MODEL, ["one", "two", "one"])
        server.fail_next(status=500)
        server.fail_next(status=401)
        with pytest.raises(ProviderUnavailable):
            await embedder.embed(MODEL, ["a"])
        with pytest.raises(ProviderRejected):
            await embedder.embed(MODEL, ["a"])
        (refused,) = await embedder.embed(MODEL, ["[refuse]"])
    assert isinstance(refused, InputRefused)
    good, *bad = calls
    assert (good.operation, good.provider, good.model) == ("embeddings", "openai", "text-embedding-3-small")
    assert (good.inputs, good.usage.input_tokens, good.usage.total_tokens) == (2, 2, 2)
    assert (good.response_model, good.error) == ("text-embedding-3-small", None)
    assert good.latency > 0
    assert [call.error for call in bad] == ["ProviderUnavailable", "ProviderRejected", "InputRefused"]
