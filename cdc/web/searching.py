"""Routes that find rows by meaning, and that embed texts with the models of targets."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import asdict
from math import ceil
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from cdc.ai.errors import InputRefused, ProviderRejected, ProviderUnavailable
from cdc.authoring.context import Embeddings
from cdc.errors import ConfigurationError, DatabaseRefused, DatabaseUnreachable
from cdc.store.failures import ConnectionTrouble, PoolTimeout
from cdc.web.answers import Dense, Json, object_of
from cdc.web.site import At

MOST_TEXTS = 256
"""In one request."""

_MOST_HITS = 1000

_Act = Callable[[Embeddings, dict[str, Any]], Awaitable[Any]]


def routes(at: At) -> list[Route]:
    """Both change nothing, and are POST for what they carry."""

    def route(path: str, act: _Act, answer: type[Json]) -> Route:
        async def handle(request: Request) -> Response:
            body = await object_of(request)
            source = _given(body, "source", str)
            embeddings = at(source)
            if embeddings is None:
                raise HTTPException(404, f"There is no source {source!r}." if source else "There is no database.")
            return answer({"data": await _answered(act(embeddings, body))})

        return Route(path, handle, methods=["POST"])

    return [route("/v1/search", _search, Json), route("/v1/embed", _embed, Dense)]


async def _search(embeddings: Embeddings, body: dict[str, Any]) -> list[dict[str, Any]]:
    limit = _given(body, "limit", int)
    if limit is not None and not 1 <= limit <= _MOST_HITS:
        raise HTTPException(400, f"limit must be a number from 1 to {_MOST_HITS}.")
    hits = await embeddings.search(
        _needed(body, "table"),
        _needed(body, "query"),
        limit or 5,
        filter=_given(body, "filter", dict),
        hybrid=bool(_given(body, "hybrid", bool)),
        language=_given(body, "language", str) or "simple",
        target=_given(body, "target", str),
        columns=_texts(body, "columns"),
        every_chunk=bool(_given(body, "every_chunk", bool)),
    )
    return [asdict(hit) for hit in hits]


async def _embed(embeddings: Embeddings, body: dict[str, Any]) -> dict[str, Any]:
    model, texts = _given(body, "model", str), _texts(body, "texts")
    if not texts or len(texts) > MOST_TEXTS:
        raise HTTPException(400, f"texts has 1 to {MOST_TEXTS} texts.")
    if model is None:
        model = await embeddings.model(_needed(body, "table"), _given(body, "target", str))
    vectors = []
    for vector in await embeddings.embed(model, texts, query=bool(_given(body, "queries", bool))):
        if isinstance(vector, Exception):
            raise vector
        vectors.append(vector)
    return {"model": model, "dimensions": len(vectors[0]), "vectors": vectors}


async def _answered(answer: Awaitable[Any]) -> Any:
    """An answer, or what is in its way as a status."""
    try:
        return await answer
    except ConfigurationError as error:
        raise HTTPException(400, str(error)) from None
    except DatabaseRefused as error:
        raise HTTPException(403, str(error)) from None
    except DatabaseUnreachable as error:
        raise HTTPException(503, str(error)) from None
    except InputRefused as error:
        raise HTTPException(422, str(error)) from None
    except ProviderUnavailable as error:
        later = {} if error.retry_after is None else {"retry-after": str(ceil(error.retry_after))}
        raise HTTPException(503, str(error), later) from None
    except ProviderRejected as error:
        raise HTTPException(502, str(error)) from None
    except (*ConnectionTrouble, PoolTimeout):
        raise HTTPException(503, "The database that is searched does not answer.") from None


def _needed(body: dict[str, Any], name: str) -> str:
    found = _given(body, name, str)
    if not found:
        raise HTTPException(400, f"{name} is missing.")
    return str(found)


def _given(body: dict[str, Any], name: str, kind: type) -> Any:
    """A field that may be left out, or be null.

    Raises:
        HTTPException: it is of another type.
    """
    value = body.get(name)
    if value is not None and (not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool)):
        called = {str: "a text", int: "a whole number", bool: "true or false", dict: "an object", list: "a list"}
        raise HTTPException(400, f"{name} is not {called[kind]}.")
    return value


def _texts(body: dict[str, Any], name: str) -> list[str] | None:
    found = _given(body, name, list)
    if found and not all(isinstance(each, str) for each in found):
        raise HTTPException(400, f"{name} is not a list of texts.")
    return found  # type: ignore[no-any-return]
