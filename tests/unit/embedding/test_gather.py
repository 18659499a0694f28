from __future__ import annotations

import asyncio
import math
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cdc import telemetry
from cdc.ai.errors import InputRefused, ProviderUnavailable
from cdc.embedding.gather import Embedder, Result
from cdc.embedding.models import Model
from cdc.embedding.providers import Answer, Vector
from cdc.errors import ConfigurationError

MODEL = "openai/of-the-test"
GUILTY = "guilty"


class Scripted:
    """A provider whose requests end when the test says so; a text's vector spells the text."""

    def __init__(
        self, *, max_inputs: int = 4, max_tokens: int = 1000, concurrency: int = 2, held: bool = False
    ) -> None:
        self.max_inputs = max_inputs
        self.max_tokens = max_tokens
        self.concurrency = self.max_concurrency = concurrency
        self.tells_queries = False
        self.requests: list[list[str]] = []
        self.busy = self.peak = 0
        self.errors: dict[tuple[str, ...], Exception] = {}
        self.instead: dict[str, Vector] = {}
        self.missing = 0
        self.tokens_each: int | None = None
        self.closed = False
        self.free = asyncio.Event()
        if not held:
            self.free.set()

    async def embed(self, texts: Sequence[str], *, query: bool = False) -> Answer:
        self.requests.append(list(texts))
        self.busy += 1
        self.peak = max(self.peak, self.busy)
        try:
            await self.free.wait()
            await asyncio.sleep(0)
        finally:
            self.busy -= 1
        if tuple(texts) in self.errors:
            raise self.errors[tuple(texts)]
        if any(GUILTY in text for text in texts):
            raise InputRefused(f"refused {len(texts)}")
        vectors = [self.instead.get(text, vector_of(text)) for text in texts][self.missing :]
        return Answer(vectors, tokens=self.tokens_each and self.tokens_each * len(texts))

    async def close(self) -> None:
        assert self.busy == 0
        self.closed = True


def vector_of(text: str) -> Vector:
    return np.frombuffer(text.encode("utf-32-le") or b"\0\0\0\0", np.uint32).astype(np.float32)


def embedder(provider: Scripted) -> Embedder:
    return Embedder(lambda _: provider)


def same(results: Sequence[Result], texts: Sequence[str]) -> bool:
    return len(results) == len(texts) and all(
        isinstance(result, np.ndarray) and np.array_equal(result, vector_of(text))
        for result, text in zip(results, texts, strict=True)
    )


async def ticks(count: int = 5) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


@given(
    calls=st.lists(st.tuples(st.lists(st.text("abc", max_size=3), max_size=9), st.integers(0, 6)), max_size=12),
    max_inputs=st.integers(1, 5),
    max_tokens=st.integers(1, 9),
    concurrency=st.integers(1, 3),
)
@settings(deadline=None)
def test_each_text_gets_its_own_vector_within_the_limits(
    calls: list[tuple[list[str], int]], max_inputs: int, max_tokens: int, concurrency: int
) -> None:
    async def scenario() -> None:
        provider = Scripted(max_inputs=max_inputs, max_tokens=max_tokens, concurrency=concurrency)
        subject = embedder(provider)

        async def call(texts: list[str], after: int) -> None:
            await ticks(after)
            assert same(await subject.embed(MODEL, texts), texts)

        await asyncio.gather(*(call(*each) for each in calls))
        assert provider.peak <= concurrency
        for request in provider.requests:
            assert 0 < len(request) <= max_inputs
            assert len(request) == 1 or sum(map(len, request)) <= max_tokens

    asyncio.run(scenario())


@given(
    texts=st.lists(st.sampled_from(["a", "b", "c", "d", f"1 {GUILTY}", f"2 {GUILTY}"]), min_size=1, max_size=20),
    max_inputs=st.integers(1, 16),
)
@settings(deadline=None)
def test_only_the_guilty_text_gets_the_refusal(texts: list[str], max_inputs: int) -> None:
    async def scenario() -> None:
        subject = embedder(Scripted(max_inputs=max_inputs))
        for text, result in zip(texts, await subject.embed(MODEL, texts), strict=True):
            if GUILTY in text:
                assert isinstance(result, InputRefused)
                assert str(result) == "refused 1"
            else:
                assert same([result], [text])

    asyncio.run(scenario())


