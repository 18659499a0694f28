"""Routes about what is embedded: how it stands, and texts that are to be tried again."""

from __future__ import annotations

from collections.abc import Awaitable, Sequence
from typing import Any, Protocol

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from cdc.errors import ConfigurationError, DatabaseRefused
from cdc.web.answers import Json, object_of


class Embedded(Protocol):
    """The embeddings of all sources."""

    def standing(self, table: str | None, /) -> Awaitable[Sequence[dict[str, Any]]]:
        """How those of one table, or all, stand; each with the `source` that it is of."""
        ...

    def retry(self, source: str | None, table: str, target: str | None, key: str | None, /) -> Awaitable[int | None]:
        """Try texts again that were put aside; how many rows are looked at. None: there is no such source.

        Raises:
            ConfigurationError: there is no such table.
            DatabaseRefused: our role has no right to.
        """
        ...


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
