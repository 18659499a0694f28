"""What acts on functions and runs: an invocation, cancellations."""

from __future__ import annotations

import time
from collections.abc import Mapping
from datetime import datetime
from typing import Any

import uuid_utils
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from cdc.events import bulk
from cdc.remote.routes.answers import Json, object_of, run_of
from cdc.remote.routes.service import Service
from cdc.store import looking
from cdc.store.choice import Choice
from cdc.store.json import encoded

REASON = "cancelled over the API"


def routes(service: Service) -> list[Route]:
    """All of them."""

    async def invoke(request: Request) -> Response:
        data = (await object_of(request)).get("data")
        if not isinstance(data, dict | None):
            raise HTTPException(400, "data is not an object.")
        async with service.hands() as hands:
            event_id = await hands.invoke(request.path_params["slug"], encoded(data or {}))
        if event_id is None:
            raise HTTPException(404, "There is no such function.")
        return Json({"id": event_id, "status": 200})

    async def cancel(request: Request) -> Response:
        return Json({"data": {"run_id": await cancelled(service, run_of(request))}})

    async def cancel_v0(request: Request) -> Response:
        return await cancel(request)

    async def cancel_many(request: Request) -> Response:
        body = await object_of(request)
        choice = _choice(body)
        async with service.hands() as hands:
            done = await bulk.cancel(hands, choice, REASON)
            while done.rest:
                done = await bulk.cancel(hands, choice, REASON, done.rest)
        told = {name: body.get(name) for name in ("app_id", "function_id", "started_after", "started_before")}
        return Json({"data": {"id": str(uuid_utils.uuid7()), **told}, "metadata": metadata()}, status_code=201)

    async def under_way(request: Request) -> Response:
        return Json({"data": [], "metadata": metadata()})

    return [
        Route("/invoke/{slug:path}", invoke, methods=["POST"]),
        Route("/v0/runs/{run}", cancel_v0, methods=["DELETE"]),
        Route("/v1/runs/{run}", cancel, methods=["DELETE"]),
        Route("/v1/cancellations", cancel_many, methods=["POST"]),
        Route("/v1/cancellations", under_way),
    ]


async def cancelled(service: Service, run_id: str | None) -> str:
    """Cancel a run.

    Raises:
        HTTPException: there is none, or it has ended.
    """
    async with service.state() as conn:
        if run_id is None or not await looking.is_run(conn, run_id):
            raise HTTPException(404, "There is no such run.")
    async with service.hands() as hands:
        if not await hands.cancel([run_id], REASON):
            raise HTTPException(409, "The run has ended already.")
    return run_id


def metadata() -> Mapping[str, Any]:
    """What stands beside the data of an answer."""
    return {"fetched_at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()), "cached_until": None}


def _choice(body: Mapping[str, Any]) -> Choice:
    function_id, app_id = body.get("function_id"), body.get("app_id")
    if not isinstance(function_id, str) or not function_id:
        raise HTTPException(400, "function_id is missing.")
    if body.get("if") is not None:
        raise HTTPException(400, "Cancellations by an expression (if) are not supported.")
    names = [function_id, f"{app_id}-{function_id}"] if isinstance(app_id, str) and app_id else [function_id]
    return Choice(names, None, _moment(body, "started_after"), _moment(body, "started_before"))


def _moment(body: Mapping[str, Any], name: str) -> datetime | None:
    given = body.get(name)
    if given is None:
        return None
    try:
        moment = datetime.fromisoformat(str(given))
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None:
        raise HTTPException(400, f"{name} is not a moment such as 2026-05-01T12:00:00Z.")
    return moment
