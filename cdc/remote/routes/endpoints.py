"""`/v1/checkpoint`, `/v1/checkpoint/{run}/steps`, `.../output`: runs that begin in an app's own HTTP endpoint."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable
from functools import partial
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from cdc.remote.endpoints import requested
from cdc.remote.endpoints.answered import answered, is_token, token
from cdc.remote.endpoints.beginning import Endpoints, Refused, Took
from cdc.remote.endpoints.requested import NoRequest
from cdc.remote.endpoints.said import Said, said
from cdc.remote.opcodes import NoOpcode
from cdc.remote.routes.answers import JSON, Json, gone, object_of
from cdc.remote.routes.checkpoint import LARGEST, told
from cdc.store import endpoints as store
from cdc.store.failures import StatementFailed, about_a_value

MOST_WAITING = 500
"""Callers who wait for the end of a run at once."""

PATIENCE = 30.0
"""Seconds that one waits until he is asked to come again."""

_SOON, _LATER = 0.05, 1.0
_ENDED = ("completed", "failed", "cancelled")
_STALE = "The app does not have this run: it has ended, or goes on without it."
_NO_RUN = "run_id is no ULID of about now."
_NO_TOKEN = "The token is not one of this run."  # noqa: S105 - a sentence
_GONE = "The run is no longer kept."
_NO_STREAM = "none"
"""Opens nothing: what endpoints stream after they were handed over is not passed on."""

_HEADERS = {
    "access-control-allow-origin": "*",
    "x-content-type-options": "nosniff",
    "cache-control": "no-store",
}


def routes(endpoints: Endpoints) -> list[Route]:
    """All of them."""
    waiting = Waiting(endpoints)

    async def begin(request: Request) -> Response:
        body = await object_of(request)
        run_id = requested.run_id(body.get("run_id"), time.time())
        if run_id is None:
            raise HTTPException(400, _NO_RUN)
        try:
            asked = requested.requested(body.get("event"))
            function_id = await endpoints.function_of(asked)
        except NoRequest as wrong:
            raise HTTPException(400, str(wrong)) from None
        except Refused as refused:
            raise HTTPException(403, str(refused)) from None
        came_to = _said(body.get("steps"), run_id, function_id)
        await _taken(endpoints.begin(run_id, function_id, asked, came_to))
        about = {
            "fn_id": function_id,
            "app_id": asked.app,
            "run_id": run_id,
            "token": token(endpoints.key, run_id),
            "realtime_token": _NO_STREAM,
        }
        return Json({"data": about}, status_code=201)

    async def carry_on(request: Request) -> Response:
        body = await object_of(request)
        run_id, function_id = requested.run_id(request.path_params["run"]), body.get("fn_id")
        if run_id is None or not isinstance(function_id, str):
            raise HTTPException(400, "run_id and fn_id are what the run's begin was answered with.")
        await _taken(endpoints.carry_on(run_id, function_id, _said(body.get("steps"), run_id, function_id)))
        return Json({"data": {}})

    return [
        Route("/v1/checkpoint", begin, methods=["POST"]),
        Route("/v1/checkpoint/{run}/steps", carry_on, methods=["POST"]),
        Route("/v1/checkpoint/{run}/output", waiting.output),
        Route("/v1/http/runs/{run}/output", waiting.output),
    ]


def _said(steps: Any, run_id: str, function_id: str) -> Said:
    try:
        found = said(steps, time.time(), partial(told, run_id=run_id, function_id=function_id))
    except NoOpcode as wrong:
        raise HTTPException(400, str(wrong)) from None
    if found.size > LARGEST:
        raise HTTPException(413, f"The result of a step has at most {LARGEST:,} characters of JSON.")
    return found


async def _taken(taking: Awaitable[Took]) -> None:
    try:
        took = await taking
    except StatementFailed as failed:
        if not about_a_value(failed):
            raise
        raise HTTPException(400, "A step has a value that the database cannot store.") from None
    if took is Took.STALE:
        raise HTTPException(409, _STALE)


class Waiting:
    """Those who were sent to the output of a run: each is answered when it has ended."""

    def __init__(self, endpoints: Endpoints) -> None:
        self._endpoints = endpoints
        self._count = 0

    async def output(self, request: Request) -> Response:
        """The answer of the run's endpoint; after a while without one, the way to ask again."""
        run_id = requested.run_id(request.path_params["run"])
        if run_id is None or not is_token(self._endpoints.key, run_id, request.query_params.get("token", "")):
            return Json({"error": _NO_TOKEN, "status": 401}, status_code=401, headers=_HEADERS)
        if self._count >= MOST_WAITING:
            return Json({"error": "Too many wait.", "status": 503}, status_code=503, headers={"retry-after": "5"})
        self._count += 1
        try:
            return await self._answer(request, run_id)
        finally:
            self._count -= 1

    async def _answer(self, request: Request, run_id: str) -> Response:
        until, pause = time.monotonic() + PATIENCE, _SOON
        while time.monotonic() < until and not await request.is_disconnected():
            async with self._endpoints.state() as conn:
                found = await store.found(conn, run_id)
            if found is None:
                return gone(_GONE)
            if found.status in _ENDED:
                answer = answered(found, for_sdk=request.headers.get("content-type", "").startswith(JSON))
                return Response(answer.body, answer.status, _HEADERS, media_type=answer.type)
            await asyncio.sleep(pause)
            pause = min(pause * 1.5, _LATER)
        return RedirectResponse(f"{request.url.path}?{request.url.query}", 302, _HEADERS)
