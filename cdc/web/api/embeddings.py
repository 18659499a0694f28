"""What is embedded: how it stands, and texts that are to be tried again."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, HTTPException, Query
from pydantic import BaseModel, ConfigDict, Field

from cdc.errors import ConfigurationError, DatabaseRefused
from cdc.web.answers import Json
from cdc.web.api.answering import All, Asked, One, changes, refused
from cdc.web.api.strict import Here, Strict

router = APIRouter(route_class=Strict, tags=["embeddings"])


class Standing(BaseModel):
    """How one declared embedding stands, or why a source cannot be asked."""

    model_config = ConfigDict(extra="allow")

    source: str
    problem: str | None


class Retried(BaseModel):
    """Texts are tried again."""

    rows: int = Field(description="That will be looked at.")


class Again(Asked):
    """Texts that were put aside: of a table, of one of its targets, of one row."""

    table: str
    source: str | None = None
    target: str | None = None
    key: str | None = Field(default=None, description="Of one row.")


@router.get(
    "/v1/embeddings",
    operation_id="list_embeddings",
    summary="How embeddings stand",
    response_model=All[Standing],
    responses=refused(),
)
async def list_embeddings(
    site: Here, table: Annotated[str | None, Query(description="Only of this table.")] = None
) -> Json:
    """Each declared embedding."""
    return Json({"data": [] if site.embedded is None else await site.embedded.standing(table)})


@router.post(
    "/v1/embeddings/retry",
    operation_id="retry_texts",
    summary="Try texts again",
    response_model=One[Retried],
    responses=changes(403, 404),
)
async def retry_texts(site: Here, body: Again) -> Json:
    """Those that were put aside."""
    try:
        rows = site.embedded and await site.embedded.retry(body.source, body.table, body.target, body.key)
    except ConfigurationError as error:
        raise HTTPException(400, str(error)) from None
    except DatabaseRefused as error:
        raise HTTPException(403, str(error)) from None
    if rows is None:
        raise HTTPException(404, "There is no such source.")
    return Json({"data": {"rows": rows}})
