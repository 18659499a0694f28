"""A service, and the apps that tests have asked for: one of each, shared by the tests of a process."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from tests.acceptance.service import Service, Settings, running
from tests.ai_server import AIServer
from tests.sdk.apps import App, started

NATIVE = """
from cdc import Context, function

@function("triples", on="native/triples", retries=0)
async def triples(ctx: Context) -> int:
    return ctx.event.data["number"] * 3

@function("asks", on="native/asks", retries=0)
async def asks(ctx: Context) -> dict[str, object]:
    app = ctx.event.data["app"]
    return {"doubled": await ctx.step.invoke("remote", f"{app}-doubles", {"number": 21})}
"""
"""Functions of the service's own, called by apps (which put `cdc-` before their ids) and calling them."""


class World:
    """What the tests share. `service` runs, apps are started when they are first asked for."""

    def __init__(
        self, database_url: str, service: Service, provider: AIServer, folder: Path, opened: AsyncExitStack
    ) -> None:
        self.database_url = database_url
        self.service = service
        self.provider = provider
        self._folder = folder
        self._opened = opened
        self._apps: dict[str, App] = {}

    async def app(self, kind: str) -> App:
        """The app of this kind, registered."""
        if kind not in self._apps:
            environment = {"PROVIDER": self.provider.root, "PAGE": f"{self.provider.root}/page"}
            block = started(kind, self.service.url, self._folder / f"{kind}.effects", environment=environment)
            self._apps[kind] = await self._opened.enter_async_context(block)
            await self._apps[kind].sync()
        return self._apps[kind]


@asynccontextmanager
async def world(database_url: str, folder: Path) -> AsyncIterator[World]:
    """A service with an empty database, and models to ask."""
    functions = folder / "functions"
    functions.mkdir()
    (functions / "native.py").write_text(NATIVE)
    async with AIServer() as provider, AsyncExitStack() as opened:
        provider.app.routes.append(Route("/page", _page, methods=["POST"]))
        settings: Settings = {"CDC_FUNCTIONS": functions, "CDC_EMBED_MODEL": "local-fast/wordllama"}
        # A machine that stands still for a while loses no lease: what ran under one would run once more.
        block = running(DATABASE_URL=database_url, CDC_LEASE="60", **settings)
        service = await opened.enter_async_context(block)
        yield World(database_url, service, provider, folder, opened)


async def _page(request: Request) -> JSONResponse:
    """What was asked, to be told from what was sent."""
    given = {"given": await request.json(), "header": request.headers["x-test"]}
    return JSONResponse(given, 418, headers={"x-answered": "yes"})
