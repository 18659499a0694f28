"""The route that shows how embeddings stand."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from cdc.web.answers import Json

Look = Callable[[str | None], Awaitable[Sequence[dict[str, Any]]]]
"""How the embeddings of one table, or all, stand; each with the `source` that it is of."""


async def nothing(table: str | None) -> Sequence[dict[str, Any]]:
    """Where no database is watched."""
    return []


def routes(look: Look) -> list[Route]:
    """It answers with `data`."""

    async def embeddings(request: Request) -> Response:
        return Json({"data": await look(request.query_params.get("table"))})

    return [Route("/v1/embeddings", embeddings)]
