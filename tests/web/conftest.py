"""The HTTP API on a state database of its own, without the rest of the service.

served      serves it on a port of its own; `Served` asks it and tells how often it woke the workers
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import httpx
import orjson
import pytest

from cdc.store.connect import pool
from cdc.web import sending
from cdc.web.app import app
from cdc.web.gathering import Gathering
from cdc.web.guard.terms import NOTHING_ASKED, Terms
from cdc.web.server import Web
from cdc.web.site import Site
from cdc.web.status import Status, Statuses
from tests.servers import Connect
from tests.store.state import State, definition, open_state
from tests.web import sdk

Asgi = Callable[[Any, Any, Any], Awaitable[None]]


@dataclass
class Served:
    """A running API."""

    url: str
    state: State
    woken: list[None] = field(default_factory=list)

    async def ask(self, method: str, path: str, body: object = None, **headers: str) -> httpx.Response:
        """An answer; a `body` that is not bytes is sent as JSON."""
        content = body if body is None or isinstance(body, bytes) else orjson.dumps(body)
        sent = {"content-type": "application/json", **{name.replace("_", "-"): each for name, each in headers.items()}}
        async with httpx.AsyncClient(base_url=self.url, trust_env=False, timeout=60) as client:
            return await client.request(method, path, content=content, headers=sent)

    async def post(self, path: str, body: object = None, **headers: str) -> tuple[int, Any]:
        """Status and answer."""
        response = await self.ask("POST", path, body, **headers)
        return response.status_code, response.json()

    async def get(self, path: str) -> tuple[int, Any]:
        """Status and answer."""
        response = await self.ask("GET", path)
        return response.status_code, response.json()


Serve = Callable[..., Awaitable[Served]]


@pytest.fixture
async def serve(migrated_url: str, connect: Connect, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Serve]:
    """Serves the API, with `keys` for events, `terms` for all else, and `around` the application."""
    # A busy machine may stand still for longer than events wait for the database.
    monkeypatch.setattr(sending, "Gathering", partial(Gathering, patience=60.0))
    async with AsyncExitStack() as stack:

        async def serve(
            *keys: str,
            terms: Terms = NOTHING_ASKED,
            proxies: str = "",
            around: Callable[[Asgi], Asgi] = lambda inner: inner,
        ) -> Served:
            state = await open_state(migrated_url, connect)
            connections = await stack.enter_async_context(pool(migrated_url, size=4, name="web"))
            woken: list[None] = []
            site = Site(
                Statuses(Status("default", "cdc", "cdc")),
                connections.connection,
                wake=lambda: woken.append(None),
                keys=keys,
                terms=terms,
            )
            web = Web(around(app(site, sdk.routes(site, connections.connection))), 0, proxies=proxies, kind=terms.kind)
            web.start()
            stack.push_async_callback(web.stop)
            stack.callback(site.stopping.set)
            return Served(web.url, state, woken)

        yield serve


@pytest.fixture
async def served(serve: Serve) -> Served:
    """The API, with the function `paid` on app/order.paid."""
    made = await serve()
    await made.state.register(definition("paid", on="app/order.paid"))
    return made
