"""Many runs at once: cancelled or replayed, as many as one request may take."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, HTTPException
from pydantic import BaseModel, ConfigDict, Field

from cdc.events import bulk
from cdc.events.bulk import Done, Rest
from cdc.store.choice import Choice
from cdc.web.answers import Json
from cdc.web.api.answering import One, changes
from cdc.web.api.choosing import Moment, Status
from cdc.web.api.strict import Here, Strict

router = APIRouter(route_class=Strict, tags=["runs"])

_REASON = "cancelled over the API"

Named = Annotated[list[str] | None, Field(min_length=1, max_length=1000)]


class Chosen(BaseModel):
    """Runs; at least one of the four says which."""

    model_config = ConfigDict(extra="forbid")

    function: Named = Field(default=None, description="Of these functions.")
    status: list[Status] | None = Field(default=None, min_length=1, description="In these states.")
    since: Moment | None = Field(default=None, description="Created since then.")
    until: Moment | None = Field(default=None, description="Created before then.")
    cursor: str | None = Field(default=None, description="The `next` of the answer before, beside the same four.")


class Changed(BaseModel):
    """What became of them."""

    runs: int = Field(description="How many there were.")
    changed: int = Field(description="How many of them were cancelled or replayed now.")
    next: str | None = Field(description="There are more: ask again with this as `cursor`. Null: that was all.")


@router.post(
    "/v1/runs/cancel",
    operation_id="cancel_runs",
    summary="Cancel many runs",
    response_model=One[Changed],
    responses=changes(),
)
async def cancel_runs(site: Here, body: Chosen) -> Json:
    """The unfinished ones of a choice, up to 10,000 in one request."""
    choice, rest = _choice(body), _rest(body)
    async with site.hands() as hands:
        return _answer(await bulk.cancel(hands, choice, _REASON, rest, most=bulk.MOST))


@router.post(
    "/v1/runs/replay",
    operation_id="replay_runs",
    summary="Replay many runs",
    response_model=One[Changed],
    responses=changes(),
)
async def replay_runs(site: Here, body: Chosen) -> Json:
    """The ended ones of a choice, without `status` the failed ones, up to 10,000 in one request."""
    choice, rest = _choice(body), _rest(body)
    async with site.hands() as hands:
        return _answer(await bulk.replay(hands, choice, rest, most=bulk.MOST))


def _choice(body: Chosen) -> Choice:
    choice = Choice(body.function, body.status, body.since, body.until)
    if choice == Choice():
        raise HTTPException(400, "Which runs? Give at least one of function, status, since and until.")
    return choice


def _rest(body: Chosen) -> Rest | None:
    try:
        return None if body.cursor is None else Rest.read(body.cursor)
    except ValueError:
        raise HTTPException(400, "cursor is not one that this route gave: give back its `next` as it is.") from None


def _answer(done: Done) -> Json:
    return Json({"data": {"runs": done.runs, "changed": done.changed, "next": done.rest and done.rest.text()}})
