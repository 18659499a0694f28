"""What is served over HTTP: the API and the pages."""

from __future__ import annotations

from collections.abc import Sequence

from fastapi import FastAPI
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import RedirectResponse
from starlette.routing import BaseRoute, Route

from cdc.web import api, metrics, pages, sending
from cdc.web.api import document, health
from cdc.web.api.refusing import HANDLERS
from cdc.web.guard.gate import Gate
from cdc.web.held import Held
from cdc.web.pages.login import Login
from cdc.web.requests import Requests
from cdc.web.site import Site


def app(site: Site, sdk: Sequence[BaseRoute] = ()) -> FastAPI:
    """The application, with the routes that `sdk` has for SDKs.

    Without a connection to the state it answers only how the service is. Before it stands what asks for credentials:
    `cdc.web.guard`.
    """
    gate = Gate(site.terms, site.keys)
    made = FastAPI(
        **document.ABOUT,
        openapi_url=None,
        middleware=[
            Middleware(Requests, counts=site.requests),
            *gate.middleware(),
            Middleware(Held, confirmed=site.confirmed),
        ],
        exception_handlers=HANDLERS,
    )
    made.state.site = site
    made.router.routes.extend([*_routes(site, gate, sdk), *metrics.routes(site)])
    return made


def _routes(site: Site, gate: Gate, sdk: Sequence[BaseRoute]) -> list[BaseRoute]:
    """The busiest first: they are looked through one by one."""
    if site.connection is None:
        return [*health.probes.routes]
    return [
        *sending.routes(site.connection, site.wake, site.keys),
        *sdk,
        *health.probes.routes,
        *api.routes(),
        Route("/openapi.json", document.answer, include_in_schema=False),
        Route("/", _to_overview, include_in_schema=False),
        *Login(gate).routes(),
        *pages.routes(site),
    ]


async def _to_overview(request: Request) -> RedirectResponse:
    return RedirectResponse("/overview", status_code=303)
