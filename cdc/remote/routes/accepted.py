"""What is answered without doing much: how the service is, what SDKs tell and nothing is made of, what is not there."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from importlib.metadata import version

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from cdc.remote.routes.acting import metadata
from cdc.remote.routes.answers import Json
from cdc.remote.routes.service import Service
from cdc.store import looking

Endpoint = Callable[[Request], Awaitable[Response]]

_PASSED_OVER = ("/v0/telemetry", "/v1/traces/userland")


def routes(service: Service) -> list[Route]:
    """All of them."""

    async def development(request: Request) -> Response:
        async with service.state() as conn:
            functions = await looking.functions(conn)
        told = [{"id": each["id"], "slug": each["id"], "name": each["name"]} for each in functions]
        return Json({"version": version("cdc"), "functions": told, "features": {}})

    async def of_app(request: Request) -> Response:
        app = request.path_params["app"]
        async with service.state() as conn:
            functions = [each for each in await looking.functions(conn) if each.get("app") == app]
        told = [{**each, "slug": each["id"]} for each in functions]
        return Json({"data": told, "metadata": metadata()})

    return [
        Route("/health", _healthy),
        Route("/dev", development),
        Route("/v1/apps/{app}/functions", of_app),
        *(Route(path, _passing_over(), methods=["POST"]) for path in _PASSED_OVER),
    ]


async def _healthy(request: Request) -> Response:
    return Json({"status": 200, "message": "OK"})


def _passing_over() -> Endpoint:
    """One for each path: requests are counted by it."""

    async def passed_over(request: Request) -> Response:
        async for _ in request.stream():
            pass
        return Json({"data": None})

    return passed_over
