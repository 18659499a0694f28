"""Reading a stream to its end, and knowing a connection that broke."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from functools import partial
from typing import Any, cast

import orjson

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


async def posted(
    package: Any, client: Any, path: str, body: Mapping[str, Any], form: Form, timeout: float, heard: Callable[[], None]
) -> dict[str, Any]:
    """The answer to a body over the client of `openai` or `anthropic`, which are made by one generator.

    Below their methods with typed parameters, which refuse what is newer than the package.

    Raises:
        Unanswered: there is no answer, or half of one.
        Exception: the package's APIError; the server says no.
    """
    post = partial(client.post, path, body=dict(body), options={"timeout": timeout})
    try:
        if not body.get("stream"):
            return cast("dict[str, Any]", orjson.loads(await post(cast_to=bytes)))
        stream = await post(cast_to=object, stream=True, stream_cls=package.AsyncStream[object])
        return await captured(stream, form, heard)
    except package.APITimeoutError:
        raise Unanswered("did not answer in time") from None
    except package.APIConnectionError:
        raise Unanswered("cannot be reached, or broke off") from None


def is_broken(error: Exception) -> bool:
    """Whether it is one of httpx or httpx2, which the packages let through while they read a stream."""
    return any(
        cls.__name__ == "HTTPError" and cls.__module__.partition(".")[0] in ("httpx", "httpx2")
        for cls in type(error).__mro__
    )
