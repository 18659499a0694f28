"""The HTTP API, on loopback only: health, status, events, runs, functions and search."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from cdc.store import gaps, runs
from cdc.store.connect import Connection
from cdc.store.failures import ConnectionTrouble, PoolTimeout
from cdc.web import acting, looking, searching, sending
from cdc.web.answers import Json
from cdc.web.embedded import Embedded
from cdc.web.embedded import routes as of_embedded
from cdc.web.held import Held
from cdc.web.status import Statuses

Connecting = Callable[[], AbstractAsyncContextManager[Connection]]


def app(
    status: Statuses,
    connection: Connecting | None,
    *,
    wake: Callable[[], None] = lambda: None,
    keys: Sequence[str] = (),
    confirmed: Callable[[], bool] = lambda: True,
    embeddings: searching.At = lambda source: None,
    embedded: Embedded | None = None,
) -> Starlette:
    """The application; without a `connection` it answers only how the service is.

    `wake` tells the workers that something is due; `keys` are those that events may come with. Nothing is changed
    before it is `confirmed` that the state is the watched database's. `embeddings` are those of a source. A page
    elsewhere cannot reach it through a name of its own: the Host header is checked.
    """
    routes = _health(status)
    if connection is not None:
        routes += [
            *_overview(status, connection),
            *looking.routes(connection),
            *acting.routes(connection, wake),
            *sending.routes(connection, wake, keys),
            *searching.routes(embeddings),
            *of_embedded(embedded),
        ]
    return Starlette(
        routes=routes,
        middleware=[
            Middleware(TrustedHostMiddleware, allowed_hosts=["127.0.0.1", "localhost", "[::1]"]),
            Middleware(Held, confirmed=confirmed),
        ],
        exception_handlers={HTTPException: _refused, **dict.fromkeys((*ConnectionTrouble, PoolTimeout), _unavailable)},
    )


def _health(status: Statuses) -> list[Route]:
    async def livez(request: Request) -> Response:
        return Json({"live": True})

    async def readyz(request: Request) -> Response:
        answer = {"ready": status.ready, "listening": status.listening}
        return Json(answer, status_code=200 if status.ready else 503)

    return [Route("/livez", livez), Route("/readyz", readyz)]


def _overview(status: Statuses, connection: Connecting) -> list[Route]:
    async def overview(request: Request) -> Response:
        async with connection() as conn:
            lost = [gap._asdict() for gap in await gaps.listed(conn)]
            return Json({**status.as_json(), "runs": await runs.counts(conn), "gaps": lost})

    return [Route("/", overview), Route("/v1/status", overview)]


async def _refused(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException), "registered for it only"
    return Json({"error": error.detail}, status_code=error.status_code, headers=error.headers)


async def _unavailable(request: Request, error: Exception) -> Response:
    return Json({"error": "The state database does not answer."}, status_code=503)
