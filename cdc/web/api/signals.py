"""Signals, which runs wait for."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, HTTPException
from pydantic import BaseModel, Field

from cdc.store.json import document
from cdc.web.answers import Json
from cdc.web.api.answering import Asked, One, changes
from cdc.web.api.strict import Here, Strict

router = APIRouter(route_class=Strict, tags=["runs"])


class Signal(Asked):
    """A signal."""

    signal: str = Field(min_length=1, description="Its name, which a run waits for.")
    data: Any = Field(default=None, description="What it carries; null is `{}`.")


class Signalled(BaseModel):
    """The run that goes on."""

    run_id: str


@router.post(
    "/v1/signals",
    operation_id="send_signal",
    summary="Send a signal",
    response_model=One[Signalled],
    responses=changes(404),
)
async def send_signal(site: Here, body: Signal) -> Json:
    """The run that waits for it goes on."""
    run_id = None
    if body.signal.isprintable():
        async with site.hands() as hands:
            run_id = await hands.signal(body.signal, document({} if body.data is None else body.data).encode())
    if run_id is None:
        raise HTTPException(404, "No run waits for this signal.")
    return Json({"data": {"run_id": run_id}, "metadata": {}})
