"""What the tests of apps share.

serve   serves the API to SDKs on a state database of its own, with or without a signing key
app     an app with the Python SDK, not deployed yet
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest
from pydantic import SecretStr

from cdc.config import Settings
from cdc.service import serving
from cdc.service.apps import Apps
from cdc.store import apps as stored
from cdc.store.connect import pool
from cdc.web.app import app as application
from cdc.web.server import Web
from cdc.web.site import Site
from cdc.web.status import Status, Statuses
from tests.remote.apps import App
from tests.remote.apps import serving as serving_app
from tests.servers import Connect
from tests.store.state import State, open_state


@dataclass
class Api:
    """A service as SDKs see it."""

    url: str
    state: State
    apps: Apps
    woken: list[None] = field(default_factory=list)

    async def functions(self) -> list[str]:
        """The ids of all that are in force."""
        rows = await self.state.rows("select id from cdc_state.functions where archived_at is null order by id")
        return [id_ for (id_,) in rows]

    async def listed(self) -> list[dict[str, Any]]:
        """The apps."""
        return await stored.listed(self.state.connection)

    async def added(self, url: str) -> Any:
        """Why an app could not be synced."""
        row = await self.apps.add(url)
        assert row is not None
        return row["error"]

    async def synced(self, name: str) -> Any:
        """The same of one that is there."""
        row = await self.apps.sync(name)
        assert row is not None
        return row["error"]

    async def register(self, body: object, **headers: str) -> httpx.Response:
        """What `POST /fn/register` answers."""
        async with httpx.AsyncClient(base_url=self.url, trust_env=False, timeout=30) as client:
            sent = {name.replace("_", "-"): each for name, each in headers.items()}
            return await client.post("/fn/register", json=body, headers=sent)


Serve = Callable[..., Awaitable[Api]]


@pytest.fixture
async def serve(migrated_url: str, connect: Connect) -> AsyncIterator[Serve]:
    async with AsyncExitStack() as stack:

        async def serve(key: str | None = None, **settings: Any) -> Api:
            state = await open_state(migrated_url, connect)
            connections = await stack.enter_async_context(pool(migrated_url, size=4, name="web"))
            woken: list[None] = []
            made = Settings(signing_key=SecretStr(key) if key else None, **settings)
            apps = Apps(made, connections.connection, lambda: woken.append(None))
            statuses = Statuses(Status("default", "cdc", "cdc"))
            site = Site(statuses, connections.connection, terms=serving.terms(made), apps=apps)
            web = Web(application(site, apps.routes()), 0, kind=site.terms.kind)
            web.start()
            stack.push_async_callback(web.stop)
            stack.callback(site.stopping.set)
            return Api(web.url, state, apps, woken)

        yield serve


@pytest.fixture
async def api(serve: Serve) -> Api:
    return await serve()


@pytest.fixture
async def app() -> AsyncIterator[App]:
    async with serving_app() as app:
        yield app
