"""The texts of one model on their way to its provider.

A call goes out at once while the provider has a place free, together with the calls of the same tick of the event
loop. While all places are taken texts queue, and the next requests take them together: requests grow with the load,
and a lone text never waits for company. Texts of a request that the provider had no room for go back to the front,
and all wait until it has.
"""

from __future__ import annotations

import asyncio
import math
from collections import deque
from collections.abc import Callable, Sequence

from cdc import telemetry
from cdc.ai.call import Call, Usage
from cdc.ai.errors import InputRefused, ProviderUnavailable
from cdc.embedding.callers import Caller, Result, Text
from cdc.embedding.models import Model
from cdc.embedding.pace import Pace, Start
from cdc.embedding.providers import Answer, Provider
from cdc.embedding.room import Room

_FEW = 256
"""Texts that are not spread over more requests: fewer in one cost more CPU each."""

_PATIENCE = 30.0
"""Seconds without an answer that texts wait here for a provider that limits us; then their runs do, in the database."""


class Lane:
    """The texts of one model: waiting, or in a request. `on_call` is told of every request."""

    def __init__(
        self,
        model: Model,
        provider: Provider,
        *,
        query: bool = False,
        on_call: Callable[[Call], None] = lambda call: None,
        patience: float = _PATIENCE,
    ) -> None:
        self._model, self._provider, self._query = model, provider, query
        self._on_call, self._patience = on_call, patience
        self._pace = Pace(provider.concurrency, provider.max_concurrency)
        self._room = Room(provider.max_inputs, provider.max_tokens)
        self._texts: dict[str, Text] = {}
        self._waiting: deque[Text] = deque()
        self._requests: set[asyncio.Task[None]] = set()
        self._waking: asyncio.Handle | None = None
        self._limited_since: float | None = None
        self._now = asyncio.get_running_loop().time

    async def join(self, texts: Sequence[str]) -> Sequence[Result]:
        """One vector per text, or what is wrong with it; see `Embedder.embed`."""
        caller = Caller(len(texts))
        for place, text in enumerate(texts):
            entry = self._texts.get(text)
            if entry is None:
                entry = self._texts[text] = Text(text)
                self._waiting.append(entry)
            entry.places.append((caller, place))
        if self._waking is None:
            self._waking = asyncio.get_running_loop().call_soon(self._wake)
        return await caller.answer

    async def close(self) -> None:
        """Fail whoever still waits."""
        self._give_up(ProviderUnavailable("The service is stopping."), list(self._texts.values()))
        if self._waking is not None:
            self._waking.cancel()
        for request in self._requests:
            request.cancel()
        await asyncio.gather(*self._requests, return_exceptions=True)

    # --- what goes out, and when ---

    def _wake(self) -> None:
        self._waking = None
        self._start()

    def _start(self) -> None:
        while self._waking is None and len(self._requests) < self._pace.places and (batch := self._take()):
            now, tokens = self._now(), self._room.estimate(sum(len(text.text) for text in batch))
            wait = self._pace.wait(now, tokens)
            if wait > 0:
                self._waiting.extendleft(reversed(batch))
                self._hold(wait)
                return
            request = asyncio.create_task(
                self._request(batch, self._pace.started(now, tokens)), context=telemetry.apart()
            )
            self._requests.add(request)
            request.add_done_callback(self._finish)

    def _finish(self, request: asyncio.Task[None]) -> None:
        self._requests.discard(request)
        self._start()

    def _hold(self, wait: float) -> None:
        """Start nothing for a while; give up what would wait for too long."""
        since = self._now() if self._limited_since is None else self._limited_since
        if self._now() + wait - since > self._patience:
            message = f"The provider of {self._model.name} has no room within {self._patience:.0f} seconds."
            self._give_up(ProviderUnavailable(message, retry_after=wait, limited=True), list(self._waiting))
            return
        self._waking = asyncio.get_running_loop().call_later(wait, self._wake)

    def _take(self) -> list[Text]:
        """Waiting texts for one request, in the order they came; one alone always fits.

        They are spread over the places that are free, unless requests are what we have too few of.
        """
        share = -(-len(self._waiting) // (self._pace.places - len(self._requests)))
        most = self._room.inputs if self._pace.scarce else min(self._room.inputs, max(_FEW, share))
        batch: list[Text] = []
        left = self._pace.tokens(self._room.tokens)
        while self._waiting and len(batch) < most:
            text = self._waiting[0]
            if text.wanted:
                left -= self._room.estimate(len(text.text))
                if batch and left < 0:
                    break
                batch.append(text)
            else:  # every caller went away
                del self._texts[text.text]
            self._waiting.popleft()
        return batch

    # --- what comes back ---

    async def _request(self, batch: Sequence[Text], start: Start) -> None:
        try:
            await self._ask(batch, start)
        except ProviderUnavailable as error:
            if error.limited:
                self._back(batch, error, start)
            else:
                self._give_up(error, batch)
        except Exception as error:  # noqa: BLE001 - whatever it is, it is for the callers to judge
            self._give_up(error, batch)
        finally:
            self._pace.ended(start)

    def _back(self, batch: Sequence[Text], error: ProviderUnavailable, start: Start) -> None:
        now = self._now()
        self._limited_since = now if self._limited_since is None else self._limited_since
        wait = self._pace.refused(now, start, error.retry_after)
        self._waiting.extendleft(text for text in reversed(batch) if text.places)
        if self._waking is not None:  # a hold that began earlier may end too early
            self._waking.cancel()
            self._waking = None
        self._hold(wait)

    async def _ask(self, batch: Sequence[Text], start: Start) -> int:
        """Settle all texts; returns how many were refused."""
        try:
            answer = await self._provided(batch, start)
        except InputRefused as refusal:
            if len(batch) == 1:
                self._settle(batch[0], refusal)
                return 1
            middle = len(batch) // 2
            # One half after the other: together they still take this request's place only.
            refused = await self._ask(batch[:middle], start) + await self._ask(batch[middle:], start)
            if not refused:  # none of the texts is to blame
                self._room.was_too_much([text.text for text in batch])
            return refused
        for text, vector in zip(batch, answer.vectors, strict=True):
            vector.setflags(write=False)
            # pgvector takes no NaN, and would refuse the whole batch for it.
            sound = math.isfinite(abs(vector).max())
            self._settle(text, vector if sound else InputRefused("The model has no finite vector for this text."))
        return 0

    async def _provided(self, batch: Sequence[Text], start: Start) -> Answer:
        texts, began = [text.text for text in batch], self._now()
        try:
            answer = await self._provider.embed(texts, query=self._query)
        except Exception as error:
            self._record(began, len(texts), error=type(error).__name__)
            raise
        latency = self._record(began, len(texts), answer)
        self._limited_since = None
        self._pace.answered(self._now(), start, latency, answer.rates, busy=bool(self._waiting))
        self._room.held(texts, answer.tokens)
        return answer

    def _record(self, began: float, inputs: int, answer: Answer | None = None, *, error: str | None = None) -> float:
        latency = self._now() - began
        tokens, response_model = (answer.tokens, answer.model) if answer else (None, None)
        self._on_call(
            Call(
                "embeddings",
                self._model.provider,
                self._model.id,
                latency,
                Usage(input_tokens=tokens, total_tokens=tokens),
                response_model=response_model,
                error=error,
                inputs=inputs,
            )
        )
        return latency

    # --- what the callers get ---

    def _settle(self, text: Text, result: Result) -> None:
        for caller, place in self._leave(text):
            caller.settle(place, result)

    def _give_up(self, error: Exception, texts: Sequence[Text]) -> None:
        for text in texts:
            for caller, _ in self._leave(text):
                caller.fail(error)
        self._waiting = deque(text for text in self._waiting if text.places)

    def _leave(self, text: Text) -> list[tuple[Caller, int]]:
        """Take a text out of the lane, once; its places."""
        places, text.places = text.places, []
        if places:
            del self._texts[text.text]
        return places
