"""What is served over HTTP: the API and the pages, on loopback only."""

from __future__ import annotations

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from cdc.store import gaps, runs
from cdc.store.failures import ConnectionTrouble, PoolTimeout
from cdc.web import acting, looking, pages, searching, sending
from cdc.web.answers import Json
from cdc.web.embedded import routes as of_embedded
from cdc.web.held import Held
from cdc.web.site import Connecting, Site
from cdc.web.status import Statuses


def app(site: Site) -> Starlette:
    """The application; without a connection to the state it answers only how the service is.

    A page elsewhere cannot reach it through a name of its own: the Host header is checked.
    """
    routes: list[BaseRoute] = [*_health(site.statuses)]
    if site.connection is not None:
        routes += [
            *_overview(site.statuses, site.connection),
            *looking.routes(site.connection),
            *acting.routes(site.connection, site.wake),
            *sending.routes(site.connection, site.wake, site.keys),
            *searching.routes(site.embeddings),
            *of_embedded(site.embedded),
            *pages.routes(site),
        ]
    return Starlette(
        routes=routes,
        middleware=[
            Middleware(TrustedHostMiddleware, allowed_hosts=["127.0.0.1", "localhost", "[::1]"]),
            Middleware(Held, confirmed=site.confirmed),
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
