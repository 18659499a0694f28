"""Rows found by meaning, and texts embedded with the models of targets."""

from __future__ import annotations

from collections.abc import Awaitable
from dataclasses import asdict
from math import ceil
from typing import Annotated, Any

from fastapi import APIRouter, HTTPException
from pydantic import BaseModel, Field

from cdc.ai.errors import InputRefused, ProviderRejected, ProviderUnavailable
from cdc.authoring.context import Embeddings
from cdc.errors import ConfigurationError, DatabaseRefused, DatabaseUnreachable
from cdc.store.failures import ConnectionTrouble, PoolTimeout
from cdc.web.answers import Dense, Json
from cdc.web.api.answering import All, AnyWhole, Asked, One, changes
from cdc.web.api.strict import Here, Strict
from cdc.web.site import Site

router = APIRouter(route_class=Strict, tags=["search"])

MOST_TEXTS = 256
"""In one request."""

_MOST_HITS = 1000


class Searching(Asked):
    """What is searched for, and where."""

    table: str = Field(min_length=1)
    query: str = Field(min_length=1)
    limit: Annotated[int, Field(ge=1, le=_MOST_HITS), AnyWhole] | None = Field(default=None, description="5 without.")
    filter: dict[str, Any] | None = Field(default=None, description="Values that columns of the row have.")
    hybrid: bool | None = Field(default=None, description="By the words, too.")
    language: str | None = Field(default=None, description="A text search configuration.")
    target: str | None = None
    columns: list[str] | None = Field(default=None, description="Of the row, that are given back.")
    every_chunk: bool | None = None
    source: str | None = None


class Embedding(Asked):
    """Texts, and the model that embeds them: its name, or the table whose target has it."""

    texts: list[str] = Field(min_length=1, max_length=MOST_TEXTS)
    model: str | None = None
    table: str | None = None
    target: str | None = None
    queries: bool | None = Field(default=None, description="They are words to search with.")
    source: str | None = None


class Hit(BaseModel):
    """A row that was found."""

    key: dict[str, Any]
    columns: dict[str, Any]
    distance: float | None
    similarity: float | None
    ordinal: int | None = Field(description="Of the chunk.")
    chunk: str | None
    score: float | None = Field(description="Of a hybrid search.")
    vector_rank: int | None
    text_rank: int | None


class Embedded(BaseModel):
    """Texts as vectors."""

    model: str
    dimensions: int
    vectors: list[list[float]]


@router.post(
    "/v1/search",
    operation_id="search",
    summary="Search",
    response_model=All[Hit],
    responses=changes(403, 404, 422, 502),
)
async def search(site: Here, body: Searching) -> Json:
    """Find rows by meaning."""
    found = _of(site, body.source).search(
        body.table,
        body.query,
        body.limit or 5,
        filter=body.filter,
        hybrid=bool(body.hybrid),
        language=body.language or "simple",
        target=body.target,
        columns=body.columns,
        every_chunk=bool(body.every_chunk),
    )
    return Json({"data": [asdict(hit) for hit in await _answered(found)]})


@router.post(
    "/v1/embed",
    operation_id="embed",
    summary="Embed texts",
    response_model=One[Embedded],
    responses=changes(403, 404, 422, 502),
)
async def embed(site: Here, body: Embedding) -> Json:
    """The vectors of some texts."""
    return Dense({"data": await _answered(_embedded(_of(site, body.source), body))})


def _of(site: Site, source: str | None) -> Embeddings:
    embeddings = site.embeddings(source)
    if embeddings is None:
        raise HTTPException(404, f"There is no source {source!r}." if source else "There is no database.")
    return embeddings


async def _embedded(embeddings: Embeddings, asked: Embedding) -> dict[str, Any]:
    model = asked.model
    if model is None:
        if not asked.table:
            raise HTTPException(400, "table is missing, or model.")
        model = await embeddings.model(asked.table, asked.target)
    vectors = []
    for vector in await embeddings.embed(model, asked.texts, query=bool(asked.queries)):
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
