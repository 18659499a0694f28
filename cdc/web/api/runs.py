"""Runs: listed, shown, cancelled, replayed."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, HTTPException
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import Response

from cdc.events.repeating import Edits
from cdc.store import listing, looking
from cdc.store.listing import Page
from cdc.web.answers import Json, uuid_of
from cdc.web.api import cursors, shown, tables
from cdc.web.api.answering import MOST, Limit, Listed, Nothing, One, RunCursor, RunId, changes, listed, refused
from cdc.web.api.choosing import Chosen
from cdc.web.api.shown import Cancelled, Replayed, Run, RunListed
from cdc.web.api.strict import Here, Strict
from cdc.web.api.tables import AsTable
from cdc.web.site import Site

router = APIRouter(route_class=Strict, tags=["runs"])

REASON = "cancelled over the API"


class Edited(BaseModel):
    """Where a replay begins, and what is other in it."""

    model_config = ConfigDict(extra="forbid")

    from_step: str | None = Field(
        default=None, description="The step it begins at: what ended before is not done again."
    )
    input: Any = Field(default=None, description="Of that step, in place of the `input` that it had.")
    data: dict[str, Any] | None = Field(default=None, description="Of the event, in place of its own.")

    def edits(self) -> Edits:
        """The same, as who replays takes it.

        Raises:
            HTTPException: an input without a step.
        """
        try:
            return Edits(self.from_step, self.input, self.data)
        except ValueError as unusable:
            raise HTTPException(400, f"{str(unusable).capitalize()}: give from_step.") from None


_COLUMNS = (
    *("id", "function_id", "status", "failures", "created_at", "started_at", "ended_at", "replays"),
    *("output", "error", "truncated", "excerpt"),
)


@router.get(
    "/v1/runs",
    operation_id="list_runs",
    summary="The latest runs",
    response_model=Listed[RunListed],
    responses=listed("runs"),
)
async def list_runs(
    site: Here, as_table: AsTable, choice: Chosen, cursor: RunCursor = None, limit: Limit = None
) -> Response:
    """Newest first."""
    after = cursors.run(cursor)

    async def page(after: str | None, size: int) -> Page[str]:
        async with site.state() as conn:
            return await listing.runs(conn, choice, size, after=after)

    if as_table:
        pages = listing.each(lambda then: page(then or after, tables.ROWS))
        return await tables.table("runs", _COLUMNS, pages, limit)
    found = await page(after, limit or MOST)
    return Json(
        {
            "data": [shown.named(row) for row in found.rows],
            "next": found.next and cursors.after_run(found.next),
            "searched_until": found.searched_until,
        }
    )


@router.get("/v1/runs/{id}", operation_id="get_run", summary="One run", response_model=One[Run], responses=refused(404))
async def get_run(site: Here, run_id: RunId) -> Json:
    """With its steps, what it waits for, and its first 1,000 log lines."""
    async with site.state() as conn:
        found = await looking.run(conn, uuid_of(run_id))
    if found is None:
        raise HTTPException(404, "There is no such run.")
    event_id = next(iter(found["event_ids"]), None)
    return Json({"data": {**shown.named(found), "event_id": event_id}, "metadata": shown.metadata()})


@router.post(
    "/v1/runs/{id}/cancel",
    operation_id="cancel_run",
    summary="Cancel a run",
    response_model=One[Cancelled],
    responses=changes(404, 409),
)
async def cancel_run(site: Here, run_id: RunId, body: Nothing | None = None) -> Json:
    """A step under way is stopped. 409: it has ended."""
    known = await _known(site, run_id)
    async with site.hands() as hands:
        if not await hands.cancel([known], REASON):
            raise HTTPException(409, "The run has ended already.")
    return Json({"data": {"run_id": known}})


@router.post(
    "/v1/runs/{id}/replay",
    operation_id="replay_run",
    summary="Replay a run",
    response_model=One[Replayed],
    responses=changes(404, 409),
)
async def replay_run(site: Here, run_id: RunId, body: Edited | None = None) -> Json:
    """Give its events to a new run of the same function; from a step on, or with something other in it, if you like."""
    known = await _known(site, run_id)
    async with site.hands() as hands:
        repeated = await hands.replay_from(known, (body or Edited()).edits())
    if known in repeated.skipped:
        raise HTTPException(409, f"The run cannot be replayed: {repeated.skipped[known]}.")
    return Json({"data": {"run_id": repeated.runs[known], "replays": known}})


async def _known(site: Site, run_id: str) -> str:
    known = uuid_of(run_id)
    async with site.state() as conn:
        if await looking.is_run(conn, known):
            return known
    raise HTTPException(404, "There is no such run.")
