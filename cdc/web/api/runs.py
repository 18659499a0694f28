"""Runs: listed, shown, cancelled, replayed."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, HTTPException, Query

from cdc.store import looking
from cdc.web.answers import MOST, Json, uuid_of
from cdc.web.api.answering import Limit, RunId, changes, refused
from cdc.web.api.choosing import Chosen
from cdc.web.api.strict import Here, Strict
from cdc.web.site import Site

router = APIRouter(route_class=Strict, tags=["runs"])

_REASON = "cancelled over the API"


@router.get("/v1/runs", operation_id="list_runs", summary="The latest runs", responses=refused())
async def list_runs(
    site: Here, choice: Chosen, before: Annotated[str | None, Query()] = None, limit: Limit = MOST
) -> Json:
    """Newest first."""
    async with site.state() as conn:
        return Json({"data": await looking.runs(conn, choice, limit, before=before and uuid_of(before))})


@router.get("/v1/runs/{id}", operation_id="get_run", summary="One run", responses=refused(404))
async def get_run(site: Here, run_id: RunId) -> Json:
    """With its steps, waits and log lines."""
    async with site.state() as conn:
        found = await looking.run(conn, uuid_of(run_id))
    if found is None:
        raise HTTPException(404, "There is no such run.")
    return Json({"data": found})


@router.post("/v1/runs/{id}/cancel", operation_id="cancel_run", summary="Cancel a run", responses=changes(404, 409))
async def cancel_run(site: Here, run_id: RunId) -> Json:
    """A step under way is stopped."""
    known = await _known(site, run_id)
    async with site.hands() as hands:
        if not await hands.cancel([known], _REASON):
            raise HTTPException(409, "The run has ended already.")
    return Json({"data": {"run_id": known}})


@router.post("/v1/runs/{id}/replay", operation_id="replay_run", summary="Replay a run", responses=changes(404, 409))
async def replay_run(site: Here, run_id: RunId) -> Json:
    """Give its events to a new run of the same function."""
    known = await _known(site, run_id)
    async with site.hands() as hands:
        repeated = await hands.replay([known])
        if known in repeated.skipped:
            raise HTTPException(409, f"The run cannot be replayed: {repeated.skipped[known]}.")
    return Json({"data": {"run_id": repeated.runs[known], "replays": known}})


async def _known(site: Site, run_id: str) -> str:
    known = uuid_of(run_id)
    async with site.state() as conn:
        if await looking.run(conn, known) is None:
            raise HTTPException(404, "There is no such run.")
    return known
