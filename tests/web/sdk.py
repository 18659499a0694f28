"""All that is served for SDKs, composed as the service does, without what is behind it elsewhere."""

from __future__ import annotations

from typing import NoReturn

from starlette.routing import BaseRoute

from cdc.remote import routes as remote
from cdc.remote.connect.starting import Desk, NotThere
from cdc.remote.endpoints.beginning import Endpoints
from cdc.remote.realtime.hub import Hub
from cdc.remote.registering import Grounds, Registering
from cdc.remote.routes import connect, endpoints, realtime, register
from cdc.remote.routes.realtime import Realtime
from cdc.web.site import Connecting, Site

_KEY = bytes(32)


def routes(site: Site, connection: Connecting, hub: Hub | None = None) -> list[BaseRoute]:
    """For a site on this state database; no gateway runs."""
    grounds = Grounds(keys=site.terms.reading)
    return [
        *remote.routes(connection, site.wake, site.outbox),
        *register.routes(Registering(connection, grounds, site.wake)),
        *connect.routes(Desk("127.0.0.1", 8289, _KEY, _no_gateway)),
        *endpoints.routes(Endpoints(connection, site.outbox, grounds, site.wake, site.wake, lease=60.0, key=_KEY)),
        *realtime.routes(Realtime(hub or Hub(), _KEY, site.stopping, connection)),
    ]


async def _no_gateway() -> NoReturn:
    raise NotThere
