"""Reading a stream to its end, and knowing a connection that broke."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any

from cdc.ai.failures import Unanswered
from cdc.ai.streams import Form, Incomplete

NO_ANSWER = "sent what is no model's answer"


async def captured(stream: AsyncIterator[Mapping[str, Any]], form: Form, heard: Callable[[], None]) -> dict[str, Any]:
    """The whole answer of a stream; `heard` is called at its first chunk that carries some of it.

    Raises:
        Unanswered: the stream ended too early, or its chunks are not of this form.
    """
    chunks: list[Mapping[str, Any]] = []
    spoken = False
    try:
        async for chunk in stream:
            if not spoken and form.speaks(chunk):
                spoken = True
                heard()
            chunks.append(chunk)
        return form.merge(chunks)
    except Incomplete:
        raise Unanswered("broke off in the middle of its answer") from None
    except (AttributeError, IndexError, KeyError, TypeError) as error:
        raise Unanswered(NO_ANSWER) from error


def is_broken(error: Exception) -> bool:
    """Whether it is one of httpx or httpx2, which the packages let through while they read a stream."""
    return any(
        cls.__name__ == "HTTPError" and cls.__module__.partition(".")[0] in ("httpx", "httpx2")
        for cls in type(error).__mro__
    )
