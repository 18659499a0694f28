"""Whether the service lives and is ready, and how it is."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field

from cdc.store import gaps, runs
from cdc.web.answers import Json
from cdc.web.api.answering import refused
from cdc.web.api.strict import Here, Strict

probes = APIRouter(route_class=Strict, tags=["health"])
router = APIRouter(route_class=Strict, tags=["health"])


class Live(BaseModel):
    """The process answers."""

    live: bool


class Ready(BaseModel):
    """Whether the service does its part."""

    ready: bool
    listening: bool = Field(description="To the first source; of several services one does.")


class Status(BaseModel):
    """How the service is: the first source, and all of them."""

    model_config = ConfigDict(extra="allow")

    ready: bool
    listening: bool
    source: str
    slot: str
    publication: str
    problem: str | None
    received_lsn: str
    confirmed_lsn: str
    lag_bytes: int
    unpublished: dict[str, str]
    sources: list[dict[str, Any]]
    runs: dict[str, int] = Field(description="Unfinished ones by status.")
    gaps: list[dict[str, Any]] = Field(description="Windows in which changes were lost, latest first.")


@probes.get("/livez", operation_id="live", summary="Whether the process answers", response_model=Live)
async def live() -> Json:
    """It does whenever this is answered."""
    return Json({"live": True})


@probes.get(
    "/readyz",
    operation_id="ready",
    summary="Whether the service does its part",
    response_model=Ready,
    responses={503: {"model": Ready, "description": "It does not, or not yet."}},
)
async def ready(site: Here) -> Json:
    """It listens, or stands by and works, or only works; and each other source was tried."""
    statuses = site.statuses
    answer = {"ready": statuses.ready, "listening": statuses.listening}
    return Json(answer, status_code=200 if statuses.ready else 503)


@router.get("/v1/status", operation_id="status", summary="How it is", response_model=Status, responses=refused())
async def status(site: Here) -> Json:
    """Its sources, unfinished runs by status, and the windows in which changes were lost."""
    async with site.state() as conn:
        lost = [gap._asdict() for gap in await gaps.listed(conn)]
        return Json({**site.statuses.as_json(), "runs": await runs.counts(conn), "gaps": lost})
