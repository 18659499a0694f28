"""Events: those accepted lately, one of them, and the runs that it started."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, HTTPException, Query

from cdc.store import looking
from cdc.store.connect import Connection
from cdc.web.answers import MOST, Json, uuid_of
from cdc.web.api.answering import EventId, Limit, refused
from cdc.web.api.strict import Here, Strict

router = APIRouter(route_class=Strict, tags=["events"])


@router.get("/v1/events", operation_id="list_events", summary="The latest events", responses=refused())
async def list_events(
    site: Here, name: Annotated[str | None, Query(description="Only of this name.")] = None, limit: Limit = MOST
) -> Json:
    """Newest first."""
    async with site.state() as conn:
        return Json({"data": await looking.events(conn, limit, name=name)})


@router.get("/v1/events/{id}", operation_id="get_event", summary="One event", responses=refused(404))
async def get_event(site: Here, event_id: EventId) -> Json:
    """With all of its data."""
    async with site.state() as conn:
        return Json({"data": await _event(conn, event_id)})


@router.get("/v1/events/{id}/runs", operation_id="runs_of_event", summary="Runs of an event", responses=refused(404))
async def runs_of_event(site: Here, event_id: EventId) -> Json:
    """Those that it started or was added to, and their replays, oldest first."""
    async with site.state() as conn:
        return Json({"data": await looking.runs_of(conn, await _event(conn, event_id))})


async def _event(conn: Connection, event_id: str) -> dict[str, Any]:
    found = await looking.event(conn, uuid_of(event_id, "event"))
    if found is None:
        raise HTTPException(404, "There is no such event.")
    return found
