"""How changes come from each source: slot, publication, tables, lag; and what `cdc doctor` says."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

from fastapi import APIRouter, HTTPException, Query
from pydantic import BaseModel, ConfigDict, Field

from cdc.store import gaps
from cdc.web.answers import Json
from cdc.web.api.answering import All, refused
from cdc.web.api.strict import Here, Strict

router = APIRouter(route_class=Strict, tags=["replication"])


class Slot(BaseModel):
    """A replication slot, as its server tells of it."""

    model_config = ConfigDict(extra="allow")

    retained_bytes: int | None = Field(description="WAL that is kept for it.")
    lag_bytes: int | None = Field(description="WAL that is not confirmed.")


class Gap(BaseModel):
    """A window in which changes were lost."""

    model_config = ConfigDict(extra="allow")

    from_lsn: str
    from_at: datetime
    to_lsn: str | None
    to_at: datetime | None = Field(description="Null: it lasts.")
    reason: str


class Source(BaseModel):
    """A watched database."""

    model_config = ConfigDict(extra="allow")

    name: str
    publication: str | None
    listening: bool = Field(description="This service does; of several services one does.")
    problem: str | None = Field(description="Why it is not watched.")
    unpublished: dict[str, str] = Field(
        description="Tables that are asked for and not published, each with the reason."
    )
    unanswered: str | None = Field(description="Why its server could not be asked.")
    slot_name: str | None
    slot: Slot | None
    tables: list[str] = Field(description="In the publication.")
    backfills: list[dict[str, Any]] = Field(description="The latest.")
    gaps: list[Gap] = Field(description="Latest first.")


class Check(BaseModel):
    """What the doctor found of one thing."""

    check: str
    state: Literal["ok", "warning", "failed"]
    says: str
    next: str = Field(description="What to do.")


@router.get(
    "/v1/replication",
    operation_id="list_sources",
    summary="How changes come from each source",
    response_model=All[Source],
    responses=refused(),
)
async def list_sources(site: Here) -> Json:
    """Asks each server."""
    if site.replication is None:
        return Json({"data": []})
    async with site.state() as conn:
        lost = [gap._asdict() for gap in await gaps.listed(conn)]
    told = await site.replication.sources()
    return Json({"data": [{**site.known(each["name"]), **each, "gaps": _of(each["name"], lost)} for each in told]})


@router.get(
    "/v1/replication/checks",
    operation_id="examine_source",
    summary="What the doctor says",
    response_model=All[Check],
    responses=refused(404),
)
async def examine_source(
    site: Here, source: Annotated[str | None, Query(description="Its name; the first one without.")] = None
) -> Json:
    """As `cdc doctor --json`, which takes seconds."""
    found = site.replication and await site.replication.checks(source)
    if found is None:
        raise HTTPException(404, f"There is no source {source!r}." if source else "There is no database.")
    return Json({"data": found})


def _of(name: str, lost: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [gap for gap in lost if gap["source"] == name]
