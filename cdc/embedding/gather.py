"""Gathers the texts of all runs in the process into as few requests as the provider allows.

A call goes out at once while the provider has a place free, together with the calls of the same tick of the event
loop. While all places are taken texts queue, and the next request takes as many as fit: requests grow with the
load, and a lone text never waits for company.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from cdc.ai.errors import InputRefused, ProviderUnavailable
from cdc.embedding.models import Model, parse
from cdc.embedding.providers import Provider, Vector

Result = Vector | Exception


class Embedder:
    """Embeds for all callers of one process and event loop, per model.

    `open_provider` is asked for a provider when a model is first used.
    """

    def __init__(self, open_provider: Callable[[Model], Provider]) -> None:
        self._open_provider = open_provider
        self._lanes: dict[str, _Lane] = {}
        self._dimensions: dict[str, int] = {}

    async def embed(self, model: str, texts: Sequence[str]) -> Sequence[Result]:
        """One vector per text, in order; a text that the provider refuses has its InputRefused instead.

        Vectors have shape (dimensions,) and are shared with others who asked for the same text: do not write to them.

        Raises:
            ConfigurationError: the model's name is wrong, or its key or package is missing.
            ProviderUnavailable: a request with one of the texts failed; asking again may help.
            ProviderRejected: a setting or an installation has to be mended first.
        """
        if not texts:
            return []
        return await self._lane(model).join(texts)

    def check(self, model: str) -> None:
        """Open the model's provider, without asking it anything.

        Raises:
            ConfigurationError: the model's name is wrong, or its key or package is missing.
        """
        self._lane(model)

    async def dimensions(self, model: str) -> int:
        """The length of a model's vectors: known, or found by embedding one word.

        Raises:
            ConfigurationError, InputRefused, ProviderUnavailable, ProviderRejected: as `embed`.
        """
        known = parse(model).dimensions or self._dimensions.get(model)
        if known is not None:
            return known
        (result,) = await self.embed(model, ["dimensions"])
        if isinstance(result, Exception):
            raise result
        return self._dimensions.setdefault(model, len(result))

    async def close(self) -> None:
        """Close the providers; whoever still waits gets ProviderUnavailable."""
        lanes, self._lanes = self._lanes, {}
        for lane in lanes.values():
            await lane.close()

    def _lane(self, model: str) -> _Lane:
        lane = self._lanes.get(model)
        if lane is None:
            lane = self._lanes[model] = _Lane(self._open_provider(parse(model)))
        return lane


class _Call:
    """One caller, and the results that have come in for it."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._results: dict[int, Result] = {}
        self.answer: asyncio.Future[Sequence[Result]] = asyncio.get_running_loop().create_future()

    def settle(self, place: int, result: Result) -> None:
        self._results[place] = result
        if len(self._results) == self._size and not self.answer.done():
            self.answer.set_result([self._results[place] for place in range(self._size)])

    def fail(self, error: Exception) -> None:
        if not self.answer.done():
            self.answer.set_exception(error)
            # A caller cancelled right now will not look at it, and that is no mistake to complain about.
            self.answer.exception()


@dataclass(slots=True, eq=False)
class _Text:
    """A text on its way, and the places in calls that it is wanted for; without places it is settled."""

    text: str
    places: list[tuple[_Call, int]] = field(default_factory=list)

    @property
    def wanted(self) -> bool:
        return any(not call.answer.done() for call, _ in self.places)


class _Lane:
    """The texts of one model: waiting, or in a request."""

    def __init__(self, provider: Provider) -> None:
        self._provider = provider
        self._texts: dict[str, _Text] = {}
        self._waiting: deque[_Text] = deque()
        self._requests: set[asyncio.Task[None]] = set()
        self._waking = False

    async def join(self, texts: Sequence[str]) -> Sequence[Result]:
        call = _Call(len(texts))
        for place, text in enumerate(texts):
            entry = self._texts.get(text)
            if entry is None:
                entry = self._texts[text] = _Text(text)
                self._waiting.append(entry)
            entry.places.append((call, place))
        if not self._waking:
            self._waking = True
            asyncio.get_running_loop().call_soon(self._start)
        return await call.answer

    async def close(self) -> None:
        for text in list(self._texts.values()):
            self._fail(text, ProviderUnavailable("The service is stopping."))
        self._waiting.clear()
        for request in self._requests:
            request.cancel()
        await asyncio.gather(*self._requests, return_exceptions=True)
        await self._provider.close()

    def _start(self) -> None:
        self._waking = False
        while len(self._requests) < self._provider.concurrency and (batch := self._take()):
            request = asyncio.create_task(self._request(batch))
            self._requests.add(request)
            request.add_done_callback(self._finish)

    def _finish(self, request: asyncio.Task[None]) -> None:
        self._requests.discard(request)
        self._start()

    def _take(self) -> list[_Text]:
        """As many waiting texts as fit one request, in the order they came; one alone always fits."""
        batch: list[_Text] = []
        room = self._provider.max_characters
        while self._waiting and len(batch) < self._provider.max_inputs:
            text = self._waiting[0]
            if text.wanted:
                room -= len(text.text)
                if batch and room < 0:
                    break
                batch.append(text)
            else:  # every caller went away
                del self._texts[text.text]
            self._waiting.popleft()
        return batch

    async def _request(self, batch: Sequence[_Text]) -> None:
        try:
            await self._ask(batch)
        except Exception as error:  # noqa: BLE001 - whatever it is, it is for the callers to judge
            for text in batch:
                self._fail(text, error)

    async def _ask(self, batch: Sequence[_Text]) -> None:
        try:
            vectors = await self._provider.embed([text.text for text in batch])
        except InputRefused as refusal:
            if len(batch) == 1:
                self._settle(batch[0], refusal)
                return
            middle = len(batch) // 2
            # One half after the other: together they still take this request's place only.
            await self._ask(batch[:middle])
            await self._ask(batch[middle:])
            return
        for text, vector in zip(batch, vectors, strict=True):
            vector.setflags(write=False)
            # pgvector takes no NaN, and would refuse the whole batch for it.
            sound = bool(np.isfinite(vector).all())
            self._settle(text, vector if sound else InputRefused("The model has no finite vector for this text."))

    def _settle(self, text: _Text, result: Result) -> None:
        for call, place in self._leave(text):
            call.settle(place, result)

    def _fail(self, text: _Text, error: Exception) -> None:
        for call, _ in self._leave(text):
            call.fail(error)

    def _leave(self, text: _Text) -> list[tuple[_Call, int]]:
        """Take a text out of the lane, once; its places."""
        places, text.places = text.places, []
        if places:
            del self._texts[text.text]
        return places