async def test_one_guilty_text_costs_two_requests_a_halving() -> None:
    provider = Scripted(max_inputs=256)
    texts = [str(number) for number in range(255)] + [GUILTY]
    results = await embedder(provider).embed(MODEL, texts)
    assert same(results[:-1], texts[:-1])
    assert isinstance(results[-1], InputRefused)
    assert len(provider.requests) == 1 + 2 * math.log2(256)


async def test_a_request_asked_in_halves_keeps_to_its_one_place() -> None:
    provider = Scripted(max_inputs=8, concurrency=1)
    subject = embedder(provider)
    await asyncio.gather(subject.embed(MODEL, [*"abcdefg", GUILTY]), subject.embed(MODEL, list("hijk")))
    assert provider.peak == 1


async def test_calls_of_one_tick_share_a_request_and_a_lone_call_does_not_wait() -> None:
    provider = Scripted(max_inputs=10, held=True)
    subject = embedder(provider)
    calls = [asyncio.create_task(subject.embed(MODEL, [text])) for text in "abc"]
    await ticks()
    assert provider.requests == [["a", "b", "c"]]
    calls.append(asyncio.create_task(subject.embed(MODEL, ["d"])))
    await ticks()
    assert provider.requests == [["a", "b", "c"], ["d"]]
    provider.free.set()
    assert [same(await call, [text]) for call, text in zip(calls, "abcd", strict=True)] == [True] * 4


async def test_texts_queue_while_all_places_are_taken_and_fill_the_next_request() -> None:
    provider = Scripted(max_inputs=50, concurrency=1, held=True)
    subject = embedder(provider)
    first = asyncio.create_task(subject.embed(MODEL, ["first"]))
    await ticks()
    later = []
    for number in range(60):
        later.append(asyncio.create_task(subject.embed(MODEL, [str(number)])))
        await ticks(2)
    assert provider.requests == [["first"]]
    provider.free.set()
    await asyncio.gather(first, *later)
    assert [len(request) for request in provider.requests] == [1, 50, 10]


async def test_identical_texts_on_their_way_are_asked_once() -> None:
    provider = Scripted(max_inputs=10, concurrency=1, held=True)
    subject = embedder(provider)
    calls = [asyncio.create_task(subject.embed(MODEL, texts)) for texts in (["a", "b", "a"], ["b", "c"])]
    await ticks()
    calls.append(asyncio.create_task(subject.embed(MODEL, ["c", "d"])))
    await ticks()
    provider.free.set()
    results = [await call for call in calls]
    assert [same(*each) for each in zip(results, (list("aba"), list("bc"), list("cd")), strict=True)] == [True] * 3
    assert provider.requests == [["a", "b", "c"], ["d"]]
    assert same(await subject.embed(MODEL, ["a"]), ["a"])
    assert provider.requests[2:] == [["a"]]


async def test_an_unavailable_provider_is_raised_to_those_in_the_request_only() -> None:
    provider = Scripted(max_inputs=2, concurrency=1, held=True)
    subject = embedder(provider)
    hit = [asyncio.create_task(subject.embed(MODEL, texts)) for texts in (["a"], ["b", "c"])]
    spared = asyncio.create_task(subject.embed(MODEL, ["d"]))
    await ticks()
    provider.errors["a", "b"] = ProviderUnavailable("busy", retry_after=3.0)
    provider.free.set()
    for call in hit:
        with pytest.raises(ProviderUnavailable) as caught:
            await call
        assert caught.value.delay == caught.value.retry_after == 3.0
    assert same(await spared, ["d"])
    # c's only caller has its error already: c is not asked any more.
    assert provider.requests == [["a", "b"], ["d"]]


