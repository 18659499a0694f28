"""The HTTP API, on loopback only: health, status, events and runs."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from datetime import datetime
from typing import Any

import orjson
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from cdc.store import events, runs
from cdc.store.connect import Connection
from cdc.store.failures import ConnectionTrouble, PoolTimeout
from cdc.web.status import Status

MOST = 100
"""Rows in one answer."""


class Json(Response):
    """A JSON answer; datetimes in RFC 3339."""

    media_type = "application/json"

    def render(self, content: Any) -> bytes:
        """The body; what orjson refuses and JSON allows (lone surrogates, large integers) goes the slow way."""
        try:
            return orjson.dumps(content, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)
        except orjson.JSONEncodeError:
            return f"{json.dumps(content, default=_text, indent=2)}\n".encode()


def app(status: Status, connection: Callable[[], AbstractAsyncContextManager[Connection]] | None) -> Starlette:
    """The application; without a `connection` it answers only how the service is.

    A page elsewhere cannot reach it through a name of its own: the Host header is checked.
    """

    async def livez(request: Request) -> Response:
        return Json({"live": True})

    async def readyz(request: Request) -> Response:
        answer = {"ready": status.ready, "listening": status.listening}
        return Json(answer, status_code=200 if status.ready else 503)

    health = [Route("/livez", livez), Route("/readyz", readyz)]
    return _application([*health, *(_figures(status, connection) if connection else ())])


def _figures(status: Status, connection: Callable[[], AbstractAsyncContextManager[Connection]]) -> list[Route]:
    """What is read from the state database."""

    async def overview(request: Request) -> Response:
        async with connection() as conn:
            return Json({**status.as_json(), "runs": await runs.counts(conn)})

    async def latest_events(request: Request) -> Response:
        async with connection() as conn:
            return Json({"data": await events.latest(conn, _limit(request))})

    async def latest_runs(request: Request) -> Response:
        async with connection() as conn:
            return Json({"data": await runs.latest(conn, _limit(request))})

    async def one_run(request: Request) -> Response:
        async with connection() as conn:
            found = await runs.by_id(conn, _uuid(request.path_params["id"]))
        if found is None:
            raise HTTPException(404, "There is no such run.")
        return Json({"data": found})

    return [
        Route("/", overview),
        Route("/v1/status", overview),
        Route("/v1/events", latest_events),
        Route("/v1/runs", latest_runs),
        Route("/v1/runs/{id}", one_run),
    ]


def _application(routes: list[Route]) -> Starlette:
    return Starlette(
        routes=routes,
        middleware=[Middleware(TrustedHostMiddleware, allowed_hosts=["127.0.0.1", "localhost", "[::1]"])],
        exception_handlers={HTTPException: _refused, **dict.fromkeys((*ConnectionTrouble, PoolTimeout), _unavailable)},
    )


def _text(value: object) -> str:
    return value.isoformat() if isinstance(value, datetime) else str(value)


def _limit(request: Request) -> int:
    try:
        limit = int(request.query_params.get("limit", MOST))
    except ValueError:
        limit = 0
    if not 1 <= limit <= MOST:
        raise HTTPException(400, f"limit must be a number from 1 to {MOST}.")
    return limit


def _uuid(text: str) -> str:
    try:
        return str(uuid.UUID(text))
    except ValueError:
        raise HTTPException(404, "There is no such run.") from None


async def _refused(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException), "registered for it only"
    return Json({"error": error.detail}, status_code=error.status_code)


async def _unavailable(request: Request, error: Exception) -> Response:
    return Json({"error": "The state database does not answer."}, status_code=503)
