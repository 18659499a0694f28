"""`POST /fn/register`: an app's SDK tells of its functions; `DELETE /fn/remove`: it is gone (protocol section 2.1)."""

from __future__ import annotations

import orjson
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from cdc.remote.configs import Unusable
from cdc.remote.registering import DEPLOY, Registering, answer

MOST_BYTES = 8 * 1024 * 1024
"""Of one app's functions."""

_EXPECTED = "x-inngest-expected-server-kind"


def routes(registering: Registering) -> list[Route]:
    """Both of them."""
    kind = registering.grounds.kind

    async def register(request: Request) -> JSONResponse:
        expected = request.headers.get(_EXPECTED)
        if expected and expected != kind:
            return _refused(_other_kind(kind))
        try:
            body = _json(await _body(request))
            synced = await registering.take(body, deploy=request.query_params.get(DEPLOY))
        except Unusable as unusable:
            return _refused(str(unusable))
        return JSONResponse(answer(synced))

    async def remove(request: Request) -> JSONResponse:
        await registering.remove(request.query_params.get("url", ""))
        return JSONResponse({"ok": True})

    return [
        Route("/fn/register", register, methods=["POST", "PUT"]),
        Route("/fn/remove", remove, methods=["DELETE"]),
    ]


def _json(body: bytes) -> object:
    try:
        return orjson.loads(body)
    except ValueError:
        raise Unusable("The body is no JSON.") from None


def _refused(error: str) -> JSONResponse:
    return JSONResponse({"error": error, "status": 400}, 400)


def _other_kind(kind: str) -> str:
    if kind == "dev":
        return "The app expects a server with a signing key: set CDC_SIGNING_KEY here, or INNGEST_DEV for the app."
    return (
        "The app is in dev mode, and this server has a signing key: set INNGEST_SIGNING_KEY for the app, and "
        "INNGEST_BASE_URL in place of INNGEST_DEV."
    )


async def _body(request: Request) -> bytes:
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > MOST_BYTES:
            raise Unusable(f"What an app tells of its functions has at most {MOST_BYTES} bytes.")
    return bytes(body)
