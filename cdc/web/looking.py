"""Routes that only look at events, runs and functions."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from cdc.store import looking
from cdc.store.connect import Connection
from cdc.web.answers import Json, choice_of, limit_of, uuid_of


def routes(connection: Callable[[], AbstractAsyncContextManager[Connection]]) -> list[Route]:
    """All answer with `data`."""

    async def events(request: Request) -> Response:
        async with connection() as conn:
            name = request.query_params.get("name")
            return Json({"data": await looking.events(conn, limit_of(request), name=name)})

    async def one_event(request: Request) -> Response:
        async with connection() as conn:
            return Json({"data": await _event(conn, request)})

    async def runs_of_event(request: Request) -> Response:
        async with connection() as conn:
            return Json({"data": await looking.runs_of(conn, await _event(conn, request))})

    async def runs(request: Request) -> Response:
        before = request.query_params.get("before")
        choice, limit = choice_of(request), limit_of(request)
        async with connection() as conn:
            return Json({"data": await looking.runs(conn, choice, limit, before=before and uuid_of(before))})

    async def one_run(request: Request) -> Response:
        async with connection() as conn:
            found = await looking.run(conn, uuid_of(request.path_params["id"]))
        if found is None:
            raise HTTPException(404, "There is no such run.")
        return Json({"data": found})

    async def functions(request: Request) -> Response:
        async with connection() as conn:
            return Json({"data": await looking.functions(conn)})

    return [
        Route("/v1/events", events),
        Route("/v1/events/{id}", one_event),
        Route("/v1/events/{id}/runs", runs_of_event),
        Route("/v1/runs", runs),
        Route("/v1/runs/{id}", one_run),
        Route("/v1/functions", functions),
    ]


async def _event(conn: Connection, request: Request) -> dict[str, Any]:
    found = await looking.event(conn, uuid_of(request.path_params["id"], "event"))
    if found is None:
        raise HTTPException(404, "There is no such event.")
    return found
