"""The dashboard: pages rendered on the server, one module each."""

from __future__ import annotations

from pathlib import Path

from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles

from cdc.web import live
from cdc.web.pages import (
    again,
    ai,
    apps,
    embeddings,
    event,
    events,
    functions,
    many,
    overview,
    replication,
    run,
    runs,
    sending,
)
from cdc.web.site import Site

STATIC = Path(__file__).parents[1] / "static"


def routes(site: Site) -> list[BaseRoute]:
    """All pages, and what they load."""
    return [*_pages(site), live.route(site), Mount("/static", StaticFiles(directory=STATIC), name="static")]


def _pages(site: Site) -> list[Route]:
    return [
        *overview.routes(site),
        *functions.routes(site),
        *apps.routes(site),
        *ai.routes(site),
        *events.routes(site),
        *sending.routes(site),
        *event.routes(site),
        *runs.routes(site),
        *many.routes(site),
        *again.routes(site),
        *run.routes(site),
        *embeddings.routes(site),
        *replication.routes(site),
    ]
