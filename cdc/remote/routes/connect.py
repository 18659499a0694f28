"""`POST /v0/connect/start` and `/v0/connect/flush`: what a worker asks before it connects, and says when it cannot."""

from __future__ import annotations

import time

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from cdc.remote.connect.messages import Garbled
from cdc.remote.connect.starting import Desk, NotThere

_KIND = "application/protobuf"
_LARGEST = 8 * 1024 * 1024


def routes(desk: Desk) -> list[Route]:
    """The two."""

    async def start(request: Request) -> Response:
        host = request.headers.get("host", "")
        try:
            said = await desk.start(host, time.time(), secure=request.url.scheme == "https")
        except NotThere as reason:
            return _later(reason)
        return Response(said, media_type=_KIND)

    async def flush(request: Request) -> Response:
        body = bytearray()
        async for chunk in request.stream():
            body += chunk
            if len(body) > _LARGEST:
                return PlainTextResponse("The reply is too large.", 413)
        try:
            return Response(await desk.flush(bytes(body), time.time()), media_type=_KIND)
        except Garbled:
            return PlainTextResponse("This is no reply.", 400)
        except NotThere as reason:
            return _later(reason)

    return [
        Route("/v0/connect/start", start, methods=["POST"], include_in_schema=False),
        Route("/v0/connect/flush", flush, methods=["POST"], include_in_schema=False),
    ]


def _later(reason: NotThere) -> Response:
    return PlainTextResponse(str(reason), 503, {"retry-after": "5"})
