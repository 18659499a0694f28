"""The state of a run, for SDKs that were told to fetch it because it is too large to be sent along (section 4.7)."""

from __future__ import annotations

from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from cdc.remote.memos import hashed, memo, steps_of, told_event
from cdc.remote.planning import has_ended
from cdc.remote.routes.answers import Json, gone, run_of
from cdc.remote.routes.service import Service
from cdc.store import events, runs
from cdc.store.connect import Connection
from cdc.store.runs import Given

_GONE = "There is no such run, or it has ended."


def routes(service: Service) -> list[Route]:
    """Its events, and what is recorded of its steps."""

    async def batch(request: Request) -> Response:
        async with service.state() as conn:
            run = await _run(conn, run_of(request))
            return gone(_GONE) if run is None else Json(await given(conn, run))

    async def actions(request: Request) -> Response:
        async with service.state() as conn:
            run = await _run(conn, run_of(request))
            return gone(_GONE) if run is None else Json(await ended(conn, run.id))

    return [Route("/v0/runs/{run}/batch", batch), Route("/v0/runs/{run}/actions", actions)]


async def given(conn: Connection, run: Given) -> list[dict[str, Any]]:
    """The events of a run as SDKs see them, in their order."""
    loaded = await events.load(conn, run.event_ids)
    return [told_event(loaded[id_]) for id_ in run.event_ids if id_ in loaded]


async def ended(conn: Connection, run_id: str) -> dict[str, Any]:
    """What its steps came to, by the hash of their id; of one that is to run with another input, that."""
    told: dict[str, Any] = {}
    for key, recorded in steps_of((await runs.memos(conn, [run_id])).get(run_id, {})):
        if has_ended(recorded):
            told[hashed(key)] = memo(recorded.kind, recorded.data, recorded.error)
        elif recorded.edit is not None:
            told[hashed(key)] = {"input": recorded.edit}
    return told


async def _run(conn: Connection, run_id: str | None) -> Given | None:
    found = [] if run_id is None else await runs.repeatable(conn, [run_id])
    return next((run for run in found if not run.ended), None)
