"""Calls of models: the latest, and what they came to."""

from __future__ import annotations

import time
from datetime import datetime
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query
from pydantic import BaseModel, ConfigDict, Field

from cdc.store import summaries, tallies
from cdc.store.plots import Window
from cdc.web.answers import Json
from cdc.web.api import cursors
from cdc.web.api.answering import MOST, CallCursor, Limit, One, refused
from cdc.web.api.strict import Here, Strict

router = APIRouter(route_class=Strict, tags=["ai"])

Span = Literal["1h", "24h", "7d"]

_HOUR, _DAY = 3600, 86400
_WINDOWS: dict[str, tuple[int, int]] = {"1h": (_HOUR, 60), "24h": (_DAY, 60), "7d": (7 * _DAY, _HOUR)}
"""Seconds back, and of the rows that are read."""


class CallListed(BaseModel):
    """A call of a model."""

    id: int
    ended_at: datetime
    run_id: str | None = Field(description="Null: vectors, asked for by many runs together.")
    step_id: str | None
    function_id: str | None
    operation: str
    provider: str
    model: str
    input_tokens: int | None
    output_tokens: int | None
    latency: float = Field(description="Seconds.")
    cost: float | None = Field(description="US dollars; null: the price is unknown.")
    error: str | None

    model_config = ConfigDict(extra="allow")


class Calls(BaseModel):
    """A page of calls, newest first."""

    data: list[CallListed]
    next: str | None = Field(description="The `cursor` of the next page; null: this was the last one.")


class OfModel(BaseModel):
    """What calls of one model came to."""

    model: str
    calls: int
    failed: int
    input_tokens: int
    output_tokens: int
    cost: float = Field(description="US dollars, of the calls whose price is known.")

    model_config = ConfigDict(extra="allow")


class OfFunction(BaseModel):
    """What calls of one function came to."""

    function: str
    calls: int
    tokens: int
    cost: float = Field(description="US dollars, of the calls whose price is known.")


class Usage(BaseModel):
    """What calls of models came to."""

    models: list[OfModel]
    functions: list[OfFunction]


def window(span: Span) -> Window:
    """So far back from now, as one step."""
    back, width = _WINDOWS[span]
    now = time.time()
    return Window(int(now - back) // width * width, now, back, width)


@router.get(
    "/v1/ai/calls",
    operation_id="list_calls",
    summary="The latest calls of models",
    response_model=Calls,
    responses=refused(),
)
async def list_calls(site: Here, cursor: CallCursor = None, limit: Limit = None) -> Json:
    """Newest first. What was said is with the run's step."""
    size = limit or MOST
    async with site.state() as conn:
        found = await summaries.calls(conn, size + 1, before=cursors.call(cursor))
    more = len(found) > size
    return Json({"data": found[:size], "next": cursors.after_call(found[size - 1]["id"]) if more else None})


@router.get(
    "/v1/ai/usage",
    operation_id="usage",
    summary="What calls of models came to",
    response_model=One[Usage],
    responses=refused(),
)
async def usage(site: Here, since: Annotated[Span, Query(description="How far back.")] = "24h") -> Json:
    """By model, those that were called most first; and by function, those that cost most first."""
    over = window(since)
    async with site.state() as conn:
        models, askers = await tallies.models(conn, over), await tallies.askers(conn, over)
    told: dict[str, Any] = {"models": [each._asdict() for each in models]}
    return Json({"data": {**told, "functions": [each._asdict() for each in askers]}})
