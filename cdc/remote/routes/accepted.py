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

_NO_STREAMS = "What an endpoint streams after its caller has left it is not passed on: let the caller ask for JSON."

_PASSED_OVER = ("/v0/telemetry", "/v1/traces/userland", "/v1/runs/{run}/metadata")


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
        Route("/v1/realtime/publish/tee", _no_streams, methods=["POST"]),
        *(Route(path, _passing_over(), methods=["POST"]) for path in _PASSED_OVER),
    ]


async def _healthy(request: Request) -> Response:
    return Json({"status": 200, "message": "OK"})


async def _no_streams(request: Request) -> Response:
    return Json({"error": _NO_STREAMS, "status": 501}, status_code=501)


def _passing_over() -> Endpoint:
    """One for each path: requests are counted by it."""

    async def passed_over(request: Request) -> Response:
        async for _ in request.stream():
            pass
        return Json({"data": None})

    return passed_over
