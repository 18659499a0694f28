"""Asking a model of any provider, and keeping what is to be known of the call."""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from cdc.ai.access import Access
from cdc.ai.asking import body_for, parsed
from cdc.ai.call import Answer, Call
from cdc.ai.errors import InputRefused, ModelRejected, ModelUnavailable
from cdc.ai.failures import Unanswered, refused, unavailable
from cdc.ai.models import ChatModel, parse
from cdc.ai.price import cost
from cdc.ai.providers import Provider, open_provider
from cdc.ai.providers.wire import NO_ANSWER, is_broken
from cdc.ai.reading import read
from cdc.ai.spans import traced

__all__ = ["Models", "body_for", "parsed"]


class Models:
    """The models of all providers that there is access to; each is connected to when it is first asked."""

    def __init__(self, access: Mapping[str, Access]) -> None:
        self.access = dict(access)
        self._open: dict[str, Provider] = {}
        self._opening: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)

    async def infer(self, model: str, body: Mapping[str, Any], *, timeout: float) -> Answer:
        """What `model` answers to `body`, the request as its provider's own JSON.

        A body with `"stream": true` is answered in a stream, which is captured whole. Nothing is tried again here.
        The errors carry the `call`, too.

        Raises:
            ConfigurationError: the model, its key or its package is unknown.
            InputRefused: the provider will never take this body.
            ModelUnavailable: there is no answer now.
            ModelRejected: there is none until somebody mends a setting.
        """
        asked = parse(model)
        provider = self._open.get(asked.provider) or await self._opened(asked.provider)
        with traced("chat", asked.provider, asked.id, streamed=bool(body.get("stream"))) as span:
            clock = _Clock()
            try:
                answer = await _ask(provider, asked, body, timeout, clock)
            except (InputRefused, ModelUnavailable, ModelRejected) as error:
                error.call = _call(asked, body, clock, error=type(error).__name__)
                span.end(error.call)
                raise
            span.end(answer.call)
            return answer

    async def close(self) -> None:
        """Close all connections."""
        while self._open:
            await self._open.popitem()[1].close()

    async def _opened(self, name: str) -> Provider:
        async with self._opening[name]:
            if name not in self._open:
                # In a thread: some of the packages take a second to import.
                access = self.access.get(name, Access())
                self._open[name] = await asyncio.to_thread(open_provider, name, access)
            return self._open[name]


class _Clock:
    """When a question was asked, and when the first of its answer came."""

    def __init__(self) -> None:
        self._start = time.perf_counter()
        self.first: float | None = None

    def heard(self) -> None:
        """The first of the answer is here."""
        self.first = self.now()

    def now(self) -> float:
        """Seconds since the question."""
        return time.perf_counter() - self._start


async def _ask(provider: Provider, asked: ChatModel, body: Mapping[str, Any], timeout: float, clock: _Clock) -> Answer:
    try:
        async with asyncio.timeout(timeout):
            document = await provider.ask(asked.id, body, timeout=timeout, heard=clock.heard)
        return _answer(asked, body, document, clock)
    except TimeoutError:
        raise unavailable(provider.host, Unanswered(f"did not answer within {timeout:g} seconds")) from None
    except Unanswered as unanswered:
        raise unavailable(provider.host, unanswered) from unanswered.__cause__
    except ValueError:
        raise unavailable(provider.host, Unanswered(NO_ANSWER)) from None
    except Exception as error:
        if is_broken(error):
            raise unavailable(provider.host, Unanswered("broke off in the middle of its answer")) from None
        refusal = provider.refusal(error)
        if refusal is None:
            raise
        # Not chained: the provider's words may quote the prompt or the key, and a logged traceback would print them.
        raise refused(asked, provider.host, refusal) from None


def _answer(asked: ChatModel, body: Mapping[str, Any], document: Any, clock: _Clock) -> Answer:
    """What is known of an answer.

    Raises:
        Unanswered: it has not the form of one, or says that the model failed.
    """
    reading = read(document) if isinstance(document, dict) else None
    if reading is None:
        raise Unanswered(NO_ANSWER)
    if document.get("object") == "response" and document.get("status") == "failed":
        raise Unanswered("could not finish its answer", detail=str(document.get("error")))
    call = replace(
        _call(asked, body, clock),
        usage=reading.usage,
        response_model=reading.model,
        cost=cost(asked.provider, reading.model or asked.id, reading.usage),
        finish_reason=reading.finish_reason,
    )
    return Answer(document, reading.text, call)


def _call(asked: ChatModel, body: Mapping[str, Any], clock: _Clock, error: str | None = None) -> Call:
    return Call(
        "chat",
        asked.provider,
        asked.id,
        clock.now(),
        first_token=clock.first,
        streamed=bool(body.get("stream")),
        error=error,
    )
