"""Functions: those in force, paused, resumed, invoked."""

from __future__ import annotations

from datetime import datetime
from typing import Any, TypeVar

from fastapi import APIRouter, HTTPException
from pydantic import BaseModel, ConfigDict, Field

from cdc.store import looking, tallies
from cdc.store.json import document
from cdc.web.answers import Json
from cdc.web.api.ai import window
from cdc.web.api.answering import All, Asked, FunctionId, Nothing, One, changes, refused
from cdc.web.api.strict import Here, Strict

router = APIRouter(route_class=Strict, tags=["functions"])

T = TypeVar("T")


class Function(BaseModel):
    """A function as it is registered."""

    model_config = ConfigDict(extra="allow")

    id: str
    name: str
    triggers: list[dict[str, Any]]
    retries: int
    updated_at: datetime
    paused_at: datetime | None


class Figures(BaseModel):
    """What it did in the last 24 hours. Times are in seconds, null of none."""

    started: int
    completed: int
    failed: int
    cancelled: int
    retried: int
    per_second: float
    success: float | None = Field(description="The share of those that completed or failed.")
    took_p50: float | None
    took_p95: float | None
    waited_p50: float | None = Field(description="From due to claimed.")
    waited_p95: float | None


class Shown(Function):
    """One function."""

    figures: Figures | None = Field(description="Null: it did nothing in the last 24 hours.")


class Held(BaseModel):
    """A function was paused."""

    held: int = Field(description="Runs that had not started, and stand aside.")


class Released(BaseModel):
    """A function goes on."""

    released: int = Field(description="Runs that had stood aside.")


class Invoked(BaseModel):
    """A function was invoked."""

    event_id: str = Field(description="Its run is found by it.")


class Invoking(Asked):
    """What the run is given."""

    data: dict[str, Any] | None = Field(default=None, description="Of its event.")


@router.get(
    "/v1/functions",
    operation_id="list_functions",
    summary="Functions in force",
    response_model=All[Function],
    responses=refused(),
)
async def list_functions(site: Here) -> Json:
    """As they are registered, by id."""
    async with site.state() as conn:
        return Json({"data": await looking.functions(conn)})


@router.get(
    "/v1/functions/{id:path}",
    operation_id="get_function",
    summary="One function",
    response_model=One[Shown],
    responses=refused(404),
)
async def get_function(site: Here, function_id: FunctionId) -> Json:
    """As it is registered, and what it did in the last 24 hours."""
    async with site.state() as conn:
        found = _known(await looking.function(conn, function_id))
        figures = {each.function: each._asdict() for each in await tallies.functions(conn, window("24h"))}
    return Json({"data": {**found, "figures": figures.get(function_id)}})


@router.post(
    "/v1/functions/{id:path}/pause",
    operation_id="pause_function",
    summary="Pause a function",
    response_model=One[Held],
    responses=changes(404),
)
async def pause_function(site: Here, function_id: FunctionId, body: Nothing | None = None) -> Json:
    """What it has begun goes on; events still create runs, which wait."""
    async with site.hands() as hands:
        held = _known(await hands.pause(function_id))
    return Json({"data": {"held": held}})


@router.post(
    "/v1/functions/{id:path}/resume",
    operation_id="resume_function",
    summary="Resume a function",
    response_model=One[Released],
    responses=changes(404),
)
async def resume_function(site: Here, function_id: FunctionId, body: Nothing | None = None) -> Json:
    """The runs that waited first."""
    async with site.hands() as hands:
        released = _known(await hands.resume(function_id))
    return Json({"data": {"released": released}})


@router.post(
    "/v1/functions/{id:path}/invoke",
    operation_id="invoke_function",
    summary="Invoke a function",
    response_model=One[Invoked],
    responses=changes(404),
)
async def invoke_function(site: Here, function_id: FunctionId, body: Invoking | None = None) -> Json:
    """Start one run, whatever its triggers."""
    data = document((body and body.data) or {}).encode()
    async with site.hands() as hands:
        event_id = _known(await hands.invoke(function_id, data))
    return Json({"data": {"event_id": event_id}})


def _known(done: T | None) -> T:
    if done is None:
        raise HTTPException(404, "There is no such function.")
    return done