async def test_a_failure_between_two_halves_leaves_what_is_settled_alone() -> None:
    provider = Scripted(max_inputs=4, concurrency=1, held=True)
    subject = embedder(provider)
    good, bad = (asyncio.create_task(subject.embed(MODEL, texts)) for texts in (["a", "b"], ["c", GUILTY]))
    await ticks()
    provider.errors["c", GUILTY] = ProviderUnavailable("busy")
    provider.free.set()
    assert same(await good, ["a", "b"])
    with pytest.raises(ProviderUnavailable):
        await bad
    assert provider.requests == [["a", "b", "c", GUILTY], ["a", "b"], ["c", GUILTY]]


async def test_a_cancelled_caller_takes_nobody_with_it() -> None:
    provider = Scripted(max_inputs=2, concurrency=1, held=True)
    subject = embedder(provider)
    gone, stays = (asyncio.create_task(subject.embed(MODEL, texts)) for texts in (["a", "b"], ["a", "b", "c"]))
    waiting = asyncio.create_task(subject.embed(MODEL, ["d"]))
    await ticks()
    gone.cancel()
    waiting.cancel()
    await ticks()
    provider.free.set()
    assert same(await stays, ["a", "b", "c"])
    assert gone.cancelled()
    assert provider.requests == [["a", "b"], ["c"]]
    assert same(await subject.embed(MODEL, ["d"]), ["d"])


async def test_a_shared_vector_cannot_be_written_to() -> None:
    (vector,) = await embedder(Scripted()).embed(MODEL, ["a"])
    assert isinstance(vector, np.ndarray)
    with pytest.raises(ValueError, match="read-only"):
        vector += 1


async def test_a_wrong_number_of_vectors_reaches_the_callers_as_an_error() -> None:
    provider = Scripted()
    provider.missing = 1
    with pytest.raises(ValueError, match="zip"):
        await embedder(provider).embed(MODEL, ["a"])


async def test_dimensions_are_known_or_asked_once() -> None:
    provider = Scripted(held=True)
    subject = embedder(provider)
    assert await subject.dimensions("openai/text-embedding-3-large") == 3072
    asked = [asyncio.create_task(subject.dimensions(MODEL)) for _ in range(3)]
    await ticks()
    provider.free.set()
    assert [await call for call in asked] == [len("dimensions")] * 3
    assert await subject.dimensions(MODEL) == len("dimensions")
    assert provider.requests == [["dimensions"]]


async def test_a_provider_is_opened_when_its_model_is_first_used() -> None:
    opened: list[str] = []

    def open_provider(model: Model) -> Scripted:
        opened.append(model.id)
        return Scripted()

    subject = Embedder(open_provider)
    assert await subject.embed("openai/a", []) == []
    assert opened == []
    for model in ("openai/a", "openai/b", "openai/a"):
        await subject.embed(model, ["x"])
    assert opened == ["a", "b"]
    with pytest.raises(ConfigurationError):
        await subject.embed("nobody/c", ["x"])


async def test_closing_answers_everybody_and_closes_the_provider() -> None:
    provider = Scripted(max_inputs=1, concurrency=1, held=True)
    subject = embedder(provider)
    calls = [asyncio.create_task(subject.embed(MODEL, [text])) for text in "abc"]
    await ticks()
    await subject.close()
    assert [type(result) for result in await asyncio.gather(*calls, return_exceptions=True)] == [
        ProviderUnavailable
    ] * 3
    assert provider.closed


async def test_a_vector_that_is_not_finite_is_an_error_of_its_text_only() -> None:
    provider = Scripted()
    provider.instead["bad"] = np.array([1.0, np.nan], np.float32)
    good, bad = await embedder(provider).embed(MODEL, ["good", "bad"])
    assert same([good], ["good"])
    assert isinstance(bad, InputRefused)


async def test_a_request_for_many_is_not_logged_as_that_of_the_run_which_came_first() -> None:
    seen = []

    class Telling(Scripted):
        async def embed(self, texts: Sequence[str], *, query: bool = False) -> Answer:
            seen.append(telemetry.about.get())
            return await super().embed(texts, query=query)

    subject = embedder(Telling())
    token = telemetry.about.set(lambda: {"run": "the first"})
    try:
        await subject.embed(MODEL, ["a"])
    finally:
        telemetry.about.reset(token)
    assert seen == [None]
