"""The HTTP API: one module a subject, and the document that describes it."""

from __future__ import annotations

from starlette.routing import BaseRoute

from cdc.web.api import ai, apps, embeddings, events, functions, health, many, replication, runs, search, signals

_ROUTERS = (
    events.router,
    runs.router,
    many.router,
    functions.router,
    apps.router,
    signals.router,
    embeddings.router,
    search.router,
    ai.router,
    replication.router,
    health.router,
)


def routes() -> list[BaseRoute]:
    """All that need the state database."""
    return [route for router in _ROUTERS for route in router.routes]
