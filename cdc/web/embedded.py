"""Routes about what is embedded: how it stands, and texts that are to be tried again."""

from __future__ import annotations

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from cdc.errors import ConfigurationError, DatabaseRefused
from cdc.web.answers import Json, object_of
from cdc.web.site import Embedded


def routes(embedded: Embedded | None) -> list[Route]:
    """They answer with `data`; without embeddings there is nothing."""

    async def standing(request: Request) -> Response:
        table = request.query_params.get("table")
        return Json({"data": [] if embedded is None else await embedded.standing(table)})

    async def retry(request: Request) -> Response:
        body = await object_of(request)
        table, *others = (body.get(name) for name in ("table", "source", "target", "key"))
        if not isinstance(table, str):
            raise HTTPException(400, "table is missing.")
        if any(not isinstance(value, str | None) for value in others):
            raise HTTPException(400, "source, target and key are texts.")
        source, target, key = others
        try:
            rows = None if embedded is None else await embedded.retry(source, table, target, key)
        except ConfigurationError as error:
            raise HTTPException(400, str(error)) from None
        except DatabaseRefused as error:
            raise HTTPException(403, str(error)) from None
        if rows is None:
            raise HTTPException(404, "There is no such source.")
        return Json({"data": {"rows": rows}})

    return [
        Route("/v1/embeddings", standing),
        Route("/v1/embeddings/retry", retry, methods=["POST"]),
    ]
