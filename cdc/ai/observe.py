"""What can be told of a result that a function got from a provider's package by itself, for `step.ai.wrap`.

A provider is recognised by the package that its classes come from; nothing is imported that the function has not.
"""

from __future__ import annotations

import asyncio
import inspect
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import AsyncExitStack
from typing import Any, NamedTuple

from pydantic import BaseModel

from cdc.ai import kept, reading, streams
from cdc.ai.errors import ModelUnavailable
from cdc.ai.kept import comes_from_a_package, dump, restore
from cdc.ai.reading import Reading as Observed

__all__ = ["Captured", "Observed", "captured", "dump", "observed", "restore"]

_FINALS = ("get_final_message", "get_final_completion", "get_final_response")


class Captured(NamedTuple):
    """What a call returned, whole. `first_token` is in seconds from the beginning of the call."""

    result: Any
    first_token: float | None = None
    streamed: bool = False


def observed(result: object) -> Observed | None:
    """Provider, model, tokens and reason of an answer: an object of a provider's package, or its JSON; else None."""
    if isinstance(result, Mapping) or comes_from_a_package(result):
        return reading.read(result)
    return None


async def captured(result: Any, began: float | None = None) -> Captured:
    """The result as it is; of a stream, all of it as the answer that was not streamed.

    `began` is when the call was made, by `time.perf_counter`. Any other stream becomes the list of its items.

    Raises:
        ModelUnavailable: the stream ended before the answer did.
    """
    start = time.perf_counter() if began is None else began
    if isinstance(result, BaseModel):
        return Captured(result)
    if comes_from_a_package(result) and not _iterates(result):
        return await _managed(result, start)
    if isinstance(result, AsyncIterator) or (comes_from_a_package(result) and _iterates(result)):
        return await _drained(result, start)
    return Captured(result)


def _iterates(result: object) -> bool:
    return isinstance(result, AsyncIterator | Iterator) or hasattr(result, "__aiter__") or hasattr(result, "__iter__")


async def _managed(result: Any, start: float) -> Captured:
    """A stream that has to be entered first, as `client.messages.stream(...)` gives it."""
    async with AsyncExitStack() as stack:
        if hasattr(result, "__aenter__"):
            return await _drained(await stack.enter_async_context(result), start)
        if hasattr(result, "__enter__"):
            entered = await asyncio.to_thread(result.__enter__)
            stack.push(result.__exit__)
            return await _drained(entered, start)
    return Captured(result)


async def _drained(stream: Any, start: float) -> Captured:
    items: list[Any] = []
    first: float | None = None
    async for item in _all_of(stream):
        if first is None and _speaks(item):
            first = time.perf_counter() - start
        items.append(item)
    final = next((getattr(stream, name) for name in _FINALS if hasattr(stream, name)), None)
    if final is None:
        return Captured(_whole(items), first, streamed=True)
    whole = await final() if inspect.iscoroutinefunction(final) else await asyncio.to_thread(final)
    return Captured(whole, first, streamed=True)


async def _all_of(stream: Any) -> AsyncIterator[Any]:
    if hasattr(stream, "__aiter__"):
        async for item in stream:
            yield item
        return
    # A blocking stream waits in a thread, as a plain step function does.
    iterator, end = iter(stream), object()
    while (item := await asyncio.to_thread(next, iterator, end)) is not end:
        yield item


def _speaks(item: Any) -> bool:
    """Whether some of the answer is in a chunk, or in an event that a package makes of chunks."""
    chunk = _document(item)
    form = streams.form_of(chunk)
    if form is not None and form.speaks(chunk):
        return True
    return str(chunk.get("type")).endswith("delta")


def _whole(items: list[Any]) -> Any:
    chunks = [_document(item) for item in items]
    form = streams.form_of(chunks[0]) if chunks else None
    if form is None:
        return items
    try:
        document = form.merge(chunks)
    except (streams.Incomplete, AttributeError, LookupError, TypeError):
        raise ModelUnavailable("The model's provider broke off in the middle of its answer.") from None
    # A function that made plain JSON of the chunks gets plain JSON.
    return kept.of_form(form, document) if comes_from_a_package(items[0]) else document


def _document(item: Any) -> Mapping[str, Any]:
    if isinstance(item, Mapping):
        return item
    if not comes_from_a_package(item) or not isinstance(item, BaseModel):
        return {}
    document: dict[str, Any] = kept.plain(item)
    return document
