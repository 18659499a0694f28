"""What Inngest's SDKs and their tests call, one module a subject. The service puts these routes into the web."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager

from starlette.routing import BaseRoute

from cdc.events.outbox import Outbox
from cdc.remote.routes import about, accepted, acting, checkpoint, gql, state
from cdc.remote.routes.service import Service
from cdc.store.connect import Connection


def routes(
    connection: Callable[[], AbstractAsyncContextManager[Connection]], wake: Callable[[], None], outbox: Outbox
) -> list[BaseRoute]:
    """All of them, the busiest first. `connection` is to the state database; `wake`: something may be due."""
    service = Service(connection, wake, outbox)
    return [
        *checkpoint.routes(service),
        *state.routes(service),
        *acting.routes(service),
        *about.routes(service),
        *accepted.routes(service),
        *gql.routes(service),
    ]
