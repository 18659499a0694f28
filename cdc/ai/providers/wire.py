"""Reading a stream to its end."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any

from cdc.ai.failures import Unanswered
from cdc.ai.streams import Form, Incomplete


async def captured(stream: AsyncIterator[Mapping[str, Any]], form: Form, heard: Callable[[], None]) -> dict[str, Any]:
    """The whole answer of a stream; `heard` is called at its first chunk that carries some of it.

    Raises:
        Unanswered: the stream ended too early, or its chunks are not of this form.
    """
    chunks: list[Mapping[str, Any]] = []
    spoken = False
    async for chunk in stream:
        if not isinstance(chunk, Mapping):
            raise Unanswered("sent what is no stream of a model's answer")
        if not spoken and form.speaks(chunk):
            spoken = True
            heard()
        chunks.append(chunk)
    try:
        return form.merge(chunks)
    except Incomplete:
        raise Unanswered("broke off in the middle of its answer") from None
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise Unanswered("sent what is no stream of a model's answer") from error
