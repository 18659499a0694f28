"""Apps with the official Python SDK, served on loopback in the test's own process."""

from __future__ import annotations

import warnings
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx
from fastapi import FastAPI
from starlette.types import Receive, Scope, Send

from cdc.web.server import Web

with warnings.catch_warnings():  # of pydantic, about how the SDK configures its models
    warnings.simplefilter("ignore")
    import inngest
    import inngest.fast_api

KEY = "signkey-test-0123456789abcdef0123456789abcdef"


@dataclass
class App:
    """A running app. Until it is `deployed` it answers nothing that an SDK would."""

    url: str = ""
    asked: list[str] = field(default_factory=list)
    """The methods of the requests that came."""

    _inner: FastAPI = field(default_factory=FastAPI)

    def deploy(
        self,
        api: str,
        *functions: str,
        name: str = "shop",
        key: str | None = None,
        on: str = "app/order.made",
        **options: Any,
    ) -> None:
        """Serve these functions, or others than before, and know the API there. All begin with `on`."""
        client = inngest.Inngest(
            app_id=name,
            api_base_url=api,
            event_api_base_url=api,
            is_production=key is not None,
            signing_key=key,
            event_key="test" if key else None,
        )
        self._inner = FastAPI()
        inngest.fast_api.serve(self._inner, client, [_function(client, each, on, options) for each in functions])

    async def put(self) -> httpx.Response:
        """Have it tell of its functions, as a deployment does."""
        async with httpx.AsyncClient(trust_env=False, timeout=30) as client:
            return await client.put(self.url)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        if scope["type"] == "http":
            self.asked.append(scope["method"])
        await self._inner(scope, receive, send)


def _function(client: inngest.Inngest, id: str, on: str, options: dict[str, Any]) -> inngest.Function[Any]:
    @client.create_function(fn_id=id, trigger=inngest.TriggerEvent(event=on), **options)
    async def made(ctx: inngest.Context) -> str:
        return id

    return made


@asynccontextmanager
async def serving() -> AsyncIterator[App]:
    """An app, not deployed yet, for the length of a block."""
    app = App()
    web = Web(app, 0)
    web.start()
    app.url = f"{web.url}/api/inngest"
    try:
        yield app
    finally:
        await web.stop()


def ids(rows: Sequence[tuple[Any, ...]]) -> list[str]:
    """The first column."""
    return [row[0] for row in rows]
