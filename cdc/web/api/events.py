"""Events: those accepted lately, one of them, and the runs that it started."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, HTTPException, Query
from pydantic import BaseModel, Field
from starlette.responses import Response

from cdc.events.resending import NotResent, again
from cdc.store import listing, looking
from cdc.store.connect import Connection
from cdc.store.listing import EventKey, Page, Which
from cdc.store.starts import uuid
from cdc.web.answers import Json, uuid_of
from cdc.web.api import cursors, shown, tables
from cdc.web.api.answering import MOST, All, EventCursor, EventId, Limit, Listed, Nothing, One, changes, listed, refused
from cdc.web.api.choosing import Since, Until
from cdc.web.api.shown import RunListed
from cdc.web.api.strict import Here, Strict
from cdc.web.api.tables import AsTable

router = APIRouter(route_class=Strict, tags=["events"])

_COLUMNS = ("id", "name", "ts", "accepted_at", "given_id", "v", "data", "truncated", "excerpt")


class EventListed(BaseModel):
    """An event in a list."""

    id: str
    name: str
    ts: datetime = Field(description="Its own time.")
    accepted_at: datetime
    given_id: str | None = Field(description="By its sender.")
    v: str | None = Field(description="Version of the data's shape, given by its sender.")
    data: dict[str, Any] | None = Field(description="Null when it has more than 4 kB.")
    truncated: bool = Field(description="Whether the data is left out: GET /v1/events/{id} has it.")
    excerpt: str | None = Field(description="The beginning of data that is left out, unless it is very large.")
    internal_id: str = Field(description="The `id`, as it is called elsewhere.")
    received_at: datetime = Field(description="`accepted_at`, as it is called elsewhere.")


class Event(BaseModel):
    """An event."""

    id: str
    name: str
    ts: datetime = Field(description="Its own time.")
    data: dict[str, Any]
    accepted_at: datetime
    given_id: str | None = Field(description="By its sender.")
    user: dict[str, Any] = Field(description="Given by its sender.")
    v: str | None = Field(description="Version of the data's shape, given by its sender.")
    internal_id: str = Field(description="The `id`, as it is called elsewhere.")
    received_at: datetime = Field(description="`accepted_at`, as it is called elsewhere.")


class Resent(BaseModel):
    """The new event."""

    event_id: str


@router.get(
    "/v1/events",
    operation_id="list_events",
    summary="The latest events",
    response_model=Listed[EventListed],
    responses=listed("events"),
)
async def list_events(
    site: Here,
    as_table: AsTable,
    name: Annotated[str | None, Query(description="Of this name, or of a pattern: `db/users.*`.")] = None,
    text: Annotated[
        str | None, Query(min_length=1, description="With this in their data, as it is written there in JSON.")
    ] = None,
    since: Since = None,
    until: Until = None,
    cursor: EventCursor = None,
    limit: Limit = None,
) -> Response:
    """By when they were accepted, newest first."""
    which, after = Which(name, text, since, until), cursors.event(cursor)

    async def page(after: EventKey | None, size: int) -> Page[EventKey]:
        async with site.state() as conn:
            return await listing.events(conn, which, size, after=after)

    if as_table:
        pages = listing.each(lambda then: page(then or after, tables.ROWS))
        return await tables.table("events", _COLUMNS, pages, limit)
    found = await page(after, limit or MOST)
    return Json(
        {
            "data": [_named(row) for row in found.rows],
            "next": found.next and cursors.after_event(found.next),
            "searched_until": found.searched_until,
        }
    )


@router.get(
    "/v1/events/{id}",
    operation_id="get_event",
    summary="One event",
    response_model=One[Event],
    responses=refused(404),
)
async def get_event(site: Here, event_id: EventId) -> Json:
    """With all of its data."""
    async with site.state() as conn:
        return Json({"data": _named(await _event(conn, event_id)), "metadata": shown.metadata()})


@router.get(
    "/v1/events/{id}/runs",
    operation_id="runs_of_event",
    summary="The runs of an event",
    response_model=All[RunListed],
    responses=refused(404),
)
async def runs_of_event(site: Here, event_id: EventId) -> Json:
    """Those that it started or was added to, and their replays, oldest first."""
    async with site.state() as conn:
        found = await looking.runs_of(conn, await _event(conn, event_id))
    told = [{**shown.named(run), "event_id": uuid_of(event_id, "event")} for run in found]
    return Json({"data": told, "metadata": shown.metadata()})


@router.post(
    "/v1/events/{id}/resend",
    operation_id="resend_event",
    summary="Send an event again",
    response_model=One[Resent],
    responses=changes(404, 409),
)
async def resend_event(site: Here, event_id: EventId, body: Nothing | None = None) -> Json:
    """A new event of the same name, with the same data. 409: it is of an invocation, which starts nothing again."""
    try:
        async with site.state() as conn:
            event = await again(conn, uuid_of(event_id, "event"))
    except NotResent as error:
        raise HTTPException(409, str(error)) from None
    if event is None:
        raise HTTPException(404, "There is no such event.")
    async with site.hands() as hands:
        await hands.take([event])
    return Json({"data": {"event_id": uuid(event.id)}})


def _named(event: dict[str, Any]) -> dict[str, Any]:
    """An event with the names that Inngest's API has for what ours calls otherwise."""
    return {**event, "internal_id": event["id"], "received_at": event["accepted_at"]}


async def _event(conn: Connection, event_id: str) -> dict[str, Any]:
    found = await looking.event(conn, uuid_of(event_id, "event"))
    if found is None:
        raise HTTPException(404, "There is no such event.")
    return found
